//! How a table is made equal to the snapshot's: by what differs where records and rows come in one order,
//! else by emptying and filling it.

use crate::error::Error;
use crate::model::value::ValueRef;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::identity::beside::{Met, Rows, is_equal};
use crate::ops::restore::options::OnConflict;
use crate::ops::restore::records;
use crate::ops::restore::report::{Conflict, ConflictKind};
use crate::ops::restore::scope::closure::each_record;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::{TablePlan, Tally, Work, bytes};
use crate::progress::Progress;
use crate::target::{Doing, Field, Record, RowId, Step, TargetError, Trial, Tried, Worksheet};

/// Notes that a record is left out: nothing may refer to it.
pub(in crate::ops::restore) type LeaveOut<'l> =
    dyn FnMut(u64, Record<'_>) -> Result<(), TargetError> + 'l;

/// Plans it; `left_out`: of records that the table refuses. Errors: `Store`, `Target`, `Cancelled`.
pub(in crate::ops::restore) fn plan<'w>(
    basis: &Basis<'_>,
    sheet: &'w Worksheet,
    trial: &Trial,
    shape: &TableShape,
    left_out: &mut LeaveOut<'_>,
    progress: &mut dyn Progress,
) -> Result<TablePlan<'w>, Error> {
    let mut plan = TablePlan {
        tally: Tally {
            lost: vec![0; shape.map.dropped.len()],
            ..Tally::default()
        },
        work: Work::All,
        steps: sheet.steps()?,
        deletions: sheet.row_list()?,
        is_emptied: true,
        given: 0,
    };
    let report = &mut plan.tally.report;
    report.table.clone_from(&shape.live.name);
    report.inserted = shape.records(basis);
    report.bytes = shape.entity(basis).map_or(0, |entity| entity.bytes);
    if shape.made {
        plan.is_emptied = false;
        return Ok(plan);
    }
    let tried = trial.of(
        &basis.view.schema,
        &shape.live,
        &shape.map,
        basis.schema,
        shape.keeps_checks_broken(basis.mode()),
    )?;
    // Columns of the table's own get their defaults: every row is written then.
    let may_meet = shape.map.added.is_empty() && basis.live.has_rows(&shape.live.name)?;
    let rows = match may_meet {
        true => Rows::of(basis, shape)?,
        false => None,
    };
    if let Some(rows) = rows {
        plan.work = Work::Steps;
        plan.is_emptied = false;
        plan.tally.report.inserted = 0;
        plan.tally.report.bytes = 0;
        meet_all(basis, shape, &mut plan, tried, rows, left_out, progress)?;
        return Ok(plan);
    }
    plan.tally.report.deleted = basis.live.count(&shape.live.name)?;
    if tried.is_some() || !shape.map.dropped.is_empty() {
        try_all(basis, shape, &mut plan, tried, left_out, progress)?;
    }
    Ok(plan)
}

