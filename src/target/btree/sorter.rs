//! Sorts the keys of an index: a run in memory, and where that grows too large, runs in a temporary file, which
//! are merged at the end.
//!
//! Keys that are equal stay in the order in which they came, which is that of the rowids or primary keys that
//! stand behind them: so the order is one, whatever was put into files when. Where an index has primary keys in
//! another order than the table, they are compared, too.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::arena::{Arena, Place};
use super::key::{KeyOrder, Prefix, compare, has_null};
use super::record::{Encoded, header_bytes, push_varint};
use crate::model::text::TextEncoding;

/// Keys beyond this many lie in a block of `MAPPED` bytes or more, which the allocator maps for itself, grows where
/// it is and gives back; of what is not used of it nothing is taken. Growing by copies would leave holes as large
/// as the keys.
const SMALL_KEYS: usize = 1 << 16;
const MAPPED: usize = 32 << 20;

/// Buffers of all runs that are read again.
const READ_BYTES: usize = 8 << 20;

/// Buffer of one of them.
const RUN_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// A key in memory: where its record stands in the arena.
#[derive(Debug, Clone, Copy)]
struct Entry {
    prefix: [u64; 3],
    /// The place in the arena, and in the last bit whether the prefix is cut.
    at: u32,
    /// Bytes of the record.
    length: u32,
}

/// How keys of one index compare, and whether two may be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorting {
    /// Of each column of the key, and behind them of those that the row is found by, where rows whose keys are
    /// equal do not come in their order.
    pub order: Vec<KeyOrder>,
    /// Columns of the key.
    pub key_columns: usize,
    /// No two keys without a NULL are equal.
    pub unique: bool,
    /// How texts are written.
    pub encoding: TextEncoding,
}

/// Keys of one index.
#[derive(Debug)]
pub struct Sorter {
    sorting: Sorting,
    entries: Vec<Entry>,
    arena: Arena,
    is_sorted: bool,
    /// All runs, one behind the other: a large database has more of them than a process may open files.
    file: Option<File>,
    runs: Vec<Run>,
    folder: PathBuf,
}

/// Of each key in a run the prefix, a flag, the length of the record; the record follows.
const HEAD_BYTES: usize = 24 + 1 + 4;

/// Where a sorted run begins in the file, and its keys.
#[derive(Debug)]
struct Run {
    start: u64,
    keys: u64,
}

/// Reads a run.
#[derive(Debug)]
struct RunReader<'f> {
    file: BufReader<FileFrom<'f>>,
    left: u64,
}

/// Reads a file from an offset on.
#[derive(Debug)]
struct FileFrom<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FileFrom<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A key on its way out.
#[derive(Debug)]
struct Head {
    prefix: [u64; 3],
    is_cut: bool,
    record: Vec<u8>,
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
    pub fn new(sorting: Sorting, folder: &Path) -> Self {
        Self {
            sorting,
            entries: Vec::new(),
            arena: Arena::default(),
            is_sorted: true,
            file: None,
            runs: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    /// Bytes of memory that its keys take.
    pub fn bytes(&self) -> usize {
        // What a vector has beyond that was never touched, and takes none.
        self.arena.bytes() + self.entries.len() * size_of::<Entry>()
    }

    /// Adds a key, the record of these values.
    pub fn push<'v>(
        &mut self,
        prefix: Prefix,
        values: impl Iterator<Item = Encoded<'v>> + Clone,
    ) -> io::Result<()> {
        let (serials, body) = values.clone().fold((0, 0), |(serials, body), value| {
            (serials + value.serial_bytes.len(), body + value.body.len())
        });
        let header = header_bytes(serials);
        let bytes = header + body;
        if self.arena.is_full(bytes) {
            self.spill()?;
        }
        let at: Place = self.arena.push(bytes, |record| {
            push_varint(record, header as u64);
            for value in values.clone() {
                record.extend_from_slice(value.serial_bytes);
            }
            for value in values {
                record.extend_from_slice(value.body);
            }
        });
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = bytes as u32;
        self.make_room();
        self.entries.push(Entry {
            prefix: prefix.bytes,
            at: at << 1 | u32::from(prefix.is_cut),
            length,
        });
        self.is_sorted = false;
        Ok(())
    }

    /// Makes room for one key more.
    fn make_room(&mut self) {
        let keys = self.entries.len();
        if keys == self.entries.capacity() && keys >= SMALL_KEYS {
            self.entries.reserve(MAPPED / size_of::<Entry>());
        }
    }

    /// Sorts what is in memory.
    pub fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        let (arena, sorting) = (&self.arena, &self.sorting);
        self.entries.sort_unstable_by(|a, b| {
            let by_prefix = a.prefix.cmp(&b.prefix);
            if by_prefix != Ordering::Equal {
                return by_prefix;
            }
            let is_cut = (a.at | b.at) & 1 == 1;
            let by_key = sorting.compare(is_cut, a.record(arena), b.record(arena));
            by_key.then(a.at.cmp(&b.at))
        });
        self.is_sorted = true;
    }

    /// Bytes of each record, in order; `None` where some are in a file.
    pub fn lengths(&mut self) -> Option<impl Iterator<Item = usize>> {
        self.sort();
        let lengths = self.entries.iter().map(|entry| entry.length as usize);
        self.runs.is_empty().then_some(lengths)
    }

