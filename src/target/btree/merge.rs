//! Several sorted runs read as one, on threads of their own, so that what is made of the keys is made meanwhile. Each thread
//! merges one part of the keys after the other, and keeps a little of what is not wanted yet.
//!
//! Which run comes next is found by a tree of losers (Knuth, The Art of Computer Programming, volume 3, section 5.4.1):
//! a run that moves on meets only those that it lost to or that lost to it, one a level.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::key::Prefix;
use super::run_reader::RunReader;
use super::sorting::{Sorting, Stop};

/// Bytes of merged records that are handed over at once, and how many of these may wait for each thread: about a part.
const BATCH_BYTES: usize = 128 << 10;
const WAITING: usize = 24;

/// What a thread that merges has to give.
#[derive(Debug)]
enum Given {
    /// Records, each behind its length.
    Records(Vec<u8>),
    /// There are no more in this part.
    EndOfPart,
}

/// Gives the records of parts in order, each of which `open` opens: the runs at its first keys. So many threads merge, each a
/// part at a time.
///
/// Errors: `Twice` at the second of two equal keys of a unique index.
pub fn merge<'f, P: Sync>(
    parts: &[P],
    threads: usize,
    open: impl Fn(&P) -> io::Result<Vec<RunReader<'f>>> + Sync,
    sorting: &'f Sorting,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Stop> {
    thread::scope(|scope| {
        let open = &open;
        let mut receivers = Vec::new();
        let mut merging = Vec::new();
        for first in 0..threads {
            let (sender, batches) = sync_channel(WAITING);
            receivers.push(batches);
            let its_parts = parts.iter().skip(first).step_by(threads);
            let work = move || merge_each(its_parts, open, sorting, &sender);
            let thread = thread::Builder::new().name("merge".to_owned());
            merging.push(thread.spawn_scoped(scope, work)?);
        }
        let mut in_turns = receivers.iter().cycle().take(parts.len());
        let given = in_turns.try_for_each(|batches| give_part(batches, &mut each));
        // Those that have not ended yet end now.
        drop(receivers);
        let mut merged = Ok(());
        for thread in merging {
            match thread.join() {
                Ok(its) => merged = merged.and(its),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        // Why one ended before its time comes first.
        merged.and(given.map_err(Stop::Io))
    })
}

fn merge_each<'p, 'f, P: 'p>(
    mut parts: impl Iterator<Item = &'p P>,
    open: impl Fn(&P) -> io::Result<Vec<RunReader<'f>>>,
    sorting: &'f Sorting,
    batches: &SyncSender<Given>,
) -> Result<(), Stop> {
    let mut wanted = true;
    parts.try_for_each(|part| {
        if wanted {
            wanted = Merge::of(open(part)?, sorting).run(batches)?;
        }
        Ok(())
    })
}

/// Gives the records of the part that a thread is at.
fn give_part(
    batches: &Receiver<Given>,
    each: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        match batches.recv() {
            Ok(Given::Records(batch)) => give(&batch, each)?,
            Ok(Given::EndOfPart) => return Ok(()),
            // It ended before its part did, and says why.
            Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Runs on their way into one.
#[derive(Debug)]
struct Merge<'f> {
    sorting: &'f Sorting,
    runs: Vec<RunReader<'f>>,
    /// Who lost at each node: node 1 is the top, the children of `n` are `2n` and `2n + 1`, and run `r` stands below
    /// them as node `runs + r`.
    losers: Vec<usize>,
    /// The run whose key comes next.
    first: usize,
}

impl<'f> Merge<'f> {
    /// Of these runs, each at its first key.
    fn of(runs: Vec<RunReader<'f>>, sorting: &'f Sorting) -> Self {
        let count = runs.len();
        let mut merge = Self {
            sorting,
            runs,
            losers: vec![0; count],
            first: 0,
        };
        let mut winners: Vec<usize> = vec![0; count];
        winners.extend(0..count);
        for node in (1..count).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if merge.precedes(a, b) { (a, b) } else { (b, a) };
            winners[node] = winner;
            merge.losers[node] = loser;
        }
        merge.first = winners.get(1).copied().unwrap_or(0);
        merge
    }

    /// True if the key of run `a` comes before that of run `b`.
    fn precedes(&self, a: usize, b: usize) -> bool {
        let (x, y) = (&self.runs[a], &self.runs[b]);
        if x.is_at_end() || y.is_at_end() {
            return y.is_at_end();
        }
        let (p, q) = (x.prefix(), y.prefix());
        p.bytes
            .cmp(&q.bytes)
            .then_with(|| {
                let is_cut = p.is_cut || q.is_cut;
                self.sorting.compare(is_cut, x.record(), y.record())
            })
            .then(a.cmp(&b))
            .is_lt()
    }

    /// The run that came first has moved on: finds the one that does now.
    fn replay(&mut self) {
        let mut winner = self.first;
        let mut node = (self.runs.len() + winner) / 2;
        while node > 0 {
            let other = self.losers[node];
            if self.precedes(other, winner) {
                self.losers[node] = winner;
                winner = other;
            }
            node /= 2;
        }
        self.first = winner;
    }

    /// Sends the records in batches, those with equal keys in the order of their runs, until all are sent or nobody wants
    /// them; `false` then. Errors: `Twice` at the second of two equal keys of a unique index.
    fn run(mut self, batches: &SyncSender<Given>) -> Result<bool, Stop> {
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        let mut before = None;
        let mut record_before = Vec::new();
        while let Some(run) = self.runs.get_mut(self.first).filter(|run| !run.is_at_end()) {
            let record = run.record();
            if self.sorting.unique {
                let mark = mark(run.prefix());
                if before.replace(mark) == Some(mark)
                    && self.sorting.are_equal(true, &record_before, record)
                {
                    return Err(Stop::Twice);
                }
                record_before.clear();
                record_before.extend_from_slice(record);
            }
            #[expect(clippy::cast_possible_truncation, reason = "a record lies in memory")]
            batch.extend_from_slice(&(record.len() as u32).to_le_bytes());
            batch.extend_from_slice(record);
            run.advance()?;
            self.replay();
            if batch.len() >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_BYTES));
                if batches.send(Given::Records(full)).is_err() {
                    return Ok(false);
                }
            }
        }
        let sent = batches.send(Given::Records(batch));
        Ok(sent.is_ok() && batches.send(Given::EndOfPart).is_ok())
    }
}

/// A number that is equal for equal prefixes. A prefix itself is not moved: it was just written in words, and is slow to
/// be moved as a whole then.
fn mark(prefix: &Prefix) -> u64 {
    let [a, b, c] = &prefix.bytes;
    a ^ b.rotate_left(21) ^ c.rotate_left(42)
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
