//! Which rows of a leaf are the records of an older leaf: what a delta keeps.
//!
//! Rows are the same by rowid alias or key; where a table has neither, by content, in order.

use std::collections::HashMap;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

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
            let new = Keys::of(new_shape, std::slice::from_ref(new));
            by_key(&Keys::of(old_shape, old), &new, &mut kept);
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

/// The canonical keys of rows, one behind the other.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Keys {
    /// Of all rows of leaves.
    fn of(shape: &TreeShape, leaves: &[PlacedLeaf]) -> Self {
        let mut keys = Self::default();
        let (mut values, mut key) = (Vec::new(), Vec::new());
        for leaf in leaves {
            for row in 0..leaf.leaf.rows() {
                let rowid = leaf.row(row, &mut values);
                let row = RowRef {
                    rowid,
                    values: &values,
                };
                key_canonical(shape.key_values(row), &mut key);
                keys.bytes.extend_from_slice(&key);
                keys.ends.push(keys.bytes.len());
            }
        }
        keys
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
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
fn by_key(old: &Keys, new: &Keys, kept: &mut Runs) {
    // Most often rows were changed, and no keys came or went.
    let shorter = old.count().min(new.count());
    let begin = (0..shorter).take_while(|at| old.get(*at) == new.get(*at));
    let begin = begin.count();
    let from_end =
        |back: &usize| old.get(old.count() - 1 - back) == new.get(new.count() - 1 - back);
    let end = (0..shorter - begin).take_while(from_end).count();
    let (old_end, new_end) = (old.count() - end, new.count() - end);
    (0..begin).for_each(|at| kept.push(at, at));
    let places: HashMap<&[u8], usize> = (begin..old_end).map(|at| (old.get(at), at)).collect();
    let mut next = begin;
    for b in begin..new_end {
        // Where a collation was changed, the order may be another: it decides.
        if let Some(&a) = places.get(new.get(b)).filter(|a| **a >= next) {
            kept.push(a, b);
            next = a + 1;
        }
    }
    (0..end).for_each(|at| kept.push(old_end + at, new_end + at));
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
    let (mut a, mut b) = (0, 0);
    let ends = (old.len(), new.len());
    for (changed_old, changed_new) in changed(old, new).chain([(ends.0..ends.0, ends.1..ends.1)]) {
        // What is equal up to there, then what stands between.
        (a..changed_old.start)
            .zip(b..changed_new.start)
            .for_each(|(a, b)| kept.push(a, b));
        (a, b) = (changed_old.end, changed_new.end);
        changed_old
            .zip(changed_new)
            .for_each(|(a, b)| kept.push(a, b));
    }
}

/// Where two sequences differ, in both. The time it takes is bounded however different they are: the algorithm gives up
/// the least number of changes for that.
fn changed(
    old: Vec<SplitDigest>,
    new: Vec<SplitDigest>,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let mut rows = InternedInput::default();
    rows.update_before(old.into_iter());
    rows.update_after(new.into_iter());
    let diff = Diff::compute(Algorithm::Histogram, &rows);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunks: Vec<_> = diff
        .hunks()
        .map(|hunk| (range(hunk.before), range(hunk.after)))
        .collect();
    hunks.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(all: &[Vec<u8>]) -> Keys {
        let mut keys = Keys::default();
        for key in all {
            keys.bytes.extend_from_slice(key);
            keys.ends.push(keys.bytes.len());
        }
        keys
    }

    fn runs() -> Runs {
        Runs {
            runs: Vec::new(),
            borders: Vec::new(),
        }
    }

    fn pairs(runs: &Runs) -> Vec<(usize, usize)> {
        let of_run = |run: &Kept| (run.base..run.base + run.rows).zip(run.result..);
        runs.runs.iter().flat_map(of_run).collect()
    }

    fn digest(number: u64) -> SplitDigest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest
    }

    proptest! {
        /// Every key that is in both, in one order, is paired with itself.
        #[test]
        fn keys_in_one_order_are_all_paired(
            old in prop::collection::btree_set(prop::collection::vec(0..3_u8, 0..4), 0..40),
            new in prop::collection::btree_set(prop::collection::vec(0..3_u8, 0..4), 0..40),
        ) {
            let (old, new): (Vec<_>, Vec<_>) = (old.into_iter().collect(), new.into_iter().collect());
            let mut kept = runs();
            by_key(&keys(&old), &keys(&new), &mut kept);
            let place = |key: &Vec<u8>| old.iter().position(|other| other == key);
            let expected: Vec<_> = (0..).zip(&new).filter_map(|(b, key)| Some((place(key)?, b))).collect();
            prop_assert_eq!(pairs(&kept), expected);
        }

        /// What is not said to differ is equal, and comes in order.
        #[test]
        fn between_changes_rows_are_equal(
            old in prop::collection::vec(0..9_u64, 0..60),
            new in prop::collection::vec(0..9_u64, 0..60),
        ) {
            let of = |rows: &[u64]| rows.iter().map(|row| digest(*row)).collect::<Vec<_>>();
            let (mut a, mut b) = (0, 0);
            let end = (old.len()..old.len(), new.len()..new.len());
            for (changed_old, changed_new) in changed(of(&old), of(&new)).chain([end]) {
                prop_assert!(a <= changed_old.start && b <= changed_new.start);
                prop_assert_eq!(&old[a..changed_old.start], &new[b..changed_new.start]);
                (a, b) = (changed_old.end, changed_new.end);
            }
            prop_assert_eq!((a, b), (old.len(), new.len()));
        }
    }

    /// With an algorithm that looks for the least number of changes this takes minutes.
    #[test]
    fn of_many_rows_that_differ_the_one_that_is_equal_is_found() {
        let rows = 200_000;
        let old = (0..rows).map(|row| digest(row * 2)).collect();
        let new = (0..rows).map(|row| digest(row * 2 + u64::from(row != 777)));
        let changed: Vec<_> = changed(old, new.collect()).collect();
        let rest = 778..200_000;
        assert_eq!(changed, [(0..777, 0..777), (rest.clone(), rest)]);
    }
}
