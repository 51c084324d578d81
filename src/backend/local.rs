//! A store in a folder: one file an object, over a [`Vfs`].
//!
//! An object is written as `tmp/<random>`, synced, and only then given its name, so that a reader
//! or a power cut finds all of it or nothing. The folders whose names changed are synced together
//! by [`Backend::barrier`]. Two failures have no second try: a file whose sync failed is dropped and
//! the whole object written anew from memory, once; a folder whose sync failed leaves this value
//! unable to promise anything ever after, because what the system then says of it is its cache.
//! The order of steps: store-format.md, "Write order".

mod folders;
mod put;
mod strays;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendError, ObjectInfo, checked_name, checked_prefix, is_object_name};
use crate::env::Env;
use crate::vfs::{EntryKind, Vfs, VfsError, VfsErrorKind, folder_of};
use folders::State;
use put::Publish;

/// The folder of files that are being written. Nothing in it is ever an object.
const TEMP_FOLDER: &str = "tmp";
/// What snapshots lean on, whoever put it.
const PACKS: &str = "packs/";

/// A directory store.
#[derive(Debug)]
pub struct LocalBackend {
    vfs: Arc<dyn Vfs>,
    env: SharedEnv,
    root: PathBuf,
    state: Mutex<State>,
    /// Held for the length of a barrier: a second one must not return before what the first one
    /// took over is durable.
    barrier: Mutex<()>,
}

/// Only for a `Debug` that does not ask one of every `Env`.
struct SharedEnv(Arc<dyn Env>);

impl std::fmt::Debug for SharedEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

/// A failed file operation, as a failure of the object it was done for.
fn of_object(op: &'static str, name: &str, error: VfsError) -> BackendError {
    BackendError::new(error.kind.into(), op, name, error)
}

impl LocalBackend {
    /// A store in the folder `root`, which is made when the first object is put.
    pub fn new(vfs: Arc<dyn Vfs>, env: Arc<dyn Env>, root: PathBuf) -> Self {
        Self {
            vfs,
            env: SharedEnv(env),
            root,
            state: Mutex::default(),
            barrier: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is a set of facts, true one by one: a panic elsewhere leaves no half of it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of an object.
    fn path_of(&self, op: &'static str, name: &str) -> Result<PathBuf, BackendError> {
        checked_name(op, name)?;
        Ok(self.root.join(name))
    }
}

/// A path below the store as the name of an object, if it can be one.
fn object_name(relative: &Path) -> Option<&str> {
    relative.to_str().filter(|name| is_object_name(name))
}

impl Backend for LocalBackend {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn identity(&self) -> Option<String> {
        self.vfs.identity(&self.root)
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.write(name, bytes, Publish::New)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.write(name, bytes, Publish::Replace)
    }

    fn barrier(&self) -> Result<(), BackendError> {
        self.sync_folders()
    }

    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        let path = self.path_of("read", name)?;
        self.enter_folders(&path)
            .and_then(|()| self.vfs.read(&path, bytes_max))
            .map_err(|error| of_object("read", name, error))
    }

    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        let path = self.path_of("read", name)?;
        self.enter_folders(&path)
            .and_then(|()| self.vfs.read_at(&path, offset, bytes))
            .map_err(|error| of_object("read", name, error))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        checked_prefix(prefix)?;
        let folder = self.root.join(prefix.trim_end_matches('/'));
        let listed = self
            .enter_folders(&folder.join("any"))
            .and_then(|()| self.vfs.list(&folder));
        let entries = match listed {
            Err(error) if error.kind == VfsErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| of_object("list", prefix, error))?,
        };
        let mut objects: Vec<ObjectInfo> = entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::File)
            .filter_map(|entry| {
                Some(ObjectInfo {
                    name: object_name(&Path::new(prefix).join(&entry.path))?.to_owned(),
                    bytes: entry.bytes,
                })
            })
            .collect();
        objects.sort();
        if prefix == PACKS {
            self.note_seen(&folder, &objects);
        }
        Ok(objects)
    }

    fn delete(&self, name: &str) -> Result<(), BackendError> {
        let path = self.path_of("delete", name)?;
        self.enter_folders(&path)
            .and_then(|()| self.vfs.unlink(&path))
            .map_err(|error| of_object("delete", name, error))?;
        let mut state = self.state();
        let folder = state
            .unsynced
            .entry(folder_of(&path).to_owned())
            .or_default();
        folder.retain(|object| object.name != name);
        Ok(())
    }

    fn unfinished(&self) -> Result<Vec<String>, BackendError> {
        self.list_unfinished()
    }

    fn remove_unfinished(&self, name: &str) -> Result<(), BackendError> {
        self.unlink_unfinished(name)
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.list_foreign()
    }
}
