//! Into a database that exists: plan, save what is there, write in one transaction.
//!
//! The write lock is taken only when the plan is ready. If others wrote meanwhile, the plan is of a
//! state that is gone: it is made anew, and so is the safety snapshot.

pub(super) mod apply;
mod space;
mod transaction;
mod verify;

use std::path::Path;

use self::transaction::{Keeper, write};
use super::basis::{Basis, Conflicts, sequences};
use super::missing::{Decider, Decision, NoDecider};
use super::options::{OnConflict, RestoreOptions};
use super::plan::{self, Plan};
use super::records::Records;
use super::report::{Made, RestoreOutcome, TableReport};
use super::scope;
use super::scope::links::Links;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::schema::{ObjectKind, Schema, Table};
use crate::ops::open::{Store, World};
use crate::ops::safety::{self, Before};
use crate::ops::select::other_source;
use crate::ops::stored::read_schema;
use crate::ops::undo::{UndoOptions, settle};
use crate::progress::{Finding, Progress};
use crate::source::recorded_path;
use crate::store::StoreReader;
use crate::target::{CheckLevel, Hold, LiveDatabase, LiveView, TargetError, Trial, Worksheet};

/// Plans that are made while others write. If they always do before one can be carried out, they have to
/// wait for the last.
pub(super) const FREE_PLANS: u32 = 3;

/// Restores into the database at the target.
///
/// Errors: `Store`, `Target` (`Busy`, `OtherApplication` …), `Source` if the safety
/// snapshot cannot be taken, `Cancelled`. After any of them, and with any conflict in the outcome,
/// nothing was written.
///
/// `keep`: the store that the snapshots before and after go to.
pub(super) fn run(
    records: &Records<'_>,
    keep: &mut Store,
    world: &World,
    options: &RestoreOptions,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let Records {
        reader,
        manifest,
        summary,
    } = records;
    let schema = read_schema(reader, manifest)?;
    settle_target(keep, world, options, progress)?;
    // Looked at before SQLite opens it.
    let entry = world
        .vfs
        .entry(&recorded_path(&options.target))
        .ok()
        .flatten();
    let (busy, plan_only) = (options.busy_timeout, options.dry_run);
    let live = LiveDatabase::open(&options.target, busy, plan_only, options.fire_triggers)?;
    let mut job = Job {
        world,
        options,
        reader,
        manifest,
        schema: &schema,
        live: &live,
        decided: Vec::new(),
        outcome: RestoreOutcome {
            target_bytes: entry.map(|entry| entry.bytes),
            mode: options.mode,
            ..RestoreOutcome::of(summary, options)
        },
    };
    let mut tries = 0;
    loop {
        let hold = match (tries < FREE_PLANS, options.dry_run) {
            (true, _) => Hold::Free,
            (false, true) => Hold::Reading,
            // Nobody writes meanwhile: this one counts.
            (false, false) => Hold::Writing,
        };
        if job.attempt(hold, keep, decider, progress)? {
            let outcome = job.outcome;
            live.close()?;
            for finding in &outcome.findings {
                progress.found(finding);
            }
            return Ok(outcome);
        }
        tries += 1;
    }
}

/// Of restores into the target that were killed, finds out whether they count, before it is changed again.
pub(super) fn settle_target(
    keep: &Store,
    world: &World,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if options.dry_run || options.no_safety_snapshot {
        return Ok(());
    }
    let of_target = UndoOptions {
        target: options.target.clone(),
        busy_timeout: options.busy_timeout,
        ..UndoOptions::default()
    };
    settle(keep, world, &of_target, progress)
}

/// A restore, and what came of it so far.
struct Job<'j> {
    world: &'j World,
    options: &'j RestoreOptions,
    reader: &'j StoreReader,
    manifest: &'j Manifest,
    schema: &'j Schema,
    live: &'j LiveDatabase,
    outcome: RestoreOutcome,
    /// What somebody was asked.
    decided: Vec<Decision>,
}

