//! What a store holds twice or can compute again: how much of it, where it is, and second copies of small
//! objects. Nothing here counts as data: a snapshot stands without it, and a copy never makes one.
//!
//! A second copy is read only where the first is damaged, and only as long as the first is there by name:
//! an object that was deleted does not come back by its copy. store-format.md §13.

use std::collections::HashSet;

use super::error::StoreError;
use super::{Store, register, snapshots};
use crate::backend::{Backend, BackendError, BackendErrorKind};
use crate::codec::hash::{StoreHash, pack_id};
use crate::format::frame::{self, ObjectKind};
use crate::format::parity::PARITY_PACK_BYTES_MIN;
use crate::format::redundancy::{Redundancy, RedundancyLevel};
use crate::format::{limits, name};
use crate::model::id::{PackId, SnapshotId};

/// What an object of redundancy stands beside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Original {
    /// The config.
    Config,
    /// A manifest.
    Snapshot(SnapshotId),
    /// A pack.
    Pack(PackId),
}

/// A sidecar or a second copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redundant {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// True for parity, false for a second copy.
    pub is_parity: bool,
    /// What it stands beside.
    pub of: Original,
    /// True if that is gone: this is garbage then, for good, because no name is used twice.
    pub is_orphan: bool,
    /// True if that is a manifest that is gone, though nobody has deleted it: this is the last of it.
    pub is_last: bool,
}

/// What comparing an object with its second copy has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondCopy {
    /// Both are the same, and right.
    Good,
    /// The copy is damaged.
    Damaged,
    /// The object is damaged, its copy is not.
    FirstDamaged,
    /// Both are damaged.
    BothDamaged,
}

/// The setting of a store. Errors: `Damaged`, `Backend`.
pub fn read(backend: &dyn Backend, hash: StoreHash) -> Result<Redundancy, StoreError> {
    let said: Option<Redundancy> =
        register::read(backend, hash, ObjectKind::Redundancy, name::REDUNDANCY)?;
    let said = said.unwrap_or_default();
    said.check()
        .map_err(|cause| StoreError::of_object(name::REDUNDANCY, cause))
}

/// The same, and the default where it cannot be read: that is no reason not to back up.
pub fn read_or_default(backend: &dyn Backend, hash: StoreHash) -> Result<Redundancy, StoreError> {
    match read(backend, hash) {
        Err(StoreError::Damaged { .. }) => Ok(Redundancy::default()),
        said => said,
    }
}

/// Puts what may be there already: whoever came first wrote as good a one.
pub fn put_once(backend: &dyn Backend, object: &str, bytes: &[u8]) -> Result<(), StoreError> {
    match backend.put_new(object, bytes) {
        Err(error) if error.kind == BackendErrorKind::Exists => Ok(()),
        done => Ok(done?),
    }
}

