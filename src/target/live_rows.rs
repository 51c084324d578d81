//! The rows of one table of a live database, one by one in the order of its record tree: by rowid,
//! or by the primary key of a WITHOUT ROWID table; where neither can be had, as they lie.
//!
//! Texts are given in UTF-8, as SQLite converts them. Columns are named one by one and indexes are not used. A value over [`FAST_BYTES_MAX`] is never
//! loaded to be looked at: the fast statement stops before it (`SQLITE_LIMIT_LENGTH`, set only while
//! it steps, so that other statements of the connection are free), and from there on a careful one
//! gives the lengths of such values in their stead. They are opened one by one, piece by piece where
//! SQLite can: not in WITHOUT ROWID tables and tables with generated columns.
//!
//! Rows are of one state only within a view ([`LiveDatabase::begin_view`]). Memory: one row.

use std::io::{self, Read};

use super::error::TargetError;
use super::in_utf8::Utf8Reader;
use super::live::LiveDatabase;
use crate::model::schema::{Table, TableKind};
use crate::model::value::{LongClass, ValueRef};
use crate::sqlite::quote::ident;
use crate::sqlite::schema::primary_key_index;
use crate::sqlite::{ErrorKind, Rows, SqliteError, Statement};

/// The longest value that is loaded with its row.
pub const FAST_BYTES_MAX: u32 = 1 << 20;

/// Columns of a table that one statement reads; wider tables are read by several, side by side.
/// Each column takes up to three of a result, which has 2,000 at most.
const PART_COLUMNS: usize = 600;

/// A table of a live database, prepared to be read.
#[derive(Debug)]
pub struct LiveTable<'d> {
    place: TablePlace<'d>,
    fast: Vec<Statement<'d>>,
    careful: Vec<Statement<'d>>,
}

/// Which table, and how its rows and columns are reached.
#[derive(Debug)]
struct TablePlace<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    columns: Vec<String>,
    /// The column that is the rowid.
    rowid: Option<String>,
    /// The table with what keeps SQLite from another order: `main."t" NOT INDEXED`.
    from: String,
}

/// A value of a live row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LiveValue<'r> {
    /// At hand, never `Spilled`.
    Here(ValueRef<'r>),
    /// Longer than [`FAST_BYTES_MAX`]: not loaded. [`LiveRow::open`] reads it. Its length in bytes, as
    /// it is stored.
    Long(LongClass, u64),
}

/// The rows of a table.
pub struct LiveRows<'s, 'd> {
    place: &'s TablePlace<'d>,
    /// One for each part of the columns.
    rows: Vec<Rows<'s>>,
    /// What goes on once a value was too long.
    careful: Option<&'s mut [Statement<'d>]>,
    /// Rows that were given.
    given: u64,
    /// The first rowid that was not given yet; `None` behind the largest there can be.
    next: Option<i64>,
}

/// A row, until the next one is asked for.
#[derive(Clone, Copy)]
pub struct LiveRow<'r> {
    /// The rowid, where it can be reached.
    pub rowid: Option<i64>,
    place: &'r TablePlace<'r>,
    rows: &'r [Rows<'r>],
    is_careful: bool,
    /// Its number in the order of the table, from 0.
    number: u64,
}

impl<'d> LiveTable<'d> {
    /// Prepares to read the given columns (positions in the table, none of them twice).
    pub fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        columns: &[usize],
    ) -> Result<Self, TargetError> {
        let names = columns.iter().filter_map(|at| table.columns.get(*at));
        let columns: Vec<String> = names.map(|column| column.name.clone()).collect();
        let prepare = || {
            let place = TablePlace {
                live,
                table,
                columns,
                rowid: table.rowid_column().map(str::to_owned),
                from: from_sql(live, table)?,
            };
            let (fast, careful) = (place.prepare(false)?, place.prepare(true)?);
            Ok(Self {
                place,
                fast,
                careful,
            })
        };
        prepare().map_err(|cause| live.at(&format!("table {}", table.name), cause))
    }

    /// Begins at the first row.
    pub fn rows(&mut self) -> Result<LiveRows<'_, 'd>, TargetError> {
        let first = self.place.start(Some(i64::MIN), 0);
        let rows = run(&mut self.fast, first).map_err(|cause| self.place.at(cause))?;
        Ok(LiveRows {
            place: &self.place,
            rows,
            careful: Some(&mut self.careful),
            given: 0,
            next: Some(i64::MIN),
        })
    }
}

