//! Builds the trees of a file on other threads, while here the next records are put together: one writes them
//! into tables, one makes the keys of indexes, one writes those (`trees`, `key_maker`, `indexes`).
//!
//! What is written depends on the records alone, not on how fast they come or on how much memory there is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::batch::{Batch, Spare, batches_in};
use super::file::PageFile;
use super::indexes::Indexes;
use super::key_maker::{KeyMaker, KeyMessage};
use super::record::RecordBuilder;
use super::shape::TableShape;
use super::sorting::Pool;
use super::trees::Work;
use crate::model::text::TextEncoding;
use crate::progress::StopSign;

/// Why a file cannot be built so.
#[derive(Debug)]
pub enum BuildError {
    /// Records are not as they must be: only SQLite itself can say what comes of them.
    Doubt {
        /// The table.
        table: String,
        /// What is wrong: `two rows have one key in its index i`.
        reason: String,
    },
    /// A file failed.
    Io(io::Error),
    /// The records ended before their time.
    Stopped,
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What was built.
#[derive(Debug, Default)]
pub struct Built {
    /// Indexes that are empty still, because a large value stands in a key.
    pub left_out: Vec<String>,
}

/// A record whose values do not all lie in memory.
#[derive(Debug)]
pub struct LargeRecord {
    /// Its rowid, if the table has such.
    pub rowid: i64,
    /// Bytes of the whole record.
    pub bytes: u64,
    /// The record with NULL in the place of each large value.
    pub small: Vec<u8>,
    /// The places of the large ones among its values.
    pub large: Vec<usize>,
}

/// What tables are made of.
#[derive(Debug)]
pub(super) enum Message {
    /// Whole records.
    Records(Arc<Batch>),
    /// A large one begins.
    Open(Arc<LargeRecord>),
    /// More of its bytes.
    Piece(Vec<u8>),
    /// It is whole.
    Close,
    /// The next table begins.
    EndOfTable,
    /// There are no more tables.
    End,
}

/// The side that hands records over.
#[derive(Debug)]
pub struct FileBuilder {
    /// The current table's place in the plan.
    table: usize,
    batch: Batch,
    spare: Spare,
    sender: SyncSender<Message>,
    thread: JoinHandle<Result<Built, BuildError>>,
    keys: KeyMaker,
}

/// What a builder works with.
#[derive(Debug)]
pub struct Plan {
    /// The tables, in the order in which their records come.
    pub tables: Vec<TableShape>,
    /// How texts are written.
    pub encoding: TextEncoding,
    /// A folder for temporary files.
    pub folder: PathBuf,
    /// Bytes that keys may take in memory while they are sorted.
    pub sort_bytes: usize,
    /// Threads that sort them.
    pub pool: Pool,
    /// Whether to go on, while indexes are written: nobody else is asked then.
    pub stop: StopSign,
}

impl FileBuilder {
    /// Begins, with the first table of the plan.
    pub fn start(file: PageFile, plan: Arc<Plan>) -> io::Result<Self> {
        let waiting = batches_in(plan.sort_bytes / 16).max(2);
        let (sender, messages) = sync_channel(waiting);
        let (key_maker, keys, budget) = KeyMaker::start(&plan, waiting)?;
        let its_plan = plan.clone();
        let thread = std::thread::Builder::new()
            .name("trees".to_owned())
            .spawn(move || {
                let work = Work {
                    file,
                    plan: &its_plan,
                    messages,
                    keys,
                    indexes: Indexes::new(its_plan.clone(), budget),
                };
                work.run()
            })?;
        let spare = Spare::default();
        Ok(Self {
            table: 0,
            batch: spare.batch(),
            spare,
            sender,
            thread,
            keys: key_maker,
        })
    }

    /// Hands over a record of the current table.
    ///
    /// Errors: `Stopped` if the builder has ended; [`FileBuilder::finish`] tells why.
    pub fn record(&mut self, rowid: i64, record: &RecordBuilder) -> Result<(), BuildError> {
        self.batch.push(rowid, record);
        match self.batch.is_full() {
            true => self.hand_over(),
            false => Ok(()),
        }
    }

    fn hand_over(&mut self) -> Result<(), BuildError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = Arc::new(std::mem::replace(&mut self.batch, self.spare.batch()));
        self.send_key(&KeyMessage::Records(batch.clone()))?;
        self.send(Message::Records(batch))
    }

    fn send(&self, message: Message) -> Result<(), BuildError> {
        let sent = self.sender.send(message);
        sent.map_err(|_| BuildError::Stopped)
    }

    /// Sends a message to those who make keys of the current table.
    fn send_key(&self, message: &KeyMessage) -> Result<(), BuildError> {
        match self.keys.send(self.table, message) {
            true => Ok(()),
            false => Err(BuildError::Stopped),
        }
    }

    /// Begins a large record; its bytes follow. Errors as [`FileBuilder::record`].
    pub fn open(&mut self, record: LargeRecord) -> Result<(), BuildError> {
        self.hand_over()?;
        let record = Arc::new(record);
        self.send_key(&KeyMessage::Large(record.clone()))?;
        self.send(Message::Open(record))
    }

    /// Bytes of the large record that was begun. Errors as [`FileBuilder::record`].
    pub fn piece(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        match bytes.is_empty() {
            true => Ok(()),
            false => self.send(Message::Piece(bytes.to_vec())),
        }
    }

    /// The large record is whole. Errors as [`FileBuilder::record`].
    pub fn close(&mut self) -> Result<(), BuildError> {
        self.send(Message::Close)
    }

    /// The current table has no more records: the next one begins. Errors as [`FileBuilder::record`].
    pub fn end_table(&mut self) -> Result<(), BuildError> {
        self.hand_over()?;
        self.send_key(&KeyMessage::EndOfTable)?;
        self.table += 1;
        self.send(Message::EndOfTable)
    }

    /// Waits for the file. Errors: `Stopped` if not every table was ended.
    pub fn finish(self) -> Result<Built, BuildError> {
        let Self {
            sender,
            thread,
            keys,
            ..
        } = self;
        // Where it has ended before, its own answer says why.
        let _ = sender.send(Message::End);
        drop(sender);
        let made = keys.finish();
        match (thread.join(), made) {
            (Ok(Err(BuildError::Stopped)), Err(error)) => Err(error.into()),
            (Ok(done), _) => done,
            (Err(panic), _) => std::panic::resume_unwind(panic),
        }
    }
}
