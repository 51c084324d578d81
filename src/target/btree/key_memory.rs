//! Keys of one index in memory. Memory that was used once is used again.

use std::hint::black_box;
use std::io;

use super::arena::Arena;
use super::record::{Encoded, header_bytes, push_varint};
use super::run_key::KeyRef;
use super::runs::Runs;
use super::sorting::{Entry, Pool, Sorting, Stop};

/// Keys beyond this many lie in a block of `MAPPED` bytes or more, which the allocator maps for itself, grows where
/// it is and gives back; of what is not used of it nothing is taken. Growing by copies would leave holes as large
/// as the keys.
const SMALL_KEYS: usize = 1 << 16;
const MAPPED: usize = 32 << 20;

/// So many records are touched at once.
const TOUCHED: usize = 32;

/// Keys, and memory for more.
#[derive(Debug, Default)]
pub struct Memory {
    entries: Vec<Entry>,
    /// So many entries were in use since it was last trimmed; what the vector has beyond takes none.
    entries_used: usize,
    arena: Arena,
    is_sorted: bool,
}

impl Memory {
    /// Bytes that the keys take.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.entries.len() * size_of::<Entry>()
    }

    /// Bytes that are kept for keys to come.
    pub fn spare_bytes(&self) -> usize {
        let entries = self.entries_used.saturating_sub(self.entries.len());
        self.arena.spare_bytes() + entries * size_of::<Entry>()
    }

    /// Gives back what is kept for keys to come. Of a vector in use that is nothing: the allocator would move it among
    /// smaller blocks.
    pub fn trim(&mut self) {
        self.arena.trim();
        if self.entries.is_empty() {
            *self = Self::default();
        }
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a key, the record of these values. `false`: it has no place any more.
    pub fn push<'v>(
        &mut self,
        values: impl Iterator<Item = Encoded<'v>> + Clone,
        sorting: &Sorting,
    ) -> bool {
        let head = Head::of(values.clone());
        let bytes = head.bytes + head.body;
        if self.arena.is_full(bytes) {
            return false;
        }
        let place = self.arena.push(bytes, |record| {
            head.write(record, values.clone());
            let bodies = values.clone().map(|value| value.body);
            bodies.for_each(|body| record.extend_from_slice(body));
        });
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = bytes as u32;
        self.make_room();
        self.entries.push(Entry::new(place, length));
        if let Some(entry) = self.entries.last_mut() {
            entry.set_prefix(0, values.map(Encoded::value), sorting.key());
        }
        self.is_sorted = false;
        true
    }

    /// Makes room for one key more.
    fn make_room(&mut self) {
        let keys = self.entries.len();
        if keys == self.entries.capacity() && keys >= SMALL_KEYS {
            self.entries.reserve(MAPPED / size_of::<Entry>());
        }
    }

    /// Sorts the keys, on the threads of the pool.
    pub fn sort(&mut self, sorting: &Sorting, pool: &Pool) {
        if self.is_sorted {
            return;
        }
        let (entries, arena) = (&mut self.entries, &self.arena);
        match pool {
            Some(pool) => pool.install(|| sorting.sort(entries, arena, true)),
            None => sorting.sort(entries, arena, false),
        }
        self.is_sorted = true;
    }

    /// Bytes of each record, in the order of the keys.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|entry| entry.length())
    }

    /// The keys, which are sorted, and their records. These lie far from each other: some are touched before the first of them
    /// is needed, so that memory is waited for once for all of them.
    fn in_order(&self) -> impl Iterator<Item = (&Entry, &[u8])> {
        self.entries.chunks(TOUCHED).flat_map(|entries| {
            let ends = entries.iter().map(|entry| entry.record(&self.arena));
            let touch = |bytes: u8, record: &[u8]| match record {
                [first, .., last] => bytes ^ first ^ last,
                _ => bytes,
            };
            black_box(ends.fold(0, touch));
            entries
                .iter()
                .map(|entry| (entry, entry.record(&self.arena)))
        })
    }

    /// Writes the keys, which are sorted, into a run, and forgets them.
    pub fn move_to(&mut self, runs: &mut Runs) -> io::Result<()> {
        runs.write(self.in_order().map(|(entry, record)| KeyRef {
            prefix: entry.prefix(),
            record,
        }))?;
        self.entries_used = self.entries_used.max(self.entries.len());
        self.entries.clear();
        self.arena.clear();
        Ok(())
    }

    /// Gives the records of the keys, which are sorted. Errors: `Twice` at the second of two equal keys of a unique index.
    pub fn for_each(
        &self,
        sorting: &Sorting,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let mut before: Option<Entry> = None;
        for (entry, record) in self.in_order() {
            if sorting.unique
                && let Some(before) = before.replace(*entry)
                && before.prefix().bytes == entry.prefix().bytes
            {
                let is_cut = before.prefix().is_cut || entry.prefix().is_cut;
                if sorting.are_equal(is_cut, before.record(&self.arena), record) {
                    return Err(Stop::Twice);
                }
            }
            each(record)?;
        }
        Ok(())
    }
}

/// The header of a record that is being put together.
#[derive(Debug, Clone, Copy)]
struct Head {
    /// All of it, little-endian, where it has not more than eight bytes.
    word: Option<u64>,
    bytes: usize,
    /// Bytes of the values behind it.
    body: usize,
}

impl Head {
    fn of<'v>(values: impl Iterator<Item = Encoded<'v>>) -> Self {
        let (mut word, mut is_short, mut serials, mut body) = (0, true, 0, 0);
        for value in values {
            is_short &= serials < 7 && value.serial < 0x80;
            if is_short {
                word |= value.serial << (8 * (serials + 1));
            }
            serials += value.serial_bytes.len();
            body += value.body.len();
        }
        let bytes = header_bytes(serials);
        Self {
            word: is_short.then_some(word | bytes as u64),
            bytes,
            body,
        }
    }

    /// Appends it: at once where it is short, for what was just written byte by byte is slow to be read.
    fn write<'v>(&self, record: &mut Vec<u8>, values: impl Iterator<Item = Encoded<'v>>) {
        if let Some(word) = self.word {
            let end = record.len() + self.bytes;
            record.extend_from_slice(&word.to_le_bytes());
            record.truncate(end);
            return;
        }
        push_varint(record, self.bytes as u64);
        values.for_each(|value| record.extend_from_slice(value.serial_bytes));
    }
}