/// NOT INDEXED does not keep SQLite from scanning a WITHOUT ROWID table through a covering index:
/// there the primary key's own tree is asked for by name.
fn from_sql(live: &LiveDatabase, table: &Table) -> Result<String, SqliteError> {
    let name = ident(&table.name)?;
    if table.kind != TableKind::WithoutRowid {
        return Ok(format!("main.{name} NOT INDEXED"));
    }
    match primary_key_index(&live.db, &table.name)? {
        Some(index) => Ok(format!("main.{name} INDEXED BY {}", ident(&index)?)),
        None => Err(SqliteError::without_key(&table.name)),
    }
}

impl<'d> TablePlace<'d> {
    fn at(&self, cause: SqliteError) -> TargetError {
        self.live.at(&format!("table {}", self.table.name), cause)
    }

    /// One statement for each part of the columns. Parameter 1: the rowid to begin at, or how many
    /// rows to pass over. Column 0: the rowid, or NULL.
    fn prepare(&self, careful: bool) -> Result<Vec<Statement<'d>>, SqliteError> {
        let parts = self.columns.len().div_ceil(PART_COLUMNS).max(1);
        let prepare = |part: usize| {
            let columns = self.columns.iter().skip(part * PART_COLUMNS);
            let mut asked = vec![match &self.rowid {
                Some(rowid) => ident(rowid)?,
                None => "NULL".to_owned(),
            }];
            for column in columns.take(PART_COLUMNS) {
                asked.push(self.column_sql(&ident(column)?, careful));
            }
            let sql = format!(
                "SELECT {} FROM {} {}",
                asked.join(", "),
                self.from,
                self.rest_sql()?
            );
            self.live.db.prepare(&sql)
        };
        (0..parts).map(prepare).collect()
    }

    /// The rows at or behind parameter 1.
    fn rest_sql(&self) -> Result<String, SqliteError> {
        Ok(match &self.rowid {
            Some(rowid) => {
                let rowid = ident(rowid)?;
                format!("WHERE {rowid} >= ?1 ORDER BY {rowid}")
            }
            None => "LIMIT -1 OFFSET ?1".to_owned(),
        })
    }

    /// True if long values of this class are stored in another form than they are given.
    fn converts(&self, class: LongClass) -> bool {
        class == LongClass::Text && !self.live.encoding.is_utf8()
    }

    /// Columns of a result that a column takes.
    fn width(&self, careful: bool) -> usize {
        1 + usize::from(careful)
    }

    /// What is asked of a quoted column. Carefully: first its length if it is too long (that of a
    /// blob negative), and the value only if it is not.
    fn column_sql(&self, c: &str, careful: bool) -> String {
        if !careful {
            return c.to_owned();
        }
        let is_long =
            format!("typeof({c}) IN ('text', 'blob') AND octet_length({c}) > {FAST_BYTES_MAX}");
        let sign = format!("CASE typeof({c}) WHEN 'text' THEN 1 ELSE -1 END");
        format!(
            "CASE WHEN {is_long} THEN {sign} * octet_length({c}) END, \
             CASE WHEN {is_long} THEN NULL ELSE {c} END"
        )
    }

    /// Parameter 1 of a statement that begins at a row.
    fn start(&self, rowid: Option<i64>, number: u64) -> Option<i64> {
        match self.rowid {
            Some(_) => rowid,
            None => i64::try_from(number).ok(),
        }
    }
}

