//! What may be leaned on: which copies are usable, and what a new delta would hang on.
//!
//! Decided here and nowhere else: store-format.md, "Usable".

use std::collections::HashSet;

use super::cache::Copy;
use super::chain::TRIES_MAX;
use super::error::StoreError;
use super::index::Index;
use super::register;
use super::rules::Rule;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobKind, Encoding};
use crate::format::delta::{DELTA_DEPTH_MAX, DELTA_STEPS_MAX, DELTA_VERSIONS_MAX};
use crate::format::footer::{BasePrefix, base_prefix};
use crate::format::frame::ObjectKind;
use crate::format::protocol::{GcFinal, GcRecord};
use crate::format::{FormatError, limits, name};
use crate::model::id::{BlobId, GcId, PackId, SnapshotId};

/// Packs that no copy may be taken from, and why.
#[derive(Debug, Default, Clone)]
pub struct Excluded {
    /// A clean-up's record was there.
    pub open: bool,
    /// In an open clean-up's record: may be deleted soon.
    pub condemned: HashSet<PackId>,
    /// In a seal: dead for ever, whether still there or not.
    pub dead: HashSet<PackId>,
    /// Marked in `damaged/`.
    pub damaged: HashSet<PackId>,
    /// Objects under `gc/` that are not what they should be: a writer must stop at them, a reader
    /// need not, for it may try every copy.
    pub unreadable: Vec<(String, FormatError)>,
}

impl Excluded {
    /// W2: lists and reads the records of clean-ups, then the marks of damaged packs.
    pub fn read(backend: &dyn Backend, hash: StoreHash) -> Result<Self, StoreError> {
        Self::read_but(backend, hash, None)
    }

    /// The same, without what this clean-up's own record says.
    pub fn read_but(
        backend: &dyn Backend,
        hash: StoreHash,
        own: Option<&GcId>,
    ) -> Result<Self, StoreError> {
        let own = own.map(name::gc);
        let mut excluded = Self::default();
        for object in backend.list(name::GC)? {
            if own.as_ref() == Some(&object.name) {
                continue;
            }
            let bytes = match backend.get(&object.name, limits::OBJECT_BYTES_MAX) {
                Ok(bytes) => bytes,
                // A clean-up ended meanwhile; its seal stays.
                Err(error) if error.kind == BackendErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if let Err(cause) = excluded.take(hash, &object.name, &bytes) {
                excluded.unreadable.push((object.name, cause));
            }
        }
        for object in backend.list(name::DAMAGED)? {
            excluded.damaged.extend(name::parse_damaged(&object.name));
        }
        Ok(excluded)
    }

    /// Takes what one object under `gc/` says.
    fn take(&mut self, hash: StoreHash, object: &str, bytes: &[u8]) -> Result<(), FormatError> {
        if object.ends_with(name::GC_FINAL_ENDING) {
            let verdict = register::decode(hash, ObjectKind::GcFinal, object, bytes)?;
            if let GcFinal::Sealed { dead, .. } = verdict {
                self.dead.extend(dead);
            }
        } else {
            let record: GcRecord = register::decode(hash, ObjectKind::Gc, object, bytes)?;
            self.open = true;
            self.condemned.extend(record.condemned);
        }
        Ok(())
    }

    /// True if a clean-up is at work or a pack is marked: then nothing is taken as known unasked.
    fn any(&self) -> bool {
        self.open || !self.damaged.is_empty() || !self.unreadable.is_empty()
    }

    pub(super) fn contains(&self, pack: &PackId) -> bool {
        self.condemned.contains(pack) || self.dead.contains(pack) || self.damaged.contains(pack)
    }
}

/// The chain that a new delta would lengthen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footing {
    /// Deltas between the base and its whole copy: the longest way.
    pub depth: u32,
    /// Deltas that are applied to have the base.
    pub deltas: u32,
    /// Encoded bytes of the whole copies.
    pub whole_bytes: u64,
    /// Encoded bytes of the deltas.
    pub delta_bytes: u64,
    /// Blobs that hang on the whole copy, itself included.
    pub versions: u32,
}

impl Footing {
    /// What a delta on both would hang on.
    pub fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            deltas: self.deltas + other.deltas,
            whole_bytes: self.whole_bytes + other.whole_bytes,
            delta_bytes: self.delta_bytes + other.delta_bytes,
            versions: self.versions.max(other.versions),
        }
    }
}

/// The way from a blob down to whole copies.
struct Way {
    /// Blobs whose bases are being looked at.
    path: Vec<BlobId>,
    /// Copies that may still be looked at.
    left: u32,
}

