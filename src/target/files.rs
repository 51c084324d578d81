//! The few file calls that a new database needs: a name beside its place, sync, publish.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::error::TargetError;

/// What SQLite keeps beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file being built, beside its place; it goes with this value unless it is published.
#[derive(Debug)]
pub(super) struct Unpublished {
    temp: tempfile::TempPath,
    place: PathBuf,
    folder: PathBuf,
}

impl Unpublished {
    /// Makes an empty file `.<name>.larder-<random>` in the folder of `place`, readable by its
    /// owner only. Refuses if `place` or a sidecar of it exists.
    pub(super) fn create(place: &Path) -> Result<Self, TargetError> {
        let folder = match place.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let Some(name) = place.file_name() else {
            return Err(TargetError::NoFolder {
                path: place.to_owned(),
            });
        };
        if !folder.is_dir() {
            return Err(TargetError::NoFolder { path: folder });
        }
        ensure_absent(place)?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".larder-");
        let temp = tempfile::Builder::new()
            .prefix(&prefix)
            .tempfile_in(&folder)
            .map_err(|cause| TargetError::file("make a file in", &folder, cause))?
            .into_temp_path();
        Ok(Self {
            temp,
            place: place.to_owned(),
            folder,
        })
    }

    /// Where the file is now.
    pub(super) fn temp(&self) -> &Path {
        &self.temp
    }

    /// Where it will be.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Makes the file durable, gives it its name without replacing anything, and makes that durable.
    pub(super) fn publish(self) -> Result<(), TargetError> {
        if let Some(sidecar) = sidecars(&self.temp).into_iter().find(|path| exists(path)) {
            let cause = io::Error::other("SQLite left it behind");
            return Err(TargetError::file("finish", &sidecar, cause));
        }
        sync(&self.temp).map_err(|e| TargetError::file("sync", &self.temp, e))?;
        ensure_absent(&self.place)?;
        rename_new(&self.temp, &self.place)
            .map_err(|e| TargetError::file("publish", &self.place, e))?;
        sync(&self.folder).map_err(|e| TargetError::file("sync", &self.folder, e))
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        // The file itself goes with `temp`; nothing is left to report a failure to.
        for sidecar in sidecars(&self.temp) {
            let _ = std::fs::remove_file(sidecar);
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

/// True if anything is at a path that a database is meant for, a link to nowhere too.
pub fn is_present(path: &Path) -> bool {
    exists(path)
}

/// True for a symbolic link to nowhere, too.
fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// An old `-wal` beside a new database would be replayed into it.
fn ensure_absent(place: &Path) -> Result<(), TargetError> {
    let in_the_way = std::iter::once(place.to_owned())
        .chain(sidecars(place))
        .find(|path| exists(path));
    match in_the_way {
        Some(path) => Err(TargetError::Exists { path }),
        None => Ok(()),
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system without it: a second name is refused just so, then the first goes.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        done => Ok(done?),
    }
}
