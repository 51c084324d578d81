//! References that a restore would leave without a target, found before anything is written.
//!
//! A record's target is present afterwards unless its own record means a row whose key is another
//! one, and stays. Only such keys are kept (on disk), and looked up in a second pass over the
//! children, which is due only where there are any. What the snapshot itself lacks is not at issue.

use super::basis::{Basis, Conflicts};
use super::decide::RowAction;
use super::matcher::Matcher;
use super::scope::TablePlan;
use super::{Mode, records};
use crate::error::Error;
use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ForeignKey, Table};
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{
    Field, KeySet, Slot, TargetError, Targets, Trial, is_ordinary, parent_columns,
};

/// Keys of one parent that something refers to.
struct Wanted<'t> {
    /// Position of the parent among the planned tables.
    parent: usize,
    columns: Vec<(usize, Collation)>,
    /// The same columns among the parent's mapped ones.
    mapped: Vec<usize>,
    /// Keys that records have, and the database will not.
    absent: KeySet<'t>,
}

/// The references of a restore.
pub(super) struct References<'t> {
    basis: &'t Basis<'t>,
    tables: &'t [TablePlan],
    trial: &'t Trial,
    wanted: Vec<Wanted<'t>>,
}

impl<'t> References<'t> {
    /// Of the planned tables, whose shapes do not change any more.
    pub(super) fn of(
        basis: &'t Basis<'t>,
        tables: &'t [TablePlan],
        trial: &'t Trial,
    ) -> Result<Self, Error> {
        let mut wanted: Vec<Wanted<'t>> = Vec::new();
        let keys = tables.iter().flat_map(|table| &table.live.foreign_keys);
        for key in keys.filter(|_| basis.mode != Mode::Replace) {
            let Some((parent, columns)) = planned_parent(tables, key) else {
                continue;
            };
            let known = wanted
                .iter()
                .any(|w| w.parent == parent && w.columns == columns);
            let table = &tables[parent];
            let mapped: Option<Vec<usize>> = columns
                .iter()
                .map(|(column, _)| table.map.position(&table.live.columns[*column].name))
                .collect();
            if let (false, Some(mapped), false) = (known, mapped, table.made) {
                wanted.push(Wanted {
                    parent,
                    mapped,
                    absent: trial.key_set(&table.live, &columns)?,
                    columns,
                });
            }
        }
        Ok(Self {
            basis,
            tables,
            trial,
            wanted,
        })
    }

    /// Takes note of a record whose row was found: of the keys that the row does not have.
    pub(super) fn note(
        &mut self,
        table: usize,
        row: RowRef<'_>,
        fields: &[Field],
    ) -> Result<(), TargetError> {
        if fields.is_empty() {
            return Ok(());
        }
        let map = &self.tables[table].map;
        for wanted in self.wanted.iter_mut().filter(|w| w.parent == table) {
            let differs = |at: &usize| fields.get(*at) != Some(&Field::Equal);
            if wanted.mapped.iter().any(differs) {
                let slots = wanted.mapped.iter().map(|at| map.columns[*at].slot);
                if let Some(values) = whole(slots, row) {
                    wanted.absent.add(&values)?;
                }
            }
        }
        Ok(())
    }

    /// Finds the references that would have no target: each is a conflict.
    pub(super) fn check(
        mut self,
        counted: &mut [TablePlan],
        conflicts: &mut Conflicts,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        if self.basis.mode == Mode::Replace {
            return self.orphans(conflicts, progress);
        }
        self.wanted.retain(|wanted| !wanted.absent.is_empty());
        for (table, counted) in self.tables.iter().zip(counted) {
            self.check_table(table, counted, conflicts, progress)?;
        }
        Ok(())
    }

