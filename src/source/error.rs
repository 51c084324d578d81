//! What can go wrong while a database is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sqlite::{ErrorKind, SqliteError};

/// A database that could not be read. Never turns into an error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No such file.
    #[error("no database at {path}")]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// A directory, another kind of file, or an encrypted database.
    #[error("{path} is not a SQLite database: {found}")]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Locked for longer than the wait allowed.
    #[error("{path} is locked by another program (waited {} s): {cause}", waited.as_secs_f64())]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long was waited at most.
        waited: Duration,
        /// What SQLite said.
        cause: SqliteError,
    },
    /// An interrupted transaction must be rolled back first, which a reader may not do.
    #[error(
        "{path} was left in the middle of a transaction: its journal must be rolled back by a program that may write"
    )]
    NeedsRecovery {
        /// The database.
        path: PathBuf,
    },
    /// Copying it would keep other programs waiting for longer than is allowed.
    #[error(
        "{path} was given up: to copy it, others would have had to wait longer than {} s", max.as_secs_f64()
    )]
    LockTooLong {
        /// The database.
        path: PathBuf,
        /// What is allowed.
        max: Duration,
    },
    /// Others wrote so much while it was read that its `-wal` grew over what is allowed.
    #[error(
        "{path} was given up: its -wal grew by {} MiB while it was read, more than {} MiB",
        grown_bytes >> 20, max_bytes >> 20
    )]
    WalGrew {
        /// The database.
        path: PathBuf,
        /// By how much it grew.
        grown_bytes: u64,
        /// What is allowed.
        max_bytes: u64,
    },
    /// Others wrote to it while it was read in slices: what was read is of two states.
    #[error("{path} was written to while it was read")]
    WrittenMeanwhile {
        /// The database.
        path: PathBuf,
    },
    /// In WAL mode it cannot be read without a permission that is missing.
    #[error(
        "{path} is in WAL mode: to read it, {} must be writable: {cause}", needed.display()
    )]
    WalNeedsWrite {
        /// The database.
        path: PathBuf,
        /// The database, or its folder.
        needed: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// WAL mode does not work where the file lies.
    #[error(
        "{path} is in WAL mode on {file_system}: that needs memory in common, which programs on different machines do not have"
    )]
    WalOverNetwork {
        /// The database.
        path: PathBuf,
        /// The file system.
        file_system: &'static str,
    },
    /// Renamed, replaced or deleted while it was read.
    #[error("{path} was replaced while it was read")]
    Changed {
        /// The database.
        path: PathBuf,
    },
    /// Malformed or cut short.
    #[error("{path} is damaged{}: {cause}", in_table(table.as_deref()))]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The table that was read.
        table: Option<String>,
        /// What SQLite said.
        cause: SqliteError,
    },
    /// Not permitted.
    #[error("no permission to read {path}: {cause}")]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system or SQLite said.
        cause: String,
    },
    /// No space for the private copy.
    #[error("no space for a copy of {path}: {cause}")]
    NoSpace {
        /// The database.
        path: PathBuf,
        /// What the system or SQLite said.
        cause: String,
    },
    /// Not everything can be read, or carried as records, and less was not wanted.
    #[error(
        "not all of {path} can be carried as records, nothing was stored: {}",
        some_of(what)
    )]
    NotAllCarried {
        /// The database.
        path: PathBuf,
        /// What cannot, and why.
        what: Vec<String>,
    },
    /// The read was interrupted.
    #[error("reading {path} was interrupted")]
    Cancelled {
        /// The database.
        path: PathBuf,
    },
    /// Any other answer of SQLite.
    #[error("cannot read {path}{}: {cause}", in_table(table.as_deref()))]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// The table that was read.
        table: Option<String>,
        /// What SQLite said.
        cause: SqliteError,
    },
    /// Any other failure of the file system.
    #[error("cannot {op} {path}: {cause}")]
    File {
        /// The operation, a verb.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// The first of them, in one line.
fn some_of(what: &[String]) -> String {
    const NAMED_MAX: usize = 3;
    let named = what.iter().take(NAMED_MAX).map(String::as_str);
    let mut line = named.collect::<Vec<_>>().join("; ");
    if what.len() > NAMED_MAX {
        line.push_str(&format!("; and {} more", what.len() - NAMED_MAX));
    }
    line
}

fn in_table(table: Option<&str>) -> String {
    table.map_or_else(String::new, |name| format!(" in table {name}"))
}

/// SQLite's extended codes for a journal that a reader may not roll back.
const READONLY_ROLLBACK: i32 = 776;
/// The WAL index needs recovery, and the connection may not write it.
const READONLY_RECOVERY: i32 = 264;

impl SourceError {
    /// SQLite's answer about a database, and about a table of it.
    pub(super) fn of(path: &Path, table: Option<&str>, cause: SqliteError) -> Self {
        let path = path.to_owned();
        let table = table.map(str::to_owned);
        match cause.kind {
            ErrorKind::Busy => Self::Busy {
                path,
                waited: Duration::ZERO,
                cause,
            },
            ErrorKind::Corrupt => Self::Corrupt { path, table, cause },
            ErrorKind::NotADatabase => Self::NotADatabase {
                path,
                found: cause.message,
            },
            ErrorKind::ReadOnly if matches!(cause.code, READONLY_ROLLBACK | READONLY_RECOVERY) => {
                Self::NeedsRecovery { path }
            }
            ErrorKind::CannotOpen | ErrorKind::ReadOnly => Self::Denied {
                path,
                cause: cause.to_string(),
            },
            ErrorKind::Full => Self::NoSpace {
                path,
                cause: cause.to_string(),
            },
            ErrorKind::Interrupted => Self::Cancelled { path },
            _ => Self::Sqlite { path, table, cause },
        }
    }

    /// The file system's answer about a file.
    pub(super) fn file(op: &'static str, path: &Path, cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let path = path.to_owned();
        match cause.kind() {
            Io::NotFound | Io::NotADirectory => Self::NotFound { path },
            Io::PermissionDenied => Self::Denied {
                path,
                cause: cause.to_string(),
            },
            Io::StorageFull | Io::QuotaExceeded => Self::NoSpace {
                path,
                cause: cause.to_string(),
            },
            _ => Self::File { op, path, cause },
        }
    }
}
