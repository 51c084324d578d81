//! §8.2 How a leaf lies in a pack: column by column, each with the codec that suits it.

use super::column::{ColumnParts, SPILLED_BYTES};
use super::{Leaf, class, integers, reals, rows_and_columns};
use crate::format::FormatError;
use crate::format::bytes::{Fields, check_limit, length_u32};
use crate::model::value::SPILL_BYTES_OVER;

/// No rowids.
pub const ROWIDS_NONE: u8 = 0;
/// Each rowid is the one before plus 1.
pub const ROWIDS_CONSECUTIVE: u8 = 1;
/// Rowids as integers (§8.3).
pub const ROWIDS_LISTED: u8 = 2;

/// Class bytes of a column differ and are listed; a smaller number is the class of all.
pub const CLASSES_LISTED: u8 = 0xFF;

/// Encodes a leaf.
///
/// Row count (4 bytes), column count (2), rowid mode (1) and rowids; then per column: the class of
/// all its values, or `0xFF` and the class bytes; integers; reals; lengths; bytes of texts and
/// blobs; spilled values.
pub fn encode(leaf: &Leaf) -> Vec<u8> {
    let mut out = Vec::with_capacity(leaf.canonical().len() / 2);
    out.extend_from_slice(&length_u32(leaf.rows()).to_le_bytes());
    out.extend_from_slice(
        &u16::try_from(leaf.columns())
            .unwrap_or(u16::MAX)
            .to_le_bytes(),
    );
    encode_rowids(leaf, &mut out);
    for column in 0..leaf.columns() {
        encode_column(leaf.parts(column), &mut out);
    }
    out
}

fn encode_rowids(leaf: &Leaf, out: &mut Vec<u8>) {
    if !leaf.has_rowids() {
        out.push(ROWIDS_NONE);
        return;
    }
    let rowids: Vec<i64> = (0..leaf.rows())
        .filter_map(|row| leaf.rowid_offset(row))
        .map(u64::cast_signed)
        .collect();
    let consecutive = rowids.iter().zip(0_i64..).all(|(rowid, at)| *rowid == at);
    if consecutive {
        out.push(ROWIDS_CONSECUTIVE);
    } else {
        out.push(ROWIDS_LISTED);
        integers::encode(&rowids, out);
    }
}

/// Appends the values of a column, at least one: the form that whole leaves and deltas share.
pub(in crate::format) fn encode_column(column: ColumnParts<'_>, out: &mut Vec<u8>) {
    let ColumnParts {
        classes,
        lengths,
        values,
    } = column;
    let first = classes[0];
    if classes.iter().all(|class| *class == first) {
        out.push(first);
    } else {
        out.push(CLASSES_LISTED);
        out.extend_from_slice(classes);
    }
    let mut numbers = (Vec::new(), Vec::new());
    let (mut long, mut spilled) = (Vec::new(), Vec::new());
    let mut lengths = lengths
        .chunks_exact(4)
        .map(|l| u32::from_le_bytes([l[0], l[1], l[2], l[3]]));
    let mut text_lengths = Vec::new();
    let mut rest = values;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
    };
    let eight = |bytes: &[u8]| {
        let mut out = [0; 8];
        out.copy_from_slice(bytes);
        out
    };
    for &class in classes {
        match class {
            class::INTEGER => numbers.0.push(i64::from_le_bytes(eight(take(8)))),
            class::REAL => numbers
                .1
                .push(f64::from_bits(u64::from_le_bytes(eight(take(8))))),
            class::TEXT | class::BLOB => {
                let length = lengths.next().unwrap_or(0);
                text_lengths.push(i64::from(length));
                long.extend_from_slice(take(length as usize));
            }
            class::SPILLED_TEXT | class::SPILLED_BLOB => {
                spilled.extend_from_slice(take(SPILLED_BYTES));
            }
            _ => {}
        }
    }
    integers::encode(&numbers.0, out);
    reals::encode(&numbers.1, out);
    integers::encode(&text_lengths, out);
    out.extend_from_slice(&long);
    out.extend_from_slice(&spilled);
}

/// Decodes to the canonical form, of at most `canonical_bytes` bytes.
///
/// The result is not yet checked to be a leaf (`Leaf::parse` does), nor to have its id.
pub fn decode(bytes: &[u8], canonical_bytes: usize) -> Result<Vec<u8>, FormatError> {
    let mut fields = Fields::new(bytes, "an encoded leaf");
    let (rows, columns) = rows_and_columns(fields.u32()? as usize, usize::from(fields.u16()?))?;
    let mut out = Canonical::new(canonical_bytes);
    out.bytes.reserve_exact(canonical_bytes);
    out.append(&rows.to_le_bytes())?;
    out.append(&columns.to_le_bytes())?;
    let rows = rows as usize;
    decode_rowids(&mut fields, rows, &mut out)?;
    for _ in 0..columns {
        decode_column(&mut fields, rows, &mut out)?;
    }
    fields.end()?;
    Ok(out.into_bytes())
}

/// A canonical form being rebuilt, never longer than was said.
pub(in crate::format) struct Canonical {
    bytes: Vec<u8>,
    max: usize,
}

