//! Carries an undo out, inside the transaction that its caller began.

use super::changes::each_change;
use super::plan::{Plan, TablePlan};
use super::{Changed, Restored, UndoOptions, UndoOutcome, orphans};
use crate::error::Error;
use crate::model::value::ValueRef;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{
    CheckLevel, Doing, LiveView, LiveWriter, Record, TargetError, Worksheet, full_texts_over,
    of_values,
};
use crate::tree::diff::Difference as Change;

/// Carries the plan out. What then shows to be in the way is added to the outcome: with it, the
/// transaction must be taken back.
pub(super) fn run<'w>(
    restored: &Restored<'_>,
    view: &LiveView,
    sheet: &'w Worksheet,
    plan: &mut Plan<'w>,
    options: &UndoOptions,
    outcome: &mut UndoOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let live = restored.live;
    let mut orphans = orphans::before(live, view, sheet, plan)?;
    progress.phase("Undoing", 0, Unit::Records);
    let written = write(restored, view, plan, progress);
    if let Err(Error::Target(TargetError::Constraint { table, row, cause })) = written {
        let reason = format!("the database refuses it now: {}", cause.message);
        outcome.changed.push(Changed {
            table,
            row,
            reason,
            restored: Vec::new(),
            now: Vec::new(),
        });
        // Whatever else is skipped: what is half done does not count.
        outcome.skipped = false;
        return Ok(());
    }
    written?;
    for object in &plan.made.dropped {
        live.drop_object(object)?;
    }
    outcome.findings.extend(plan.gone.put_back(restored)?);
    let touched: Vec<String> = plan.tables.iter().map(|t| t.live.name.clone()).collect();
    for name in full_texts_over(&view.schema, &touched) {
        if let Some(refused) = live.rebuild_full_text(&name)? {
            let text = format!("a full-text index that cannot be built anew here: {refused}");
            outcome.findings.push(Finding::warning(name, text));
        }
    }
    progress.phase("Checking", 0, Unit::Records);
    let new = orphans::new_ones(live, view, plan, &mut orphans)?;
    if !new.is_empty() {
        outcome.changed.extend(new);
        outcome.skipped = false;
        return Ok(());
    }
    integrity(restored, options.check, &mut outcome.findings)
}

fn write(
    restored: &Restored<'_>,
    view: &LiveView,
    plan: &Plan<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    for table in &plan.tables {
        let mut deleter = restored.live.deleter(&table.live)?;
        table.deletions.each_rewritten(|id| deleter.delete(id))?;
        table.steps.each_rewritten(|id| deleter.delete(id))?;
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    for table in &plan.tables {
        if table.report.inserted + table.report.updated > 0 {
            put_back(restored, view, table)?;
        }
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
    }
    Ok(())
}

/// Writes the rows of one table as they were before the restore.
fn put_back(restored: &Restored<'_>, view: &LiveView, table: &TablePlan<'_>) -> Result<(), Error> {
    let (live, map) = (&table.live, &table.map);
    // Rows may break a CHECK: they did.
    restored.live.ignore_checks(true)?;
    let mut writer = LiveWriter::new(restored.live, &view.schema, live, map, 0)?;
    let mut steps = table.steps.read()?;
    let mut done = 0;
    let written = each_change(restored, &live.name, |place, change, content| {
        let Some(step) = steps.of(place)? else {
            return Ok(());
        };
        let (Change::Removed(was) | Change::Changed(was, _)) = change else {
            return Ok(());
        };
        let values: Vec<ValueRef<'_>> = map.values(was).collect();
        let record = Record {
            rowid: map.rowid(was),
            values: &values,
        };
        done += 1;
        match (step.doing, &step.id) {
            (Doing::Update | Doing::Fill, Some(id)) => {
                writer.fill(id, &step.columns, record, content)
            }
            _ => writer.insert(record, content),
        }
    });
    restored.live.ignore_checks(false)?;
    written?;
    let planned = table.report.inserted + table.report.updated;
    match done == planned {
        true => Ok(()),
        false => Err(TargetError::PlanDiffers {
            table: live.name.clone(),
            what: "rows put back",
            planned,
            done,
        }
        .into()),
    }
}

/// SQLite's own check, before anything counts.
fn integrity(
    restored: &Restored<'_>,
    level: CheckLevel,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    if level == CheckLevel::None {
        return Ok(());
    }
    let lines = restored.live.integrity(level == CheckLevel::Full)?;
    let (values, lines): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| of_values(line));
    findings.extend(values.into_iter().map(|line| Finding::note("check", line)));
    match lines.is_empty() {
        true => Ok(()),
        false => Err(TargetError::Damaged {
            path: restored.live.path().to_owned(),
            lines,
        }
        .into()),
    }
}
