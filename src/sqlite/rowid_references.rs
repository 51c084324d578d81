//! Foreign keys that refer to rowids, checked by batches. `foreign_key_check` looks for the parent of one row after
//! the other, at random in a parent that may be larger than any cache; here so many are sorted first, and each page of
//! the parent is read once a batch. What is found is the same, by the same comparison of SQLite's. Asked by `check`.

use super::check::ForeignKeyCheck;
use super::open::Connection;
use super::quote::ident;
use super::statement::{Rows, SqliteError, Statement};
use crate::model::schema::{ForeignKey, Schema, Table};
use crate::model::value::ValueRef;

/// References that are held at once, of all keys of a table.
const HELD: usize = 1 << 19;

/// Rows of the parent that are passed over on the way to the one that is wanted; one further away is sought, which
/// takes as long as about three of them.
const PASSED_OVER: usize = 4;

/// Checks the foreign keys of a table; `None` if not all of them refer to rowids, or if SQLite can make nothing of
/// the question: `foreign_key_check` says why.
pub(super) fn check(
    db: &Connection,
    table: &Table,
    schema: &Schema,
) -> Result<Option<ForeignKeyCheck>, SqliteError> {
    match in_batches(db, table, schema, HELD) {
        Err(error) if error.is_of_text() => Ok(None),
        checked => checked,
    }
}

fn in_batches(
    db: &Connection,
    table: &Table,
    schema: &Schema,
    held: usize,
) -> Result<Option<ForeignKeyCheck>, SqliteError> {
    let mut keys = Vec::new();
    let mut columns = Vec::new();
    for key in &table.foreign_keys {
        let Some((child, parent)) = to_rowid(key, schema) else {
            return Ok(None);
        };
        keys.push(References::new(db, key.id, parent)?);
        // With the table's name before it, a name that is no column is an error, not a text.
        columns.push(format!("child.{}", ident(child)?));
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let batch = (held / keys.len()).max(1);
    let sql = format!(
        "SELECT {} FROM main.{} AS child NOT INDEXED",
        columns.join(", "),
        ident(&table.name)?
    );
    db.for_each(&sql, &[], |row| {
        for (at, key) in keys.iter_mut().enumerate() {
            key.add(row.value(at)?)?;
            if key.rowids.len() >= batch {
                key.look_up()?;
            }
        }
        Ok(())
    })?;
    let mut check = ForeignKeyCheck::default();
    for mut key in keys {
        key.look_up()?;
        if key.violations > 0 {
            check.violations.insert(key.id, key.violations);
        }
    }
    Ok(Some(check))
}

/// The child column and the parent table, if the parent is found by its rowid alone.
fn to_rowid<'k>(key: &'k ForeignKey, schema: &'k Schema) -> Option<(&'k str, &'k Table)> {
    let [(child, column)] = key.columns.as_slice() else {
        return None;
    };
    let parent = schema.table(&key.parent)?;
    let alias = parent.columns.get(parent.rowid_alias()?)?;
    let is_rowid = column
        .as_ref()
        .is_none_or(|column| column.eq_ignore_ascii_case(&alias.name));
    is_rowid.then_some((child, parent))
}

/// What one key refers to.
struct References<'c> {
    id: u32,
    /// Says whether a row is there.
    find: Statement<'c>,
    /// The rowids of the parent from one on, in order.
    walk: Statement<'c>,
    /// Not looked up yet.
    rowids: Vec<i64>,
    violations: u64,
}

impl<'c> References<'c> {
    fn new(db: &'c Connection, id: u32, parent: &Table) -> Result<Self, SqliteError> {
        let alias = parent.rowid_column().unwrap_or_default();
        let (table, alias) = (ident(&parent.name)?, ident(alias)?);
        let find =
            format!("SELECT 1 FROM main.{table} AS parent NOT INDEXED WHERE parent.{alias} = ?1");
        let walk = format!(
            "SELECT parent.{alias} FROM main.{table} AS parent NOT INDEXED
             WHERE parent.{alias} >= ?1 ORDER BY parent.{alias}"
        );
        Ok(Self {
            id,
            find: db.prepare(&find)?,
            walk: db.prepare(&walk)?,
            rowids: Vec::new(),
            violations: 0,
        })
    }

