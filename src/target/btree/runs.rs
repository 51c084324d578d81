//! Sorted runs of keys in a temporary file, and their way back out of it.
//!
//! All runs lie in one file, one behind the other: a large database has more of them than a process may open files.
//! Of a key's prefix only what differs from the key before it is written: keys that follow each other in order begin
//! alike.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::key::{PREFIX_BYTES, Prefix, first_bytes, word};
use super::merge::Merge;
use super::record::{VARINT_BYTES_MAX, push_varint, read_varint};
use super::sorter::Stop;
use super::sorting::Sorting;

/// Buffers of all runs that are read again.
const READ_BYTES: usize = 8 << 20;

/// Buffer of one of them.
const RUN_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Of each key in a run: how many bytes its prefix shares with the one before, with `CUT` where it is cut; how many bytes
/// follow, behind which there are zeros only; the length of the record. Those bytes and the record follow.
const HEAD_BYTES_MAX: usize = 2 + VARINT_BYTES_MAX;
const CUT: u8 = 0x80;

/// A key on its way into a run.
pub struct KeyRef<'k> {
    /// Its normalised prefix.
    pub prefix: Prefix,
    /// The record.
    pub record: &'k [u8],
}

/// Sorted runs of one index.
#[derive(Debug)]
pub struct Runs {
    file: Option<File>,
    runs: Vec<Run>,
    folder: PathBuf,
}

/// Where a sorted run lies in the file, and its keys.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
    keys: u64,
}

impl Runs {
    /// None yet. They go to a file without a name in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            file: None,
            runs: Vec::new(),
            folder: folder.to_owned(),
        }
    }

    /// True before the first.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Writes a run of keys that come in order.
    pub fn write<'k>(&mut self, keys: impl Iterator<Item = KeyRef<'k>>) -> io::Result<()> {
        let start = self.runs.last().map_or(0, |run| run.end);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let mut out = Vec::with_capacity(WRITE_BYTES + (4 << 10));
        let (mut count, mut end) = (0, start);
        let mut before = Prefix::default();
        for key in keys {
            push_key(&mut out, &before, &key);
            before = key.prefix;
            count += 1;
            if out.len() >= WRITE_BYTES {
                file.write_all_at(&out, end)?;
                end += out.len() as u64;
                out.clear();
            }
        }
        file.write_all_at(&out, end)?;
        end += out.len() as u64;
        self.runs.push(Run {
            start,
            end,
            keys: count,
        });
        Ok(())
    }

    /// Gives the records of all runs in order, those with equal keys in the order of their runs. Errors: `Twice` at
    /// the second of two equal keys of a unique index.
    pub fn merge(
        &self,
        sorting: &Sorting,
        each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let buffer = READ_BYTES / self.runs.len().max(1);
        let buffer = buffer.clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
        let readers = self.runs.iter();
        let readers = readers.map(|run| RunReader::new(file, *run, buffer));
        Merge::of(readers.collect::<io::Result<_>>()?, sorting).give(each)
    }
}

/// Bytes that two prefixes have in common at their beginning.
fn shared(a: &[u64; 3], b: &[u64; 3]) -> usize {
    let differ = a.iter().zip(b).position(|(a, b)| a != b);
    differ.map_or(PREFIX_BYTES, |at| {
        8 * at + (a[at] ^ b[at]).leading_zeros() as usize / 8
    })
}

/// Bytes of a prefix without the zeros at its end.
fn without_zeros(prefix: &[u64; 3]) -> usize {
    let last = prefix.iter().rposition(|part| *part != 0);
    last.map_or(0, |at| {
        8 * (at + 1) - prefix[at].trailing_zeros() as usize / 8
    })
}

/// A prefix without so many of its first bytes: the others come first, and zeros behind them.
fn without_first(prefix: &[u64; 3], bytes: usize) -> [u64; 3] {
    let (words, bits) = (bytes / 8, bytes % 8 * 8);
    let word = |at: usize| prefix.get(at).copied().unwrap_or(0);
    let mut left = [0; 3];
    for (at, place) in left.iter_mut().enumerate() {
        let (first, next) = (word(at + words), word(at + words + 1));
        *place = first << bits | (next >> 1) >> (63 - bits);
    }
    left
}

