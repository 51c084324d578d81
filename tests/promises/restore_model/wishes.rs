//! What the model is asked for, and what it answers. Tables, columns and references are numbers.

use std::collections::BTreeMap;

use super::tables::{Database, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    #[default]
    Add,
    Augment,
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Match {
    #[default]
    Auto,
    Id,
    Natural,
}

/// An expression over one column, simple enough to be judged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Equals(Value),
    IsNull,
    Above(Value),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The snapshot's record.
    Create,
    /// A row of these values, of all columns.
    Give(Vec<Value>),
    /// A row that exists, by the values of the parent's columns.
    Map(Vec<Value>),
    Skip,
    Null,
}

/// What is decided for one value of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub of: Gap,
    pub choice: Choice,
}

/// What is decided for all other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Create,
    Skip,
    Null,
}

#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub mode: Mode,
    pub matching: Match,
    /// `--key`: a table and its columns.
    pub keys: Vec<(usize, Vec<usize>)>,
    pub tables: Vec<usize>,
    pub excluded: Vec<usize>,
    /// `--where`: a column of the only table that is named, and the test.
    pub filter: Option<(usize, Test)>,
    /// `--key-value`: a table and its primary key.
    pub key_values: Vec<(usize, Vec<Value>)>,
    pub with_parents: bool,
    pub with_children: bool,
    pub skip_conflicts: bool,
    pub decisions: Vec<Decision>,
    pub others: Option<Others>,
    pub deleted_only: bool,
    pub force: bool,
}

impl Wishes {
    pub fn chooses_rows(&self) -> bool {
        self.filter.is_some() || !self.key_values.is_empty()
    }

    /// Silent: tables that are replaced whole, and others of which parents or children are added. Such
    /// options are not drawn.
    pub fn replaces_tables(&self) -> bool {
        self.mode == Mode::Replace && !self.chooses_rows() && !self.deleted_only
    }
}

/// One value of a reference that has no target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    pub table: usize,
    pub reference: usize,
    pub values: Vec<Value>,
}

/// What happened to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub inserted: u64,
    pub filled: u64,
    pub updated: u64,
    pub same: u64,
    pub differing: u64,
    pub doubtful: u64,
    pub missing: u64,
    pub conflicting: u64,
    pub deleted: u64,
    pub remapped: u64,
    pub carried: u64,
    pub conflicts: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub counts: Vec<Counts>,
    /// Values that nothing was decided about, and how many records have them.
    pub missing: BTreeMap<Gap, u64>,
    /// Rows of tables outside the scope that would lose their parent, by table and reference; only
    /// what was not forced.
    pub orphaned: BTreeMap<(usize, usize), u64>,
    pub stopped: bool,
    pub after: Database,
}

impl Outcome {
    /// Nothing is written if anything is in the way.
    pub fn settle(&mut self, live: &Database) {
        // Each is told as a conflict of its table.
        for ((t, _), rows) in &self.orphaned {
            self.counts[*t].conflicts += rows;
        }
        let conflicting = self.counts.iter().any(|c| c.conflicts > c.conflicting);
        self.stopped = conflicting || !self.missing.is_empty();
        if self.stopped {
            self.after = live.clone();
        }
    }
}
