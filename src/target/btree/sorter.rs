//! Sorts the keys of an index: a run in memory, and where that grows too large, runs in a temporary file, which
//! are merged at the end.
//!
//! Keys that are equal stay in the order in which they came, which is that of the rowids or primary keys that
//! stand behind them: so the order is one, whatever was put into files when. Where an index has primary keys in
//! another order than the table, they are compared, too.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rayon::ThreadPool;

use super::arena::Arena;
use super::record::{Encoded, header_bytes, push_varint};
use super::runs::{KeyRef, Runs};
use super::sorting::{Entry, Sorting};

/// Keys beyond this many lie in a block of `MAPPED` bytes or more, which the allocator maps for itself, grows where
/// it is and gives back; of what is not used of it nothing is taken. Growing by copies would leave holes as large
/// as the keys.
const SMALL_KEYS: usize = 1 << 16;
const MAPPED: usize = 32 << 20;

/// Not more threads merge runs at once: one that writes takes what they give.
const MERGING_MAX: usize = 3;

/// Threads that sort; `None` where there is one core, or no thread to be had.
pub type Pool = Option<Arc<ThreadPool>>;

/// A pool of as many threads as there are cores.
pub fn pool() -> Pool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(cores)
        .thread_name(|_| "sort".to_owned());
    (cores > 1)
        .then(|| pool.build().ok())
        .flatten()
        .map(Arc::new)
}

/// Memory for keys. What was used of it once is kept until it is trimmed.
#[derive(Debug, Default)]
pub struct Memory {
    entries: Vec<Entry>,
    /// So many entries were in use since it was last trimmed; what the vector has beyond takes none.
    entries_used: usize,
    arena: Arena,
}

/// Keys of one index.
#[derive(Debug)]
pub struct Sorter {
    sorting: Sorting,
    memory: Memory,
    is_sorted: bool,
    runs: Runs,
    pool: Pool,
}

/// Two keys of a unique index are equal.
#[derive(Debug)]
pub enum Stop {
    /// They are.
    Twice,
    /// A file failed.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Sorter {
    /// Nothing yet. Runs go to a file without a name in `folder`.
    pub fn new(sorting: Sorting, folder: &Path, pool: Pool, memory: Memory) -> Self {
        Self {
            sorting,
            memory,
            is_sorted: true,
            runs: Runs::new(folder),
            pool,
        }
    }

    /// Bytes of memory that its keys take.
    pub fn bytes(&self) -> usize {
        self.memory.arena.bytes() + self.memory.entries.len() * size_of::<Entry>()
    }

    /// Bytes of memory that it keeps for keys to come.
    pub fn spare_bytes(&self) -> usize {
        self.memory.spare_bytes()
    }

    /// Gives back what it keeps for keys to come. Of a vector in use that is nothing: the allocator would move it among
    /// smaller blocks.
    pub fn trim(&mut self) {
        self.memory.arena.trim();
        if self.memory.entries.is_empty() {
            self.memory = Memory::default();
        }
    }

    /// There are no more keys. Where some are in a file, the others go there as well, and the memory is given, for those
    /// of another index.
    pub fn end(&mut self) -> io::Result<Option<Memory>> {
        if self.runs.is_empty() {
            self.trim();
            return Ok(None);
        }
        self.spill()?;
        Ok(Some(std::mem::take(&mut self.memory)))
    }

    /// Adds a key, the record of these values.
    pub fn push<'v>(
        &mut self,
        values: impl Iterator<Item = Encoded<'v>> + Clone,
    ) -> io::Result<()> {
        let head = Head::of(values.clone());
        let bytes = head.bytes + head.body;
        if self.memory.arena.is_full(bytes) {
            self.spill()?;
        }
        let place = self.memory.arena.push(bytes, |record| {
            head.write(record, values.clone());
            let bodies = values.clone().map(|value| value.body);
            bodies.for_each(|body| record.extend_from_slice(body));
        });
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = bytes as u32;
        self.memory.make_room();
        self.memory.entries.push(Entry::new(place, length));
        if let Some(entry) = self.memory.entries.last_mut() {
            entry.set_prefix(0, values.map(Encoded::value), self.sorting.key());
        }
        self.is_sorted = false;
        Ok(())
    }

    /// Sorts what is in memory.
    pub fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        let Memory { entries, arena, .. } = &mut self.memory;
        let sorting = &self.sorting;
        match &self.pool {
            Some(pool) => pool.install(|| sorting.sort(entries, arena, true)),
            None => sorting.sort(entries, arena, false),
        }
        self.is_sorted = true;
    }

    /// Bytes of each record, in order; `None` where some are in a file.
    pub fn lengths(&mut self) -> Option<impl Iterator<Item = usize>> {
        self.sort();
        let lengths = self.memory.entries.iter().map(|entry| entry.length());
        self.runs.is_empty().then_some(lengths)
    }

    /// Puts what is in memory into a file. The memory is kept for keys to come.
    pub fn spill(&mut self) -> io::Result<()> {
        if self.memory.entries.is_empty() {
            return Ok(());
        }
        self.sort();
        let Memory { entries, arena, .. } = &self.memory;
        self.runs.write(entries.iter().map(|entry| KeyRef {
            prefix: entry.prefix(),
            record: entry.record(arena),
        }))?;
        self.memory.clear();
        Ok(())
    }

    /// Gives the records in order. Errors: `Twice` at the second of two equal keys of a unique index.
    pub fn for_each(mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Stop> {
        self.sort();
        if !self.runs.is_empty() {
            self.end()?;
            let threads = self
                .pool
                .as_ref()
                .map_or(1, |pool| pool.current_num_threads());
            return self
                .runs
                .merge(&self.sorting, threads.min(MERGING_MAX), each);
        }
        let mut before: Option<Entry> = None;
        let Memory { entries, arena, .. } = &self.memory;
        for entry in entries {
            let record = entry.record(arena);
            if self.sorting.unique
                && let Some(before) = before.replace(*entry)
                && before.prefix().bytes == entry.prefix().bytes
            {
                let is_cut = before.prefix().is_cut || entry.prefix().is_cut;
                let record_before = before.record(arena);
                if self.sorting.are_equal(is_cut, record_before, record) {
                    return Err(Stop::Twice);
                }
            }
            each(record)?;
        }
        Ok(())
    }
}

