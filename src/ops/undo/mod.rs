//! Takes a restore back: the inverse of what it did, row by row. What was changed since is left alone,
//! and said.

mod apply;
mod look;
mod plan;
mod select;

use std::path::PathBuf;
use std::time::Duration;

use self::plan::Plan;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::schema::Schema;
use crate::ops::backup::Deed;
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::ops::safety;
use crate::ops::stored::read_schema;
use crate::progress::{Finding, Progress};
use crate::store::StoreReader;
use crate::target::{CheckLevel, Hold, LiveDatabase, TargetError, Worksheet};

/// Plans that are made before a database counts as too busy to be written.
const TRIES: u32 = 3;

/// What to undo.
#[derive(Debug, Clone, Default)]
pub struct UndoOptions {
    /// The database.
    pub target: PathBuf,
    /// The snapshot of what the restore made; `None`: that of the last restore into this database that was
    /// not undone.
    pub restore: Option<String>,
    /// Make the plan and stop there.
    pub dry_run: bool,
    /// Undo what can be undone, though rows were changed since.
    pub skip_conflicts: bool,
    /// How long to wait for a database that is busy.
    pub busy_timeout: Duration,
    /// How the result is checked before it counts.
    pub check: CheckLevel,
    /// Take no snapshot first: the undo itself cannot be undone.
    pub no_safety_snapshot: bool,
}

/// What happens, or happened, to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// The table.
    pub table: String,
    /// Rows that the restore inserted, and that are deleted.
    pub deleted: u64,
    /// Rows that the restore deleted, and that are inserted again.
    pub inserted: u64,
    /// Rows that get the values again that they had.
    pub updated: u64,
    /// Rows that are as before the restore already.
    pub already: u64,
    /// Rows that were changed since.
    pub conflicts: u64,
}

/// A row that was changed since the restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The table.
    pub table: String,
    /// Key of the row, for people.
    pub row: String,
    /// What happened to it.
    pub reason: String,
    /// As the restore left it: `column value`; empty: it was not there.
    pub restored: Vec<String>,
    /// As it is now; empty: it is gone.
    pub now: Vec<String>,
}

/// What an undo did, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoOutcome {
    /// The snapshot before the restore.
    pub before: SnapshotSummary,
    /// The snapshot of what the restore made.
    pub after: SnapshotSummary,
    /// The database.
    pub target: PathBuf,
    /// True if nothing was written.
    pub dry_run: bool,
    /// Tables that the restore changed.
    pub tables: Vec<UndoReport>,
    /// Tables, indexes, views and triggers that the restore made, and that are dropped.
    pub dropped: Vec<String>,
    /// The first rows that were changed since. Unless they are skipped, nothing was written.
    pub changed: Vec<Changed>,
    /// True if they were skipped.
    pub skipped: bool,
    /// The snapshot of the database that was taken first.
    pub safety_snapshot: Option<SnapshotSummary>,
    /// The snapshot of what the undo made.
    pub after_snapshot: Option<SnapshotSummary>,
    /// Notes and warnings.
    pub findings: Vec<Finding>,
    /// Time it took.
    pub elapsed_ms: u64,
}

impl UndoOutcome {
    /// True if changed rows kept it from being written.
    pub fn is_stopped(&self) -> bool {
        let conflicting = self.tables.iter().any(|table| table.conflicts > 0);
        !self.skipped && (conflicting || !self.changed.is_empty())
    }

    /// True if there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        let mut tables = self.tables.iter();
        let is_quiet = |t: &UndoReport| t.deleted + t.inserted + t.updated + t.conflicts == 0;
        self.dropped.is_empty() && tables.all(is_quiet)
    }
}

/// A restore that is to be undone, with what is read of it.
struct Restored<'r> {
    reader: &'r StoreReader,
    before: &'r Manifest,
    before_schema: &'r Schema,
    after: &'r Manifest,
    after_schema: &'r Schema,
    live: &'r LiveDatabase,
}

/// Undoes a restore.
///
/// Errors: `Select` if there is none, `Store`, `Target`, `Source`, `Cancelled`; nothing is written then,
/// nor if [`UndoOutcome::is_stopped`].
pub fn run(
    store: &mut Store,
    world: &World,
    options: &UndoOptions,
    progress: &mut dyn Progress,
) -> Result<UndoOutcome, Error> {
    let begun = world.env.monotonic();
    let (after, before) = select::restore(store, options)?;
    let ids = store.snapshot_names()?.ids;
    let reader = store.reader()?;
    let schemas = (
        read_schema(&reader, &before)?,
        read_schema(&reader, &after)?,
    );
    let (busy, plan_only) = (options.busy_timeout, options.dry_run);
    let live = LiveDatabase::open(&options.target, busy, plan_only, false)?;
    let restored = Restored {
        reader: &reader,
        before: &before,
        before_schema: &schemas.0,
        after: &after,
        after_schema: &schemas.1,
        live: &live,
    };
    let mut outcome = UndoOutcome {
        before: summary(&before, &ids),
        after: summary(&after, &ids),
        target: options.target.clone(),
        dry_run: options.dry_run,
        tables: Vec::new(),
        dropped: Vec::new(),
        changed: Vec::new(),
        skipped: options.skip_conflicts,
        safety_snapshot: None,
        after_snapshot: None,
        findings: Vec::new(),
        elapsed_ms: 0,
    };
    for _ in 0..TRIES {
        if attempt(store, world, &restored, options, &mut outcome, progress)? {
            live.close()?;
            for finding in &outcome.findings {
                progress.found(finding);
            }
            let elapsed = world.env.monotonic().saturating_sub(begun);
            outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            return Ok(outcome);
        }
    }
    Err(TargetError::Changed {
        path: options.target.clone(),
        tries: TRIES,
    }
    .into())
}

/// Plans, and carries the plan out. False if others wrote to the database meanwhile.
fn attempt(
    store: &mut Store,
    world: &World,
    restored: &Restored<'_>,
    options: &UndoOptions,
    outcome: &mut UndoOutcome,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let live = restored.live;
    let view = live.begin_view(Hold::Free)?;
    let sheet = Worksheet::new(live).inspect_err(|_| live.roll_back())?;
    let plan = Plan::make(restored, &view, &sheet, progress).inspect_err(|_| live.roll_back())?;
    if !live.end_view(&view)? {
        return Ok(false);
    }
    plan.report(outcome);
    if options.dry_run || outcome.is_stopped() || outcome.is_empty() {
        return Ok(true);
    }
    let mut before = None;
    if !options.no_safety_snapshot {
        let (target, busy) = (&options.target, options.busy_timeout);
        let saved = safety::save(store, world, target, busy, progress)?;
        outcome.safety_snapshot = Some(saved.summary.clone());
        before = Some(saved);
    }
    if !live.begin_write(&view)? {
        return Ok(false);
    }
    let done = apply::run(restored, &view, &plan, options, outcome, progress);
    done.inspect_err(|_| live.roll_back())?;
    if outcome.is_stopped() {
        live.roll_back();
        return Ok(true);
    }
    let deed = Deed::Undo(restored.after.id.clone());
    let changed: Vec<String> = outcome.tables.iter().map(|t| t.table.clone()).collect();
    let before = before.as_ref();
    outcome.after_snapshot = safety::commit(store, world, live, before, deed, &changed, progress)?;
    Ok(true)
}