/// Runs statements from `first` on; without one there is no row.
fn run<'s>(
    statements: &'s mut [Statement<'_>],
    first: Option<i64>,
) -> Result<Vec<Rows<'s>>, SqliteError> {
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let mut rows = Vec::with_capacity(statements.len());
    for statement in statements {
        statement.bind(1, ValueRef::Integer(first))?;
        rows.push(statement.rows());
    }
    Ok(rows)
}

impl<'s, 'd> LiveRows<'s, 'd> {
    /// The next row.
    #[expect(clippy::should_implement_trait, reason = "a row borrows the statement")]
    pub fn next(&mut self) -> Result<Option<LiveRow<'_>>, TargetError> {
        match self.step() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(cause) => return Err(self.place.at(cause)),
        }
        let rowid = match (&self.place.rowid, self.rows.first().and_then(Rows::row)) {
            (Some(_), Some(row)) => Some(row.integer(0).map_err(|cause| self.place.at(cause))?),
            _ => None,
        };
        if let Some(rowid) = rowid {
            // A damaged table may give rows in any order.
            if self.next.is_none_or(|next| rowid < next) {
                return Err(self.place.at(SqliteError::vanished(rowid)));
            }
            self.next = rowid.checked_add(1);
        }
        let number = self.given;
        self.given += 1;
        Ok(Some(LiveRow {
            rowid,
            place: self.place,
            rows: &self.rows,
            is_careful: self.careful.is_none(),
            number,
        }))
    }

    /// Goes to the next row: fast, and carefully from the first value on that is too long.
    fn step(&mut self) -> Result<bool, SqliteError> {
        if self.careful.is_some() {
            let db = &self.place.live.db;
            db.limit_length(i32::try_from(FAST_BYTES_MAX).ok())?;
            let stepped = step_all(&mut self.rows);
            db.limit_length(None)?;
            match stepped {
                Err(error) if error.kind == ErrorKind::TooBig => {}
                stepped => return stepped,
            }
            self.rows.clear();
            let first = self.place.start(self.next, self.given);
            if let Some(careful) = self.careful.take() {
                self.rows = run(careful, first)?;
            }
        }
        step_all(&mut self.rows)
    }
}

