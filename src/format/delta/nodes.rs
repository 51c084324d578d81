//! §4.3 The deltas of nodes and chunk nodes: children removed, inserted, changed.

use super::{DELTA_FIELD_BYTES, DELTA_FIELD_ID, DELTA_FIELD_ROWS, DELTA_FIELD_TAIL};
use crate::format::bytes::{Fields, append_varint};
use crate::format::chunk::{ChunkNode, Piece};
use crate::format::node::{Child, Node};
use crate::format::{FormatError, limits};
use crate::model::id::BlobId;

/// Children that base and result share or that replace each other: position in the base and in the
/// result, both rising.
type Pairs = Vec<(usize, usize)>;

/// Pairs children: equal `ends` first, then those between two pairs one by one.
fn pair<T: PartialEq>(base: &[T], result: &[T], same: impl Fn(&T, &T) -> bool) -> Pairs {
    let mut pairs = Vec::new();
    let (mut a, mut b) = (0, 0);
    let ends = base.len().min(result.len());
    while a < base.len() && b < result.len() {
        if same(&base[a], &result[b]) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
            continue;
        }
        // The nearest place where both agree again; else the rest is paired one by one.
        let next = (1..=2 * ends).find_map(|sum| {
            (0..=sum).find_map(|skip| {
                let (x, y) = (a + skip, b + (sum - skip));
                let agree = x < base.len() && y < result.len() && same(&base[x], &result[y]);
                agree.then_some((x, y))
            })
        });
        let (x, y) = next.unwrap_or((base.len(), result.len()));
        pairs.extend((a..x).zip(b..y));
        (a, b) = (x, y);
    }
    pairs
}

/// Positions among `len` that no pair has, as runs.
fn unpaired(len: usize, paired: impl Iterator<Item = usize>, out: &mut Vec<u8>) -> Vec<usize> {
    let mut free = Vec::new();
    let mut at = 0;
    for position in paired.chain([len]) {
        free.extend(at..position);
        at = position + 1;
    }
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &position in &free {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == position => *count += 1,
            _ => runs.push((position, 1)),
        }
    }
    append_varint(runs.len() as u64, out);
    let mut at = 0;
    for (first, count) in runs {
        append_varint((first - at) as u64, out);
        append_varint(count as u64, out);
        at = first + count;
    }
    free
}

