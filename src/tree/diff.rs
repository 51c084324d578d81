//! How many rows differ between two states of a table, without reading what they share.
//!
//! Subtrees of equal id are passed over unread wherever both trees stand at a boundary.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::cursor::{Cursor, PlacedLeaf};
use super::{Order, Root, TreeShape};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobSource};
use crate::format::manifest::Changes;
use crate::format::node::key_canonical;
use crate::model::row::{RowRef, compare_values};
use crate::model::value::ValueRef;

/// One state of a table.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Shape of its tree.
    pub shape: &'a TreeShape,
    /// Its root; `None` without rows.
    pub root: Option<&'a Root>,
    /// Leaf columns of the primary key, where the tree is not ordered by it; else empty.
    pub key: &'a [usize],
}

impl State<'_> {
    fn rows(&self) -> u64 {
        self.root.map_or(0, |root| root.rows)
    }
}

/// Counts the records that differ.
///
/// Records are the same by rowid alias or primary key. Tables without either are multisets of
/// rows: a changed record there counts as one removed and one added. So does one whose key holds
/// NULL, which SQLite allows many times.
pub fn count(
    source: &dyn BlobSource,
    hash: StoreHash,
    before: State<'_>,
    after: State<'_>,
) -> Result<Changes, BlobError> {
    let mut pair = Pair {
        before: Side::new(source, before),
        after: Side::new(source, after),
        changes: Changes::default(),
    };
    match (&before.shape.order, &after.shape.order) {
        (Order::RowidAlias, Order::RowidAlias) => pair.by_key()?,
        (Order::Key(a), Order::Key(b))
            if a == b
                && before.shape.encoding == after.shape.encoding
                && before.shape.order_is_known() =>
        {
            pair.by_key()?;
        }
        (a, b) if a == b => pair.by_content(hash)?,
        // Another kind of key: nothing says which record is which.
        _ => {
            pair.changes = Changes {
                added: after.rows(),
                changed: 0,
                removed: before.rows(),
            };
        }
    }
    Ok(pair.changes)
}

/// A row that differs between two states.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Only the later state has it.
    Added(RowRef<'a>),
    /// Only the earlier state has it.
    Removed(RowRef<'a>),
    /// Both have its key: the earlier row, then the later.
    Changed(RowRef<'a>, RowRef<'a>),
}

/// Calls `visit` for every row that differs, in order: rows are the same by rowid, or by the key of the
/// tree. False, and no call, if the two trees are not ordered by the same.
///
/// A rowid that is no column counts, too: VACUUM may have renumbered it.
pub fn by_place<E: From<BlobError>>(
    source: &dyn BlobSource,
    before: State<'_>,
    after: State<'_>,
    visit: impl FnMut(Change<'_>) -> Result<(), E>,
) -> Result<bool, E> {
    let is_ordered = match (&before.shape.order, &after.shape.order) {
        (Order::Place, _) | (_, Order::Place) => false,
        (Order::Key(_), _) | (_, Order::Key(_)) => {
            before.shape.order == after.shape.order
                && before.shape.encoding == after.shape.encoding
                && before.shape.order_is_known()
        }
        _ => true,
    };
    if is_ordered {
        let mut pair = Pair {
            before: Side::new(source, before),
            after: Side::new(source, after),
            changes: Changes::default(),
        };
        pair.each_by_key(visit)?;
    }
    Ok(is_ordered)
}

/// One tree being read.
struct Side<'a> {
    shape: &'a TreeShape,
    cursor: Cursor<'a>,
    /// The leaf being read, and the next row in it.
    leaf: Option<(PlacedLeaf, usize)>,
    key: &'a [usize],
}

impl<'a> Side<'a> {
    fn new(source: &'a dyn BlobSource, state: State<'a>) -> Self {
        Self {
            shape: state.shape,
            cursor: Cursor::new(source, state.shape, state.root),
            leaf: None,
            key: state.key,
        }
    }

    /// Makes sure that a row is at hand, if any is left.
    fn fill(&mut self) -> Result<(), BlobError> {
        if self
            .leaf
            .as_ref()
            .is_some_and(|(leaf, row)| *row >= leaf.leaf.rows())
        {
            self.leaf = None;
        }
        if self.leaf.is_none() {
            self.leaf = self.cursor.next_leaf()?.map(|leaf| (leaf, 0));
        }
        Ok(())
    }

    /// True between two leaves.
    fn at_boundary(&self) -> bool {
        self.leaf
            .as_ref()
            .is_none_or(|(leaf, row)| *row >= leaf.leaf.rows())
    }

    fn row<'b>(&'b self, values: &mut Vec<ValueRef<'b>>) -> Option<Option<i64>> {
        let (leaf, row) = self.leaf.as_ref()?;
        Some(leaf.row(*row, values))
    }

    fn step(&mut self) {
        if let Some((_, row)) = &mut self.leaf {
            *row += 1;
        }
    }
}

