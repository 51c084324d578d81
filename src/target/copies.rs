//! Rows without a key: how many copies of each a live table holds.
//!
//! Kept in a temporary database that spills to disk, so that memory stays bounded. A row is known
//! by its classes and bytes; a long value, which is read piece by piece, by its length and two keyed
//! hashes of its content.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};

use super::columns::{ColumnMap, Record};
use super::compare::filled;
use super::error::TargetError;
use super::live::LiveDatabase;
use super::live_rows::{LiveTable, LiveValue};
use super::lookup::Stop;
use super::writer::SpilledContent;
use crate::model::schema::Table;
use crate::model::value::{LongClass, ValueRef};
use crate::sqlite::{Connection, SqliteError};

/// Bytes hashed at a time.
const HASH_BYTES: usize = 64 * 1024;

/// The longest value that is kept as it is. What the database gives in pieces is longer in any encoding.
const PLAIN_BYTES_MAX: usize = 4096;

/// Copies of rows that no record has claimed yet.
pub struct Copies {
    rows: Connection,
    // Unlike a fixed hash, nobody can make two contents that these take for one.
    hashes: [RandomState; 2],
    key: Vec<u8>,
}

impl Copies {
    /// Counts the rows of a live table, by the columns that it shares with the records.
    pub fn of(live: &LiveDatabase, table: &Table, map: &ColumnMap) -> Result<Self, TargetError> {
        let at = |cause: SqliteError| live.at(&format!("table {}", table.name), cause);
        let rows = Connection::open_cache(None).map_err(at)?;
        for sql in [
            "CREATE TABLE rows(row BLOB PRIMARY KEY, copies INTEGER NOT NULL) WITHOUT ROWID",
            "BEGIN",
        ] {
            rows.execute(sql).map_err(at)?;
        }
        let mut copies = Self {
            rows,
            hashes: [RandomState::new(), RandomState::new()],
            key: Vec::new(),
        };
        copies.read(live, table, map)?;
        Ok(copies)
    }

    fn read(
        &mut self,
        live: &LiveDatabase,
        table: &Table,
        map: &ColumnMap,
    ) -> Result<(), TargetError> {
        if map.columns.is_empty() {
            return Ok(());
        }
        let columns: Vec<usize> = map.columns.iter().map(|column| column.column).collect();
        let mut rows = LiveTable::new(live, table, &columns)?;
        let mut rows = rows.rows()?;
        while let Some(row) = rows.next()? {
            self.key.clear();
            for at in 0..columns.len() {
                match row.value(at)? {
                    LiveValue::Here(value) => self.add(value),
                    LiveValue::Long(class, _) => {
                        let hashed = self.hash(&mut *row.open(at)?);
                        self.add_long(class, hashed.map_err(|e| row.no_content(e))?);
                    }
                }
            }
            let counted = self.rows.for_each_cached(
                "INSERT INTO rows VALUES(?1, 1) ON CONFLICT DO UPDATE SET copies = copies + 1",
                &[ValueRef::Blob(&self.key)],
                |_| Ok(()),
            );
            counted.map_err(|e| TargetError::of(live.path(), "temporary database", e))?;
        }
        Ok(())
    }

    /// Claims a copy of a record. False if none is left.
    pub fn take(
        &mut self,
        live: &LiveDatabase,
        table: &Table,
        map: &ColumnMap,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        self.key.clear();
        for value in record.values {
            match *value {
                ValueRef::Spilled(s) => {
                    let hashed = content
                        .open(&s)
                        .and_then(|mut input| self.hash(&mut *input))
                        .map_err(|e| Stop::Content(e).named(live, table, map, record))?;
                    self.add_long(s.class, hashed);
                }
                value => self.add(value),
            }
        }
        self.rows
            .for_each_cached(
                "UPDATE rows SET copies = copies - 1 WHERE row = ?1 AND copies > 0",
                &[ValueRef::Blob(&self.key)],
                |_| Ok(()),
            )
            .map_err(|e| Stop::Sqlite(e).named(live, table, map, record))?;
        Ok(self.rows.changes() == 1)
    }

    fn add(&mut self, value: ValueRef<'_>) {
        let (class, bytes) = match value {
            ValueRef::Integer(v) => {
                self.key.push(1);
                return self.key.extend(v.to_be_bytes());
            }
            ValueRef::Real(v) => {
                self.key.push(2);
                return self.key.extend(v.to_bits().to_be_bytes());
            }
            ValueRef::Text(bytes) => (LongClass::Text, bytes),
            ValueRef::Blob(bytes) => (LongClass::Blob, bytes),
            ValueRef::Null | ValueRef::Spilled(_) => return self.key.push(0),
        };
        if bytes.len() > PLAIN_BYTES_MAX {
            let mut content = bytes;
            // Reading a slice cannot fail.
            let hashed = self.hash(&mut content).unwrap_or_default();
            return self.add_long(class, hashed);
        }
        self.key.push(if class == LongClass::Text { 3 } else { 4 });
        self.key.extend((bytes.len() as u64).to_be_bytes());
        self.key.extend(bytes);
    }

    fn add_long(&mut self, class: LongClass, hashed: [u64; 3]) {
        self.key.push(if class == LongClass::Text { 5 } else { 6 });
        for part in hashed {
            self.key.extend(part.to_be_bytes());
        }
    }

    /// The length of a content, and two hashes. Always in pieces of one length: a hasher may tell pieces
    /// apart.
    fn hash(&self, input: &mut dyn Read) -> io::Result<[u64; 3]> {
        let mut hashers = self.hashes.each_ref().map(BuildHasher::build_hasher);
        let mut buffer = vec![0; HASH_BYTES];
        let mut length = 0;
        loop {
            let count = filled(input, &mut buffer)?;
            length += count as u64;
            if count == 0 {
                let [a, b] = hashers.map(|hasher| hasher.finish());
                return Ok([length, a, b]);
            }
            for hasher in &mut hashers {
                hasher.write(&buffer[..count]);
            }
        }
    }
}
