//! Puts records back: into a new file exactly as they were, or into a database that exists.

mod apply;
mod basis;
mod content;
mod decide;
mod existing;
mod matcher;
mod new_file;
mod pages;
mod plan;
mod records;
mod references;
mod reread;
mod scope;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress};
pub use crate::target::CheckLevel;
use crate::target::is_present;

/// What happens to rows that exist already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Existing rows are left as they are; missing ones are inserted.
    #[default]
    Add,
    /// As `Add`, and NULLs of existing rows are filled.
    Augment,
    /// Tables are emptied first, then filled: afterwards they equal the snapshot.
    Replace,
}

/// What to restore, and where.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The database to write: absent, or an existing one.
    pub target: PathBuf,
    /// What happens to rows that exist already.
    pub mode: Mode,
    /// Make the plan and stop there.
    pub dry_run: bool,
    /// How long to wait for a database that is busy.
    pub busy_timeout: Duration,
    /// How the result is checked before it counts.
    pub check: CheckLevel,
    /// What a new file is made from.
    pub form: Form,
}

/// What a new file is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Records; pages where the snapshot holds them, unless they are of a damaged database.
    #[default]
    Best,
    /// Records; what SQL does not make again is left out and named.
    Records,
    /// Pages, exactly as they were copied.
    Pages,
}

/// What happens, or happened, to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Records inserted.
    pub inserted: u64,
    /// Rows whose NULLs were filled.
    pub filled: u64,
    /// Rows that are there already, with equal values.
    pub same: u64,
    /// Records left out because a row with their key is there with other values.
    pub skipped: u64,
    /// Of those skipped: records whose row has another UNIQUE key, so that it may be another thing.
    pub doubtful: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Records that contradict the database; any stops the restore.
    pub conflicts: u64,
}

/// A record that contradicts the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The table.
    pub table: String,
    /// Key of the record, for people.
    pub record: String,
    /// What it collides with, and why that cannot be resolved.
    pub reason: String,
}

/// What a restore did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// The snapshot.
    pub snapshot: SnapshotSummary,
    /// The database that was written.
    pub target: PathBuf,
    /// True if it is a new file.
    pub new_file: bool,
    /// True if nothing was written.
    pub dry_run: bool,
    /// Length of the database before; `None` for a new file.
    pub target_bytes: Option<u64>,
    /// Whether others have it open; `None` where that is not known.
    pub target_in_use: Option<bool>,
    /// The mode, for an existing database.
    pub mode: Mode,
    /// Tables, in import order.
    pub tables: Vec<TableReport>,
    /// The first conflicts; any: nothing was written (exit code 5).
    pub conflicts: Vec<Conflict>,
    /// The snapshot of the target that was taken first, where rows are deleted; restoring it into
    /// the target with `Replace` goes back.
    pub safety_snapshot: Option<SnapshotSummary>,
    /// Notes and warnings.
    pub findings: Vec<Finding>,
    /// What was checked: for people, as `quick_check`, `foreign keys`, `counts`.
    pub checked: Vec<&'static str>,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Restores a snapshot: into a new file if nothing is at the target, else into the database there.
///
/// Errors: `Store`, `Target`, `Cancelled`; the target is then as it was.
pub fn run(
    store: &mut Store,
    world: &World,
    manifest: &Manifest,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let begun = world.env.monotonic();
    let mut outcome = if is_present(&*world.vfs, &options.target)? {
        existing::run(store, world, manifest, options, progress)?
    } else {
        new_file::run(store, world, manifest, options, progress)?
    };
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}
