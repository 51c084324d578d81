//! Which rows of a live table a record means, and in what they differ from it.
//!
//! SQLite compares keys, so that collations and affinities hold; a key with a NULL in it matches
//! nothing. Values are compared bit for bit. Long ones are compared piece by piece.

use std::io::{self, Read};

use super::columns::{ColumnMap, Identity, Key, equals};
use super::error::TargetError;
use super::live::LiveDatabase;
use super::writer::{SpilledContent, load};
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{ErrorKind, SqliteError, Statement};

/// The longest live value that is loaded to be compared.
const FAST_BYTES_MAX: i32 = 1 << 20;

/// Bytes compared at a time.
const COMPARE_BYTES: usize = 64 * 1024;

/// What tells a row of a live table from the others there: its rowid, or the values of its keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RowId(pub Vec<Value>);

/// The rows that a record's keys find.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// True if the table has a primary key, and the record has all of it.
    pub has_primary: bool,
    /// The row with the record's primary key.
    pub by_primary: Option<RowId>,
    /// For each UNIQUE key that the record has whole: its place in `ColumnMap::unique`, and the row.
    pub by_unique: Vec<(usize, Option<RowId>)>,
}

impl Matches {
    /// True if no key of the record could match anything: only the whole row can.
    pub fn without_key(&self) -> bool {
        !self.has_primary && self.by_unique.is_empty()
    }
}

/// A column of a live row beside the record's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The same value of the same class.
    Equal,
    /// NULL in the row, a value in the record.
    Empty,
    /// Another value.
    Differs,
}

/// Finds the rows of one live table.
pub struct Lookup<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    map: &'d ColumnMap,
    primary: Option<Statement<'d>>,
    unique: Vec<Statement<'d>>,
    fetch: Statement<'d>,
    identity: Identity,
}

impl<'d> Lookup<'d> {
    /// Prepares to find rows of a table by the keys of a map.
    pub fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        map: &'d ColumnMap,
    ) -> Result<Self, TargetError> {
        let at = |cause: SqliteError| live.at(&format!("table {}", table.name), cause);
        let identity = Identity::of(table);
        let finder = |key: &Key| -> Result<Statement<'d>, SqliteError> {
            let mut terms = Vec::new();
            for (n, (at, collation)) in key.columns.iter().enumerate() {
                terms.push(equals(&map.columns[*at].name, n + 1, collation)?);
            }
            live.db.prepare(&format!(
                "SELECT {} FROM main.{} WHERE {}",
                idents(identity.columns.iter().map(String::as_str))?,
                ident(&table.name)?,
                terms.join(" AND ")
            ))
        };
        let primary = map.primary.as_ref().map(finder).transpose().map_err(at)?;
        let unique: Result<Vec<_>, _> = map.unique.iter().map(finder).collect();
        let unique = unique.map_err(at)?;
        let fetch = fetch_sql(table, map, &identity).and_then(|sql| live.db.prepare(&sql));
        Ok(Self {
            live,
            table,
            map,
            primary,
            unique,
            fetch: fetch.map_err(at)?,
            identity,
        })
    }

    /// The rows that the record's keys find.
    pub fn find(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Matches, TargetError> {
        let mut matches = Matches::default();
        let width = self.identity.columns.len();
        if let (Some(key), Some(statement)) = (&self.map.primary, &mut self.primary)
            && key.is_whole(self.map, row)
        {
            matches.has_primary = true;
            matches.by_primary = found(statement, key, self.map, row, width, content)
                .map_err(|stop| stop.named(self.live, self.table, self.map, row))?;
        }
        for (at, (key, statement)) in self.map.unique.iter().zip(&mut self.unique).enumerate() {
            if key.is_whole(self.map, row) {
                let id = found(statement, key, self.map, row, width, content)
                    .map_err(|stop| stop.named(self.live, self.table, self.map, row))?;
                matches.by_unique.push((at, id));
            }
        }
        Ok(matches)
    }

    /// Compares a live row with the record: one field for each mapped column.
    pub fn compare(
        &mut self,
        id: &RowId,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), TargetError> {
        fields.clear();
        let limited = self.live.db.limit_length(Some(FAST_BYTES_MAX));
        let done = limited
            .map_err(Stop::from)
            .and_then(|()| self.compare_fast(id, row, content, fields));
        let lifted = self.live.db.limit_length(None).map_err(Stop::from);
        let done = match done.and(lifted) {
            Err(Stop::Sqlite(error)) if error.kind == ErrorKind::TooBig => {
                fields.clear();
                self.compare_slow(id, row, content, fields)
            }
            done => done,
        };
        done.map_err(|stop| stop.named(self.live, self.table, self.map, row))
    }

    fn compare_fast(
        &mut self,
        id: &RowId,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), Stop> {
        for (at, value) in id.0.iter().enumerate() {
            self.fetch.bind(at + 1, value.as_ref())?;
        }
        let mut rows = self.fetch.rows();
        let found = rows.next()?.ok_or_else(gone)?;
        for (at, column) in self.map.columns.iter().enumerate() {
            let (live, stored) = (found.value(at)?, column.slot.of(row));
            fields.push(field(live, stored, content)?);
        }
        Ok(())
    }

    /// One column after the other, long values piece by piece.
    fn compare_slow(
        &self,
        id: &RowId,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), Stop> {
        for column in &self.map.columns {
            let c = ident(&column.name).map_err(SqliteError::from)?;
            let place = self.identity.place(self.table)?;
            let long = format!("octet_length({c}) > {FAST_BYTES_MAX}");
            let sql = format!(
                "SELECT CASE WHEN {long} THEN octet_length({c}) END, typeof({c}) = 'text', \
                 CASE WHEN {long} THEN NULL ELSE {c} END FROM {place}"
            );
            let mut statement = self.live.db.prepare(&sql)?;
            for (at, value) in id.0.iter().enumerate() {
                statement.bind(at + 1, value.as_ref())?;
            }
            let mut rows = statement.rows();
            let found = rows.next()?.ok_or_else(gone)?;
            let stored = column.slot.of(row);
            fields.push(match (found.value(0)?, stored) {
                (ValueRef::Integer(bytes), ValueRef::Spilled(spilled)) => {
                    let is_text = found.integer(1)? != 0;
                    let alike = spilled.bytes == bytes.unsigned_abs()
                        && (spilled.class == LongClass::Text) == is_text;
                    match alike && self.long_equal(&column.name, id, &spilled, content)? {
                        true => Field::Equal,
                        false => Field::Differs,
                    }
                }
                (ValueRef::Integer(_), _) => Field::Differs,
                _ => field(found.value(2)?, stored, content)?,
            });
        }
        Ok(())
    }

    fn long_equal(
        &self,
        column: &str,
        id: &RowId,
        spilled: &Spilled,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, Stop> {
        if let (true, [Value::Integer(rowid)]) = (self.identity.is_rowid, id.0.as_slice())
            && let Ok(mut blob) = self.live.db.blob(&self.table.name, column, *rowid, false)
        {
            return Ok(same_bytes(&mut blob, &mut *content.open(spilled)?)?);
        }
        // Tables whose values SQLite gives whole only.
        let sql = format!(
            "SELECT {} FROM {}",
            ident(column).map_err(SqliteError::from)?,
            self.identity.place(self.table)?
        );
        let mut statement = self.live.db.prepare(&sql)?;
        for (at, value) in id.0.iter().enumerate() {
            statement.bind(at + 1, value.as_ref())?;
        }
        let mut rows = statement.rows();
        let found = rows.next()?.ok_or_else(gone)?;
        let mut bytes = found.bytes(0)?.unwrap_or_default();
        Ok(same_bytes(&mut bytes, &mut *content.open(spilled)?)?)
    }
}

fn fetch_sql(table: &Table, map: &ColumnMap, identity: &Identity) -> Result<String, SqliteError> {
    let columns = match map.columns.as_slice() {
        [] => "1".to_owned(),
        columns => idents(columns.iter().map(|column| column.name.as_str()))?,
    };
    Ok(format!("SELECT {columns} FROM {}", identity.place(table)?))
}

/// A row that was just found.
fn gone() -> SqliteError {
    SqliteError::vanished(0)
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
        row: RowRef<'_>,
    ) -> TargetError {
        match self {
            Self::Sqlite(cause) => live.at(&format!("table {}", table.name), cause),
            Self::Content(cause) => TargetError::Content {
                table: table.name.clone(),
                row: map.name_of(row),
                cause,
            },
        }
    }
}

