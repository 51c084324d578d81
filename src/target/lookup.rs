//! Which rows of a live table a record's keys find.
//!
//! SQLite compares keys, so that collations and affinities hold; a key with a NULL in it matches
//! nothing.

use std::io;

use super::columns::{ColumnMap, Identity, Key, Record, equals, shown};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::live_rows::{LiveRow, LiveValue};
use super::writer::{SpilledContent, load};
use crate::model::schema::Table;
use crate::model::value::{Value, ValueRef};
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{SqliteError, Statement};

/// What tells a row of a live table from the others there: its rowid, or the values of its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RowId(pub Vec<Value>);

impl RowId {
    /// Of a row that is being read. `identity`: as [`identity_places`] has it.
    pub fn of_row(identity: &[usize], row: &LiveRow<'_>) -> Result<Self, TargetError> {
        if identity.is_empty() {
            let rowid = row.rowid.map_or(Value::Null, Value::Integer);
            return Ok(Self(vec![rowid]));
        }
        let value = |at: &usize| match row.value(*at)? {
            LiveValue::Here(value) => Ok(value.to_owned()),
            LiveValue::Long(..) => Err(row.key_too_long()),
        };
        Ok(Self(identity.iter().map(value).collect::<Result<_, _>>()?))
    }

    /// For people: `row 5`, or its key.
    pub fn shown(&self) -> String {
        let values = self.0.iter().map(|value| shown(value.as_ref()));
        format!("row {}", values.collect::<Vec<_>>().join(", "))
    }
}

/// Where what tells a table's rows apart stands among the mapped columns; empty: it is the rowid. `None` if
/// it is not all among them.
pub fn identity_places(table: &Table, map: &ColumnMap) -> Option<Vec<usize>> {
    let identity = Identity::of(table);
    match identity.is_rowid {
        true => Some(Vec::new()),
        false => identity
            .columns
            .iter()
            .map(|name| map.position(name))
            .collect(),
    }
}

/// One of a table's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyName {
    /// The primary key.
    Primary,
    /// A UNIQUE key: its place in [`ColumnMap::unique`].
    Unique(usize),
    /// The key that was declared for this restore.
    Declared,
}

impl ColumnMap {
    /// The key of this name.
    pub fn key(&self, name: KeyName) -> Option<&Key> {
        match name {
            KeyName::Primary => self.primary.as_ref(),
            KeyName::Unique(at) => self.unique.get(at),
            KeyName::Declared => self.declared.as_ref(),
        }
    }

    /// All keys.
    pub fn keys(&self) -> Vec<KeyName> {
        let primary = self.primary.iter().map(|_| KeyName::Primary);
        let unique = (0..self.unique.len()).map(KeyName::Unique);
        let declared = self.declared.iter().map(|_| KeyName::Declared);
        primary.chain(unique).chain(declared).collect()
    }
}

/// Finds the rows of one live table.
pub struct Lookup<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    map: &'d ColumnMap,
    finders: Vec<(KeyName, Statement<'d>)>,
    identity: Identity,
}

