//! Rows of one key are one row: both trees are read in the order of the key.

use std::cmp::Ordering;

use super::long_keys::compare_long;
use super::{Difference, Pair};
use crate::format::blob::{BlobError, BlobSource};
use crate::model::row::{RowRef, compare_values};
use crate::tree::{Order, TreeShape};

impl<E: From<BlobError>> Pair<'_, '_, E> {
    pub(super) fn by_key(&mut self) -> Result<(), E> {
        loop {
            self.skip_equal(true)?;
            self.before.fill()?;
            self.after.fill()?;
            // As nearly all are, also of leaves that differ.
            if self.columns.keep_places() && self.before.is_at_row_of(&self.after) {
                self.before.step();
                self.after.step();
                continue;
            }
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
                    let shapes = (self.before.shape, self.after.shape);
                    match compare_keys(self.source, (shapes.0, old), (shapes.1, new))? {
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

/// Compares the keys of two rows, in the order of their trees: another one would let them go out of step,
/// and rows that are equal would be called removed and added.
fn compare_keys(
    source: &dyn BlobSource,
    (before_shape, before): (&TreeShape, RowRef<'_>),
    (after_shape, after): (&TreeShape, RowRef<'_>),
) -> Result<Ordering, BlobError> {
    let Order::Key(parts) = &before_shape.order else {
        return Ok(before.rowid.cmp(&after.rowid));
    };
    let keys = before_shape
        .key_values(before)
        .zip(after_shape.key_values(after));
    for (part, (a, b)) in parts.iter().zip(keys) {
        let encoding = before_shape.encoding;
        let order = match compare_values(a, b, &part.collation, encoding) {
            Some(order) => order,
            None => compare_long(source, a, b, &part.collation, encoding)?,
        };
        match order {
            Ordering::Equal => {}
            order if part.descending => return Ok(order.reverse()),
            order => return Ok(order),
        }
    }
    Ok(Ordering::Equal)
}
