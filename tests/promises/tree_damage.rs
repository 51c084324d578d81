//! A tree that is not what is said of it is found, and the damage names the blob and the rows.

use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource};
use larder::format::chunk::ChunkNode;
use larder::format::leaf::LeafBuilder;
use larder::format::node::{Child, Node, NodeKey, Span};
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::Value;
use larder::testkit::blobs::MapBlobs;
use larder::tree::check::{Affected, Claim, Visitor, check};
use larder::tree::{Order, Root, TreeShape, large};

use super::tree_rows::*;

/// Believes nothing, and keeps what is wrong.
#[derive(Default)]
struct Findings(Vec<(BlobId, BlobErrorKind, Affected)>);

impl Visitor for Findings {
    fn is_good(&mut self, _: &Claim) -> Result<bool, BlobError> {
        Ok(false)
    }
    fn set_good(&mut self, _: &Claim) -> Result<(), BlobError> {
        Ok(())
    }
    fn damaged(&mut self, error: BlobError, affected: Affected) {
        self.0.push((error.id, error.why, affected));
    }
}

/// All damage in a tree.
pub fn damage_in(
    blobs: &MapBlobs,
    shape: &TreeShape,
    root: &Root,
) -> Vec<(BlobId, BlobErrorKind, Affected)> {
    let mut findings = Findings::default();
    check(blobs, StoreHash::unkeyed(), shape, root, &mut findings).unwrap();
    findings.0
}

/// A tree of one node above some leaves.
struct Tree {
    shape: TreeShape,
    blobs: MapBlobs,
    root: Root,
    node: Node,
    rows: Vec<Row>,
}

fn tree(at: usize) -> Tree {
    let (_, shape) = shapes().swap_remove(at);
    let mut random = Random(20);
    let mut blobs = MapBlobs::new();
    let mut rows = rows(&shape, 3000, &mut random);
    // One large value, somewhere in the first leaf.
    rows[10].1[3] = Value::Spilled(spill(&random.bytes(200_000), &mut blobs));
    let root = build(&shape, &rows, &mut blobs).unwrap();
    assert_eq!(root.level, 1);
    let node = Node::decode(&blobs.get(BlobKind::Node, &root.id).unwrap()).unwrap();
    assert!(node.children.len() > 3);
    Tree {
        shape,
        blobs,
        root,
        node,
        rows,
    }
}

impl Tree {
    /// Puts the node as it is now, as if a writer had made it so; gives the blobs found damaged.
    fn forged(mut self) -> Vec<(BlobId, Affected)> {
        self.root.id = self.blobs.put(BlobKind::Node, &self.node.encode()).unwrap();
        damage_in(&self.blobs, &self.shape, &self.root)
            .into_iter()
            .map(|(id, why, affected)| {
                assert_eq!(why, BlobErrorKind::Damaged);
                (id, affected)
            })
            .collect()
    }

    /// Rows before child `at`, and the rows of it.
    fn place_of(&self, at: usize) -> (u64, u64) {
        let before = self.node.children[..at].iter().map(|c| c.rows).sum();
        (before, self.node.children[at].rows)
    }
}

/// Damage at child `at` and nowhere else.
fn assert_names_leaf(name: &str, at: usize, tree: Tree) {
    let (first_ordinal, rows) = tree.place_of(at);
    let id = tree.node.children[at].id;
    let found = tree.forged();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    assert_eq!(found[0].0, id, "{name}");
    assert_eq!(
        (found[0].1.first_ordinal, found[0].1.rows),
        (first_ordinal, rows),
        "{name}"
    );
}

