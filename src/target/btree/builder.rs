//! Builds the trees of a file in a thread of its own: records come in batches, table after table, and each
//! table's indexes follow it. To put the records together, on the other side, takes about as long.
//!
//! What is written depends on the records alone, not on how fast they come or on how much memory there is.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::file::PageFile;
use super::geometry::Tree;
use super::index_tree::IndexTree;
use super::key::{Prefix, compare, prefix};
use super::keys::Keys;
use super::payload::OpenCell;
use super::record::{RecordBuilder, RecordReader, decoded};
use super::shape::TableShape;
use super::sorter::{Sorter, Stop};
use super::table_tree::{Refused, TableTree};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::progress::StopSign;

/// Bytes of records that are handed over at once.
const BATCH_BYTES: usize = 256 << 10;

/// Keys of so many bytes are sorted on several cores.
const PARALLEL_FROM_BYTES: usize = 1 << 20;

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

#[derive(Debug)]
enum Message {
    /// Of each record the rowid, the length and the bytes.
    Records(Vec<u8>),
    Open(LargeRecord),
    Piece(Vec<u8>),
    Close,
    EndOfTable,
    End,
}

/// The side that hands records over.
#[derive(Debug)]
pub struct FileBuilder {
    sender: SyncSender<Message>,
    thread: JoinHandle<Result<Built, BuildError>>,
    batch: Vec<u8>,
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
    /// Whether to go on, while indexes are written: nobody else is asked then.
    pub stop: StopSign,
}

impl FileBuilder {
    /// Begins, with the first table of the plan.
    pub fn start(file: PageFile, plan: Arc<Plan>) -> io::Result<Self> {
        let waiting = (plan.sort_bytes / 4 / BATCH_BYTES).max(2);
        let (sender, receiver) = sync_channel(waiting);
        let thread = std::thread::Builder::new()
            .name("trees".to_owned())
            .spawn(move || {
                let mut work = Work::new(file, &plan, receiver);
                work.run()?;
                work.end()
            })?;
        Ok(Self {
            sender,
            thread,
            batch: Vec::with_capacity(BATCH_BYTES),
        })
    }

    /// Hands over a record of the current table.
    ///
    /// Errors: `Stopped` if the builder has ended; [`FileBuilder::finish`] tells why.
    pub fn record(&mut self, rowid: i64, record: &RecordBuilder) -> Result<(), BuildError> {
        self.batch.extend_from_slice(&rowid.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = record.bytes() as u32;
        self.batch.extend_from_slice(&length.to_le_bytes());
        record.write(&mut self.batch);
        match self.batch.len() < BATCH_BYTES {
            true => Ok(()),
            false => self.hand_over(),
        }
    }

    fn hand_over(&mut self) -> Result<(), BuildError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let next = Vec::with_capacity(self.batch.len().max(BATCH_BYTES));
        let batch = std::mem::replace(&mut self.batch, next);
        self.send(Message::Records(batch))
    }

    fn send(&self, message: Message) -> Result<(), BuildError> {
        let sent = self.sender.send(message);
        sent.map_err(|_| BuildError::Stopped)
    }

    /// Begins a large record; its bytes follow. Errors as [`FileBuilder::record`].
    pub fn open(&mut self, record: LargeRecord) -> Result<(), BuildError> {
        self.hand_over()?;
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
        self.send(Message::EndOfTable)
    }

