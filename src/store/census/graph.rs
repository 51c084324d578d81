//! Who leads to what: snapshots to trees, nodes to what is below them.

use super::{Census, halves, int};
use crate::format::blob::BlobKind;
use crate::format::limits::TREE_LEVELS_MAX;
use crate::model::id::BlobId;
use crate::model::value::ValueRef;
use crate::sqlite::SqliteError;
use crate::store::StoreError;

/// A blob's number in the census.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(i64);

impl Number {
    pub(super) fn new(number: i64) -> Self {
        Self(number)
    }

    pub(super) fn value(self) -> ValueRef<'static> {
        ValueRef::Integer(self.0)
    }
}

/// A blob that a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Its number.
    pub number: Number,
    /// True the first time: what is below it is not known yet.
    pub first: bool,
    /// True if some pack lists it.
    pub listed: bool,
}

/// Of which sort a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableSort {
    /// An entity.
    Entity,
    /// A table of SQLite's own, or behind a virtual table.
    Internal,
    /// No table: the schemas of snapshots.
    Schema,
    /// No table: the pages of databases.
    Pages,
}

impl TableSort {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Entity => 0,
            Self::Internal => 1,
            Self::Schema => 2,
            Self::Pages => 3,
        }
    }

    pub(super) fn of(number: u64) -> Self {
        match number {
            0 => Self::Entity,
            1 => Self::Internal,
            2 => Self::Schema,
            _ => Self::Pages,
        }
    }
}

/// A table in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct EntityRow<'a> {
    /// Number of the snapshot: 0 is the newest.
    pub snapshot: u64,
    /// Of which sort it is.
    pub sort: TableSort,
    /// Its name.
    pub name: &'a str,
    /// Its records.
    pub records: u64,
    /// Canonical bytes of its leaves.
    pub bytes: u64,
    /// Root of its tree.
    pub root: Option<Number>,
}

impl Census {
    /// Comes to a blob in a walk.
    pub fn enter(&self, kind: BlobKind, id: &BlobId) -> Result<Entered, StoreError> {
        self.come_to(kind, id).map_err(StoreError::Census)
    }

    fn come_to(&self, kind: BlobKind, id: &BlobId) -> Result<Entered, SqliteError> {
        let (head, tail) = halves(id);
        let key = [int(kind as u64), ValueRef::Blob(head), ValueRef::Blob(tail)];
        self.run(
            "INSERT INTO blobs(kind, head, tail) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
            &key,
        )?;
        let [number, reached, listed] = self.row(
            "SELECT n, reached, rank IS NOT NULL FROM blobs WHERE kind = ? AND head = ? AND tail = ?",
            &key,
        )?;
        if reached == 0 {
            self.run("UPDATE blobs SET reached = 1 WHERE n = ?", &[int(number)])?;
        }
        Ok(Entered {
            number: Number(number.cast_signed()),
            first: reached == 0,
            listed: listed == 1,
        })
    }

