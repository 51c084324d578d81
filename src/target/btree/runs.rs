//! Sorted runs of keys in a temporary file, and several of them read as one: on a thread of their own, so that
//! what is made of the keys is made meanwhile.
//!
//! All runs lie in one file, one behind the other: a large database has more of them than a process may open files.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::sorter::{Sorting, Stop};

/// Buffers of all runs that are read again.
const READ_BYTES: usize = 8 << 20;

/// Buffer of one of them.
const RUN_BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;

/// Of each key in a run the prefix, a flag, the length of the record; the record follows.
const HEAD_BYTES: usize = 24 + 1 + 4;

/// Bytes of merged records that are handed over at once, and how many of these may wait.
const BATCH_BYTES: usize = 128 << 10;
const WAITING: usize = 4;

/// A key on its way into a run.
pub struct KeyRef<'k> {
    /// Its normalised prefix.
    pub prefix: [u64; 3],
    /// The prefix does not say all of it.
    pub is_cut: bool,
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

/// Where a sorted run begins in the file, and its keys.
#[derive(Debug)]
struct Run {
    start: u64,
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
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.folder)?,
        };
        let start = file.stream_position()?;
        let mut count = 0;
        let mut out = BufWriter::with_capacity(1 << 18, &mut file);
        for key in keys {
            let mut head = [0; HEAD_BYTES];
            for (place, number) in head.as_chunks_mut::<8>().0.iter_mut().zip(key.prefix) {
                *place = number.to_le_bytes();
            }
            head[24] = u8::from(key.is_cut);
            #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
            head[25..].copy_from_slice(&(key.record.len() as u32).to_le_bytes());
            out.write_all(&head)?;
            out.write_all(key.record)?;
            count += 1;
        }
        out.flush()?;
        drop(out);
        self.file = Some(file);
        self.runs.push(Run { start, keys: count });
        Ok(())
    }

    /// Gives the records of all runs in order, those with equal keys in the order of their runs. Errors: `Twice` at
    /// the second of two equal keys of a unique index.
    pub fn merge(
        &self,
        sorting: &Sorting,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        thread::scope(|scope| {
            let (sender, batches) = sync_channel::<Vec<u8>>(WAITING);
            let merging = thread::Builder::new()
                .name("merge".to_owned())
                .spawn_scoped(scope, move || {
                    Merge::of(file, &self.runs, sorting)?.run(&sender)
                })?;
            let given = batches.iter().try_for_each(|batch| give(&batch, &mut each));
            // Where it has not ended yet, it ends now.
            drop(batches);
            match merging.join() {
                Ok(merged) => given.map_err(Stop::Io).and(merged),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Gives the records of a batch, each of which stands behind its length.
fn give(batch: &[u8], each: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut left = batch;
    while let Some((length, rest)) = left.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (record, rest) = rest
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        each(record)?;
        left = rest;
    }
    Ok(())
}

/// Runs on their way into one.
struct Merge<'f> {
    sorting: &'f Sorting,
    runs: Vec<RunReader<'f>>,
    waiting: BinaryHeap<Reverse<Waiting<'f>>>,
}

impl<'f> Merge<'f> {
    fn of(file: &'f File, runs: &[Run], sorting: &'f Sorting) -> io::Result<Self> {
        let buffer = (READ_BYTES / runs.len().max(1)).clamp(*RUN_BYTES.start(), *RUN_BYTES.end());
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
        let mut runs: Vec<RunReader<'_>> = runs.iter().map(reader).collect();
        let mut waiting = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            let mut head = Head::default();
            if run.next(&mut head)? {
                waiting.push(Reverse(Waiting {
                    head,
                    run: number,
                    sorting,
                }));
            }
        }
        Ok(Self {
            sorting,
            runs,
            waiting,
        })
    }

    /// Sends the records in batches, until all are sent or nobody wants them.
    fn run(mut self, batches: &SyncSender<Vec<u8>>) -> Result<(), Stop> {
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        let mut before: Option<Head> = None;
        while let Some(mut first) = self.waiting.peek_mut() {
            let head = &first.0.head;
            if self.sorting.unique
                && let Some(before) = &before
                && before.prefix == head.prefix
            {
                let is_cut = before.is_cut || head.is_cut;
                if self.sorting.are_equal(is_cut, &before.record, &head.record) {
                    return Err(Stop::Twice);
                }
            }
            #[expect(clippy::cast_possible_truncation, reason = "it was read with 4 bytes")]
            batch.extend_from_slice(&(head.record.len() as u32).to_le_bytes());
            batch.extend_from_slice(&head.record);
            if batch.len() >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_BYTES));
                if batches.send(full).is_err() {
                    return Ok(());
                }
            }
            // The next key of its run takes its place, in the buffer of the one before.
            let mut next = before.take().unwrap_or_default();
            let run = first.0.run;
            if self.runs[run].next(&mut next)? {
                std::mem::swap(&mut first.0.head, &mut next);
                before = Some(next);
            } else {
                before = Some(PeekMut::pop(first).0.head);
            }
        }
        // Nobody wants the rest: it is known there why.
        let _ = batches.send(batch);
        Ok(())
    }
}

/// Reads a run.
#[derive(Debug)]
struct RunReader<'f> {
    file: BufReader<FileFrom<'f>>,
    left: u64,
}

impl RunReader<'_> {
    /// Reads the next key into `head`; false if there is none.
    fn next(&mut self, head: &mut Head) -> io::Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        let mut bytes = [0; HEAD_BYTES];
        self.file.read_exact(&mut bytes)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        for (part, number) in head.prefix.iter_mut().zip(numbers) {
            *part = u64::from_le_bytes(*number);
        }
        let &[flag, ref length @ ..] = rest else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        head.is_cut = flag == 1;
        let length = length.try_into().map_or(0, u32::from_le_bytes);
        head.record.resize(length as usize, 0);
        self.file.read_exact(&mut head.record)?;
        Ok(true)
    }
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
#[derive(Debug, Default)]
struct Head {
    prefix: [u64; 3],
    is_cut: bool,
    record: Vec<u8>,
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
