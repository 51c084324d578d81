//! All that two databases must have in common, read through SQLite and nothing of larder.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::draw::{ROWID_NAMES, quote};

/// Longer values are compared by length and hash.
const SHOWN_BYTES: usize = 48;

/// What a database holds, by a name for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Content(BTreeMap<String, Vec<String>>);

impl Content {
    pub fn of(db: &Connection) -> rusqlite::Result<Self> {
        let mut content = Self(BTreeMap::new());
        for pragma in [
            "page_size",
            "encoding",
            "auto_vacuum",
            "user_version",
            "application_id",
        ] {
            let value = rows(db, &format!("PRAGMA main.{pragma}"), &[])?;
            content.0.insert(format!("pragma {pragma}"), value);
        }
        content.schema(db)?;
        let mut checked = rows(db, "PRAGMA integrity_check", &[])?;
        checked.sort();
        content.0.insert("whole".to_owned(), checked);
        Ok(content)
    }

    /// The part of the journal mode that a file keeps; to be asked where the file is open for writing.
    pub fn with_journal_mode(mut self, is_wal: bool) -> Self {
        let mode = if is_wal { "wal" } else { "rollback" };
        self.0
            .insert("pragma journal_mode".to_owned(), vec![mode.to_owned()]);
        self
    }

    pub fn rows(&self) -> usize {
        self.0
            .iter()
            .filter(|(k, _)| k.starts_with("rows "))
            .map(|(_, rows)| rows.len())
            .sum()
    }

    /// Objects of each kind in order of creation; VACUUM changes only how the kinds interleave.
    fn schema(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare(
            "SELECT type, name, rootpage,
               hex(CAST(name AS BLOB)) || ' ' || hex(CAST(tbl_name AS BLOB)) || ' ' || quote(sql)
             FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
        )?;
        let mut entries = statement.query([])?;
        while let Some(entry) = entries.next()? {
            let (kind, name): (String, String) = (entry.get(0)?, entry.get(1)?);
            let is_own = name
                .get(..7)
                .is_some_and(|s| s.eq_ignore_ascii_case("sqlite_"));
            let is_virtual = kind == "table" && entry.get::<_, i64>(2)? == 0;
            let group = match (is_own, is_virtual) {
                (true, _) => format!("own {name}"),
                (_, true) => "virtual tables".to_owned(),
                _ => format!("each {kind}"),
            };
            let list = self.0.entry(group).or_default();
            list.push(entry.get(3)?);
            if kind == "table" {
                let content = match is_virtual {
                    // An application may have damaged what the module keeps.
                    true => {
                        let sql = format!("SELECT rowid, * FROM main.{}", quote(&name));
                        rows(db, &sql, &[]).unwrap_or_else(|error| vec![error.to_string()])
                    }
                    false => table(db, &name)?,
                };
                self.0.insert(format!("rows of {name:?}"), content);
            }
        }
        Ok(())
    }

    /// The first difference of `other`, made from this one, for people; `None` if there is none.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let names = self.0.keys().chain(other.0.keys());
        for name in names {
            let (Some(a), Some(b)) = (self.0.get(name), other.0.get(name)) else {
                let side = if self.0.contains_key(name) {
                    "first"
                } else {
                    "second"
                };
                return Some(format!("{name}: only in the {side}"));
            };
            if name == "whole" && *b == [fine()] && a.iter().all(|line| is_of_index(line)) {
                // SQLite itself can lose the entries of an index on an expression, as lower() of a
                // blob in UTF-16: it is made anew.
                continue;
            }
            if a != b {
                let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
                return Some(format!(
                    "{name}: {} and {} entries; number {at} is {:?} and {:?}",
                    a.len(),
                    b.len(),
                    a.get(at),
                    b.get(at)
                ));
            }
        }
        None
    }
}

/// What `integrity_check` says of a database that it finds nothing wrong with.
fn fine() -> String {
    " ok".to_owned()
}

fn is_of_index(line: &str) -> bool {
    line.contains(" missing from index ") || line.contains("wrong # of entries in index ")
}

/// Every row in the order of a scan: rowid, storage class and bytes of each value.
fn table(db: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("SELECT name, hidden FROM pragma_table_xinfo(?, 'main')")?;
    let columns = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns: Vec<(String, i64)> = columns.collect::<rusqlite::Result<_>>()?;
    let without: bool = db.query_row(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?",
        [name],
        |row| row.get(0),
    )?;
    let free = |rowid: &&&str| !columns.iter().any(|(c, _)| c.eq_ignore_ascii_case(rowid));
    // SQLite's own tables are filled by SQLite, which chooses their rowids.
    let own = name.starts_with("sqlite_");
    let rowid = ROWID_NAMES.iter().find(free).filter(|_| !without && !own);
    let read = |with: &dyn Fn(i64) -> bool| {
        let mut parts: Vec<String> = rowid.iter().map(|&&rowid| rowid.to_owned()).collect();
        for (column, _) in columns.iter().filter(|(_, hidden)| with(*hidden)) {
            let column = quote(column);
            parts.push(format!("typeof({column})"));
            parts.push(format!(
                "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"
            ));
        }
        let sql = format!(
            "SELECT {} FROM main.{} NOT INDEXED",
            parts.join(", "),
            quote(name)
        );
        rows(db, &sql, &[])
    };
    let mut content = match read(&|_| true) {
        Ok(rows) => rows,
        // A generated column may be one that no value can be computed for.
        Err(error) => {
            let mut rows = read(&|hidden| hidden != 2)?;
            rows.push(format!("generated columns: {error}"));
            rows
        }
    };
    if own {
        content.sort();
    }
    Ok(content)
}

fn rows(db: &Connection, sql: &str, parameters: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare(sql)?;
    let count = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut line = String::new();
        for at in 0..count {
            show(&mut line, row.get_ref(at)?);
        }
        out.push(line);
    }
    Ok(out)
}

fn show(line: &mut String, value: ValueRef<'_>) {
    line.push(' ');
    match value {
        ValueRef::Null => line.push('-'),
        ValueRef::Integer(v) => write!(line, "{v}").unwrap(),
        ValueRef::Real(v) => write!(line, "{v:e}/{:x}", v.to_bits()).unwrap(),
        ValueRef::Text(bytes) => line.push_str(&String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) if bytes.len() > SHOWN_BYTES => {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            write!(line, "{} bytes, hash {:x}", bytes.len(), hasher.finish()).unwrap();
        }
        ValueRef::Blob(bytes) => {
            line.push_str("x'");
            bytes
                .iter()
                .for_each(|byte| write!(line, "{byte:02x}").unwrap());
            line.push('\'');
        }
    }
}
