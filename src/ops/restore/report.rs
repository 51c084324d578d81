//! What a restore did, or would do: counts by table, and the first of everything that is worth
//! naming. The plan and its execution give the same values.

use std::path::PathBuf;

use super::missing::{Decision, Missing};
use super::options::{Mode, RestoreOptions};
use crate::error::LostRecords;
use crate::model::schema::ObjectKind;
use crate::ops::list::SnapshotSummary;
use crate::progress::Finding;

/// What happens, or happened, to a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// Records inserted.
    pub inserted: u64,
    /// Rows whose NULLs were filled.
    pub filled: u64,
    /// Rows that got the records' values.
    pub updated: u64,
    /// Rows that are there already, with equal values.
    pub same: u64,
    /// Records left out: the sum of `left_out`.
    pub skipped: u64,
    /// Why records were left out.
    pub left_out: LeftOut,
    /// Rows deleted.
    pub deleted: u64,
    /// Records that have another key in the database than in the snapshot.
    pub remapped: u64,
    /// References that were restored without a target, as they were in the snapshot.
    pub carried: u64,
    /// Records that contradict the database; any stops the restore, unless they are skipped.
    pub conflicts: u64,
    /// Bytes of the values to be written, keys and page overhead not counted.
    pub bytes: u64,
}

/// Why records were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their row is there, with other values.
    pub differing: u64,
    /// Their row has another UNIQUE key: it was renamed, or its id was given to another thing.
    pub doubtful: u64,
    /// They refer to something that is missing, and that was decided.
    pub missing: u64,
    /// They contradict the database, and were to be skipped.
    pub conflicting: u64,
}

/// What stands behind a conflict: it says what lets the restore go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConflictKind {
    /// A record contradicts the database; it can be left out.
    #[default]
    Record,
    /// As `Record`; the primary key alone would say which row it means.
    Doubtful,
    /// A row that stays would lose the row that it refers to; that can be forced.
    Orphan,
    /// Something else in the database has the name of a table that would be made.
    InTheWay,
    /// Which rows the records of a table mean depends on themselves.
    Circle,
    /// The database refused what was written.
    Refused,
}

/// A record that contradicts the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What stands behind it.
    pub kind: ConflictKind,
    /// The table.
    pub table: String,
    /// Key of the record, for people.
    pub record: String,
    /// What it collides with, and why that cannot be resolved.
    pub reason: String,
    /// The record's values, for people: `column value`. Empty if they say nothing.
    pub values: Vec<String>,
    /// The rows it collides with, each with its values.
    pub rows: Vec<Vec<String>>,
}

/// A record that has another key in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remapped {
    /// The table.
    pub table: String,
    /// Key in the snapshot, for people.
    pub from: String,
    /// Key in the database.
    pub to: String,
}

/// An object of the schema that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
}

/// What a restore did, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreOutcome {
    /// The snapshot.
    pub snapshot: SnapshotSummary,
    /// The database that was written.
    pub target: PathBuf,
    /// True if it is a new file.
    pub new_file: bool,
    /// True if all of a database that exists is replaced: rows that were there count as deleted, all others as
    /// inserted.
    pub whole_file: bool,
    /// True if nothing was written.
    pub dry_run: bool,
    /// Length of the database before; `None` for a new file.
    pub target_bytes: Option<u64>,
    /// The mode, for an existing database.
    pub mode: Mode,
    /// Tables in scope, and others of which records are created; in import order.
    pub tables: Vec<TableReport>,
    /// Tables, indexes, views and triggers that the database lacked and that are made, in the order in which
    /// they are.
    pub made: Vec<Made>,
    /// Tables that undo would not bring back as they were, after all of a database was replaced: they are
    /// defined in another way now, or virtual.
    pub beyond_undo: Vec<String>,
    /// The first conflicts; any that were not skipped: nothing was written (exit code 5).
    pub conflicts: Vec<Conflict>,
    /// Missing references that nothing was decided about; any: nothing was written (exit code 5).
    pub missing: Vec<Missing>,
    /// Records that the snapshot should have and that cannot be read: a new file lacks them (exit code 4).
    pub lost: Vec<LostRecords>,
    /// What was decided about references that are missing.
    pub decisions: Vec<Decision>,
    /// The first records that have another key.
    pub remapped: Vec<Remapped>,
    /// References of inserted records that follow records with another key.
    pub references_followed: u64,
    /// The snapshot of the target that was taken first.
    pub safety_snapshot: Option<SnapshotSummary>,
    /// The snapshot of what the restore made; `larder undo` takes it back.
    pub after_snapshot: Option<SnapshotSummary>,
    /// Notes and warnings.
    pub findings: Vec<Finding>,
    /// What was checked: for people, as `quick_check`, `foreign keys`, `counts`.
    pub checked: Vec<&'static str>,
    /// Time it took.
    pub elapsed_ms: u64,
}

impl RestoreOutcome {
    /// Of a restore that has done nothing yet.
    pub(super) fn of(snapshot: &SnapshotSummary, options: &RestoreOptions) -> Self {
        Self {
            snapshot: snapshot.clone(),
            target: options.target.clone(),
            new_file: false,
            whole_file: false,
            dry_run: options.dry_run,
            target_bytes: None,
            mode: Mode::Add,
            tables: Vec::new(),
            made: Vec::new(),
            beyond_undo: Vec::new(),
            conflicts: Vec::new(),
            missing: Vec::new(),
            lost: Vec::new(),
            decisions: Vec::new(),
            remapped: Vec::new(),
            references_followed: 0,
            safety_snapshot: None,
            after_snapshot: None,
            findings: Vec::new(),
            checked: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// True if conflicts or missing references kept it from being written.
    pub fn is_stopped(&self) -> bool {
        let conflicting = |t: &TableReport| t.conflicts > t.left_out.conflicting;
        !self.missing.is_empty() || self.tables.iter().any(conflicting)
    }
}
