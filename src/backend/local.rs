//! A store in a folder: one file an object, over a [`Vfs`].
//!
//! An object is written as `tmp/<random>`, synced, and only then given its name, so that a reader
//! or a power cut finds all of it or nothing. The folders whose names changed are synced together
//! by [`Backend::barrier`]. Two failures have no second try: a file whose sync failed is dropped and
//! the whole object written anew from memory, once; a folder whose sync failed leaves this value
//! unable to promise anything ever after, because what the system then says of it is its cache.
//! The order of steps: store-format.md, "Write order".

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Backend, BackendError, BackendErrorKind, ObjectInfo, checked_name, checked_prefix,
    is_known_stranger, is_object_name,
};
use crate::env::{Env, random_16};
use crate::vfs::{self, EntryKind, Vfs, VfsError, VfsErrorKind, folder_of};

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

/// What this value knows about its folders.
#[derive(Debug, Default)]
struct State {
    /// Folders that are known to be folders, not links to somewhere else.
    real: BTreeSet<PathBuf>,
    /// Folders that exist, and whose parent is, or will be, synced by this value.
    made: BTreeSet<PathBuf>,
    /// Folders whose names changed since the last barrier, each with the objects put into it.
    unsynced: BTreeMap<PathBuf, Vec<ObjectInfo>>,
    /// The store's folder was made by somebody else, who may have placed it where we may not look.
    root_was_there: bool,
    /// The folder whose sync failed. Set for good.
    doubtful: Option<PathBuf>,
}

/// Only for a `Debug` that does not ask one of every `Env`.
struct SharedEnv(Arc<dyn Env>);

impl std::fmt::Debug for SharedEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

/// How an object gets its name.
#[derive(Clone, Copy)]
enum Publish {
    New,
    Replace,
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

