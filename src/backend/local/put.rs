//! An object written as `tmp/<random>`, synced, and only then given its name.
//!
//! A file whose sync failed is dropped and the whole object written anew from memory, once.

use std::path::{Path, PathBuf};

use super::{LocalBackend, TEMP_FOLDER, of_object};
use crate::backend::{BackendError, BackendErrorKind, ObjectInfo};
use crate::env::random_16;
use crate::vfs::{self, EntryKind, VfsError, VfsErrorKind, folder_of};

/// How an object gets its name.
#[derive(Clone, Copy)]
pub(super) enum Publish {
    New,
    Replace,
}

impl LocalBackend {
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

    pub(super) fn write(&self, name: &str, bytes: &[u8], how: Publish) -> Result<(), BackendError> {
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
}
