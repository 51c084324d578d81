//! A [`Vfs`] over another one whose operation N fails, once or for ever, and whose writes may be
//! short. Everything that is asked of it is counted and logged, writes to open files included.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::faults::{Fault, Faults, Operation};
use crate::vfs::{Entry, Vfs, VfsError, VfsErrorKind, VfsFile};

/// A failing [`Vfs`]. Clones share plan and log.
#[derive(Debug, Clone)]
pub struct FaultVfs {
    inner: Arc<dyn Vfs>,
    faults: Arc<Faults<VfsErrorKind>>,
    short_writes: Arc<AtomicBool>,
    free: Arc<Mutex<Option<u64>>>,
    refused: Arc<Mutex<Option<Refused>>>,
}

/// An operation that is to fail, by its name.
#[derive(Debug)]
struct Refused {
    op: &'static str,
    part: &'static str,
    nth: usize,
}

impl FaultVfs {
    /// Nothing fails until [`FaultVfs::fail`].
    pub fn new(inner: Arc<dyn Vfs>) -> Self {
        Self {
            inner,
            faults: Arc::default(),
            short_writes: Arc::default(),
            free: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Plans a failure. Operations count from the last [`FaultVfs::reset`].
    pub fn fail(&self, fault: Fault<VfsErrorKind>) {
        self.faults.fail(fault);
    }

    /// Forgets plan and log.
    pub fn reset(&self) {
        self.faults.reset();
    }

    /// How many operations there were since the last reset.
    pub fn count(&self) -> usize {
        self.faults.count()
    }

    /// The operations since the last reset.
    pub fn log(&self) -> Vec<Operation> {
        self.faults.log()
    }

    /// From now on every write takes half of what it is given (at least one byte).
    pub fn write_short(&self, short: bool) {
        self.short_writes.store(short, Ordering::SeqCst);
    }

    /// The `nth` operation from now on (from 1) with this verb, and with this in its path, fails.
    pub fn refuse(&self, op: &'static str, part: &'static str, nth: usize) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused = Some(Refused { op, part, nth });
    }

    /// True once, for the operation that is to be refused.
    fn is_refused(&self, op: &'static str, name: &str) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(wanted) = refused.as_mut() else {
            return false;
        };
        if wanted.op != op || !name.contains(wanted.part) {
            return false;
        }
        wanted.nth = wanted.nth.saturating_sub(1);
        let is_it = wanted.nth == 0;
        if is_it {
            *refused = None;
        }
        is_it
    }

    /// From now on this much space is said to be free.
    pub fn set_free(&self, bytes: u64) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    fn run<T>(
        &self,
        op: &'static str,
        path: &Path,
        work: impl FnOnce(&dyn Vfs) -> Result<T, VfsError>,
    ) -> Result<T, VfsError> {
        let name = path.display().to_string();
        let failure = |kind| VfsError::new(kind, op, path, "planned fault");
        if self.is_refused(op, &name) {
            return Err(failure(VfsErrorKind::Denied));
        }
        self.faults.run(op, name, || work(&*self.inner), failure)
    }
}

/// A file of a [`FaultVfs`] being written.
struct FaultFile {
    inner: Box<dyn VfsFile>,
    vfs: FaultVfs,
    path: std::path::PathBuf,
}

impl FaultFile {
    fn run<T>(
        &mut self,
        op: &'static str,
        work: impl FnOnce(&mut dyn VfsFile) -> Result<T, VfsError>,
    ) -> Result<T, VfsError> {
        let inner = &mut *self.inner;
        self.vfs.run(op, &self.path, |_| work(inner))
    }
}

impl VfsFile for FaultFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError> {
        let taken = if self.vfs.short_writes.load(Ordering::SeqCst) {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        self.run("write", |file| file.write(&bytes[..taken]))
    }

    fn sync(&mut self) -> Result<(), VfsError> {
        self.run("sync", |file| file.sync())
    }

    fn make_read_only(&mut self) -> Result<(), VfsError> {
        self.run("protect", |file| file.make_read_only())
    }
}

impl Vfs for FaultVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        let inner = self.run("create", path, |vfs| vfs.create_new(path))?;
        Ok(Box::new(FaultFile {
            inner,
            vfs: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.run("sync", path, |vfs| vfs.sync_file(path))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.run("sync folder", path, |vfs| vfs.sync_dir(path))
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.run("publish", to, |vfs| vfs.publish_no_replace(from, to))
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.run("replace", to, |vfs| vfs.replace(from, to))
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.run("read", path, |vfs| vfs.read(path, bytes_max))
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.run("read", path, |vfs| vfs.read_at(path, offset, bytes))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.run("list", dir, |vfs| vfs.list(dir))
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.run("list", dir, |vfs| vfs.list_folder(dir))
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.run("look at", path, |vfs| vfs.entry(path))
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        self.run("remove", path, |vfs| vfs.unlink(path))
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.run("create folder", path, |vfs| vfs.create_dir(path))
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        let free = *self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.or_else(|| self.inner.free_bytes(dir))
    }
}
