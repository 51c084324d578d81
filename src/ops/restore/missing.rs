//! References whose target is missing, and what is decided about them. Rules: docs/restore.md §4.

use crate::error::Error;
use crate::model::value::Value;

/// One distinct value of a reference that has no target.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The table that refers.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub parent: String,
    /// The columns there, in the same order.
    pub parent_columns: Vec<String>,
    /// The value, one for each column.
    pub values: Vec<Value>,
    /// Records that refer to it.
    pub records: u64,
    /// The first three of them, for people.
    pub examples: Vec<String>,
    /// The parent's record in the snapshot: columns and values, long ones left out.
    pub record: Option<Vec<(String, Value)>>,
    /// True if the parent's record contradicts the database, and is left out: creating it does not help.
    pub in_conflict: bool,
    /// True if `Choice::Null` is possible.
    pub nullable: bool,
    /// Columns of the parent that a new row must be given a value for, beside `parent_columns`.
    pub required: Vec<String>,
}

impl Missing {
    /// True if the snapshot's record can be inserted.
    pub fn can_be_created(&self) -> bool {
        self.record.is_some() && !self.in_conflict
    }
}

/// What is decided about a missing value.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// The parent is inserted: the snapshot's record, if nothing is given; else a row of these columns
    /// (those that are referred to are known already).
    Create(Vec<(String, Value)>),
    /// The records refer to the row with this key, in the order of `parent_columns`.
    Map(Vec<Value>),
    /// The records are left out.
    Skip,
    /// The records refer to nothing.
    Null,
    /// Nothing is written.
    Abort,
}

/// A decision that holds for one missing value.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The table that refers.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub parent: String,
    /// The value.
    pub values: Vec<Value>,
    /// What is done.
    pub choice: Choice,
}

/// What is done where nothing else was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// The snapshot's record is inserted, if it has one.
    Create,
    /// The records are left out.
    Skip,
    /// The columns are NULL, where they may be.
    Null,
}

/// Answers that are known beforehand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// For single values.
    pub single: Vec<Decision>,
    /// For all others.
    pub others: Option<OnMissing>,
}

/// A row that a missing value could be mapped to.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its key, in the order of `Missing::parent_columns`.
    pub key: Vec<Value>,
    /// The row for people: columns and values, long ones cut.
    pub row: Vec<(String, Value)>,
}

/// The rows of a live parent table, for somebody who is asked.
pub trait Candidates {
    /// Up to `max` rows, those first whose texts are most like `text`. Errors: `Target`.
    fn like(&mut self, text: &str, max: usize) -> Result<Vec<Candidate>, Error>;
}

/// Somebody who decides while the plan is made.
pub trait Decider {
    /// Decides about one missing value; `None`: it stays missing.
    ///
    /// Errors: `Cancelled`, and what reading candidates gives.
    fn decide(
        &mut self,
        missing: &Missing,
        candidates: &mut dyn Candidates,
    ) -> Result<Option<Choice>, Error>;

    /// Hears why the last decision cannot be carried out. True: it decides anew; false: that is an error.
    fn refused(&mut self, _reason: &str) -> bool {
        false
    }
}

/// Decides nothing.
#[derive(Debug, Default)]
pub struct NoDecider;

impl Decider for NoDecider {
    fn decide(
        &mut self,
        _missing: &Missing,
        _candidates: &mut dyn Candidates,
    ) -> Result<Option<Choice>, Error> {
        Ok(None)
    }
}
