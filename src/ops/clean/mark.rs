//! What snapshots need: every blob that their manifests reach, told to a view of the store. Each blob
//! that leads on is read once. Memory: the children of one blob a level.

use crate::error::Error;
use crate::format::blob::BlobSource;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::ops::walk::Step;
use crate::progress::{Progress, Unit};
use crate::store::StoreError;
use crate::store::gc::View;

/// Marks all that these snapshots need; abort markers, and manifests that are gone meanwhile, need
/// nothing. Returns how many manifests there were.
///
/// Errors: `Damaged` or `Blob` where it cannot be told what a snapshot needs: then nothing may be
/// deleted.
pub(in crate::ops) fn mark(
    store: &Store,
    view: &View,
    ids: &[SnapshotId],
    progress: &mut dyn Progress,
) -> Result<u64, Error> {
    progress.phase("Looking at what snapshots need", 0, Unit::Blobs);
    let mut manifests = 0;
    for id in ids {
        let Some(manifest) = store.root_manifest(id)? else {
            continue;
        };
        manifests += 1;
        walk(view, Step::Schema(manifest.schema), progress)?;
        for entity in manifest.all_tables().chain(&manifest.pages) {
            if let Some(root) = Step::root(entity) {
                walk(view, root, progress)?;
            }
        }
    }
    Ok(manifests)
}

fn walk(view: &View, root: Step, progress: &mut dyn Progress) -> Result<(), Error> {
    let mut open = vec![root];
    while let Some(step) = open.pop() {
        let (kind, id) = step.blob();
        if !view.need(kind, &id)? {
            continue;
        }
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        progress.advance(1);
        if step.leads_on() {
            let canonical = view.get(kind, &id).map_err(StoreError::from)?;
            open.extend(step.below(canonical).map_err(StoreError::from)?);
        }
    }
    Ok(())
}
