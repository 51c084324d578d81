//! Rows of one key are one row: both trees are read in the order of the key.

use std::cmp::Ordering;

use super::{Difference, Pair};
use crate::format::blob::BlobError;
use crate::format::node::key_canonical;
use crate::model::row::{RowRef, compare_values};
use crate::tree::{Order, TreeShape};

impl<E: From<BlobError>> Pair<'_, '_, E> {
    pub(super) fn by_key(&mut self) -> Result<(), E> {
        loop {
            self.skip_equal(true)?;
            self.before.fill()?;
            self.after.fill()?;
            let (mut before, mut after) = (Vec::new(), Vec::new());
            let old = self.before.row(&mut before).map(|rowid| RowRef {
                rowid,
                values: &before,
            });
            let new = self.after.row(&mut after).map(|rowid| RowRef {
                rowid,
                values: &after,
            });
            let (order, difference) = match (old, new) {
                (None, None) => return Ok(()),
                (Some(old), None) => (Ordering::Less, Some(Difference::Removed(old))),
                (None, Some(new)) => (Ordering::Greater, Some(Difference::Added(new))),
                (Some(old), Some(new)) => {
                    match compare_keys(self.before.shape, old, self.after.shape, new) {
                        Ordering::Less => (Ordering::Less, Some(Difference::Removed(old))),
                        Ordering::Greater => (Ordering::Greater, Some(Difference::Added(new))),
                        Ordering::Equal if self.columns.are_equal(old, new) => {
                            (Ordering::Equal, None)
                        }
                        Ordering::Equal => (Ordering::Equal, Some(Difference::Changed(old, new))),
                    }
                }
            };
            if let Some(difference) = difference {
                match difference {
                    Difference::Added(_) => self.changes.added += 1,
                    Difference::Removed(_) => self.changes.removed += 1,
                    Difference::Changed(..) => self.changes.changed += 1,
                }
                if let Some(each) = &mut self.each {
                    each(difference)?;
                }
            }
            if order != Ordering::Greater {
                self.before.step();
            }
            if order != Ordering::Less {
                self.after.step();
            }
        }
    }
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