/// Walks records and rows side by side: only what differs is written.
fn meet_all(
    basis: &Basis<'_>,
    shape: &TableShape,
    plan: &mut TablePlan<'_>,
    mut tried: Option<Tried<'_>>,
    mut rows: Rows<'_>,
    left_out: &mut LeaveOut<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let mut fields = Vec::new();
    let identity = rows.identity();
    rows.walk(basis, shape, progress, |met, content| {
        let (ordinal, row, live) = match met {
            Met::Row(live) => {
                plan.tally.report.deleted += 1;
                return plan.deletions.add(&RowId::of_row(&identity, &live)?);
            }
            Met::Record(ordinal, row, live) => (ordinal, row, live),
        };
        let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
        let record = Record {
            rowid: shape.map.rowid(row),
            values: &values,
        };
        let dropped = shape.map.dropped.iter();
        for (lost, (_, slot)) in plan.tally.lost.iter_mut().zip(dropped) {
            *lost += u64::from(slot.of(row) != ValueRef::Null);
        }
        if let Some(live) = &live
            && is_equal(live, record, content, &mut fields)?
        {
            plan.tally.report.same += 1;
            return Ok(());
        }
        if let Some(tried) = &mut tried
            && let Some(refusal) = tried.insert(record, content)?
        {
            refused(basis, shape, &mut plan.tally, record, refusal.reason);
            return match live {
                // The row stays.
                Some(_) => Ok(()),
                None => left_out(ordinal, record),
            };
        }
        let report = &mut plan.tally.report;
        let Some(live) = live else {
            report.inserted += 1;
            report.bytes += values.iter().map(|value| bytes(*value)).sum::<u64>();
            return plan.steps.put(&insert(ordinal));
        };
        report.updated += 1;
        let differing = |at: &usize| fields.get(*at) != Some(&Field::Equal);
        let columns: Vec<usize> = (0..values.len()).filter(differing).collect();
        report.bytes += columns.iter().map(|at| bytes(values[*at])).sum::<u64>();
        // A key may be that of a row which is written later: the row is taken out of its way first.
        let in_key = |at: &usize| shape.map.columns[*at].in_key;
        let doing = match shape.has_other_unique || columns.iter().any(in_key) {
            true => Doing::Rewrite,
            false => Doing::Update,
        };
        plan.steps.put(&Step {
            ordinal,
            doing,
            id: Some(RowId::of_row(&identity, &live)?),
            columns,
            changes: Vec::new(),
        })
    })
}

/// Looks at every record: whether the table takes it, and what of it cannot be restored.
fn try_all(
    basis: &Basis<'_>,
    shape: &TableShape,
    plan: &mut TablePlan<'_>,
    mut tried: Option<Tried<'_>>,
    left_out: &mut LeaveOut<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let Some(entity) = shape.entity(basis) else {
        return Ok(());
    };
    plan.work = Work::Steps;
    records::for_each_in_utf8(
        basis.reader,
        (&shape.tree, basis.schema.encoding),
        entity,
        progress,
        |ordinal, row, content| {
            let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
            let record = Record {
                rowid: shape.map.rowid(row),
                values: &values,
            };
            if let Some(tried) = &mut tried
                && let Some(refusal) = tried.insert(record, content)?
            {
                plan.tally.report.inserted -= 1;
                refused(basis, shape, &mut plan.tally, record, refusal.reason);
                return left_out(ordinal, record);
            }
            let dropped = shape.map.dropped.iter();
            for (lost, (_, slot)) in plan.tally.lost.iter_mut().zip(dropped) {
                *lost += u64::from(slot.of(row) != ValueRef::Null);
            }
            plan.steps.put(&insert(ordinal))
        },
    )
}

fn refused(
    basis: &Basis<'_>,
    shape: &TableShape,
    tally: &mut Tally,
    record: Record<'_>,
    reason: String,
) {
    let report = &mut tally.report;
    report.conflicts += 1;
    if basis.options.on_conflict == OnConflict::Skip {
        report.skipped += 1;
        report.left_out.conflicting += 1;
    }
    tally.conflicts.add(Conflict {
        kind: ConflictKind::Record,
        table: shape.live.name.clone(),
        record: shape.map.name_of(record),
        reason,
        values: shape.map.describe(record),
        rows: Vec::new(),
    });
}

fn insert(ordinal: u64) -> Step {
    Step {
        ordinal,
        doing: Doing::Insert,
        id: None,
        columns: Vec::new(),
        changes: Vec::new(),
    }
}

/// Gives every record of a table that is inserted whole a step of its own.
pub(in crate::ops::restore) fn into_steps(
    basis: &Basis<'_>,
    shape: &TableShape,
    plan: &mut TablePlan<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    plan.work = Work::Steps;
    let steps = &mut plan.steps;
    each_record(basis, shape, progress, |ordinal, _| {
        steps.put(&insert(ordinal))
    })
}