/// All parts go on together: they read one table in one order.
fn step_all(rows: &mut [Rows<'_>]) -> Result<bool, SqliteError> {
    let mut more = false;
    for (at, part) in rows.iter_mut().enumerate() {
        let stepped = part.step()?;
        if at > 0 && stepped != more {
            return Err(SqliteError::out_of_order());
        }
        more = stepped;
    }
    Ok(more)
}

impl<'r> LiveRow<'r> {
    /// True if a long value of the row may have this length in bytes, as it is given.
    pub(super) fn may_have(&self, class: LongClass, stored: u64, given: u64) -> bool {
        stored == given || self.place.converts(class)
    }

    /// Number of columns that were asked for.
    pub fn columns(&self) -> usize {
        self.place.columns.len()
    }

    /// The value of a column, by its place among those that were asked for.
    pub fn value(&self, at: usize) -> Result<LiveValue<'r>, TargetError> {
        self.read(at).map_err(|cause| self.place.at(cause))
    }

    fn read(&self, at: usize) -> Result<LiveValue<'r>, SqliteError> {
        let rows: &'r [Rows<'r>] = self.rows;
        let row = rows.get(at / PART_COLUMNS).and_then(Rows::row);
        let row = row.ok_or_else(|| SqliteError::vanished(self.rowid.unwrap_or(0)))?;
        let first = 1 + at % PART_COLUMNS * self.place.width(self.is_careful);
        if !self.is_careful {
            return Ok(LiveValue::Here(row.value(first)?));
        }
        Ok(match row.value(first)? {
            ValueRef::Integer(bytes) => {
                let class = match bytes {
                    0.. => LongClass::Text,
                    _ => LongClass::Blob,
                };
                LiveValue::Long(class, bytes.unsigned_abs())
            }
            _ => LiveValue::Here(row.value(first + 1)?),
        })
    }

    pub(super) fn failed(&self, cause: SqliteError) -> TargetError {
        self.place.at(cause)
    }

    /// The error for a part of a key that is too long to be compared.
    pub fn key_too_long(&self) -> TargetError {
        TargetError::LongKey {
            path: self.place.live.path().to_owned(),
            table: self.place.table.name.clone(),
        }
    }

    /// The error for a large value of the record beside this row that could not be read.
    pub fn no_content(&self, cause: io::Error) -> TargetError {
        TargetError::Content {
            table: self.place.table.name.clone(),
            row: match self.rowid {
                Some(rowid) => format!("row {rowid}"),
                None => format!("record {}", self.number + 1),
            },
            cause,
        }
    }

    /// Opens a text or blob to be read; other values are empty. Long ones come piece by piece where
    /// SQLite can, else they are loaded.
    pub fn open(&self, at: usize) -> Result<Box<dyn Read + 'r>, TargetError> {
        let bytes = match self.value(at)? {
            LiveValue::Here(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes,
            LiveValue::Here(_) => &[],
            LiveValue::Long(class, _) => {
                let long = self.open_long(at, class);
                return long.map_err(|e| self.place.at(e));
            }
        };
        Ok(Box::new(bytes))
    }

    fn open_long(&self, at: usize, class: LongClass) -> Result<Box<dyn Read + 'r>, SqliteError> {
        let (place, db) = (self.place, &self.place.live.db);
        let column = place.columns.get(at).map_or("", String::as_str);
        if let Some(rowid) = self.rowid
            && let Ok(blob) = db.blob(&place.table.name, column, rowid, false)
        {
            return Ok(match place.converts(class) {
                true => Box::new(Utf8Reader::new(place.live.encoding, blob)),
                false => Box::new(blob),
            });
        }
        let sql = format!(
            "SELECT {} FROM {} {}",
            ident(column)?,
            place.from,
            place.rest_sql()?
        );
        let mut statement = db.prepare(&sql)?;
        let first = place.start(self.rowid, self.number).unwrap_or(i64::MAX);
        statement.bind(1, ValueRef::Integer(first))?;
        let mut rows = statement.rows();
        let row = rows.next()?.ok_or_else(|| SqliteError::vanished(first))?;
        let bytes = row.bytes(0)?.unwrap_or_default().to_vec();
        Ok(Box::new(io::Cursor::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::target::Hold;

    /// Lone surrogates in SQLite's own way, long texts piece by piece.
    #[test]
    fn texts_of_utf_16_databases_are_given_in_utf_8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let app = rusqlite::Connection::open(&path).unwrap();
        app.execute_batch(
            "PRAGMA encoding='UTF-16le'; CREATE TABLE t(a, b);
             INSERT INTO t VALUES('ä', CAST(x'00d8' AS TEXT)), (x'00', 5),
               (replace(hex(zeroblob(300000)), '0', 'ä'), 'b'), ('y', 1.0);",
        )
        .unwrap();
        let live = LiveDatabase::open(&path, Duration::ZERO, true, false).unwrap();
        let view = live.begin_view(Hold::Free).unwrap();
        let table = &view.schema.tables[0];
        let mut prepared = LiveTable::new(&live, table, &[1, 0]).unwrap();
        let mut rows = prepared.rows().unwrap();
        let mut seen = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let value = |at: usize| format!("{:?}", row.value(at).unwrap());
            let mut content = Vec::new();
            row.open(1).unwrap().read_to_end(&mut content).unwrap();
            let is_text = std::str::from_utf8(&content).is_ok();
            seen.push((row.rowid, value(0), value(1), content.len(), is_text));
        }
        let here = |value: &str| format!("Here({value})");
        assert_eq!(
            seen,
            [
                (
                    Some(1),
                    here("Text([237, 160, 128])"),
                    here("Text([195, 164])"),
                    2,
                    true
                ),
                (Some(2), here("Integer(5)"), here("Blob([0])"), 1, true),
                (
                    Some(3),
                    here("Text([98])"),
                    "Long(Text, 1200000)".into(),
                    1_200_000,
                    true
                ),
                (Some(4), here("Real(1.0)"), here("Text([121])"), 1, true),
            ]
        );
    }
}
