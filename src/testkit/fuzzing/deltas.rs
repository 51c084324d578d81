//! Deltas of leaves, of nodes, of bytes, applied to bases that are right: one after another, as in a
//! chain, or with further bases.

use std::sync::OnceLock;

use super::input::Input;
use crate::codec::hash::StoreHash;
use crate::format::blob::BlobKind;
use crate::format::delta::Chain;
use crate::format::leaf::{Leaf, LeafBuilder};
use crate::format::limits;
use crate::format::node::{Child, Node, NodeKey, Span};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::{LongClass, Spilled, ValueRef};

/// A chain of up to two deltas: the base, further bases, the first delta with the length of what it makes,
/// and the second. What comes out has the length that was said.
pub(super) fn chain(kind: BlobKind, bases: &[Vec<u8>], data: &[u8]) -> Option<Vec<u8>> {
    let mut input = Input::new(data);
    let base = input.choose(bases).clone();
    let more: Vec<Vec<u8>> = (0..input.u8() % 4)
        .map(|_| input.choose(bases).clone())
        .collect();
    let mut chain = Chain::begin(kind, base).unwrap();
    let mut length = u64::from(input.u32());
    chain.apply(&more, input.long(), length).ok()?;
    if !input.is_empty() {
        length = u64::from(input.u32());
        chain.apply(&[], input.rest(), length).ok()?;
    }
    let canonical = chain.finish(length).ok()?;
    assert_eq!(canonical.len() as u64, length);
    assert!(length <= limits::BLOB_BYTES_MAX);
    Some(canonical)
}

/// A leaf of these columns: integers, reals, texts short and long, blobs, spilled values, NULL.
pub(super) fn sample_leaf(rows: i64, from: i64, rowids: bool, columns: usize) -> Vec<u8> {
    let mut builder = LeafBuilder::new(columns);
    for row in from..from + rows {
        let text = format!("text {}", row % 7);
        let long = format!("{:x<700}", row * 7919);
        let spilled = Spilled {
            class: LongClass::Blob,
            bytes: 70_000,
            level: 0,
            root: BlobId([9; 32]),
        };
        let all = [
            ValueRef::Integer(row * row),
            ValueRef::Text(text.as_bytes()),
            ValueRef::Real(f64::from(i32::try_from(row).unwrap()) / 8.0),
            ValueRef::Text(long.as_bytes()),
            if row % 5 == 0 {
                ValueRef::Spilled(spilled)
            } else {
                ValueRef::Blob(text.as_bytes())
            },
            ValueRef::Null,
        ];
        builder.push(RowRef {
            rowid: rowids.then_some(row * 2),
            values: &all[..columns],
        });
    }
    let mut out = Vec::new();
    builder.finish(&mut out);
    out
}

/// A node whose children lie between rowids, end at keys, or have nothing but their place.
pub(super) fn sample_node(count: u8, span: u8) -> Vec<u8> {
    let hash = StoreHash::unkeyed();
    let child = |at: u8| Child {
        id: hash.blob_id(1, &[at]),
        rows: 5 + u64::from(at),
        bytes: 500,
        has_refs: at % 3 == 1,
        span: match span {
            0 => Span::Rowids {
                first: i64::from(at) * 10,
                last: i64::from(at) * 10 + 9,
            },
            1 => Span::Key(NodeKey::new(hash, &vec![at; usize::from(at) * 200])),
            _ => Span::Place,
        },
    };
    let children = (0..count).map(child).collect();
    Node { level: 1, children }.encode()
}

pub(super) fn leaf_bases() -> &'static [Vec<u8>] {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        vec![
            sample_leaf(12, 1, true, 5),
            sample_leaf(9, 100, true, 5),
            sample_leaf(7, 1, false, 3),
            sample_leaf(1, 1, false, 1),
            sample_leaf(40, 1, true, 2),
        ]
    })
}

pub(super) fn node_bases() -> &'static [Vec<u8>] {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        let kinds = [(6, 0), (9, 1), (5, 2), (1, 0)];
        kinds.map(|(count, span)| sample_node(count, span)).to_vec()
    })
}

pub(super) fn byte_bases() -> &'static [Vec<u8>] {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        let numbers = (0..2000_u32).map(|n| n.wrapping_mul(2_654_435_761));
        let mixed = numbers.flat_map(u32::to_le_bytes).collect();
        vec![mixed, b"a short base".to_vec(), Vec::new()]
    })
}

/// Deltas of leaves.
pub fn delta_leaf(data: &[u8]) {
    if let Some(canonical) = chain(BlobKind::Leaf, leaf_bases(), data)
        && let Ok(leaf) = Leaf::parse(canonical)
    {
        super::leaf(leaf.canonical());
    }
}

/// Deltas of nodes.
pub fn delta_node(data: &[u8]) {
    if let Some(canonical) = chain(BlobKind::Node, node_bases(), data) {
        let node = Node::decode(&canonical).unwrap();
        assert_eq!(node.encode(), canonical);
    }
}

/// Deltas of chunks and schemas.
pub fn delta_bytes(data: &[u8]) {
    chain(BlobKind::Chunk, byte_bases(), data);
}
