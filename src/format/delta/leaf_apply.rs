//! §4.3 The delta of a leaf, applied. Nothing in it is trusted.

use super::patchwork::Patchwork;
use super::{
    DELTA_CELLS_AGAIN, DELTA_CELLS_LISTED, DELTA_CELLS_NONE, DELTA_COLUMN_CONSTANT,
    DELTA_COLUMN_KEPT, DELTA_COLUMN_VALUES, DELTA_COLUMNS_LISTED, DELTA_COLUMNS_SAME,
    DELTA_ROWIDS_SHIFTED,
};
use crate::codec::zstd;
use crate::format::bytes::Fields;
use crate::format::leaf::columns::{Canonical, ROWIDS_CONSECUTIVE, ROWIDS_LISTED, ROWIDS_NONE};
use crate::format::leaf::encoded_column::decode_column;
use crate::format::leaf::{Leaf, integers, rows_and_columns};
use crate::format::{FormatError, limits};
use crate::model::value::SPILL_BYTES_OVER;

/// What is left of the values that the result may hold.
struct Decoder<'a> {
    fields: Fields<'a>,
    room: usize,
}

impl Decoder<'_> {
    /// A column of `rows` values in canonical form.
    fn column(&mut self, rows: usize) -> Result<Vec<u8>, FormatError> {
        let mut canonical = Canonical::new(self.room);
        decode_column(&mut self.fields, rows, &mut canonical)?;
        let canonical = canonical.into_bytes();
        self.room -= canonical.len();
        Ok(canonical)
    }

    /// Runs of (first row, number of rows) among `rows` rows.
    fn runs(&mut self, rows: usize) -> Result<Vec<(usize, usize)>, FormatError> {
        let count = self.fields.count(rows)?;
        let mut at = 0;
        (0..count)
            .map(|_| {
                let first = at + self.fields.count(rows - at)?;
                let count = self.fields.count(rows - first)?;
                at = first + count;
                if count == 0 {
                    return Err(FormatError::Invalid {
                        what: "a run of a delta",
                    });
                }
                Ok((first, count))
            })
            .collect()
    }

    /// `count` different rows among `rows`, in order.
    fn rows(&mut self, count: usize, rows: usize) -> Result<Vec<usize>, FormatError> {
        let mut at = 0;
        (0..count)
            .map(|_| {
                let row = self.row_from(at, rows)?;
                at = row + 1;
                Ok(row)
            })
            .collect()
    }

    /// The next of such rows, `at` or behind it.
    fn row_from(&mut self, at: usize, rows: usize) -> Result<usize, FormatError> {
        let row = at + self.fields.count(rows)?;
        if row < rows {
            return Ok(row);
        }
        Err(FormatError::Invalid {
            what: "a changed row of a delta",
        })
    }
}

/// The new columns of a delta, before their rows are known.
enum New {
    Kept,
    Constant(Vec<u8>),
    Values(Vec<u8>),
}

/// Applies a delta to a leaf, with the rows of `more` bases behind its own. New values may have as
/// many bytes as the result's canonical form has.
pub(super) fn apply(
    leaf: &mut Patchwork,
    more: &[Vec<u8>],
    delta: &[u8],
    canonical_bytes: u64,
) -> Result<(), FormatError> {
    leaf.tidy()?;
    let mut firsts = vec![0];
    for base in more {
        firsts.push(leaf.join(&Leaf::parse(base.clone())?)?);
    }
    let mut from = Decoder {
        fields: Fields::new(delta, "a delta of a leaf"),
        room: usize::try_from(canonical_bytes).unwrap_or(usize::MAX),
    };
    let rows = from.fields.count(limits::LEAF_ROWS_MAX as usize)?;
    let new = decode_columns(&mut from, leaf, rows)?;
    rows_and_columns(rows, new.len())?;
    let removed = from.runs(leaf.rows())?;
    let inserted = from.runs(rows)?;
    let inserted_rows = inserted.iter().map(|(_, count)| count).sum();
    leaf.move_rows(&removed, &inserted, rows)?;
    apply_rowids(&mut from, leaf, &firsts, rows, inserted_rows)?;
    let kept: Vec<usize> = (0..new.len())
        .filter(|at| matches!(new[*at], New::Kept))
        .collect();
    if inserted_rows > 0 {
        for &column in &kept {
            let canonical = from.column(inserted_rows)?;
            let cells = leaf.take_text(&canonical, inserted_rows)?;
            leaf.append_cells(column, &cells);
        }
    }
    if kept.len() < new.len() {
        leaf.drop_unshown();
    }
    for (column, new) in new.iter().enumerate() {
        let (canonical, count) = match new {
            New::Kept => continue,
            New::Constant(canonical) => (canonical, 1),
            New::Values(canonical) => (canonical, rows),
        };
        let cells = leaf.take_text(canonical, count)?;
        leaf.fill_column(column, &cells);
    }
    let mut listed = Vec::new();
    for column in kept {
        apply_changes(&mut from, leaf, column, &mut listed)?;
    }
    from.fields.end()
}