impl Canonical {
    /// An empty one that will take at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.check_room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends numbers: room is checked once for all of them.
    fn append_all<const N: usize>(
        &mut self,
        numbers: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> Result<(), FormatError> {
        self.check_room(numbers.len().saturating_mul(N))?;
        for number in numbers {
            self.bytes.extend_from_slice(&number);
        }
        Ok(())
    }

    /// What was rebuilt.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn check_room(&self, more: usize) -> Result<(), FormatError> {
        let length = self.bytes.len() as u64 + more as u64;
        check_limit("a decoded leaf", length, self.max as u64)
    }
}

fn decode_rowids(
    fields: &mut Fields<'_>,
    rows: usize,
    out: &mut Canonical,
) -> Result<(), FormatError> {
    let rowids = match fields.u8()? {
        ROWIDS_NONE => return out.append(&[0]),
        ROWIDS_CONSECUTIVE => (0_i64..).take(rows).collect(),
        ROWIDS_LISTED => integers::decode(fields, rows)?,
        _ => {
            return Err(FormatError::Invalid {
                what: "the mode of rowids",
            });
        }
    };
    out.append(&[1])?;
    out.append_all(rowids.iter().map(|rowid| rowid.to_le_bytes()))
}

/// Reads a column of `rows` values, at least one, and appends its canonical form.
pub(in crate::format) fn decode_column(
    fields: &mut Fields<'_>,
    rows: usize,
    out: &mut Canonical,
) -> Result<(), FormatError> {
    let all;
    let (only, classes) = match fields.u8()? {
        CLASSES_LISTED => (None, fields.bytes(rows)?),
        class => {
            all = vec![class; rows];
            (Some(class), &all[..])
        }
    };
    out.append(classes)?;
    let mut counts = [0_usize; 256];
    for class in classes {
        counts[usize::from(*class)] += 1;
    }
    let count = |class: u8| counts[usize::from(class)];
    let integers = integers::decode(fields, count(class::INTEGER))?;
    let reals = reals::decode(fields, count(class::REAL))?;
    let lengths = decode_lengths(fields, count(class::TEXT) + count(class::BLOB))?;
    out.append_all(lengths.iter().map(|length| length.to_le_bytes()))?;
    // At most 65,536 values of 16 KiB.
    let long = fields.bytes(lengths.iter().map(|length| *length as usize).sum())?;
    let spilled_count = count(class::SPILLED_TEXT) + count(class::SPILLED_BLOB);
    let spilled = fields.bytes(spilled_count * SPILLED_BYTES)?;
    match only {
        Some(class::INTEGER) => out.append_all(integers.iter().map(|v| v.to_le_bytes())),
        Some(class::REAL) => out.append_all(reals.iter().map(|v| v.to_bits().to_le_bytes())),
        Some(class::TEXT | class::BLOB) => out.append(long),
        _ => {
            let parts = Parts {
                integers: integers.iter(),
                reals: reals.iter(),
                lengths: lengths.iter(),
                long: Fields::new(long, "bytes of a column"),
                spilled: Fields::new(spilled, "spilled values"),
            };
            parts.interleave(classes, out)
        }
    }
}

/// Lengths of texts and blobs, none over what stands in a row.
fn decode_lengths(fields: &mut Fields<'_>, count: usize) -> Result<Vec<u32>, FormatError> {
    let lengths = integers::decode(fields, count)?;
    let length = |length: i64| {
        let length = u32::try_from(length).map_err(|_| FormatError::Invalid {
            what: "the length of a value",
        })?;
        check_limit("a value in a leaf", length.into(), SPILL_BYTES_OVER as u64)?;
        Ok(length)
    };
    lengths.into_iter().map(length).collect()
}

/// The values of a column by class, each class in row order.
struct Parts<'a> {
    integers: std::slice::Iter<'a, i64>,
    reals: std::slice::Iter<'a, f64>,
    lengths: std::slice::Iter<'a, u32>,
    long: Fields<'a>,
    spilled: Fields<'a>,
}

impl Parts<'_> {
    /// Appends the values in row order. There are as many of each class as `classes` says.
    fn interleave(mut self, classes: &[u8], out: &mut Canonical) -> Result<(), FormatError> {
        for class in classes {
            match *class {
                class::NULL => {}
                class::INTEGER => {
                    let integer = self.integers.next().copied().unwrap_or_default();
                    out.append(&integer.to_le_bytes())?;
                }
                class::REAL => {
                    let real = self.reals.next().copied().unwrap_or_default();
                    out.append(&real.to_bits().to_le_bytes())?;
                }
                class::TEXT | class::BLOB => {
                    let length = self.lengths.next().copied().unwrap_or_default();
                    out.append(self.long.bytes(length as usize)?)?;
                }
                class::SPILLED_TEXT | class::SPILLED_BLOB => {
                    out.append(self.spilled.bytes(SPILLED_BYTES)?)?;
                }
                _ => {
                    return Err(FormatError::Invalid {
                        what: "a value's class",
                    });
                }
            }
        }
        Ok(())
    }
}
