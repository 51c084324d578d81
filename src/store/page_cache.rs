//! Which leaf of a tree the rows on which pages made, when they were last read: an SQLite file beside the cache of
//! footers, which may be deleted at any time. A backup that finds the same pages need not read their rows.
//!
//! What it says counts, so it is keyed with a secret that never leaves the file: page contents cannot be made to
//! have a fingerprint of others, and every row has a digest of its own. Anything that does not fit, and it is
//! forgotten as a whole.

use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::local_file;
use crate::codec::hash::{SecretHash, SplitDigest};
use crate::env::{Env, random_32};
use crate::format::FormatError;
use crate::format::bytes::Fields;
use crate::format::node::{Child, Span};
use crate::model::id::{BlobId, StoreId};
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, SqliteError};

/// Raised whenever the tables change; a file of another version is begun anew.
const VERSION: i64 = 1;

const TABLES: [&str; 3] = [
    "CREATE TABLE secret(key BLOB NOT NULL)",
    // Which tables a source had when it was last backed up.
    "CREATE TABLE tables(source BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY(source, id)) WITHOUT ROWID",
    "CREATE TABLE leaves(id BLOB NOT NULL, last INTEGER NOT NULL, leaf BLOB NOT NULL,
       PRIMARY KEY(id, last)) WITHOUT ROWID",
];

/// What a run has learned, in the order in which it did: the leaves that ended with rowids from `first` to `last` are
/// gone, and this one is in their place, or none.
const CHANGES: [&str; 1] = [
    "CREATE TABLE changes(n INTEGER PRIMARY KEY, id BLOB NOT NULL,
       first INTEGER NOT NULL, last INTEGER NOT NULL, leaf BLOB)",
];

/// Changes that are taken over at a time.
const CHANGES_A_STEP: i64 = 1024;

/// Leaves that are read from the file at a time.
const BATCH: i64 = 256;

/// What is remembered of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLeaf {
    /// The last rowid of the leaf before; `None` for the first one.
    pub after: Option<i64>,
    /// The leaf, without references. Its span is of rowids.
    pub leaf: Child,
    /// The split digest of its last row.
    pub digest: SplitDigest,
    /// No row came behind it: it ended with the table.
    pub ends_table: bool,
    /// Pages on which the rows behind `after` lie, up to its last one; up to the end, if it ends the table.
    pub pages: u32,
    /// The fingerprint of those pages.
    pub fingerprint: [u8; 32],
}

/// A table of a source, its definition and how its pages are read: one with another definition is another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablePages([u8; 32]);

/// The memory of one store.
#[derive(Debug)]
pub struct PageCache {
    db: Connection,
    hash: SecretHash,
    /// What was learned in this run, until the snapshot is committed. `None` once that could not be kept: then this
    /// run is not remembered.
    learned: Option<Connection>,
    source: [u8; 32],
    /// The tables of this run.
    tables: Vec<TablePages>,
}

impl PageCache {
    /// Opens the file, made or begun anew where needed. `source`: what tells the database from others.
    pub(super) fn open(file: &Path, source: &[&[u8]], env: &dyn Env) -> Result<Self, StoreError> {
        let db = local_file::open(Some(file), VERSION, &TABLES)?;
        let hash = SecretHash::new(secret(&db, env)?);
        let learned = local_file::open(None, VERSION, &CHANGES)?;
        // Never committed: it is gone with the connection.
        learned.execute("BEGIN")?;
        Ok(Self {
            db,
            source: hash.digest_of_parts(source),
            hash,
            learned: Some(learned),
            tables: Vec::new(),
        })
    }

    /// True if tables of the source are remembered.
    pub fn knows_source(&self) -> bool {
        let mut found = false;
        let read = self.db.for_each_cached(
            "SELECT 1 FROM tables WHERE source = ?1 LIMIT 1",
            &[ValueRef::Blob(&self.source)],
            |_| {
                found = true;
                Ok(())
            },
        );
        read.is_ok() && found
    }

    /// How pages are hashed.
    pub fn hash(&self) -> &SecretHash {
        &self.hash
    }

    /// The table of the source that `parts` tell: its name, definition, and whatever else its rows depend on.
    pub fn table(&mut self, parts: &[&[u8]]) -> TablePages {
        let mut all: Vec<&[u8]> = vec![&self.source];
        all.extend(parts);
        let table = TablePages(self.hash.digest_of_parts(&all));
        self.tables.push(table);
        table
    }

