//! Into a database that exists: plan, save what is about to be deleted, write in one transaction.
//!
//! The write lock is taken only when the plan is ready. If others wrote meanwhile, the plan is of a
//! state that is gone: it is made anew, and so is the safety snapshot.

use std::path::Path;

use super::basis::{Basis, Conflicts};
use super::plan::{self, Plan};
use super::{RestoreOptions, RestoreOutcome, TableReport, apply};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::schema::Schema;
use crate::ops::backup::{self, BackupOptions};
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::ops::select::SAFETY_TAG;
use crate::ops::stored::read_schema;
use crate::progress::{Finding, Progress};
use crate::store::StoreReader;
use crate::target::{CheckLevel, LiveDatabase, LiveView, TargetError};

/// Plans that are made before a database counts as too busy to be written.
const TRIES: u32 = 3;

/// Restores into the database at the target.
///
/// Errors: `Store`, `Target` (`Busy`, `Changed`, `OtherApplication` …), `Source` if the safety
/// snapshot cannot be taken, `Cancelled`. After any of them, and with any conflict in the outcome,
/// nothing was written.
pub(super) fn run(
    store: &mut Store,
    world: &World,
    manifest: &Manifest,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let ids = store.snapshot_names()?.ids;
    let reader = store.reader()?;
    let schema = read_schema(&reader, manifest)?;
    // Looked at before SQLite opens it.
    let entry = world.vfs.entry(&options.target).ok().flatten();
    let live = LiveDatabase::open(&options.target, options.busy_timeout, options.dry_run)?;
    let mut outcome = RestoreOutcome {
        snapshot: summary(manifest, &ids),
        target: options.target.clone(),
        new_file: false,
        dry_run: options.dry_run,
        target_bytes: entry.map(|entry| entry.bytes),
        target_in_use: None,
        mode: options.mode,
        tables: Vec::new(),
        conflicts: Vec::new(),
        safety_snapshot: None,
        findings: Vec::new(),
        checked: Vec::new(),
        elapsed_ms: 0,
    };
    for _ in 0..TRIES {
        let view = live.begin_view()?;
        let planned = plan(&reader, manifest, &schema, &live, &view, options, progress);
        let (plan, is_one_state) = match planned {
            Ok(plan) => (plan, live.end_view(&view)?),
            Err(error) => {
                live.roll_back();
                return Err(error);
            }
        };
        if !is_one_state {
            continue;
        }
        let basis = Basis {
            reader: &reader,
            manifest,
            schema: &schema,
            live: &live,
            view: &view,
            mode: options.mode,
        };
        if options.dry_run || !plan.conflicts.counts.is_empty() {
            outcome.dry_run = options.dry_run;
            report(&mut outcome, &plan, Conflicts::default());
            return told(outcome, progress);
        }
        if plan.deleted() > 0 {
            outcome.safety_snapshot = Some(save(store, world, options, &plan, progress)?);
        }
        if let Some(done) = write(&basis, &plan, options, progress)? {
            report(&mut outcome, &plan, done.conflicts);
            outcome.findings.extend(done.findings);
            outcome.checked = checked(options.check);
            live.close()?;
            return told(outcome, progress);
        }
    }
    Err(TargetError::Changed {
        path: options.target.clone(),
        tries: TRIES,
    }
    .into())
}