impl Job<'_> {
    /// Plans, and carries the plan out. False if others wrote to the database meanwhile.
    fn attempt(
        &mut self,
        hold: Hold,
        store: &mut Store,
        decider: &mut dyn Decider,
        progress: &mut dyn Progress,
    ) -> Result<bool, Error> {
        let (live, options) = (self.live, self.options);
        let view = live.begin_view(hold)?;
        // Nobody is kept waiting for somebody's answer.
        let decider: &mut dyn Decider = match hold {
            Hold::Free => decider,
            Hold::Reading | Hold::Writing => &mut NoDecider,
        };
        let begun = ensure_same_application(self.manifest, &view, &options.target)
            .map_err(Error::from)
            .and_then(|()| sequences(self.reader, self.manifest, self.schema));
        let basis = Basis {
            reader: self.reader,
            manifest: self.manifest,
            schema: self.schema,
            live,
            view: &view,
            options,
            sequences: begun.inspect_err(|_| live.roll_back())?,
            decided: &self.decided.clone(),
        };
        let (mut conflicts, mut findings) = (Conflicts::default(), Vec::new());
        let tables = scope::tables(&basis, &mut conflicts, &mut findings);
        let tables = tables.inspect_err(|_| live.roll_back())?;
        let links = Links::of(&basis, &tables.shapes).inspect_err(|_| live.roll_back())?;
        let (sheet, trial) = (Worksheet::new(live)?, Trial::new(live)?);
        let planned = plan::make(&basis, &tables, &links, &sheet, &trial, decider, progress);
        let mut plan = planned.inspect_err(|_| live.roll_back())?;
        let known = options.decisions.single.len();
        self.decided = plan.decisions.get(known..).unwrap_or_default().to_vec();
        if !live.end_view(&view)? {
            return Ok(false);
        }
        for conflict in conflicts.first {
            plan.conflicts.add(conflict);
        }
        findings.append(&mut plan.findings);
        findings.extend(of_both(self.manifest, &view, options));
        let room = self.room(&basis, &plan);
        findings.extend(room.inspect_err(|_| live.roll_back())?);
        if options.dry_run || is_stopped(&plan, options) {
            live.roll_back();
            self.report(&plan, findings, Conflicts::default());
            return Ok(true);
        }
        let mut before = None;
        if plan.writes() && !options.no_safety_snapshot {
            before = Some(self.save(store, progress)?);
        }
        let keeper = Keeper {
            store,
            world: self.world,
            before: before.as_ref(),
        };
        match write(&basis, &keeper, &tables.shapes, &plan, progress)? {
            None => Ok(false),
            Some(done) => {
                let refused = done.findings.clone();
                findings.extend(done.findings);
                self.outcome.after_snapshot = done.after;
                if done.conflicts.is_empty() {
                    self.outcome.checked = checked(options.check);
                }
                self.report(&plan, findings, done.conflicts);
                // What the database refused was told as a warning.
                let is_refused = |made: &Made| {
                    let mut refused = refused.iter();
                    made.kind != ObjectKind::Table && refused.any(|f| f.subject == made.name)
                };
                self.outcome.made.retain(|made| !is_refused(made));
                Ok(true)
            }
        }
    }

    /// An error, if what is written has no room; a plan alone says so.
    fn room(&self, basis: &Basis<'_>, plan: &Plan<'_>) -> Result<Option<Finding>, Error> {
        let (options, vfs) = (self.options, &*self.world.vfs);
        match space::lacking(vfs, basis, plan)? {
            Some(lacking) if options.dry_run => {
                let target = options.target.display().to_string();
                Ok(Some(Finding::warning(target, lacking.to_string())))
            }
            Some(lacking) if !is_stopped(plan, options) => Err(lacking.into()),
            _ => Ok(None),
        }
    }

    /// Takes a snapshot of the target.
    fn save(&mut self, store: &mut Store, progress: &mut dyn Progress) -> Result<Before, Error> {
        let (target, busy) = (&self.options.target, self.options.busy_timeout);
        let before = safety::save(store, self.world, target, busy, progress)?;
        self.outcome.safety_snapshot = Some(before.summary.clone());
        Ok(before)
    }

    /// Fills the outcome from the plan, and from the conflicts that showed later.
    fn report(&mut self, plan: &Plan<'_>, findings: Vec<Finding>, later: Conflicts) {
        let outcome = &mut self.outcome;
        let reported = plan.tables.iter().map(|table| &table.tally.report);
        let reported = reported.filter(|report| !report.table.is_empty());
        outcome.tables = reported.cloned().collect();
        // Tables that only the database has.
        for given in &plan.given {
            let mut tables = outcome.tables.iter_mut();
            if !tables.any(|table| table.table == given.table) {
                let of_it = plan.given.iter().filter(|other| other.table == given.table);
                outcome.tables.push(TableReport {
                    table: given.table.clone(),
                    inserted: of_it.count() as u64,
                    ..TableReport::default()
                });
            }
        }
        outcome.conflicts.clear();
        for table in &plan.tables {
            let first = table.tally.conflicts.first.iter();
            outcome.conflicts.extend(first.cloned());
        }
        for more in [&plan.conflicts, &later] {
            outcome.conflicts.extend(more.first.iter().cloned());
            for (name, count) in &more.counts {
                let mut tables = outcome.tables.iter_mut();
                match tables.find(|table| table.table == *name) {
                    Some(table) => table.conflicts += count,
                    None => outcome.tables.push(TableReport {
                        table: name.clone(),
                        conflicts: *count,
                        ..TableReport::default()
                    }),
                }
            }
        }
        outcome.made.clone_from(&plan.made);
        outcome.missing.clone_from(&plan.missing);
        let decisions = plan.decisions.iter().zip(&plan.used);
        let used = decisions.filter(|(_, used)| **used);
        outcome.decisions = used.map(|(decision, _)| decision.clone()).collect();
        outcome.remapped.clone_from(&plan.remapped);
        outcome.references_followed = plan.followed;
        outcome.findings = findings;
    }
}

