//! §4.3 The delta of a leaf, written: rows removed, rows inserted, cells changed, columns mapped.

use super::{
    DELTA_CELLS_AGAIN, DELTA_CELLS_LISTED, DELTA_CELLS_NONE, DELTA_COLUMN_CONSTANT,
    DELTA_COLUMN_KEPT, DELTA_COLUMN_VALUES, DELTA_COLUMNS_LISTED, DELTA_COLUMNS_SAME,
    DELTA_ROWIDS_SHIFTED,
};
use crate::codec::zstd;
use crate::format::bytes::{append_varint, append_zigzag};
use crate::format::leaf::codecs::Codecs;
use crate::format::leaf::column::ColumnBuffer;
use crate::format::leaf::columns::{ROWIDS_CONSECUTIVE, ROWIDS_LISTED, ROWIDS_NONE};
use crate::format::leaf::encoded_column::encode_column;
use crate::format::leaf::output::Output;
use crate::format::leaf::{Leaf, integers};
use crate::model::value::ValueRef;

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
    let mut out = Output::default();
    append_varint(result.rows() as u64, &mut out.bytes);
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
            encode_column(buffer.parts(), &Codecs::ALL, &mut out);
        }
    }
    let mut listed: Vec<usize> = Vec::new();
    for (column, old) in pairs() {
        let changes = Changes::find(&bases, old, result, column, kept);
        changes.encode(&mut listed, &mut out);
    }
    // Deltas are short: their seams are not worth blocks of their own.
    out.bytes
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

fn encode_columns(old: usize, result: &Leaf, columns: &[Option<usize>], out: &mut Output) {
    let same = old == columns.len() && columns.iter().enumerate().all(|(at, old)| *old == Some(at));
    if same {
        out.bytes.push(DELTA_COLUMNS_SAME);
        return;
    }
    out.bytes.push(DELTA_COLUMNS_LISTED);
    append_varint(columns.len() as u64, &mut out.bytes);
    for (at, old) in columns.iter().enumerate() {
        if let Some(old) = old {
            out.bytes.push(DELTA_COLUMN_KEPT);
            append_varint(*old as u64, &mut out.bytes);
            continue;
        }
        let mut buffer = ColumnBuffer::default();
        let first = result.value(0, at);
        if (1..result.rows()).all(|row| result.value(row, at).identical(first)) {
            out.bytes.push(DELTA_COLUMN_CONSTANT);
            buffer.push(first);
        } else {
            out.bytes.push(DELTA_COLUMN_VALUES);
            (0..result.rows()).for_each(|row| buffer.push(result.value(row, at)));
        }
        encode_column(buffer.parts(), &Codecs::ALL, out);
    }
}

fn encode_runs(runs: &[(usize, usize)], out: &mut Output) {
    append_varint(runs.len() as u64, &mut out.bytes);
    let mut at = 0;
    for &(first, count) in runs {
        append_varint((first - at) as u64, &mut out.bytes);
        append_varint(count as u64, &mut out.bytes);
        at = first + count;
    }
}

fn encode_rowids(
    bases: &Bases<'_>,
    result: &Leaf,
    kept: &[Kept],
    inserted: &[(usize, usize)],
    out: &mut Output,
) {
    let offset = |leaf: &Leaf, row| leaf.rowid_offset(row).unwrap_or(0);
    if !result.has_rowids() {
        out.bytes.push(ROWIDS_NONE);
        return;
    }
    if (0..result.rows()).all(|row| offset(result, row) == row as u64) {
        out.bytes.push(ROWIDS_CONSECUTIVE);
        return;
    }
    let integers = |rows: &mut dyn Iterator<Item = usize>, out: &mut Output| {
        let offsets: Vec<i64> = rows.map(|row| offset(result, row).cast_signed()).collect();
        integers::encode(&offsets, Codecs::ALL.integers, out);
    };
    if let Some(shifts) = shifts(bases, result, kept) {
        out.bytes.push(DELTA_ROWIDS_SHIFTED);
        for shift in shifts {
            append_zigzag(shift.cast_signed(), &mut out.bytes);
        }
        let mut rows = inserted
            .iter()
            .flat_map(|(first, count)| *first..first + count);
        integers(&mut rows, out);
    } else {
        out.bytes.push(ROWIDS_LISTED);
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
    fn encode(&self, listed: &mut Vec<usize>, out: &mut Output) {
        if self.rows.is_empty() {
            out.bytes.push(DELTA_CELLS_NONE);
        } else if self.rows == *listed {
            out.bytes.push(DELTA_CELLS_AGAIN);
        } else {
            out.bytes.push(DELTA_CELLS_LISTED);
            append_varint(self.rows.len() as u64, &mut out.bytes);
            let mut at = 0;
            for row in &self.rows {
                append_varint((row - at) as u64, &mut out.bytes);
                at = row + 1;
            }
            listed.clone_from(&self.rows);
        }
        if !self.rows.is_empty() {
            encode_column(self.values.parts(), &Codecs::ALL, out);
        }
        append_varint(self.patches.len() as u64, &mut out.bytes);
        let mut at = 0;
        for (row, patch) in &self.patches {
            append_varint((row - at) as u64, &mut out.bytes);
            append_varint(patch.len() as u64, &mut out.bytes);
            out.bytes.extend_from_slice(patch);
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
