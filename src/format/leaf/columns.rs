//! §8.2 How a leaf lies in a pack: column by column, each with the codec that suits it.

use super::codecs::Codecs;
use super::encoded_column::{decode_column, encode_column};
use super::output::Output;
use super::{Leaf, integers, rows_and_columns};
use crate::format::FormatError;
use crate::format::bytes::{Fields, append_varint, check_limit};
use crate::format::limits;

/// No rowids.
pub const ROWIDS_NONE: u8 = 0;
/// Each rowid is the one before plus 1.
pub const ROWIDS_CONSECUTIVE: u8 = 1;
/// Rowids as integers (§8.3).
pub const ROWIDS_LISTED: u8 = 2;

/// Encodes a leaf with the codecs that suit it.
pub fn encode(leaf: &Leaf) -> Output {
    encode_with(leaf, &Codecs::ALL)
}

/// Encodes a leaf with some of the codecs.
pub fn encode_with(leaf: &Leaf, codecs: &Codecs) -> Output {
    let mut out = Output::default();
    out.bytes.reserve(leaf.canonical().len() / 2);
    append_varint(leaf.rows() as u64, &mut out.bytes);
    append_varint(leaf.columns() as u64, &mut out.bytes);
    encode_rowids(leaf, codecs, &mut out);
    for column in 0..leaf.columns() {
        encode_column(leaf.parts(column), codecs, &mut out);
    }
    out
}

fn encode_rowids(leaf: &Leaf, codecs: &Codecs, out: &mut Output) {
    if !leaf.has_rowids() {
        out.bytes.push(ROWIDS_NONE);
        return;
    }
    let rowids: Vec<i64> = (0..leaf.rows())
        .filter_map(|row| leaf.rowid_offset(row))
        .map(u64::cast_signed)
        .collect();
    let consecutive = rowids.iter().zip(0_i64..).all(|(rowid, at)| *rowid == at);
    if consecutive {
        out.bytes.push(ROWIDS_CONSECUTIVE);
    } else {
        out.bytes.push(ROWIDS_LISTED);
        integers::encode(&rowids, codecs.integers, out);
    }
}

/// Decodes to the canonical form, of at most `canonical_bytes` bytes.
///
/// The result is not yet checked to be a leaf (`Leaf::parse` does), nor to have its id.
pub fn decode(bytes: &[u8], canonical_bytes: usize) -> Result<Vec<u8>, FormatError> {
    let mut fields = Fields::new(bytes, "an encoded leaf");
    let rows = fields.count(limits::LEAF_ROWS_MAX as usize)?;
    let columns = fields.count(usize::from(limits::COLUMNS_MAX))?;
    let (rows, columns) = rows_and_columns(rows, columns)?;
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

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.check_room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends numbers: room is checked once for all of them.
    pub fn append_all<const N: usize>(
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

    /// Bytes that may still be appended.
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.bytes.len())
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
