//! Carries a plan out, inside the transaction that its caller began, and checks what came of it.
//! Whatever fails, the caller takes the transaction back.

use std::collections::BTreeMap;

use super::basis::{Basis, Conflicts};
use super::decide::RowAction;
use super::matcher::Matcher;
use super::plan::Plan;
use super::scope::TablePlan;
use super::{Mode, TableReport, records};
use crate::error::Error;
use crate::model::schema::{ForeignKey, Schema};
use crate::model::value::ValueRef;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{
    CheckLevel, ForeignKeyCheck, Header, LiveWriter, TargetError, is_ordinary, of_values,
};

/// Foreign-key verdicts by table.
type Verdicts = BTreeMap<String, ForeignKeyCheck>;

/// Carries the plan out and checks it. Conflicts that only then showed are added to `conflicts`:
/// with any, the transaction must be taken back.
pub(super) fn run(
    basis: &Basis<'_>,
    plan: &Plan,
    level: CheckLevel,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<Vec<Finding>, Error> {
    let live = basis.live;
    let mut findings = Vec::new();
    let affected = affected(&basis.view.schema, plan);
    let before = verdicts(basis, affected.iter().filter(|t| !is_made(plan, t)))?;
    let rows_before = counts(basis, plan, false)?;
    make_tables(basis, plan)?;
    if basis.mode == Mode::Replace {
        for table in plan.tables.iter().filter(|table| !table.made) {
            let deleted = live.empty(&table.live.name)?;
            ensure_planned(table, "rows deleted", table.report.deleted, deleted)?;
        }
    }
    let total = plan.tables.iter().filter_map(|t| basis.entity(&t.stored));
    progress.phase("Restoring", total.map(|e| e.records).sum(), Unit::Records);
    for table in plan.tables.iter().filter(|table| table.is_touched()) {
        fill(basis, table, progress)?;
    }
    for object in &plan.objects {
        if let Some(refused) = live.create(object)? {
            let text = format!("it cannot be created: {refused}");
            findings.push(Finding::warning(object.name.clone(), text));
        }
    }
    settings(basis, plan, progress)?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    progress.phase("Checking", 0, Unit::Records);
    let after = verdicts(basis, affected.iter())?;
    compare(basis, plan, &before, &after, conflicts);
    let rows_after = counts(basis, plan, true)?;
    for ((table, was), now) in plan.tables.iter().zip(rows_before).zip(rows_after) {
        let due = match basis.mode == Mode::Replace || table.made {
            true => basis.entity(&table.stored).map_or(0, |e| e.records),
            false => was + table.report.inserted,
        };
        ensure_planned(table, "rows", due, now)?;
    }
    integrity(basis, level, &mut findings)?;
    Ok(findings)
}

fn is_made(plan: &Plan, table: &str) -> bool {
    plan.tables.iter().any(|t| t.made && t.live.name == table)
}

/// Tables with foreign keys whose rows, or whose parents' rows, are written.
fn affected(schema: &Schema, plan: &Plan) -> Vec<String> {
    let touched = |name: &str| {
        let mut tables = plan.tables.iter();
        tables.any(|t| t.is_touched() && t.live.name.eq_ignore_ascii_case(name))
    };
    let made = plan.tables.iter().filter(|t| t.made).map(|t| &t.live);
    schema
        .tables
        .iter()
        .filter(|table| is_ordinary(table))
        .chain(made)
        .filter(|table| {
            let mut parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            !table.foreign_keys.is_empty() && (touched(&table.name) || parents.any(touched))
        })
        .map(|table| table.name.clone())
        .collect()
}

fn verdicts<'n>(
    basis: &Basis<'_>,
    tables: impl Iterator<Item = &'n String>,
) -> Result<Verdicts, Error> {
    let verdict = |name: &String| Ok((name.clone(), basis.live.foreign_keys(name)?));
    tables.map(verdict).collect()
}

