//! Which rows of a leaf are the records of an older leaf: what a delta keeps.
//!
//! Rows are the same by rowid alias or key; where a table has neither, by content, in order.

use std::collections::{HashMap, HashSet};

use super::cursor::PlacedLeaf;
use super::{Order, TreeShape};
use crate::codec::hash::{SplitDigest, StoreHash};
use crate::format::delta::Kept;
use crate::format::node::key_canonical;
use crate::model::row::RowRef;

/// Finds the rows that both leaves have. Runs rise in both.
pub(super) fn align(
    old_shape: &TreeShape,
    old: &PlacedLeaf,
    new_shape: &TreeShape,
    new: &PlacedLeaf,
    columns: &[Option<usize>],
    hash: StoreHash,
) -> Vec<Kept> {
    match (&old_shape.order, &new_shape.order) {
        (Order::RowidAlias, Order::RowidAlias) => by_rowid(old, new),
        (Order::Key(_), Order::Key(_)) => {
            let keys = |shape: &TreeShape, leaf: &PlacedLeaf| {
                let mut values = Vec::new();
                (0..leaf.leaf.rows())
                    .map(|row| {
                        let rowid = leaf.row(row, &mut values);
                        let row = RowRef {
                            rowid,
                            values: &values,
                        };
                        let mut key = Vec::new();
                        key_canonical(shape.key_values(row), &mut key);
                        key
                    })
                    .collect::<Vec<_>>()
            };
            by_key(&keys(old_shape, old), &keys(new_shape, new))
        }
        _ => by_content(old, new, columns, hash),
    }
}

/// Appends a pair of rows to the last run, or begins another.
fn push(kept: &mut Vec<Kept>, base: usize, result: usize) {
    match kept.last_mut() {
        Some(last) if last.base + last.rows == base && last.result + last.rows == result => {
            last.rows += 1;
        }
        _ => kept.push(Kept {
            base,
            result,
            rows: 1,
        }),
    }
}

fn by_rowid(old: &PlacedLeaf, new: &PlacedLeaf) -> Vec<Kept> {
    let mut kept = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < old.leaf.rows() && b < new.leaf.rows() {
        match old.rowid(a).cmp(&new.rowid(b)) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => {
                push(&mut kept, a, b);
                (a, b) = (a + 1, b + 1);
            }
        }
    }
    kept
}

/// Keys are unique within a tree, and in the same order in both leaves.
fn by_key(old: &[Vec<u8>], new: &[Vec<u8>]) -> Vec<Kept> {
    let places: HashMap<&[u8], usize> = old
        .iter()
        .enumerate()
        .map(|(at, key)| (&key[..], at))
        .collect();
    let mut kept: Vec<Kept> = Vec::new();
    let mut next = 0;
    for (b, key) in new.iter().enumerate() {
        // A key may have moved where its collation ignores what differs: order decides.
        if let Some(&a) = places.get(&key[..]).filter(|a| **a >= next) {
            push(&mut kept, a, b);
            next = a + 1;
        }
    }
    kept
}

/// By content; rows between two that are equal are taken for changed ones, one by one.
fn by_content(
    old: &PlacedLeaf,
    new: &PlacedLeaf,
    columns: &[Option<usize>],
    hash: StoreHash,
) -> Vec<Kept> {
    let pairs: Vec<(usize, usize)> = (0..)
        .zip(columns)
        .filter_map(|(at, old)| Some(((*old)?, at)))
        .collect();
    let digests = |leaf: &PlacedLeaf, at: fn(&(usize, usize)) -> usize| {
        let mut bytes = Vec::new();
        (0..leaf.leaf.rows())
            .map(|row| {
                let values = pairs.iter().map(|pair| leaf.leaf.value(row, at(pair)));
                key_canonical(values, &mut bytes);
                hash.split_digest(&bytes)
            })
            .collect::<Vec<SplitDigest>>()
    };
    let (old, new) = (digests(old, |pair| pair.0), digests(new, |pair| pair.1));
    let mut kept = Vec::new();
    let known: HashSet<&SplitDigest> = old.iter().collect();
    if !new.iter().any(|row| known.contains(row)) {
        // Where no row is equal there is nothing to find, at great cost.
        (0..old.len().min(new.len())).for_each(|row| push(&mut kept, row, row));
        return kept;
    }
    for op in similar::capture_diff_slices(similar::Algorithm::Patience, &old, &new) {
        let (base, result) = (op.old_range(), op.new_range());
        base.zip(result).for_each(|(a, b)| push(&mut kept, a, b));
    }
    kept
}
