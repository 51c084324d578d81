//! Copies of a database page by page, through SQLite's backup interface.

use rusqlite::backup::{Backup, StepResult};

use super::open::Connection;
use super::statement::{ErrorKind, SqliteError};

/// A copy that is being made. Dropped before it is complete, the copy is garbage.
///
/// While the source is in a read transaction it stays in it, and what is copied is one state;
/// otherwise each step takes and releases the lock, and SQLite begins again by itself when the
/// database was written between two steps.
pub struct PageCopy<'c>(Backup<'c, 'c>);

impl<'c> PageCopy<'c> {
    /// Copies nothing yet.
    pub fn begin(from: &'c Connection, to: &'c mut Connection) -> Result<Self, SqliteError> {
        Ok(Self(Backup::new(&from.db, &mut to.db)?))
    }

    /// Copies so many further pages. True once all are there.
    pub fn step(&self, pages: i32) -> Result<bool, SqliteError> {
        match self.0.step(pages)? {
            StepResult::Done => Ok(true),
            StepResult::More => Ok(false),
            _ => Err(SqliteError {
                kind: ErrorKind::Busy,
                code: rusqlite::ffi::SQLITE_BUSY,
                message: "database is locked".to_owned(),
            }),
        }
    }

    /// Pages of the source, as of the last step.
    pub fn pages(&self) -> u64 {
        u64::try_from(self.0.progress().pagecount).unwrap_or(0)
    }
}