    /// Some leaves of a table, those that end behind `behind`, in order. None at the end.
    ///
    /// Errors: of reading, and `Damaged`; it should then be forgotten.
    pub fn leaves(
        &self,
        table: &TablePages,
        behind: Option<i64>,
    ) -> Result<Vec<KnownLeaf>, StoreError> {
        let Some(first) = first_behind(behind) else {
            return Ok(Vec::new());
        };
        let mut leaves = Vec::new();
        self.db.for_each_cached(
            "SELECT leaf FROM leaves WHERE id = ?1 AND last >= ?2 ORDER BY last LIMIT ?3",
            &[
                ValueRef::Blob(&table.0),
                ValueRef::Integer(first),
                ValueRef::Integer(BATCH),
            ],
            |row| {
                leaves.push(self.decode(table, row.bytes(0)?.unwrap_or_default()));
                Ok(())
            },
        )?;
        let leaves: Result<Vec<KnownLeaf>, FormatError> = leaves.into_iter().collect();
        leaves.map_err(|cause| StoreError::Damaged {
            object: "what is remembered of pages".to_owned(),
            cause,
        })
    }

    /// Learns that the rows behind `behind` up to `last`, or to the end, are this leaf, or none that can be told.
    pub fn change(
        &mut self,
        table: &TablePages,
        behind: Option<i64>,
        last: Option<i64>,
        leaf: Option<&KnownLeaf>,
    ) {
        let Some(first) = first_behind(behind) else {
            return;
        };
        let leaf = leaf.map(|leaf| self.encode(table, leaf));
        let values = [
            ValueRef::Blob(&table.0),
            ValueRef::Integer(first),
            ValueRef::Integer(last.unwrap_or(i64::MAX)),
            leaf.as_deref().map_or(ValueRef::Null, ValueRef::Blob),
        ];
        let sql = "INSERT INTO changes(id, first, last, leaf) VALUES(?1, ?2, ?3, ?4)";
        self.learn(sql, &values);
    }

    /// Learns that nothing can be told of a table.
    pub fn forget_table(&mut self, table: &TablePages) {
        let id = [ValueRef::Blob(&table.0)];
        self.learn("DELETE FROM changes WHERE id = ?1", &id);
        self.change(table, None, None, None);
    }

