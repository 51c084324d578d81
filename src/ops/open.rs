//! Where stores are: opening one, making one, and telling what a path is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Env;
use crate::error::Error;
pub use crate::store::Store;
use crate::vfs::Vfs;

/// The seams that an operation works through.
#[derive(Clone)]
pub struct World {
    /// Clock and randomness.
    pub env: Arc<dyn Env>,
    /// Files.
    pub vfs: Arc<dyn Vfs>,
}

/// Which store, and how it is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The store's folder.
    pub location: PathBuf,
    /// Folder for the cache of footers; `None`: it is kept in memory for this run.
    pub cache_dir: Option<PathBuf>,
    /// zstd level of what is written, 1 to 19.
    pub compression: i32,
}

/// What a path that was given as a store or snapshot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// A store.
    Store,
    /// Nothing is there.
    Absent,
    /// An empty folder.
    EmptyFolder,
    /// A folder that is no store; stores one level down, if any.
    Folder {
        /// Stores one level down, sorted.
        stores: Vec<PathBuf>,
    },
    /// Not a folder.
    File,
}

/// Opens a store. Errors: `Store` (`NoStore` where none is).
pub fn open(options: &StoreOptions, world: &World) -> Result<Store, Error> { todo!() }

/// Makes a store in an absent or empty folder, and opens it.
pub fn create(options: &StoreOptions, world: &World) -> Result<Store, Error> { todo!() }

/// Tells what is at a path.
pub fn path_kind(path: &Path, world: &World) -> Result<PathKind, Error> { todo!() }
