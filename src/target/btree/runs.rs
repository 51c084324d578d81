//! Sorted runs of keys in a temporary file, and their way back out of it.
//!
//! All runs lie in one file, one behind the other: a large database has more of them than a process may open files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::key::Prefix;
use super::merge::merge;
use super::run_key::{KeyRef, push_key};
use super::run_reader::RunReader;
use super::sorting::{Sorting, Stop};

/// Buffers of all runs that are read again.
const READ_BYTES: usize = 8 << 20;

/// Buffer of one of them.
const RUN_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes of a run between two marks, and marks of all runs in a part that is merged by itself: 2 MiB. In tests there are
/// parts of few keys.
const MARK_BYTES: u64 = if cfg!(test) { 64 } else { 64 << 10 };
const PART_MARKS: usize = if cfg!(test) { 4 } else { 32 };

/// Of more runs than these all are merged as one: parts would read too much twice.
const PARTED_RUNS_MAX: usize = 64;

/// Sorted runs of one index.
#[derive(Debug, Default)]
pub struct Runs {
    file: Option<File>,
    runs: Vec<Run>,
    folder: PathBuf,
}

/// Where a sorted run lies in the file.
#[derive(Debug, Default)]
struct Run {
    end: u64,
    /// Places where it can be read from, the first key among them.
    marks: Vec<Mark>,
}

/// A key in a run.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: u64,
    prefix: [u64; 3],
    /// The prefix of the key before it.
    before: [u64; 3],
}

/// Keys from a prefix on, before another one.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    from: Option<[u64; 3]>,
    until: Option<[u64; 3]>,
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

    /// Writes a run of keys that come in order.
    pub fn write<'k>(&mut self, keys: impl Iterator<Item = KeyRef<'k>>) -> io::Result<()> {
        let mut run = Run::default();
        run.end = self.runs.last().map_or(0, |run| run.end);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let mut out = Vec::with_capacity(WRITE_BYTES + (4 << 10));
        let mut before = Prefix::default();
        let mut next_mark = 0;
        for key in keys {
            let at = run.end + out.len() as u64;
            if at >= next_mark {
                next_mark = at + MARK_BYTES;
                run.marks.push(Mark {
                    at,
                    prefix: key.prefix.bytes,
                    before: before.bytes,
                });
            }
            push_key(&mut out, &before, &key);
            before = key.prefix;
            if out.len() >= WRITE_BYTES {
                file.write_all_at(&out, run.end)?;
                run.end += out.len() as u64;
                out.clear();
            }
        }
        file.write_all_at(&out, run.end)?;
        run.end += out.len() as u64;
        self.runs.push(run);
        Ok(())
    }

    /// Gives the records of all runs in order, those with equal keys in the order of their runs; on so many threads, besides
    /// that which takes them. Errors: `Twice` at the second of two equal keys of a unique index.
    pub fn merge(
        &self,
        sorting: &Sorting,
        threads: usize,
        each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let parts = match threads > 1 && self.runs.len() <= PARTED_RUNS_MAX {
            true => self.parts(),
            false => vec![Part::ALL],
        };
        let threads = threads.min(parts.len());
        let buffer = READ_BYTES / (self.runs.len() * threads).max(1);
        let buffer = buffer.clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
        let open = |part: &Part| {
            let readers = self.runs.iter().map(|run| run.reader(file, *part, buffer));
            readers.collect::<io::Result<Vec<_>>>()
        };
        merge(&parts, threads, open, sorting, each)
    }

    /// Parts that can be merged each by itself, in their order: keys with one prefix are all in one.
    fn parts(&self) -> Vec<Part> {
        let marks = self.runs.iter().flat_map(|run| &run.marks);
        let mut prefixes: Vec<[u64; 3]> = marks.map(|mark| mark.prefix).collect();
        prefixes.sort_unstable();
        let borders = prefixes.into_iter().step_by(PART_MARKS).skip(1);
        let mut borders: Vec<[u64; 3]> = borders.collect();
        borders.dedup();
        let from = std::iter::once(None).chain(borders.iter().copied().map(Some));
        let until = borders.iter().copied().map(Some).chain([None]);
        let part = |(from, until)| Part { from, until };
        from.zip(until).map(part).collect()
    }
}

impl Part {
    const ALL: Self = Self {
        from: None,
        until: None,
    };
}

impl Run {
    /// At the first key of a part.
    fn reader<'f>(&self, file: &'f File, part: Part, buffer: usize) -> io::Result<RunReader<'f>> {
        let marks = &self.marks;
        // Keys with the prefix of a mark may lie before it.
        let first = part.from.map_or(0, |from| {
            let before = marks.partition_point(|mark| mark.prefix < from);
            before.saturating_sub(1)
        });
        let behind = part.until.and_then(|until| {
            let behind = marks.partition_point(|mark| mark.prefix < until);
            marks.get(behind)
        });
        let end = behind.map_or(self.end, |mark| mark.at);
        let (start, before) = marks
            .get(first)
            .map_or((end, [0; 3]), |mark| (mark.at, mark.before));
        RunReader::new(file, start..end, before, buffer)?.within(part.from, part.until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A word of a prefix: alike at its beginning or its end with many others, or not.
    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            Just(u64::MAX),
            0..4_u64,
            (0..4_u64).prop_map(|number| number << 40),
            any::<u64>()
        ]
    }

    proptest! {
        /// Read as a whole or part by part, a run gives every key once, in order, with its prefix.
        #[test]
        fn a_run_gives_what_was_written(
            keys in proptest::collection::vec(([word(), word(), word()], any::<bool>(), 0..200_usize), 1..80),
        ) {
            let mut keys = keys;
            keys.sort();
            let records: Vec<Vec<u8>> = (0_u8..).zip(&keys).map(|(n, key)| vec![n; key.2]).collect();
            let prefix = |key: &([u64; 3], bool, usize)| Prefix { bytes: key.0, is_cut: key.1 };
            let folder = tempfile::tempdir().unwrap();
            let mut runs = Runs::new(folder.path());
            runs.write(keys.iter().zip(&records).map(|(key, record)| KeyRef {
                prefix: prefix(key),
                record,
            }))
            .unwrap();
            let file = runs.file.as_ref().unwrap();
            for parts in [vec![Part::ALL], runs.parts()] {
                let mut read = Vec::new();
                for part in parts {
                    let mut reader = runs.runs[0].reader(file, part, 64).unwrap();
                    while !reader.is_at_end() {
                        read.push((*reader.prefix(), reader.record().to_vec()));
                        reader.advance().unwrap();
                    }
                }
                let wanted = keys.iter().map(prefix).zip(records.iter().cloned());
                prop_assert_eq!(read, wanted.collect::<Vec<_>>());
            }
        }
    }
}
