//! Rows into one table of a new database, by one prepared statement.
//!
//! Every stored column is named and bound, so no DEFAULT runs; stored generated columns are left
//! to SQLite and compared with what was stored. A large blob in the last column of a rowid table
//! is streamed; any other large value is loaded, for SQLite needs it whole.

use std::io::{self, Read, Write};
use std::path::Path;

use super::error::TargetError;
use crate::model::row::RowRef;
use crate::model::schema::{ColumnKind, Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, Value, ValueRef};
use crate::sqlite::quote::{NameError, ident, idents};
use crate::sqlite::texts::Texts;
use crate::sqlite::{Connection, ErrorKind, SqliteError, Statement};

/// Bytes copied at a time into a streamed blob.
pub(super) const STREAM_BYTES: usize = 256 * 1024;

/// The longest value SQLite can hold; a longer one is refused before any of it is read.
pub(super) const VALUE_BYTES_MAX: u64 = 1_000_000_000;

/// Gives the content of large values.
pub trait SpilledContent {
    /// Opens a value: exactly `spilled.bytes` bytes can be read.
    fn open<'a>(&'a mut self, spilled: &Spilled) -> io::Result<Box<dyn Read + 'a>>;
}

/// Writes the rows of one table.
pub struct TableWriter<'d> {
    db: &'d Connection,
    path: &'d Path,
    table: &'d Table,
    insert: Statement<'d>,
    texts: Texts,
    /// Of each leaf column: is it inserted, or computed by SQLite?
    inserted: Vec<bool>,
    has_rowid: bool,
    /// The leaf column whose large blobs are streamed.
    streamed: Option<usize>,
    buffer: Vec<u8>,
    count: u64,
    generated_differ: u64,
}

impl<'d> TableWriter<'d> {
    pub(super) fn new(
        db: &'d Connection,
        path: &'d Path,
        table: &'d Table,
        encoding: TextEncoding,
    ) -> Result<Self, TargetError> {
        let at =
            |cause: SqliteError| TargetError::of(path, &format!("table {}", table.name), cause);
        let name = idents([table.name.as_str()]).map_err(|e| at(e.into()))?;
        if table.is_sqlites() {
            // SQLite may have put rows of its own there.
            db.execute(&format!("DELETE FROM main.{name}"))
                .map_err(at)?;
        }
        let rowid = table.rowid_column();
        let leaf: Vec<usize> = table.leaf_columns().collect();
        let is_inserted = |&at: &usize| table.columns[at].kind == ColumnKind::Ordinary;
        let inserted: Vec<bool> = leaf.iter().map(is_inserted).collect();
        let named = |wanted: bool| {
            leaf.iter()
                .zip(&inserted)
                .filter(move |(_, inserted)| **inserted == wanted)
                .map(|(&at, _)| table.columns[at].name.as_str())
        };
        let columns: Vec<&str> = rowid.into_iter().chain(named(true)).collect();
        let texts = Texts::of(encoding);
        let first = |at: usize| 1 + at * texts.width();
        let marks: Vec<String> = (0..columns.len())
            .map(|at| texts.parameter_sql(first(at)))
            .collect();
        let quoted: Result<Vec<String>, NameError> = named(false).map(ident).collect();
        let quoted = quoted.map_err(|e| at(e.into()))?;
        let computed: Vec<String> = quoted.iter().map(|c| texts.returning_sql(c)).collect();
        let mut sql = format!(
            "INSERT INTO main.{name}({}) VALUES({})",
            idents(columns).map_err(|e| at(e.into()))?,
            marks.join(", ")
        );
        if !computed.is_empty() {
            sql = format!("{sql} RETURNING {}", computed.join(", "));
        }
        Ok(Self {
            db,
            path,
            table,
            insert: db.prepare(&sql).map_err(at)?,
            texts,
            streamed: streamed_column(table, &leaf),
            inserted,
            has_rowid: rowid.is_some(),
            buffer: Vec::new(),
            count: 0,
            generated_differ: 0,
        })
    }

    /// Inserts a row: its values are those of `Table::leaf_columns`.
    ///
    /// Errors: `Constraint` if the table refuses it, `Content` if a large value cannot be had.
    pub fn row(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        if row.values.len() != self.inserted.len() || (self.has_rowid && row.rowid.is_none()) {
            return Err(TargetError::RowShape {
                table: self.table.name.clone(),
                row: self.row_name(row),
                wanted: self.inserted.len() + usize::from(self.has_rowid),
                found: row.values.len() + usize::from(row.rowid.is_some()),
            });
        }
        let streamed = self.bind(row, content)?;
        self.run(row)?;
        if let (Some((at, spilled)), Some(rowid)) = (streamed, row.rowid) {
            self.stream(row, rowid, at, &spilled, content)?;
        }
        self.count += 1;
        Ok(())
    }

    /// Rows inserted so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Rows whose stored generated columns SQLite computed otherwise than they were stored.
    pub fn generated_differ(&self) -> u64 {
        self.generated_differ
    }

