//! The census: every copy of every blob of a store, what leads to what, and who needs it.
//!
//! All of it lies in a temporary SQLite database, so memory does not grow with the store; what is
//! asked of it is a sum. Whoever takes the census walks the snapshots' trees and says what it saw
//! ([`Census::enter`], [`Census::edge`]); the rest follows from that without reading a blob again.

mod chains;
mod figures;
mod graph;
mod keep;
mod lacking;
mod load;
mod sums;

pub use figures::{
    Chains, DamagedBlob, Figures, KindFigures, PackFigures, SnapshotUse, TableFigures, Uses,
};
pub use graph::{Entered, EntityRow, Number, TableSort};
pub use keep::{KeptCopy, PackUse};
pub use lacking::Lacking;
pub use load::Tier;

use super::error::StoreError;
use crate::format::blob::BlobKind;
use crate::model::id::BlobId;
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, SqliteError};

const TABLES: [&str; 17] = [
    // A pack; one whose footer cannot be read lists nothing.
    "CREATE TABLE packs(n INTEGER PRIMARY KEY, id BLOB NOT NULL, bytes INTEGER NOT NULL,
       readable INTEGER NOT NULL, tier INTEGER NOT NULL, overhead INTEGER NOT NULL)",
    // A blob, known from a footer or from a place that leads to it. `head` and `tail` are the
    // halves of its id: bases are named by the head. `rank`, `copy`, `delta`, `canonical` and
    // `stored` are those of the copy that a reader takes; no rank: no copy. `depth`, `reads`:
    // deltas between it and a whole copy on the longest way, and copies that are read to have it;
    // no depth: it cannot be had. `reached`: a tree leads to it. `need`, `shared`: a snapshot that
    // needs it, and whether others do too. `tab`: the table it is counted under.
    "CREATE TABLE blobs(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, head BLOB NOT NULL,
       tail BLOB NOT NULL, rank INTEGER, copy INTEGER, delta INTEGER NOT NULL DEFAULT 0,
       canonical INTEGER NOT NULL DEFAULT 0, stored INTEGER NOT NULL DEFAULT 0,
       depth INTEGER, reads INTEGER, reached INTEGER NOT NULL DEFAULT 0,
       level INTEGER NOT NULL DEFAULT 0, large INTEGER NOT NULL DEFAULT 0, need INTEGER,
       shared INTEGER NOT NULL DEFAULT 0, tab INTEGER, UNIQUE(kind, head, tail))",
    "CREATE INDEX blobs_by_depth ON blobs(depth)",
    "CREATE INDEX blobs_above_large ON blobs(level) WHERE level > 0",
    "CREATE TABLE copies(n INTEGER PRIMARY KEY, blob INTEGER NOT NULL, pack INTEGER NOT NULL,
       rank INTEGER NOT NULL, delta INTEGER NOT NULL, canonical INTEGER NOT NULL,
       stored INTEGER NOT NULL)",
    // The bases that a copy names, in order; `base` is the blob, if some pack lists it.
    "CREATE TABLE bases(copy INTEGER NOT NULL, place INTEGER NOT NULL, head BLOB NOT NULL,
       base INTEGER, PRIMARY KEY(copy, place)) WITHOUT ROWID",
    // The blobs that a delta stands on directly, by the copy of it that a reader takes.
    "CREATE TABLE stands(delta INTEGER NOT NULL, base INTEGER NOT NULL,
       PRIMARY KEY(delta, base)) WITHOUT ROWID",
    "CREATE INDEX stands_by_base ON stands(base)",
    // Copies taken in place of those that come first.
    "CREATE TABLE taken(blob INTEGER PRIMARY KEY, copy INTEGER NOT NULL)",
    // The whole blobs that a delta stands on in the end.
    "CREATE TABLE footing(delta INTEGER NOT NULL, whole INTEGER NOT NULL,
       PRIMARY KEY(delta, whole)) WITHOUT ROWID",
    // What leads to what in a tree, and how often.
    "CREATE TABLE edges(parent INTEGER NOT NULL, child INTEGER NOT NULL, times INTEGER NOT NULL,
       PRIMARY KEY(parent, child)) WITHOUT ROWID",
    "CREATE TABLE tables(n INTEGER PRIMARY KEY, sort INTEGER NOT NULL, name TEXT NOT NULL,
       UNIQUE(sort, name))",
    // A table in a snapshot; `blob` is the root of its tree, if it has records.
    "CREATE TABLE entities(snapshot INTEGER NOT NULL, tab INTEGER NOT NULL,
       records INTEGER NOT NULL, bytes INTEGER NOT NULL, blob INTEGER,
       PRIMARY KEY(snapshot, tab)) WITHOUT ROWID",
    "CREATE INDEX entities_by_table ON entities(tab, snapshot)",
    "CREATE TABLE damaged(n INTEGER PRIMARY KEY, cause TEXT NOT NULL)",
    // Copies that a clean-up keeps.
    "CREATE TABLE kept(copy INTEGER PRIMARY KEY)",
    "CREATE INDEX copies_by_blob ON copies(blob)",
];

/// A count of what a store holds.
#[derive(Debug)]
pub struct Census {
    db: Connection,
}

fn int(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The halves of an id.
fn halves(id: &BlobId) -> (&[u8], &[u8]) {
    id.0.split_at(16)
}

impl Census {
    pub(super) fn new() -> Result<Self, StoreError> {
        let make = || {
            let db = Connection::open_cache(None)?;
            // Never committed: the database is gone with the connection.
            db.execute("BEGIN")?;
            for sql in TABLES {
                db.execute(sql)?;
            }
            Ok(Self { db })
        };
        make().map_err(StoreError::Census)
    }

    /// Runs a statement that is run often.
    fn run(&self, sql: &'static str, values: &[ValueRef<'_>]) -> Result<(), SqliteError> {
        self.db.for_each_cached(sql, values, |_| Ok(()))
    }

    /// Integers of the only row of a question.
    fn row<const N: usize>(
        &self,
        sql: &'static str,
        values: &[ValueRef<'_>],
    ) -> Result<[u64; N], SqliteError> {
        let mut out = [0; N];
        self.db.for_each_cached(sql, values, |row| {
            for (at, number) in out.iter_mut().enumerate() {
                *number = u64::try_from(row.integer(at)?).unwrap_or_default();
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// The kind of this number; the database holds no others.
fn kind_of(number: u64) -> BlobKind {
    u8::try_from(number)
        .ok()
        .and_then(BlobKind::from_number)
        .unwrap_or(BlobKind::Leaf)
}