    fn learn(&mut self, sql: &'static str, values: &[ValueRef<'_>]) {
        let run = |db: &Connection| db.for_each_cached(sql, values, |_| Ok(()));
        if self.learned.as_ref().is_some_and(|db| run(db).is_err()) {
            self.learned = None;
        }
    }

    /// Remembers what was learned: once the snapshot is committed, never before.
    pub fn remember(&self) -> Result<(), StoreError> {
        let Some(learned) = &self.learned else {
            return Ok(());
        };
        self.db.execute("BEGIN IMMEDIATE")?;
        let done = self.drop_tables().and_then(|()| self.take_over(learned));
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.db.execute(end)?;
        Ok(done?)
    }

    /// Forgets the tables that the source has no more.
    fn drop_tables(&self) -> Result<(), SqliteError> {
        let source = ValueRef::Blob(&self.source);
        let run = |sql, values: &[ValueRef<'_>]| self.db.for_each_cached(sql, values, |_| Ok(()));
        let mut gone = Vec::new();
        self.db.for_each_cached(
            "SELECT id FROM tables WHERE source = ?1",
            &[source],
            |row| {
                gone.push(row.bytes(0)?.unwrap_or_default().to_vec());
                Ok(())
            },
        )?;
        gone.retain(|id| !self.tables.iter().any(|table| table.0[..] == id[..]));
        for id in gone.iter().map(|id| ValueRef::Blob(id)) {
            run("DELETE FROM leaves WHERE id = ?1", &[id])?;
            run(
                "DELETE FROM tables WHERE source = ?1 AND id = ?2",
                &[source, id],
            )?;
        }
        for table in &self.tables {
            let id = ValueRef::Blob(&table.0);
            run("INSERT OR IGNORE INTO tables VALUES(?1, ?2)", &[source, id])?;
        }
        Ok(())
    }

    fn take_over(&self, learned: &Connection) -> Result<(), SqliteError> {
        let run = |sql, values: &[ValueRef<'_>]| self.db.for_each_cached(sql, values, |_| Ok(()));
        let mut from = 0;
        loop {
            let begun = from;
            let to = ValueRef::Integer(CHANGES_A_STEP);
            learned.for_each_cached(
                "SELECT n, id, first, last, leaf FROM changes WHERE n > ?1 ORDER BY n LIMIT ?2",
                &[ValueRef::Integer(from), to],
                |row| {
                    from = row.integer(0)?;
                    let [id, first, last] = [row.value(1)?, row.value(2)?, row.value(3)?];
                    run(
                        "DELETE FROM leaves WHERE id = ?1 AND last BETWEEN ?2 AND ?3",
                        &[id, first, last],
                    )?;
                    match row.value(4)? {
                        ValueRef::Blob(leaf) => {
                            let last = ValueRef::Integer(last_of(leaf));
                            let sql = "INSERT OR REPLACE INTO leaves VALUES(?1, ?2, ?3)";
                            run(sql, &[id, last, ValueRef::Blob(leaf)])
                        }
                        _ => Ok(()),
                    }
                },
            )?;
            if from == begun {
                return Ok(());
            }
        }
    }

    /// Forgets everything, of all sources.
    pub fn forget(&self) -> Result<(), StoreError> {
        for sql in [
            "BEGIN IMMEDIATE",
            "DELETE FROM leaves",
            "DELETE FROM tables",
            "DELETE FROM secret",
            "COMMIT",
        ] {
            self.db.execute(sql)?;
        }
        Ok(())
    }

    fn encode(&self, table: &TablePages, known: &KnownLeaf) -> Vec<u8> {
        let Span::Rowids { first, last } = known.leaf.span else {
            return Vec::new();
        };
        let mut out = Vec::with_capacity(BYTES);
        out.push(u8::from(known.after.is_some()));
        out.extend(known.after.unwrap_or(0).to_le_bytes());
        out.extend(first.to_le_bytes());
        out.extend(last.to_le_bytes());
        out.push(u8::from(known.ends_table));
        out.extend(known.leaf.id.0);
        out.extend(known.leaf.rows.to_le_bytes());
        out.extend(known.leaf.bytes.to_le_bytes());
        out.extend(known.digest);
        out.extend(known.pages.to_le_bytes());
        out.extend(known.fingerprint);
        let own = self.hash.digest_of_parts(&[&table.0, &out]);
        out.extend_from_slice(&own);
        out
    }

    fn decode(&self, table: &TablePages, bytes: &[u8]) -> Result<KnownLeaf, FormatError> {
        const WHAT: &str = "a leaf in the cache of pages";
        let wrong = FormatError::Invalid { what: WHAT };
        let Some((said, own)) = bytes.split_last_chunk::<32>() else {
            return Err(wrong);
        };
        if self.hash.digest_of_parts(&[&table.0, said]) != *own {
            return Err(wrong);
        }
        let mut fields = Fields::new(said, WHAT);
        let has_after = fields.flag()?;
        let after = fields.i64()?;
        let (first, last) = (fields.i64()?, fields.i64()?);
        let ends_table = fields.flag()?;
        let known = KnownLeaf {
            after: has_after.then_some(after),
            ends_table,
            leaf: Child {
                id: BlobId(fields.array()?),
                rows: fields.u64()?,
                bytes: fields.u64()?,
                has_refs: false,
                span: Span::Rowids { first, last },
            },
            digest: fields.array()?,
            pages: fields.u32()?,
            fingerprint: fields.array()?,
        };
        fields.end()?;
        Ok(known)
    }
}

/// The first rowid behind this one; `None`: there is none.
fn first_behind(behind: Option<i64>) -> Option<i64> {
    behind.map_or(Some(i64::MIN), |behind| behind.checked_add(1))
}

/// Where the last rowid stands in a leaf as it is remembered.
const LAST_AT: usize = 1 + 2 * 8;

/// The last rowid of a leaf as it is remembered.
fn last_of(leaf: &[u8]) -> i64 {
    let bytes = leaf.get(LAST_AT..).and_then(|rest| rest.first_chunk::<8>());
    bytes.map_or(i64::MAX, |bytes| i64::from_le_bytes(*bytes))
}

/// Bytes of a leaf as it is remembered.
const BYTES: usize = 1 + 3 * 8 + 1 + 32 + 2 * 8 + 32 + 4 + 32 + 32;

/// The file's secret; drawn if it has none, or not one.
fn secret(db: &Connection, env: &dyn Env) -> Result<[u8; 32], SqliteError> {
    db.execute("BEGIN IMMEDIATE")?;
    let kept = read_secret(db).and_then(|kept| match kept {
        Some(secret) => Ok(secret),
        None => {
            let drawn = random_32(env);
            for sql in [
                "DELETE FROM leaves",
                "DELETE FROM tables",
                "DELETE FROM secret",
            ] {
                db.execute(sql)?;
            }
            let value = ValueRef::Blob(&drawn);
            db.for_each("INSERT INTO secret VALUES(?1)", &[value], |_| Ok(()))?;
            Ok(drawn)
        }
    });
    db.execute(if kept.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    kept
}

fn read_secret(db: &Connection) -> Result<Option<[u8; 32]>, SqliteError> {
    let mut all = Vec::new();
    db.for_each("SELECT key FROM secret", &[], |row| {
        all.push(<[u8; 32]>::try_from(row.bytes(0)?.unwrap_or_default()).ok());
        Ok(())
    })?;
    Ok(match all[..] {
        [Some(secret)] => Some(secret),
        _ => None,
    })
}

/// Name of a store's file in the cache folder.
pub(super) fn file_name(store: &StoreId, place: &str) -> PathBuf {
    local_file::name(store, place, "pages")
}
