//! The sealed part of a clean-up, G3 to G9, for all that delete packs: a prune, and a repair that removes
//! what it has healed. And what both mark before it.

mod mark;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::Error;
use crate::model::id::{PackId, SnapshotId};
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
use crate::store::StoreError;
use crate::store::gc::CleanUp;
pub(super) use mark::mark;
pub(super) use wait::{remove_records, wait_for_all};

/// How to clean up.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    /// How long to wait for backups that are at work.
    pub max_wait: Duration,
    /// Damaged manifests that need nothing any more: others have taken their places.
    pub without: &'a BTreeSet<SnapshotId>,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(super) struct Cleaned {
    /// Snapshots that writers had begun and that can never be committed now.
    pub fenced: Vec<String>,
    /// Lengths of the packs that were deleted.
    pub deleted: Vec<u64>,
}

/// Condemns packs, given with their lengths, and deletes those that no snapshot needs when it counts.
///
/// Errors: `Store`: `WriterAtWork`, `Overtaken`, `Damaged` or `Blob` where it cannot be told what a
/// snapshot needs; `Cancelled`. Whatever the error, nothing that a snapshot needs is gone.
pub(super) fn clean(
    store: &Store,
    world: &World,
    how: &How<'_>,
    mut clean_up: CleanUp<'_>,
    condemned: &BTreeMap<PackId, u64>,
    progress: &mut dyn Progress,
) -> Result<Cleaned, Error> {
    let mut cleaned = Cleaned::default();
    let sealed = seal_list(
        store,
        world,
        how,
        &mut clean_up,
        condemned,
        &mut cleaned,
        progress,
    );
    // G7
    let sealed = match sealed {
        Ok(Some(dead)) => clean_up.seal(dead),
        Ok(None) => Ok(false),
        Err(error) => {
            // The first error says what went wrong; a record that stays is resolved by the next prune.
            let _ = clean_up.abort();
            return Err(error);
        }
    };
    if !sealed? {
        clean_up.abort()?;
        return Err(StoreError::Overtaken.into());
    }
    // G8
    progress.phase("Deleting packs", 0, Unit::Bytes);
    while let Some(pack) = clean_up.delete_next()? {
        let bytes = condemned.get(&pack).copied().unwrap_or(0);
        cleaned.deleted.push(bytes);
        progress.advance(bytes);
        if progress.cancelled() {
            // What is sealed is finished by the next prune.
            return Err(Error::Cancelled);
        }
    }
    // G9
    clean_up.end()?;
    Ok(cleaned)
}

/// G3 to G6; `None`: another clean-up is at work, and this one must end.
fn seal_list(
    store: &Store,
    world: &World,
    how: &How<'_>,
    clean_up: &mut CleanUp<'_>,
    condemned: &BTreeMap<PackId, u64>,
    cleaned: &mut Cleaned,
    progress: &mut dyn Progress,
) -> Result<Option<BTreeSet<PackId>>, Error> {
    let early = clean_up.writers_before_record()?;
    if !clean_up.condemn(condemned.keys().copied().collect())? {
        return Ok(None);
    }
    // G4, G5
    let writers = match early {
        Some(writers) => writers,
        None => clean_up.writers()?,
    };
    cleaned.fenced = wait::wait(clean_up, world, &writers, how.max_wait, progress)?;
    // G6: manifests again, then packs.
    let mut roots = clean_up.roots()?;
    roots.retain(|id| !how.without.contains(id));
    let view = clean_up.view()?;
    mark(store, &view, &roots, progress)?;
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(Some(clean_up.without_homes(&view)?))
}
