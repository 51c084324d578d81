//! Carries a plan out, inside the transaction that its caller began. Whatever fails, the caller takes
//! the transaction back.

use crate::error::Error;
use crate::model::schema::{ObjectKind, SchemaObject};
use crate::model::value::ValueRef;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::identity::keys::changed;
use crate::ops::restore::plan::Plan;
use crate::ops::restore::plan::objects::is_made;
use crate::ops::restore::records;
use crate::ops::restore::report::TableReport;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::{TablePlan, Work};
use crate::progress::{Finding, Progress, Unit};
use crate::target::{Doing, Header, LiveWriter, Record, Step, TargetError, full_texts_over};

/// Carries the plan out.
pub(in crate::ops::restore) fn run(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    plan: &Plan<'_>,
    progress: &mut dyn Progress,
) -> Result<Vec<Finding>, Error> {
    let live = basis.live;
    let mut findings = Vec::new();
    for (shape, table) in shapes.iter().zip(&plan.tables) {
        if is_made(shape, table) {
            make(basis, shape)?;
        }
    }
    for (shape, table) in shapes.iter().zip(&plan.tables) {
        delete(basis, shape, table, progress)?;
    }
    for given in &plan.given {
        live.insert_given(&given.table, &given.values)?;
    }
    let touched = shapes.iter().zip(&plan.tables).filter(|(_, t)| t.writes());
    let total: u64 = touched.clone().map(|(shape, _)| shape.records(basis)).sum();
    progress.phase("Restoring", total, Unit::Records);
    for (shape, table) in touched {
        fill(basis, shape, table, progress)?;
    }
    for object in &plan.objects {
        if let Some(refused) = live.create(object)? {
            let text = format!("it cannot be created: {refused}");
            findings.push(Finding::warning(object.name.clone(), text));
        }
    }
    if !basis.options.fire_triggers {
        full_texts(basis, shapes, plan, &mut findings)?;
    }
    settings(basis, shapes, plan)?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(findings)
}

/// Full-text indexes that triggers would have kept up to date.
fn full_texts(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    plan: &Plan<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    let touched = shapes.iter().zip(&plan.tables);
    let touched = touched.filter(|(_, table)| table.is_touched());
    let touched: Vec<String> = touched.map(|(shape, _)| shape.live.name.clone()).collect();
    for name in full_texts_over(&basis.view.schema, &touched) {
        findings.push(match basis.live.rebuild_full_text(&name)? {
            None => Finding::note(name, "a full-text index over what was restored: built anew"),
            Some(refused) => {
                let text = format!(
                    "a full-text index over what was restored; it cannot be built anew here: {refused}"
                );
                Finding::warning(name, text)
            }
        });
    }
    Ok(())
}

pub(in crate::ops::restore) fn ensure_planned(
    table: &str,
    what: &'static str,
    planned: u64,
    done: u64,
) -> Result<(), TargetError> {
    if planned == done {
        return Ok(());
    }
    Err(TargetError::PlanDiffers {
        table: table.to_owned(),
        what,
        planned,
        done,
    })
}

fn make(basis: &Basis<'_>, shape: &TableShape) -> Result<(), Error> {
    let mut objects = basis.schema.objects.iter();
    let is_it = |o: &&SchemaObject| o.kind == ObjectKind::Table && o.name == shape.stored.name;
    let object = objects.find(is_it);
    let refused = match object {
        Some(object) => basis.live.create(object)?,
        None => Some("its text is missing".to_owned()),
    };
    match refused {
        None => Ok(()),
        Some(what) => Err(TargetError::Unsupported {
            path: basis.live.path().to_owned(),
            what: format!("table {}: {what}", shape.stored.name),
        }
        .into()),
    }
}

