//! In what a live row differs from a record. Values are compared bit for bit, long ones piece by piece.

use std::io::{self, Read};

use super::columns::{ColumnMap, Identity, Record};
use super::error::TargetError;
use super::in_utf8::Utf8Reader;
use super::live::LiveDatabase;
use super::live_rows::{LiveRow, LiveValue};
use super::lookup::{RowId, Stop};
use super::writer::SpilledContent;
use crate::model::schema::Table;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};
use crate::sqlite::quote::{ident, idents};
use crate::sqlite::{ErrorKind, SqliteError, Statement};

/// The longest live value that is loaded to be compared.
const FAST_BYTES_MAX: i32 = 1 << 20;

/// Bytes compared at a time.
const COMPARE_BYTES: usize = 64 * 1024;

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

/// Compares rows of one live table with records.
pub struct Comparer<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    map: &'d ColumnMap,
    fetch: Statement<'d>,
    identity: Identity,
}

impl<'d> Comparer<'d> {
    /// Prepares to compare rows of a table by the columns of a map.
    pub fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        map: &'d ColumnMap,
    ) -> Result<Self, TargetError> {
        let identity = Identity::of(table);
        let fetch = fetch_sql(table, map, &identity).and_then(|sql| live.db.prepare(&sql));
        Ok(Self {
            live,
            table,
            map,
            fetch: fetch.map_err(|e| live.at(&format!("table {}", table.name), e))?,
            identity,
        })
    }

    /// Compares a live row with the record: one field for each mapped column.
    pub fn compare(
        &mut self,
        id: &RowId,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), TargetError> {
        fields.clear();
        let limited = self.live.db.limit_length(Some(FAST_BYTES_MAX));
        let done = limited
            .map_err(Stop::from)
            .and_then(|()| self.compare_fast(id, record, content, fields));
        let lifted = self.live.db.limit_length(None).map_err(Stop::from);
        let done = match done.and(lifted) {
            Err(Stop::Sqlite(error)) if error.kind == ErrorKind::TooBig => {
                fields.clear();
                self.compare_slow(id, record, content, fields)
            }
            done => done,
        };
        done.map_err(|stop| stop.named(self.live, self.table, self.map, record))
    }

    /// True if there is such a row.
    pub fn is_there(&self, id: &RowId) -> Result<bool, TargetError> {
        let look = || -> Result<bool, SqliteError> {
            let sql = format!("SELECT 1 FROM {}", self.identity.place(self.table)?);
            let mut statement = self.live.db.prepare(&sql)?;
            for (at, value) in id.0.iter().enumerate() {
                statement.bind(at + 1, value.as_ref())?;
            }
            Ok(statement.rows().next()?.is_some())
        };
        look().map_err(|e| self.live.at(&format!("table {}", self.table.name), e))
    }

    /// Values of mapped columns of a row.
    pub fn values(&self, id: &RowId, columns: &[usize]) -> Result<Vec<Value>, TargetError> {
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let names = columns.iter().map(|at| self.map.columns[*at].name.as_str());
        let read = || -> Result<Vec<Value>, SqliteError> {
            let place = self.identity.place(self.table)?;
            let sql = format!("SELECT {} FROM {place}", idents(names)?);
            let mut statement = self.live.db.prepare(&sql)?;
            for (at, value) in id.0.iter().enumerate() {
                statement.bind(at + 1, value.as_ref())?;
            }
            let mut rows = statement.rows();
            let row = rows.next()?.ok_or_else(gone)?;
            (0..columns.len())
                .map(|at| Ok(row.value(at)?.to_owned()))
                .collect()
        };
        read().map_err(|e| self.live.at(&format!("table {}", self.table.name), e))
    }

    fn compare_fast(
        &mut self,
        id: &RowId,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), Stop> {
        for (at, value) in id.0.iter().enumerate() {
            self.fetch.bind(at + 1, value.as_ref())?;
        }
        let mut rows = self.fetch.rows();
        let found = rows.next()?.ok_or_else(gone)?;
        for at in 0..self.map.columns.len() {
            let (live, stored) = (found.value(at)?, record.value(at));
            fields.push(field(live, stored, content)?);
        }
        Ok(())
    }

    /// One column after the other, long values piece by piece.
    fn compare_slow(
        &self,
        id: &RowId,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), Stop> {
        for (at, column) in self.map.columns.iter().enumerate() {
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
            let stored = record.value(at);
            fields.push(match (found.value(0)?, stored) {
                (ValueRef::Integer(bytes), ValueRef::Spilled(spilled)) => {
                    let is_text = found.integer(1)? != 0;
                    let same_length = spilled.bytes == bytes.unsigned_abs();
                    let alike = (same_length || (is_text && !self.live.encoding.is_utf8()))
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
            let mut stored = content.open(spilled)?;
            if spilled.class == LongClass::Text {
                let mut text = Utf8Reader::new(self.live.encoding, blob);
                return Ok(same_bytes(&mut text, &mut *stored)?);
            }
            return Ok(same_bytes(&mut blob, &mut *stored)?);
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

impl LiveRow<'_> {
    /// Compares a row that is being read, by all mapped columns, with a record: one field for each.
    pub fn compare(
        &self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        fields: &mut Vec<Field>,
    ) -> Result<(), TargetError> {
        fields.clear();
        for at in 0..self.columns() {
            let stored = record.value(at);
            let compared = match (self.value(at)?, stored) {
                (LiveValue::Here(live), stored) => field(live, stored, content),
                (LiveValue::Long(class, bytes), ValueRef::Spilled(long))
                    if class == long.class && self.may_have(class, bytes, long.bytes) =>
                {
                    let mut live = self.open(at)?;
                    let same = content
                        .open(&long)
                        .and_then(|mut stored| same_bytes(&mut *live, &mut *stored));
                    same.map(equal_or_not).map_err(Stop::Content)
                }
                (LiveValue::Long(..), _) => Ok(Field::Differs),
            };
            fields.push(match compared {
                Ok(compared) => compared,
                Err(Stop::Content(cause)) => return Err(self.no_content(cause)),
                Err(Stop::Sqlite(cause)) => return Err(self.failed(cause)),
            });
        }
        Ok(())
    }
}

fn equal_or_not(is_equal: bool) -> Field {
    match is_equal {
        true => Field::Equal,
        false => Field::Differs,
    }
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
