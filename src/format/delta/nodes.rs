//! §4.3 The delta of a node: children removed, inserted, changed.

use super::{DELTA_FIELD_BYTES, DELTA_FIELD_ID, DELTA_FIELD_ROWS, DELTA_FIELD_TAIL};
use crate::format::bytes::{Fields, append_varint};
use crate::format::node::{Child, Node, Span};
use crate::format::{FormatError, limits};
use crate::model::id::BlobId;

/// The delta by which `base` becomes `result`. `None` if they are of different levels or kinds of
/// span.
pub fn encode(base: &Node, result: &Node) -> Option<Vec<u8>> {
    if base.level != result.level || base.span_kind() != result.span_kind() {
        return None;
    }
    let pairs = pair(&base.children, &result.children);
    let mut out = Vec::new();
    append_varint(result.children.len() as u64, &mut out);
    encode_runs(
        &unpaired(base.children.len(), pairs.iter().map(|p| p.0)),
        &mut out,
    );
    let inserted = unpaired(result.children.len(), pairs.iter().map(|p| p.1));
    encode_runs(&inserted, &mut out);
    for (first, count) in inserted {
        for child in &result.children[first..first + count] {
            child.encode(&mut out);
        }
    }
    let differ = |pair: &&(usize, usize)| base.children[pair.0] != result.children[pair.1];
    let changed: Vec<&(usize, usize)> = pairs.iter().filter(differ).collect();
    append_varint(changed.len() as u64, &mut out);
    let mut at = 0;
    for (a, b) in changed {
        append_varint((b - at) as u64, &mut out);
        encode_changes(&base.children[*a], &result.children[*b], &mut out);
        at = b + 1;
    }
    Some(out)
}

/// Pairs children, by position in base and result, both rising: first those that are the same blob
/// or end alike, then those between two pairs one by one.
fn pair(base: &[Child], result: &[Child]) -> Vec<(usize, usize)> {
    let same = |a: usize, b: usize| match (base.get(a), result.get(b)) {
        (Some(a), Some(b)) => a.id == b.id || (a.span == b.span && a.span != Span::Place),
        _ => false,
    };
    let mut pairs = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < base.len() && b < result.len() {
        // The nearest place where both agree; else the rest is paired one by one.
        let nearest = (0..base.len() + result.len()).find_map(|sum| {
            (0..=sum)
                .map(|skip| (a + skip, b + (sum - skip)))
                .find(|(x, y)| same(*x, *y))
        });
        let (x, y) = nearest.unwrap_or((base.len(), result.len()));
        pairs.extend((a..x).zip(b..y));
        if nearest.is_some() {
            pairs.push((x, y));
        }
        (a, b) = (x + 1, y + 1);
    }
    pairs
}

/// The positions among `len` that no pair has, as runs of first and number.
fn unpaired(len: usize, paired: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut at = 0;
    for position in paired.chain([len]) {
        if position > at {
            runs.push((at, position - at));
        }
        at = position + 1;
    }
    runs
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

/// Appends the fields in which `child` differs from `base`, after a byte that names them.
fn encode_changes(base: &Child, child: &Child, out: &mut Vec<u8>) {
    let tail = child.span != base.span || child.has_refs != base.has_refs;
    let named = [
        (child.id != base.id, DELTA_FIELD_ID),
        (child.rows != base.rows, DELTA_FIELD_ROWS),
        (child.bytes != base.bytes, DELTA_FIELD_BYTES),
        (tail, DELTA_FIELD_TAIL),
    ];
    out.push(
        named
            .iter()
            .filter(|(differs, _)| *differs)
            .map(|(_, bit)| bit)
            .sum(),
    );
    if child.id != base.id {
        out.extend_from_slice(&child.id.0);
    }
    if child.rows != base.rows {
        append_varint(child.rows, out);
    }
    if child.bytes != base.bytes {
        append_varint(child.bytes, out);
    }
    if tail {
        child.encode_tail(out);
    }
}

/// Applies the delta of a node.
pub(super) fn apply(node: &mut Node, delta: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(delta, "a delta of a node");
    let wrong = || FormatError::Invalid {
        what: "a delta of a node",
    };
    let span = node.span_kind();
    let count = fields.count(limits::NODE_CHILDREN_MAX as usize)?;
    if count == 0 {
        return Err(wrong());
    }
    let removed = decode_runs(&mut fields, node.children.len())?;
    let inserted = decode_runs(&mut fields, count)?;
    let within = |runs: &[std::ops::Range<usize>], at| runs.iter().any(|run| run.contains(&at));
    let mut kept = std::mem::take(&mut node.children)
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !within(&removed, *at));
    for at in 0..count {
        node.children.push(if within(&inserted, at) {
            Child::decode(&mut fields, span)?
        } else {
            kept.next().ok_or_else(wrong)?.1
        });
    }
    if kept.next().is_some() {
        return Err(wrong());
    }
    let changed = fields.count(count)?;
    let mut at = 0;
    for _ in 0..changed {
        at += fields.count(count)?;
        let child = node.children.get_mut(at).ok_or_else(wrong)?;
        apply_changes(child, &mut fields, span)?;
        at += 1;
    }
    fields.end()
}

fn decode_runs(
    fields: &mut Fields<'_>,
    len: usize,
) -> Result<Vec<std::ops::Range<usize>>, FormatError> {
    let count = fields.count(len)?;
    let mut at = 0;
    (0..count)
        .map(|_| {
            let first = at + fields.count(len - at)?;
            at = first + fields.count(len - first)?;
            Ok(first..at)
        })
        .collect()
}

fn apply_changes(child: &mut Child, fields: &mut Fields<'_>, span: u8) -> Result<(), FormatError> {
    let named = fields.u8()?;
    let known = DELTA_FIELD_ID | DELTA_FIELD_ROWS | DELTA_FIELD_BYTES | DELTA_FIELD_TAIL;
    if named & !known != 0 {
        return Err(FormatError::Invalid {
            what: "the fields of a changed child",
        });
    }
    if named & DELTA_FIELD_ID != 0 {
        child.id = BlobId(fields.array()?);
    }
    if named & DELTA_FIELD_ROWS != 0 {
        child.rows = fields.varint()?;
        if child.rows == 0 {
            return Err(FormatError::Invalid {
                what: "the rows of a changed child",
            });
        }
    }
    if named & DELTA_FIELD_BYTES != 0 {
        child.bytes = fields.varint()?;
    }
    if named & DELTA_FIELD_TAIL != 0 {
        child.decode_tail(fields, span)?;
    }
    Ok(())
}
