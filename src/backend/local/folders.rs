//! The folders of a store: made when they are needed, never entered through a link, synced together.
//!
//! A folder whose sync failed leaves the store's value unable to promise anything ever after, because
//! what the system then says of it is its cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{LocalBackend, TEMP_FOLDER};
use crate::backend::{BackendError, BackendErrorKind, ObjectInfo};
use crate::vfs::{EntryKind, VfsError, VfsErrorKind, folder_of};

/// What this value knows about its folders.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Folders that are known to be folders, not links to somewhere else.
    real: BTreeSet<PathBuf>,
    /// Folders that exist, and whose parent is, or will be, synced by this value.
    made: BTreeSet<PathBuf>,
    /// Folders whose names changed since the last barrier, each with the objects put into it.
    pub unsynced: BTreeMap<PathBuf, Vec<ObjectInfo>>,
    /// The store's folder was made by somebody else, who may have placed it where we may not look.
    root_was_there: bool,
    /// The folder whose sync failed. Set for good.
    doubtful: Option<PathBuf>,
}

impl LocalBackend {
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
    pub(super) fn enter_folders(&self, path: &Path) -> Result<(), VfsError> {
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
    pub(super) fn note_seen(&self, folder: &Path, objects: &[ObjectInfo]) {
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
    pub(super) fn make_folders(&self, path: &Path) -> Result<(), VfsError> {
        self.make_root(&self.root)?;
        self.make_folder(&self.root.join(TEMP_FOLDER))?;
        self.folders_above(path)
            .iter()
            .try_for_each(|folder| self.make_folder(folder))
    }

    /// Makes the names durable that changed since the last time.
    pub(super) fn sync_folders(&self) -> Result<(), BackendError> {
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
