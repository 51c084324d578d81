//! §8 Leaves: records of one table, in columns.
//!
//! The canonical form (§8.1) has no choices in it; its digest is the leaf's id. How a leaf lies in
//! a pack (§8.2, `columns`) may be tuned at any time: decoding gives back the canonical form.

pub mod columns;
pub mod integers;
pub mod reals;

use super::bytes::{Fields, check_limit, length_u32};
use super::{FormatError, limits};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::{LongClass, SPILL_BYTES_OVER, Spilled, Value, ValueRef};

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

/// What stands in a leaf for a spilled value: length, level, root.
pub const SPILLED_BYTES: usize = 8 + 1 + 32;

/// Bytes of a value in the values part of its column; text and blobs have none until their length
/// is known.
fn fixed_bytes(class: u8) -> Option<usize> {
    match class {
        class::NULL => Some(0),
        class::INTEGER | class::REAL => Some(8),
        class::SPILLED_TEXT | class::SPILLED_BLOB => Some(SPILLED_BYTES),
        _ => None,
    }
}

/// A column of a leaf being filled.
#[derive(Debug, Default, Clone)]
struct ColumnBuffer {
    classes: Vec<u8>,
    lengths: Vec<u8>,
    values: Vec<u8>,
}

impl ColumnBuffer {
    fn push(&mut self, value: ValueRef<'_>) {
        let class = match value {
            ValueRef::Null => class::NULL,
            ValueRef::Integer(v) => {
                self.values.extend_from_slice(&v.to_le_bytes());
                class::INTEGER
            }
            ValueRef::Real(v) => {
                self.values.extend_from_slice(&v.to_bits().to_le_bytes());
                class::REAL
            }
            ValueRef::Text(v) => {
                self.push_long(v);
                class::TEXT
            }
            ValueRef::Blob(v) => {
                self.push_long(v);
                class::BLOB
            }
            ValueRef::Spilled(v) => {
                self.values.extend_from_slice(&v.bytes.to_le_bytes());
                self.values.push(v.level);
                self.values.extend_from_slice(&v.root.0);
                match v.class {
                    LongClass::Text => class::SPILLED_TEXT,
                    LongClass::Blob => class::SPILLED_BLOB,
                }
            }
        };
        self.classes.push(class);
    }

    fn push_long(&mut self, value: &[u8]) {
        debug_assert!(
            value.len() <= SPILL_BYTES_OVER,
            "longer values are spilled by the source"
        );
        self.lengths
            .extend_from_slice(&length_u32(value.len()).to_le_bytes());
        self.values.extend_from_slice(value);
    }

    fn clear(&mut self) {
        self.classes.clear();
        self.lengths.clear();
        self.values.clear();
    }
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
            out.extend_from_slice(&column.classes);
            out.extend_from_slice(&column.lengths);
            out.extend_from_slice(&column.values);
            column.clear();
        }
        self.rowids.clear();
        self.first_rowid = None;
        self.rows = 0;
        self.has_refs = false;
    }
}

/// Where a column's parts lie in the canonical form.
#[derive(Debug, Clone)]
struct ColumnIndex {
    classes_at: usize,
    lengths_at: usize,
    /// Begin of each value, and the end of the last.
    starts: Vec<u32>,
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
        let rows = fields.u32()?;
        check_limit(
            "rows of a leaf",
            u64::from(rows),
            u64::from(limits::LEAF_ROWS_MAX),
        )?;
        if rows == 0 {
            return Err(FormatError::Invalid {
                what: "a leaf without rows",
            });
        }
        let rows = rows as usize;
        let column_count = fields.u16()?;
        check_limit(
            "columns of a leaf",
            u64::from(column_count),
            u64::from(limits::COLUMNS_MAX),
        )?;
        let rowids_at = if fields.flag()? {
            let at = total - fields.left();
            check_rowids(fields.bytes(rows * 8)?)?;
            Some(at)
        } else {
            None
        };
        let mut columns = Vec::with_capacity(usize::from(column_count));
        for _ in 0..column_count {
            columns.push(parse_column(&mut fields, rows, total)?);
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
        let index = &self.columns[column];
        let (start, end) = (index.starts[row] as usize, index.starts[row + 1] as usize);
        let spilled = |class| {
            ValueRef::Spilled(Spilled {
                class,
                bytes: u64::from_le_bytes(self.array(start)),
                level: self.bytes[start + 8],
                root: BlobId(self.array(start + 9)),
            })
        };
        match self.bytes[index.classes_at + row] {
            class::INTEGER => ValueRef::Integer(i64::from_le_bytes(self.array(start))),
            class::REAL => ValueRef::Real(f64::from_bits(u64::from_le_bytes(self.array(start)))),
            class::TEXT => ValueRef::Text(&self.bytes[start..end]),
            class::BLOB => ValueRef::Blob(&self.bytes[start..end]),
            class::SPILLED_TEXT => spilled(LongClass::Text),
            class::SPILLED_BLOB => spilled(LongClass::Blob),
            _ => ValueRef::Null,
        }
    }

    /// Fills `out` with the values of a row.
    pub fn row_values<'a>(&'a self, row: usize, out: &mut Vec<ValueRef<'a>>) {
        out.clear();
        out.extend((0..self.columns.len()).map(|column| self.value(row, column)));
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

