//! Which connection a source gets, so that it is read as it is and left as it was.
//!
//! | beside the database | it is opened |
//! | --- | --- |
//! | `-wal` and `-shm`: in use, or left by a crash | read only; nothing is checkpointed |
//! | `-wal` alone: nobody has it open | alone, without a `-shm`, for a private copy |
//! | neither, WAL mode: closed in good order | shared; what SQLite makes it removes again |
//! | neither, rollback mode | read only, for a private copy |
//! | a hot `-journal` | shared; SQLite rolls back, as for any program |
//!
//! On the user's word that nobody writes (`immutable`) it is opened without locks and files.

use std::path::{Path, PathBuf};

use super::error::SourceError;
use super::file_system::{self, Distrusted};
use super::files::{self, Looked};
use super::options::{CaptureOptions, Reading};
use super::patience;
use super::private_copy::Blocks;
use crate::sqlite::source::{Probed, SourceProfile};
use crate::sqlite::{Connection, SqliteError};
use crate::vfs::{Vfs, VfsError, folder_of, write_all};

/// Bytes of a file that are copied at a time.
const PIECE_BYTES: u64 = 8 << 20;

/// How often a journal is looked at before it is taken for that of a crash.
pub(super) const LOOKS_AT_JOURNAL: usize = 6;

/// An open source.
#[derive(Debug)]
pub(super) struct Opened {
    // Before `folder`: the connection closes before the files go.
    pub db: Connection,
    pub reading: ReadFrom,
    /// Holds the files that were copied on the user's word.
    pub folder: Option<tempfile::TempDir>,
    /// Facts for the user.
    pub notes: Vec<String>,
}

impl Opened {
    /// True if its rows are read from a private copy.
    pub(super) fn is_to_be_copied(&self, reading: &Reading) -> bool {
        match self.reading {
            ReadFrom::Copy(Blocks::Writers) => !reading.in_slices,
            ReadFrom::Copy(Blocks::Everybody | Blocks::Nobody) => true,
            ReadFrom::Wal => reading.private_copy,
            ReadFrom::Still(_) => false,
        }
    }
}

/// Where rows may be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadFrom {
    /// The source itself, in one WAL read transaction.
    Wal,
    /// The source itself, or files copied from it: nobody writes. True if it is in WAL mode.
    Still(bool),
    /// A private copy, whose making keeps others waiting.
    Copy(Blocks),
}

/// Opens a source. Its notes say what the user should know of how it lies there.
///
/// Errors: `WalNeedsWrite`, `WalOverNetwork`, `NeedsRecovery`, and those of opening and waiting.
pub(super) fn open(looked: &Looked, options: &CaptureOptions) -> Result<Opened, SourceError> {
    let network = file_system::of(&looked.path);
    // SQLite removes a `-wal` beside a file of no bytes, which is nobody's: it may in a copy.
    let is_stale = looked.bytes == 0 && looked.wal.is_some();
    let mut opened = if options.reading.immutable || is_stale {
        open_still(looked, options)?
    } else {
        open_in_use(looked, network, options)?
    };
    if let Some(Distrusted { name, .. }) = network {
        opened.notes.push(format!(
            "it lies on {name}, where locks may not work: a program on another machine could write while it is read"
        ));
    }
    if looked.names > 1 {
        opened.notes.push(format!(
            "has {} names (hard links): if a program opens it under another name, SQLite cannot protect it",
            looked.names
        ));
    }
    Ok(opened)
}

fn open_in_use(
    looked: &Looked,
    network: Option<Distrusted>,
    options: &CaptureOptions,
) -> Result<Opened, SourceError> {
    let refuse_wal = || match network {
        Some(Distrusted {
            name,
            refuses_wal: true,
        }) => Err(SourceError::WalOverNetwork {
            path: looked.path.clone(),
            file_system: name,
        }),
        _ => Ok(()),
    };
    if looked.wal.is_some() {
        refuse_wal()?;
        if looked.has_shm {
            return connect(looked, SourceProfile::ReadOnly, ReadFrom::Wal, options);
        }
        files::need_write(&looked.path, &looked.path)?;
        let from = ReadFrom::Copy(Blocks::Everybody);
        return connect(looked, SourceProfile::Alone, from, options);
    }
    match probe(looked, options) {
        Ok(Probed::Rollback) => {
            let from = ReadFrom::Copy(Blocks::Writers);
            connect(looked, SourceProfile::ReadOnly, from, options)
        }
        Ok(Probed::Wal) => {
            refuse_wal()?;
            // Opened read only it would get a `-wal` and a `-shm` that stay.
            files::need_write(&looked.path, &looked.path)?;
            files::need_write(&looked.path, folder_of(&looked.path))?;
            connect(looked, SourceProfile::Shared, ReadFrom::Wal, options)
        }
        Err(SourceError::NeedsRecovery { path }) => {
            if files::need_write(&path, &path).is_err() {
                return Err(SourceError::NeedsRecovery { path });
            }
            roll_back(looked, options)
        }
        Err(error) => Err(error),
    }
}

/// Tells the journal mode of a database without a `-wal`.
///
/// A writer that begins between two looks of SQLite's seems to have crashed, to a connection that
/// may not write: only a journal that is hot at each of several looks is taken for one.
fn probe(looked: &Looked, options: &CaptureOptions) -> Result<Probed, SourceError> {
    let mut looks = 1;
    loop {
        let watch = patience::watch(options);
        let probed = Connection::probe(&looked.path, watch, options.reading.tolerant);
        match probed.map_err(|cause| SourceError::of(&looked.path, None, cause)) {
            Err(SourceError::NeedsRecovery { .. }) if looks < LOOKS_AT_JOURNAL => {
                options.env.sleep(patience::wait_before(looks));
                looks += 1;
            }
            done => return done,
        }
    }
}

