//! What the trees of a table are made of: where each value of its records comes from, and what its indexes
//! take of them.

use super::geometry::Tree;
use super::key::KeyOrder;
use super::sorting::Sorting;
use crate::model::fit::Affinity;

/// A value of a table's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The column that is the rowid: NULL stands there (SQLite file format, section 2.3).
    Alias,
    /// The leaf column at this place, and its affinity.
    Leaf(usize, Affinity),
}

/// A value of an index's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What stands at this place of the table's record.
    Field(usize),
    /// The rowid.
    Rowid,
}

/// An index that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexShape {
    /// Its name.
    pub name: String,
    /// The page of its root.
    pub root: u32,
    /// The values of its records.
    pub parts: Vec<Part>,
    /// How the first of them compare.
    pub sorting: Sorting,
    /// Only of records in whose value at this place there is no NULL.
    pub only_where_some: Option<usize>,
}

impl IndexShape {
    /// So many of a record's first values are all that it holds of it.
    pub fn values(&self) -> usize {
        let of_parts = self.parts.iter().map(|part| match part {
            Part::Field(at) => at + 1,
            Part::Rowid => 0,
        });
        let filter = self.only_where_some.map(|at| at + 1);
        of_parts.chain(filter).max().unwrap_or(0)
    }
}

/// A table that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    /// Its name.
    pub name: String,
    /// The page of its root.
    pub root: u32,
    /// A WITHOUT ROWID table is an index.
    pub tree: Tree,
    /// The values of its records.
    pub fields: Vec<Field>,
    /// How the first of them compare; empty for a table with rowids.
    pub key: Vec<KeyOrder>,
    /// Its other indexes.
    pub indexes: Vec<IndexShape>,
}