/// Rows of the planned tables, in their order; 0 for those not made yet.
fn counts(basis: &Basis<'_>, plan: &Plan, all_made: bool) -> Result<Vec<u64>, TargetError> {
    let rows = |table: &TablePlan| match table.made && !all_made {
        true => Ok(0),
        false => basis.live.count(&table.live.name),
    };
    plan.tables.iter().map(rows).collect()
}

fn ensure_planned(
    table: &TablePlan,
    what: &'static str,
    planned: u64,
    done: u64,
) -> Result<(), TargetError> {
    if planned == done {
        return Ok(());
    }
    Err(TargetError::PlanDiffers {
        table: table.live.name.clone(),
        what,
        planned,
        done,
    })
}

fn make_tables(basis: &Basis<'_>, plan: &Plan) -> Result<(), Error> {
    for table in plan.tables.iter().filter(|table| table.made) {
        let object = basis
            .schema
            .objects
            .iter()
            .find(|object| object.name == table.stored.name);
        let refused = match object {
            Some(object) => basis.live.create(object)?,
            None => Some("its text is missing".to_owned()),
        };
        if let Some(what) = refused {
            return Err(TargetError::Unsupported {
                path: basis.live.path().to_owned(),
                what: format!("table {}: {what}", table.stored.name),
            }
            .into());
        }
    }
    Ok(())
}

/// Writes the records of one table, as decided by the same functions as the plan.
fn fill(basis: &Basis<'_>, table: &TablePlan, progress: &mut dyn Progress) -> Result<(), Error> {
    let Some(entity) = basis.entity(&table.stored) else {
        return Ok(());
    };
    let (live, map) = (&table.live, &table.map);
    basis.live.ignore_checks(table.keeps_checks_broken)?;
    // A made table is in the snapshot's schema only.
    let schema = match table.made {
        true => basis.schema,
        false => &basis.view.schema,
    };
    let mut writer = LiveWriter::new(basis.live, schema, live, map, table.rowid_max)?;
    let mut matcher = match table.made || basis.mode == Mode::Replace {
        true => None,
        false => {
            let (mode, count) = (basis.mode, table.counts_copies);
            Some(Matcher::new(basis.live, live, map, mode, count)?)
        }
    };
    let mut done = TableReport::default();
    let written = records::for_each(
        basis.reader,
        &basis.shape(&table.stored),
        entity,
        progress,
        |row, content| {
            let decision = matcher
                .as_mut()
                .map(|m| m.decide(row, content))
                .transpose()?;
            let (action, id) = decision.map_or((RowAction::Insert, None), |d| (d.action, d.id));
            match (action, id) {
                (RowAction::Insert, _) => {
                    writer.insert(row, content)?;
                    done.inserted += 1;
                }
                (RowAction::Fill(columns), Some(id)) => {
                    writer.fill(&id, &columns, row, content)?;
                    done.filled += 1;
                }
                (RowAction::Same, _) => done.same += 1,
                (RowAction::Skip(_), _) => done.skipped += 1,
                (RowAction::Conflict(_) | RowAction::Fill(_), _) => done.conflicts += 1,
            }
            Ok(())
        },
    );
    basis.live.ignore_checks(false)?;
    written?;
    let planned = &table.report;
    for (what, planned, done) in [
        ("records inserted", planned.inserted, done.inserted),
        ("rows filled", planned.filled, done.filled),
        ("rows that are the same", planned.same, done.same),
        ("records skipped", planned.skipped, done.skipped),
        ("conflicts", planned.conflicts, done.conflicts),
    ] {
        ensure_planned(table, what, planned, done)?;
    }
    Ok(())
}

