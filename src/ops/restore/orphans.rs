//! Rows outside a replacement that would lose their parents. No cascade runs: they block, unless that
//! is forced.

use super::basis::{Basis, Conflicts};
use super::closure::each_record;
use super::keys::changed;
use super::links::{Reference, references};
use super::plan::TablePlan;
use super::report::Conflict;
use super::shape::TableShape;
use crate::error::Error;
use crate::model::schema::Table;
use crate::model::value::Value;
use crate::progress::Progress;
use crate::target::{Comparer, Record, Targets, Worksheet, is_ordinary, parent_columns};

/// Finds them, and adds them as conflicts.
pub(super) fn find(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    tables: &[TablePlan<'_>],
    sheet: &Worksheet,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if basis.options.force {
        return Ok(());
    }
    let is_replaced = |name: &str| {
        let mut shapes = shapes.iter();
        shapes.any(|s| s.is_replaced(basis.mode()) && s.live.name.eq_ignore_ascii_case(name))
    };
    let stays = |table: &&Table| is_ordinary(table) && !is_replaced(&table.name);
    for child in basis.view.schema.tables.iter().filter(stays) {
        for reference in references(basis, child) {
            let parent = &reference.key.parent;
            let at = shapes.iter().position(|shape| {
                !shape.made
                    && shape.is_replaced(basis.mode())
                    && shape.live.name.eq_ignore_ascii_case(parent)
            });
            let updated = shapes.iter().zip(tables).position(|(shape, table)| {
                let is_it = shape.live.name.eq_ignore_ascii_case(parent);
                is_it && !shape.is_replaced(basis.mode()) && table.tally.report.updated > 0
            });
            if let Some(at) = updated {
                let parent = (&shapes[at], &tables[at]);
                of_updated(basis, child, &reference, parent, sheet, conflicts, progress)?;
            }
            let Some(at) = at.filter(|at| tables[*at].is_touched()) else {
                continue;
            };
            of_child(
                basis,
                child,
                &reference,
                (&shapes[at], &tables[at]),
                sheet,
                conflicts,
                progress,
            )?;
        }
    }
    Ok(())
}

/// Rows that refer to a key which an overwritten row has no more.
fn of_updated(
    basis: &Basis<'_>,
    child: &Table,
    reference: &Reference,
    (parent, plan): (&TableShape, &TablePlan<'_>),
    sheet: &Worksheet,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let columns = parent_columns(&reference.key, &parent.live, reference.declared);
    let Some(columns) = columns else {
        return Ok(());
    };
    let mapped = columns.iter().map(|(column, _)| {
        let name = &parent.live.columns.get(*column)?.name;
        parent.map.position(name)
    });
    let Some(mapped) = mapped.collect::<Option<Vec<usize>>>() else {
        return Ok(());
    };
    let mut lost = sheet.key_map(&parent.live, &columns)?;
    let mut gained = sheet.key_map(&parent.live, &columns)?;
    let rows = Comparer::new(basis.live, &parent.live, &parent.map)?;
    let mut steps = plan.steps.read()?;
    each_record(basis, parent, progress, |ordinal, record| {
        let Some(step) = steps.of(ordinal)? else {
            return Ok(());
        };
        let values = changed(record.values, &step.changes);
        let now = Record {
            rowid: record.rowid,
            values: &values,
        };
        match &step.id {
            Some(id) if step.columns.iter().any(|at| mapped.contains(at)) => {
                let was = rows.values(id, &mapped)?;
                if !was.contains(&Value::Null) {
                    lost.add(&was, 0)?;
                }
                // Key columns that are not written are those of the row.
                let value = |(n, at): (usize, &usize)| match step.columns.contains(at) {
                    true => now.value(*at).to_owned(),
                    false => was[n].clone(),
                };
                let is: Vec<Value> = mapped.iter().enumerate().map(value).collect();
                match is.contains(&Value::Null) {
                    true => Ok(()),
                    false => gained.add(&is, 0),
                }
            }
            Some(_) => Ok(()),
            None => now.whole(&mapped).map_or(Ok(()), |key| gained.add(&key, 0)),
        }
    })?;
    if !lost.is_empty() {
        basis
            .live
            .each_reference(child, &reference.key, |name, values| {
                if lost.has(&values)? && !gained.has(&values)? {
                    let reason = format!(
                        "it refers to a row of {} that gets another key",
                        parent.live.name
                    );
                    conflicts.note(&child.name, name, reason);
                }
                Ok(())
            })?;
    }
    Ok(())
}

fn of_child(
    basis: &Basis<'_>,
    child: &Table,
    reference: &Reference,
    (parent, plan): (&TableShape, &TablePlan<'_>),
    sheet: &Worksheet,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let Some(columns) = parent_columns(&reference.key, &parent.live, reference.declared) else {
        return Ok(());
    };
    let mapped = columns.iter().map(|(column, _)| {
        let name = &parent.live.columns.get(*column)?.name;
        parent.map.position(name)
    });
    let mut present = sheet.key_map(&parent.live, &columns)?;
    if let Some(mapped) = mapped.collect::<Option<Vec<usize>>>() {
        let mut steps = plan.steps.read()?;
        // Of a table that is emptied, only what has a step comes back.
        let by_steps = plan.is_emptied && plan.work == super::plan::Work::Steps;
        each_record(basis, parent, progress, |ordinal, record| {
            let step = match by_steps {
                true => steps.of(ordinal)?,
                false => None,
            };
            match record
                .whole(&mapped)
                .filter(|_| !by_steps || step.is_some())
            {
                Some(key) => present.add(&key, 0),
                None => Ok(()),
            }
        })?;
    }
    let mut targets = Targets::new(basis.live, &parent.live, &columns)?;
    basis
        .live
        .each_reference(child, &reference.key, |name, values| {
            // What has no parent now loses none.
            if !present.has(&values)? && targets.has(&values)? {
                conflicts.add(Conflict {
                    table: child.name.clone(),
                    record: name,
                    reason: format!(
                        "it refers to a row of {} that the snapshot does not have",
                        parent.live.name
                    ),
                    values: Vec::new(),
                    rows: Vec::new(),
                });
            }
            Ok(())
        })?;
    present.clear()?;
    Ok(())
}