impl Memory {
    fn spare_bytes(&self) -> usize {
        let entries = self.entries_used.saturating_sub(self.entries.len());
        self.arena.spare_bytes() + entries * size_of::<Entry>()
    }

    /// Forgets all keys.
    fn clear(&mut self) {
        self.entries_used = self.entries_used.max(self.entries.len());
        self.entries.clear();
        self.arena.clear();
    }

    /// Makes room for one key more.
    fn make_room(&mut self) {
        let keys = self.entries.len();
        if keys == self.entries.capacity() && keys >= SMALL_KEYS {
            self.entries.reserve(MAPPED / size_of::<Entry>());
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fit::Affinity;
    use crate::model::row::Collation;
    use crate::model::text::TextEncoding;
    use crate::model::value::Value;
    use crate::target::btree::key::{KeyOrder, compare, has_null};
    use crate::target::btree::record::{RecordBuilder, locate};

    fn sorting(unique: bool) -> Sorting {
        let order = KeyOrder {
            collation: Collation::Nocase,
            descending: false,
        };
        Sorting {
            order: vec![order],
            key_columns: 1,
            unique,
            encoding: TextEncoding::Utf8,
        }
    }

    /// A key and the rowid behind it.
    fn record(key: &Value, rowid: i64) -> Vec<u8> {
        let mut builder = RecordBuilder::default();
        builder.push(&key.as_ref(), Affinity::None);
        builder.push_integer(rowid);
        let mut record = Vec::new();
        builder.write(&mut record);
        record
    }

    fn push(sorter: &mut Sorter, record: &[u8]) {
        let mut places = Vec::new();
        locate(record, usize::MAX, &mut places);
        let parts = places.iter().map(|place| place.of(record));
        sorter.push(parts).unwrap();
    }

    fn key() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            (0..30_i64).prop_map(Value::Integer),
            "[abAB]{0,3}".prop_map(|text| Value::Text(text.into_bytes())),
            // Longer than a prefix.
            "(long, and longer than a prefix )?[abAB]{0,2}"
                .prop_map(|text| Value::Text(text.into_bytes())),
        ]
    }

    proptest! {
        /// Whatever went to a file when, keys come in their order, equal ones as they came; of a unique index no two.
        #[test]
        fn keys_come_in_order_from_memory_and_from_runs(
            keys in prop::collection::vec((key(), prop::bool::weighted(0.1)), 0..120),
            unique: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(sorting(unique), folder.path(), pool(), Memory::default());
            let mut records = Vec::new();
            for (rowid, (key, spills)) in (1..).zip(&keys) {
                let record = record(key, rowid);
                push(&mut sorter, &record);
                if *spills {
                    sorter.spill().unwrap();
                }
                records.push(record);
            }
            let order = sorting(unique).order;
            let compared = |a: &[u8], b: &[u8]| compare(a, b, &order, TextEncoding::Utf8);
            records.sort_by(|a, b| compared(a, b));
            let is_twice = |pair: &[Vec<u8>]| compared(&pair[0], &pair[1]).is_eq() && !has_null(&pair[0], 1);
            let twice = unique && records.windows(2).any(is_twice);
            let mut given = Vec::new();
            let done = sorter.for_each(|record| {
                given.push(record.to_vec());
                Ok(())
            });
            prop_assert_eq!(matches!(done, Err(Stop::Twice)), twice);
            if !twice {
                prop_assert!(done.is_ok());
                prop_assert_eq!(given, records);
            }
        }
    }

    #[test]
    fn who_wants_no_more_keys_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        for spills in [false, true] {
            let mut sorter = Sorter::new(sorting(false), folder.path(), pool(), Memory::default());
            for rowid in 0..60_000 {
                push(&mut sorter, &record(&Value::Integer(rowid % 100), rowid));
                if spills && rowid % 20_000 == 0 {
                    sorter.spill().unwrap();
                }
            }
            let mut given = 0;
            let done = sorter.for_each(|_| {
                given += 1;
                match given {
                    ..10 => Ok(()),
                    _ => Err(io::ErrorKind::Interrupted.into()),
                }
            });
            let Err(Stop::Io(error)) = done else {
                panic!("{done:?}");
            };
            assert_eq!((error.kind(), given), (io::ErrorKind::Interrupted, 10));
        }
    }
}
