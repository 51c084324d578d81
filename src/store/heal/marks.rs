//! Marks of damaged packs: from when one is there, nobody leans on a copy in that pack. A mark keeps the
//! pack's bytes as they were found, for whoever may know better one day. store-format.md §12.

use std::collections::BTreeSet;

use crate::backend::{BackendError, BackendErrorKind};
use crate::format::name;
use crate::model::id::PackId;
use crate::store::Store;
use crate::store::error::StoreError;

/// What became of a mark that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It is there, and keeps so many bytes.
    Now(u64),
    /// It was there before.
    Before,
}

impl Store {
    /// Packs that are marked as damaged, whether they are there or not.
    pub fn marked_packs(&self) -> Result<BTreeSet<PackId>, StoreError> {
        let listed = self.backend.list(name::DAMAGED)?;
        let pack = |name: &str| name::parse_damaged(name);
        Ok(listed.iter().filter_map(|mark| pack(&mark.name)).collect())
    }

    /// Marks a pack as damaged, durably. Where there is no space for its bytes, the mark is empty.
    pub fn mark_damaged(&self, pack: &PackId) -> Result<Marked, StoreError> {
        let object = name::damaged(pack);
        if self.marked_packs()?.contains(pack) {
            return Ok(Marked::Before);
        }
        let bytes = self.pack_as_found(pack, u64::MAX)?.unwrap_or_default();
        let put = |bytes: &[u8]| match self.backend.put_new(&object, bytes) {
            // Another repair was here, and found the pack otherwise.
            Err(error) if error.kind == BackendErrorKind::Exists => Ok(()),
            done => done,
        };
        let no_space = |error: &BackendError| error.kind == BackendErrorKind::NoSpace;
        let kept = match put(&bytes) {
            Err(error) if no_space(&error) => {
                self.with_room(|| Ok(put(&[])?))?;
                0
            }
            done => {
                done?;
                bytes.len() as u64
            }
        };
        self.backend.barrier()?;
        Ok(Marked::Now(kept))
    }
}
