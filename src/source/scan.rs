//! One table read in the order of SQLite's own scan, within constant memory.
//!
//! Columns are named one by one (never `SELECT *`) and indexes are not used: an index that
//! disagrees with its table must not hide rows. A value over [`FAST_BYTES_MAX`] stops the fast
//! scan before SQLite loads it (`SQLITE_LIMIT_LENGTH`); its row is then read with lengths first
//! and such values piece by piece, and the fast scan goes on behind it. SQLite refuses piecewise
//! reading for WITHOUT ROWID tables and tables with generated columns: there it loads the value.

use super::error::SourceError;
use super::moment::Moment;
use super::order::KeyOrder;
use super::page_rows::{Page, PageRows, Wanted};
use super::salvage::Rest;
use super::table::{Gap, LargeValue, RowSink, Scanned};
use crate::model::row::RowRef;
use crate::model::schema::{Table, TableKind};
use crate::model::value::{LongClass, SPILL_BYTES_OVER, Value, ValueRef};
use crate::sqlite::quote::{NameError, ident};
use crate::sqlite::schema::primary_key_index;
use crate::sqlite::texts::Texts;
use crate::sqlite::{Connection, ErrorKind, Rows, SqliteError};

/// The longest value that the fast scan loads.
pub(super) const FAST_BYTES_MAX: i32 = 1 << 20;

/// Rows between two looks at how far the source's `-wal` has grown.
const ROWS_A_LOOK: u64 = 4096;

/// Columns that a result of SQLite has at most, as it is built by default.
pub(super) const RESULT_COLUMNS_MAX: usize = 2_000;

/// So many pages in turn may leave rows to a statement before all that follow are.
const LEFT_PAGES_MAX: u32 = 8;

/// Gaps that are told one by one.
const GAPS_TOLD: usize = 100;

/// Why a scan ended early, before the database's and the table's name are added.
pub(super) enum Stop<E> {
    Sqlite(SqliteError),
    /// The source must be let go.
    Source(SourceError),
    Sink(E),
}

impl<E> From<SqliteError> for Stop<E> {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

impl<E> From<NameError> for Stop<E> {
    fn from(error: NameError) -> Self {
        Self::Sqlite(error.into())
    }
}

/// NOT INDEXED does not keep SQLite from scanning a WITHOUT ROWID table through a covering index,
/// in its order: there the primary key's own tree is asked for by name.
fn whole_sql(
    db: &Connection,
    table: &Table,
    texts: Texts,
    columns: &[&str],
) -> Result<String, SqliteError> {
    let name = ident(&table.name)?;
    let columns = columns_sql(texts, columns)?.join(", ");
    let tree = match table.kind {
        TableKind::WithoutRowid => match primary_key_index(db, &table.name)? {
            Some(index) => format!("INDEXED BY {}", ident(&index)?),
            None => return Err(SqliteError::without_key(&table.name)),
        },
        _ => "NOT INDEXED".to_owned(),
    };
    Ok(format!("SELECT {columns} FROM main.{name} {tree}"))
}

/// The rows at or behind a rowid, parameter 1.
pub(super) fn by_rowid_sql(
    table: &Table,
    rowid: &str,
    texts: Texts,
    columns: &[&str],
) -> Result<String, NameError> {
    let rowid = ident(rowid)?;
    let mut asked = vec![rowid.clone()];
    asked.extend(columns_sql(texts, columns)?);
    Ok(format!(
        "SELECT {} FROM main.{} NOT INDEXED WHERE {rowid} >= ?1 ORDER BY {rowid}",
        asked.join(", "),
        ident(&table.name)?,
    ))
}

pub(super) fn columns_sql(texts: Texts, columns: &[&str]) -> Result<Vec<String>, NameError> {
    let sql = |column: &&str| Ok(texts.column_sql(&ident(column)?));
    columns.iter().map(sql).collect()
}

/// A table being read.
pub(super) struct Scan<'a, S> {
    pub(super) moment: Moment<'a>,
    pub(super) db: &'a Connection,
    pub(super) table: &'a Table,
    pub(super) columns: Vec<&'a str>,
    pub(super) texts: Texts,
    pub(super) sink: &'a mut S,
    /// The first rowid that was not read yet.
    pub(super) next: i64,
    /// No row behind this one is read now.
    pub(super) until: i64,
    /// The order of the keys, where there is one that is known.
    order: Option<KeyOrder>,
    scanned: Scanned,
}