/// True if the plan may not be carried out.
fn is_stopped(plan: &Plan<'_>, options: &RestoreOptions) -> bool {
    let mut tables = plan.tables.iter();
    let conflicting = tables.any(|table| !table.tally.conflicts.is_empty());
    !plan.missing.is_empty()
        || !plan.conflicts.is_empty()
        || (conflicting && options.on_conflict == OnConflict::Stop)
}

pub(super) fn ensure_same_application(
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

/// What is worth knowing of the snapshot and the database as wholes.
fn of_both(
    manifest: &Manifest,
    view: &LiveView,
    options: &RestoreOptions,
) -> impl Iterator<Item = Finding> {
    let findings = [
        version(manifest, view, options),
        another(manifest, view, options),
    ];
    findings.into_iter().flatten()
}

fn version(manifest: &Manifest, view: &LiveView, options: &RestoreOptions) -> Option<Finding> {
    let (now, saved) = (view.settings.user_version, manifest.settings.user_version);
    if now == saved || view.schema.tables.is_empty() {
        return None;
    }
    let text = format!("its user_version is {now}, the snapshot's is {saved}: it stays");
    Some(Finding::note(options.target.display().to_string(), text))
}

/// A snapshot of another database, of whose tables none is there.
pub(super) fn another(
    manifest: &Manifest,
    view: &LiveView,
    options: &RestoreOptions,
) -> Option<Finding> {
    let source = other_source(manifest, &options.target)?;
    let mut entities = manifest.entities.iter();
    let is_there = entities.any(|entity| view.schema.table(&entity.entity).is_some());
    let is_empty = view.schema.tables.iter().all(Table::is_internal);
    if is_there || is_empty || manifest.entities.is_empty() {
        return None;
    }
    let target = options.target.display().to_string();
    let text = format!("it is a snapshot of {source}; none of its tables is in {target}");
    Some(Finding::note(&manifest.name, text))
}

fn checked(level: CheckLevel) -> Vec<&'static str> {
    match level {
        CheckLevel::None => vec!["counts", "foreign keys"],
        CheckLevel::Quick => vec!["quick_check", "counts", "foreign keys"],
        CheckLevel::Full => vec!["integrity_check", "counts", "foreign keys"],
    }
}