    /// Puts what is in memory into a file.
    pub fn spill(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.sort();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.folder)?,
        };
        let start = file.stream_position()?;
        let mut out = BufWriter::with_capacity(1 << 18, &mut file);
        for entry in &self.entries {
            let record = entry.record(&self.arena);
            let mut head = [0; HEAD_BYTES];
            for (place, number) in head.as_chunks_mut::<8>().0.iter_mut().zip(entry.prefix) {
                *place = number.to_le_bytes();
            }
            head[24] = u8::from(entry.at & 1 == 1);
            head[25..].copy_from_slice(&entry.length.to_le_bytes());
            out.write_all(&head)?;
            out.write_all(record)?;
        }
        out.flush()?;
        drop(out);
        self.file = Some(file);
        self.runs.push(Run {
            start,
            keys: self.entries.len() as u64,
        });
        self.entries = Vec::new();
        self.arena = Arena::default();
        Ok(())
    }

    /// Gives the records in order. Errors: `Twice` at the second of two equal keys of a unique index.
    pub fn for_each(mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Stop> {
        self.sort();
        if !self.runs.is_empty() {
            return self.merge(each);
        }
        let mut before: Option<Entry> = None;
        for entry in &self.entries {
            let record = entry.record(&self.arena);
            if let Some(before) = before.filter(|b| self.sorting.unique && b.prefix == entry.prefix)
            {
                let is_cut = (before.at | entry.at) & 1 == 1;
                let record_before = before.record(&self.arena);
                if self.sorting.are_equal(is_cut, record_before, record) {
                    return Err(Stop::Twice);
                }
            }
            each(record)?;
            before = Some(*entry);
        }
        Ok(())
    }

    fn merge(mut self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Stop> {
        self.spill()?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        let (sorting, count) = (&self.sorting, self.runs.len().max(1));
        let buffer = (READ_BYTES / count).clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
        let reader = |run: &Run| RunReader {
            file: BufReader::with_capacity(
                buffer,
                FileFrom {
                    file,
                    at: run.start,
                },
            ),
            left: run.keys,
        };
        let mut runs: Vec<RunReader<'_>> = self.runs.iter().map(reader).collect();
        let mut heap = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(head) = run.next(Vec::new())? {
                heap.push(Reverse(Waiting {
                    head,
                    run: number,
                    sorting,
                }));
            }
        }
        let mut before: Option<Head> = None;
        while let Some(Reverse(Waiting { head, run, .. })) = heap.pop() {
            if let Some(before) = &before
                && sorting.unique
                && before.prefix == head.prefix
            {
                let is_cut = before.is_cut || head.is_cut;
                if sorting.are_equal(is_cut, &before.record, &head.record) {
                    return Err(Stop::Twice);
                }
            }
            each(&head.record)?;
            let buffer = before.take().map_or_else(Vec::new, |before| before.record);
            if let Some(next) = runs[run].next(buffer)? {
                heap.push(Reverse(Waiting {
                    head: next,
                    run,
                    sorting,
                }));
            }
            before = Some(head);
        }
        Ok(())
    }
}

impl Sorting {
    /// How the columns of the key compare.
    pub fn key(&self) -> &[KeyOrder] {
        self.order.get(..self.key_columns).unwrap_or(&self.order)
    }

    /// Compares two records whose keys have the same prefix.
    fn compare(&self, is_cut: bool, a: &[u8], b: &[u8]) -> Ordering {
        match is_cut || self.order.len() > self.key_columns {
            true => compare(a, b, &self.order, self.encoding),
            false => Ordering::Equal,
        }
    }

    /// True if two keys with the same prefix are equal, and both without NULL.
    fn are_equal(&self, is_cut: bool, a: &[u8], b: &[u8]) -> bool {
        let equal = !is_cut || compare(a, b, self.key(), self.encoding) == Ordering::Equal;
        equal && !has_null(a, self.key_columns)
    }
}

impl Entry {
    fn record(self, arena: &Arena) -> &[u8] {
        arena.get(self.at >> 1, self.length)
    }
}

impl RunReader<'_> {
    /// The next key, its record in a buffer that is needed no more.
    fn next(&mut self, mut record: Vec<u8>) -> io::Result<Option<Head>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut head = [0; HEAD_BYTES];
        self.file.read_exact(&mut head)?;
        let (numbers, rest) = head.as_chunks::<8>();
        let mut prefix = [0; 3];
        for (part, number) in prefix.iter_mut().zip(numbers) {
            *part = u64::from_le_bytes(*number);
        }
        let &[flag, ref length @ ..] = rest else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let length = length.try_into().map_or(0, u32::from_le_bytes);
        record.resize(length as usize, 0);
        self.file.read_exact(&mut record)?;
        Ok(Some(Head {
            prefix,
            is_cut: flag == 1,
            record,
        }))
    }
}

/// The first key of a run that was not given yet.
#[derive(Debug)]
struct Waiting<'s> {
    head: Head,
    run: usize,
    sorting: &'s Sorting,
}

impl Ord for Waiting<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.head, &other.head);
        a.prefix
            .cmp(&b.prefix)
            .then_with(|| {
                let is_cut = a.is_cut || b.is_cut;
                self.sorting.compare(is_cut, &a.record, &b.record)
            })
            .then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Waiting<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting<'_> {}
