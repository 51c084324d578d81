//! A tree built beside its parent's is the tree that is built without it; every delta on the way
//! gives back its blob, and what did not change is neither read, stored nor asked for.

use std::cell::RefCell;

use larder::format::blob::{BlobError, BlobKind, BlobSink, BlobSource, Patch, Replaced};
use larder::format::delta::{Chain, DELTA_BASES_MAX};
use larder::model::id::BlobId;
use larder::model::value::Value;
use larder::testkit::blobs::MapBlobs;
use larder::tree::build::TreeBuilder;
use larder::tree::parent::ParentWalk;
use larder::tree::split::LeafWeights;
use larder::tree::{Order, Root, TreeShape};

use crate::sandbox::{scale, seed};
use crate::tree_damage::damage_in;
use crate::tree_rows::{Random, Row, arrange, push_all, rows, shapes, values};

/// Small leaves: a few thousand rows make a tree of three levels.
const WEIGHTS: LeafWeights = LeafWeights::of_target(2048);

/// The parent's blobs, and a log of what is read of them.
struct Old<'a> {
    blobs: &'a MapBlobs,
    read: RefCell<Vec<(BlobKind, BlobId)>>,
}

impl BlobSource for Old<'_> {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.read.borrow_mut().push((kind, *id));
        self.blobs.get(kind, id)
    }
}

/// Takes blobs, counts how they come, and applies every delta.
struct Counting<'a> {
    old: &'a MapBlobs,
    new: MapBlobs,
    put: Vec<BlobKind>,
    kept: Vec<BlobKind>,
    /// Kind and number of bases of every delta.
    deltas: Vec<(BlobKind, usize)>,
    delta_bytes: usize,
}

impl BlobSink for Counting<'_> {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        self.put.push(kind);
        self.new.put(kind, canonical)
    }

    fn keep(&mut self, kind: BlobKind, id: &BlobId, canonical: &[u8]) -> Result<(), BlobError> {
        self.kept.push(kind);
        assert!(self.old.get(kind, id).unwrap() == canonical);
        self.new.put(kind, canonical).map(|_| ())
    }

    fn replace(
        &mut self,
        kind: BlobKind,
        canonical: &[u8],
        bases: &[BlobId],
        patch: &mut dyn FnMut() -> Result<Option<Patch>, BlobError>,
    ) -> Result<Replaced, BlobError> {
        let most = if kind == BlobKind::Leaf {
            DELTA_BASES_MAX
        } else {
            1
        };
        assert!((1..=most).contains(&bases.len()), "{bases:?}");
        let Some(patch) = patch()? else {
            let id = self.put(kind, canonical)?;
            return Ok(Replaced {
                id,
                as_delta: false,
            });
        };
        let known = bases.iter().map(|id| self.old.get(kind, id).unwrap());
        assert!(known.eq(patch.bases.iter().cloned()));
        let bytes = canonical.len() as u64;
        let mut chain = Chain::begin(kind, patch.bases[0].clone()).unwrap();
        chain.apply(&patch.bases[1..], &patch.delta, bytes).unwrap();
        assert!(chain.finish(bytes).unwrap() == canonical);
        self.deltas.push((kind, bases.len()));
        self.delta_bytes += patch.delta.len();
        let id = self.new.put(kind, canonical)?;
        Ok(Replaced { id, as_delta: true })
    }
}

fn alone(shape: &TreeShape, rows: &[Row]) -> (Option<Root>, MapBlobs) {
    let mut blobs = MapBlobs::new();
    let builder = TreeBuilder::with_weights(shape, blobs.hash(), WEIGHTS);
    (push_all(builder, rows, &mut blobs), blobs)
}

/// Builds rows beside a parent; gives what was read of it.
fn beside<'a>(
    old: (&TreeShape, Option<&Root>, &'a MapBlobs),
    shape: &TreeShape,
    columns: Vec<Option<usize>>,
    rows: &[Row],
) -> (Option<Root>, Counting<'a>, Vec<(BlobKind, BlobId)>) {
    let (old_shape, root, blobs) = old;
    let source = Old {
        blobs,
        read: RefCell::default(),
    };
    let mut sink = Counting {
        old: blobs,
        new: MapBlobs::new(),
        put: Vec::new(),
        kept: Vec::new(),
        deltas: Vec::new(),
        delta_bytes: 0,
    };
    let walk = ParentWalk::new(&source, old_shape.clone(), root, columns);
    let builder = TreeBuilder::with_weights(shape, blobs.hash(), WEIGHTS).beside(walk);
    let root = push_all(builder, rows, &mut sink);
    (root, sink, source.read.into_inner())
}

