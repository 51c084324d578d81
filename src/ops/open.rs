//! Where stores are: opening one, making one, and telling what a path is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend;
use crate::env::{Env, SystemEnv};
use crate::error::Error;
use crate::model::file_name::MANIFEST_FILE;
pub use crate::store::Store;
use crate::store::rules::Rules;
use crate::store::{StoreError, Usage};
pub use crate::vfs::folder_of;
use crate::vfs::os::{OsVfs, real_path};
use crate::vfs::{EntryKind, Vfs, VfsError, VfsErrorKind};

/// The seams that an operation works through.
#[derive(Clone)]
pub struct World {
    /// Clock and randomness.
    pub env: Arc<dyn Env>,
    /// Files.
    pub vfs: Arc<dyn Vfs>,
}

impl World {
    /// The real clock, randomness and files.
    pub fn system() -> Self {
        Self {
            env: Arc::new(SystemEnv),
            vfs: Arc::new(OsVfs),
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// Which store, and how it is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The store's folder.
    pub location: PathBuf,
    /// Folder for the cache of footers; `None`, or one that cannot be made: a temporary cache.
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
    /// A folder with a `manifest.json` that is no store: an export.
    ExportFolder,
    /// A zip archive: an export, as long as it has not been opened.
    ExportZip,
    /// Not a folder.
    File,
}

impl PathKind {
    /// True for what may be an export.
    pub fn is_export(&self) -> bool {
        matches!(self, Self::ExportFolder | Self::ExportZip)
    }
}

fn backend_of(
    options: &StoreOptions,
    world: &World,
) -> Result<(Arc<dyn backend::Backend>, Usage), Error> {
    let backend = backend::open(&options.location, world.vfs.clone(), world.env.clone())
        .map_err(StoreError::from)?;
    let cache_dir = options
        .cache_dir
        .as_deref()
        .filter(|dir| make_folders(dir, &*world.vfs).is_ok());
    Ok((
        backend,
        Usage {
            cache_dir: cache_dir.map(Path::to_owned),
            compression: options.compression,
            rules: Rules::default(),
        },
    ))
}

/// Makes a folder and those above it.
fn make_folders(dir: &Path, vfs: &dyn Vfs) -> Result<(), VfsError> {
    match vfs.create_dir(dir) {
        Err(error) if error.kind == VfsErrorKind::Exists => Ok(()),
        Err(error) if error.kind == VfsErrorKind::NotFound => {
            match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => {
                    make_folders(parent, vfs)?;
                    vfs.create_dir(dir)
                }
                None => Err(error),
            }
        }
        done => done,
    }
}

/// Opens a store. Errors: `Store` (`NoStore` where none is).
pub fn open(options: &StoreOptions, world: &World) -> Result<Store, Error> {
    let (backend, usage) = backend_of(options, world)?;
    Ok(Store::open(backend, world.env.clone(), usage)?)
}

/// Opens a store to repair it: its config may be lost.
pub fn open_for_repair(options: &StoreOptions, world: &World) -> Result<Store, Error> {
    let (backend, usage) = backend_of(options, world)?;
    Ok(Store::open_for_repair(backend, world.env.clone(), usage)?)
}

/// Makes a store in an absent or empty folder, and opens it.
pub fn create(options: &StoreOptions, world: &World) -> Result<Store, Error> {
    let location = options.location.display().to_string();
    match path_kind(&options.location, world)? {
        PathKind::Absent | PathKind::EmptyFolder => {}
        PathKind::Store => return Err(StoreError::Exists { location }.into()),
        PathKind::Folder { .. } | PathKind::ExportFolder | PathKind::ExportZip | PathKind::File => {
            return Err(StoreError::NotEmpty { location }.into());
        }
    }
    let (backend, usage) = backend_of(options, world)?;
    Ok(Store::create(backend, world.env.clone(), usage)?)
}

/// Refuses a place for another store that is the folder of this one, or lies within it, however either is
/// spelt. Nothing is written.
///
/// Errors: `Store` (`Same`, `Within`).
pub fn ensure_apart(store: &Path, place: &Path, world: &World) -> Result<(), Error> {
    let Some(own) = world.vfs.identity(store) else {
        return Ok(());
    };
    let location = place.display().to_string();
    let is_own = |path: &Path| world.vfs.identity(path).as_ref() == Some(&own);
    if is_own(place) {
        return Err(StoreError::Same { location }.into());
    }
    // What is there of the way to it.
    let mut there = place;
    while world.vfs.identity(there).is_none() {
        let above = folder_of(there);
        if above == there {
            return Ok(());
        }
        there = above;
    }
    if real_path(there).ancestors().any(is_own) {
        let store = store.display().to_string();
        return Err(StoreError::Within { location, store }.into());
    }
    Ok(())
}

/// Names of what lies in a folder; none where it cannot be read.
pub fn names_in(folder: &Path, world: &World) -> Vec<String> {
    let listed = world.vfs.list_folder(folder).unwrap_or_default();
    let names = listed.iter().filter(|found| found.kind == EntryKind::File);
    names
        .map(|found| found.path.display().to_string())
        .collect()
}

/// True for a file that begins as zip archives do, empty ones too.
pub(super) fn is_zip(path: &Path, vfs: &dyn Vfs) -> Result<bool, VfsError> {
    const BEGINNINGS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
    let bytes = vfs.entry(path)?.map_or(0, |entry| entry.bytes);
    if bytes < 4 {
        return Ok(false);
    }
    let beginning = vfs.read_at(path, 0, 4)?;
    Ok(BEGINNINGS.contains(&beginning.as_slice()))
}

/// Tells what is at a path.
///
/// A folder that holds nothing but folders of a store without its config, as a first backup that
/// was cut off leaves it, counts as empty.
pub fn path_kind(path: &Path, world: &World) -> Result<PathKind, Error> {
    let failed = |error: VfsError| {
        let name = error.path.display().to_string();
        let error = backend::BackendError::new(error.kind.into(), error.op, &name, error.cause);
        Error::Store(StoreError::from(error))
    };
    let entry = |path: &Path| match world.vfs.entry(path) {
        Err(error) if error.kind == VfsErrorKind::NotFound => Ok(None),
        done => done,
    };
    // A link to a store is a store: what counts is whether a config can be seen through it.
    // Or its second copy: a store that has lost its config is one still.
    let is_store = |dir: &Path| {
        for config in ["config", "second/config"] {
            if entry(&dir.join(config))?.is_some_and(|config| config.kind == EntryKind::File) {
                return Ok::<bool, VfsError>(true);
            }
        }
        Ok(false)
    };
    match entry(path).map_err(failed)? {
        None => return Ok(PathKind::Absent),
        Some(found) if found.kind == EntryKind::File => {
            // What cannot be read is no zip, and is told of where it is opened.
            let is_zip = is_zip(path, &*world.vfs).unwrap_or(false);
            return Ok(match is_zip {
                true => PathKind::ExportZip,
                false => PathKind::File,
            });
        }
        Some(found) if found.kind == EntryKind::Foreign => {
            // A link counts as a folder only if there is one behind it.
            let behind = entry(&path.join(".")).map_err(failed)?;
            if behind.is_none_or(|behind| behind.kind != EntryKind::Folder) {
                return Ok(PathKind::File);
            }
        }
        Some(_) => {}
    }
    if is_store(path).map_err(failed)? {
        return Ok(PathKind::Store);
    }
    if entry(&path.join(MANIFEST_FILE))
        .map_err(failed)?
        .is_some_and(|manifest| manifest.kind == EntryKind::File)
    {
        return Ok(PathKind::ExportFolder);
    }
    let listed = match world.vfs.list_folder(path) {
        Ok(listed) => listed,
        Err(error) if error.kind == VfsErrorKind::NotFound => return Ok(PathKind::Absent),
        Err(error) => return Err(failed(error)),
    };
    if listed.iter().all(|found| found.path.as_os_str() == "tmp") {
        return Ok(PathKind::EmptyFolder);
    }
    // Another first backup may have made it between the two looks.
    if is_store(path).map_err(failed)? {
        return Ok(PathKind::Store);
    }
    let mut stores = Vec::new();
    for found in &listed {
        if found.kind == EntryKind::Folder {
            let dir = path.join(&found.path);
            if is_store(&dir).map_err(failed)? {
                stores.push(dir);
            }
        }
    }
    Ok(PathKind::Folder { stores })
}
