//! Rows that would lose their parent by an undo, or come back without one: what refers to a row that came
//! since keeps it, and what has no parent any more does not come back, unless it had none before.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::each_change;
use super::look::Looks;
use super::obstacles::{Fates, Obstacles};
use super::orphans::of_key;
use super::plan::{Plan, TablePlan};
use super::values::{child_places, id_of, places, refers, whole};
use crate::error::Error;
use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ForeignKey, Table};
use crate::model::value::Value;
use crate::progress::Progress;
use crate::target::{
    Doing, KeyMap, RowId, TargetError, Targets, identity_places, is_ordinary, parent_columns,
};
use crate::tree::diff::Difference as Change;

/// A reference between tables, at least one of which the plan writes.
struct Reference<'r, 'w> {
    child: &'r Table,
    key: &'r ForeignKey,
    /// Places of the tables in the plan.
    child_at: Option<usize>,
    parent_at: Option<usize>,
    /// `None`: there is no such table.
    parent: Option<&'r Table>,
    /// Columns of the parent.
    columns: Vec<(usize, Collation)>,
    /// Keys that the parent has no more, each with the place of its row, and those that it gets.
    lost: KeyMap<'w>,
    gained: KeyMap<'w>,
    /// Rows may have had no parent before the restore.
    had_orphans: bool,
}