#[test]
fn missing_and_changed_blobs_are_named_with_their_rows() {
    for at in 0..4 {
        for missing in [true, false] {
            let mut tree = tree(at);
            let (first_ordinal, rows) = tree.place_of(2);
            let leaf = tree.node.children[2].id;
            let mut bytes = tree.blobs.get(BlobKind::Leaf, &leaf).unwrap();
            if missing {
                tree.blobs.remove(BlobKind::Leaf, &leaf);
            } else {
                bytes[100] ^= 1;
                tree.blobs.damage(BlobKind::Leaf, &leaf, bytes);
            }
            let found = damage_in(&tree.blobs, &tree.shape, &tree.root);
            assert_eq!(found.len(), 1);
            let why = if missing {
                BlobErrorKind::Missing
            } else {
                BlobErrorKind::Damaged
            };
            assert_eq!((found[0].0, found[0].1), (leaf, why));
            assert_eq!(
                (found[0].2.first_ordinal, found[0].2.rows),
                (first_ordinal, rows)
            );
        }
    }
}

#[test]
fn a_missing_chunk_is_named_with_the_row_of_its_value() {
    for at in 0..4 {
        let mut tree = tree(at);
        let chunk = *tree.blobs.ids(BlobKind::Chunk).iter().next().unwrap();
        tree.blobs.remove(BlobKind::Chunk, &chunk);
        let found = damage_in(&tree.blobs, &tree.shape, &tree.root);
        assert_eq!(found.len(), 1);
        let affected = &found[0].2;
        assert_eq!(
            (found[0].0, affected.first_ordinal, affected.rows),
            (chunk, 10, 1)
        );
    }
}

#[test]
fn wrong_words_about_a_leaf_are_found() {
    type Lie = fn(&mut Tree);
    let lies: [(&str, Lie); 4] = [
        ("rows", |t| {
            t.node.children[1].rows += 1;
            t.root.rows += 1;
        }),
        ("bytes", |t| {
            t.node.children[1].bytes -= 1;
            t.root.bytes -= 1;
        }),
        ("has_refs said of a leaf without", |t| {
            t.node.children[1].has_refs = true
        }),
        ("another leaf's id", |t| {
            t.node.children[1].id = t.node.children[3].id
        }),
    ];
    for at in 0..4 {
        for (name, lie) in lies {
            let mut tree = tree(at);
            lie(&mut tree);
            assert_names_leaf(name, 1, tree);
        }
        let mut tree = tree(at);
        tree.node.children[0].has_refs = false;
        tree.root.has_refs = false;
        assert_names_leaf("has_refs not said of a leaf with", 0, tree);
    }
}

#[test]
fn wrong_bounds_of_a_leaf_are_found() {
    for at in 0..2 {
        for (first_by, last_by) in [(1, 0), (0, -1), (1, 1)] {
            let mut tree = tree(at);
            let Span::Rowids { first, last } = &mut tree.node.children[1].span else {
                panic!("rowids");
            };
            (*first, *last) = (*first + first_by, *last + last_by);
            // Both moved by one: the leaf still fits them, but not its neighbour if they touch.
            if (first_by, last_by) != (1, 1) {
                assert_names_leaf("bounds", 1, tree);
            } else if let Span::Rowids { first, .. } = tree.node.children[2].span
                && let Span::Rowids { last, .. } = tree.node.children[1].span
                && first == last
            {
                assert_names_leaf("overlap", 2, tree);
            }
        }
    }
    let mut tree = tree(2);
    tree.node.children[1].span = Span::Key(NodeKey::new(StoreHash::unkeyed(), &[0]));
    assert!(!tree.forged().is_empty());
}

#[test]
fn wrong_words_about_the_root_are_found() {
    type Lie = fn(&mut Tree);
    let lies: [(&str, Lie); 5] = [
        ("rows", |t| t.root.rows += 1),
        ("bytes", |t| t.root.bytes += 1),
        ("has_refs", |t| t.root.has_refs = false),
        ("level of the node", |t| t.node.level = 2),
        ("first rowid", |t| {
            t.root.first_rowid = Some(t.root.first_rowid.map_or(0, |r| r - 1))
        }),
    ];
    for at in 0..4 {
        for (name, lie) in lies {
            let mut tree = tree(at);
            lie(&mut tree);
            let rows = tree.root.rows;
            let found = tree.forged();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(
                (found[0].1.first_ordinal, found[0].1.rows),
                (0, rows),
                "{name}"
            );
        }
    }
}

