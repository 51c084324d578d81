//! What an undo will do: for every row in which the states before and after the restore differ, what it
//! is now decides, and whether what came since leaves it room. Made from reads alone; its steps stand on
//! the worksheet.

use super::changes::each_change;
use super::gone::Gone;
use super::look::{Look, Looks};
use super::objects::Made;
use super::obstacles::Obstacles;
use super::orphans::Orphans;
use super::{Changed, Restored, UndoOutcome, UndoReport, moved};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::schema::Table;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{
    ColumnMap, Declared, Doing, LiveView, RowId, Steps, TargetError, Trial, Worksheet, is_ordinary,
};
use crate::tree::diff::Difference as Change;

/// Rows that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// What happens to one table.
pub(super) struct TablePlan<'w> {
    /// Counts.
    pub report: UndoReport,
    /// The table in the database.
    pub live: Table,
    /// The earlier table over the live one.
    pub map: ColumnMap,
    /// Rows that are written, by the place of the difference among those of its table.
    pub steps: Steps<'w>,
    /// Rows that are deleted, by the same.
    pub deletions: Steps<'w>,
}

impl TablePlan<'_> {
    /// Takes a row out of the plan, which stays as it is.
    pub(super) fn leave(&mut self, place: u64, doing: Option<Doing>) -> Result<(), TargetError> {
        self.report.conflicts += 1;
        let count = match doing {
            None => &mut self.report.deleted,
            Some(Doing::Insert) => &mut self.report.inserted,
            Some(_) => &mut self.report.updated,
        };
        *count = count.saturating_sub(1);
        match doing {
            None => self.deletions.remove(place),
            Some(_) => self.steps.remove(place),
        }
    }
}

/// What an undo will do.
pub(super) struct Plan<'w> {
    /// Tables that differ.
    pub tables: Vec<TablePlan<'w>>,
    /// Objects that the restore made.
    pub made: Made,
    /// What it took away beside rows.
    pub gone: Gone,
    /// The first rows that stay, and the tables that do, and why.
    pub changed: Vec<Changed>,
    /// How many tables do.
    pub lost: u64,
    /// Rows that have no parent then, as they had none before the restore.
    pub orphans: Orphans<'w>,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

impl<'w> Plan<'w> {
    /// Makes the plan. Errors: `Store`, `Target`, `Cancelled`.
    pub(super) fn make(
        restored: &Restored<'_>,
        view: &LiveView,
        sheet: &'w Worksheet,
        trial: &Trial,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        progress.phase("Planning", 0, Unit::Records);
        let mut plan = Self {
            tables: Vec::new(),
            made: Made::of(restored, view),
            gone: Gone::default(),
            changed: Vec::new(),
            lost: 0,
            orphans: Orphans::new(),
            findings: Vec::new(),
        };
        for entity in &restored.after.entities {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let was = restored.before.entity(&entity.entity);
            if was.is_some_and(|was| was.root == entity.root && was.records == entity.records) {
                continue;
            }
            plan.table(restored, view, &entity.entity, sheet)?;
        }
        for was in &restored.before.entities {
            let is_there = |name: &str| view.schema.table(name).is_some();
            if restored.after.entity(&was.entity).is_none() && !is_there(&was.entity) {
                plan.lost(
                    &was.entity,
                    "it was dropped: what it held is in the snapshot before",
                );
            }
        }
        let obstacles = Obstacles {
            restored,
            view,
            sheet,
            trial,
        };
        obstacles.settle(&mut plan, progress)?;
        plan.made.keep_what_is_used(restored, view);
        for table in &plan.tables {
            // Rows of others in a table that the restore made keep it.
            let name = &table.live.name;
            if plan.made.drops_table(name) {
                let rows = restored.live.count(name)?;
                if rows != table.report.deleted {
                    plan.made.keep_for_rows(name);
                }
            }
        }
        // A table that stays may be named by a view that the restore made.
        plan.made.keep_what_is_used(restored, view);
        plan.gone = Gone::of(restored, view, &plan.made);
        let sequence = |manifest: &Manifest| {
            let mut internal = manifest.internal.iter();
            let of = internal.find(|e| e.entity.eq_ignore_ascii_case("sqlite_sequence"));
            of.and_then(|e| e.root)
        };
        if sequence(restored.before) != sequence(restored.after) {
            let text = "ids that AUTOINCREMENT gave out stay given out";
            plan.findings.push(Finding::note("sqlite_sequence", text));
        }
        Ok(plan)
    }

