//! Rows taken out of the leaf pages of a table, as SQLite's own pager gives these: a row costs a third of what it
//! costs as a row of a statement.
//!
//! Only what is plain is read here: a record with a value for each column, no more and no less, all of it on its page.
//! Whatever else there is, or whatever is in doubt, is left to a statement, which says what is wrong with it.

use super::leaf_pages::{LeafPage, LeafPages, WalkError, rows_of};
use super::moment::Moment;
use crate::model::fit::Affinity;
use crate::model::schema::{ColumnKind, Table};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::sqlite::SqliteError;
use crate::sqlite::record::{decoded, read_varint, serial};

/// A column, as records have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// The rowid stands for it.
    Alias,
    /// Its value.
    Value,
    /// A number, as an integer where that is shorter: it is read as a real (SQLite file format, section 2.1).
    Real,
}

/// What the records of a table hold.
#[derive(Debug)]
struct RecordShape(Vec<Stored>);

impl RecordShape {
    /// `None` for a table whose rows are left to statements: texts would have to be converted, columns computed.
    fn of(table: &Table, encoding: TextEncoding) -> Option<Self> {
        let is_plain = table.columns.iter().all(|c| c.kind == ColumnKind::Ordinary);
        if !is_plain || !encoding.is_utf8() || table.rowid_column().is_none() {
            return None;
        }
        let alias = table.rowid_alias();
        let columns = table.columns.iter().enumerate();
        let stored =
            columns.map(
                |(at, column)| match Affinity::of(&column.declared_type, table.strict) {
                    _ if alias == Some(at) => Stored::Alias,
                    Affinity::Real => Stored::Real,
                    _ => Stored::Value,
                },
            );
        Some(Self(stored.collect()))
    }

    /// Puts the values of a record, those of `Table::leaf_columns`, behind `values`; `None` for what is not plain.
    fn read<'r>(&self, record: &'r [u8], values: &mut Vec<ValueRef<'r>>) -> Option<()> {
        let (header, used) = read_varint(record)?;
        let (header, mut body) = record.split_at_checked(usize::try_from(header).ok()?)?;
        let mut serials = header.get(used..)?;
        for stored in &self.0 {
            let (serial, used) = read_varint(serials)?;
            serials = &serials[used..];
            let (bytes, rest) =
                body.split_at_checked(usize::try_from(serial::bytes(serial)?).ok()?)?;
            body = rest;
            match (stored, decoded(serial, bytes)) {
                (Stored::Alias, _) => {}
                #[expect(clippy::cast_precision_loss, reason = "as SQLite converts it")]
                (Stored::Real, ValueRef::Integer(integer)) => {
                    values.push(ValueRef::Real(integer as f64));
                }
                (_, value) => values.push(value),
            }
        }
        (serials.is_empty() && body.is_empty()).then_some(())
    }
}

/// The pages of a table from a rowid on.
pub(super) struct PageRows<'a> {
    pages: LeafPages<'a>,
    shape: RecordShape,
}

/// What became of a page.
pub(super) enum Page<E> {
    /// Its rows were given.
    Given,
    /// Some of them were not: this one and those behind it, up to the last of the page, are left to a statement.
    Left(LeafPage),
    /// No more rows are wanted, or there are none.
    End,
    /// The tree cannot be walked any further.
    Odd,
    /// The one who takes the rows has failed.
    Failed(E),
}

/// What is wanted behind a row.
pub(super) enum Wanted {
    More,
    Nothing,
}

impl<'a> PageRows<'a> {
    /// `None` for a table whose rows cannot be had so.
    pub(super) fn of(
        moment: Moment<'a>,
        table: &Table,
        from: i64,
    ) -> Result<Option<Self>, SqliteError> {
        let Some(shape) = RecordShape::of(table, moment.schema().encoding) else {
            return Ok(None);
        };
        let pages = LeafPages::from(moment, table, from)?;
        Ok(pages.map(|pages| Self { pages, shape }))
    }

    /// Gives the rows of the next page, from a rowid on.
    pub(super) fn next<E>(
        &mut self,
        from: i64,
        mut row: impl FnMut(i64, &mut Vec<ValueRef<'_>>) -> Result<Wanted, E>,
    ) -> Page<E> {
        let (usable, shape) = (self.pages.usable(), &self.shape);
        let mut done = Page::Given;
        let page = self.pages.next(|content, page| {
            done = give(content, usable, page, shape, from, &mut row);
        });
        match page {
            Ok(Some(_)) => done,
            Ok(None) => Page::End,
            Err(WalkError::Sqlite(_) | WalkError::Odd { .. }) => Page::Odd,
        }
    }
}

fn give<E>(
    content: &[u8],
    usable: usize,
    page: LeafPage,
    shape: &RecordShape,
    from: i64,
    row: &mut impl FnMut(i64, &mut Vec<ValueRef<'_>>) -> Result<Wanted, E>,
) -> Page<E> {
    let Some(cells) = content.get(..usable).and_then(rows_of) else {
        return Page::Odd;
    };
    let mut before = None;
    let mut values = Vec::with_capacity(shape.0.len());
    for cell in cells {
        let Some(cell) = cell.filter(|cell| {
            cell.rowid <= page.last && before.is_none_or(|before| cell.rowid > before)
        }) else {
            return Page::Odd;
        };
        before = Some(cell.rowid);
        if cell.rowid < from {
            continue;
        }
        values.clear();
        let read = cell
            .record
            .and_then(|record| shape.read(record, &mut values));
        if read.is_none() {
            return Page::Left(page);
        }
        match row(cell.rowid, &mut values) {
            Ok(Wanted::More) => {}
            Ok(Wanted::Nothing) => return Page::End,
            Err(error) => return Page::Failed(error),
        }
    }
    Page::Given
}
