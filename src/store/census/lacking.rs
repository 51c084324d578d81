//! What snapshots need and no copy gives: what a repair has to find elsewhere.

use super::keep::id_of;
use super::{Census, Number, halves, int, kind_of};
use crate::format::blob::BlobKind;
use crate::model::id::BlobId;
use crate::model::value::ValueRef;
use crate::sqlite::SqliteError;
use crate::store::StoreError;

/// A blob that is needed and cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    number: Number,
    /// Its kind.
    pub kind: BlobKind,
    /// The blob.
    pub id: BlobId,
}

impl Census {
    /// Blobs that were reached and can be had from no copy, in an order that stays; at most `max`, those
    /// after `last`. `unlisted`: only those of which no pack that may be leaned on has any copy.
    pub(in crate::store) fn lacking(
        &self,
        last: Option<&Lacking>,
        max: u64,
        unlisted: bool,
    ) -> Result<Vec<Lacking>, StoreError> {
        let after = last.map_or(ValueRef::Integer(-1), |blob| blob.number.value());
        let mut found = Vec::new();
        let read = self.db.for_each_cached(
            "SELECT n, kind, head, tail FROM blobs
              WHERE n > ? AND reached = 1 AND depth IS NULL AND (rank IS NULL OR NOT ?)
              ORDER BY n LIMIT ?",
            &[after, int(unlisted.into()), int(max)],
            |row| {
                found.push(Lacking {
                    number: Number::new(row.integer(0)?),
                    kind: kind_of(row.integer(1)?.cast_unsigned()),
                    id: id_of(row, 2)?,
                });
                Ok(())
            },
        );
        read.map_err(StoreError::Census)?;
        Ok(found)
    }

    /// True if a blob was reached and can be had from no copy.
    pub(in crate::store) fn lacks(&self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        let (head, tail) = halves(id);
        let [lacks] = self
            .row(
                "SELECT EXISTS (SELECT 1 FROM blobs WHERE kind = ? AND head = ? AND tail = ?
                   AND reached = 1 AND depth IS NULL)",
                &[int(kind as u64), ValueRef::Blob(head), ValueRef::Blob(tail)],
            )
            .map_err(StoreError::Census)?;
        Ok(lacks == 1)
    }

    /// A whole copy of the blob is elsewhere now.
    pub(in crate::store) fn set_had(&self, blob: &Lacking) -> Result<(), StoreError> {
        let had: Result<(), SqliteError> = self.run(
            "UPDATE blobs SET depth = 0, reads = 1 WHERE n = ?",
            &[blob.number.value()],
        );
        had.map_err(StoreError::Census)
    }
}