    /// Waits for the file. Errors: `Stopped` if not every table was ended.
    pub fn finish(self) -> Result<Built, BuildError> {
        let Self { sender, thread, .. } = self;
        // Where it has ended before, its own answer says why.
        let _ = sender.send(Message::End);
        drop(sender);
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The side that builds.
struct Work<'p> {
    file: PageFile,
    plan: &'p Plan,
    receiver: Receiver<Message>,
    left_out: Vec<String>,
}

impl<'p> Work<'p> {
    fn new(file: PageFile, plan: &'p Plan, receiver: Receiver<Message>) -> Self {
        Self {
            file,
            plan,
            receiver,
            left_out: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), BuildError> {
        for shape in &self.plan.tables {
            let mut table = Table::new(&self.file, shape, self.plan);
            loop {
                match self.receiver.recv() {
                    Ok(Message::Records(batch)) => table.records(&mut self.file, &batch)?,
                    Ok(Message::Open(record)) => self.large(&mut table, &record)?,
                    Ok(Message::EndOfTable) => break,
                    Ok(Message::Piece(_) | Message::Close | Message::End) | Err(_) => {
                        return Err(BuildError::Stopped);
                    }
                }
            }
            table.end(&mut self.file, &mut self.left_out)?;
        }
        match self.receiver.recv() {
            Ok(Message::End) => Ok(()),
            _ => Err(BuildError::Stopped),
        }
    }

    fn large(&mut self, table: &mut Table<'_>, record: &LargeRecord) -> Result<(), BuildError> {
        let mut open = table.open(&self.file, record)?;
        loop {
            match self.receiver.recv() {
                Ok(Message::Piece(bytes)) => open.more(&mut self.file, &bytes)?,
                Ok(Message::Close) => break,
                _ => return Err(BuildError::Stopped),
            }
        }
        table.close(&mut self.file, record, open)
    }

    fn end(self) -> Result<Built, BuildError> {
        self.file.finish()?;
        Ok(Built {
            left_out: self.left_out,
        })
    }
}

/// A table being built.
struct Table<'p> {
    shape: &'p TableShape,
    plan: &'p Plan,
    tree: OpenTree,
    keys: Keys,
    count: u64,
}

enum OpenTree {
    Table(TableTree),
    /// And the key that came last.
    Index(IndexTree, Option<(Prefix, Vec<u8>)>),
}

impl<'p> Table<'p> {
    fn new(file: &PageFile, shape: &'p TableShape, plan: &'p Plan) -> Self {
        Self {
            shape,
            plan,
            tree: match shape.tree {
                Tree::Table => OpenTree::Table(TableTree::new(file)),
                Tree::Index => OpenTree::Index(IndexTree::new(file), None),
            },
            keys: Keys::of(shape, &plan.folder),
            count: 0,
        }
    }

    fn doubt(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Doubt {
            table: self.shape.name.clone(),
            reason: reason.into(),
        }
    }

    fn refused(&self, refused: Refused) -> BuildError {
        match refused {
            Refused::Io(error) => BuildError::Io(error),
            Refused::Order => self.out_of_order(),
        }
    }

    fn out_of_order(&self) -> BuildError {
        self.doubt(format!("record {} is not in its order", self.count + 1))
    }

    fn records(&mut self, file: &mut PageFile, mut batch: &[u8]) -> Result<(), BuildError> {
        while let Some((head, rest)) = batch.split_at_checked(12) {
            let (mut rowid, mut length) = ([0; 8], [0; 4]);
            rowid.copy_from_slice(&head[..8]);
            length.copy_from_slice(&head[8..]);
            let (rowid, length) = (i64::from_le_bytes(rowid), u32::from_le_bytes(length));
            let Some((record, rest)) = rest.split_at_checked(length as usize) else {
                break;
            };
            batch = rest;
            self.ensure_key_order(record)?;
            let pushed = match &mut self.tree {
                OpenTree::Table(tree) => tree.push(file, rowid, record),
                OpenTree::Index(tree, _) => tree.push(file, record).map_err(Refused::Io),
            };
            pushed.map_err(|refused| self.refused(refused))?;
            self.keys.take(self.shape, rowid, record, &[])?;
            self.count += 1;
        }
        Ok(self.keys.spill(self.plan.sort_bytes)?)
    }