/// The first `shared` bytes of a prefix, behind them the first `kept` of others, and zeros.
fn replaced(prefix: &[u64; 3], shared: usize, bytes: &[u8], kept: usize) -> [u64; 3] {
    let mut new = [0; 3];
    for (at, place) in new.iter_mut().enumerate() {
        let left = bytes.get(8 * at..).unwrap_or_default();
        *place = word(left) & first_bytes(kept.saturating_sub(8 * at));
    }
    let (words, bits) = (shared / 8, shared % 8 * 8);
    let mut replaced = [0; 3];
    for (at, place) in replaced.iter_mut().enumerate() {
        let new = |back: usize| at.checked_sub(back).map_or(0, |at| new[at]);
        *place = prefix[at] & first_bytes(shared.saturating_sub(8 * at))
            | new(words) >> bits
            | (new(words + 1) << 1) << (63 - bits);
    }
    replaced
}

#[expect(clippy::cast_possible_truncation, reason = "at most PREFIX_BYTES")]
fn push_key(out: &mut Vec<u8>, before: &Prefix, key: &KeyRef<'_>) {
    let from = shared(&before.bytes, &key.prefix.bytes);
    let kept = without_zeros(&key.prefix.bytes).saturating_sub(from);
    let cut = if key.prefix.is_cut { CUT } else { 0 };
    out.extend_from_slice(&[from as u8 | cut, kept as u8]);
    push_varint(out, key.record.len() as u64);
    let end = out.len() + kept;
    let rest = without_first(&key.prefix.bytes, from);
    out.extend_from_slice(rest.map(u64::to_be_bytes).as_flattened());
    out.truncate(end);
    out.extend_from_slice(key.record);
}

/// Reads a run, key by key.
#[derive(Debug)]
pub struct RunReader<'f> {
    file: &'f File,
    /// What of the run is not in the buffer yet.
    at: u64,
    end: u64,
    /// Keys behind this one.
    left: u64,
    buffer: Vec<u8>,
    /// How much of the buffer was read; the record of this key, and where the next key begins.
    filled: usize,
    record: std::ops::Range<usize>,
    prefix: Prefix,
    is_at_end: bool,
}

impl<'f> RunReader<'f> {
    /// At the first key, with a buffer of so many bytes, which grows where a record is longer.
    fn new(file: &'f File, run: Run, buffer: usize) -> io::Result<Self> {
        let mut reader = Self {
            file,
            at: run.start,
            end: run.end,
            left: run.keys,
            buffer: vec![0; buffer],
            filled: 0,
            record: 0..0,
            prefix: Prefix::default(),
            is_at_end: false,
        };
        reader.advance()?;
        Ok(reader)
    }

    /// True behind the last key.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// The prefix of the key at hand.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Its record.
    pub fn record(&self) -> &[u8] {
        &self.buffer[self.record.clone()]
    }

    /// Goes on to the next key.
    pub fn advance(&mut self) -> io::Result<()> {
        if self.left == 0 {
            self.is_at_end = true;
            return Ok(());
        }
        self.left -= 1;
        let mut from = self.record.end;
        if self.filled - from < HEAD_BYTES_MAX {
            self.fill(from, HEAD_BYTES_MAX)?;
            from = 0;
        }
        let head = &self.buffer[from..self.filled];
        let (&[flags, kept], rest) = head.split_first_chunk().ok_or_else(damaged)?;
        let (length, its_bytes) = read_varint(rest).ok_or_else(damaged)?;
        let (shared, kept) = (usize::from(flags & !CUT), usize::from(kept));
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let head = 2 + its_bytes;
        let bytes = length.checked_add(head + kept).ok_or_else(damaged)?;
        if self.filled - from < bytes {
            self.fill(from, bytes)?;
            from = 0;
        }
        if self.filled - from < bytes || shared + kept > PREFIX_BYTES {
            return Err(damaged());
        }
        let behind = self.buffer.get(from + head..).unwrap_or_default();
        self.prefix.bytes = replaced(&self.prefix.bytes, shared, behind, kept);
        self.prefix.is_cut = flags & CUT != 0;
        self.record = from + head + kept..from + bytes;
        Ok(())
    }

    /// Moves what stands from `from` on to the beginning of the buffer and reads more, so that so many bytes are there;
    /// fewer where the run ends.
    fn fill(&mut self, from: usize, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(from..self.filled, 0);
        self.filled -= from;
        let there = self.end - self.at;
        let lacking = bytes.saturating_sub(self.filled) as u64;
        if bytes > self.buffer.len() && lacking <= there {
            self.buffer.resize(bytes, 0);
        }
        let room = self.buffer.len() - self.filled;
        let count = usize::try_from(there).map_or(room, |there| there.min(room));
        let into = &mut self.buffer[self.filled..self.filled + count];
        self.file.read_exact_at(into, self.at)?;
        self.at += count as u64;
        self.filled += count;
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a temporary file of sorted keys has changed",
    )
}
