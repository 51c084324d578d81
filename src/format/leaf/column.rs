//! A column of a leaf in canonical form (§8.1): classes, lengths, values; filled, checked, read.

use super::class;
use crate::format::bytes::{Fields, check_limit, length_u32};
use crate::format::{FormatError, limits};
use crate::model::id::BlobId;
use crate::model::value::{LongClass, SPILL_BYTES_OVER, Spilled, ValueRef};

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
pub(in crate::format) struct ColumnBuffer {
    classes: Vec<u8>,
    lengths: Vec<u8>,
    values: Vec<u8>,
}

impl ColumnBuffer {
    /// Appends a value.
    pub fn push(&mut self, value: ValueRef<'_>) {
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

    /// Its values so far.
    pub fn parts(&self) -> ColumnParts<'_> {
        ColumnParts {
            classes: &self.classes,
            lengths: &self.lengths,
            values: &self.values,
        }
    }

    /// Takes all values away.
    pub fn clear(&mut self) {
        self.classes.clear();
        self.lengths.clear();
        self.values.clear();
    }
}

/// The parts of a column's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::format) struct ColumnParts<'a> {
    /// One class byte a value.
    pub classes: &'a [u8],
    /// Four bytes for every text and blob.
    pub lengths: &'a [u8],
    /// The values, without what their class says already.
    pub values: &'a [u8],
}

impl ColumnParts<'_> {
    /// Appends the canonical form.
    pub fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.classes);
        out.extend_from_slice(self.lengths);
        out.extend_from_slice(self.values);
    }
}

/// Where a column's parts lie in the canonical form.
#[derive(Debug, Clone)]
pub(in crate::format) struct ColumnIndex {
    classes_at: usize,
    lengths_at: usize,
    /// Begin of each value, and the end of the last.
    starts: Vec<u32>,
}

impl ColumnIndex {
    /// Takes the next column of `rows` values; checks all of it. `fields` are the end of a text
    /// of `total` bytes.
    pub fn parse(fields: &mut Fields<'_>, rows: usize, total: usize) -> Result<Self, FormatError> {
        let classes_at = total - fields.left();
        let classes = fields.bytes(rows)?;
        let long = |c: &&u8| matches!(**c, class::TEXT | class::BLOB);
        let lengths_at = total - fields.left();
        let lengths = fields.bytes(classes.iter().filter(long).count() * 4)?;
        let mut starts = Starts {
            at: total - fields.left(),
            starts: Vec::with_capacity(rows + 1),
        };
        let one = classes.first().copied();
        // Most columns have values of one class.
        match one.filter(|one| classes.iter().all(|class| class == one)) {
            Some(class::INTEGER) => starts.equal(rows, 8, fields)?,
            Some(class::TEXT | class::BLOB) => starts.long(lengths, fields)?,
            _ => starts.mixed(classes, lengths, fields)?,
        }
        Ok(Self {
            classes_at,
            lengths_at,
            starts: starts.end(),
        })
    }

    /// The parts of the column in the text that was parsed.
    pub fn parts<'a>(&self, bytes: &'a [u8]) -> ColumnParts<'a> {
        let rows = self.starts.len() - 1;
        let (begin, end) = (self.starts[0] as usize, self.starts[rows] as usize);
        ColumnParts {
            classes: &bytes[self.classes_at..self.classes_at + rows],
            lengths: &bytes[self.lengths_at..begin],
            values: &bytes[begin..end],
        }
    }

    /// Classes and values of `rows` values from row `from`, without their lengths.
    pub fn run<'a>(&self, bytes: &'a [u8], from: usize, rows: usize) -> (&'a [u8], &'a [u8]) {
        let classes = self.classes_at + from;
        let values = self.starts[from] as usize..self.starts[from + rows] as usize;
        (&bytes[classes..classes + rows], &bytes[values])
    }

    /// Bytes of a value.
    pub fn length(&self, row: usize) -> u32 {
        self.starts[row + 1] - self.starts[row]
    }

    /// Class byte of a value, and where its bytes lie in the text that was parsed.
    #[inline]
    pub fn place(&self, bytes: &[u8], row: usize) -> (u8, std::ops::Range<usize>) {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        (bytes[self.classes_at + row], range)
    }
}

/// Where the values of a column begin.
struct Starts {
    at: usize,
    starts: Vec<u32>,
}

impl Starts {
    /// Takes values that are equally long, of which any is good.
    fn equal(
        &mut self,
        rows: usize,
        bytes: usize,
        fields: &mut Fields<'_>,
    ) -> Result<(), FormatError> {
        fields.bytes(rows * bytes)?;
        let starts = (0..rows).map(|row| length_u32(self.at + row * bytes));
        self.starts.extend(starts);
        self.at += rows * bytes;
        Ok(())
    }

    /// Takes texts or blobs.
    fn long(&mut self, lengths: &[u8], fields: &mut Fields<'_>) -> Result<(), FormatError> {
        let from = self.at;
        for length in lengths.as_chunks().0 {
            self.starts.push(length_u32(self.at));
            self.at += long_bytes(u32::from_le_bytes(*length))?;
        }
        fields.bytes(self.at - from)?;
        Ok(())
    }

    /// Takes values of several classes.
    fn mixed(
        &mut self,
        classes: &[u8],
        lengths: &[u8],
        fields: &mut Fields<'_>,
    ) -> Result<(), FormatError> {
        let mut lengths = Fields::new(lengths, "lengths of a leaf");
        for &class in classes {
            self.starts.push(length_u32(self.at));
            let bytes = match class {
                class::TEXT | class::BLOB => long_bytes(lengths.u32()?)?,
                _ => fixed_bytes(class).ok_or(FormatError::Invalid {
                    what: "a value's class",
                })?,
            };
            check_value(class, fields.bytes(bytes)?)?;
            self.at += bytes;
        }
        Ok(())
    }

    /// The begin of each value, and the end of the last.
    fn end(mut self) -> Vec<u32> {
        self.starts.push(length_u32(self.at));
        self.starts
    }
}

/// A length that text or a blob in a leaf may have.
fn long_bytes(length: u32) -> Result<usize, FormatError> {
    let what = "a value in a leaf";
    check_limit(what, u64::from(length), SPILL_BYTES_OVER as u64)?;
    Ok(length as usize)
}

/// The value of a class that was checked, from its bytes.
pub(in crate::format) fn value_of(class: u8, bytes: &[u8]) -> ValueRef<'_> {
    let spilled = |class| {
        ValueRef::Spilled(Spilled {
            class,
            bytes: u64::from_le_bytes(array(bytes, 0)),
            level: bytes[8],
            root: BlobId(array(bytes, 9)),
        })
    };
    match class {
        class::INTEGER => ValueRef::Integer(integer_of(bytes)),
        class::REAL => ValueRef::Real(real_of(bytes)),
        class::TEXT => ValueRef::Text(bytes),
        class::BLOB => ValueRef::Blob(bytes),
        class::SPILLED_TEXT => spilled(LongClass::Text),
        class::SPILLED_BLOB => spilled(LongClass::Blob),
        _ => ValueRef::Null,
    }
}

/// An integer from its bytes.
#[inline]
pub(in crate::format) fn integer_of(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(array(bytes, 0))
}

/// A real from its bytes.
#[inline]
pub(in crate::format) fn real_of(bytes: &[u8]) -> f64 {
    f64::from_bits(u64::from_le_bytes(array(bytes, 0)))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
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
