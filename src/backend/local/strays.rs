//! Files of a store's folder that are no objects: what dead processes have left unfinished, and what is
//! somebody else's.

use std::path::Path;

use super::{LocalBackend, TEMP_FOLDER, object_name, of_object};
use crate::backend::{BackendError, checked_name, is_known_stranger};
use crate::vfs::{EntryKind, VfsErrorKind};

impl LocalBackend {
    pub(super) fn list_unfinished(&self) -> Result<Vec<String>, BackendError> {
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

    pub(super) fn unlink_unfinished(&self, name: &str) -> Result<(), BackendError> {
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

    pub(super) fn list_foreign(&self) -> Result<Vec<String>, BackendError> {
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
