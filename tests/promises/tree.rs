//! Equal tables have equal roots, an edit costs its neighbourhood, and differences are counted right.

use std::collections::HashMap;

use larder::format::blob::{BlobError, BlobKind};
use larder::format::chunk::{CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, CHUNK_TARGET_BYTES};
use larder::format::manifest::Changes;
use larder::format::node::key_canonical;
use larder::model::text::TextEncoding;
use larder::model::value::{SPILL_BYTES_OVER, Value, ValueRef};
use larder::testkit::blobs::MapBlobs;
use larder::tree::cursor::Cursor;
use larder::tree::diff::{self, State};
use larder::tree::{Order, Root, TreeShape, large};
use proptest::prelude::*;

use super::tree_damage::damage_in;
use super::tree_rows::*;

fn rows_in(blobs: &MapBlobs, shape: &TreeShape, root: Option<&Root>) -> Vec<Row> {
    let mut out = Vec::new();
    let mut take = |row: larder::model::row::RowRef<'_>| {
        out.push((
            row.rowid,
            row.values.iter().map(|v| ValueRef::to_owned(*v)).collect(),
        ));
        Ok::<_, BlobError>(())
    };
    Cursor::new(blobs, shape, root).for_each(&mut take).unwrap();
    out
}

/// Rows come back as pushed; a second build over a store that has other trees gives the same root.
#[test]
fn equal_tables_have_equal_roots_and_their_rows_come_back() {
    for (name, shape) in shapes() {
        for (seed, count) in [(1, 0), (2, 1), (3, 2), (4, 700), (5, 3000)] {
            let rows = rows(&shape, count, &mut Random(seed));
            let mut blobs = MapBlobs::new();
            let root = build(&shape, &rows, &mut blobs);
            assert_eq!(root.is_some(), !rows.is_empty());
            assert_eq!(root.as_ref().map_or(0, |r| r.rows), rows.len() as u64);
            assert!(
                rows_in(&blobs, &shape, root.as_ref()) == rows,
                "{name} {count}"
            );
            let before = blobs.len();
            build(&shape, &rows[rows.len() / 3..], &mut blobs);
            assert_eq!(build(&shape, &rows, &mut blobs), root, "{name} {count}");
            assert!(blobs.len() >= before);
            if let Some(root) = root {
                assert!(
                    damage_in(&blobs, &shape, &root).is_empty(),
                    "{name} {count}"
                );
            }
        }
    }
}

/// VACUUM renumbers rowids that no column holds: only leaves that had gaps change.
#[test]
fn renumbered_rowids_leave_the_leaves_as_they_are() {
    let (_, shape) = shapes().swap_remove(1);
    let mut rows = rows(&shape, 5000, &mut Random(6));
    (0..)
        .zip(&mut rows)
        .for_each(|(at, row)| row.0 = Some(1_000 + at));
    let mut blobs = MapBlobs::new();
    build(&shape, &rows, &mut blobs);
    let leaves = blobs.ids(BlobKind::Leaf);
    (1..).zip(&mut rows).for_each(|(at, row)| row.0 = Some(at));
    build(&shape, &rows, &mut blobs);
    assert_eq!(blobs.ids(BlobKind::Leaf), leaves);
}

/// 300,000 rows of one text: three levels, nothing lost on the way.
#[test]
fn high_trees_hold_together() {
    let order = Order::RowidAlias;
    let shape = TreeShape {
        columns: 1,
        order,
        encoding: TextEncoding::Utf8,
    };
    let rows: Vec<Row> = (0..300_000_i64)
        .map(|n| {
            (
                Some(n * 3),
                vec![Value::Text(format!("{n:0120}").into_bytes())],
            )
        })
        .collect();
    let mut blobs = MapBlobs::new();
    let root = build(&shape, &rows, &mut blobs).unwrap();
    assert!(root.level >= 2, "level {}", root.level);
    assert_eq!(root.first_rowid, Some(0));
    assert!(damage_in(&blobs, &shape, &root).is_empty());
    assert!(rows_in(&blobs, &shape, Some(&root)) == rows);
    let mut other = rows.clone();
    other[150_000].1[0] = Value::Null;
    other.remove(7);
    let changed = build(&shape, &other, &mut blobs).unwrap();
    let count = Changes {
        added: 0,
        changed: 1,
        removed: 1,
    };
    assert_eq!(differ(&blobs, &shape, Some(&root), Some(&changed)), count);
}

