//! Which tables a restore writes, how each stored table lies over the live one, and what about that
//! is worth saying.

use super::TableReport;
use super::basis::{Basis, Conflicts};
use super::decide::{RowAction, Skip};
use super::{Mode, new_file};
use crate::error::Error;
use crate::model::row::RowRef;
use crate::model::schema::{ObjectKind, Schema, Table, TableKind};
use crate::model::value::ValueRef;
use crate::progress::Finding;
use crate::target::{ColumnMap, is_ordinary};

/// What happens to one table.
#[derive(Debug, Clone)]
pub(super) struct TablePlan {
    /// Counts.
    pub report: TableReport,
    /// The table in the snapshot.
    pub stored: Table,
    /// The table in the database; that of the snapshot if it is made.
    pub live: Table,
    /// One over the other.
    pub map: ColumnMap,
    /// True if the database lacks it.
    pub made: bool,
    /// True if its text is the snapshot's and it is filled whole: rows may break a CHECK as they
    /// did in the source.
    pub keeps_checks_broken: bool,
    /// True if records without a key came: they are counted before the first one is written.
    pub counts_copies: bool,
    /// The largest rowid among the records that were looked at.
    pub rowid_max: i64,
    /// For each column of `map.dropped` the values that cannot be restored.
    pub lost: Vec<u64>,
}

/// The tables that are written, in import order, with nothing counted yet.
pub(super) fn tables(
    basis: &Basis<'_>,
    conflicts: &mut Conflicts,
    findings: &mut Vec<Finding>,
) -> Result<Vec<TablePlan>, Error> {
    findings.extend(new_file::left_out(basis.manifest));
    findings.extend(virtual_tables(basis));
    let live = &basis.view.schema;
    let mut tables = Vec::new();
    for entity in &basis.manifest.entities {
        let Some(stored) = basis.schema.table(&entity.entity) else {
            continue;
        };
        let there = live.table(&stored.name);
        if let Some(other) = there.filter(|table| !is_ordinary(table)) {
            let kind = match other.kind {
                TableKind::Virtual => "a virtual table",
                _ => "a table of a virtual table",
            };
            let text = format!("it is {kind} in the database: left as it is");
            findings.push(Finding::warning(stored.name.clone(), text));
            continue;
        }
        let in_the_way = live
            .objects
            .iter()
            .find(|o| o.kind != ObjectKind::Table && o.name.eq_ignore_ascii_case(&stored.name));
        if let (None, Some(object)) = (there, in_the_way) {
            let kind = match object.kind {
                ObjectKind::View => "a view",
                _ => "an index",
            };
            let reason = format!("the database has {kind} of this name");
            conflicts.add(&stored.name, "the table".to_owned(), reason);
        }
        tables.push(table_plan(basis, stored, there));
    }
    Ok(tables)
}

/// Virtual tables, which only a new file gets back: here their modules would have to be asked.
fn virtual_tables(basis: &Basis<'_>) -> impl Iterator<Item = Finding> {
    let tables = basis.schema.tables.iter();
    let is_virtual = |table: &&Table| table.kind == TableKind::Virtual;
    tables.filter(is_virtual).map(|table| {
        let text = "a virtual table: its content is not restored into an existing database";
        Finding::warning(table.name.clone(), text)
    })
}

fn table_plan(basis: &Basis<'_>, stored: &Table, there: Option<&Table>) -> TablePlan {
    let live = there.unwrap_or(stored);
    let map = ColumnMap::of(stored, live);
    let same_text = text(basis.schema, &stored.name) == text(&basis.view.schema, &live.name);
    TablePlan {
        report: TableReport {
            table: live.name.clone(),
            ..TableReport::default()
        },
        lost: vec![0; map.dropped.len()],
        made: there.is_none(),
        keeps_checks_broken: there.is_none() || (basis.mode == Mode::Replace && same_text),
        counts_copies: false,
        rowid_max: 0,
        stored: stored.clone(),
        live: live.clone(),
        map,
    }
}

fn text<'s>(schema: &'s Schema, table: &str) -> Option<&'s str> {
    schema
        .objects_of(ObjectKind::Table)
        .find(|object| object.name.eq_ignore_ascii_case(table))
        .and_then(|object| object.sql.as_deref())
}

impl TablePlan {
    /// True if rows of it are written.
    pub(super) fn is_touched(&self) -> bool {
        let report = &self.report;
        self.made || report.inserted + report.filled + report.deleted > 0
    }

    /// Counts what happens to a record.
    pub(super) fn count(&mut self, action: RowAction, row: RowRef<'_>, conflicts: &mut Conflicts) {
        self.rowid_max = self.rowid_max.max(row.rowid.unwrap_or(0));
        let report = &mut self.report;
        match action {
            RowAction::Insert => {
                report.inserted += 1;
                for (lost, (_, slot)) in self.lost.iter_mut().zip(&self.map.dropped) {
                    *lost += u64::from(slot.of(row) != ValueRef::Null);
                }
            }
            RowAction::Fill(_) => report.filled += 1,
            RowAction::Same => report.same += 1,
            RowAction::Skip(why) => {
                report.skipped += 1;
                report.doubtful += u64::from(why == Skip::Doubtful);
            }
            RowAction::Conflict(why) => {
                conflicts.add(&self.live.name, self.map.name_of(row), why);
            }
        }
    }

    /// What about this table is worth saying, once it is counted.
    pub(super) fn findings(&self, basis: &Basis<'_>, findings: &mut Vec<Finding>) {
        let name = &self.report.table;
        if self.made {
            findings.push(Finding::note(name, "the database lacks it: it is made"));
            return;
        }
        if self.report.inserted > 0 && !self.map.added.is_empty() {
            let text = format!(
                "the snapshot has no {}: new rows get the default",
                self.map.added.join(", ")
            );
            findings.push(Finding::note(name, text));
        }
        for ((column, _), lost) in self.map.dropped.iter().zip(&self.lost) {
            if *lost > 0 {
                let text =
                    format!("the database has no column {column}: {lost} values are not restored");
                findings.push(Finding::warning(name, text));
            }
        }
        if self.report.doubtful > 0 {
            let text = format!(
                "{} records have the primary key of a row with another UNIQUE key (renamed, or an id \
                 given to another thing): the rows stay as they are",
                self.report.doubtful
            );
            findings.push(Finding::note(name, text));
        }
        let triggers: Vec<&str> = basis
            .view
            .schema
            .objects_of(ObjectKind::Trigger)
            .filter(|trigger| trigger.table.eq_ignore_ascii_case(name))
            .map(|trigger| trigger.name.as_str())
            .collect();
        if self.is_touched() && !triggers.is_empty() {
            let text = format!("triggers do not fire: {}", triggers.join(", "));
            findings.push(Finding::note(name, text));
        }
    }
}
