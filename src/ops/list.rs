//! The snapshots of a store, newest first.

use crate::error::Error;
use crate::ops::open::Store;
use crate::progress::Finding;

/// A snapshot, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// Full id.
    pub id: String,
    /// Shortest form that is unique in its store, at least the time part and 4 digits.
    pub short_id: String,
    /// Its name.
    pub name: String,
    /// RFC 3339 UTC.
    pub time: String,
    /// Entity files.
    pub files: u64,
    /// Records of all entity files.
    pub records: u64,
    /// Bytes that its backup added to the store.
    pub new_bytes: u64,
    /// Name or path of its source.
    pub source: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOutcome {
    /// Where the store is.
    pub store: String,
    /// Newest first.
    pub snapshots: Vec<SnapshotSummary>,
    /// Sum of the lengths of the store's objects.
    pub store_bytes: u64,
    /// Objects that could not be read as snapshots, and foreign files.
    pub findings: Vec<Finding>,
}

/// Lists a store's snapshots.
pub fn run(store: &Store) -> Result<ListOutcome, Error> { todo!() }
