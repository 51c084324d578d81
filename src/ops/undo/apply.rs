//! Carries an undo out, inside the transaction that its caller began.

use std::collections::BTreeMap;

use super::plan::{Plan, TablePlan, each_change};
use super::{Changed, Restored, UndoOptions, UndoOutcome};
use crate::error::Error;
use crate::model::value::ValueRef;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{
    CheckLevel, Doing, ForeignKeyCheck, LiveView, LiveWriter, Record, TargetError, full_texts_over,
    is_ordinary, of_values,
};
use crate::tree::diff::Difference as Change;

/// Carries the plan out. What then shows to be in the way is added to the outcome: with it, the
/// transaction must be taken back.
pub(super) fn run(
    restored: &Restored<'_>,
    view: &LiveView,
    plan: &Plan<'_>,
    options: &UndoOptions,
    outcome: &mut UndoOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let live = restored.live;
    let affected = affected(view, plan);
    let before = verdicts(restored, &affected)?;
    progress.phase("Undoing", 0, Unit::Records);
    let written = write(restored, view, plan, progress);
    if let Err(Error::Target(TargetError::Constraint { table, row, cause })) = written {
        outcome.changed.push(Changed {
            table,
            row,
            reason: format!("another row is in its way now: {}", cause.message),
            restored: Vec::new(),
            now: Vec::new(),
        });
        // Whatever else is skipped: what is half done does not count.
        outcome.skipped = false;
        return Ok(());
    }
    written?;
    for object in &plan.dropped {
        live.drop_object(object)?;
    }
    let touched: Vec<String> = plan.tables.iter().map(|t| t.live.name.clone()).collect();
    for name in full_texts_over(&view.schema, &touched) {
        if let Some(refused) = live.rebuild_full_text(&name)? {
            let text = format!("a full-text index that cannot be built anew here: {refused}");
            outcome.findings.push(Finding::warning(name, text));
        }
    }
    progress.phase("Checking", 0, Unit::Records);
    let gone = |name: &String| plan.dropped.iter().any(|o| o.name == *name);
    let stay: Vec<String> = affected.into_iter().filter(|name| !gone(name)).collect();
    for (name, after) in verdicts(restored, &stay)? {
        let was = before.get(&name).cloned().unwrap_or_default();
        compare(restored, &name, &was, &after, outcome);
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
        table.deletions.for_each(|id| deleter.delete(&id))?;
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

/// Tables with foreign keys whose rows, or whose parents' rows, are written.
fn affected(view: &LiveView, plan: &Plan<'_>) -> Vec<String> {
    let touched = |name: &str| {
        let mut tables = plan.tables.iter();
        tables.any(|table| table.live.name.eq_ignore_ascii_case(name))
    };
    let tables = view.schema.tables.iter().filter(|t| is_ordinary(t));
    tables
        .filter(|table| {
            let mut parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            !table.foreign_keys.is_empty() && (touched(&table.name) || parents.any(touched))
        })
        .map(|table| table.name.clone())
        .collect()
}

fn verdicts(
    restored: &Restored<'_>,
    tables: &[String],
) -> Result<BTreeMap<String, ForeignKeyCheck>, TargetError> {
    let verdict = |name: &String| Ok((name.clone(), restored.live.foreign_keys(name)?));
    tables.iter().map(verdict).collect()
}

/// Rows without a parent: none that neither the database nor the state before the restore had.
fn compare(
    restored: &Restored<'_>,
    name: &str,
    was: &ForeignKeyCheck,
    after: &ForeignKeyCheck,
    outcome: &mut UndoOutcome,
) {
    for (id, violations) in &after.violations {
        let there = was.violations.get(id).copied().unwrap_or(0);
        let mut verdicts = restored.before.foreign_keys.iter();
        let of = verdicts.find(|verdict| verdict.table == name && verdict.id == *id);
        let before = of.map_or(0, |verdict| verdict.violations);
        if *violations > there.max(before) {
            outcome.changed.push(Changed {
                table: name.to_owned(),
                row: "rows".to_owned(),
                reason: format!(
                    "{} rows would lose their parent, which the restore had inserted: they came since",
                    violations - there
                ),
                restored: Vec::new(),
                now: Vec::new(),
            });
            outcome.skipped = false;
        }
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
