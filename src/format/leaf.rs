//! §8 Leaves: records of one table, in columns.
//!
//! The canonical form (§8.1) has no choices in it; its digest is the leaf's id. How a leaf lies in
//! a pack (§8.2, `columns`) may be tuned at any time: decoding gives back the canonical form.

pub mod codecs;
pub(in crate::format) mod column;
pub mod columns;
pub mod dictionary;
pub mod encoded_column;
mod estimate;
pub mod hex;
pub mod integers;
pub mod numbers;
pub mod output;
pub mod reals;
pub mod texts;
pub mod timestamps;
mod values;

pub use column::SPILLED_BYTES;
pub use values::{append_value, read_values, weight};

use column::{ColumnBuffer, ColumnIndex, ColumnParts, integer_of, real_of, value_of};

use super::bytes::{Fields, check_limit};
use super::{FormatError, limits};
use crate::model::row::RowRef;
use crate::model::value::{Spilled, ValueRef};

/// The class byte of a value; §8.1.
pub mod class {
    /// No value.
    pub const NULL: u8 = 0;
    /// A 64-bit integer.
    pub const INTEGER: u8 = 1;
    /// A real.
    pub const REAL: u8 = 2;
    /// A text within its row.
    pub const TEXT: u8 = 3;
    /// A blob within its row.
    pub const BLOB: u8 = 4;
    /// A text outside its row.
    pub const SPILLED_TEXT: u8 = 5;
    /// A blob outside its row.
    pub const SPILLED_BLOB: u8 = 6;
}

/// Collects rows of one leaf; its buffers serve one leaf after another.
#[derive(Debug, Clone)]
pub struct LeafBuilder {
    columns: Vec<ColumnBuffer>,
    rowids: Vec<u8>,
    first_rowid: Option<i64>,
    rows: u32,
    has_refs: bool,
}

impl LeafBuilder {
    /// A builder of leaves with so many columns.
    pub fn new(columns: usize) -> Self {
        Self {
            columns: vec![ColumnBuffer::default(); columns],
            rowids: Vec::new(),
            first_rowid: None,
            rows: 0,
            has_refs: false,
        }
    }

    /// Appends a row. Rowids must rise; every row of a tree has one, or none has.
    pub fn push(&mut self, row: RowRef<'_>) {
        debug_assert_eq!(row.values.len(), self.columns.len());
        for (column, value) in self.columns.iter_mut().zip(row.values) {
            self.has_refs |= matches!(value, ValueRef::Spilled(_));
            column.push(*value);
        }
        if let Some(rowid) = row.rowid {
            let first = *self.first_rowid.get_or_insert(rowid);
            // The difference of two i64 always fits a u64.
            self.rowids
                .extend_from_slice(&rowid.wrapping_sub(first).to_le_bytes());
        }
        self.rows += 1;
    }

    /// Rows so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// The first row's rowid.
    pub fn first_rowid(&self) -> Option<i64> {
        self.first_rowid
    }

    /// True if a value of it is spilled.
    pub fn has_refs(&self) -> bool {
        self.has_refs
    }

    /// Appends the canonical form to `out` and begins the next leaf.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rows.to_le_bytes());
        let columns = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&columns.to_le_bytes());
        out.push(u8::from(self.first_rowid.is_some()));
        out.extend_from_slice(&self.rowids);
        for column in &mut self.columns {
            column.parts().append(out);
            column.clear();
        }
        self.rowids.clear();
        self.first_rowid = None;
        self.rows = 0;
        self.has_refs = false;
    }
}

/// A leaf in canonical form, ready to be read by row and column.
#[derive(Debug, Clone)]
pub struct Leaf {
    bytes: Vec<u8>,
    rows: usize,
    rowids_at: Option<usize>,
    columns: Vec<ColumnIndex>,
}