fn found(
    statement: &mut Statement<'_>,
    key: &Key,
    map: &ColumnMap,
    row: RowRef<'_>,
    width: usize,
    content: &mut dyn SpilledContent,
) -> Result<Option<RowId>, Stop> {
    for (n, (at, _)) in key.columns.iter().enumerate() {
        match map.columns[*at].slot.of(row) {
            ValueRef::Spilled(spilled) => {
                let whole = load(&spilled, content)?;
                statement.bind(n + 1, whole.as_ref())?;
            }
            value => statement.bind(n + 1, value)?,
        }
    }
    let mut rows = statement.rows();
    let Some(found) = rows.next()? else {
        return Ok(None);
    };
    let values: Result<Vec<Value>, SqliteError> = (0..width)
        .map(|at| Ok(found.value(at)?.to_owned()))
        .collect();
    Ok(Some(RowId(values?)))
}

fn field(
    live: ValueRef<'_>,
    stored: ValueRef<'_>,
    content: &mut dyn SpilledContent,
) -> Result<Field, Stop> {
    let equal = match (live, stored) {
        (ValueRef::Null, ValueRef::Null) => true,
        (ValueRef::Null, _) => return Ok(Field::Empty),
        (ValueRef::Text(bytes), ValueRef::Spilled(s)) if s.class == LongClass::Text => {
            long_is(bytes, &s, content)?
        }
        (ValueRef::Blob(bytes), ValueRef::Spilled(s)) if s.class == LongClass::Blob => {
            long_is(bytes, &s, content)?
        }
        (live, stored) => live.identical(stored),
    };
    Ok(if equal { Field::Equal } else { Field::Differs })
}

fn long_is(
    mut bytes: &[u8],
    spilled: &Spilled,
    content: &mut dyn SpilledContent,
) -> io::Result<bool> {
    if bytes.len() as u64 != spilled.bytes {
        return Ok(false);
    }
    same_bytes(&mut bytes, &mut *content.open(spilled)?)
}

/// True if both give the same bytes to the end.
fn same_bytes(a: &mut dyn Read, b: &mut dyn Read) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; COMPARE_BYTES], vec![0; COMPARE_BYTES]);
    loop {
        let (n, m) = (filled(a, &mut left)?, filled(b, &mut right)?);
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the input ends.
pub(super) fn filled(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match input.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(n) => count += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
