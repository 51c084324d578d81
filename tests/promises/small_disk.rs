//! A simulated disk of a size: what does not fit is refused, by blocks of 4 KiB as real ones have. And one
//! whose temporary files somebody takes away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::{Entry, Vfs, VfsError, VfsErrorKind, VfsFile};

const BLOCK: u64 = 4096;

#[derive(Debug, Clone)]
pub struct SmallDisk {
    pub disk: MemoryVfs,
    size: Arc<AtomicU64>,
    /// The next file that is to be published is gone before that.
    pub snatch: Arc<AtomicBool>,
}

impl SmallDisk {
    /// With a folder `/home`.
    pub fn new(size: u64) -> Self {
        let disk = MemoryVfs::new();
        disk.create_dir(Path::new("/home")).unwrap();
        Self {
            disk,
            size: Arc::new(AtomicU64::new(size)),
            snatch: Arc::default(),
        }
    }

    pub fn used(&self) -> u64 {
        let entries = self.disk.list(Path::new("/")).unwrap();
        entries
            .iter()
            .map(|e| e.bytes.div_ceil(BLOCK) * BLOCK)
            .sum()
    }

    /// From now on the disk has so much space, used or not.
    pub fn resize(&self, size: u64) {
        self.size.store(size, Ordering::SeqCst);
    }

    fn check(&self, path: &Path) -> Result<(), VfsError> {
        match self.used() > self.size.load(Ordering::SeqCst) {
            true => Err(VfsError::new(
                VfsErrorKind::NoSpace,
                "write",
                path,
                "No space left on device",
            )),
            false => Ok(()),
        }
    }

    fn snatch(&self, from: &Path) {
        if self.snatch.swap(false, Ordering::SeqCst) {
            self.disk.unlink(from).unwrap();
        }
    }
}

struct File {
    inner: Box<dyn VfsFile>,
    disk: SmallDisk,
    path: PathBuf,
}

impl VfsFile for File {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError> {
        let written = self.inner.write(bytes)?;
        // What went too far stays until the file is removed, as half a file does.
        self.disk.check(&self.path).map(|()| written)
    }
    fn sync(&mut self) -> Result<(), VfsError> {
        self.inner.sync()
    }
    fn make_read_only(&mut self) -> Result<(), VfsError> {
        self.inner.make_read_only()
    }
}

impl Vfs for SmallDisk {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        Ok(Box::new(File {
            inner: self.disk.create_new(path)?,
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.disk.sync_file(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.disk.sync_dir(path)
    }
    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.snatch(from);
        self.disk.publish_no_replace(from, to)
    }
    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.snatch(from);
        self.disk.replace(from, to)
    }
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.disk.read(path, bytes_max)
    }
    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.disk.read_at(path, offset, bytes)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.disk.list(dir)
    }
    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.disk.list_folder(dir)
    }
    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.disk.entry(path)
    }
    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        self.disk.unlink(path)
    }
    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.disk.create_dir(path)
    }
    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        None
    }
}