    /// The parts of a column: class bytes, lengths, values.
    fn parts(&self, column: usize) -> (&[u8], &[u8], &[u8]) {
        let index = &self.columns[column];
        let values_at = index.starts[0] as usize;
        let values_end = index.starts[self.rows] as usize;
        (
            &self.bytes[index.classes_at..index.classes_at + self.rows],
            &self.bytes[index.lengths_at..values_at],
            &self.bytes[values_at..values_end],
        )
    }
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

fn parse_column(
    fields: &mut Fields<'_>,
    rows: usize,
    total: usize,
) -> Result<ColumnIndex, FormatError> {
    let classes_at = total - fields.left();
    let classes = fields.bytes(rows)?;
    let long = |c: &&u8| matches!(**c, class::TEXT | class::BLOB);
    let lengths_at = total - fields.left();
    let mut lengths = Fields::new(
        fields.bytes(classes.iter().filter(long).count() * 4)?,
        "lengths of a leaf",
    );
    let mut starts = Vec::with_capacity(rows + 1);
    let mut at = total - fields.left();
    for &class in classes {
        starts.push(length_u32(at));
        let bytes = match class {
            class::TEXT | class::BLOB => {
                let length = lengths.u32()?;
                check_limit(
                    "a value in a leaf",
                    u64::from(length),
                    SPILL_BYTES_OVER as u64,
                )?;
                length as usize
            }
            _ => fixed_bytes(class).ok_or(FormatError::Invalid {
                what: "a value's class",
            })?,
        };
        check_value(class, fields.bytes(bytes)?)?;
        at += bytes;
    }
    starts.push(length_u32(at));
    Ok(ColumnIndex {
        classes_at,
        lengths_at,
        starts,
    })
}

/// What the canonical form forbids: NaN (SQLite has none), and spilled values that are too short.
fn check_value(class: u8, bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(bytes, "a value");
    match class {
        class::REAL if f64::from_bits(fields.u64()?).is_nan() => Err(FormatError::Invalid {
            what: "a real that is not a number",
        }),
        class::SPILLED_TEXT | class::SPILLED_BLOB => {
            if fields.u64()? <= SPILL_BYTES_OVER as u64 {
                return Err(FormatError::Invalid {
                    what: "the length of a spilled value",
                });
            }
            check_limit(
                "levels of a large value",
                u64::from(fields.u8()?),
                u64::from(limits::TREE_LEVELS_MAX),
            )
        }
        _ => Ok(()),
    }
}

/// Weight of a value for the splitter; §7.1.
pub fn weight(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 1,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(v) | ValueRef::Blob(v) => 1 + v.len() as u64,
        ValueRef::Spilled(_) => 48,
    }
}

/// Appends the canonical bytes of one value: class, length of text and blobs, then the value.
/// Used for keys and for split inputs; §7.2.
pub fn append_value(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let long = |class, v: &[u8], out: &mut Vec<u8>| {
        out.push(class);
        out.extend_from_slice(&length_u32(v.len()).to_le_bytes());
        out.extend_from_slice(v);
    };
    match value {
        ValueRef::Null => out.push(class::NULL),
        ValueRef::Integer(v) => {
            out.push(class::INTEGER);
            out.extend_from_slice(&v.to_le_bytes());
        }
        ValueRef::Real(v) => {
            out.push(class::REAL);
            out.extend_from_slice(&v.to_bits().to_le_bytes());
        }
        ValueRef::Text(v) => long(class::TEXT, v, out),
        ValueRef::Blob(v) => long(class::BLOB, v, out),
        ValueRef::Spilled(v) => {
            out.push(match v.class {
                LongClass::Text => class::SPILLED_TEXT,
                LongClass::Blob => class::SPILLED_BLOB,
            });
            out.extend_from_slice(&v.bytes.to_le_bytes());
            out.push(v.level);
            out.extend_from_slice(&v.root.0);
        }
    }
}

/// Reads values that `append_value` wrote one behind the other.
pub fn read_values(bytes: &[u8]) -> Result<Vec<Value>, FormatError> {
    let mut fields = Fields::new(bytes, "the values of a key");
    let mut values = Vec::new();
    while fields.left() > 0 {
        let class = fields.u8()?;
        let spilled = |class, fields: &mut Fields<'_>| {
            let (bytes, level, root) = (fields.u64()?, fields.u8()?, BlobId(fields.array()?));
            Ok::<_, FormatError>(Value::Spilled(Spilled {
                class,
                bytes,
                level,
                root,
            }))
        };
        values.push(match class {
            class::NULL => Value::Null,
            class::INTEGER => Value::Integer(fields.i64()?),
            class::REAL => Value::Real(f64::from_bits(fields.u64()?)),
            class::TEXT | class::BLOB => {
                let length = fields.u32()? as usize;
                let bytes = fields.bytes(length)?.to_vec();
                if class == class::TEXT {
                    Value::Text(bytes)
                } else {
                    Value::Blob(bytes)
                }
            }
            class::SPILLED_TEXT => spilled(LongClass::Text, &mut fields)?,
            class::SPILLED_BLOB => spilled(LongClass::Blob, &mut fields)?,
            _ => {
                return Err(FormatError::Invalid {
                    what: "a value's class",
                });
            }
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