    fn add(&mut self, value: ValueRef<'_>) -> Result<(), SqliteError> {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(rowid) => self.rowids.push(rowid),
            // SQLite knows which of them are the number of a row.
            other => self.violations += u64::from(!self.is_there(other)?),
        }
        Ok(())
    }

    fn look_up(&mut self) -> Result<(), SqliteError> {
        let mut rowids = std::mem::take(&mut self.rowids);
        rowids.sort_unstable();
        let mut wanted = rowids.chunk_by(|a, b| a == b).peekable();
        while let Some(first) = wanted.next() {
            self.walk.bind(1, ValueRef::Integer(rowid_of(first)))?;
            let mut rows = self.walk.rows();
            let mut here = next_rowid(&mut rows)?;
            self.violations += missing(first, here);
            while let Some(next) = wanted.peek() {
                let rowid = rowid_of(next);
                let mut passed = 0;
                while here.is_some_and(|here| here < rowid) && passed < PASSED_OVER {
                    here = next_rowid(&mut rows)?;
                    passed += 1;
                }
                if here.is_some_and(|here| here < rowid) {
                    break;
                }
                self.violations += missing(next, here);
                wanted.next();
            }
        }
        rowids.clear();
        self.rowids = rowids;
        Ok(())
    }

    fn is_there(&mut self, rowid: ValueRef<'_>) -> Result<bool, SqliteError> {
        self.find.bind(1, rowid)?;
        Ok(self.find.rows().next()?.is_some())
    }
}

/// What references to one row have in common.
fn rowid_of(same: &[i64]) -> i64 {
    same.first().copied().unwrap_or_default()
}

/// The references to one row, if the first row that is not before it is another.
fn missing(same: &[i64], here: Option<i64>) -> u64 {
    match here == same.first().copied() {
        true => 0,
        false => same.len() as u64,
    }
}

