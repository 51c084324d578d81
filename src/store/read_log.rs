//! When each pack was last read whole and found good: an SQLite file beside the cache of footers,
//! which may be deleted at any time. What it says chooses what is read next, and nothing else.

use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::local_file;
use crate::model::id::{PackId, StoreId};
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, Row, SqliteError};

/// Raised whenever the table changes; a file of another version is begun anew.
const VERSION: i64 = 1;

/// The memory of one store.
#[derive(Debug)]
pub struct ReadLog {
    db: Connection,
    kept: bool,
}

impl ReadLog {
    /// Opens the file, made or begun anew where needed; where none can be kept, a temporary one.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, StoreError> {
        if let Some(file) = file
            && let Ok(db) = opened(Some(file))
        {
            return Ok(Self { db, kept: true });
        }
        let db = opened(None)?;
        Ok(Self { db, kept: false })
    }

    /// True if a later run will know it.
    pub fn is_kept(&self) -> bool {
        self.kept
    }

    /// When a pack was last read whole and found good, RFC 3339 in UTC; `None`: never.
    pub fn last(&mut self, pack: &PackId) -> Result<Option<String>, StoreError> {
        let mut last = None;
        let sql = "SELECT last FROM packs WHERE id = ?1";
        self.guarded(sql, &[ValueRef::Blob(&pack.0)], |row| {
            last = row.text(0)?;
            Ok(())
        })?;
        Ok(last)
    }

    /// A pack was read whole and found good.
    pub fn set(&mut self, pack: &PackId, time: &str) -> Result<(), StoreError> {
        let values = [ValueRef::Blob(&pack.0), ValueRef::Text(time.as_bytes())];
        let sql = "INSERT OR REPLACE INTO packs VALUES(?1, ?2)";
        self.guarded(sql, &values, |_| Ok(()))
    }

    /// A pack is not what it was.
    pub fn forget(&mut self, pack: &PackId) -> Result<(), StoreError> {
        let sql = "DELETE FROM packs WHERE id = ?1";
        self.guarded(sql, &[ValueRef::Blob(&pack.0)], |_| Ok(()))
    }

    /// A file that fails costs its memory, not the run.
    fn guarded(
        &mut self,
        sql: &'static str,
        values: &[ValueRef<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<(), SqliteError>,
    ) -> Result<(), StoreError> {
        match self.db.for_each_cached(sql, values, &mut each) {
            Err(_) if self.kept => {
                self.db = opened(None)?;
                self.kept = false;
                Ok(self.db.for_each_cached(sql, values, each)?)
            }
            done => Ok(done?),
        }
    }
}

fn opened(file: Option<&Path>) -> Result<Connection, SqliteError> {
    let table = "CREATE TABLE packs(id BLOB PRIMARY KEY, last TEXT NOT NULL) WITHOUT ROWID";
    let db = local_file::open(file, VERSION, &[table])?;
    db.integer("SELECT count(*) FROM packs")?;
    Ok(db)
}

/// Name of a store's file in the cache folder.
pub(super) fn file_name(store: &StoreId, place: &str) -> PathBuf {
    local_file::name(store, place, "read")
}