impl Index {
    /// True if the blob has a usable copy: its pack is neither condemned, dead, missing nor marked
    /// as damaged, and, for a delta, its base has a usable copy too, recursively.
    ///
    /// Two deltas may be each other's base; the least fixpoint counts, so a copy that leads back
    /// to a blob on its own path does not make it usable. Nor is a blob usable with more copies
    /// below it than a reader tries.
    pub fn usable(&mut self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        self.guarded(|index| {
            let mut way = Way {
                path: Vec::new(),
                left: TRIES_MAX,
            };
            index.usable_beyond(kind, id, &mut way)
        })
    }

    fn usable_beyond(
        &self,
        kind: BlobKind,
        id: &BlobId,
        way: &mut Way,
    ) -> Result<bool, StoreError> {
        if way.path.contains(id) || way.path.len() > usize::from(DELTA_DEPTH_MAX) {
            return Ok(false);
        }
        for copy in self.cache.copies(kind, id)? {
            if self.excluded.contains(&copy.pack) || !self.packs.contains_key(&copy.pack) {
                continue;
            }
            if way.left == 0 {
                return Ok(false);
            }
            way.left -= 1;
            let alone =
                !self.rules.hold(Rule::UsableWithBases) || !self.rules.hold(Rule::DamageSpreads);
            if copy.encoding != Encoding::Delta || alone {
                return Ok(true);
            }
            way.path.push(*id);
            let mut all = true;
            for prefix in &copy.bases {
                all = all && self.any_usable(kind, prefix, way)?;
            }
            way.path.pop();
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn any_usable(
        &self,
        kind: BlobKind,
        prefix: &BasePrefix,
        way: &mut Way,
    ) -> Result<bool, StoreError> {
        for base in self.cache.with_prefix(kind, prefix)? {
            if self.usable_beyond(kind, &base, way)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a new delta on this blob would hang on; `None` if it cannot be a base: it is not
    /// usable, or its prefix names other blobs too.
    pub fn footing(
        &mut self,
        kind: BlobKind,
        base: &BlobId,
    ) -> Result<Option<Footing>, StoreError> {
        self.guarded(|index| index.cache.reading(|| index.footing_of(kind, base)))
    }

    fn footing_of(&self, kind: BlobKind, base: &BlobId) -> Result<Option<Footing>, StoreError> {
        if self.cache.with_prefix(kind, &base_prefix(base))?.len() != 1 {
            return Ok(None);
        }
        let mut footing = Footing::default();
        // What is still to be followed: a delta may have several bases.
        let mut open = vec![(*base, 0)];
        while let Some((id, depth)) = open.pop() {
            footing.depth = footing.depth.max(depth);
            if depth > u32::from(DELTA_DEPTH_MAX) || footing.deltas > DELTA_STEPS_MAX {
                return Ok(None);
            }
            let copies = self.cache.copies(kind, &id)?;
            let any = !self.rules.hold(Rule::UsableBase) || !self.rules.hold(Rule::HealWhole);
            let at_hand = |copy: &&Copy| {
                self.packs.contains_key(&copy.pack) && (any || !self.excluded.contains(&copy.pack))
            };
            let whole_first = |copy: &&Copy| copy.encoding == Encoding::Delta;
            let Some(copy) = copies.iter().filter(at_hand).min_by_key(whole_first) else {
                return Ok(None);
            };
            if copy.encoding != Encoding::Delta {
                footing.whole_bytes += copy.encoded_bytes;
                let versions = self.cache.versions(kind, &id, DELTA_VERSIONS_MAX + 1)?;
                footing.versions = footing.versions.max(versions);
                continue;
            }
            footing.deltas += 1;
            footing.delta_bytes += copy.encoded_bytes;
            for prefix in &copy.bases {
                match self.cache.with_prefix(kind, prefix)?[..] {
                    [only] => open.push((only, depth + 1)),
                    _ => return Ok(None),
                }
            }
        }
        Ok(Some(footing))
    }

    /// True if every blob that a snapshot reaches is known to have a usable copy: no pack has gone
    /// since that was found, none is marked, condemned or unreadable.
    ///
    /// `busy_too`: also while a clean-up is at work; only where a rule is broken.
    pub fn is_complete(
        &mut self,
        snapshot: &SnapshotId,
        busy_too: bool,
    ) -> Result<bool, StoreError> {
        let dying = self
            .excluded
            .dead
            .iter()
            .any(|pack| self.packs.contains_key(pack));
        let unsure = self.excluded.any() || dying || !self.unreadable.is_empty();
        if unsure && !busy_too {
            return Ok(false);
        }
        self.guarded(|index| Ok(index.cache.is_complete(snapshot)?))
    }

    /// Remembers that every blob that a snapshot reaches has a usable copy.
    pub fn set_complete(&mut self, snapshot: &SnapshotId) -> Result<(), StoreError> {
        self.guarded(|index| Ok(index.cache.set_complete(snapshot)?))
    }
}
