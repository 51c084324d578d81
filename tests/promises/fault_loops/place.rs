//! Where a command is run whose calls fail: a store in memory, databases and exports in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::local::LocalBackend;
use larder::cli::exit::Code;
use larder::env::Env;
use larder::error::Error;
use larder::format::manifest::Manifest;
use larder::ops::open::{self, Store, StoreOptions, World};
use larder::ops::select::{self, SourceChoice};
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::os::OsVfs;
use larder::vfs::{Entry, Vfs, VfsError, VfsFile};

use crate::sandbox::{ROOT, usage};

/// Where another store lies.
pub const OTHER: &str = "/home/other";

/// Files of the stores in memory, all others on the disk.
#[derive(Debug, Clone)]
pub struct TwoVfs {
    pub memory: MemoryVfs,
}

impl TwoVfs {
    fn of(&self, path: &Path) -> &dyn Vfs {
        match path.starts_with("/home") {
            true => &self.memory,
            false => &OsVfs,
        }
    }
}

impl Vfs for TwoVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        self.of(path).create_new(path)
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.of(path).sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.of(path).sync_dir(path)
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.of(to).publish_no_replace(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.of(to).replace(from, to)
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.of(path).read(path, bytes_max)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.of(path).read_at(path, offset, bytes)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.of(dir).list(dir)
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.of(dir).list_folder(dir)
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.of(path).entry(path)
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        self.of(path).unlink(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.of(path).create_dir(path)
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        self.of(dir).free_bytes(dir)
    }
}

/// What a command said, and its exit code. `told` has nothing that differs from run to run.
#[derive(Debug, PartialEq)]
pub struct Done {
    pub told: String,
    pub code: Code,
}

/// Where one command runs once.
pub struct Place {
    pub folder: PathBuf,
    pub world: World,
    /// Around the store's backend, where calls of objects fail and not of files.
    pub backend: Option<Arc<dyn Backend>>,
}

impl Place {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn options(&self) -> StoreOptions {
        StoreOptions {
            location: PathBuf::from(ROOT),
            cache_dir: None,
            compression: 3,
        }
    }

    pub fn open(&self) -> Result<Store, Error> {
        match &self.backend {
            Some(backend) => Ok(Store::open(
                backend.clone(),
                self.world.env.clone(),
                usage(),
            )?),
            None => open::open(&self.options(), &self.world),
        }
    }

    /// The store beside it.
    pub fn open_other(&self) -> Result<Store, Error> {
        let options = StoreOptions {
            location: PathBuf::from(OTHER),
            ..self.options()
        };
        open::open(&options, &self.world)
    }

    pub fn one(&self, store: &Store, word: &str) -> Result<Manifest, Error> {
        select::one(store, word, &SourceChoice::Any)
    }
}

/// The backend of a store in memory.
pub fn local(vfs: Arc<dyn Vfs>, env: &Arc<dyn Env>, root: &str) -> Arc<dyn Backend> {
    Arc::new(LocalBackend::new(vfs, env.clone(), PathBuf::from(root)))
}

/// A folder's files and what is in them.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}