/// Why the fast scan of a rowid table ended.
enum Fast {
    End,
    /// The row at or behind this rowid holds a value too long for it.
    TooLong(i64),
}

impl<'a, S: RowSink> Scan<'a, S> {
    pub(super) fn of(moment: Moment<'a>, table: &'a Table, first: i64, sink: &'a mut S) -> Self {
        let encoding = moment.schema.encoding;
        Self {
            moment,
            db: moment.db,
            table,
            columns: table
                .leaf_columns()
                .map(|at| table.columns[at].name.as_str())
                .collect(),
            texts: Texts::of(encoding),
            sink,
            next: first,
            until: i64::MAX,
            order: KeyOrder::of(table, encoding),
            scanned: Scanned::default(),
        }
    }

    pub(super) fn run(mut self) -> Result<Scanned, Stop<S::Error>> {
        let done = match self.table.rowid_column() {
            Some(rowid) => self.by_pages(rowid),
            None => self.with_collations(Self::whole),
        };
        match done {
            // SQLite cannot make a statement of it: no row was given.
            Err(Stop::Sqlite(error)) if error.is_of_text() && self.scanned.rows == 0 => {
                self.gap(None, None, error);
            }
            done => done?,
        }
        Ok(self.scanned)
    }

    fn gap(&mut self, from: Option<i64>, to: Option<i64>, cause: SqliteError) {
        self.scanned.gap_count += 1;
        if self.scanned.gaps.len() < GAPS_TOLD {
            self.scanned.gaps.push(Gap {
                from,
                to,
                behind: self.scanned.rows,
                cause: cause.message,
            });
        }
    }

    /// SQLite scans no WITHOUT ROWID table whose key has a collation that it does not know.
    fn with_collations(
        &mut self,
        scan: impl FnOnce(&mut Self) -> Result<(), Stop<S::Error>>,
    ) -> Result<(), Stop<S::Error>> {
        let unknown: Vec<&str> = match self.table.kind {
            TableKind::WithoutRowid => self.table.unknown_collations().collect(),
            _ => Vec::new(),
        };
        for name in &unknown {
            self.db.stub_collation(name)?;
        }
        let done = scan(self);
        for name in &unknown {
            self.db.remove_collation(name)?;
        }
        done
    }

    /// A WITHOUT ROWID table, or one whose rowid cannot be reached: in scan order. Behind damage the
    /// first of these goes on with the keys that can be reached from the end.
    fn whole(&mut self) -> Result<(), Stop<S::Error>> {
        let sql = whole_sql(self.db, self.table, self.texts, &self.columns)?;
        match self.give_all(&sql, &[]) {
            Err(Stop::Sqlite(error)) if error.is_damage() => {
                self.gap(None, None, error);
                self.tail()
            }
            done => done,
        }
    }

    fn tail(&mut self) -> Result<(), Stop<S::Error>> {
        let from = match self.first_key_of_tail() {
            Err(error) if error.is_damage() => None,
            from => from?,
        };
        let Some(tail) = from else {
            return Ok(());
        };
        // The first key may lie above the damaged page, where only it itself can be reached.
        for rows in [Rest::From, Rest::Only, Rest::Behind] {
            let before = self.scanned.rows;
            match self.give_all(&tail.sql(rows), &tail.key) {
                // Named already.
                Err(Stop::Sqlite(error)) if error.is_damage() => {}
                done => done?,
            }
            if rows == Rest::From && self.scanned.rows > before {
                break;
            }
        }
        Ok(())
    }

