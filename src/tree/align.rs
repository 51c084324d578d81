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

/// Finds the rows that the new leaf has of the old ones, which lie one behind the other. Runs rise
/// in both, and none goes over the border of two old leaves.
pub(super) fn align(
    old_shape: &TreeShape,
    old: &[PlacedLeaf],
    new_shape: &TreeShape,
    new: &PlacedLeaf,
    columns: &[Option<usize>],
    hash: StoreHash,
) -> Vec<Kept> {
    let mut kept = Runs::new(old);
    match (&old_shape.order, &new_shape.order) {
        (Order::RowidAlias, Order::RowidAlias) => by_rowid(old, new, &mut kept),
        (Order::Key(_), Order::Key(_)) => {
            let new = keys(new_shape, std::slice::from_ref(new));
            by_key(&keys(old_shape, old), &new, &mut kept);
        }
        _ => by_content(old, new, columns, hash, &mut kept),
    }
    kept.runs
}

/// Pairs of rows, joined to runs.
struct Runs {
    runs: Vec<Kept>,
    /// Where old leaves begin.
    borders: Vec<usize>,
}

impl Runs {
    fn new(old: &[PlacedLeaf]) -> Self {
        let mut at = 0;
        let borders = old.iter().map(|old| {
            at += old.leaf.rows();
            at
        });
        Self {
            borders: borders.collect(),
            runs: Vec::new(),
        }
    }

    fn push(&mut self, base: usize, result: usize) {
        match self.runs.last_mut() {
            Some(last)
                if last.base + last.rows == base
                    && last.result + last.rows == result
                    && !self.borders.contains(&base) =>
            {
                last.rows += 1;
            }
            _ => self.runs.push(Kept {
                base,
                result,
                rows: 1,
            }),
        }
    }
}

/// The canonical keys of all rows.
fn keys(shape: &TreeShape, leaves: &[PlacedLeaf]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for leaf in leaves {
        let mut values = Vec::new();
        for row in 0..leaf.leaf.rows() {
            let rowid = leaf.row(row, &mut values);
            let row = RowRef {
                rowid,
                values: &values,
            };
            let mut key = Vec::new();
            key_canonical(shape.key_values(row), &mut key);
            keys.push(key);
        }
    }
    keys
}

fn by_rowid(old: &[PlacedLeaf], new: &PlacedLeaf, kept: &mut Runs) {
    let rowids = old
        .iter()
        .flat_map(|old| (0..old.leaf.rows()).map(|row| old.rowid(row)));
    let mut b = 0;
    for (a, rowid) in rowids.enumerate() {
        while b < new.leaf.rows() && new.rowid(b) < rowid {
            b += 1;
        }
        if b < new.leaf.rows() && new.rowid(b) == rowid {
            kept.push(a, b);
            b += 1;
        }
    }
}

/// Keys are unique within a tree, and in the same order in all leaves.
fn by_key(old: &[Vec<u8>], new: &[Vec<u8>], kept: &mut Runs) {
    let places: HashMap<&[u8], usize> = old
        .iter()
        .enumerate()
        .map(|(at, key)| (&key[..], at))
        .collect();
    let mut next = 0;
    for (b, key) in new.iter().enumerate() {
        // Where a collation was changed, the order may be another: it decides.
        if let Some(&a) = places.get(&key[..]).filter(|a| **a >= next) {
            kept.push(a, b);
            next = a + 1;
        }
    }
}

/// By content; rows between two that are equal are taken for changed ones, one by one.
fn by_content(
    old: &[PlacedLeaf],
    new: &PlacedLeaf,
    columns: &[Option<usize>],
    hash: StoreHash,
    kept: &mut Runs,
) {
    let pairs: Vec<(usize, usize)> = (0..)
        .zip(columns)
        .filter_map(|(at, old)| Some(((*old)?, at)))
        .collect();
    let digests = |leaves: &[PlacedLeaf], at: fn(&(usize, usize)) -> usize| {
        let mut bytes = Vec::new();
        let rows = leaves
            .iter()
            .flat_map(|leaf| (0..leaf.leaf.rows()).map(move |row| (leaf, row)));
        rows.map(|(leaf, row)| {
            let values = pairs.iter().map(|pair| leaf.leaf.value(row, at(pair)));
            key_canonical(values, &mut bytes);
            hash.split_digest(&bytes)
        })
        .collect::<Vec<SplitDigest>>()
    };
    let old = digests(old, |pair| pair.0);
    let new = digests(std::slice::from_ref(new), |pair| pair.1);
    let known: HashSet<&SplitDigest> = old.iter().collect();
    if !new.iter().any(|row| known.contains(row)) {
        // Where no row is equal there is nothing to find, at great cost.
        (0..old.len().min(new.len())).for_each(|row| kept.push(row, row));
        return;
    }
    for op in similar::capture_diff_slices(similar::Algorithm::Patience, &old, &new) {
        let (base, result) = (op.old_range(), op.new_range());
        base.zip(result).for_each(|(a, b)| kept.push(a, b));
    }
}