/// Rows held by content before their difference is written off, so that memory stays bounded.
const CONTENT_ROWS_MAX: usize = 500_000;

struct Pair<'a> {
    before: Side<'a>,
    after: Side<'a>,
    changes: Changes,
}

impl Pair<'_> {
    /// Passes over subtrees that both sides share, while both stand at a boundary.
    fn skip_equal(&mut self, rowids_matter: bool) -> Result<(), BlobError> {
        if self.before.shape != self.after.shape {
            return Ok(());
        }
        while self.before.at_boundary() && self.after.at_boundary() {
            let (Some(a), Some(b)) = (self.before.cursor.peek(), self.after.cursor.peek()) else {
                break;
            };
            if a.id == b.id && (!rowids_matter || a.first_rowid == b.first_rowid) {
                self.before.cursor.skip();
                self.after.cursor.skip();
                continue;
            }
            let (a, b) = (a.level, b.level);
            if a == 0 && b == 0 {
                break;
            }
            if a >= b {
                self.before.cursor.descend()?;
            }
            if b >= a {
                self.after.cursor.descend()?;
            }
        }
        Ok(())
    }

    fn by_key(&mut self) -> Result<(), BlobError> {
        let mut changes = Changes::default();
        self.each_by_key(|change| {
            match change {
                Change::Added(_) => changes.added += 1,
                Change::Removed(_) => changes.removed += 1,
                Change::Changed(..) => changes.changed += 1,
            }
            Ok::<(), BlobError>(())
        })?;
        self.changes = changes;
        Ok(())
    }

    fn each_by_key<E: From<BlobError>>(
        &mut self,
        mut visit: impl FnMut(Change<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.skip_equal(true)?;
            self.before.fill()?;
            self.after.fill()?;
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let old = self.before.row(&mut before);
            let new = self.after.row(&mut after);
            let old = old.map(|rowid| RowRef {
                rowid,
                values: &before,
            });
            let new = new.map(|rowid| RowRef {
                rowid,
                values: &after,
            });
            let order = match (old, new) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => {
                    compare_keys(self.before.shape, old, self.after.shape, new)
                }
            };
            match (order, old, new) {
                (Ordering::Less, Some(old), _) => visit(Change::Removed(old))?,
                (Ordering::Greater, _, Some(new)) => visit(Change::Added(new))?,
                (Ordering::Equal, Some(old), Some(new)) if !same_values(old, new) => {
                    visit(Change::Changed(old, new))?;
                }
                _ => {}
            }
            if order != Ordering::Greater {
                self.before.step();
            }
            if order != Ordering::Less {
                self.after.step();
            }
        }
    }

    fn by_content(&mut self, hash: StoreHash) -> Result<(), BlobError> {
        let mut balance = Balance::new();
        let (mut read_before, mut read_after) = (0_u64, 0_u64);
        loop {
            self.skip_equal(false)?;
            // The side that is behind reads on, so that equal rows meet soon.
            let next = if read_before <= read_after {
                (self.before.cursor.next_leaf()?, -1)
            } else {
                (self.after.cursor.next_leaf()?, 1)
            };
            let (leaf, sign) = match next {
                (Some(leaf), sign) => (leaf, sign),
                (None, -1) => match self.after.cursor.next_leaf()? {
                    Some(leaf) => (leaf, 1),
                    None => break,
                },
                (None, _) => match self.before.cursor.next_leaf()? {
                    Some(leaf) => (leaf, -1),
                    None => break,
                },
            };
            let rows = leaf.leaf.rows() as u64;
            if sign < 0 {
                read_before += rows
            } else {
                read_after += rows
            }
            let key = if sign < 0 {
                self.before.key
            } else {
                self.after.key
            };
            add_content(&leaf, hash, sign, key, &mut balance);
            if balance.len() > CONTENT_ROWS_MAX {
                self.settle(&mut balance);
            }
        }
        self.settle(&mut balance);
        Ok(())
    }

    /// Writes off what has no equal on the other side: rows of one key are one row that changed.
    fn settle(&mut self, balance: &mut Balance) {
        let mut keyed: HashMap<[u8; 16], (u64, u64)> = HashMap::new();
        for (_, held) in balance.drain() {
            let rows = held.count.unsigned_abs();
            let (added, removed) = if held.count > 0 { (rows, 0) } else { (0, rows) };
            match held.key {
                Some(key) => {
                    let of_key = keyed.entry(key).or_default();
                    of_key.0 += added;
                    of_key.1 += removed;
                }
                None => {
                    self.changes.added += added;
                    self.changes.removed += removed;
                }
            }
        }
        for (added, removed) in keyed.into_values() {
            let changed = added.min(removed);
            self.changes.changed += changed;
            self.changes.added += added - changed;
            self.changes.removed += removed - changed;
        }
    }
}