/// Rows with room between their rowids.
fn spaced(shape: &TreeShape, count: usize, random: &mut Random) -> Vec<Row> {
    let mut rows = rows(shape, count, random);
    rows.iter_mut()
        .for_each(|row| row.0 = row.0.map(|rowid| rowid * 10));
    rows
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end.max(1) as u64)).unwrap()
}

/// Changes rows in one of many ways, or columns. Keys stay in columns 0 to 2.
fn edit(
    shape: &mut TreeShape,
    rows: &mut Vec<Row>,
    random: &mut Random,
) -> (&'static str, Vec<Option<usize>>) {
    let mut columns: Vec<Option<usize>> = (0..shape.columns).map(Some).collect();
    let what = match random.below(5) {
        0 if shape.columns > 4 && random.below(2) == 0 => {
            rows.iter_mut().for_each(|row| drop(row.1.remove(3)));
            columns.remove(3);
            shape.columns -= 1;
            "a column is dropped"
        }
        0 => {
            let same = random.below(2) == 0;
            for (at, row) in (0..).zip(rows.iter_mut()) {
                row.1.push(Value::Integer(if same { 7 } else { at }));
            }
            shape.columns += 1;
            columns.push(None);
            "a column is added"
        }
        _ => edit_rows(shape, rows, random),
    };
    arrange(shape, rows);
    (what, columns)
}

fn edit_rows(shape: &TreeShape, rows: &mut Vec<Row>, random: &mut Random) -> &'static str {
    let len = rows.len();
    let (a, b) = (below(random, len), below(random, len));
    let (from, to) = (a.min(b), a.max(b));
    match random.below(9) {
        0 => {
            rows.drain(from..to.min(from + 400));
            "a range is deleted"
        }
        1 => {
            for at in 0..1 + random.below(200) {
                let mut new = values(random);
                new.resize(shape.columns, Value::Integer(at.cast_signed()));
                let rowid = random.below(40_000).cast_signed();
                let place = below(random, rows.len());
                rows.insert(place, (shape.has_rowids().then_some(rowid), new));
            }
            "rows are inserted"
        }
        2 | 3 => {
            for _ in 0..1 + random.below(5) {
                let at = below(random, len);
                if let Some(row) = rows.get_mut(at) {
                    row.1[3] = Value::Integer(random.next().cast_signed());
                }
            }
            "cells are changed"
        }
        4 => {
            for row in rows.iter_mut().skip(from).take(300) {
                row.1[3] = Value::Text(vec![b'z'; 150]);
            }
            "a range is changed"
        }
        5 => {
            rows.iter_mut().for_each(|row| row.1[3] = Value::Null);
            "a column is changed"
        }
        6 if shape.has_rowids() => {
            let numbered = (1..).zip(rows.iter_mut());
            numbered.for_each(|(at, row)| row.0 = Some(at));
            "rows are renumbered"
        }
        6 | 7 => {
            for row in rows.iter_mut().skip(from).take(50) {
                row.1[0] = Value::Integer(random.below(1000).cast_signed());
                row.0 = row.0.map(|rowid| rowid + 3);
            }
            "keys are changed"
        }
        _ => {
            rows.truncate(from.max(len / 2));
            "the end is cut off"
        }
    }
}

#[test]
fn a_tree_built_beside_any_other_is_the_same() {
    let mut deltas: Vec<(BlobKind, usize)> = Vec::new();
    for case in 0..8 * scale() as u64 {
        let mut random = Random(seed().wrapping_add(case));
        let (name, mut shape) = shapes().swap_remove((case % 4) as usize);
        let count = 1200 + usize::try_from(random.below(1200)).unwrap();
        let mut rows = spaced(&shape, count, &mut random);
        let (mut root, mut blobs) = alone(&shape, &rows);
        for step in 0..6 {
            let old_shape = shape.clone();
            let (what, columns) = edit(&mut shape, &mut rows, &mut random);
            let what = format!("case {case}, {name}, step {step}: {what}");
            let (expected, whole) = alone(&shape, &rows);
            let old = (&old_shape, root.as_ref(), &blobs);
            let (made, sink, _) = beside(old, &shape, columns, &rows);
            assert_eq!(made, expected, "{what}");
            for kind in [BlobKind::Leaf, BlobKind::Node] {
                assert_eq!(sink.new.ids(kind), whole.ids(kind), "{what}");
            }
            if let Some(root) = &made {
                assert!(damage_in(&sink.new, &shape, root).is_empty(), "{what}");
            }
            deltas.extend(&sink.deltas);
            (root, blobs) = (made, whole);
        }
    }
    for bases in 1..=DELTA_BASES_MAX {
        let found = deltas
            .iter()
            .filter(|d| **d == (BlobKind::Leaf, bases))
            .count();
        assert!(found > 0, "no leaf on {bases} bases");
    }
    assert!(deltas.contains(&(BlobKind::Node, 1)));
}

