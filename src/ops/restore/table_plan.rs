//! What happens to one table: counts, and the steps on the worksheet. Filled by the passes, read by all
//! that comes after them.

use std::collections::BTreeMap;

use super::basis::Conflicts;
use super::report::{Remapped, TableReport};
use crate::error::Error;
use crate::model::value::ValueRef;
use crate::target::{RowList, Steps, Worksheet};

/// What a pass finds out about a table.
#[derive(Default)]
pub(super) struct Tally {
    /// Counts.
    pub report: TableReport,
    /// Contradictions.
    pub conflicts: Conflicts,
    /// The first records that have another key.
    pub remapped: Vec<Remapped>,
    /// References of inserted records that changed.
    pub followed: u64,
    /// Inserted records that refer to doubtful rows, by the parent's position.
    pub doubtful_parents: BTreeMap<usize, u64>,
    /// For each column of `map.dropped` the values that cannot be restored.
    pub lost: Vec<u64>,
    /// Records in scope with a key of another record, whose row they are taken for.
    pub twins: u64,
    /// Conflicts of records with others that write the same row.
    pub contested: u64,
    /// The largest rowid among the records.
    pub rowid_max: i64,
}

/// What is done with the records of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing, or the steps on the worksheet.
    Steps,
    /// All records are inserted as they are.
    All,
}

/// What happens to one table.
pub(super) struct TablePlan<'w> {
    /// Counts, and the first of what is worth naming.
    pub tally: Tally,
    /// Records.
    pub work: Work,
    /// Its steps.
    pub steps: Steps<'w>,
    /// Rows that are deleted first.
    pub deletions: RowList<'w>,
    /// All its rows are deleted first.
    pub is_emptied: bool,
    /// Rows of given values that are inserted, counted with the records.
    pub given: u64,
}

impl TablePlan<'_> {
    /// True if records are written.
    pub(super) fn writes(&self) -> bool {
        let report = &self.tally.report;
        report.inserted + report.filled + report.updated > 0
    }

    /// True if rows of it change.
    pub(super) fn is_touched(&self) -> bool {
        self.writes() || self.tally.report.deleted > 0
    }
}

/// Nothing yet.
pub(super) fn empty<'w>(sheet: &'w Worksheet) -> Result<TablePlan<'w>, Error> {
    Ok(TablePlan {
        tally: Tally::default(),
        work: Work::Steps,
        steps: sheet.steps()?,
        deletions: sheet.row_list()?,
        is_emptied: false,
        given: 0,
    })
}

/// Bytes of a value.
pub(super) fn bytes(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        ValueRef::Spilled(long) => long.bytes,
    }
}