    /// The references of a table to keys that are wanted.
    fn checks_of(&self, table: &TablePlan) -> Result<Vec<Check<'t>>, TargetError> {
        let (basis, tables) = (self.basis, self.tables);
        let mut checks = Vec::new();
        for (at, wanted) in self.wanted.iter().enumerate() {
            let parent = &tables[wanted.parent].live;
            for key in &table.live.foreign_keys {
                let refers = planned_parent(tables, key)
                    .is_some_and(|(at, c)| at == wanted.parent && c == wanted.columns);
                let children: Option<Vec<usize>> = key
                    .columns
                    .iter()
                    .map(|(child, _)| table.map.position(child))
                    .collect();
                if let (true, Some(children)) = (refers, children) {
                    checks.push(Check {
                        parent: &parent.name,
                        children,
                        targets: Targets::new(basis.live, parent, &wanted.columns)?,
                        wanted: at,
                    });
                }
            }
        }
        Ok(checks)
    }

    fn check_table(
        &mut self,
        table: &TablePlan,
        counted: &mut TablePlan,
        conflicts: &mut Conflicts,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let basis = self.basis;
        let mut checks = self.checks_of(table)?;
        let Some(entity) = basis.entity(&table.stored).filter(|_| !checks.is_empty()) else {
            return Ok(());
        };
        let (live, map) = (&table.live, &table.map);
        let mut matcher = match table.made {
            true => None,
            false => Some(Matcher::new(
                basis.live,
                live,
                map,
                basis.mode,
                map.is_keyless(),
            )?),
        };
        records::for_each(
            basis.reader,
            &basis.shape(&table.stored),
            entity,
            progress,
            |row, content| {
                let decision = matcher
                    .as_mut()
                    .map(|m| m.decide(row, content))
                    .transpose()?;
                let action = decision.map_or(RowAction::Insert, |d| d.action);
                for check in &mut checks {
                    let writes = match &action {
                        RowAction::Insert => true,
                        RowAction::Fill(columns) => {
                            columns.iter().any(|at| check.children.contains(at))
                        }
                        _ => false,
                    };
                    let slots = check.children.iter().map(|at| map.columns[*at].slot);
                    let Some(values) = whole(slots, row).filter(|_| writes) else {
                        continue;
                    };
                    let absent = &mut self.wanted[check.wanted].absent;
                    if absent.has(&values)? && !check.targets.has(&values)? {
                        let reason = format!(
                            "it refers to a record of {} that the database has under another key: \
                         its reference would have to be changed",
                            check.parent
                        );
                        conflicts.add(&live.name, map.name_of(row), reason);
                        match action {
                            RowAction::Insert => counted.report.inserted -= 1,
                            _ => counted.report.filled -= 1,
                        }
                        break;
                    }
                }
                Ok(())
            },
        )
    }

    /// Rows of tables that the snapshot lacks, whose parents are replaced by others.
    fn orphans(&self, conflicts: &mut Conflicts, progress: &mut dyn Progress) -> Result<(), Error> {
        let planned = |name: &str| self.tables.iter().any(|t| t.live.name == name);
        let outside = |table: &&Table| is_ordinary(table) && !planned(&table.name);
        for child in self.basis.view.schema.tables.iter().filter(outside) {
            for key in &child.foreign_keys {
                let Some((at, columns)) = planned_parent(self.tables, key) else {
                    continue;
                };
                // Where the parent is missing, no row of it can be lost.
                if self.tables[at].made {
                    continue;
                }
                self.orphans_of(child, key, &self.tables[at], &columns, conflicts, progress)?;
            }
        }
        Ok(())
    }

    fn orphans_of(
        &self,
        child: &Table,
        key: &ForeignKey,
        parent: &TablePlan,
        columns: &[(usize, Collation)],
        conflicts: &mut Conflicts,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let basis = self.basis;
        let mut present = self.trial.key_set(&parent.live, columns)?;
        let slots: Option<Vec<Slot>> = columns
            .iter()
            .map(|(column, _)| {
                let at = parent.map.position(&parent.live.columns[*column].name)?;
                Some(parent.map.columns[at].slot)
            })
            .collect();
        if let (Some(slots), Some(entity)) = (slots, basis.entity(&parent.stored)) {
            records::for_each(
                basis.reader,
                &basis.shape(&parent.stored),
                entity,
                progress,
                |row, _| match whole(slots.iter().copied(), row) {
                    Some(values) => present.add(&values),
                    None => Ok(()),
                },
            )?;
        }
        let mut targets = Targets::new(basis.live, &parent.live, columns)?;
        basis.live.each_reference(child, key, |name, values| {
            // What has no parent now loses none.
            if !present.has(&values)? && targets.has(&values)? {
                let reason = format!(
                    "it refers to a row of {} that the snapshot does not have",
                    parent.live.name
                );
                conflicts.add(&child.name, name, reason);
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// A reference of one table to keys that may be absent.
struct Check<'c> {
    parent: &'c str,
    /// The child's columns among its mapped ones.
    children: Vec<usize>,
    targets: Targets<'c>,
    /// Position among the wanted keys.
    wanted: usize,
}

/// The planned table that a foreign key refers to, and the columns there.
fn planned_parent(
    tables: &[TablePlan],
    key: &ForeignKey,
) -> Option<(usize, Vec<(usize, Collation)>)> {
    let at = tables
        .iter()
        .position(|table| table.live.name.eq_ignore_ascii_case(&key.parent))?;
    Some((at, parent_columns(key, &tables[at].live)?))
}

/// The values of a key or reference; `None` if one is NULL, for then it refers to nothing, or too
/// long to be one.
fn whole(slots: impl Iterator<Item = Slot>, row: RowRef<'_>) -> Option<Vec<Value>> {
    slots
        .map(|slot| match slot.of(row) {
            ValueRef::Null | ValueRef::Spilled(_) => None,
            value => Some(value.to_owned()),
        })
        .collect()
}
