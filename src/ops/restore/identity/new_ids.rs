//! New surrogate ids for records whose own is taken.

use crate::error::Error;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::stored::root_of;
use crate::store::StoreError;
use crate::tree::cursor::last_rowid;

/// Gives out ids that no row and no record of a table has, rising.
#[derive(Debug)]
pub(in crate::ops::restore) struct NewIds {
    next: Option<i64>,
}

impl NewIds {
    /// For one table: behind all rows, all records, and all ids that AUTOINCREMENT gave out.
    pub(in crate::ops::restore) fn of(
        basis: &Basis<'_>,
        shape: &TableShape,
    ) -> Result<Self, Error> {
        let mut last = match shape.made {
            true => 0,
            false => basis.live.last_id(&shape.live)?,
        };
        if let Some(root) = shape.entity(basis).and_then(root_of) {
            let stored = last_rowid(basis.reader, &root).map_err(StoreError::from)?;
            last = last.max(stored.unwrap_or(0));
        }
        last = last.max(basis.saved_sequence(&shape.stored.name));
        Ok(Self {
            next: last.max(0).checked_add(1),
        })
    }

    /// The next one; `None` if there is none left.
    pub(in crate::ops::restore) fn take(&mut self) -> Option<i64> {
        let id = self.next?;
        self.next = id.checked_add(1);
        Some(id)
    }
}
