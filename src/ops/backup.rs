//! Takes a snapshot of a database.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::format::manifest::Changes;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress};

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
}

/// An entity file of the new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// The table.
    pub entity: String,
    /// Its file's name.
    pub file: String,
    /// Records.
    pub records: u64,
    /// What differs from the parent; `None` if there is no parent, or it lacked the entity.
    pub changes: Option<Changes>,
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOutcome {
    /// The new snapshot.
    pub snapshot: SnapshotSummary,
    /// Name of the snapshot that `changes` compare with.
    pub parent: Option<String>,
    /// Entity files, in import order.
    pub entities: Vec<EntityReport>,
    /// Entities of the parent that are gone.
    pub dropped: Vec<String>,
    /// Notes and warnings, shown already through `Progress::found`.
    pub findings: Vec<Finding>,
    /// `WAL` or `rollback journal`.
    pub journal: String,
    /// Length of the database file.
    pub source_bytes: u64,
    /// Bytes of packs and manifest that were added.
    pub stored_bytes: u64,
    /// Sum of the lengths of the store's objects afterwards.
    pub store_bytes: u64,
    /// Snapshots in the store afterwards.
    pub store_snapshots: u64,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Backs up one database. On return the snapshot is durable.
pub fn run(
    store: &mut Store,
    world: &World,
    options: &BackupOptions,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> { todo!() }
