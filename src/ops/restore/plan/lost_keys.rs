//! Rows that refer to a key which an overwritten row has no more.

use crate::error::Error;
use crate::model::row::Collation;
use crate::model::schema::Table;
use crate::model::value::Value;
use crate::ops::restore::basis::{Basis, Conflicts};
use crate::ops::restore::identity::keys::changed;
use crate::ops::restore::report::ConflictKind;
use crate::ops::restore::scope::closure::each_record;
use crate::ops::restore::scope::links::Reference;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::TablePlan;
use crate::progress::Progress;
use crate::target::{Comparer, KeyMap, Record, Worksheet, parent_columns};

/// Keys that overwritten rows of a table have no more, and those that they and new rows get.
pub(in crate::ops::restore) struct Lost<'w> {
    basis: &'w Basis<'w>,
    reference: &'w Reference,
    sheet: &'w Worksheet,
    parent: String,
    keys: Option<(KeyMap<'w>, KeyMap<'w>)>,
}

impl<'w> Lost<'w> {
    /// Looks through the steps of the parent. Errors: `Store`, `Target`, `Cancelled`.
    pub(in crate::ops::restore) fn of(
        basis: &'w Basis<'w>,
        reference: &'w Reference,
        (parent, plan): (&TableShape, &TablePlan<'_>),
        sheet: &'w Worksheet,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let declared = reference.declared.then_some(basis.live);
        let columns = parent_columns(&reference.key, &parent.live, declared)?;
        let mapped = columns.as_ref().and_then(|columns| places(parent, columns));
        let mut found = Self {
            basis,
            reference,
            sheet,
            parent: parent.live.name.clone(),
            keys: None,
        };
        let (Some(columns), Some(mapped)) = (columns, mapped) else {
            return Ok(found);
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
        found.keys = Some((lost, gained));
        Ok(found)
    }

    /// Finds the rows of a table that refer to such a key, and go on doing so; adds them as conflicts.
    /// Errors: `Store`, `Target`, `Cancelled`.
    pub(in crate::ops::restore) fn find(
        &mut self,
        child: &Table,
        plan: Option<(&TableShape, &TablePlan<'_>)>,
        conflicts: &mut Conflicts,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let (basis, reference) = (self.basis, self.reference);
        let Some((lost, gained)) = self.keys.as_mut().filter(|(lost, _)| !lost.is_empty()) else {
            return Ok(());
        };
        let mut written = self.sheet.row_map(child)?;
        if let Some((shape, plan)) = plan.filter(|(_, plan)| plan.writes()) {
            let columns = reference.key.columns.iter();
            let columns: Vec<_> = columns.map(|(c, _)| shape.map.position(c)).collect();
            let mut steps = plan.steps.read()?;
            each_record(basis, shape, progress, |ordinal, _| {
                let Some(step) = steps.of(ordinal)? else {
                    return Ok(());
                };
                let refers_anew = step.columns.iter().any(|at| columns.contains(&Some(*at)));
                match step.id.filter(|_| refers_anew) {
                    Some(id) => written.add(&id.0, 0),
                    None => Ok(()),
                }
            })?;
        }
        let reason = format!(
            "it refers to a row of {} that gets another key",
            self.parent
        );
        basis
            .live
            .each_reference(child, &reference.key, |row, values| {
                if lost.has(&values)? && !gained.has(&values)? && !written.has(&row.0)? {
                    conflicts.note(
                        ConflictKind::Orphan,
                        &child.name,
                        row.shown(),
                        reason.clone(),
                    );
                }
                Ok(())
            })?;
        Ok(())
    }
}

/// Where columns of the live table stand among the mapped ones.
pub(in crate::ops::restore) fn places(
    shape: &TableShape,
    columns: &[(usize, Collation)],
) -> Option<Vec<usize>> {
    let place = |(column, _): &(usize, Collation)| {
        let name = &shape.live.columns.get(*column)?.name;
        shape.map.position(name)
    };
    columns.iter().map(place).collect()
}