fn plan(
    reader: &StoreReader,
    manifest: &Manifest,
    schema: &Schema,
    live: &LiveDatabase,
    view: &LiveView,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<Plan, Error> {
    ensure_same_application(manifest, view, &options.target)?;
    let basis = Basis {
        reader,
        manifest,
        schema,
        live,
        view,
        mode: options.mode,
    };
    let mut plan = plan::make(&basis, progress)?;
    let (now, saved) = (view.settings.user_version, manifest.settings.user_version);
    if now != saved && !view.schema.tables.is_empty() {
        let text = format!("its user_version is {now}, the snapshot's is {saved}: it stays");
        let subject = options.target.display().to_string();
        plan.findings.push(Finding::note(subject, text));
    }
    Ok(plan)
}

fn ensure_same_application(
    manifest: &Manifest,
    view: &LiveView,
    path: &Path,
) -> Result<(), TargetError> {
    let (live, stored) = (
        view.settings.application_id,
        manifest.settings.application_id,
    );
    if live == 0 || stored == 0 || live == stored {
        return Ok(());
    }
    Err(TargetError::OtherApplication {
        path: path.to_owned(),
        live,
        stored,
    })
}

/// Takes a snapshot of the target, which must hold every table that is about to be emptied.
fn save(
    store: &mut Store,
    world: &World,
    options: &RestoreOptions,
    plan: &Plan,
    progress: &mut dyn Progress,
) -> Result<SnapshotSummary, Error> {
    let saved = backup::run(
        store,
        world,
        &BackupOptions {
            database: options.target.clone(),
            name: None,
            tags: vec![SAFETY_TAG.to_owned()],
            source_name: None,
            busy_timeout: options.busy_timeout,
            temp_dir: None,
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
        },
        progress,
    )?;
    let is_saved = |name: &str| saved.entities.iter().any(|entity| entity.entity == name);
    let lost = plan
        .tables
        .iter()
        .find(|table| table.report.deleted > 0 && !is_saved(&table.live.name));
    match lost {
        None => Ok(saved.snapshot),
        Some(table) => Err(TargetError::Unsupported {
            path: options.target.clone(),
            what: format!("table {} cannot be saved first", table.live.name),
        }
        .into()),
    }
}

/// What came of a transaction that was begun.
struct Done {
    conflicts: Conflicts,
    findings: Vec<Finding>,
}

/// Writes, checks and commits. `None`: the database is no longer what the plan saw. With conflicts
/// that only showed when it was written, or after an error, everything is taken back.
fn write(
    basis: &Basis<'_>,
    plan: &Plan,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<Option<Done>, Error> {
    let live = basis.live;
    if basis.view.schema.objects.is_empty() {
        live.set_before_pages(&basis.manifest.settings)?;
    }
    if !live.begin_write(basis.view)? {
        return Ok(None);
    }
    let mut conflicts = Conflicts::default();
    match apply::run(basis, plan, options.check, &mut conflicts, progress) {
        Ok(findings) => {
            if conflicts.counts.is_empty() {
                live.commit().inspect_err(|_| live.roll_back())?;
            } else {
                live.roll_back();
            }
            Ok(Some(Done {
                conflicts,
                findings,
            }))
        }
        // A record that the database refuses contradicts it, though the plan could not see that.
        Err(Error::Target(TargetError::Constraint { table, row, cause })) => {
            live.roll_back();
            conflicts.add(&table, row, cause.message);
            let findings = Vec::new();
            Ok(Some(Done {
                conflicts,
                findings,
            }))
        }
        Err(error) => {
            live.roll_back();
            Err(error)
        }
    }
}

/// Fills the outcome from the plan, and from the conflicts that showed later.
fn report(outcome: &mut RestoreOutcome, plan: &Plan, later: Conflicts) {
    outcome.tables = plan
        .tables
        .iter()
        .map(|table| table.report.clone())
        .collect();
    for (name, count) in plan.conflicts.counts.iter().chain(&later.counts) {
        match outcome.tables.iter_mut().find(|t| t.table == *name) {
            Some(table) => table.conflicts = table.conflicts.max(*count),
            None => outcome.tables.push(TableReport {
                table: name.clone(),
                conflicts: *count,
                ..TableReport::default()
            }),
        }
    }
    outcome.conflicts.clone_from(&plan.conflicts.first);
    outcome.conflicts.extend(later.first);
    outcome.findings.extend(plan.findings.iter().cloned());
}

fn checked(level: CheckLevel) -> Vec<&'static str> {
    match level {
        CheckLevel::None => vec!["counts", "foreign keys"],
        CheckLevel::Quick => vec!["quick_check", "counts", "foreign keys"],
        CheckLevel::Full => vec!["integrity_check", "counts", "foreign keys"],
    }
}

fn told(outcome: RestoreOutcome, progress: &mut dyn Progress) -> Result<RestoreOutcome, Error> {
    for finding in &outcome.findings {
        progress.found(finding);
    }
    Ok(outcome)
}
