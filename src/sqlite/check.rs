//! What SQLite itself finds wrong with a database: foreign keys, table by table, and integrity.

use std::collections::BTreeMap;

use super::open::Connection;
use super::quote::ident;
use super::statement::{ErrorKind, SqliteError};

/// What `foreign_key_check` says of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignKeyCheck {
    /// Violating rows by foreign key id; ids without one are absent.
    pub violations: BTreeMap<u32, u64>,
    /// Why the table could not be checked: its declaration does not fit the parent's.
    pub defect: Option<String>,
}

/// Checks the foreign keys of one table. A declaration that SQLite cannot check is a defect in the
/// answer, not an error.
pub fn foreign_keys(db: &Connection, table: &str) -> Result<ForeignKeyCheck, SqliteError> {
    let mut check = ForeignKeyCheck::default();
    let sql = format!("PRAGMA main.foreign_key_check({})", ident(table)?);
    let done = db.for_each(&sql, &[], |row| {
        let id = u32::try_from(row.integer(3)?)
            .map_err(|_| SqliteError::other("a foreign key has a negative number"))?;
        *check.violations.entry(id).or_default() += 1;
        Ok(())
    });
    match done {
        Ok(()) => Ok(check),
        // "foreign key mismatch", an unknown collation: a plain SQLITE_ERROR.
        Err(error) if error.kind == ErrorKind::Other => Ok(ForeignKeyCheck {
            violations: BTreeMap::new(),
            defect: Some(error.message),
        }),
        Err(error) => Err(error),
    }
}

/// Lines of `PRAGMA quick_check`, or of the full `integrity_check`, that are not `ok`.
pub fn integrity(db: &Connection, full: bool) -> Result<Vec<String>, SqliteError> {
    let pragma = if full {
        "integrity_check"
    } else {
        "quick_check"
    };
    let mut found = Vec::new();
    db.for_each(&format!("PRAGMA main.{pragma}"), &[], |row| {
        let line = String::from_utf8_lossy(row.bytes(0)?.unwrap_or_default()).into_owned();
        if line != "ok" {
            found.push(line);
        }
        Ok(())
    })?;
    Ok(found)
}
