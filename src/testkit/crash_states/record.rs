//! A [`Vfs`] that records every change, and every sync.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::NodeNumber;
use super::replay::Replay;
use crate::testkit::memory_vfs::MemoryVfs;
use crate::vfs::{Entry, Vfs, VfsError, VfsFile};

/// Writes take no more than this at once, so that the record of an object has several.
const WRITE_BYTES_MAX: usize = 3000;

/// One operation that changed something, or made it durable.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    CreateFile(PathBuf, NodeNumber),
    Write(NodeNumber, Vec<u8>),
    Sync(NodeNumber),
    SyncPath(PathBuf),
    SyncFolder(PathBuf),
    Move(PathBuf, PathBuf),
    Unlink(PathBuf),
    CreateFolder(PathBuf),
    /// A file whose bytes are others now, or that is gone, though nobody asked for it.
    Damage(PathBuf, Option<Vec<u8>>),
    /// A sync that was asked for, and that a broken disk has not done.
    Ignored,
}

/// Syncs that a broken disk does not do: what a test of the tests asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Bytes of files.
    Bytes,
    /// Names in folders whose path contains this.
    Names(&'static str),
}

/// A file system in memory that records what is done to it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RecordingVfs {
    inner: MemoryVfs,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    operations: Vec<Operation>,
    files: usize,
}

impl RecordingVfs {
    /// An empty file system, and an empty record.
    pub fn new() -> Self {
        Self::default()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, operation: Operation) {
        self.record().operations.push(operation);
    }

    /// Damages a durable file: other bytes, or none at all. Whatever happens then, it stays so.
    pub fn damage(&self, path: &Path, bytes: Option<&[u8]>) -> Result<(), VfsError> {
        match bytes {
            Some(bytes) => self.inner.plant_file(path, bytes)?,
            None => self.inner.unlink(path)?,
        }
        self.push(Operation::Damage(
            path.to_owned(),
            bytes.map(<[u8]>::to_vec),
        ));
        Ok(())
    }

    /// How many operations were recorded: the point that the next one follows.
    pub fn position(&self) -> usize {
        self.record().operations.len()
    }

    /// Goes through the record from its beginning.
    pub fn replay(&self) -> Replay {
        Replay::new(self.record().operations.clone())
    }

    /// As [`RecordingVfs::replay`], on a disk that does not do what it says.
    pub fn replay_on(&self, broken: Broken) -> Replay {
        let mut operations = self.record().operations.clone();
        for operation in &mut operations {
            let ignored = match (&*operation, broken) {
                (Operation::Sync(_) | Operation::SyncPath(_), Broken::Bytes) => true,
                (Operation::SyncFolder(path), Broken::Names(part)) => {
                    path.to_string_lossy().contains(part)
                }
                _ => false,
            };
            if ignored {
                *operation = Operation::Ignored;
            }
        }
        Replay::new(operations)
    }
}

/// A file of a [`RecordingVfs`] being written.
struct RecordingFile {
    inner: Box<dyn VfsFile>,
    vfs: RecordingVfs,
    node: NodeNumber,
}

impl VfsFile for RecordingFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError> {
        let some = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        let taken = self.inner.write(some)?;
        self.vfs
            .push(Operation::Write(self.node, some[..taken].to_vec()));
        Ok(taken)
    }

    fn sync(&mut self) -> Result<(), VfsError> {
        self.inner.sync()?;
        self.vfs.push(Operation::Sync(self.node));
        Ok(())
    }

    fn make_read_only(&mut self) -> Result<(), VfsError> {
        self.inner.make_read_only()
    }
}

impl Vfs for RecordingVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.inner.create_new(path)?;
        let node = {
            let mut record = self.record();
            record.files += 1;
            // Odd numbers; the folders that a replay makes have even ones.
            record.files * 2 - 1
        };
        self.push(Operation::CreateFile(path.to_owned(), node));
        Ok(Box::new(RecordingFile {
            inner,
            vfs: self.clone(),
            node,
        }))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_file(path)?;
        self.push(Operation::SyncPath(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_dir(path)?;
        self.push(Operation::SyncFolder(path.to_owned()));
        Ok(())
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.publish_no_replace(from, to)?;
        self.push(Operation::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.replace(from, to)?;
        self.push(Operation::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.inner.read(path, bytes_max)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.inner.read_at(path, offset, bytes)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.inner.list(dir)
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.inner.list_folder(dir)
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.inner.entry(path)
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.unlink(path)?;
        self.push(Operation::Unlink(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)?;
        self.push(Operation::CreateFolder(path.to_owned()));
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.inner.free_bytes(dir)
    }
}
