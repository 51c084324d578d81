//! SQLite's own check of a private copy, beside the reading of its rows: nobody waits for a copy.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use super::error::SourceError;
use crate::progress::StopSign;
use crate::sqlite::check::{self, IntegrityAnswer};
use crate::sqlite::{Connection, SqliteError};

/// A check that is under way.
#[derive(Debug)]
pub struct CheckBeside {
    path: PathBuf,
    thread: JoinHandle<Result<IntegrityAnswer, SqliteError>>,
}

impl CheckBeside {
    /// Begins to check a copy of `path`; `None` if there is no thread for it.
    pub(super) fn begin(
        path: PathBuf,
        copy: PathBuf,
        full: bool,
        tolerant: bool,
        stop: StopSign,
    ) -> Option<Self> {
        if thread::available_parallelism().map_or(1, usize::from) == 1 {
            return None;
        }
        let check = move || {
            let mut db = Connection::open_complete(&copy, tolerant)?;
            db.stop_when(move || stop.is_set())?;
            check::integrity(&db, full)
        };
        let thread = thread::Builder::new().name("check".to_owned());
        let thread = thread.spawn(check).ok()?;
        Some(Self { path, thread })
    }

    /// What it found.
    pub fn end(self) -> Result<IntegrityAnswer, SourceError> {
        let ended = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(SqliteError::ended("the check of the database")));
        ended.map_err(|cause| SourceError::of(&self.path, None, cause))
    }
}