impl<'d> Lookup<'d> {
    /// Prepares to find rows of a table by all keys of a map.
    pub fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        map: &'d ColumnMap,
    ) -> Result<Self, TargetError> {
        let identity = Identity::of(table);
        let finder = |key: &Key| -> Result<Statement<'d>, SqliteError> {
            let mut terms = Vec::new();
            for (n, (at, collation)) in key.columns.iter().enumerate() {
                terms.push(equals(&map.columns[*at].name, n + 1, collation)?);
            }
            live.db.prepare(&format!(
                "SELECT {} FROM main.{} WHERE {} LIMIT 2",
                idents(identity.columns.iter().map(String::as_str))?,
                ident(&table.name)?,
                terms.join(" AND ")
            ))
        };
        let mut finders = Vec::new();
        for name in map.keys() {
            if let Some(key) = map.key(name) {
                let prepared = finder(key);
                let at = |e| live.at(&format!("table {}", table.name), e);
                finders.push((name, prepared.map_err(at)?));
            }
        }
        Ok(Self {
            live,
            table,
            map,
            finders,
            identity,
        })
    }

    /// The rows that a key of the record finds, two at most; none if the key is not whole.
    pub fn find(
        &mut self,
        name: KeyName,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Vec<RowId>, TargetError> {
        let width = self.identity.columns.len();
        let finder = self.finders.iter_mut().find(|(key, _)| *key == name);
        let (Some((_, statement)), Some(key)) = (finder, self.map.key(name)) else {
            return Ok(Vec::new());
        };
        if !key.is_whole(record) {
            return Ok(Vec::new());
        }
        found(statement, key, record, width, content)
            .map_err(|stop| stop.named(self.live, self.table, self.map, record))
    }

    /// A row for people: its columns' names and values, cut short.
    pub fn describe(&self, id: &RowId) -> Result<Vec<String>, TargetError> {
        let read = || -> Result<Vec<String>, SqliteError> {
            let mut columns = Vec::new();
            for column in &self.map.columns {
                let name = ident(&column.name)?;
                // Long values are not loaded to be shown.
                columns.push(format!(
                    "CASE WHEN octet_length({name}) > 400 THEN substr({name}, 1, 100) ELSE {name} END"
                ));
            }
            if columns.is_empty() {
                return Ok(Vec::new());
            }
            let place = self.identity.place(self.table)?;
            let sql = format!("SELECT {} FROM {place}", columns.join(", "));
            let values = self.read(&sql, id, columns.len())?;
            let named = self.map.columns.iter().zip(&values);
            let shown = named.map(|(column, v)| format!("{} {}", column.name, shown(v.as_ref())));
            Ok(shown.collect())
        };
        read().map_err(|e| self.live.at(&format!("table {}", self.table.name), e))
    }

    fn read(&self, sql: &str, id: &RowId, width: usize) -> Result<Vec<Value>, SqliteError> {
        let mut statement = self.live.db.prepare(sql)?;
        for (at, value) in id.0.iter().enumerate() {
            statement.bind(at + 1, value.as_ref())?;
        }
        let mut rows = statement.rows();
        let row = rows.next()?.ok_or_else(|| SqliteError::vanished(0))?;
        (0..width).map(|at| Ok(row.value(at)?.to_owned())).collect()
    }
}

/// Why a row could not be looked up, before its name is added.
pub(super) enum Stop {
    Sqlite(SqliteError),
    Content(io::Error),
}

impl From<SqliteError> for Stop {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Content(error)
    }
}

impl Stop {
    pub(super) fn named(
        self,
        live: &LiveDatabase,
        table: &Table,
        map: &ColumnMap,
        record: Record<'_>,
    ) -> TargetError {
        match self {
            Self::Sqlite(cause) => live.at(&format!("table {}", table.name), cause),
            Self::Content(cause) => TargetError::Content {
                table: table.name.clone(),
                row: map.name_of(record),
                cause,
            },
        }
    }
}

fn found(
    statement: &mut Statement<'_>,
    key: &Key,
    record: Record<'_>,
    width: usize,
    content: &mut dyn SpilledContent,
) -> Result<Vec<RowId>, Stop> {
    for (n, (at, _)) in key.columns.iter().enumerate() {
        match record.value(*at) {
            ValueRef::Spilled(spilled) => {
                let whole = load(&spilled, content)?;
                statement.bind(n + 1, whole.as_ref())?;
            }
            value => statement.bind(n + 1, value)?,
        }
    }
    let mut rows = statement.rows();
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Result<Vec<Value>, SqliteError> =
            (0..width).map(|at| Ok(row.value(at)?.to_owned())).collect();
        ids.push(RowId(values?));
    }
    Ok(ids)
}
