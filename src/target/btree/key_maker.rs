//! Makes the keys of indexes, in a thread of its own, of the records that the other side writes into tables.

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

/// Records of tables that have indexes.
#[derive(Debug)]
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

    /// What keys may take that are being made: an eighth at least, and with the others not more than all.
    fn left(&self) -> usize {
        let eighth = self.bytes / 8;
        let left = (self.bytes - eighth).saturating_sub(self.handed.load(Relaxed));
        left.max(eighth)
    }

    /// Keys are written.
    pub fn give_back(&self, bytes: usize) {
        self.handed.fetch_sub(bytes, Relaxed);
    }
}

/// The thread that makes keys.
#[derive(Debug)]
pub struct KeyMaker {
    sender: SyncSender<KeyMessage>,
    thread: JoinHandle<io::Result<()>>,
}

impl KeyMaker {
    /// Begins with the first table of the plan that has indexes. So many messages may wait.
    pub fn start(plan: Arc<Plan>, waiting: usize) -> io::Result<(Self, Receiver<Made>, KeyBudget)> {
        let (sender, messages) = sync_channel(waiting);
        let (made, receiver) = channel();
        let budget = KeyBudget::of(plan.sort_bytes);
        let its_budget = budget.clone();
        let thread = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || work(&plan, &messages, &made, &its_budget))?;
        Ok((Self { sender, thread }, receiver, budget))
    }

    /// Hands over a message. `false`: it has ended; [`KeyMaker::finish`] tells why.
    pub fn send(&self, message: KeyMessage) -> bool {
        self.sender.send(message).is_ok()
    }

    /// Waits for its end.
    pub fn finish(self) -> io::Result<()> {
        drop(self.sender);
        match self.thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn work(
    plan: &Plan,
    messages: &Receiver<KeyMessage>,
    made: &Sender<Made>,
    budget: &KeyBudget,
) -> io::Result<()> {
    let mut spare = Vec::new();
    for shape in plan.tables.iter().filter(|t| !t.indexes.is_empty()) {
        let mut keys = Keys::of(shape, &plan.folder, &plan.pool, spare);
        loop {
            match messages.recv() {
                Ok(KeyMessage::Records(batch)) => {
                    keys.take_all(shape, &batch)?;
                }
                Ok(KeyMessage::Large(large)) => {
                    keys.take(shape, large.rowid, &large.small, &large.large)?;
                }
                Ok(KeyMessage::EndOfTable) => break,
                // The records ended before their time.
                Err(_) => return Ok(()),
            }
            keys.spill(budget.left())?;
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
    let held = |sorter: &Sorter| sorter.bytes() + sorter.spare_bytes();
    sorters.iter().flatten().map(held).sum()
}