    fn give_all(&mut self, sql: &str, key: &[Value]) -> Result<(), Stop<S::Error>> {
        let mut statement = self.db.prepare(sql)?;
        for (at, value) in key.iter().enumerate() {
            let first = 1 + at * self.texts.width();
            self.texts.bind(&mut statement, first, value.as_ref())?;
        }
        let mut rows = statement.rows();
        self.give(&mut rows, None).map(drop)
    }

    /// A rowid table: the rows of its pages, as far as these are plain, and what is left to a statement.
    fn by_pages(&mut self, rowid: &str) -> Result<(), Stop<S::Error>> {
        // If pages cannot be had, a statement says why, or passes it over.
        let Ok(Some(mut pages)) = PageRows::of(self.moment, self.table, self.next) else {
            return self.by_rowid(rowid);
        };
        let mut left = 0;
        loop {
            let from = self.next;
            let page = pages.next(from, |rowid, values| self.take(rowid, values));
            match page {
                Page::Given => left = 0,
                Page::End => return Ok(()),
                Page::Failed(stop) => return Err(stop),
                Page::Left(page) if left < LEFT_PAGES_MAX => {
                    left += 1;
                    let gaps = self.scanned.gap_count;
                    self.until = page.last;
                    self.by_rowid(rowid)?;
                    self.until = i64::MAX;
                    if self.sink.has_enough() {
                        return Ok(());
                    }
                    // The rest of a table that is damaged is told by statements alone.
                    if self.scanned.gap_count > gaps {
                        return self.by_rowid(rowid);
                    }
                }
                Page::Left(_) | Page::Odd => return self.by_rowid(rowid),
            }
        }
    }