/// The ids that AUTOINCREMENT gave out, never lowered; and the header of a database that was empty.
fn settings(basis: &Basis<'_>, plan: &Plan, progress: &mut dyn Progress) -> Result<(), Error> {
    let stored = basis.schema.table("sqlite_sequence");
    let entity = basis
        .manifest
        .internal
        .iter()
        .find(|entity| entity.entity.eq_ignore_ascii_case("sqlite_sequence"));
    if let (Some(stored), Some(entity)) = (stored, entity) {
        records::for_each(
            basis.reader,
            &basis.shape(stored),
            entity,
            progress,
            |row, _| {
                let [ValueRef::Text(name), ValueRef::Integer(saved)] = row.values else {
                    return Ok(());
                };
                let of = |table: &&TablePlan| {
                    table.stored.name.as_bytes() == *name && table.live.autoincrement
                };
                match plan.tables.iter().find(of) {
                    Some(table) => basis.live.raise_sequence(&table.live.name, *saved),
                    None => Ok(()),
                }
            },
        )?;
    }
    let (now, saved) = (&basis.view.settings, &basis.manifest.settings);
    if basis.view.schema.tables.is_empty() {
        for (header, now, saved) in [
            (Header::UserVersion, now.user_version, saved.user_version),
            (
                Header::ApplicationId,
                now.application_id,
                saved.application_id,
            ),
        ] {
            if now == 0 && saved != 0 {
                basis.live.set_header(header, saved)?;
            }
        }
    }
    Ok(())
}

/// References without a target: none that neither the database nor the snapshot had.
fn compare(
    basis: &Basis<'_>,
    plan: &Plan,
    before: &Verdicts,
    after: &Verdicts,
    conflicts: &mut Conflicts,
) {
    for (name, after) in after {
        let planned = plan.tables.iter().find(|table| table.live.name == *name);
        let table = planned
            .map(|table| &table.live)
            .or_else(|| basis.view.schema.table(name));
        let Some(table) = table else { continue };
        let was = before.get(name).cloned().unwrap_or_default();
        for (id, violations) in &after.violations {
            let Some(key) = table.foreign_keys.iter().find(|key| key.id == *id) else {
                continue;
            };
            let there = was.violations.get(id).copied().unwrap_or(0);
            let carried = planned.map_or(Some(0), |planned| carried(basis, planned, key));
            let allowed = match (planned, basis.mode) {
                (Some(planned), mode) if planned.made || mode == Mode::Replace => carried,
                _ => carried.map(|carried| carried + there),
            };
            if allowed.is_some_and(|allowed| *violations > allowed) {
                let reason = format!(
                    "they would refer to rows of {} that do not exist ({violations} rows; {there} now)",
                    key.parent
                );
                conflicts.add(name, "rows".to_owned(), reason);
            }
        }
    }
}

/// Violations of a foreign key that the snapshot has itself; `None` if it could not be checked.
fn carried(basis: &Basis<'_>, table: &TablePlan, key: &ForeignKey) -> Option<u64> {
    let same = |other: &&ForeignKey| {
        other.parent.eq_ignore_ascii_case(&key.parent) && other.columns == key.columns
    };
    let Some(stored) = table.stored.foreign_keys.iter().find(same) else {
        return Some(0);
    };
    let verdicts = basis.manifest.foreign_keys.iter();
    let mut of = verdicts.filter(|verdict| verdict.table == table.stored.name);
    if of.clone().any(|verdict| verdict.unchecked.is_some()) {
        return None;
    }
    Some(of.find(|v| v.id == stored.id).map_or(0, |v| v.violations))
}

/// SQLite's own check, before anything counts.
fn integrity(
    basis: &Basis<'_>,
    level: CheckLevel,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    if level == CheckLevel::None {
        return Ok(());
    }
    let lines = basis.live.integrity(level == CheckLevel::Full)?;
    let (values, lines): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| of_values(line));
    findings.extend(values.into_iter().map(|line| Finding::note("check", line)));
    if lines.is_empty() {
        return Ok(());
    }
    Err(TargetError::Damaged {
        path: basis.live.path().to_owned(),
        lines,
    })
}