    /// Binds all values. Returns the one that is to be streamed.
    fn bind(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<(usize, Spilled)>, TargetError> {
        let (texts, mut parameter) = (self.texts, 1);
        let mut streamed = None;
        if let (true, Some(rowid)) = (self.has_rowid, row.rowid) {
            let bound = texts.bind(&mut self.insert, parameter, ValueRef::Integer(rowid));
            parameter += texts.width();
            bound.map_err(|e| self.refused(row, e))?;
        }
        for (at, value) in row.values.iter().enumerate() {
            if !self.inserted[at] {
                continue;
            }
            let insert = &mut self.insert;
            let bound = match value {
                ValueRef::Spilled(s) if s.class == LongClass::Blob && self.streamed == Some(at) => {
                    streamed = Some((at, *s));
                    texts.bind_zeros(insert, parameter, s.bytes)
                }
                ValueRef::Spilled(s) => {
                    let whole = load(s, content).map_err(|e| self.no_content(row, e))?;
                    texts.bind(&mut self.insert, parameter, whole.as_ref())
                }
                value => texts.bind(insert, parameter, *value),
            };
            parameter += texts.width();
            bound.map_err(|e| self.refused(row, e))?;
        }
        Ok(streamed)
    }

    /// Runs the statement, and compares what SQLite computed with what was stored.
    fn run(&mut self, row: RowRef<'_>) -> Result<(), TargetError> {
        let stored = row
            .values
            .iter()
            .zip(&self.inserted)
            .filter(|(_, inserted)| !**inserted);
        let mut differs = false;
        let texts = self.texts;
        let mut rows = self.insert.rows();
        let done = (|| {
            while let Some(computed) = rows.next()? {
                for (at, (stored, _)) in stored.clone().enumerate() {
                    // A spilled one would have to be read to be compared: a full check does.
                    let spilled = matches!(stored, ValueRef::Spilled(_));
                    let computed = texts.value(computed, at * texts.width())?;
                    differs |= !spilled && !computed.identical(*stored);
                }
            }
            Ok(())
        })();
        drop(rows);
        self.generated_differ += u64::from(differs);
        done.map_err(|e: SqliteError| self.refused(row, e))
    }

    /// Fills the zeros of a blob with its content.
    fn stream(
        &mut self,
        row: RowRef<'_>,
        rowid: i64,
        at: usize,
        spilled: &Spilled,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        let column = self
            .table
            .leaf_columns()
            .nth(at)
            .map(|at| &self.table.columns[at].name);
        let Some(column) = column else {
            return Ok(());
        };
        let opened = self.db.blob(&self.table.name, column, rowid, true);
        let mut blob = opened.map_err(|e| self.refused(row, e))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(STREAM_BYTES, 0);
        let copied = copy_exactly(spilled, content, &mut blob, &mut buffer);
        self.buffer = buffer;
        copied.map_err(|e| self.no_content(row, e))
    }

    fn row_name(&self, row: RowRef<'_>) -> String {
        match row.rowid {
            Some(rowid) => format!("row {rowid}"),
            None => format!("record {}", self.count + 1),
        }
    }

    fn refused(&self, row: RowRef<'_>, cause: SqliteError) -> TargetError {
        match cause.kind {
            ErrorKind::Constraint | ErrorKind::TooBig | ErrorKind::Other => {
                TargetError::Constraint {
                    table: self.table.name.clone(),
                    row: self.row_name(row),
                    cause,
                }
            }
            _ => TargetError::of(self.path, &format!("table {}", self.table.name), cause),
        }
    }

    fn no_content(&self, row: RowRef<'_>, cause: io::Error) -> TargetError {
        TargetError::Content {
            table: self.table.name.clone(),
            row: self.row_name(row),
            cause,
        }
    }
}

/// The leaf column whose blobs can be written piece by piece: the last stored one of a rowid table
/// without generated columns, in no key. (Other indexes do not exist yet while rows are written.)
fn streamed_column(table: &Table, leaf: &[usize]) -> Option<usize> {
    let last = *leaf.last()?;
    let is_plain = table.columns.iter().all(|c| c.kind == ColumnKind::Ordinary);
    let has_rowid = matches!(table.kind, TableKind::Rowid { .. }) && table.rowid_column().is_some();
    let keys = table.unique_keys.iter().map(|key| &key.columns);
    let in_key = keys
        .chain([&table.primary_key])
        .flatten()
        .any(|key| key.column as usize == last);
    (is_plain && has_rowid && !in_key).then(|| leaf.len() - 1)
}

/// Reads a large value whole.
pub(super) fn load(spilled: &Spilled, content: &mut dyn SpilledContent) -> io::Result<Value> {
    if spilled.bytes > VALUE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "{} bytes are too many for SQLite",
            spilled.bytes
        )));
    }
    let mut bytes = Vec::new();
    content
        .open(spilled)?
        .take(spilled.bytes + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 != spilled.bytes {
        return Err(wrong_length(spilled));
    }
    Ok(match spilled.class {
        LongClass::Text => Value::Text(bytes),
        LongClass::Blob => Value::Blob(bytes),
    })
}

/// Copies a value piece by piece; exactly its length.
pub(super) fn copy_exactly(
    spilled: &Spilled,
    content: &mut dyn SpilledContent,
    out: &mut dyn Write,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut input = content.open(spilled)?;
    let mut left = spilled.bytes;
    loop {
        let count = match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if count == 0 && left == 0 {
            return Ok(());
        }
        if count == 0 || count as u64 > left {
            return Err(wrong_length(spilled));
        }
        out.write_all(&buffer[..count])?;
        left -= count as u64;
    }
}

fn wrong_length(spilled: &Spilled) -> io::Error {
    let text = format!(
        "its content is not the {} bytes that it should be",
        spilled.bytes
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}