fn next_rowid(rows: &mut Rows<'_>) -> Result<Option<i64>, SqliteError> {
    rows.next()?.map(|row| row.integer(0)).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sqlite::check;
    use crate::sqlite::schema::read_schema;

    const TYPES: [&str; 6] = ["INTEGER", "INT", "REAL", "TEXT", "BLOB", ""];

    /// Tables with keys to the rowid of another and of themselves.
    fn schema(types: (&str, &str), without_rowid: bool) -> String {
        let (a, b) = types;
        let end = if without_rowid { " WITHOUT ROWID" } else { "" };
        format!(
            "CREATE TABLE \"a parent\"(\"the id\" INTEGER PRIMARY KEY, x);
             CREATE TABLE child(k INTEGER, n, a {a} REFERENCES \"A Parent\", b {b} REFERENCES \"a parent\"(\"THE id\"),
                                \"the id\" AS (n) REFERENCES \"a parent\", PRIMARY KEY(k, n)){end};
             CREATE TABLE tree(id INTEGER PRIMARY KEY, up {a} REFERENCES tree, x);"
        )
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("NULL".to_owned()),
            (0..12_i64).prop_map(|n| n.to_string()),
            (0..60_i64).prop_map(|n| n.to_string()),
            (0..12_i64).prop_map(|n| format!("'{n}'")),
            (0..12_i64).prop_map(|n| format!("{n}.0")),
            (0..12_i64).prop_map(|n| format!("x'3{}'", n % 10)),
            Just("5.5".to_owned()),
            Just("' 5'".to_owned()),
            Just("'5e0'".to_owned()),
            Just("'no number'".to_owned()),
            Just("x''".to_owned()),
            Just("9223372036854775807".to_owned()),
            Just("-9223372036854775808".to_owned()),
            Just("9223372036854775808".to_owned()),
            Just("-9223372036854775808.0".to_owned()),
        ]
    }

    proptest! {
        /// Batches say what `foreign_key_check` says, whatever is referred to, in columns of every affinity.
        #[test]
        fn batches_find_what_the_pragma_finds(
            types in (0..TYPES.len(), 0..TYPES.len()),
            without_rowid: bool,
            parents in prop::collection::btree_set(prop_oneof![0..12_i64, 0..60_i64, Just(i64::MAX), Just(i64::MIN)], 0..30),
            children in prop::collection::vec((value(), value(), value()), 0..40),
            held in 1..20_usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("db");
            let made = rusqlite::Connection::open(&path).unwrap();
            made.pragma_update(None, "foreign_keys", false).unwrap();
            made.execute_batch(&schema((TYPES[types.0], TYPES[types.1]), without_rowid)).unwrap();
            for id in parents {
                made.execute("INSERT INTO \"a parent\" VALUES(?1, 0)", [id]).unwrap();
            }
            for (at, (a, b, n)) in children.iter().enumerate() {
                let n = if n == "NULL" { "0" } else { n };
                made.execute_batch(&format!(
                    "INSERT INTO child(k, n, a, b) VALUES({at}, {n}, {a}, {b});
                     INSERT INTO tree VALUES({at}, {a}, {b});"
                )).unwrap();
            }
            drop(made);
            let db = Connection::open_complete(&path, false).unwrap();
            let schema = read_schema(&db).unwrap().schema;
            for name in ["child", "tree"] {
                let table = schema.table(name).unwrap();
                let found = in_batches(&db, table, &schema, held).unwrap();
                prop_assert_eq!(found, Some(check::by_pragma(&db, name).unwrap()), "{}", name);
            }
        }
    }

    /// Keys that are not of rowids alone, and those whose parent is not there, are left to the pragma.
    #[test]
    fn what_does_not_refer_to_rowids_is_left_to_the_pragma() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let made = rusqlite::Connection::open(&path).unwrap();
        made.pragma_update(None, "foreign_keys", false).unwrap();
        made.execute_batch(
            "CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE, v, UNIQUE(u, v));
             CREATE TABLE w(id INTEGER PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE by_unique(a REFERENCES p(u), b REFERENCES p);
             CREATE TABLE by_two(a, b, FOREIGN KEY(a, b) REFERENCES p(u, v));
             CREATE TABLE by_key(a REFERENCES w);
             CREATE TABLE to_none(a REFERENCES nowhere);
             CREATE TABLE to_no_key(a REFERENCES p(v));
             INSERT INTO by_unique VALUES(1, 1); INSERT INTO by_two VALUES(1, 1); INSERT INTO by_key VALUES(1);
             INSERT INTO to_none VALUES(1); INSERT INTO to_no_key VALUES(1);",
        )
        .unwrap();
        drop(made);
        let db = Connection::open_complete(&path, false).unwrap();
        let schema = read_schema(&db).unwrap().schema;
        for name in ["p", "by_unique", "by_two", "by_key", "to_none", "to_no_key"] {
            let table = schema.table(name).unwrap();
            assert_eq!(check(&db, table, &schema).unwrap(), None, "{name}");
            let whole = check::foreign_keys(&db, table, &schema).unwrap();
            assert_eq!(whole, check::by_pragma(&db, name).unwrap(), "{name}");
        }
    }

    /// A parent that is known by its definition, and is not in the database, has no rows for the pragma.
    #[test]
    fn a_parent_that_is_not_carried_is_left_to_the_pragma() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let made = rusqlite::Connection::open(&path).unwrap();
        made.pragma_update(None, "foreign_keys", false).unwrap();
        made.execute_batch(
            "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(a REFERENCES p);
             INSERT INTO c VALUES(1), (2);",
        )
        .unwrap();
        let db = Connection::open_complete(&path, false).unwrap();
        let schema = read_schema(&db).unwrap().schema;
        drop(db);
        made.execute_batch("DROP TABLE p").unwrap();
        drop(made);
        let db = Connection::open_complete(&path, false).unwrap();
        let found = check::foreign_keys(&db, schema.table("c").unwrap(), &schema).unwrap();
        assert_eq!(found.violations, [(0, 2)].into());
    }
}
