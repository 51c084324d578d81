//! Rows that no order of keys tells apart: a multiset. Of each row that one state has more often,
//! its digest and its place are held; rows are read again from their leaves when they are given.
//! Where a primary key names the row, one removed and one added of that key are one that changed.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::{Columns, Difference, Field, Matched, Pair, Side};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobSource};
use crate::format::node::key_canonical;
use crate::model::row::RowRef;
use crate::model::value::ValueRef;
use crate::tree::TreeShape;
use crate::tree::cursor::{Place, PlacedLeaf};

/// Leaves that are kept to give rows from: those of a change lie near each other, mostly.
const LEAVES_KEPT: usize = 8;

/// A leaf that holds rows without an equal so far.
struct HeldLeaf {
    /// How many were read before it, of its own state.
    number: u64,
    is_after: bool,
    place: Place,
}

/// Rows of one content that one state has more often than the other.
struct Held {
    /// Below 0: the earlier state.
    count: i64,
    /// Of the row's primary key, if that names the row.
    key: Option<[u8; 16]>,
    leaf: Rc<HeldLeaf>,
    row: usize,
}

impl Held {
    /// About where it lies in its state.
    fn order(&self) -> (u64, bool, usize) {
        (self.leaf.number, self.leaf.is_after, self.row)
    }
}

/// Rows by their content.
type Balance = HashMap<[u8; 16], Held>;

/// A row without an equal, or two of one key: their places among those held.
#[derive(Clone, Copy)]
enum Unequal {
    Alone(usize),
    Changed(usize, usize),
}

impl<E: From<BlobError>> Pair<'_, '_, E> {
    pub(super) fn by_content(&mut self, hash: StoreHash) -> Result<Matched, E> {
        let mut balance = Balance::new();
        let (mut leaves, mut rows, mut in_parts) = ([0_u64; 2], [0_u64; 2], false);
        loop {
            self.skip_equal(false)?;
            // The side that is behind reads on, so that equal rows meet soon.
            let first = usize::from(rows[0] > rows[1]);
            let mut read = None;
            for side in [first, 1 - first] {
                let cursor = match side {
                    0 => &mut self.before.cursor,
                    _ => &mut self.after.cursor,
                };
                if let Some(leaf) = cursor.next_leaf()? {
                    read = Some((side, leaf));
                    break;
                }
            }
            let Some((side, leaf)) = read else {
                break;
            };
            let held = Rc::new(HeldLeaf {
                number: leaves[side],
                is_after: side == 1,
                place: leaf.place.clone(),
            });
            leaves[side] += 1;
            rows[side] += leaf.leaf.rows() as u64;
            self.weigh(&leaf, &held, hash, &mut balance);
            if balance.len() > self.held_max {
                in_parts = true;
                self.settle(&mut balance)?;
            }
        }
        self.settle(&mut balance)?;
        Ok(match (in_parts, self.before.key.is_empty()) {
            (true, _) => Matched::InParts,
            (false, true) => Matched::ByContent,
            (false, false) => Matched::ByContentAndKey,
        })
    }

    /// Adds the rows of a leaf to the balance.
    fn weigh(
        &self,
        leaf: &PlacedLeaf,
        held_leaf: &Rc<HeldLeaf>,
        hash: StoreHash,
        balance: &mut Balance,
    ) {
        let (side, sign) = match held_leaf.is_after {
            false => (&self.before, -1),
            true => (&self.after, 1),
        };
        let (mut values, mut canonical) = (Vec::new(), Vec::new());
        for at in 0..leaf.leaf.rows() {
            let rowid = leaf.row(at, &mut values);
            let row = RowRef {
                rowid,
                values: &values,
            };
            let of_row = match self.columns {
                Columns::AsStored => digest(values.iter().copied(), hash, &mut canonical),
                Columns::Pairs(pairs) => {
                    let fields = pairs.iter().map(|pair| match held_leaf.is_after {
                        false => pair.0,
                        true => pair.1,
                    });
                    digest(fields.map(|field| field.of(row)), hash, &mut canonical)
                }
            };
            let held = balance.entry(of_row).or_insert_with(|| Held {
                count: 0,
                key: key_of(side, row, hash, &mut canonical),
                leaf: held_leaf.clone(),
                row: at,
            });
            held.count += sign;
            if held.count == 0 {
                balance.remove(&of_row);
            }
        }
    }