/// The second copy of an object, unproven; `None` if there is none, or its place cannot be read. That the
/// store fails otherwise is no word on whether there is one: who asks would call something lost.
pub fn second(backend: &dyn Backend, object: &str) -> Result<Option<Vec<u8>>, StoreError> {
    match get_twice(backend, &name::second(object)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.kind,
                BackendErrorKind::NotFound | BackendErrorKind::Other
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The same where the first could not be had: if that was no damage, it is what is told.
pub fn second_after(
    backend: &dyn Backend,
    object: &str,
    first: &StoreError,
) -> Result<Option<Vec<u8>>, StoreError> {
    match second(backend, object) {
        Err(_) if !matches!(first, StoreError::Damaged { .. }) => Ok(None),
        read => read,
    }
}

/// A small object. A bad sector is damage like any other, if it is bad twice.
fn get_twice(backend: &dyn Backend, object: &str) -> Result<Vec<u8>, BackendError> {
    match backend.get(object, limits::OBJECT_BYTES_MAX) {
        Err(error) if error.kind == BackendErrorKind::Other => {
            backend.get(object, limits::OBJECT_BYTES_MAX)
        }
        read => read,
    }
}

/// True for bytes that can only be this object's: a manifest that was written in another one's place is not.
fn is_proven(hash: StoreHash, object: &str, bytes: &[u8]) -> bool {
    if let Some(pack) = name::parse_pack(object) {
        return pack_id(bytes) == pack;
    }
    match name::parse_snapshot(object) {
        Some(id) => snapshots::is_of(hash, &id, bytes),
        None => frame::open(hash, bytes).is_ok_and(|(kind, _)| kind == ObjectKind::Config),
    }
}

/// Deletes what stands beside an object, durably: before the object itself is deleted. A copy that outlived
/// its manifest could one day be taken for what stands in the manifest's place.
pub fn drop_beside(backend: &dyn Backend, of: &Original) -> Result<(), StoreError> {
    let names = match of {
        Original::Config => vec![name::second(name::CONFIG)],
        Original::Snapshot(id) => vec![name::second(&name::snapshot(id))],
        Original::Pack(id) => vec![name::parity(id), name::second(&name::pack(id))],
    };
    let mut deleted = false;
    for object in names {
        match backend.delete(&object) {
            Err(error) if error.kind == BackendErrorKind::NotFound => {}
            done => {
                done?;
                deleted = true;
            }
        }
    }
    if deleted {
        backend.barrier()?;
    }
    Ok(())
}

fn original(of: &str) -> Option<Original> {
    if of == name::CONFIG {
        return Some(Original::Config);
    }
    let snapshot = name::parse_snapshot(of).map(Original::Snapshot);
    snapshot.or_else(|| name::parse_pack(of).map(Original::Pack))
}

impl Store {
    /// How much redundancy is kept with what is written. Errors: `Damaged`, `Backend`.
    pub fn redundancy(&self) -> Result<Redundancy, StoreError> {
        read(&*self.backend, self.hash)
    }

    /// Sets that for backups that begin from now on, durably. What is there stays as it is.
    pub fn set_redundancy(&self, redundancy: Redundancy) -> Result<(), StoreError> {
        let object = name::REDUNDANCY;
        let bytes = register::encode(self.hash, ObjectKind::Redundancy, &redundancy, object)?;
        self.backend.put(object, &bytes)?;
        Ok(self.backend.barrier()?)
    }

    /// All sidecars and second copies, by name. Those that a backup at work has just written are no
    /// orphans: what they stand beside was put before them.
    pub fn redundants(&self) -> Result<Vec<Redundant>, StoreError> {
        let lost = self.lost_manifests()?;
        let mut found = self.backend.list(name::PARITY)?;
        found.extend(self.backend.list(name::SECOND)?);
        let mut firsts: HashSet<String> = HashSet::new();
        for prefix in [name::PACKS, name::SNAPSHOTS] {
            let listed = self.backend.list(prefix)?;
            firsts.extend(listed.into_iter().map(|object| object.name));
        }
        let redundant = |object: crate::backend::ObjectInfo| {
            let parity = name::parse_parity(&object.name);
            let of = match &parity {
                Some(pack) => name::pack(pack),
                None => name::parse_second(&object.name)?.to_owned(),
            };
            let original = original(&of)?;
            let is_last = match &original {
                Original::Snapshot(id) => lost.binary_search(id).is_ok(),
                Original::Config | Original::Pack(_) => false,
            };
            Some(Redundant {
                is_parity: parity.is_some(),
                is_orphan: of != name::CONFIG && !firsts.contains(&of) && !is_last,
                is_last,
                of: original,
                name: object.name,
                bytes: object.bytes,
            })
        };
        Ok(found.into_iter().filter_map(redundant).collect())
    }

    /// Deletes a sidecar or a second copy; one that is gone is no error. Durable at the next barrier.
    pub fn delete_redundant(&self, redundant: &Redundant) -> Result<(), StoreError> {
        match self.backend.delete(&redundant.name) {
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }

    /// Deletes what stands beside an object, durably. For whoever deletes the object: this first.
    pub fn drop_redundancy_of(&self, of: &Original) -> Result<(), StoreError> {
        drop_beside(&*self.backend, of)
    }

    /// Makes what was written or deleted durable.
    pub fn settle(&self) -> Result<(), StoreError> {
        Ok(self.backend.barrier()?)
    }

    /// Objects that have a second copy in a store of full redundancy and none here, with their lengths; the
    /// markers of aborted snapshots are none of them. `excluded`: packs that are on their way out.
    pub fn without_second(
        &self,
        excluded: &HashSet<PackId>,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let copies: HashSet<String> = self
            .backend
            .list(name::SECOND)?
            .into_iter()
            .map(|object| object.name)
            .collect();
        let mut firsts = self.backend.list(name::SNAPSHOTS)?;
        firsts.extend(self.backend.list(name::PACKS)?);
        firsts.retain(|object| match name::parse_pack(&object.name) {
            Some(pack) => object.bytes < PARITY_PACK_BYTES_MIN && !excluded.contains(&pack),
            None => name::parse_snapshot(&object.name).is_some(),
        });
        let mut lacking: Vec<(String, u64)> = firsts
            .into_iter()
            .map(|object| (object.name, object.bytes))
            .collect();
        lacking.push((name::CONFIG.to_owned(), 0));
        lacking.retain(|(object, _)| !copies.contains(&name::second(object)));
        lacking.retain(|(object, _)| !self.is_abort_marker(object));
        Ok(lacking)
    }

    /// True for the marker of an aborted snapshot; what cannot be read is none.
    fn is_abort_marker(&self, object: &str) -> bool {
        let bytes = name::parse_snapshot(object)
            .and_then(|_| self.backend.get(object, limits::OBJECT_BYTES_MAX).ok());
        let opened = bytes
            .as_deref()
            .and_then(|bytes| frame::open(self.hash, bytes).ok());
        opened.is_some_and(|(kind, _)| kind == ObjectKind::Abort)
    }

    /// Makes a second copy of an object that is whole, or makes it again. `Ok(false)`: the object is
    /// damaged, gone, or no snapshot but the marker of an aborted one. Durable at the next barrier.
    pub fn make_second(&self, object: &str) -> Result<bool, StoreError> {
        let bytes = match self.backend.get(object, limits::OBJECT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let kind = frame::open(self.hash, &bytes).ok().map(|(kind, _)| kind);
        if !is_proven(self.hash, object, &bytes) || kind == Some(ObjectKind::Abort) {
            return Ok(false);
        }
        // One that is there already and differs is damaged: replaced whole, by the same bytes always.
        self.backend.put(&name::second(object), &bytes)?;
        // Whoever deletes an object has looked for its copy before.
        match self.backend.get_range(object, 0, 0) {
            Err(error) if error.kind == BackendErrorKind::NotFound => {
                self.backend.delete(&name::second(object))?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Fails with `StillNeeded` if what this stands beside is damaged: it may be the last that is good.
    pub fn ensure_not_needed(&self, redundant: &Redundant) -> Result<(), StoreError> {
        if redundant.is_orphan {
            return Ok(());
        }
        let object = match &redundant.of {
            Original::Config => name::CONFIG.to_owned(),
            Original::Snapshot(id) => name::snapshot(id),
            Original::Pack(id) => name::pack(id),
        };
        let damaged = match &redundant.of {
            Original::Snapshot(_) if redundant.is_last => true,
            Original::Pack(id) => {
                let listed = self.backend.list(name::PACKS)?;
                let bytes = listed.iter().find(|listed| listed.name == object);
                let bytes = bytes.map_or(0, |listed| listed.bytes);
                self.pack_damage(id, bytes)?.is_some()
            }
            Original::Config | Original::Snapshot(_) => {
                self.compare_second(&object)? == Some(SecondCopy::FirstDamaged)
            }
        };
        match damaged {
            true => Err(StoreError::StillNeeded { object }),
            false => Ok(()),
        }
    }

    /// Compares an object with its second copy; `None` if either is not there. A config that is not there was
    /// lost, for nobody deletes one.
    pub fn compare_second(&self, object: &str) -> Result<Option<SecondCopy>, StoreError> {
        let mut both = Vec::new();
        for one in [object.to_owned(), name::second(object)] {
            match get_twice(&*self.backend, &one) {
                Ok(bytes) => both.push(Some(bytes)),
                Err(error) if error.kind == BackendErrorKind::NotFound && one != name::CONFIG => {
                    return Ok(None);
                }
                // Too long for what it is, unreadable, or a config that was lost.
                Err(error)
                    if matches!(
                        error.kind,
                        BackendErrorKind::Other | BackendErrorKind::NotFound
                    ) =>
                {
                    both.push(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let good: Vec<bool> = both
            .iter()
            .map(|bytes| {
                bytes
                    .as_deref()
                    .is_some_and(|b| is_proven(self.hash, object, b))
            })
            .collect();
        Ok(Some(match good[..] {
            [true, true] if both[0] == both[1] => SecondCopy::Good,
            [true, _] => SecondCopy::Damaged,
            [false, true] => SecondCopy::FirstDamaged,
            _ => SecondCopy::BothDamaged,
        }))
    }
}

/// True for stores whose small objects have second copies.
pub fn is_full(redundancy: &Redundancy) -> bool {
    redundancy.level == RedundancyLevel::Full
}
