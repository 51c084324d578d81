//! What a backup is asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::format::manifest::IntegrityCheck;
use crate::source::Reading;

/// What to back up, and under which names.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// The database file.
    pub database: PathBuf,
    /// Name of the snapshot; `None`: `backup_YYYYMMDD_HHMMSS` in local time, `_2` … if taken.
    pub name: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Tells sources apart in place of host and path.
    pub source_name: Option<String>,
    /// How long to wait for a database that is busy.
    pub busy_timeout: Duration,
    /// Folder for private copies; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// How SQLite checks the source first; a first backup is checked quickly in any case.
    pub check_source: Option<IntegrityCheck>,
    /// Fail rather than take a snapshot that lacks something, or that holds pages.
    pub strict: bool,
    /// What the programs that use the database are asked to bear.
    pub reading: Reading,
    /// Rows of databases of so many bytes and more are not read where the pages they lie on are those of the last
    /// backup; `None`: every row is read.
    pub fast_skip_from: Option<u64>,
}

impl BackupOptions {
    /// Folder for private copies.
    pub(super) fn temp_dir(&self) -> PathBuf {
        self.temp_dir.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// True if this build can tell by its pages that a table has not changed: its SQLite has `sqlite_dbpage`.
pub fn has_fast_skip() -> bool {
    crate::source::has_dbpage()
}

/// From this size on a database is worth remembering its pages.
pub const FAST_SKIP_FROM: u64 = 1 << 20;