#[test]
fn a_first_rowid_of_a_lone_leaf_is_said_exactly_where_rows_have_rowids() {
    for (_, shape) in shapes() {
        let mut blobs = MapBlobs::new();
        let rows = rows(&shape, 3, &mut Random(22));
        let mut root = build(&shape, &rows, &mut blobs).unwrap();
        assert!(damage_in(&blobs, &shape, &root).is_empty());
        root.first_rowid = root.first_rowid.xor(Some(5));
        assert_eq!(damage_in(&blobs, &shape, &root)[0].0, root.id);
    }
}

#[test]
fn leaves_in_another_order_are_found() {
    for at in 0..3 {
        let mut tree = tree(at);
        tree.node.children.swap(1, 2);
        assert!(!tree.forged().is_empty());
    }
}

/// A leaf whose rows are in the wrong order, under a node that says the truth about it.
#[test]
fn rows_in_another_order_are_found() {
    let mut tree = tree(2);
    let (from, count) = tree.place_of(1);
    let (from, count) = (
        usize::try_from(from).unwrap(),
        usize::try_from(count).unwrap(),
    );
    tree.rows.swap(from, from + 1);
    let mut builder = LeafBuilder::new(4);
    for (rowid, values) in &tree.rows[from..from + count] {
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: *rowid,
            values: &values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    tree.node.children[1].id = tree.blobs.put(BlobKind::Leaf, &canonical).unwrap();
    assert_names_leaf("rows swapped", 1, tree);
}

/// Spans of another kind would switch off the checks of order: a key tree must say its keys.
#[test]
fn spans_of_another_kind_are_found() {
    for at in 0..4 {
        let kinds = [
            Span::Place,
            Span::Key(NodeKey::new(StoreHash::unkeyed(), &[0])),
            Span::Rowids { first: 0, last: 0 },
        ];
        for span in kinds {
            let mut tree = tree(at);
            let same = std::mem::discriminant(&span)
                == std::mem::discriminant(&tree.node.children[0].span);
            if same {
                continue;
            }
            tree.node
                .children
                .iter_mut()
                .for_each(|c: &mut Child| c.span = span.clone());
            if at < 2 {
                tree.root.first_rowid = None;
            } else if matches!(span, Span::Rowids { .. }) {
                tree.root.first_rowid = Some(0);
            }
            let is_place = tree.shape.order == Order::Place;
            let found = tree.forged();
            assert!(!found.is_empty(), "{at} {span:?} {is_place}");
        }
    }
}

/// The length in the row is a promise: a chunk tree of another length is damage for every reader.
#[test]
fn a_large_value_of_another_length_is_damage() {
    let mut blobs = MapBlobs::new();
    let good = spill(&Random(21).bytes(20 << 20), &mut blobs);
    assert_eq!(good.level, 1);
    let mut node = ChunkNode::decode(&blobs.get(BlobKind::ChunkNode, &good.root).unwrap()).unwrap();
    let piece = node.pieces.pop().unwrap();
    node.pieces.extend([piece, piece]);
    let mut bad = good;
    bad.root = blobs.put(BlobKind::ChunkNode, &node.encode()).unwrap();
    let walked = large::walk(&blobs, &bad, &mut |_, _| Ok(true), &mut |_| Ok(()));
    assert_eq!(walked.unwrap_err().id, bad.root);
    let mut reader = large::LargeReader::new(&blobs, &bad);
    assert!(std::io::copy(&mut reader, &mut std::io::sink()).is_err());
    assert_eq!(reader.failure.unwrap().why, BlobErrorKind::Damaged);
}