    /// One leads to the other; told as often as it does.
    pub fn edge(&self, from: Number, to: Number) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO edges VALUES(?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
            &[ValueRef::Integer(from.0), ValueRef::Integer(to.0)],
        )
        .map_err(StoreError::Census)
    }

    /// A leaf holds large values of so many bytes in all.
    pub fn large_values(&self, leaf: Number, bytes: u64) -> Result<(), StoreError> {
        self.run(
            "UPDATE blobs SET large = ? WHERE n = ?",
            &[int(bytes), ValueRef::Integer(leaf.0)],
        )
        .map_err(StoreError::Census)
    }

    /// A node has large values below it.
    pub fn above_large_values(&self, node: Number, level: u8) -> Result<(), StoreError> {
        self.run(
            "UPDATE blobs SET level = ? WHERE n = ?",
            &[int(level.into()), ValueRef::Integer(node.0)],
        )
        .map_err(StoreError::Census)
    }

    /// A blob that could not be read, or that no pack lists.
    pub fn damaged(&self, blob: Number, cause: &str) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO damaged VALUES(?, ?) ON CONFLICT DO NOTHING",
            &[ValueRef::Integer(blob.0), ValueRef::Text(cause.as_bytes())],
        )
        .map_err(StoreError::Census)
    }

    /// A table of a snapshot, told once each.
    pub fn entity(&self, row: EntityRow<'_>) -> Result<(), StoreError> {
        let add = || {
            let key = [int(row.sort.number()), ValueRef::Text(row.name.as_bytes())];
            self.run(
                "INSERT INTO tables(sort, name) VALUES(?, ?) ON CONFLICT DO NOTHING",
                &key,
            )?;
            let [table] = self.row("SELECT n FROM tables WHERE sort = ? AND name = ?", &key)?;
            let root = row.root.map_or(ValueRef::Null, |n| ValueRef::Integer(n.0));
            self.run(
                // A hostile manifest may name a table twice.
                "INSERT INTO entities VALUES(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                &[
                    int(row.snapshot),
                    int(table),
                    int(row.records),
                    int(row.bytes),
                    root,
                ],
            )
        };
        add().map_err(StoreError::Census)
    }

    /// Once all trees are walked: adds up large values from the leaves to the roots.
    pub fn sum_large_values(&self) -> Result<(), StoreError> {
        for level in 1..=u64::from(TREE_LEVELS_MAX) {
            self.run(
                // A float cannot overflow, and is exact up to 2^53 bytes.
                "UPDATE blobs SET large = (SELECT CAST(min(total(e.times * c.large), 4e18) AS INTEGER)
                   FROM edges e JOIN blobs c ON c.n = e.child WHERE e.parent = blobs.n)
                  WHERE level = ? AND level > 0",
                &[int(level)],
            )
            .map_err(StoreError::Census)?;
        }
        Ok(())
    }

    /// Marks what a snapshot's trees lead to. Each blob's marks change at most twice in all, so what
    /// many snapshots share is not gone through once for each: below a blob that two need,
    /// everything is needed by two.
    pub fn need(&self, snapshot: u64) -> Result<(), StoreError> {
        let mark = |blob: i64| {
            let [needed, by_this, shared] = self.row(
                "SELECT need IS NOT NULL, need IS ?, shared FROM blobs WHERE n = ?",
                &[int(snapshot), ValueRef::Integer(blob)],
            )?;
            if needed == 0 {
                self.run(
                    "UPDATE blobs SET need = ? WHERE n = ?",
                    &[int(snapshot), ValueRef::Integer(blob)],
                )?;
                return Ok(true);
            }
            if by_this == 1 || shared == 1 {
                return Ok(false);
            }
            self.run(
                "UPDATE blobs SET shared = 1 WHERE n = ?",
                &[ValueRef::Integer(blob)],
            )?;
            Ok(true)
        };
        self.roots(
            "SELECT blob FROM entities WHERE snapshot = ? AND blob IS NOT NULL",
            snapshot,
        )
        .and_then(|roots| self.spread(roots, mark))
        .map_err(StoreError::Census)
    }

    /// Counts every blob that snapshots reach under a table: the first, by name, that leads to it.
    /// `snapshot`: of this one only; the others' blobs are then under no table.
    pub fn assign_tables(&self, snapshot: Option<u64>) -> Result<(), StoreError> {
        let assign = || {
            let mut tables = Vec::new();
            self.db
                .for_each("SELECT n FROM tables ORDER BY name, sort", &[], |row| {
                    tables.push(row.integer(0)?.cast_unsigned());
                    Ok(())
                })?;
            for table in tables {
                let mark = |blob: i64| {
                    self.run(
                        "UPDATE blobs SET tab = ? WHERE n = ? AND tab IS NULL",
                        &[int(table), ValueRef::Integer(blob)],
                    )?;
                    Ok(self.db.changes() == 1)
                };
                let only = snapshot.map_or(ValueRef::Null, int);
                self.each_root(table, only, |root| self.spread(vec![root], mark))?;
            }
            Ok(())
        };
        assign().map_err(StoreError::Census)
    }

    /// Calls `each` for every distinct root of a table, of one snapshot if `only` is not null.
    fn each_root(
        &self,
        table: u64,
        only: ValueRef<'_>,
        mut each: impl FnMut(i64) -> Result<(), SqliteError>,
    ) -> Result<(), SqliteError> {
        self.db.for_each(
            "SELECT DISTINCT blob FROM entities
              WHERE tab = ?1 AND blob IS NOT NULL AND (?2 IS NULL OR snapshot = ?2)",
            &[int(table), only],
            |row| each(row.integer(0)?),
        )
    }

    /// Blobs that a question of one snapshot gives: its roots, one a table.
    fn roots(&self, sql: &'static str, snapshot: u64) -> Result<Vec<i64>, SqliteError> {
        let mut roots = Vec::new();
        self.db.for_each_cached(sql, &[int(snapshot)], |row| {
            roots.push(row.integer(0)?);
            Ok(())
        })?;
        Ok(roots)
    }

    /// Goes from blobs to what is below them, wherever `mark` says so. Memory: the children of one
    /// blob a level.
    fn spread(
        &self,
        mut open: Vec<i64>,
        mark: impl Fn(i64) -> Result<bool, SqliteError>,
    ) -> Result<(), SqliteError> {
        while let Some(blob) = open.pop() {
            if mark(blob)? {
                self.db.for_each_cached(
                    "SELECT child FROM edges WHERE parent = ?",
                    &[ValueRef::Integer(blob)],
                    |row| {
                        open.push(row.integer(0)?);
                        Ok(())
                    },
                )?;
            }
        }
        Ok(())
    }
}