/// Opens a database with a hot journal: SQLite rolls it back when it first reads.
fn roll_back(looked: &Looked, options: &CaptureOptions) -> Result<Opened, SourceError> {
    let from = ReadFrom::Copy(Blocks::Writers);
    let mut opened = connect(looked, SourceProfile::Shared, from, options)?;
    let at = |cause: SqliteError| SourceError::of(&looked.path, None, cause);
    let mode = opened.db.text("PRAGMA main.journal_mode").map_err(at)?;
    if mode.as_deref() == Some("wal") {
        opened.reading = ReadFrom::Wal;
    }
    opened.notes.push(
        "an interrupted transaction was rolled back, as by any program that opens it".to_owned(),
    );
    Ok(opened)
}

fn connect(
    looked: &Looked,
    profile: SourceProfile,
    reading: ReadFrom,
    options: &CaptureOptions,
) -> Result<Opened, SourceError> {
    open_file(&looked.path, &looked.path, profile, options).map(|db| Opened {
        db,
        reading,
        folder: None,
        notes: Vec::new(),
    })
}

/// Opens `file`; errors name `path`.
fn open_file(
    path: &Path,
    file: &Path,
    profile: SourceProfile,
    options: &CaptureOptions,
) -> Result<Connection, SourceError> {
    let opened = Connection::open_source(
        file,
        profile,
        patience::watch(options),
        options.reading.tolerant,
    );
    opened.map_err(|cause| SourceError::of(path, None, cause))
}

/// Nobody writes, says the user: without locks, and the files may be read as such.
fn open_still(looked: &Looked, options: &CaptureOptions) -> Result<Opened, SourceError> {
    let path = &looked.path;
    let is_wal = is_in_wal_mode(looked, &*options.vfs)?;
    let is_left = |bytes: Option<u64>| bytes.is_some_and(|bytes| bytes > 0);
    let (db, folder) = if is_left(looked.wal) || is_left(looked.journal) {
        let folder = super::private_copy::folder(options)?;
        let copy = copy_files(looked, folder.path(), &*options.vfs)?;
        let db = open_file(path, &copy, SourceProfile::Alone, options)?;
        (db, Some(folder))
    } else {
        let db = open_file(path, path, SourceProfile::Immutable, options)?;
        (db, None)
    };
    Ok(Opened {
        db,
        reading: ReadFrom::Still(is_wal),
        folder,
        notes: Vec::new(),
    })
}

/// By the header: SQLite does not say it of a database that it opens as immutable.
fn is_in_wal_mode(looked: &Looked, vfs: &dyn Vfs) -> Result<bool, SourceError> {
    if looked.bytes < 20 {
        return Ok(false);
    }
    let versions = vfs
        .read_at(&looked.path, 18, 2)
        .map_err(|error| files::of_file("read", &looked.path, error))?;
    Ok(versions == [2, 2])
}

/// Copies the database with its `-wal` and `-journal`, under the same names, so that SQLite
/// recovers the copy as it would have recovered the original.
fn copy_files(looked: &Looked, folder: &Path, vfs: &dyn Vfs) -> Result<PathBuf, SourceError> {
    let copy = folder.join("copy.db");
    copy_file(&looked.path, &copy, looked.bytes, vfs)?;
    for (suffix, bytes) in [("-wal", looked.wal), ("-journal", looked.journal)] {
        if let Some(bytes) = bytes {
            let (from, to) = (
                files::sidecar(&looked.path, suffix),
                files::sidecar(&copy, suffix),
            );
            copy_file(&from, &to, bytes, vfs)?;
        }
    }
    Ok(copy)
}

fn copy_file(from: &Path, to: &Path, bytes: u64, vfs: &dyn Vfs) -> Result<(), SourceError> {
    let write = |error: VfsError| SourceError::file("copy", from, error.cause);
    let mut file = vfs.create_new(to).map_err(write)?;
    let mut at = 0;
    while at < bytes {
        let piece = vfs
            .read_at(from, at, PIECE_BYTES.min(bytes - at))
            .map_err(|error| files::of_file("read", from, error))?;
        write_all(&mut *file, to, &piece).map_err(write)?;
        at += piece.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the databases to open are made here"
)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::env::SystemEnv;
    use crate::progress::StopSign;
    use crate::vfs::os::OsVfs;

    /// No NFS is at hand: what would be found there is said instead.
    #[test]
    fn wal_mode_over_a_network_is_refused_and_no_file_is_made_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = CaptureOptions {
            busy: Duration::ZERO,
            temp_dir: dir.path().to_owned(),
            vfs: Arc::new(OsVfs),
            env: Arc::new(SystemEnv),
            stop: StopSign::default(),
            reading: Reading::default(),
        };
        let on = |name, refuses_wal| Some(Distrusted { name, refuses_wal });
        for (mode, network, refused) in [
            ("wal", on("NFS", true), true),
            ("delete", on("NFS", true), false),
            ("wal", on("FUSE", false), false),
        ] {
            let path = dir.path().join("app.db");
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(a)"))
                .unwrap();
            // In use, then closed.
            for db in [Some(db), None] {
                let looked = files::look(&path, &OsVfs).unwrap();
                let opened = open_in_use(&looked, network, &options);
                let says_so = matches!(
                    opened,
                    Err(SourceError::WalOverNetwork {
                        file_system: "NFS",
                        ..
                    })
                );
                assert_eq!(says_so, refused, "{mode} {network:?}: {opened:?}");
                drop((opened, db));
            }
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