/// Deletes what is to be deleted, and the rows that are written anew.
fn delete(
    basis: &Basis<'_>,
    shape: &TableShape,
    table: &TablePlan<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let (live, name) = (basis.live, &shape.live.name);
    if table.is_emptied {
        let deleted = live.empty(name)?;
        ensure_planned(name, "rows deleted", table.tally.report.deleted, deleted)?;
        return Ok(());
    }
    if table.tally.report.deleted + table.tally.report.updated == 0 || shape.made {
        return Ok(());
    }
    let mut deleter = live.deleter(&shape.live)?;
    let mut deleted = 0;
    table.deletions.for_each(|id| {
        deleted += 1;
        deleter.delete(&id)
    })?;
    ensure_planned(name, "rows deleted", table.tally.report.deleted, deleted)?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    table.steps.each_rewritten(|id| deleter.delete(id))?;
    Ok(())
}

/// Writes the records of one table, step by step.
fn fill(
    basis: &Basis<'_>,
    shape: &TableShape,
    table: &TablePlan<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let Some(entity) = shape.entity(basis) else {
        return Ok(());
    };
    let (live, map) = (&shape.live, &shape.map);
    basis
        .live
        .ignore_checks(shape.keeps_checks_broken(basis.mode()))?;
    // A made table is in the snapshot's schema only.
    let schema = match shape.made {
        true => basis.schema,
        false => &basis.view.schema,
    };
    let mut writer = LiveWriter::new(basis.live, schema, live, map, table.tally.rowid_max)?;
    let mut steps = table.steps.read()?;
    let mut done = TableReport::default();
    let written = records::for_each_in_utf8(
        basis.reader,
        (&shape.tree, basis.schema.encoding),
        entity,
        progress,
        |ordinal, row, content| {
            let step = match table.work {
                Work::All => None,
                Work::Steps => match steps.of(ordinal)? {
                    Some(step) => Some(step),
                    None => return Ok(()),
                },
            };
            let values: Vec<ValueRef<'_>> = map.values(row).collect();
            let changes = step.as_ref().map(|step| step.changes.as_slice());
            let values = changed(&values, changes.unwrap_or_default());
            let record = Record {
                rowid: map.rowid(row),
                values: &values,
            };
            match &step {
                Some(Step {
                    doing: doing @ (Doing::Fill | Doing::Update),
                    id: Some(id),
                    columns,
                    ..
                }) => {
                    writer.fill(id, columns, record, content)?;
                    match doing {
                        Doing::Fill => done.filled += 1,
                        _ => done.updated += 1,
                    }
                }
                step => {
                    writer.insert(record, content)?;
                    match step
                        .as_ref()
                        .is_some_and(|step| step.doing == Doing::Rewrite)
                    {
                        true => done.updated += 1,
                        false => done.inserted += 1,
                    }
                }
            }
            Ok(())
        },
    );
    basis.live.ignore_checks(false)?;
    written?;
    done.inserted += table.given;
    ensure_all(&table.tally.report, &done)?;
    Ok(())
}

/// What was done must be what was planned.
fn ensure_all(planned: &TableReport, done: &TableReport) -> Result<(), TargetError> {
    let table = &planned.table;
    for (what, planned, done) in [
        ("records inserted", planned.inserted, done.inserted),
        ("rows filled", planned.filled, done.filled),
        ("rows updated", planned.updated, done.updated),
    ] {
        ensure_planned(table, what, planned, done)?;
    }
    Ok(())
}

/// The ids that AUTOINCREMENT gave out, never lowered; and the header of a database that was empty.
fn settings(basis: &Basis<'_>, shapes: &[TableShape], plan: &Plan<'_>) -> Result<(), Error> {
    for (shape, table) in shapes.iter().zip(&plan.tables) {
        let saved = basis.saved_sequence(&shape.stored.name);
        let is_restored = shape.role.is_written() && (!shape.made || is_made(shape, table));
        if saved > 0 && shape.live.autoincrement && is_restored {
            basis.live.raise_sequence(&shape.live.name, saved)?;
        }
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
