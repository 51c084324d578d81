//! What SQLite itself finds wrong with a database: foreign keys, table by table, and integrity.

use std::collections::BTreeMap;

use super::open::Connection;
use super::quote::ident;
use super::rowid_references;
use super::statement::SqliteError;
use crate::model::schema::{Schema, Table};

/// What `foreign_key_check` says of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignKeyCheck {
    /// Violating rows by foreign key id; ids without one are absent.
    pub violations: BTreeMap<u32, u64>,
    /// Why the table could not be checked: its declaration does not fit the parent's.
    pub defect: Option<String>,
}

/// Checks the foreign keys of a table, which is as `schema` says. A declaration that SQLite cannot check is a defect
/// in the answer, not an error.
pub fn foreign_keys(
    db: &Connection,
    table: &Table,
    schema: &Schema,
) -> Result<ForeignKeyCheck, SqliteError> {
    match rowid_references::check(db, table, schema) {
        Ok(Some(check)) => Ok(check),
        Ok(None) => by_pragma(db, &table.name),
        Err(error) => judged(error),
    }
}

/// As [`foreign_keys`], for a table of which only the name is known.
pub fn by_pragma(db: &Connection, table: &str) -> Result<ForeignKeyCheck, SqliteError> {
    let mut check = ForeignKeyCheck::default();
    let sql = format!("PRAGMA main.foreign_key_check({})", ident(table)?);
    let done = db.for_each(&sql, &[], |row| {
        let id = u32::try_from(row.integer(3)?)
            .map_err(|_| SqliteError::other("a foreign key has a negative number"))?;
        *check.violations.entry(id).or_default() += 1;
        Ok(())
    });
    done.map_or_else(judged, |()| Ok(check))
}

/// What an error says of the keys, if it does.
fn judged(error: SqliteError) -> Result<ForeignKeyCheck, SqliteError> {
    // "foreign key mismatch", an unknown collation: a plain SQLITE_ERROR. Or damage.
    match error.is_of_text() || error.is_damage() {
        true => Ok(ForeignKeyCheck {
            violations: BTreeMap::new(),
            defect: Some(error.message),
        }),
        false => Err(error),
    }
}

/// What SQLite's own check said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrityAnswer {
    /// Lines that are not `ok`.
    pub lines: Vec<String>,
    /// Tables that cannot be checked here, as for want of a collation, each with the reason.
    pub unchecked: Vec<(String, String)>,
}

/// Runs `PRAGMA quick_check`, or the full `integrity_check`.
///
/// Damage that stops the pragma is its last line.
///
/// One collation or function that is not known stops the pragma for the whole database: then the
/// tables are checked one by one.
pub fn integrity(db: &Connection, full: bool) -> Result<IntegrityAnswer, SqliteError> {
    let pragma = if full {
        "integrity_check"
    } else {
        "quick_check"
    };
    let mut answer = IntegrityAnswer::default();
    match lines_of(db, &format!("PRAGMA main.{pragma}"), &mut answer.lines) {
        Err(error) if error.is_damage() => {
            answer.lines.push(stopped(&error));
            return Ok(answer);
        }
        Err(error) if error.is_of_text() => {}
        done => return done.map(|()| answer),
    }
    answer.lines.clear();
    let mut tables = Vec::new();
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table'";
    db.for_each(sql, &[], |row| {
        let name = row.bytes(0)?.unwrap_or_default();
        tables.push(String::from_utf8_lossy(name).into_owned());
        Ok(())
    })?;
    for table in tables {
        let sql = format!("PRAGMA main.{pragma}({})", ident(&table)?);
        match lines_of(db, &sql, &mut answer.lines) {
            Err(error) if error.is_of_text() => {
                answer.unchecked.push((table, error.message));
            }
            Err(error) if error.is_damage() => answer.lines.push(stopped(&error)),
            done => done?,
        }
    }
    Ok(answer)
}

fn lines_of(db: &Connection, sql: &str, lines: &mut Vec<String>) -> Result<(), SqliteError> {
    db.for_each(sql, &[], |row| {
        let told = String::from_utf8_lossy(row.bytes(0)?.unwrap_or_default());
        // What is said of pages comes in one piece, under a heading. Any other line break is one
        // of a name.
        if told.starts_with("*** in database ") {
            lines.extend(told.lines().skip(1).map(str::to_owned));
        } else if told != "ok" {
            lines.push(told.into_owned());
        }
        Ok(())
    })
}

fn stopped(error: &SqliteError) -> String {
    format!(
        "the check could not be carried to its end: {}",
        error.message
    )
}

/// The full-text indexes among these tables, given with their modules, whose module is here: each with
/// its complaint if it does not fit its content.
pub fn full_texts(
    db: &Connection,
    tables: &[(String, String)],
) -> Result<Vec<(String, Option<String>)>, SqliteError> {
    let mut verdicts = Vec::new();
    for (table, module) in tables {
        if let Some(complaint) = full_text(db, table, module)? {
            verdicts.push((table.clone(), complaint));
        }
    }
    Ok(verdicts)
}

/// Whether a full-text index fits the content that it was made from, by the `integrity-check` command
/// of FTS3, FTS4 and FTS5: its complaint, if it has one. `None` for other modules, and where the module is
/// not here. Nothing is changed, but `db` must be allowed to write.
fn full_text(
    db: &Connection,
    table: &str,
    module: &str,
) -> Result<Option<Option<String>>, SqliteError> {
    let name = ident(table)?;
    let sql = match module {
        // Rank 1: external content is compared as well.
        "fts5" => format!("INSERT INTO main.{name}({name}, rank) VALUES('integrity-check', 1)"),
        "fts3" | "fts4" => format!("INSERT INTO main.{name}({name}) VALUES('integrity-check')"),
        _ => return Ok(None),
    };
    match db.execute(&sql) {
        Ok(()) => Ok(Some(None)),
        Err(error) if error.is_damage() => Ok(Some(Some(error.message))),
        Err(error) if error.is_of_text() => Ok(None),
        Err(error) => Err(error),
    }
}
