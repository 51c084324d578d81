//! The few file calls that a new database needs: a name beside its place, sync, publish.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Access;

use super::error::TargetError;
use crate::vfs::os::real_path;
use crate::vfs::{Vfs, VfsError, VfsErrorKind, folder_of};

/// Before the umask, as of any file that a program makes.
const MODE: u32 = 0o666;

/// Of a file that nobody else is to read: the database beside it may be one's own.
const MODE_PRIVATE: u32 = 0o600;

/// What SQLite keeps beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What a database is built for.
#[derive(Debug, Clone, Copy)]
pub enum Place<'p> {
    /// A new database: nothing may be there yet.
    New(&'p Path),
    /// The content of a database that exists: the file is built beside it, for nobody else to read, and never
    /// gets a name.
    Within(&'p Path),
}

impl<'p> Place<'p> {
    /// The database, as it was named.
    pub fn path(self) -> &'p Path {
        match self {
            Self::New(path) | Self::Within(path) => path,
        }
    }

    /// Where the file is built: on the disk where its content will be.
    pub(super) fn folder(self) -> PathBuf {
        match self {
            Self::New(path) => folder_of(path).to_owned(),
            Self::Within(path) => folder_of(&real_path(path)).to_owned(),
        }
    }
}

impl<'p> From<&'p Path> for Place<'p> {
    fn from(path: &'p Path) -> Self {
        Self::New(path)
    }
}

impl<'p> From<&'p PathBuf> for Place<'p> {
    fn from(path: &'p PathBuf) -> Self {
        Self::New(path)
    }
}

/// A file being built, beside its place; it goes with this value unless it is published.
#[derive(Debug)]
pub(super) struct Unpublished {
    vfs: Arc<dyn Vfs>,
    temp: tempfile::TempPath,
    place: PathBuf,
    folder: PathBuf,
}

impl Unpublished {
    /// Makes an empty file `.<name>.larder-<random>` in the folder of `place`. Refuses if a new `place`
    /// or a sidecar of it exists.
    /// Gives it open for writing, too.
    pub(super) fn create(vfs: Arc<dyn Vfs>, place: Place<'_>) -> Result<(Self, File), TargetError> {
        let folder = place.folder();
        let (name, mode) = match place {
            Place::New(path) => (ensure_place(&*vfs, path)?, MODE),
            Place::Within(path) => (name_of(path)?, MODE_PRIVATE),
        };
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".larder-");
        let (file, temp) = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(&folder)
            .map_err(|cause| TargetError::file("make a file in", &folder, cause))?
            .into_parts();
        let unpublished = Self {
            vfs,
            temp,
            place: place.path().to_owned(),
            folder,
        };
        Ok((unpublished, file))
    }

    /// Where the file is now.
    pub(super) fn temp(&self) -> &Path {
        &self.temp
    }

    /// Where it will be.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Where it is built.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its length.
    pub(super) fn bytes(&self) -> Result<u64, TargetError> {
        file_bytes(&*self.vfs, &self.temp)
    }

    /// Makes the file durable, gives it its name without replacing anything, and makes that durable.
    pub(super) fn publish(mut self) -> Result<(), TargetError> {
        for sidecar in sidecars(&self.temp) {
            if is_present(&*self.vfs, &sidecar)? {
                let cause = io::Error::other("SQLite left it behind");
                return Err(TargetError::file("finish", &sidecar, cause));
            }
        }
        let failed = |op, path: &Path| {
            let path = path.to_owned();
            move |error| of_file(op, &path, error)
        };
        self.vfs
            .sync_file(&self.temp)
            .map_err(failed("sync", &self.temp))?;
        ensure_absent(&*self.vfs, &self.place)?;
        self.vfs
            .publish_no_replace(&self.temp, &self.place)
            .map_err(failed("publish", &self.place))?;
        // The name is free again: whoever takes it now keeps it.
        self.temp.disable_cleanup(true);
        self.vfs
            .sync_dir(&self.folder)
            .map_err(failed("sync", &self.folder))
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        // The file itself goes with `temp`; nothing is left to report a failure to.
        for sidecar in sidecars(&self.temp) {
            let _ = self.vfs.unlink(&sidecar);
        }
    }
}

fn sidecars(path: &Path) -> [PathBuf; 3] {
    SIDECARS.map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// The answer of the Vfs about a file.
fn of_file(op: &'static str, path: &Path, error: VfsError) -> TargetError {
    let path = path.to_owned();
    match error.kind {
        VfsErrorKind::Exists => TargetError::Exists { path },
        VfsErrorKind::NoSpace => TargetError::NoSpace { path },
        VfsErrorKind::Denied => TargetError::Denied {
            path,
            cause: error.cause.to_string(),
        },
        _ => TargetError::file(op, &path, error.cause),
    }
}

fn name_of(place: &Path) -> Result<&OsStr, TargetError> {
    place.file_name().ok_or_else(|| TargetError::NoFolder {
        path: place.to_owned(),
    })
}

/// A file can be made there, as far as that is known without making one. Gives its name.
fn ensure_place<'p>(vfs: &dyn Vfs, place: &'p Path) -> Result<&'p OsStr, TargetError> {
    let folder = folder_of(place);
    let name = name_of(place)?;
    if !folder.is_dir() {
        let path = folder.to_owned();
        return Err(TargetError::NoFolder { path });
    }
    ensure_absent(vfs, place)?;
    ensure_access(folder)?;
    Ok(name)
}

/// Refuses a place where a new database cannot be made.
///
/// Errors: `NoFolder`, `Exists`, `Denied`.
pub fn ensure_can_be_made(vfs: &dyn Vfs, place: &Path) -> Result<(), TargetError> {
    ensure_place(vfs, place).map(drop)
}

/// Refuses a database that this user may not write, or beside which no journal can be made.
///
/// Errors: `Denied`.
pub(super) fn ensure_can_be_written(database: &Path) -> Result<(), TargetError> {
    ensure_access(database)?;
    // Where a link leads, and else the folder as it was named.
    let (real, folder) = (real_path(database), folder_of(database));
    match real_path(folder) == folder_of(&real) {
        true => ensure_access(folder),
        false => ensure_access(folder_of(&real)),
    }
}

fn ensure_access(path: &Path) -> Result<(), TargetError> {
    rustix::fs::access(path, Access::WRITE_OK)
        .map_err(|error| TargetError::file("write", path, error.into()))
}

/// True if anything is at a path that a database is meant for, a symbolic link to nowhere too.
pub fn is_present(vfs: &dyn Vfs, path: &Path) -> Result<bool, TargetError> {
    let entry = vfs.entry(path).map_err(|e| of_file("look at", path, e))?;
    Ok(entry.is_some())
}

/// Length of a file; 0 if it is not there.
pub fn file_bytes(vfs: &dyn Vfs, path: &Path) -> Result<u64, TargetError> {
    let entry = vfs.entry(path).map_err(|e| of_file("look at", path, e))?;
    Ok(entry.map_or(0, |entry| entry.bytes))
}

/// An old `-wal` beside a new database would be replayed into it.
fn ensure_absent(vfs: &dyn Vfs, place: &Path) -> Result<(), TargetError> {
    for path in std::iter::once(place.to_owned()).chain(sidecars(place)) {
        if is_present(vfs, &path)? {
            return Err(TargetError::Exists { path });
        }
    }
    Ok(())
}
