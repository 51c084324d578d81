//! §4.3 The delta of a leaf: rows removed, rows inserted, cells changed, columns mapped.

use super::patchwork::Patchwork;
use super::{
    DELTA_CELLS_AGAIN, DELTA_CELLS_LISTED, DELTA_CELLS_NONE, DELTA_COLUMN_CONSTANT,
    DELTA_COLUMN_KEPT, DELTA_COLUMN_VALUES, DELTA_COLUMNS_LISTED, DELTA_COLUMNS_SAME,
    DELTA_ROWIDS_SHIFTED,
};
use crate::codec::zstd;
use crate::format::bytes::{Fields, append_varint, zigzag};
use crate::format::leaf::column::ColumnBuffer;
use crate::format::leaf::columns::{
    Canonical, ROWIDS_CONSECUTIVE, ROWIDS_LISTED, ROWIDS_NONE, decode_column, encode_column,
};
use crate::format::leaf::{Leaf, integers, rows_and_columns};
use crate::format::{FormatError, limits};
use crate::model::value::{SPILL_BYTES_OVER, ValueRef};

/// Rows that a base and the result share: the same records in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// First row among those of all bases, one behind the other. A run lies within one base.
    pub base: usize,
    /// First row in the result.
    pub result: usize,
    /// Number of rows, at least 1.
    pub rows: usize,
}

/// A text or blob of this length is worth a patch of its own where it changes.
const PATCH_BYTES_MIN: usize = 512;
/// zstd level of patches of single values: they are short.
const PATCH_LEVEL: i32 = 6;