impl Leaf {
    /// Takes a canonical form; checks all of it, so that reading values cannot fail.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        check_limit("a leaf", bytes.len() as u64, limits::BLOB_BYTES_MAX)?;
        let total = bytes.len();
        let mut fields = Fields::new(&bytes, "a leaf");
        let (rows, column_count) = (fields.u32()? as usize, fields.u16()?);
        if rows == 0 {
            return Err(FormatError::Invalid {
                what: "a leaf without rows",
            });
        }
        rows_and_columns(rows, usize::from(column_count))?;
        let rowids_at = if fields.flag()? {
            let at = total - fields.left();
            check_rowids(fields.bytes(rows * 8)?)?;
            Some(at)
        } else {
            None
        };
        let mut columns = Vec::with_capacity(usize::from(column_count));
        for _ in 0..column_count {
            columns.push(ColumnIndex::parse(&mut fields, rows, total)?);
        }
        fields.end()?;
        Ok(Self {
            bytes,
            rows,
            rowids_at,
            columns,
        })
    }

    /// The canonical form.
    pub fn canonical(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// True if its rows have rowids.
    pub fn has_rowids(&self) -> bool {
        self.rowids_at.is_some()
    }

    /// A row's rowid relative to the first row's; `None` if the leaf has no rowids.
    pub fn rowid_offset(&self, row: usize) -> Option<u64> {
        let at = self.rowids_at? + row * 8;
        Some(u64::from_le_bytes(self.array(at)))
    }

    /// A row's rowid; `None` if the leaf has none, or if it would pass the largest integer.
    pub fn rowid(&self, row: usize, first_rowid: Option<i64>) -> Option<i64> {
        first_rowid?.checked_add_unsigned(self.rowid_offset(row)?)
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[at..at + N]);
        out
    }

    /// One value. Panics on a row or column that is not there.
    pub fn value(&self, row: usize, column: usize) -> ValueRef<'_> {
        let (class, range) = self.columns[column].place(&self.bytes, row);
        value_of(class, &self.bytes[range])
    }

    /// Fills `out` with the values of a row.
    pub fn row_values<'a>(&'a self, row: usize, out: &mut Vec<ValueRef<'a>>) {
        out.clear();
        for column in &self.columns {
            let (class, range) = column.place(&self.bytes, row);
            let bytes = &self.bytes[range];
            // In their place, for a value that was just written in parts is slow to be moved as a whole.
            match class {
                class::NULL => out.push(ValueRef::Null),
                class::INTEGER => out.push(ValueRef::Integer(integer_of(bytes))),
                class::REAL => out.push(ValueRef::Real(real_of(bytes))),
                class::TEXT => out.push(ValueRef::Text(bytes)),
                class::BLOB => out.push(ValueRef::Blob(bytes)),
                _ => out.push(value_of(class, bytes)),
            }
        }
    }

    /// True if a row has the values of one of another leaf, and as many.
    pub fn has_values_of(&self, row: usize, other: &Self, other_row: usize) -> bool {
        let columns = self.columns.len();
        columns == other.columns.len()
            && (0..columns).all(|at| self.value(row, at).identical(other.value(other_row, at)))
    }

    /// All spilled values of the leaf.
    pub fn spilled(&self) -> impl Iterator<Item = Spilled> + '_ {
        (0..self.columns.len()).flat_map(move |column| {
            (0..self.rows).filter_map(move |row| match self.value(row, column) {
                ValueRef::Spilled(spilled) => Some(spilled),
                _ => None,
            })
        })
    }

    /// Where a column's values lie in the canonical form.
    pub(in crate::format) fn index(&self, column: usize) -> &ColumnIndex {
        &self.columns[column]
    }

    /// True if `rows` values of `column`, from row `from`, are those of another leaf's column.
    pub(in crate::format) fn same_values(
        &self,
        column: usize,
        from: usize,
        other: &Leaf,
        other_column: usize,
        other_from: usize,
        rows: usize,
    ) -> bool {
        let run = self.columns[column].run(&self.bytes, from, rows);
        run == other.columns[other_column].run(&other.bytes, other_from, rows)
            && (1..rows).all(|row| {
                self.columns[column].length(from + row - 1)
                    == other.columns[other_column].length(other_from + row - 1)
            })
    }

    /// The parts of a column: class bytes, lengths, values.
    pub(in crate::format) fn parts(&self, column: usize) -> ColumnParts<'_> {
        self.columns[column].parts(&self.bytes)
    }
}

/// The number of rows and of columns of a leaf, within their limits.
pub(in crate::format) fn rows_and_columns(
    rows: usize,
    columns: usize,
) -> Result<(u32, u16), FormatError> {
    let row_max = u64::from(limits::LEAF_ROWS_MAX);
    check_limit("rows of a leaf", rows as u64, row_max)?;
    let column_max = u64::from(limits::COLUMNS_MAX);
    check_limit("columns of a leaf", columns as u64, column_max)?;
    let values = rows as u64 * columns as u64;
    check_limit("values of a leaf", values, limits::LEAF_VALUES_MAX)?;
    let narrow = |_| FormatError::Invalid { what: "a leaf" };
    Ok((
        u32::try_from(rows).map_err(narrow)?,
        u16::try_from(columns).map_err(narrow)?,
    ))
}

/// Rowids are relative to the first, so they begin with 0 and rise.
fn check_rowids(bytes: &[u8]) -> Result<(), FormatError> {
    let mut before = None;
    for chunk in bytes.chunks_exact(8) {
        let rowid = Fields::new(chunk, "rowids").u64()?;
        let good = before.map_or(rowid == 0, |before| rowid > before);
        if !good {
            return Err(FormatError::Invalid {
                what: "the order of a leaf's rowids",
            });
        }
        before = Some(rowid);
    }
    Ok(())
}

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod tests;
