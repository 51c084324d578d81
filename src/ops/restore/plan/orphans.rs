//! Rows outside a replacement that would lose their parents. No cascade runs: they block, unless that
//! is forced.

use super::lost_keys::{Lost, places};
use crate::error::Error;
use crate::model::schema::Table;
use crate::ops::restore::basis::{Basis, Conflicts};
use crate::ops::restore::report::{Conflict, ConflictKind};
use crate::ops::restore::scope::Chosen;
use crate::ops::restore::scope::closure::each_record;
use crate::ops::restore::scope::links::{Reference, references};
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::{TablePlan, Work};
use crate::progress::Progress;
use crate::target::{Targets, Worksheet, is_ordinary, parent_columns};

/// Finds them, and adds them as conflicts.
pub(in crate::ops::restore) fn find(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    tables: &[TablePlan<'_>],
    chosen: &mut [Chosen<'_>],
    sheet: &Worksheet,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
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
                let (parent, plan) = (&shapes[at], &tables[at]);
                let mut lost = Lost::of(basis, &reference, (parent, plan), sheet, progress)?;
                let same = |s: &TableShape| s.live.name.eq_ignore_ascii_case(&child.name);
                let child_at = shapes.iter().position(same);
                let of_child = child_at.map(|at| (&shapes[at], &tables[at]));
                lost.find(child, of_child, conflicts, progress)?;
            }
            let Some(at) = at.filter(|at| tables[*at].is_touched()) else {
                continue;
            };
            of_child(
                basis,
                child,
                &reference,
                (&shapes[at], &tables[at], &mut chosen[at]),
                sheet,
                conflicts,
                progress,
            )?;
        }
    }
    Ok(())
}

fn of_child(
    basis: &Basis<'_>,
    child: &Table,
    reference: &Reference,
    (parent, plan, chosen): (&TableShape, &TablePlan<'_>, &mut Chosen<'_>),
    sheet: &Worksheet,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let declared = reference.declared.then_some(basis.live);
    let Some(columns) = parent_columns(&reference.key, &parent.live, declared)? else {
        return Ok(());
    };
    let mut present = sheet.key_map(&parent.live, &columns)?;
    if let Some(mapped) = places(parent, &columns) {
        let mut steps = plan.steps.read()?;
        // Of a table that is emptied, only what has a step comes back.
        let by_steps = plan.is_emptied && plan.work == Work::Steps;
        each_record(basis, parent, progress, |ordinal, record| {
            let step = match by_steps {
                true => steps.of(ordinal)?,
                false => None,
            };
            match record
                .whole(&mapped)
                .filter(|_| !by_steps || step.is_some())
            {
                Some(_) if chosen.left_out.has(ordinal)? => Ok(()),
                Some(key) => present.add(&key, 0),
                None => Ok(()),
            }
        })?;
    }
    let mut targets = Targets::new(basis.live, &parent.live, &columns)?;
    basis
        .live
        .each_reference(child, &reference.key, |row, values| {
            // What has no parent now loses none.
            if !present.has(&values)? && targets.has(&values)? {
                conflicts.add(Conflict {
                    kind: ConflictKind::Orphan,
                    table: child.name.clone(),
                    record: row.shown(),
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