    /// Keys of a WITHOUT ROWID table must come in their order, none twice.
    fn ensure_key_order(&mut self, record: &[u8]) -> Result<(), BuildError> {
        let OpenTree::Index(_, last) = &mut self.tree else {
            return Ok(());
        };
        let order = &self.shape.key;
        let now = prefix(values(record), order);
        let follows = match last {
            None => true,
            Some((before, its)) => match before.bytes.cmp(&now.bytes) {
                std::cmp::Ordering::Equal if before.is_cut || now.is_cut => {
                    compare(its, record, order, self.plan.encoding).is_lt()
                }
                found => found.is_lt(),
            },
        };
        if !follows {
            return Err(self.out_of_order());
        }
        let (_, its) = last.get_or_insert_with(|| (now, Vec::new()));
        its.clear();
        its.extend_from_slice(record);
        if let Some((before, _)) = last {
            *before = now;
        }
        Ok(())
    }

    fn open(&mut self, file: &PageFile, record: &LargeRecord) -> Result<OpenCell, BuildError> {
        let in_key = |at: &usize| *at < self.shape.key.len();
        if record.large.iter().any(in_key) {
            return Err(self.doubt("a large value stands in its primary key"));
        }
        self.ensure_key_order(&record.small)?;
        match &self.tree {
            OpenTree::Table(tree) => tree
                .open(file, record.rowid, record.bytes)
                .map_err(|refused| self.refused(refused)),
            OpenTree::Index(tree, _) => Ok(tree.open(file, record.bytes)),
        }
    }

    fn close(
        &mut self,
        file: &mut PageFile,
        record: &LargeRecord,
        open: OpenCell,
    ) -> Result<(), BuildError> {
        let pushed = match &mut self.tree {
            OpenTree::Table(tree) => tree.push_open(file, record.rowid, open),
            OpenTree::Index(tree, _) => tree.push_open(file, open).map_err(Refused::Io),
        };
        pushed.map_err(|refused| self.refused(refused))?;
        let LargeRecord {
            rowid,
            small,
            large,
            ..
        } = record;
        self.keys.take(self.shape, *rowid, small, large)?;
        self.count += 1;
        Ok(self.keys.spill(self.plan.sort_bytes)?)
    }

    /// Closes the table's tree, and builds its indexes.
    fn end(self, file: &mut PageFile, left_out: &mut Vec<String>) -> Result<(), BuildError> {
        let mut sorters = self.keys.into_sorters();
        sort_all(&mut sorters);
        match self.tree {
            OpenTree::Table(tree) => tree.finish(file, self.shape.root)?,
            OpenTree::Index(tree, _) => tree.finish(file, self.shape.root)?,
        }
        for (index, sorter) in self.shape.indexes.iter().zip(sorters) {
            let Some(sorter) = sorter else {
                left_out.push(index.name.clone());
                continue;
            };
            let mut tree = IndexTree::new(file);
            let push = |record: &[u8]| match self.plan.stop.is_set() {
                false => tree.push(file, record),
                true => Err(io::ErrorKind::Interrupted.into()),
            };
            match sorter.for_each(push) {
                Ok(()) => tree.finish(file, index.root)?,
                Err(Stop::Io(error)) => return Err(error.into()),
                Err(Stop::Twice) => {
                    return Err(BuildError::Doubt {
                        table: self.shape.name.clone(),
                        reason: format!("two rows have one key in its index {}", index.name),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Sorts what is in memory, on the cores that there are.
fn sort_all(sorters: &mut [Option<Sorter>]) {
    let bytes: usize = sorters.iter().flatten().map(Sorter::bytes).sum();
    // A thread is not worth its beginning for less.
    let cores = match bytes < PARALLEL_FROM_BYTES {
        true => 1,
        false => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let waiting = Mutex::new(sorters.iter_mut().flatten());
    let next = || waiting.lock().ok()?.next();
    let work = || {
        while let Some(sorter) = next() {
            sorter.sort();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(work);
        }
        work();
    });
}

fn values(record: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    let mut reader = RecordReader::new(record);
    let next = move || reader.as_mut()?.next_encoded();
    std::iter::from_fn(next).map(|(serial, body)| decoded(serial, body))
}