fn decode_columns(
    from: &mut Decoder<'_>,
    leaf: &mut Patchwork,
    rows: usize,
) -> Result<Vec<New>, FormatError> {
    let wrong = FormatError::Invalid {
        what: "a column of a delta",
    };
    match from.fields.u8()? {
        DELTA_COLUMNS_SAME => return Ok((0..leaf.columns()).map(|_| New::Kept).collect()),
        DELTA_COLUMNS_LISTED => {}
        _ => return Err(wrong),
    }
    let count = from.fields.count(usize::from(limits::COLUMNS_MAX))?;
    rows_and_columns(rows, count)?;
    let (mut new, mut sources) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (column, source) = match from.fields.u8()? {
            DELTA_COLUMN_KEPT => (New::Kept, Some(from.fields.count(leaf.columns())?)),
            DELTA_COLUMN_CONSTANT => (New::Constant(from.column(1)?), None),
            DELTA_COLUMN_VALUES => (New::Values(from.column(rows)?), None),
            _ => return Err(wrong),
        };
        new.push(column);
        sources.push(source);
    }
    leaf.take_columns(&sources)?;
    Ok(new)
}

fn apply_rowids(
    from: &mut Decoder<'_>,
    leaf: &mut Patchwork,
    firsts: &[u32],
    rows: usize,
    inserted_rows: usize,
) -> Result<(), FormatError> {
    let unsigned = |offsets: Vec<i64>| offsets.into_iter().map(i64::cast_unsigned).collect();
    match from.fields.u8()? {
        ROWIDS_NONE => leaf.set_rowids(None),
        ROWIDS_CONSECUTIVE => leaf.set_rowids(Some((0..).take(rows).collect())),
        ROWIDS_LISTED => {
            let offsets = integers::decode(&mut from.fields, rows)?;
            leaf.set_rowids(Some(unsigned(offsets)));
        }
        DELTA_ROWIDS_SHIFTED => {
            let shifts = firsts
                .iter()
                .map(|first| Ok((*first, from.fields.zigzag()?.cast_unsigned())))
                .collect::<Result<Vec<_>, FormatError>>()?;
            let offsets: Vec<u64> = unsigned(integers::decode(&mut from.fields, inserted_rows)?);
            leaf.shift_rowids(&shifts, &offsets)?;
        }
        _ => {
            return Err(FormatError::Invalid {
                what: "the mode of rowids",
            });
        }
    }
    Ok(())
}

fn apply_changes(
    from: &mut Decoder<'_>,
    leaf: &mut Patchwork,
    column: usize,
    listed: &mut Vec<usize>,
) -> Result<(), FormatError> {
    let wrong = FormatError::Invalid {
        what: "the changed cells of a delta",
    };
    let mode = from.fields.u8()?;
    match mode {
        DELTA_CELLS_NONE => {}
        DELTA_CELLS_LISTED => {
            let count = from.fields.count(leaf.rows())?;
            *listed = from.rows(count, leaf.rows())?;
        }
        DELTA_CELLS_AGAIN => {}
        _ => return Err(wrong),
    }
    if mode != DELTA_CELLS_NONE {
        if listed.is_empty() {
            return Err(wrong);
        }
        let canonical = from.column(listed.len())?;
        let cells = leaf.take_text(&canonical, listed.len())?;
        for (row, cell) in listed.iter().zip(cells) {
            leaf.set(*row, column, cell);
        }
    }
    let patches = from.fields.count(leaf.rows())?;
    let mut at = 0;
    for _ in 0..patches {
        let row = from.row_from(at, leaf.rows())?;
        at = row + 1;
        let length = from.fields.count(from.fields.left())?;
        let patch = from.fields.bytes(length)?;
        let room = from.room.min(SPILL_BYTES_OVER) as u64;
        let mut made = 0;
        leaf.patch(row, column, |old| {
            let value = zstd::decompress_after(old, patch, room)?;
            made = value.len();
            Ok(value)
        })?;
        from.room -= made;
    }
    Ok(())
}