    fn table(
        &mut self,
        restored: &Restored<'_>,
        view: &LiveView,
        name: &str,
        sheet: &'w Worksheet,
    ) -> Result<(), Error> {
        let after = restored.after_schema.table(name);
        let live = view.schema.table(name).filter(|table| is_ordinary(table));
        let (Some(after), Some(live)) = (after, live) else {
            // What the restore made and somebody dropped is as it was before.
            if restored.before_schema.table(name).is_some() || view.schema.table(name).is_some() {
                self.lost(name, "the table is gone, or another thing now");
            }
            return Ok(());
        };
        // A table that the restore made has no rows before.
        let before = restored.before_schema.table(name).unwrap_or(after);
        if let Some(reason) = other_columns(live, before, after) {
            self.lost(name, reason);
            return Ok(());
        }
        let mut table = TablePlan {
            report: UndoReport {
                table: live.name.clone(),
                ..UndoReport::default()
            },
            map: ColumnMap::of(before, live, &Declared::default()),
            live: live.clone(),
            steps: sheet.steps()?,
            deletions: sheet.steps()?,
        };
        let map = table.map.clone();
        let mut looks = Looks::new(restored.live, &view.schema, live, &map)?;
        let mut missing = sheet.ordinals()?;
        let changed = &mut self.changed;
        let compared = each_change(restored, name, |place, change, content| {
            match looks.at(place, change, content)? {
                Look::Already => table.report.already += 1,
                Look::Missing => {
                    table.report.already += 1;
                    missing.add(place)?;
                }
                Look::Delete(step) => {
                    table.report.deleted += 1;
                    table.deletions.put(&step)?;
                }
                Look::Step(step) => {
                    match step.doing {
                        Doing::Insert => table.report.inserted += 1,
                        _ => table.report.updated += 1,
                    }
                    table.steps.put(&step)?;
                }
                Look::Changed { reason, id } => {
                    table.report.conflicts += 1;
                    name_row(changed, || looks.describe(change, reason, id.as_ref()))?;
                }
            }
            Ok(())
        })?;
        moved::keep(
            restored,
            &mut table,
            &map,
            &mut looks,
            &mut missing,
            &mut |describe| name_row(changed, describe),
        )?;
        if !compared {
            let reason = "its rowids have no name: its rows cannot be told apart";
            self.lost(name, reason);
        }
        self.tables.push(table);
        Ok(())
    }

    /// A table whose rows cannot be undone.
    fn lost(&mut self, name: &str, reason: &str) {
        self.lost += 1;
        self.changed.push(Changed {
            table: name.to_owned(),
            row: "the table".to_owned(),
            reason: reason.to_owned(),
            restored: Vec::new(),
            now: Vec::new(),
        });
    }

    /// Takes a row out of the plan, for what is in its way.
    pub(super) fn leave(
        &mut self,
        at: usize,
        (place, doing): (u64, Option<Doing>),
        looks: &Looks<'_>,
        change: Change<'_>,
        told: (&str, Option<&RowId>),
    ) -> Result<(), TargetError> {
        self.tables[at].leave(place, doing)?;
        name_row(&mut self.changed, || looks.describe(change, told.0, told.1))
    }

    /// Tells the outcome.
    pub(super) fn report(&self, outcome: &mut UndoOutcome) {
        outcome.tables = self.tables.iter().map(|t| t.report.clone()).collect();
        outcome.dropped = self.made.dropped.iter().map(|o| o.name.clone()).collect();
        outcome.kept.clone_from(&self.made.kept);
        outcome.made_again = self.gone.names();
        outcome.changed.clone_from(&self.changed);
        outcome.lost = self.lost;
        outcome.findings.clone_from(&self.findings);
        let objects = self.made.findings.iter().chain(&self.gone.findings);
        outcome.findings.extend(objects.cloned());
    }
}

/// Why the rows of a table cannot be put back where they were.
fn other_columns(live: &Table, before: &Table, after: &Table) -> Option<&'static str> {
    let is_same = |other: &Table| other.columns == live.columns && other.kind == live.kind;
    match (is_same(before), is_same(after)) {
        (true, true) => None,
        (_, false) => Some("its columns were changed since"),
        (false, true) => {
            Some("the restore gave it other columns: its rows are in the snapshot before")
        }
    }
}

/// Adds a row to those that are named, if they are not too many.
fn name_row(
    changed: &mut Vec<Changed>,
    describe: impl FnOnce() -> Result<Changed, TargetError>,
) -> Result<(), TargetError> {
    if changed.len() < NAMED_MAX {
        changed.push(describe()?);
    }
    Ok(())
}