#[test]
fn an_unchanged_leaf_is_neither_read_nor_stored_nor_asked_for() {
    for (name, shape) in shapes() {
        let mut rows = spaced(&shape, 3000, &mut Random(40));
        let (root, blobs) = alone(&shape, &rows);
        let height = usize::from(root.as_ref().unwrap().level);
        assert!(height >= 2, "{name}: {height}");
        let same: Vec<_> = (0..4).map(Some).collect();
        let old = (&shape, root.as_ref(), &blobs);
        let (again, sink, read) = beside(old, &shape, same.clone(), &rows);
        assert_eq!(again, root);
        assert!(sink.put.is_empty() && sink.deltas.is_empty(), "{name}");
        assert_eq!(sink.kept.len(), blobs.len(), "{name}");
        assert!(
            read.iter().all(|(kind, _)| *kind == BlobKind::Node),
            "{name}"
        );
        // One cell: a leaf and the nodes above it.
        rows[1500].1[3] = Value::Null;
        let (changed, sink, read) = beside(old, &shape, same, &rows);
        assert_ne!(changed, root);
        let (expected, whole) = alone(&shape, &rows);
        assert_eq!(changed, expected);
        let new = |kind| whole.ids(kind).difference(&blobs.ids(kind)).count();
        let (leaves, nodes) = (new(BlobKind::Leaf), new(BlobKind::Node));
        // The last cell is part of what splits a leaf where there is no key.
        let has_key = matches!(shape.order, Order::RowidAlias | Order::Key(_));
        assert!(
            !has_key || (leaves, nodes) == (1, height),
            "{name}: {leaves}, {nodes}"
        );
        assert!(sink.put.is_empty(), "{name}: {:?}", sink.put);
        assert_eq!(sink.deltas.len(), leaves + nodes, "{name}");
        assert_eq!(sink.kept.len(), whole.len() - leaves - nodes, "{name}");
        let leaves_read = read
            .iter()
            .filter(|(kind, _)| *kind == BlobKind::Leaf)
            .count();
        assert!(leaves_read <= 2 * leaves, "{name}: {leaves_read}");
        assert!(
            sink.delta_bytes < 150 * (leaves + nodes),
            "{name}: {}",
            sink.delta_bytes
        );
    }
}

/// Damage in the parent's tree, wherever it is: the new tree is the same.
#[test]
fn a_damaged_parent_changes_nothing_but_the_cost() {
    for (name, shape) in shapes() {
        let mut rows = spaced(&shape, 1500, &mut Random(41));
        let (root, blobs) = alone(&shape, &rows);
        rows.iter_mut()
            .step_by(100)
            .for_each(|row| row.1[3] = Value::Null);
        let (expected, _) = alone(&shape, &rows);
        let mut all: Vec<_> = blobs.iter().map(|(kind, id, _)| (kind, id)).collect();
        all.sort_unstable();
        for (kind, id) in all.into_iter().step_by(40 / scale().min(40)) {
            for gone in [true, false] {
                let mut damaged = blobs.clone();
                match gone {
                    true => drop(damaged.remove(kind, &id)),
                    false => damaged.damage(kind, &id, b"noise".to_vec()),
                }
                let mut sink = MapBlobs::new();
                let same = (0..4).map(Some).collect();
                let walk = ParentWalk::new(&damaged, shape.clone(), root.as_ref(), same);
                let builder = TreeBuilder::with_weights(&shape, sink.hash(), WEIGHTS).beside(walk);
                let made = push_all(builder, &rows, &mut sink);
                assert_eq!(made, expected, "{name}: {} {id}", kind.name());
                assert!(
                    damage_in(&sink, &shape, &made.unwrap()).is_empty(),
                    "{name}"
                );
            }
        }
    }
}