    /// The folders between the store's and the object's, outermost first.
    fn folders_above(&self, path: &Path) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != self.root.as_path())
            .map(Path::to_owned)
            .collect();
        folders.reverse();
        folders
    }

    /// Refuses a folder of the store that is a link: what lies beyond it is not the store's.
    /// `false`: it does not exist.
    fn is_real_folder(&self, folder: &Path) -> Result<bool, VfsError> {
        if folder == self.root || self.state().real.contains(folder) {
            return Ok(true);
        }
        match self.vfs.entry(folder)? {
            None => Ok(false),
            Some(entry) if entry.kind == EntryKind::Folder => {
                self.state().real.insert(folder.to_owned());
                Ok(true)
            }
            Some(_) => {
                let cause = "not a folder (a link is not followed)";
                Err(VfsError::new(VfsErrorKind::Other, "enter", folder, cause))
            }
        }
    }

    /// Checks the folders above a file that is to be read or removed.
    fn enter_folders(&self, path: &Path) -> Result<(), VfsError> {
        for folder in self.folders_above(path) {
            if !self.is_real_folder(&folder)? {
                let cause = "no such folder";
                return Err(VfsError::new(
                    VfsErrorKind::NotFound,
                    "enter",
                    &folder,
                    cause,
                ));
            }
        }
        Ok(())
    }

    /// Makes the store's folder, with those above it, and leaves the parents to be synced.
    fn make_root(&self, folder: &Path) -> Result<(), VfsError> {
        if self.state().made.contains(folder) {
            return Ok(());
        }
        let parent = folder_of(folder);
        let made = match self.vfs.create_dir(folder) {
            Err(error) if error.kind == VfsErrorKind::NotFound && parent != folder => {
                self.make_root(parent)?;
                self.vfs.create_dir(folder)
            }
            other => other,
        };
        match made {
            Ok(()) => {}
            // A link to a folder is good enough here: the user named it. Perhaps made by a process
            // that was killed before it synced the parent: so that is synced in any case, once.
            Err(error) if error.kind == VfsErrorKind::Exists => {
                self.state().root_was_there |= folder == self.root;
            }
            Err(error) => return Err(error),
        }
        self.note_made(folder);
        Ok(())
    }

    /// Makes a folder beneath the store's.
    fn make_folder(&self, folder: &Path) -> Result<(), VfsError> {
        if self.state().made.contains(folder) {
            return Ok(());
        }
        match self.vfs.create_dir(folder) {
            Ok(()) => {}
            // Synced once in any case, as above.
            Err(error) if error.kind == VfsErrorKind::Exists => {
                self.is_real_folder(folder)?;
            }
            Err(error) => return Err(error),
        }
        self.note_made(folder);
        Ok(())
    }

    fn note_made(&self, folder: &Path) {
        let mut state = self.state();
        state.made.insert(folder.to_owned());
        let parent = folder_of(folder).to_owned();
        state.unsynced.entry(parent).or_default();
    }

    /// The next barrier makes packs durable that somebody else put: who may have been killed before its
    /// own barrier, or has not come to it yet, while the caller is about to lean on them.
    fn note_seen(&self, folder: &Path, objects: &[ObjectInfo]) {
        let mut state = self.state();
        for object in objects {
            let path = self.root.join(&object.name);
            for above in path.ancestors().skip(1) {
                state.unsynced.entry(above.to_owned()).or_default();
                if above == folder {
                    break;
                }
            }
        }
        if !objects.is_empty() {
            state.unsynced.entry(self.root.clone()).or_default();
        }
    }

    /// Makes all folders that writing this object needs.
    fn make_folders(&self, path: &Path) -> Result<(), VfsError> {
        self.make_root(&self.root)?;
        self.make_folder(&self.root.join(TEMP_FOLDER))?;
        self.folders_above(path)
            .iter()
            .try_for_each(|folder| self.make_folder(folder))
    }

    /// Writes the bytes into a temporary file and makes them durable; a second try, if any, under
    /// another name. On an error no file is left, unless removing it failed too.
    fn write_temp(&self, bytes: &[u8]) -> Result<PathBuf, VfsError> {
        match self.write_temp_once(bytes) {
            // Nothing would change at the second try; the first one must not cost twice the space.
            Err(error) if matches!(error.kind, VfsErrorKind::NoSpace | VfsErrorKind::Denied) => {
                Err(error)
            }
            Err(_first) => self.write_temp_once(bytes),
            written => written,
        }
    }

    fn write_temp_once(&self, bytes: &[u8]) -> Result<PathBuf, VfsError> {
        let random = u128::from_be_bytes(random_16(&*self.env.0));
        let temp = self.root.join(TEMP_FOLDER).join(format!("{random:032x}"));
        let mut file = self.vfs.create_new(&temp)?;
        let written = vfs::write_all(&mut *file, &temp, bytes)
            // Before the sync, which then makes the permissions durable too.
            .and_then(|()| file.make_read_only())
            .and_then(|()| file.sync());
        drop(file);
        match written {
            Ok(()) => Ok(temp),
            Err(error) => {
                self.drop_temp(&temp);
                Err(error)
            }
        }
    }

    /// Removes a temporary file. It would be harmless if it stayed, so this cannot fail.
    fn drop_temp(&self, temp: &Path) {
        let _harmless = self.vfs.unlink(temp);
    }

    fn write(&self, name: &str, bytes: &[u8], how: Publish) -> Result<(), BackendError> {
        let path = self.path_of("write", name)?;
        if !self.publish(name, &path, bytes, how, true)? {
            // Somebody has taken the file for one of the dead: another one, once.
            self.publish(name, &path, bytes, how, false)?;
        }
        // Also for an object that was there with equal bytes: whoever put it may have been killed
        // before its barrier.
        self.state()
            .unsynced
            .entry(folder_of(&path).to_owned())
            .or_default()
            .push(ObjectInfo {
                name: name.to_owned(),
                bytes: bytes.len().try_into().unwrap_or(u64::MAX),
            });
        Ok(())
    }

    /// Writes a temporary file and gives it its name. `false`, if `may_repeat`: it was gone before that.
    fn publish(
        &self,
        name: &str,
        path: &Path,
        bytes: &[u8],
        how: Publish,
        may_repeat: bool,
    ) -> Result<bool, BackendError> {
        let temp = self
            .make_folders(path)
            .and_then(|()| self.write_temp(bytes))
            .map_err(|error| of_object("write", name, error))?;
        let published = match how {
            Publish::New => self.vfs.publish_no_replace(&temp, path),
            Publish::Replace => self.vfs.replace(&temp, path),
        };
        if let Err(error) = published {
            let gone = error.kind == VfsErrorKind::NotFound;
            if may_repeat && gone && matches!(self.vfs.entry(&temp), Ok(None)) {
                return Ok(false);
            }
            self.drop_temp(&temp);
            self.settle(name, path, bytes, how, error)?;
        }
        Ok(true)
    }

    /// Decides, by reading back, what a publishing that failed has done.
    fn settle(
        &self,
        name: &str,
        path: &Path,
        bytes: &[u8],
        how: Publish,
        error: VfsError,
    ) -> Result<(), BackendError> {
        match (self.holds(path, bytes), how) {
            (Ok(Some(true)), _) => Ok(()),
            (Ok(Some(false)), Publish::New) => {
                let cause = format!("{error}; what is there has other content");
                Err(BackendError::new(
                    BackendErrorKind::Exists,
                    "write",
                    name,
                    cause,
                ))
            }
            // Nothing is there, or the old record still: it had no effect.
            (Ok(_), _) => Err(of_object("write", name, error)),
            (Err(reading), _) => {
                let cause = format!("{error}; reading it back: {reading}");
                let kind = BackendErrorKind::OutcomeUnknown;
                Err(BackendError::new(kind, "write", name, cause))
            }
        }
    }

    /// Whether a file has exactly these bytes; `None`: nothing is there.
    fn holds(&self, path: &Path, bytes: &[u8]) -> Result<Option<bool>, VfsError> {
        let bytes_len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.vfs.entry(path)? {
            None => Ok(None),
            Some(entry) if entry.kind == EntryKind::File && entry.bytes == bytes_len => {
                let there = self.vfs.read(path, bytes_len)?;
                Ok(Some(there == bytes))
            }
            Some(_) => Ok(Some(false)),
        }
    }

    /// What is left of the objects in a folder whose sync failed. That they can be read proves
    /// nothing about a power cut; that one cannot is known, and worse.
    fn examine(&self, folder: &Path, objects: &[ObjectInfo], error: &VfsError) -> BackendError {
        let lost = objects.iter().find(|object| {
            let entry = self.vfs.entry(&self.root.join(&object.name));
            !matches!(entry, Ok(Some(entry)) if entry.bytes == object.bytes)
        });
        match (lost, objects.first()) {
            (Some(object), _) => {
                let cause = format!("{error}; the object is not there any more");
                BackendError::new(BackendErrorKind::Other, "sync", &object.name, cause)
            }
            (None, first) => {
                let folder = folder.display().to_string();
                let name = first.map_or(folder, |object| object.name.clone());
                let cause = format!(
                    "{error}; {} written objects are there, but may not survive a power cut",
                    objects.len()
                );
                BackendError::new(BackendErrorKind::OutcomeUnknown, "sync", &name, cause)
            }
        }
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
        let _one_at_a_time = self.barrier.lock().unwrap_or_else(PoisonError::into_inner);
        let (unsynced, root_was_there) = {
            let mut state = self.state();
            if let Some(folder) = &state.doubtful {
                let cause = "an earlier sync of this folder failed";
                let name = folder.display().to_string();
                let kind = BackendErrorKind::OutcomeUnknown;
                return Err(BackendError::new(kind, "sync", &name, cause));
            }
            (std::mem::take(&mut state.unsynced), state.root_was_there)
        };
        for (folder, objects) in &unsynced {
            if let Err(error) = self.vfs.sync_dir(folder) {
                let above_root = root_was_there && folder == folder_of(&self.root);
                if above_root && error.kind == VfsErrorKind::Denied {
                    continue;
                }
                self.state().doubtful = Some(folder.clone());
                return Err(self.examine(folder, objects, &error));
            }
        }
        Ok(())
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
        let entries = match self.vfs.list_folder(&self.root.join(TEMP_FOLDER)) {
            Err(error) if error.kind == VfsErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| of_object("list", TEMP_FOLDER, error))?,
        };
        let own = entries.iter().filter(|entry| {
            let name = entry.path.to_str().unwrap_or("");
            let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            entry.kind == EntryKind::File && name.len() == 32 && name.bytes().all(hex)
        });
        Ok(own
            .map(|entry| entry.path.to_string_lossy().into_owned())
            .collect())
    }

    fn remove_unfinished(&self, name: &str) -> Result<(), BackendError> {
        checked_name("delete", name)?;
        let temp = self.root.join(TEMP_FOLDER).join(name);
        match self
            .enter_folders(&temp)
            .and_then(|()| self.vfs.unlink(&temp))
        {
            Err(error) if error.kind != VfsErrorKind::NotFound => {
                Err(of_object("delete", name, error))
            }
            _ => Ok(()),
        }
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        let entries = match self.vfs.list(&self.root) {
            Err(error) if error.kind == VfsErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| of_object("list", "", error))?,
        };
        let temp = Path::new(TEMP_FOLDER);
        let foreign = entries.iter().filter(|entry| match entry.kind {
            EntryKind::Foreign => !(entry.path.starts_with(temp) && entry.path != temp),
            EntryKind::File => {
                let stranger = entry.path.to_str().is_some_and(is_known_stranger);
                let in_temp = entry.path.starts_with(temp) && entry.path != temp;
                object_name(&entry.path).is_none() && !stranger && !in_temp
            }
            // A folder's name shows in what it holds.
            EntryKind::Folder => false,
        });
        Ok(foreign
            .map(|entry| entry.path.to_string_lossy().into_owned())
            .collect())
    }
}
