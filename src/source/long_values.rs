//! A row with values too long for the fast scan: lengths first, then such values piece by piece.

use std::io::{self, Read};

use super::scan::{Scan, Stop};
use super::table::{LargeValue, RowSink};
use crate::model::value::{LongClass, SPILL_BYTES_OVER, Spilled, Value, ValueRef};
use crate::sqlite::SqliteError;
use crate::sqlite::quote::ident;
use crate::sqlite::texts::as_text;

/// Columns of which one statement asks class, length and value: three columns of its result each.
const SLOW_COLUMNS_MAX: usize = 500;

impl<S: RowSink> Scan<'_, S> {
    /// Reads the first row at or behind `from` without loading its long values. Returns its rowid.
    pub(super) fn slow_row(
        &mut self,
        rowid: &str,
        from: i64,
    ) -> Result<Option<i64>, Stop<S::Error>> {
        let (key, table) = (ident(rowid)?, ident(&self.table.name)?);
        let sql = format!(
            "SELECT {key} FROM main.{table} NOT INDEXED WHERE {key} >= {from} ORDER BY {key} LIMIT 1"
        );
        let Some(found) = self.db.integer(&sql)? else {
            return Ok(None);
        };
        if found < from {
            return Err(Stop::Sqlite(SqliteError::vanished(found)));
        }
        if found > self.until {
            return Ok(None);
        }
        self.next = found;
        let columns = self.columns.clone();
        let mut values: Vec<Value> = Vec::with_capacity(columns.len());
        for part in columns.chunks(SLOW_COLUMNS_MAX) {
            self.slow_values(
                part,
                &format!("main.{table} NOT INDEXED WHERE {key} = ?1"),
                found,
                &mut values,
            )?;
        }
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        self.pass(Some(found), &values)?;
        Ok(Some(found))
    }

    /// Class, length and, if it is short, the value of each column of one row.
    fn slow_values(
        &mut self,
        columns: &[&str],
        place: &str,
        rowid: i64,
        values: &mut Vec<Value>,
    ) -> Result<(), Stop<S::Error>> {
        let mut asked = Vec::with_capacity(columns.len());
        for column in columns {
            let c = ident(column)?;
            asked.push(format!(
                "typeof({c}), octet_length({c}), CASE WHEN typeof({c}) IN ('text', 'blob') \
                 AND octet_length({c}) > {SPILL_BYTES_OVER} THEN NULL ELSE {} END",
                self.texts.value_sql(&c)
            ));
        }
        let sql = format!("SELECT {} FROM {place}", asked.join(", "));
        let mut statement = self.db.prepare(&sql)?;
        statement.bind(1, ValueRef::Integer(rowid))?;
        let mut rows = statement.rows();
        let Some(row) = rows.next()? else {
            return Err(Stop::Sqlite(SqliteError::vanished(rowid)));
        };
        for (at, column) in columns.iter().enumerate() {
            let class = match row.bytes(3 * at)? {
                Some(b"text") => Some(LongClass::Text),
                Some(b"blob") => Some(LongClass::Blob),
                _ => None,
            };
            let value = match (class, row.value(3 * at + 1)?) {
                (Some(class), ValueRef::Integer(bytes)) if bytes > SPILL_BYTES_OVER as i64 => {
                    let value = LargeValue {
                        rowid: Some(rowid),
                        column: values.len(),
                        class,
                        bytes: bytes.unsigned_abs(),
                    };
                    Value::Spilled(self.stream(column, rowid, value, place)?)
                }
                (Some(LongClass::Text), _) => as_text(row.value(3 * at + 2)?).to_owned(),
                _ => row.value(3 * at + 2)?.to_owned(),
            };
            values.push(value);
        }
        Ok(())
    }

    /// Gives one long value to the sink piece by piece; whole where SQLite has no other way.
    fn stream(
        &mut self,
        column: &str,
        rowid: i64,
        value: LargeValue,
        place: &str,
    ) -> Result<Spilled, Stop<S::Error>> {
        self.moment.check_hold().map_err(Stop::Source)?;
        if let Ok(blob) = self.db.blob(&self.table.name, column, rowid, false) {
            let mut content = Watched {
                inner: blob,
                failed: None,
            };
            let taken = self.sink.large(value, &mut content);
            return match content.failed {
                // The sink saw only what the database could not give.
                Some(text) => Err(Stop::Sqlite(SqliteError::unreadable(column, rowid, &text))),
                None => taken.map_err(Stop::Sink),
            };
        }
        let column = self.texts.value_sql(&ident(column)?);
        let mut statement = self.db.prepare(&format!("SELECT {column} FROM {place}"))?;
        statement.bind(1, ValueRef::Integer(rowid))?;
        let mut rows = statement.rows();
        let row = rows.next()?.ok_or_else(|| SqliteError::vanished(rowid))?;
        let mut content = row.bytes(0)?.unwrap_or_default();
        self.sink.large(value, &mut content).map_err(Stop::Sink)
    }
}

/// Remembers that reading failed, so that the failure is not taken for the sink's.
struct Watched<R> {
    inner: R,
    failed: Option<String>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out);
        if let Err(error) = &read {
            self.failed = Some(error.to_string());
        }
        read
    }
}
