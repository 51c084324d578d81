//! Keys of one table with what is known of each, kept in the plan's temporary database: compared as
//! SQLite compares them in that table, with its affinities and collations.

use std::collections::HashMap;
use std::path::Path;

use super::columns::{Identity, collation_name};
use super::error::TargetError;
use super::packed;
use super::worksheet::Worksheet;
use crate::model::row::Collation;
use crate::model::schema::Table;
use crate::model::value::{Value, ValueRef};
use crate::sqlite::quote::ident;
use crate::sqlite::{SqliteError, Statement};

/// What is kept for a key: a number, and a list of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The number.
    pub mark: i64,
    /// The values; empty if none were given.
    pub values: Vec<Value>,
}

/// Keys of one table. A key that is added twice keeps its first entry.
pub struct KeyMap<'w> {
    path: &'w Path,
    worksheet: &'w Worksheet,
    name: String,
    insert: Statement<'w>,
    find: Statement<'w>,
    count: u64,
    /// What was asked last, by the very bytes that were asked: references of a table are few values.
    asked: HashMap<Vec<u8>, Option<Entry>>,
}

/// Answers that are remembered.
const ASKED_MAX: usize = 10_000;

/// Bytes of a key whose answer is remembered.
const ASKED_BYTES_MAX: usize = 200;

impl Worksheet {
    /// An empty map for keys of a live table; `columns` are positions in the table.
    pub fn key_map(
        &self,
        table: &Table,
        columns: &[(usize, Collation)],
    ) -> Result<KeyMap<'_>, TargetError> {
        self.make_map(table, columns).map_err(|e| self.at(e))
    }

    /// An empty map for a live table's rows, each as [`super::RowId`] has it.
    pub fn row_map(&self, table: &Table) -> Result<KeyMap<'_>, TargetError> {
        // The values come from the table: they are compared as they are.
        let columns = Identity::of(table).columns.len();
        self.key_map(table, &vec![(usize::MAX, Collation::Binary); columns])
    }

    fn make_map(
        &self,
        table: &Table,
        columns: &[(usize, Collation)],
    ) -> Result<KeyMap<'_>, SqliteError> {
        let name = self.new_name("keys");
        let (mut declared, mut names, mut marks, mut terms) = (vec![], vec![], vec![], vec![]);
        for (n, (column, collation)) in columns.iter().enumerate() {
            // Quoted, a type gives the same affinity, whatever is written in it.
            let kind = match table.columns.get(*column).map(|c| c.declared_type.as_str()) {
                None | Some("") => String::new(),
                Some(any) if table.strict && any.eq_ignore_ascii_case("any") => String::new(),
                Some(kind) => ident(kind)?,
            };
            let collation = ident(collation_name(collation))?;
            declared.push(format!("c{n} {kind} COLLATE {collation}"));
            names.push(format!("c{n}"));
            marks.push(format!("?{}", n + 3));
            terms.push(format!("c{n} = ?{}", n + 1));
        }
        let (declared, names, marks) = (declared.join(", "), names.join(", "), marks.join(", "));
        self.db.execute(&format!(
            "CREATE TABLE {name}(mark INTEGER, entry BLOB, {declared})"
        ))?;
        self.db
            .execute(&format!("CREATE INDEX {name}_at ON {name}({names})"))?;
        Ok(KeyMap {
            path: &self.path,
            worksheet: self,
            insert: self
                .db
                .prepare(&format!("INSERT INTO {name} VALUES(?1, ?2, {marks})"))?,
            find: self.db.prepare(&format!(
                "SELECT mark, entry FROM {name} WHERE {} ORDER BY rowid LIMIT 1",
                terms.join(" AND ")
            ))?,
            name,
            count: 0,
            asked: HashMap::new(),
        })
    }
}

impl KeyMap<'_> {
    /// Adds a key with a number.
    pub fn add(&mut self, key: &[Value], mark: i64) -> Result<(), TargetError> {
        self.put(key, mark, &[])
    }

    /// Adds a key with a number and values.
    pub fn put(&mut self, key: &[Value], mark: i64, values: &[Value]) -> Result<(), TargetError> {
        self.count += 1;
        self.asked.clear();
        let packed = packed::pack(values);
        let mut put = || -> Result<(), SqliteError> {
            self.insert.bind(1, ValueRef::Integer(mark))?;
            self.insert.bind(2, ValueRef::Blob(&packed))?;
            for (at, value) in key.iter().enumerate() {
                self.insert.bind(at + 3, value.as_ref())?;
            }
            self.insert.run()
        };
        put().map_err(|e| TargetError::of(self.path, "temporary database", e))
    }

    /// The entry of a key, the first that was added.
    pub fn get(&mut self, key: &[Value]) -> Result<Option<Entry>, TargetError> {
        if self.count == 0 {
            return Ok(None);
        }
        let bytes = packed::pack(key);
        if let Some(answer) = self.asked.get(&bytes) {
            return Ok(answer.clone());
        }
        let answer = self.find(key)?;
        if bytes.len() <= ASKED_BYTES_MAX {
            if self.asked.len() == ASKED_MAX {
                self.asked.clear();
            }
            self.asked.insert(bytes, answer.clone());
        }
        Ok(answer)
    }

    fn find(&mut self, key: &[Value]) -> Result<Option<Entry>, TargetError> {
        let mut get = || -> Result<Option<Entry>, SqliteError> {
            for (at, value) in key.iter().enumerate() {
                self.find.bind(at + 1, value.as_ref())?;
            }
            let mut rows = self.find.rows();
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let values = packed::unpack(row.bytes(1)?.unwrap_or_default()).unwrap_or_default();
            Ok(Some(Entry {
                mark: row.integer(0)?,
                values,
            }))
        };
        get().map_err(|e| TargetError::of(self.path, "temporary database", e))
    }

    /// True if the key was added.
    pub fn has(&mut self, key: &[Value]) -> Result<bool, TargetError> {
        Ok(self.get(key)?.is_some())
    }

    /// True if it holds no key.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all keys out.
    pub fn clear(&mut self) -> Result<(), TargetError> {
        if self.count == 0 {
            return Ok(());
        }
        self.count = 0;
        self.asked.clear();
        let sql = format!("DELETE FROM {}", self.name);
        let done = self.worksheet.db.execute(&sql);
        done.map_err(|e| TargetError::of(self.path, "temporary database", e))
    }

    /// True if both hold the same keys with the same entries, whatever their order.
    pub fn is_same(&self, other: &Self) -> Result<bool, TargetError> {
        if self.count != other.count || self.count == 0 {
            return Ok(self.count == other.count);
        }
        let (a, b) = (&self.name, &other.name);
        let sql = format!(
            "SELECT (SELECT count(*) FROM (SELECT * FROM {a} EXCEPT SELECT * FROM {b})) + \
             (SELECT count(*) FROM (SELECT * FROM {b} EXCEPT SELECT * FROM {a}))"
        );
        let differing = self.worksheet.db.integer(&sql);
        let differing =
            differing.map_err(|e| TargetError::of(self.path, "temporary database", e))?;
        Ok(differing == Some(0))
    }
}
