//! Takes a restore back: the inverse of what it did, row by row. What was changed since is left alone,
//! and said.

mod apply;
mod before;
mod changes;
mod gone;
mod look;
mod moved;
mod objects;
mod obstacles;
mod orphans;
mod plan;
mod references;
mod select;
mod values;

use std::path::PathBuf;
use std::time::Duration;

pub(in crate::ops) use self::select::settle;

use self::plan::Plan;
use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::model::schema::Schema;
use crate::ops::backup::Deed;
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::ops::safety;
use crate::ops::stored::read_schema;
use crate::progress::{Finding, Progress};
use crate::store::StoreReader;
use crate::target::{CheckLevel, Hold, LiveDatabase, Trial, Worksheet};

/// Plans that are made while others write. If they always do before one can be carried out, they have to
/// wait for the last.
const FREE_PLANS: u32 = 3;

/// What to undo.
#[derive(Debug, Clone, Default)]
pub struct UndoOptions {
    /// The database.
    pub target: PathBuf,
    /// The snapshot of what the restore made; `None`: that of the last restore into this database that was
    /// not undone, and of which something is left.
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
    /// Rows that stay: they were changed since, or what came since leaves them no room.
    pub conflicts: u64,
}

/// A row that stays: it was changed since the restore, or something that came since is in its way.
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
    /// The snapshot by which the restore was named.
    pub named: Option<String>,
    /// True if an undo is undone: the restore that it took back is done again.
    pub redoes: bool,
    /// True if nothing was written.
    pub dry_run: bool,
    /// Tables that the restore changed.
    pub tables: Vec<UndoReport>,
    /// Tables, indexes, views and triggers that the restore made, and that are dropped.
    pub dropped: Vec<String>,
    /// Those that the restore made, and that stay: the findings say why.
    pub kept: Vec<String>,
    /// Indexes, views, triggers and numbers of the header that went with a restore of the whole database, and that
    /// come back.
    pub made_again: Vec<String>,
    /// The first rows that stay, and tables that do. Unless they are skipped, nothing was written.
    pub changed: Vec<Changed>,
    /// Tables of which no row can be undone: all are named among those.
    pub lost: u64,
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

    /// True if nothing is left to be undone: all is as before the restore.
    pub fn is_empty(&self) -> bool {
        self.is_idle() && self.staying() == 0 && self.kept.is_empty()
    }

    /// True if there is nothing to be written: nothing is left to be undone, or nothing can be.
    pub fn is_idle(&self) -> bool {
        let mut tables = self.tables.iter();
        let is_quiet = |t: &UndoReport| t.deleted + t.inserted + t.updated == 0;
        self.dropped.is_empty() && self.made_again.is_empty() && tables.all(is_quiet)
    }

    /// Rows that stay, and tables that do as a whole.
    pub fn staying(&self) -> u64 {
        let rows: u64 = self.tables.iter().map(|table| table.conflicts).sum();
        rows + self.lost
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

/// Undoes a restore. One that was killed before it counted is passed over, unless it was named.
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
    if !options.dry_run {
        settle(store, world, options, progress)?;
    }
    let mut chain = select::Chain::default();
    let mut findings = Vec::new();
    let mut first = None;
    let mut outcome = loop {
        let selected = select::restore(store, options, &mut chain, progress);
        let (after, before) = match (selected, first) {
            // Or what it would go on with is in the store no more.
            (
                Err(Error::Select(
                    SelectError::NothingToUndo { .. } | SelectError::NoSnapshot { .. },
                )),
                Some(first),
            ) => {
                findings.clear();
                break first;
            }
            (selected, kept) => {
                first = kept;
                selected?
            }
        };
        let reader = store.reader()?;
        let ids = store.snapshot_names()?.ids;
        let redoes = select::redoes(store, &after)?;
        let keep = (!options.dry_run).then_some((&mut *store, world));
        let outcome = UndoOutcome {
            redoes,
            ..one(&reader, &ids, keep, (&after, &before), options, progress)?
        };
        let may_pass = options.restore.is_none() && select::is_uncommitted(&after);
        if !may_pass || !outcome.is_empty() {
            break outcome;
        }
        let text = "nothing is left of this restore: it is passed over";
        let subject = format!("snapshot {}", after.id.short());
        findings.push(Finding::note(subject, text));
        chain.passed.insert(after.id);
        first.get_or_insert(outcome);
    };
    findings.append(&mut outcome.findings);
    outcome.findings = findings;
    for finding in &outcome.findings {
        progress.found(finding);
    }
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// True if all is as before this restore, or undo: it was killed before it counted, or taken back in
/// another way.
fn left_nothing(
    store: &Store,
    pair: (&Manifest, &Manifest),
    options: &UndoOptions,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let options = UndoOptions {
        dry_run: true,
        ..options.clone()
    };
    let outcome = one(&store.reader()?, &[], None, pair, &options, progress)?;
    Ok(outcome.is_empty())
}

/// Undoes this restore. `keep`: the store that the snapshots before and after go to; `None`: nothing is
/// written.
fn one(
    reader: &StoreReader,
    ids: &[SnapshotId],
    mut keep: Option<(&mut Store, &World)>,
    (after, before): (&Manifest, &Manifest),
    options: &UndoOptions,
    progress: &mut dyn Progress,
) -> Result<UndoOutcome, Error> {
    let schemas = (read_schema(reader, before)?, read_schema(reader, after)?);
    let plan_only = keep.is_none();
    let live = LiveDatabase::open(&options.target, options.busy_timeout, plan_only, false)?;
    let restored = Restored {
        reader,
        before,
        before_schema: &schemas.0,
        after,
        after_schema: &schemas.1,
        live: &live,
    };
    let mut outcome = UndoOutcome {
        before: summary(before, ids),
        after: summary(after, ids),
        target: options.target.clone(),
        named: options.restore.clone(),
        redoes: false,
        dry_run: options.dry_run,
        tables: Vec::new(),
        dropped: Vec::new(),
        kept: Vec::new(),
        made_again: Vec::new(),
        changed: Vec::new(),
        lost: 0,
        skipped: options.skip_conflicts,
        safety_snapshot: None,
        after_snapshot: None,
        findings: Vec::new(),
        elapsed_ms: 0,
    };
    let mut tries = 0;
    loop {
        let hold = match (tries < FREE_PLANS, plan_only) {
            (true, _) => Hold::Free,
            (false, true) => Hold::Reading,
            // Nobody writes meanwhile: this one counts.
            (false, false) => Hold::Writing,
        };
        if attempt(
            keep.as_mut(),
            &restored,
            hold,
            options,
            &mut outcome,
            progress,
        )? {
            live.close()?;
            return Ok(outcome);
        }
        tries += 1;
    }
}

/// Plans, and carries the plan out. False if others wrote to the database meanwhile.
fn attempt(
    keep: Option<&mut (&mut Store, &World)>,
    restored: &Restored<'_>,
    hold: Hold,
    options: &UndoOptions,
    outcome: &mut UndoOutcome,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let live = restored.live;
    let view = live.begin_view(hold)?;
    let papers = || Ok((Worksheet::new(live)?, Trial::new(live)?));
    let papers: Result<(Worksheet, Trial), Error> = papers();
    let (sheet, trial) = papers.inspect_err(|_| live.roll_back())?;
    let plan = Plan::make(restored, &view, &sheet, &trial, progress);
    let mut plan = plan.inspect_err(|_| live.roll_back())?;
    if !live.end_view(&view)? {
        return Ok(false);
    }
    plan.report(outcome);
    let keep = keep.filter(|_| !outcome.is_stopped() && !outcome.is_idle());
    let Some((store, world)) = keep else {
        live.roll_back();
        return Ok(true);
    };
    let mut before = None;
    if !options.no_safety_snapshot {
        let (target, busy) = (&options.target, options.busy_timeout);
        let saved = safety::save(store, world, target, busy, progress);
        let saved = saved.inspect_err(|_| live.roll_back())?;
        outcome.safety_snapshot = Some(saved.summary.clone());
        before = Some(saved);
    }
    if !live.begin_write(&view)? {
        return Ok(false);
    }
    let done = apply::run(
        restored, &view, &sheet, &mut plan, options, outcome, progress,
    );
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