fn differ(blobs: &MapBlobs, shape: &TreeShape, a: Option<&Root>, b: Option<&Root>) -> Changes {
    let state = |root| State {
        shape,
        root,
        key: &[],
    };
    diff::count(blobs, blobs.hash(), state(a), state(b)).unwrap()
}

/// What SQLite takes for one key, as text.
fn key_text(shape: &TreeShape, row: &Row) -> String {
    let Order::Key(parts) = &shape.order else {
        return format!("{:?}", row.0);
    };
    let part = |at: usize| match (&row.1[at], at) {
        (Value::Real(r), _) if r.fract() == 0.0 => format!("number {r:.0}"),
        (Value::Integer(n), _) => format!("number {n}"),
        // NOCASE: two texts alike up to a NUL differ by length alone.
        (Value::Text(t), 2) => {
            let text = t.to_ascii_lowercase();
            let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
            format!("{:?} {}", &text[..end], text.len())
        }
        (Value::Text(t), 1) => String::from_utf8_lossy(t).trim_end_matches(' ').to_owned(),
        (value, _) => format!("{value:?}"),
    };
    parts.iter().map(|p| part(p.at) + "\n").collect()
}

fn canonical(row: &Row) -> Vec<u8> {
    let mut out = Vec::new();
    key_canonical(row.1.iter().map(Value::as_ref), &mut out);
    out
}

/// The difference, counted without a tree.
fn naive(shape: &TreeShape, before: &[Row], after: &[Row]) -> Changes {
    let mut changes = Changes::default();
    if matches!(shape.order, Order::RowidHidden | Order::Place) {
        let mut balance: HashMap<Vec<u8>, i64> = HashMap::new();
        before
            .iter()
            .for_each(|r| *balance.entry(canonical(r)).or_default() -= 1);
        after
            .iter()
            .for_each(|r| *balance.entry(canonical(r)).or_default() += 1);
        for count in balance.into_values() {
            changes.added += count.max(0).unsigned_abs();
            changes.removed += count.min(0).unsigned_abs();
        }
        return changes;
    }
    let mut old: HashMap<String, Vec<u8>> = before
        .iter()
        .map(|r| (key_text(shape, r), canonical(r)))
        .collect();
    for row in after {
        match old.remove(&key_text(shape, row)) {
            None => changes.added += 1,
            Some(bytes) => changes.changed += u64::from(bytes != canonical(row)),
        }
    }
    changes.removed = old.len() as u64;
    changes
}

