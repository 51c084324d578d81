//! SQLite files in the cache folder that remember something of a store, and may be deleted at any time.

use std::path::{Path, PathBuf};

use crate::codec::hash::plain_digest;
use crate::model::id::{PackId, StoreId};
use crate::sqlite::{Connection, SqliteError};

/// Opens a file, made or begun anew where needed: one of another version is. Without a path, a temporary one.
pub(super) fn open(
    file: Option<&Path>,
    version: i64,
    tables: &[&str],
) -> Result<Connection, SqliteError> {
    let db = Connection::open_cache(file)?;
    if db.integer("PRAGMA user_version")? != Some(version) {
        db.execute("BEGIN IMMEDIATE")?;
        // Another process may have made the tables meanwhile.
        if db.integer("PRAGMA user_version")? != Some(version) {
            for name in names(&db)? {
                db.execute(&format!(
                    "DROP TABLE {}",
                    crate::sqlite::quote::ident(&name)?
                ))?;
            }
            for sql in tables {
                db.execute(sql)?;
            }
            db.pragma("user_version", version)?;
        }
        db.execute("COMMIT")?;
    }
    Ok(db)
}

fn names(db: &Connection) -> Result<Vec<String>, SqliteError> {
    let mut names = Vec::new();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    db.for_each(sql, &[], |row| {
        names.extend(row.text(0)?);
        Ok(())
    })?;
    Ok(names)
}

/// The name of a store's file. A copy of the store's files has the store's id, so its place counts too.
pub(super) fn name(store: &StoreId, place: &str, what: &str) -> PathBuf {
    let place = PackId(plain_digest(place.as_bytes())).to_string();
    PathBuf::from(format!("{store}-{}.{what}", &place[..16]))
}