    /// Passes on a row of a page.
    fn take(&mut self, rowid: i64, values: &mut [ValueRef<'_>]) -> Result<Wanted, Stop<S::Error>> {
        for (at, value) in values.iter_mut().enumerate() {
            *value = self.spill_if_long(Some(rowid), at, *value)?;
        }
        self.pass(Some(rowid), values)?;
        match rowid.checked_add(1) {
            Some(after) if !self.sink.has_enough() => {
                self.next = after;
                Ok(Wanted::More)
            }
            _ => Ok(Wanted::Nothing),
        }
    }

    /// A rowid table; damage is passed over.
    fn by_rowid(&mut self, rowid: &str) -> Result<(), Stop<S::Error>> {
        loop {
            let error = match self.by_rowid_on(rowid) {
                Err(Stop::Sqlite(error)) if error.is_damage() => error,
                done => return done,
            };
            self.db.limit_length(None)?;
            let from = self.next;
            let behind = self.behind_damage(rowid, from)?;
            let last = behind.and_then(|next| next.checked_sub(1));
            self.gap(Some(from), last, error);
            match behind {
                Some(next) => self.next = next,
                None => return Ok(()),
            }
        }
    }

    /// Fast as far as it goes, then one row slowly, and so on.
    fn by_rowid_on(&mut self, rowid: &str) -> Result<(), Stop<S::Error>> {
        loop {
            // A table may have so many columns that no result has room for the rowid as well.
            let ended = if self.columns.len() * self.texts.width() < RESULT_COLUMNS_MAX {
                self.db.limit_length(Some(FAST_BYTES_MAX))?;
                let ended = self.fast(rowid, self.next)?;
                self.db.limit_length(None)?;
                ended
            } else {
                Fast::TooLong(self.next)
            };
            let Fast::TooLong(at) = ended else {
                return Ok(());
            };
            match self
                .slow_row(rowid, at)?
                .and_then(|rowid| rowid.checked_add(1))
            {
                Some(next) if !self.sink.has_enough() => self.next = next,
                _ => return Ok(()),
            }
        }
    }

    fn fast(&mut self, rowid: &str, from: i64) -> Result<Fast, Stop<S::Error>> {
        let sql = by_rowid_sql(self.table, rowid, self.texts, &self.columns)?;
        let mut statement = self.db.prepare(&sql)?;
        statement.bind(1, ValueRef::Integer(from))?;
        let mut rows = statement.rows();
        self.give(&mut rows, Some(from))
    }

    /// Passes rows on. With `from`, column 0 is the rowid. One vector serves all rows.
    fn give(&mut self, rows: &mut Rows<'_>, from: Option<i64>) -> Result<Fast, Stop<S::Error>> {
        let first = usize::from(from.is_some());
        let mut spare: Vec<ValueRef<'static>> = Vec::with_capacity(self.columns.len());
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Fast::End),
                Err(error) if error.kind == ErrorKind::TooBig && from.is_some() => {
                    return Ok(Fast::TooLong(self.next));
                }
                Err(error) => return Err(error.into()),
            };
            let rowid = if first == 1 {
                Some(row.integer(0)?)
            } else {
                None
            };
            if rowid.is_some_and(|rowid| rowid > self.until) {
                return Ok(Fast::End);
            }
            let mut values: Vec<ValueRef<'_>> = spare;
            for at in 0..self.columns.len() {
                let value = self.texts.value(row, first + at * self.texts.width())?;
                values.push(value);
            }
            self.ensure_in_order(rowid, &values)?;
            for (at, value) in values.iter_mut().enumerate() {
                *value = self.spill_if_long(rowid, at, *value)?;
            }
            self.pass(rowid, &values)?;
            spare = emptied(values);
            match rowid.map(|rowid| rowid.checked_add(1)) {
                Some(Some(after)) if !self.sink.has_enough() => self.next = after,
                Some(_) => return Ok(Fast::End),
                None => {}
            }
        }
    }

    /// A damaged table may give rows in any order, and some of them twice.
    fn ensure_in_order(
        &mut self,
        rowid: Option<i64>,
        values: &[ValueRef<'_>],
    ) -> Result<(), SqliteError> {
        if let Some(rowid) = rowid.filter(|rowid| *rowid < self.next) {
            return Err(SqliteError::vanished(rowid));
        }
        let order = self.order.as_mut().filter(|_| rowid.is_none());
        if order.is_none_or(|order| order.follows(values)) {
            Ok(())
        } else {
            Err(SqliteError::out_of_order())
        }
    }

    pub(super) fn pass(
        &mut self,
        rowid: Option<i64>,
        values: &[ValueRef<'_>],
    ) -> Result<(), Stop<S::Error>> {
        self.scanned.rows += 1;
        if self.scanned.rows.is_multiple_of(ROWS_A_LOOK) {
            self.moment.check_hold().map_err(Stop::Source)?;
        }
        self.sink.row(RowRef { rowid, values }).map_err(Stop::Sink)
    }

    fn spill_if_long<'v>(
        &mut self,
        rowid: Option<i64>,
        column: usize,
        value: ValueRef<'v>,
    ) -> Result<ValueRef<'v>, Stop<S::Error>> {
        let (class, bytes) = match value {
            ValueRef::Text(bytes) => (LongClass::Text, bytes),
            ValueRef::Blob(bytes) => (LongClass::Blob, bytes),
            _ => return Ok(value),
        };
        if bytes.len() <= SPILL_BYTES_OVER {
            return Ok(value);
        }
        self.moment.check_hold().map_err(Stop::Source)?;
        let mut content = bytes;
        let value = LargeValue {
            rowid,
            column,
            class,
            bytes: bytes.len() as u64,
        };
        self.sink
            .large(value, &mut content)
            .map(ValueRef::Spilled)
            .map_err(Stop::Sink)
    }
}

/// The vector without its values, ready for those of the next row. Collecting in place keeps the
/// allocation: nothing is allocated per row.
fn emptied(mut values: Vec<ValueRef<'_>>) -> Vec<ValueRef<'static>> {
    values.clear();
    values.into_iter().map(|_| ValueRef::Null).collect()
}

#[cfg(test)]
mod tests;
