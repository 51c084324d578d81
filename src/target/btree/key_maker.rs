//! Makes the keys of indexes, in threads of their own, of the records that the other side writes into tables. Each thread has
//! some of the indexes, and goes through the records at its own pace.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::batch::Batch;
use super::builder::{LargeRecord, Plan};
use super::keys::Keys;
use super::sorter::Sorter;

/// Of each index of a table its keys; `None`: it is left out.
pub type Made = Vec<Option<Sorter>>;

/// Not more threads than these make keys.
const THREADS_MAX: usize = 4;

/// Of each table of a plan the indexes, by their places there, that one thread has.
type Share = Vec<Vec<usize>>;

/// Divides the indexes of tables, which have so many each, among so many threads: those of one table as evenly as can be.
fn shares(indexes: &[usize], threads: usize) -> Vec<Share> {
    let mut shares = vec![vec![Vec::new(); indexes.len()]; threads];
    let mut turn = (0..threads).cycle();
    for (table, count) in indexes.iter().enumerate() {
        for (index, thread) in (0..*count).zip(&mut turn) {
            shares[thread][table].push(index);
        }
    }
    shares
}

/// Records of tables that have indexes.
#[derive(Debug, Clone)]
pub enum KeyMessage {
    /// Whole ones.
    Records(Arc<Batch>),
    /// One with large values.
    Large(Arc<LargeRecord>),
    /// The next table begins.
    EndOfTable,
}

/// How much memory keys may take that are waiting to be written, besides those being made.
#[derive(Debug, Clone)]
pub struct KeyBudget {
    bytes: usize,
    handed: Arc<AtomicUsize>,
}

impl KeyBudget {
    fn of(bytes: usize) -> Self {
        Self {
            bytes,
            handed: Arc::default(),
        }
    }

    /// What keys may take that are being made by one of so many threads: an eighth at least, and with the others not more
    /// than all.
    fn left(&self, threads: usize) -> usize {
        let eighth = self.bytes / 8;
        let left = (self.bytes - eighth).saturating_sub(self.handed.load(Relaxed));
        left.max(eighth) / threads.max(1)
    }

    /// Keys are written.
    pub fn give_back(&self, bytes: usize) {
        self.handed.fetch_sub(bytes, Relaxed);
    }
}

/// A thread that makes keys.
#[derive(Debug)]
struct Maker {
    share: Share,
    sender: SyncSender<KeyMessage>,
    thread: JoinHandle<io::Result<()>>,
}

/// The threads that make keys.
#[derive(Debug)]
pub struct KeyMaker {
    makers: Vec<Maker>,
}

/// What they made.
#[derive(Debug)]
pub struct MadeKeys {
    makers: Vec<(Share, Receiver<Made>)>,
}

impl MadeKeys {
    /// The keys of a table, to be asked for in the order of the tables. `None`: they ended before they had them.
    pub fn of_table(&self, table: usize, indexes: usize) -> Option<Made> {
        let mut all: Made = (0..indexes).map(|_| None).collect();
        for (share, made) in &self.makers {
            let its = share.get(table).filter(|its| !its.is_empty());
            let Some(its) = its else { continue };
            for (index, keys) in its.iter().zip(made.recv().ok()?) {
                all[*index] = keys;
            }
        }
        Some(all)
    }
}

impl KeyMaker {
    /// Begins with the first table of the plan that has indexes. So many messages may wait for each thread.
    pub fn start(plan: &Arc<Plan>, waiting: usize) -> io::Result<(Self, MadeKeys, KeyBudget)> {
        let cores = plan
            .pool
            .as_ref()
            .map_or(1, |pool| pool.current_num_threads());
        let indexes = plan.tables.iter().map(|table| table.indexes.len());
        let indexes: Vec<usize> = indexes.collect();
        let most = indexes.iter().copied().max().unwrap_or(0);
        let threads = cores.min(THREADS_MAX).min(most).max(1);
        let budget = KeyBudget::of(plan.sort_bytes);
        let (mut makers, mut all_made) = (Vec::new(), Vec::new());
        for share in shares(&indexes, threads) {
            let (sender, messages) = sync_channel(waiting);
            let (made, receiver) = channel();
            let (plan, budget, its_share) = (plan.clone(), budget.clone(), share.clone());
            let thread = std::thread::Builder::new()
                .name("keys".to_owned())
                .spawn(move || work(&plan, (&its_share, threads), &messages, &made, &budget))?;
            all_made.push((share.clone(), receiver));
            makers.push(Maker {
                share,
                sender,
                thread,
            });
        }
        Ok((Self { makers }, MadeKeys { makers: all_made }, budget))
    }

    /// Hands over what comes of a table. `false`: one has ended; [`KeyMaker::finish`] tells why.
    pub fn send(&self, table: usize, message: &KeyMessage) -> bool {
        self.makers
            .iter()
            .filter(|maker| maker.share.get(table).is_some_and(|its| !its.is_empty()))
            .all(|maker| maker.sender.send(message.clone()).is_ok())
    }

    /// Waits for their end.
    pub fn finish(self) -> io::Result<()> {
        let (senders, threads): (Vec<_>, Vec<_>) = self
            .makers
            .into_iter()
            .map(|maker| (maker.sender, maker.thread))
            .unzip();
        drop(senders);
        let mut done = Ok(());
        for thread in threads {
            match thread.join() {
                Ok(its) => done = done.and(its),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    }
}

fn work(
    plan: &Plan,
    (share, threads): (&Share, usize),
    messages: &Receiver<KeyMessage>,
    made: &Sender<Made>,
    budget: &KeyBudget,
) -> io::Result<()> {
    let mut spare = Vec::new();
    for (shape, its) in plan.tables.iter().zip(share) {
        if its.is_empty() {
            continue;
        }
        let beside = threads.min(shape.indexes.len());
        let mut keys = Keys::of(shape, its, plan, spare);
        loop {
            match messages.recv() {
                Ok(KeyMessage::Records(batch)) => keys.take_all(shape, &batch)?,
                Ok(KeyMessage::Large(large)) => {
                    keys.take(shape, large.rowid, &large.small, &large.large)?;
                }
                Ok(KeyMessage::EndOfTable) => break,
                // The records ended before their time.
                Err(_) => return Ok(()),
            }
            keys.spill(budget.left(beside))?;
        }
        let sorters;
        (sorters, spare) = keys.end()?;
        budget.handed.fetch_add(bytes_of(&sorters), Relaxed);
        if made.send(sorters).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Bytes of memory that they take.
pub fn bytes_of(sorters: &[Option<Sorter>]) -> usize {
    sorters.iter().flatten().map(Sorter::held_bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_on_one_thread_and_those_of_a_table_on_several() {
        let indexes = [2, 0, 1, 5, 3];
        for threads in 1..5 {
            let shares = shares(&indexes, threads);
            for (table, count) in indexes.iter().enumerate() {
                let its = |share: &Share| share[table].clone();
                let mut all: Vec<usize> = shares.iter().flat_map(its).collect();
                all.sort_unstable();
                assert_eq!(all, (0..*count).collect::<Vec<_>>());
                let most = shares.iter().map(|share| share[table].len()).max();
                assert_eq!(most, Some(count.div_ceil(threads)));
            }
        }
    }
}