impl<'w> Obstacles<'_, 'w> {
    /// Looks at all references from and to tables that are `unsettled`.
    pub(super) fn references(
        &self,
        unsettled: &BTreeSet<usize>,
        plan: &mut Plan<'w>,
        touched: &mut BTreeSet<usize>,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let schema = &self.view.schema;
        for child in schema.tables.iter().filter(|table| is_ordinary(table)) {
            for key in &child.foreign_keys {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let at = |name: &str| {
                    let mut tables = plan.tables.iter();
                    tables.position(|table| table.live.name.eq_ignore_ascii_case(name))
                };
                let (child_at, parent_at) = (at(&child.name), at(&key.parent));
                let is_looked_at = |at: Option<usize>| {
                    at.is_some_and(|at| unsettled.contains(&at) || touched.contains(&at))
                };
                if !is_looked_at(child_at) && !is_looked_at(parent_at) {
                    continue;
                }
                let parent = schema.table(&key.parent).filter(|t| is_ordinary(t));
                let columns = match parent {
                    // SQLite cannot check it either if there are none.
                    Some(parent) => match parent_columns(key, parent, None)? {
                        Some(columns) => columns,
                        None => continue,
                    },
                    None => vec![(usize::MAX, Collation::Binary); key.columns.len()],
                };
                let of = parent.unwrap_or(child);
                let mut reference = Reference {
                    child,
                    key,
                    child_at,
                    parent_at,
                    parent,
                    lost: self.sheet.key_map(of, &columns)?,
                    gained: self.sheet.key_map(of, &columns)?,
                    columns,
                    had_orphans: self.had_orphans(child, key),
                };
                self.keys_of_parent(&mut reference, plan)?;
                if self.children(&mut reference, plan)? {
                    touched.extend(parent_at);
                    // Its keys are not lost any more.
                    reference.lost.clear()?;
                    reference.gained.clear()?;
                    self.keys_of_parent(&mut reference, plan)?;
                }
                if self.put_back(&mut reference, plan)? {
                    touched.extend(child_at);
                }
            }
        }
        Ok(())
    }

    /// Fills in the keys that the plan takes from the parent, and gives it.
    fn keys_of_parent(
        &self,
        reference: &mut Reference<'_, 'w>,
        plan: &Plan<'w>,
    ) -> Result<(), Error> {
        let Some(parent) = reference.parent_at.map(|at| &plan.tables[at]) else {
            return Ok(());
        };
        let Some(columns) = places(&parent.live, &parent.map, &reference.columns) else {
            return Ok(());
        };
        let (mut steps, mut deletions) = (parent.steps.read()?, parent.deletions.read()?);
        let (lost, gained) = (&mut reference.lost, &mut reference.gained);
        each_change(self.restored, &parent.live.name, |place, change, _| {
            let is_deleted = deletions.of(place)?.is_some();
            let doing = steps.of(place)?.map(|step| step.doing);
            let is_rewritten = doing == Some(Doing::Rewrite);
            if let Change::Added(made) | Change::Changed(_, made) = change
                && (is_deleted || is_rewritten)
                && let Some(key) = whole(&parent.map, made, &columns)
            {
                lost.add(&key, i64::try_from(place).unwrap_or(i64::MAX))?;
            }
            if let Change::Removed(was) | Change::Changed(was, _) = change
                && (is_rewritten || doing == Some(Doing::Insert))
                && let Some(key) = whole(&parent.map, was, &columns)
            {
                gained.add(&key, 0)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Rows that stay and refer to a row that would go: it stays, too. True if there are any.
    fn children(
        &self,
        reference: &mut Reference<'_, 'w>,
        plan: &mut Plan<'w>,
    ) -> Result<bool, Error> {
        let Some(parent_at) = reference.parent_at.filter(|_| !reference.lost.is_empty()) else {
            return Ok(false);
        };
        let child = reference.child;
        let mut fates = match reference.child_at {
            Some(at) => Some(Fates::of(self.sheet, &plan.tables[at])?),
            None => None,
        };
        let own = reference.child_at.and_then(|at| {
            let map = &plan.tables[at].map;
            child_places(map, reference.key)
        });
        let (lost, gained) = (&mut reference.lost, &mut reference.gained);
        // The place of the row in the parent that a row would lose.
        let mut loses = |row: &RowId, values: &[Value]| -> Result<Option<u64>, TargetError> {
            let Some(entry) = lost.get(values)? else {
                return Ok(None);
            };
            let refers_anew = match (&mut fates, &own) {
                (Some(fates), Some(own)) => fates.loses(row, own)?,
                (Some(fates), None) => fates.goes(row)?,
                (None, _) => false,
            };
            let stays_without = !refers_anew && !gained.has(values)?;
            Ok(stays_without.then_some(entry.mark.unsigned_abs()))
        };
        let mut were_orphans = self.sheet.row_map(child)?;
        if reference.had_orphans {
            let mut candidates = self.sheet.row_map(child)?;
            let live = self.restored.live;
            live.each_reference(child, reference.key, |row, values| {
                match loses(row, &values)? {
                    Some(_) => candidates.put(&row.0, 0, &values),
                    None => Ok(()),
                }
            })?;
            self.unchanged_orphans(
                reference.child,
                reference.key,
                &mut candidates,
                &mut were_orphans,
            )?;
        }
        let mut kept = BTreeMap::<u64, String>::new();
        let live = self.restored.live;
        live.each_reference(child, reference.key, |row, values| {
            let Some(place) = loses(row, &values)? else {
                return Ok(());
            };
            if were_orphans.has(&row.0)? {
                let allowed = of_key(&mut plan.orphans, self.sheet, child, reference.key)?;
                return allowed.put(&row.0, 0, &values);
            }
            kept.entry(place)
                .or_insert_with(|| format!("{} of {} refers to it", row.shown(), child.name));
            Ok(())
        })?;
        if !kept.is_empty() {
            self.keep(parent_at, &kept, plan)?;
        }
        Ok(!kept.is_empty())
    }

    /// Takes rows out of the plan that others refer to.
    fn keep(
        &self,
        at: usize,
        kept: &BTreeMap<u64, String>,
        plan: &mut Plan<'w>,
    ) -> Result<(), Error> {
        let (live, map) = (plan.tables[at].live.clone(), plan.tables[at].map.clone());
        let looks = Looks::new(self.restored.live, &self.view.schema, &live, &map)?;
        let mut steps = plan.tables[at].steps.read()?;
        let mut deletions = plan.tables[at].deletions.read()?;
        each_change(self.restored, &live.name, |place, change, _| {
            let (deleted, written) = (deletions.of(place)?, steps.of(place)?);
            let Some(reason) = kept.get(&place) else {
                return Ok(());
            };
            let doing = written.as_ref().map(|step| step.doing);
            let Some(step) = deleted.or(written) else {
                return Ok(());
            };
            plan.leave(
                at,
                (place, doing),
                &looks,
                change,
                (reason, step.id.as_ref()),
            )
        })?;
        Ok(())
    }

    /// Rows that would come back without their parent. True if there are any.
    fn put_back(
        &self,
        reference: &mut Reference<'_, 'w>,
        plan: &mut Plan<'w>,
    ) -> Result<bool, Error> {
        let Some(at) = reference.child_at else {
            return Ok(false);
        };
        let (live, map) = (plan.tables[at].live.clone(), plan.tables[at].map.clone());
        let report = &plan.tables[at].report;
        let Some(own) =
            child_places(&map, reference.key).filter(|_| report.inserted + report.updated > 0)
        else {
            return Ok(false);
        };
        let mut targets = match reference.parent {
            Some(parent) => Some(Targets::new(
                self.restored.live,
                parent,
                &reference.columns,
            )?),
            None => None,
        };
        let (lost, gained) = (&mut reference.lost, &mut reference.gained);
        let mut lacks = |values: &[Value]| -> Result<bool, TargetError> {
            let there = match &mut targets {
                Some(targets) => targets.has(values)? && !lost.has(values)?,
                None => false,
            };
            Ok(!there && !gained.has(values)?)
        };
        let of = reference.parent.unwrap_or(reference.child);
        let mut had = self.sheet.key_map(of, &reference.columns)?;
        if reference.had_orphans {
            let mut asked = self.sheet.key_map(of, &reference.columns)?;
            self.each_reference_put_back(&plan.tables[at], &own, |_, _, values| {
                match lacks(values)? {
                    true => asked.add(values, 0),
                    false => Ok(()),
                }
            })?;
            self.parents_before(reference.parent, &reference.columns, &mut asked, &mut had)?;
        }
        let looks = Looks::new(self.restored.live, &self.view.schema, &live, &map)?;
        let identity = identity_places(&live, &map);
        let mut steps = plan.tables[at].steps.read()?;
        let mut found = false;
        each_change(self.restored, &live.name, |place, change, _| {
            let Some(step) = steps.of(place)? else {
                return Ok(());
            };
            let Some((was, values)) = refers(&map, &own, change, step.doing, &step.columns) else {
                return Ok(());
            };
            if !lacks(&values)? {
                return Ok(());
            }
            if reference.had_orphans && !had.has(&values)? {
                let identity = identity.as_ref();
                let Some(id) = identity.and_then(|places| id_of(&map, was, places)) else {
                    return Ok(());
                };
                let allowed = of_key(&mut plan.orphans, self.sheet, &live, reference.key)?;
                return allowed.put(&id.0, 0, &values);
            }
            found = true;
            let reason = format!(
                "the row of {} that it refers to is gone",
                reference.key.parent
            );
            let told = (&*reason, step.id.as_ref());
            plan.leave(at, (place, Some(step.doing)), &looks, change, told)
        })?;
        Ok(found)
    }

    /// Calls `each` for every row that is put back, with the values of a reference.
    fn each_reference_put_back(
        &self,
        table: &TablePlan<'_>,
        own: &[usize],
        mut each: impl FnMut(u64, RowRef<'_>, &[Value]) -> Result<(), TargetError>,
    ) -> Result<(), Error> {
        let mut steps = table.steps.read()?;
        each_change(self.restored, &table.live.name, |place, change, _| {
            let Some(step) = steps.of(place)? else {
                return Ok(());
            };
            match refers(&table.map, own, change, step.doing, &step.columns) {
                Some((was, values)) => each(place, was, &values),
                None => Ok(()),
            }
        })?;
        Ok(())
    }
}