/// Removes, changes and inserts rows, one in `rarely` each.
fn edit(shape: &TreeShape, rows: &[Row], rarely: u64, random: &mut Random) -> Vec<Row> {
    let mut out = Vec::new();
    for row in rows {
        let mut row = row.clone();
        match random.below(rarely * 3) {
            0 => continue,
            1 => row.1[3] = Value::Integer(random.next().cast_signed()),
            // The same key, written otherwise.
            2 => {
                if let Value::Text(text) = &mut row.1[2] {
                    text.make_ascii_uppercase();
                }
            }
            3 => out.push((row.0.map(|r| r + 100_000), values(random))),
            _ => {}
        }
        out.push(row);
    }
    arrange(shape, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn differences_are_counted_as_if_row_by_row(
        seed in any::<u64>(), at in 0_usize..4, count in 0_usize..2500, rarely in 1_u64..400,
    ) {
        let (_, shape) = shapes().swap_remove(at);
        let mut random = Random(seed);
        let before = rows(&shape, count, &mut random);
        let after = edit(&shape, &before, rarely, &mut random);
        let mut blobs = MapBlobs::new();
        let (a, b) = (build(&shape, &before, &mut blobs), build(&shape, &after, &mut blobs));
        prop_assert_eq!(differ(&blobs, &shape, a.as_ref(), b.as_ref()), naive(&shape, &before, &after));
        prop_assert_eq!(differ(&blobs, &shape, b.as_ref(), a.as_ref()), naive(&shape, &after, &before));
        if let Some(b) = &b {
            prop_assert!(damage_in(&blobs, &shape, b).is_empty());
        }
    }
}

/// 20,000 rows, about 50 leaves or more. `change` edits; returns leaves before, after, and shared.
fn leaves_shared(change: impl FnOnce(&mut Vec<Row>)) -> (usize, usize, usize) {
    let (_, shape) = shapes().swap_remove(0);
    let mut rows = rows(&shape, 20_000, &mut Random(8));
    let mut blobs = MapBlobs::new();
    build(&shape, &rows, &mut blobs);
    let before = blobs.ids(BlobKind::Leaf);
    change(&mut rows);
    let mut changed = MapBlobs::new();
    build(&shape, &rows, &mut changed);
    let after = changed.ids(BlobKind::Leaf);
    (
        before.len(),
        after.len(),
        after.intersection(&before).count(),
    )
}

#[test]
fn an_inserted_or_removed_row_moves_its_neighbours_at_most() {
    for seed in 0..8 {
        let at = usize::try_from(Random(seed).below(19_000)).unwrap();
        let (_, after, shared) = leaves_shared(|rows| {
            if seed % 2 == 0 {
                let rowid = rows[at].0.map(|r| r + 1);
                rows.retain(|row| row.0 != rowid);
                rows.insert(at + 1, (rowid, values(&mut Random(seed))));
            } else {
                rows.remove(at);
            }
        });
        assert!(
            after - shared <= 3,
            "seed {seed}: {} new leaves",
            after - shared
        );
    }
}

#[test]
fn one_row_in_a_hundred_side_by_side_leaves_nine_leaves_in_ten() {
    let (before, after, shared) = leaves_shared(|rows| {
        for row in &mut rows[9_000..9_200] {
            row.1[3] = Value::Text(vec![b'x'; 150]);
        }
    });
    assert!(before >= 30, "{before} leaves");
    assert!(shared * 10 >= after * 9, "{shared} of {after}");
}

/// Rows of another length change leaves, but hardly where they end.
#[test]
fn boundaries_survive_resized_rows() {
    let ends = |rows: &[Row]| {
        let (_, shape) = shapes().swap_remove(0);
        let mut blobs = MapBlobs::new();
        let root = build(&shape, rows, &mut blobs);
        let mut cursor = Cursor::new(&blobs, &shape, root.as_ref());
        let mut ends = Vec::new();
        while let Some(leaf) = cursor.next_leaf().unwrap() {
            ends.extend(leaf.rowid(leaf.leaf.rows() - 1));
        }
        ends
    };
    let (_, shape) = shapes().swap_remove(0);
    let mut rows = rows(&shape, 20_000, &mut Random(9));
    let before = ends(&rows);
    for row in rows.iter_mut().step_by(10) {
        row.1[3] = Value::Text(vec![b'x'; 330]);
    }
    let after = ends(&rows);
    let kept = after.iter().filter(|end| before.contains(end)).count();
    assert!(kept * 10 >= before.len() * 9, "{kept} of {}", before.len());
}

#[test]
fn large_values_stream_back_at_every_length_around_the_limits() {
    let around = [
        SPILL_BYTES_OVER,
        CHUNK_MIN_BYTES as usize,
        CHUNK_TARGET_BYTES as usize,
        CHUNK_MAX_BYTES as usize,
        2 * CHUNK_MAX_BYTES as usize,
    ];
    let content = Random(10).bytes(60 << 20);
    for limit in around {
        for bytes in [limit - 1, limit, limit + 1] {
            assert_large_comes_back(&content[..bytes]);
            assert_large_comes_back(&vec![7; bytes]);
        }
    }
    assert!(
        assert_large_comes_back(&content) >= 2,
        "a chunk tree of two levels"
    );
}

/// Returns the level of its chunk tree.
fn assert_large_comes_back(content: &[u8]) -> u8 {
    let mut blobs = MapBlobs::new();
    let value = spill(content, &mut blobs);
    assert_eq!(value.bytes, content.len() as u64);
    let mut read = Vec::new();
    let mut reader = large::LargeReader::new(&blobs, &value);
    std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
    assert!(read == content, "{} bytes", content.len());
    read.clear();
    let mut take = |chunk: &[u8]| {
        read.extend_from_slice(chunk);
        Ok(())
    };
    large::walk(&blobs, &value, &mut |_, _| Ok(true), &mut take).unwrap();
    assert!(read == content, "{} bytes", content.len());
    value.level
}

#[test]
fn a_changed_place_in_a_large_value_costs_its_chunks_only() {
    let content = Random(11).bytes(30 << 20);
    let mut blobs = MapBlobs::new();
    let first = spill(&content, &mut blobs);
    let before = blobs.ids(BlobKind::Chunk);
    assert_eq!(spill(&content, &mut blobs), first);
    let mut changed = content[..10 << 20].to_vec();
    changed.extend_from_slice(b"some bytes more");
    changed.extend_from_slice(&content[10 << 20..]);
    spill(&changed, &mut blobs);
    let new = blobs.ids(BlobKind::Chunk).difference(&before).count();
    assert!(new <= 4, "{new} new chunks of {}", before.len());
}