/// Rows by their content, and how many more of each the later state has.
type Balance = HashMap<[u8; 16], Held>;

struct Held {
    count: i64,
    /// Of the row's primary key, if that names the row.
    key: Option<[u8; 16]>,
}

fn add_content(
    leaf: &PlacedLeaf,
    hash: StoreHash,
    sign: i64,
    key: &[usize],
    balance: &mut Balance,
) {
    let (mut values, mut canonical) = (Vec::new(), Vec::new());
    for row in 0..leaf.leaf.rows() {
        leaf.leaf.row_values(row, &mut values);
        let row_digest = digest(values.iter().copied(), hash, &mut canonical);
        let held = balance.entry(row_digest).or_insert_with(|| {
            let parts = || key.iter().map(|at| values[*at]);
            let names = !key.is_empty() && parts().all(|part| part != ValueRef::Null);
            Held {
                count: 0,
                key: names.then(|| digest(parts(), hash, &mut canonical)),
            }
        });
        held.count += sign;
        if held.count == 0 {
            balance.remove(&row_digest);
        }
    }
}

fn digest<'a>(
    values: impl Iterator<Item = ValueRef<'a>>,
    hash: StoreHash,
    canonical: &mut Vec<u8>,
) -> [u8; 16] {
    key_canonical(values, canonical);
    let mut digest = [0; 16];
    digest.copy_from_slice(&hash.split_digest(canonical)[..16]);
    digest
}

/// Compares the keys of two rows. A spilled key part is compared by its reference: equal or not.
fn compare_keys(
    before_shape: &TreeShape,
    before: RowRef<'_>,
    after_shape: &TreeShape,
    after: RowRef<'_>,
) -> Ordering {
    let Order::Key(parts) = &before_shape.order else {
        return before.rowid.cmp(&after.rowid);
    };
    let keys = before_shape
        .key_values(before)
        .zip(after_shape.key_values(after));
    for (part, (a, b)) in parts.iter().zip(keys) {
        let order =
            compare_values(a, b, &part.collation, before_shape.encoding).unwrap_or_else(|| {
                let (mut a_bytes, mut b_bytes) = (Vec::new(), Vec::new());
                key_canonical(std::iter::once(a), &mut a_bytes);
                key_canonical(std::iter::once(b), &mut b_bytes);
                a_bytes.cmp(&b_bytes)
            });
        match order {
            Ordering::Equal => {}
            order if part.descending => return order.reverse(),
            order => return order,
        }
    }
    Ordering::Equal
}

fn same_values(a: RowRef<'_>, b: RowRef<'_>) -> bool {
    a.values.len() == b.values.len() && a.values.iter().zip(b.values).all(|(a, b)| a.identical(*b))
}
