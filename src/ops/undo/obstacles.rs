//! What came since and leaves a row no room: another row with its UNIQUE values, rows that refer to one
//! that would be deleted, a parent that is gone. Such rows stay as they are, and so may be in the way of
//! others: it is looked for until nothing more is found.

use std::collections::BTreeSet;

use super::Restored;
use super::changes::each_change;
use super::look::Looks;
use super::plan::{Plan, TablePlan};
use crate::error::Error;
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{
    Doing, KeyMap, LiveView, Record, Refusal, RowId, SpilledContent, TargetError, Trial, Tried,
    Worksheet,
};
use crate::tree::diff::Difference as Change;

/// Looks for obstacles.
pub(super) struct Obstacles<'o, 'w> {
    pub restored: &'o Restored<'o>,
    pub view: &'o LiveView,
    pub sheet: &'w Worksheet,
    pub trial: &'o Trial,
}

impl<'w> Obstacles<'_, 'w> {
    /// Takes every row out of the plan that something is in the way of.
    ///
    /// Errors: `Store`, `Target`, `Cancelled`.
    pub(super) fn settle(
        &self,
        plan: &mut Plan<'w>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        // What is taken out of a table may be in the way of its own rows, and of those of relatives.
        let mut unsettled: BTreeSet<usize> = (0..plan.tables.len()).collect();
        loop {
            let mut touched = BTreeSet::new();
            for at in &unsettled {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                if self.unique(*at, plan)? {
                    touched.insert(*at);
                }
            }
            self.references(&unsettled, plan, &mut touched, progress)?;
            if touched.is_empty() {
                return Ok(());
            }
            unsettled = touched;
        }
    }

    /// Rows that have UNIQUE values which a row to be written would get. True if there are any.
    fn unique(&self, at: usize, plan: &mut Plan<'w>) -> Result<bool, Error> {
        let (live, map) = (plan.tables[at].live.clone(), plan.tables[at].map.clone());
        let report = &plan.tables[at].report;
        if report.inserted + report.updated == 0 {
            return Ok(false);
        }
        let schema = &self.view.schema;
        let mut fates = Fates::of(self.sheet, &plan.tables[at])?;
        let mut looks = Looks::new(self.restored.live, schema, &live, &map)?;
        let stored = self.restored.before_schema;
        let mut tried = self.trial.of(schema, &live, &map, stored, true)?;
        let mut steps = plan.tables[at].steps.read()?;
        let mut found = false;
        each_change(self.restored, &live.name, |place, change, content| {
            let Some(step) = steps.of(place)? else {
                return Ok(());
            };
            let (Change::Removed(was) | Change::Changed(was, _)) = change else {
                return Ok(());
            };
            if !matches!(step.doing, Doing::Insert | Doing::Rewrite) {
                return Ok(());
            }
            let values: Vec<ValueRef<'_>> = map.values(was).collect();
            let record = Record {
                rowid: map.rowid(was),
                values: &values,
            };
            let in_the_way = looks.in_the_way(record, content, &mut |id| fates.goes(id))?;
            let (reason, id) = match (in_the_way, &mut tried) {
                (Some((reason, id)), _) => (reason, Some(id)),
                (None, None) => return Ok(()),
                (None, Some(tried)) => {
                    let refused = self.refused(tried, record, content, &mut fates)?;
                    let Some(refusal) = refused else {
                        return Ok(());
                    };
                    (refusal.reason, refusal.rows.into_iter().next())
                }
            };
            found = true;
            let told = (&*reason, id.as_ref());
            plan.leave(at, (place, Some(step.doing)), &looks, change, told)
        })?;
        Ok(found)
    }

    /// Why a table with other UNIQUE indexes than its keys would refuse a row.
    fn refused(
        &self,
        tried: &mut Tried<'_>,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fates: &mut Fates<'_>,
    ) -> Result<Option<Refusal>, TargetError> {
        let yields = &mut |id: &RowId| fates.goes(id);
        tried.insert_beside(self.restored.live, record, yields, content)
    }
}

/// What the plan does to the rows that are there now.
pub(super) struct Fates<'w>(KeyMap<'w>);

/// Stands before the columns of a row that is written in its place; a row that goes has nothing.
const WRITTEN: Value = Value::Integer(-1);

impl<'w> Fates<'w> {
    /// Of the rows of a table.
    pub(super) fn of(sheet: &'w Worksheet, table: &TablePlan<'_>) -> Result<Self, TargetError> {
        let mut rows = sheet.row_map(&table.live)?;
        for steps in [&table.deletions, &table.steps] {
            let mut steps = steps.read()?;
            while let Some(step) = steps.next_step()? {
                let Some(id) = &step.id else { continue };
                let mut written = Vec::new();
                if step.doing != Doing::Rewrite {
                    written.push(WRITTEN);
                    let columns = step.columns.iter();
                    written
                        .extend(columns.map(|at| Value::Integer(i64::try_from(*at).unwrap_or(-1))));
                }
                rows.put(&id.0, 0, &written)?;
            }
        }
        Ok(Self(rows))
    }

    /// True if the row is deleted, for good or to be inserted with other values.
    pub(super) fn goes(&mut self, id: &RowId) -> Result<bool, TargetError> {
        Ok(self.0.get(&id.0)?.is_some_and(|row| row.values.is_empty()))
    }

    /// True if the row does not have the values any more that it has now in one of these columns.
    pub(super) fn loses(&mut self, id: &RowId, columns: &[usize]) -> Result<bool, TargetError> {
        Ok(self.0.get(&id.0)?.is_some_and(|row| {
            let mut columns = columns.iter();
            row.values.is_empty()
                || columns.any(|at| {
                    let at = i64::try_from(*at).unwrap_or(i64::MAX);
                    row.values.contains(&Value::Integer(at))
                })
        }))
    }
}