    /// Writes off what has no equal on the other side: rows of one key are one row that changed.
    fn settle(&mut self, balance: &mut Balance) -> Result<(), E> {
        let held: Vec<Held> = std::mem::take(balance).into_values().collect();
        let mut unequal = paired(&held);
        for unequal in &unequal {
            match *unequal {
                Unequal::Changed(..) => self.changes.changed += 1,
                Unequal::Alone(at) => {
                    let rows = held[at].count.unsigned_abs();
                    match held[at].leaf.is_after {
                        true => self.changes.added += rows,
                        false => self.changes.removed += rows,
                    }
                }
            }
        }
        if self.each.is_some() {
            unequal.sort_by_key(|unequal| match *unequal {
                Unequal::Alone(at) | Unequal::Changed(_, at) => held[at].order(),
            });
            self.give(&held, &unequal)?;
        }
        Ok(())
    }

    fn give(&mut self, held: &[Held], unequal: &[Unequal]) -> Result<(), E> {
        let Some(each) = &mut self.each else {
            return Ok(());
        };
        let shapes = [self.before.shape, self.after.shape];
        let mut kept = Kept::default();
        for unequal in unequal {
            match *unequal {
                Unequal::Alone(at) => {
                    let held = &held[at];
                    let leaf = kept.leaf(&held.leaf, shapes, self.source)?;
                    let mut values = Vec::new();
                    let row = row(&leaf, held.row, &mut values);
                    for _ in 0..held.count.unsigned_abs() {
                        match held.leaf.is_after {
                            true => each(Difference::Added(row))?,
                            false => each(Difference::Removed(row))?,
                        }
                    }
                }
                Unequal::Changed(old, new) => {
                    let (old, new) = (&held[old], &held[new]);
                    let old_leaf = kept.leaf(&old.leaf, shapes, self.source)?;
                    let new_leaf = kept.leaf(&new.leaf, shapes, self.source)?;
                    let (mut before, mut after) = (Vec::new(), Vec::new());
                    each(Difference::Changed(
                        row(&old_leaf, old.row, &mut before),
                        row(&new_leaf, new.row, &mut after),
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// Finds those that are one row by its key.
fn paired(held: &[Held]) -> Vec<Unequal> {
    let mut by_key: Vec<usize> = (0..held.len()).collect();
    // Of each key the earlier row first.
    by_key.sort_by_key(|at| (held[*at].key, held[*at].count));
    let mut unequal = Vec::with_capacity(held.len());
    let mut rest = by_key.as_slice();
    while let [first, others @ ..] = rest {
        rest = others;
        if let Some(second) = others.first()
            && held[*first].key.is_some()
            && held[*first].key == held[*second].key
            && (held[*first].count, held[*second].count) == (-1, 1)
        {
            unequal.push(Unequal::Changed(*first, *second));
            rest = &others[1..];
        } else {
            unequal.push(Unequal::Alone(*first));
        }
    }
    unequal
}

fn row<'a>(leaf: &'a PlacedLeaf, at: usize, values: &'a mut Vec<ValueRef<'a>>) -> RowRef<'a> {
    let rowid = leaf.row(at, values);
    RowRef { rowid, values }
}

/// Leaves that were read last, the latest at the end.
#[derive(Default)]
struct Kept(VecDeque<((bool, u64), Rc<PlacedLeaf>)>);

impl Kept {
    fn leaf(
        &mut self,
        held: &HeldLeaf,
        shapes: [&TreeShape; 2],
        source: &dyn BlobSource,
    ) -> Result<Rc<PlacedLeaf>, BlobError> {
        let name = (held.is_after, held.number);
        if let Some((_, leaf)) = self.0.iter().find(|(kept, _)| *kept == name) {
            return Ok(leaf.clone());
        }
        let shape = shapes[usize::from(held.is_after)];
        let leaf = Rc::new(PlacedLeaf {
            place: held.place.clone(),
            leaf: held.place.leaf(shape, source)?,
        });
        if self.0.len() == LEAVES_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((name, leaf.clone()));
        Ok(leaf)
    }
}

/// The digest of a row's primary key, if that names the row.
fn key_of(
    side: &Side<'_>,
    row: RowRef<'_>,
    hash: StoreHash,
    canonical: &mut Vec<u8>,
) -> Option<[u8; 16]> {
    let parts = || side.key.iter().map(|field: &Field| field.of(row));
    let names = !side.key.is_empty() && parts().all(|part| part != ValueRef::Null);
    names.then(|| digest(parts(), hash, canonical))
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