/// The leaves that a result is made of, one behind the other.
struct Bases<'a>(&'a [&'a Leaf]);

impl<'a> Bases<'a> {
    fn rows(&self) -> usize {
        self.0.iter().map(|leaf| leaf.rows()).sum()
    }

    /// The leaf in which a row stands, its number, and the row's place in it.
    fn find(&self, mut row: usize) -> (usize, &'a Leaf, usize) {
        for (at, leaf) in self.0.iter().enumerate() {
            if row < leaf.rows() {
                return (at, leaf, row);
            }
            row -= leaf.rows();
        }
        (0, self.0[0], 0)
    }
}

/// The delta by which `bases` (at least one, of the same columns) become `result`.
///
/// `kept` rises in both. `columns` says for each column of the result which one of the bases it
/// was; `None` for a new one.
pub fn encode(bases: &[&Leaf], result: &Leaf, kept: &[Kept], columns: &[Option<usize>]) -> Vec<u8> {
    debug_assert_eq!(columns.len(), result.columns());
    let bases = Bases(bases);
    let mut out = Vec::new();
    append_varint(result.rows() as u64, &mut out);
    encode_columns(bases.0[0].columns(), result, columns, &mut out);
    let removed = gaps(kept, bases.rows(), |kept| kept.base);
    let inserted = gaps(kept, result.rows(), |kept| kept.result);
    encode_runs(&removed, &mut out);
    encode_runs(&inserted, &mut out);
    encode_rowids(&bases, result, kept, &inserted, &mut out);
    let pairs = || {
        (0..)
            .zip(columns)
            .filter_map(|(at, old)| Some((at, (*old)?)))
    };
    let mut buffer = ColumnBuffer::default();
    if !inserted.is_empty() {
        for (column, _) in pairs() {
            buffer.clear();
            for row in inserted
                .iter()
                .flat_map(|(first, count)| *first..first + count)
            {
                buffer.push(result.value(row, column));
            }
            encode_column(buffer.parts(), &mut out);
        }
    }
    let mut listed: Vec<usize> = Vec::new();
    for (column, old) in pairs() {
        let changes = Changes::find(&bases, old, result, column, kept);
        changes.encode(&mut listed, &mut out);
    }
    out
}

/// The rows between those that are kept, as runs of first row and number of rows.
fn gaps(kept: &[Kept], rows: usize, first: impl Fn(&Kept) -> usize) -> Vec<(usize, usize)> {
    let mut gaps = Vec::new();
    let mut at = 0;
    for (begin, count) in kept.iter().map(|k| (first(k), k.rows)).chain([(rows, 0)]) {
        if begin > at {
            gaps.push((at, begin - at));
        }
        at = begin + count;
    }
    gaps
}

fn encode_columns(old: usize, result: &Leaf, columns: &[Option<usize>], out: &mut Vec<u8>) {
    let same = old == columns.len() && columns.iter().enumerate().all(|(at, old)| *old == Some(at));
    if same {
        out.push(DELTA_COLUMNS_SAME);
        return;
    }
    out.push(DELTA_COLUMNS_LISTED);
    append_varint(columns.len() as u64, out);
    for (at, old) in columns.iter().enumerate() {
        if let Some(old) = old {
            out.push(DELTA_COLUMN_KEPT);
            append_varint(*old as u64, out);
            continue;
        }
        let mut buffer = ColumnBuffer::default();
        let first = result.value(0, at);
        if (1..result.rows()).all(|row| result.value(row, at).identical(first)) {
            out.push(DELTA_COLUMN_CONSTANT);
            buffer.push(first);
        } else {
            out.push(DELTA_COLUMN_VALUES);
            (0..result.rows()).for_each(|row| buffer.push(result.value(row, at)));
        }
        encode_column(buffer.parts(), out);
    }
}

fn encode_runs(runs: &[(usize, usize)], out: &mut Vec<u8>) {
    append_varint(runs.len() as u64, out);
    let mut at = 0;
    for &(first, count) in runs {
        append_varint((first - at) as u64, out);
        append_varint(count as u64, out);
        at = first + count;
    }
}

fn encode_rowids(
    bases: &Bases<'_>,
    result: &Leaf,
    kept: &[Kept],
    inserted: &[(usize, usize)],
    out: &mut Vec<u8>,
) {
    let offset = |leaf: &Leaf, row| leaf.rowid_offset(row).unwrap_or(0);
    if !result.has_rowids() {
        out.push(ROWIDS_NONE);
        return;
    }
    if (0..result.rows()).all(|row| offset(result, row) == row as u64) {
        out.push(ROWIDS_CONSECUTIVE);
        return;
    }
    let integers = |rows: &mut dyn Iterator<Item = usize>, out: &mut Vec<u8>| {
        let offsets: Vec<i64> = rows.map(|row| offset(result, row).cast_signed()).collect();
        integers::encode(&offsets, out);
    };
    if let Some(shifts) = shifts(bases, result, kept) {
        out.push(DELTA_ROWIDS_SHIFTED);
        for shift in shifts {
            append_varint(zigzag(shift.cast_signed()), out);
        }
        let mut rows = inserted
            .iter()
            .flat_map(|(first, count)| *first..first + count);
        integers(&mut rows, out);
    } else {
        out.push(ROWIDS_LISTED);
        integers(&mut (0..result.rows()), out);
    }
}

/// For each base what its rows' offsets have more in the result; `None` if that differs among them.
fn shifts(bases: &Bases<'_>, result: &Leaf, kept: &[Kept]) -> Option<Vec<u64>> {
    let mut shifts = vec![None; bases.0.len()];
    for kept in kept {
        let (at, base, first) = bases.find(kept.base);
        for row in 0..kept.rows {
            let old = base.rowid_offset(first + row)?;
            let shift = result.rowid_offset(kept.result + row)?.wrapping_sub(old);
            if *shifts[at].get_or_insert(shift) != shift {
                return None;
            }
        }
    }
    Some(shifts.into_iter().map(Option::unwrap_or_default).collect())
}

/// The cells of one column that have new values.
struct Changes {
    /// Rows with values given in full.
    rows: Vec<usize>,
    values: ColumnBuffer,
    /// Rows with a patch of the old value.
    patches: Vec<(usize, Vec<u8>)>,
}

impl Changes {
    fn find(bases: &Bases<'_>, old: usize, result: &Leaf, column: usize, kept: &[Kept]) -> Self {
        let mut changes = Self {
            rows: Vec::new(),
            values: ColumnBuffer::default(),
            patches: Vec::new(),
        };
        for kept in kept {
            let (_, base, first) = bases.find(kept.base);
            if base.same_values(old, first, result, column, kept.result, kept.rows) {
                continue;
            }
            for row in 0..kept.rows {
                let before = base.value(first + row, old);
                let after = result.value(kept.result + row, column);
                if before.identical(after) {
                    continue;
                }
                if let Some(patch) = patch_of(before, after) {
                    changes.patches.push((kept.result + row, patch));
                } else {
                    changes.rows.push(kept.result + row);
                    changes.values.push(after);
                }
            }
        }
        changes
    }

    /// `listed`: the rows that were listed last.
    fn encode(&self, listed: &mut Vec<usize>, out: &mut Vec<u8>) {
        if self.rows.is_empty() {
            out.push(DELTA_CELLS_NONE);
        } else if self.rows == *listed {
            out.push(DELTA_CELLS_AGAIN);
        } else {
            out.push(DELTA_CELLS_LISTED);
            append_varint(self.rows.len() as u64, out);
            let mut at = 0;
            for row in &self.rows {
                append_varint((row - at) as u64, out);
                at = row + 1;
            }
            listed.clone_from(&self.rows);
        }
        if !self.rows.is_empty() {
            encode_column(self.values.parts(), out);
        }
        append_varint(self.patches.len() as u64, out);
        let mut at = 0;
        for (row, patch) in &self.patches {
            append_varint((row - at) as u64, out);
            append_varint(patch.len() as u64, out);
            out.extend_from_slice(patch);
            at = row + 1;
        }
    }
}

/// A patch, if both are long texts or long blobs, and it is much shorter than the new one.
fn patch_of(before: ValueRef<'_>, after: ValueRef<'_>) -> Option<Vec<u8>> {
    let (before, after) = match (before, after) {
        (ValueRef::Text(a), ValueRef::Text(b)) | (ValueRef::Blob(a), ValueRef::Blob(b)) => (a, b),
        _ => return None,
    };
    if before.len() < PATCH_BYTES_MIN || after.len() < PATCH_BYTES_MIN {
        return None;
    }
    let patch = zstd::compress_after(before, after, PATCH_LEVEL).ok()?;
    (patch.len() < after.len() / 4).then_some(patch)
}

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