/// What nodes of both kinds have in common.
trait Entry: PartialEq + Sized {
    fn append(&self, out: &mut Vec<u8>);
    /// Appends the fields in which it differs from `base`, after a byte that names them.
    fn append_changes(&self, base: &Self, out: &mut Vec<u8>);
    fn read(fields: &mut Fields<'_>, span: u8) -> Result<Self, FormatError>;
    fn read_changes(&mut self, fields: &mut Fields<'_>, span: u8) -> Result<(), FormatError>;
}

fn encode<T: Entry>(base: &[T], result: &[T], pairs: &[(usize, usize)], out: &mut Vec<u8>) {
    append_varint(result.len() as u64, out);
    unpaired(base.len(), pairs.iter().map(|(a, _)| *a), out);
    let inserted = unpaired(result.len(), pairs.iter().map(|(_, b)| *b), out);
    inserted.iter().for_each(|at| result[*at].append(out));
    let differ = |pair: &&(usize, usize)| base[pair.0] != result[pair.1];
    let changed: Vec<&(usize, usize)> = pairs.iter().filter(differ).collect();
    append_varint(changed.len() as u64, out);
    let mut at = 0;
    for (a, b) in changed {
        append_varint((b - at) as u64, out);
        result[*b].append_changes(&base[*a], out);
        at = b + 1;
    }
}

fn apply_entries<T: Entry>(
    entries: &mut Vec<T>,
    fields: &mut Fields<'_>,
    span: u8,
) -> Result<(), FormatError> {
    let wrong = FormatError::Invalid {
        what: "a delta of a node",
    };
    let children = fields.count(limits::NODE_CHILDREN_MAX as usize)?;
    let removed = runs(fields, entries.len())?;
    let inserted = runs(fields, children)?;
    let removed = |at: &usize| removed.iter().any(|run| run.contains(at));
    let mut kept = (0..).zip(std::mem::take(entries));
    let mut kept = kept
        .by_ref()
        .filter(|(at, _)| !removed(at))
        .map(|(_, entry)| entry);
    for at in 0..children {
        let entry = if inserted.iter().any(|run| run.contains(&at)) {
            T::read(fields, span)?
        } else {
            kept.next().ok_or(wrong.clone())?
        };
        entries.push(entry);
    }
    if kept.next().is_some() {
        return Err(wrong);
    }
    let changed = fields.count(children)?;
    let mut at = 0;
    for _ in 0..changed {
        at += fields.count(children)?;
        let entry = entries.get_mut(at).ok_or(wrong.clone())?;
        entry.read_changes(fields, span)?;
        at += 1;
    }
    Ok(())
}

fn runs(fields: &mut Fields<'_>, len: usize) -> Result<Vec<std::ops::Range<usize>>, FormatError> {
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

impl Entry for Child {
    fn append(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn append_changes(&self, base: &Self, out: &mut Vec<u8>) {
        let (rows, bytes) = (self.rows != base.rows, self.bytes != base.bytes);
        let tail = self.span != base.span || self.has_refs != base.has_refs;
        let mut named = if self.id == base.id {
            0
        } else {
            DELTA_FIELD_ID
        };
        named |= if rows { DELTA_FIELD_ROWS } else { 0 };
        named |= if bytes { DELTA_FIELD_BYTES } else { 0 };
        named |= if tail { DELTA_FIELD_TAIL } else { 0 };
        out.push(named);
        if self.id != base.id {
            out.extend_from_slice(&self.id.0);
        }
        if rows {
            append_varint(self.rows, out);
        }
        if bytes {
            append_varint(self.bytes, out);
        }
        if tail {
            self.encode_tail(out);
        }
    }

    fn read(fields: &mut Fields<'_>, span: u8) -> Result<Self, FormatError> {
        Child::decode(fields, span)
    }

    fn read_changes(&mut self, fields: &mut Fields<'_>, span: u8) -> Result<(), FormatError> {
        let named = fields.u8()?;
        let known = DELTA_FIELD_ID | DELTA_FIELD_ROWS | DELTA_FIELD_BYTES | DELTA_FIELD_TAIL;
        check_named(named, known)?;
        if named & DELTA_FIELD_ID != 0 {
            self.id = BlobId(fields.array()?);
        }
        if named & DELTA_FIELD_ROWS != 0 {
            self.rows = fields.varint()?;
        }
        if named & DELTA_FIELD_BYTES != 0 {
            self.bytes = fields.varint()?;
        }
        if named & DELTA_FIELD_TAIL != 0 {
            self.decode_tail(fields, span)?;
        }
        Ok(())
    }
}

impl Entry for Piece {
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.bytes.to_le_bytes());
    }

    fn append_changes(&self, base: &Self, out: &mut Vec<u8>) {
        let bytes = self.bytes != base.bytes;
        let named = if self.id == base.id {
            0
        } else {
            DELTA_FIELD_ID
        };
        out.push(named | if bytes { DELTA_FIELD_BYTES } else { 0 });
        if self.id != base.id {
            out.extend_from_slice(&self.id.0);
        }
        if bytes {
            append_varint(self.bytes, out);
        }
    }

    fn read(fields: &mut Fields<'_>, _span: u8) -> Result<Self, FormatError> {
        Ok(Self {
            id: BlobId(fields.array()?),
            bytes: fields.u64()?,
        })
    }

    fn read_changes(&mut self, fields: &mut Fields<'_>, _span: u8) -> Result<(), FormatError> {
        let named = fields.u8()?;
        check_named(named, DELTA_FIELD_ID | DELTA_FIELD_BYTES)?;
        if named & DELTA_FIELD_ID != 0 {
            self.id = BlobId(fields.array()?);
        }
        if named & DELTA_FIELD_BYTES != 0 {
            self.bytes = fields.varint()?;
        }
        Ok(())
    }
}

fn check_named(named: u8, known: u8) -> Result<(), FormatError> {
    if named & !known == 0 {
        return Ok(());
    }
    Err(FormatError::Invalid {
        what: "the fields of a changed child",
    })
}

/// The delta by which node `base` becomes `result`. `None` if they are of different levels or
/// kinds of span.
pub fn encode_node(base: &Node, result: &Node) -> Option<Vec<u8>> {
    let span = result.span_kind();
    if base.level != result.level || base.span_kind() != span {
        return None;
    }
    let mut out = Vec::new();
    let pairs = pair(&base.children, &result.children, |a, b| {
        a.id == b.id || (a.span == b.span && a.span != crate::format::node::Span::Place)
    });
    encode(&base.children, &result.children, &pairs, &mut out);
    Some(out)
}

/// The delta by which chunk node `base` becomes `result`. `None` if they are of different levels.
pub fn encode_chunk_node(base: &ChunkNode, result: &ChunkNode) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let pairs = pair(&base.pieces, &result.pieces, |a, b| a.id == b.id);
    encode(&base.pieces, &result.pieces, &pairs, &mut out);
    (base.level == result.level).then_some(out)
}

/// Applies the delta of a node.
pub(super) fn apply(node: &mut Node, delta: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(delta, "a delta of a node");
    let span = node.span_kind();
    apply_entries(&mut node.children, &mut fields, span)?;
    fields.end()
}

/// Applies the delta of a chunk node.
pub(super) fn apply_to_chunk_node(node: &mut ChunkNode, delta: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(delta, "a delta of a chunk node");
    apply_entries(&mut node.pieces, &mut fields, 0)?;
    fields.end()
}
