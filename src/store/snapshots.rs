//! The snapshots of a store: which there are, and their manifests.

use super::error::StoreError;
use super::forgotten::Forgotten;
use super::redundancy;
use crate::backend::{Backend, BackendErrorKind, ObjectInfo};
use crate::codec::hash::{StoreHash, pack_id};
use crate::format::frame::{self, ObjectKind};
use crate::format::manifest::Manifest;
use crate::format::protocol::AbortMarker;
use crate::format::{FormatError, limits, name};
use crate::model::id::SnapshotId;

/// The names under `snapshots/`.
#[derive(Debug, Clone, Default)]
pub struct SnapshotNames {
    /// Snapshots and abort markers, oldest first.
    pub ids: Vec<SnapshotId>,
    /// Snapshots that are forgotten, and not deleted yet, oldest first.
    pub forgotten: Vec<SnapshotId>,
}

/// Lists what is under `snapshots/`.
pub fn list(backend: &dyn Backend) -> Result<SnapshotNames, StoreError> {
    let mut names = SnapshotNames::default();
    for object in backend.list(name::SNAPSHOTS)? {
        // What is named otherwise is never read; `Store::foreign` names it.
        names.ids.extend(name::parse_snapshot(&object.name));
    }
    names.ids.sort_unstable();
    Ok(names)
}

/// Reads one manifest; `None` if an abort marker stands there, or if it was deleted meanwhile. Where it is
/// damaged, its second copy is read, if it has one; a copy alone is no snapshot.
pub fn read(
    backend: &dyn Backend,
    hash: StoreHash,
    id: &SnapshotId,
) -> Result<Option<Manifest>, StoreError> {
    let object = name::snapshot(id);
    let failure = match backend.get(&object, limits::OBJECT_BYTES_MAX) {
        Ok(bytes) => match decode(hash, id, &bytes) {
            Err(error @ StoreError::Damaged { .. }) => error,
            done => return done,
        },
        Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
        Err(error) => error.into(),
    };
    let Some(second) = redundancy::second_after(backend, &object, &failure)? else {
        return Err(failure);
    };
    match decode(hash, id, &second) {
        Ok(Some(manifest)) => Ok(Some(manifest)),
        _ => Err(failure),
    }
}

/// Snapshots whose manifests were lost, oldest first: nobody has forgotten them, their manifests are gone, and the
/// second copies of these are there. Whoever deletes a manifest deletes its second copy before, durably.
pub fn lost(backend: &dyn Backend, hash: StoreHash) -> Result<Vec<SnapshotId>, StoreError> {
    // The copies first: a copy is put after its manifest.
    let copies = backend.list(&name::second(name::SNAPSHOTS))?;
    let copied = |object: &ObjectInfo| name::parse_snapshot(name::parse_second(&object.name)?);
    let mut lost: Vec<SnapshotId> = copies.iter().filter_map(copied).collect();
    if !lost.is_empty() {
        lost.sort_unstable();
        let there = list(backend)?.ids;
        lost.retain(|id| there.binary_search(id).is_err());
    }
    if !lost.is_empty() {
        let forgotten = Forgotten::read(backend, hash)?;
        lost.retain(|id| !forgotten.contains(id));
    }
    let mut still = Vec::new();
    for id in lost {
        // One that was taken back meanwhile has lost its copy before its manifest.
        if has_second(backend, &id)? {
            still.push(id);
        }
    }
    Ok(still)
}

/// True if there is a second copy of the snapshot's manifest.
pub fn has_second(backend: &dyn Backend, id: &SnapshotId) -> Result<bool, StoreError> {
    match backend.get_range(&name::second(&name::snapshot(id)), 0, 0) {
        Err(error) if error.kind == BackendErrorKind::NotFound => Ok(false),
        // It is there, whatever it is.
        Err(error) if error.kind == BackendErrorKind::Other => Ok(true),
        done => Ok(done.map(|_| true)?),
    }
}

/// As [`read`], but a manifest that was lost is read from its second copy: what it needs is needed.
pub fn read_root(
    backend: &dyn Backend,
    hash: StoreHash,
    id: &SnapshotId,
) -> Result<Option<Manifest>, StoreError> {
    if let Some(manifest) = read(backend, hash, id)? {
        return Ok(Some(manifest));
    }
    let object = name::snapshot(id);
    match backend.get_range(&object, 0, 0) {
        Err(error) if error.kind == BackendErrorKind::NotFound => {}
        // The marker of one that was aborted.
        done => return done.map(|_| Ok(None))?,
    }
    if Forgotten::read(backend, hash)?.contains(id) {
        return Ok(None);
    }
    match backend.get(&name::second(&object), limits::OBJECT_BYTES_MAX) {
        Ok(bytes) => decode(hash, id, &bytes),
        Err(error) if error.kind == BackendErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// True if some manifest can be read: then this is a store, of this format.
pub fn any_good(backend: &dyn Backend, hash: StoreHash) -> Result<bool, StoreError> {
    for id in list(backend)?.ids {
        if matches!(read(backend, hash, &id), Ok(Some(_))) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn decode(hash: StoreHash, id: &SnapshotId, bytes: &[u8]) -> Result<Option<Manifest>, StoreError> {
    let wrong = |cause| StoreError::of_object(format!("snapshot {id}"), cause);
    let (kind, payload) = frame::open(hash, bytes).map_err(wrong)?;
    match kind {
        ObjectKind::Abort => {
            let marker: AbortMarker = frame::content(payload, "an abort marker").map_err(wrong)?;
            // One that was meant for another name must not make a snapshot look as if it never was.
            match marker.snapshot == *id {
                true => Ok(None),
                false => Err(wrong(FormatError::Invalid {
                    what: "the name of an abort marker",
                })),
            }
        }
        ObjectKind::Manifest => {
            let manifest: Manifest = frame::content(payload, "a manifest").map_err(wrong)?;
            manifest.check(id).map_err(wrong)?;
            Ok(Some(manifest))
        }
        _ => Err(wrong(FormatError::Invalid {
            what: "the kind of a snapshot",
        })),
    }
}

/// True for a manifest or an abort marker that is whole and of this snapshot.
pub fn is_of(hash: StoreHash, id: &SnapshotId, bytes: &[u8]) -> bool {
    decode(hash, id, bytes).is_ok()
}

/// BLAKE3 of a snapshot's object, in hex; `None` if it was deleted meanwhile.
pub fn digest(backend: &dyn Backend, id: &SnapshotId) -> Result<Option<String>, StoreError> {
    match backend.get(&name::snapshot(id), limits::OBJECT_BYTES_MAX) {
        Ok(bytes) => Ok(Some(pack_id(&bytes).to_string())),
        Err(error) if error.kind == BackendErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// W8: deletes a manifest that its own writer has just created, durably, its second copy first. An abort
/// marker stays.
pub fn withdraw(backend: &dyn Backend, hash: StoreHash, id: &SnapshotId) -> Result<(), StoreError> {
    if read(backend, hash, id)?.is_none() {
        return Ok(());
    }
    let object = name::snapshot(id);
    redundancy::drop_beside(backend, &redundancy::Original::Snapshot(id.clone()))?;
    match backend.delete(&object) {
        Err(error) if error.kind == BackendErrorKind::NotFound => {}
        done => done?,
    }
    Ok(backend.barrier()?)
}
