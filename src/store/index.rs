//! Which blob lies where: the footers of all packs, read into the local cache.
//!
//! What may be leaned on is decided here and nowhere else ([`Index::usable`]): store-format.md,
//! "Known means usable".

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::{Cache, Copy};
use super::chain::TRIES_MAX;
use super::check::pack_damage;
use super::error::StoreError;
use crate::backend::{Backend, BackendErrorKind, ObjectInfo};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobKind, Encoding};
use crate::format::delta::{DELTA_DEPTH_MAX, DELTA_STEPS_MAX, DELTA_VERSIONS_MAX};
use crate::format::footer::{BasePrefix, Footer, TRAILER_BYTES, Trailer, base_prefix};
use crate::format::frame::{self, ObjectKind};
use crate::format::pack::PACK_HEAD_BYTES;
use crate::format::protocol::{GcFinal, GcRecord};
use crate::format::{FormatError, limits, name, pack};
use crate::model::id::{BlobId, PackId, SnapshotId};

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
        let mut excluded = Self::default();
        for object in backend.list(name::GC)? {
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
            excluded.damaged.extend(
                object
                    .name
                    .strip_prefix(name::DAMAGED)
                    .and_then(|id| id.parse::<PackId>().ok()),
            );
        }
        Ok(excluded)
    }

    /// Takes what one object under `gc/` says.
    fn take(&mut self, hash: StoreHash, object: &str, bytes: &[u8]) -> Result<(), FormatError> {
        if object.ends_with(name::GC_FINAL_ENDING) {
            let verdict = frame::decode(hash, ObjectKind::GcFinal, bytes, "a verdict")?;
            if let GcFinal::Sealed { dead } = verdict {
                self.dead.extend(dead);
            }
        } else {
            let record: GcRecord = frame::decode(hash, ObjectKind::Gc, bytes, "a clean-up")?;
            self.open = true;
            self.condemned.extend(record.condemned);
        }
        Ok(())
    }

    /// True if a clean-up is at work or a pack is marked: then nothing is taken as known unasked.
    fn any(&self) -> bool {
        self.open || !self.damaged.is_empty() || !self.unreadable.is_empty()
    }

    fn contains(&self, pack: &PackId) -> bool {
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

/// A pack whose footer cannot be read: nothing in it is known.
#[derive(Debug, Clone)]
pub struct UnreadablePack {
    /// The pack.
    pub id: PackId,
    /// What was found.
    pub cause: FormatError,
}

/// The index of one store at the time of its loading, and what the writer added since.
#[derive(Debug)]
pub struct Index {
    cache: Cache,
    /// The cache is a temporary one already.
    temporary: bool,
    /// The packs were listed once more already.
    listed_again: bool,
    backend: Arc<dyn Backend>,
    hash: StoreHash,
    excluded: Excluded,
    packs: HashMap<PackId, u64>,
    unreadable: Vec<UnreadablePack>,
}

impl Index {
    /// Lists the packs and reads the footers that the cache lacks. `excluded` comes from before
    /// (W2 before W3). `cache_file`: `None` for a temporary cache.
    pub fn load(
        backend: Arc<dyn Backend>,
        hash: StoreHash,
        excluded: Excluded,
        cache_file: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let packs = list_packs(&*backend)?;
        let (cache, temporary) = match cache_file.as_deref().map(|file| Cache::open(Some(file))) {
            Some(Ok(cache)) => (cache, false),
            // A cache file that cannot be used costs time, not the run.
            Some(Err(_)) | None => (Cache::open(None)?, true),
        };
        let mut index = Self {
            cache,
            temporary,
            listed_again: false,
            backend,
            hash,
            excluded,
            packs,
            unreadable: Vec::new(),
        };
        index.guarded(Self::refresh)?;
        Ok(index)
    }

    /// Does what needs the cache. Where its file fails, it is done once more with a temporary one,
    /// made from the stored footers: a damaged or full cache costs time, not the run.
    fn guarded<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match work(self) {
            Err(StoreError::Cache(_)) if !self.temporary => {
                self.cache = Cache::open(None)?;
                self.temporary = true;
                self.refresh()?;
                work(self)
            }
            done => done,
        }
    }

    /// Lists the packs once more, for a blob that was not found: it may have come meanwhile, or
    /// another process may have taken its pack out of the cache. `false`: that was done before.
    pub fn list_again(&mut self) -> Result<bool, StoreError> {
        if self.listed_again {
            return Ok(false);
        }
        self.listed_again = true;
        self.packs = list_packs(&*self.backend)?;
        self.guarded(Self::refresh)?;
        Ok(true)
    }

    /// Makes the cache hold exactly the packs that were listed.
    fn refresh(&mut self) -> Result<(), StoreError> {
        let known: HashMap<PackId, u64> = self.cache.packs()?.into_iter().collect();
        let stale: Vec<&PackId> = known
            .iter()
            .filter(|(id, bytes)| self.packs.get(id) != Some(bytes))
            .map(|(id, _)| id)
            .collect();
        self.cache
            .transaction(|| stale.iter().try_for_each(|id| self.cache.remove_pack(id)))?;
        let mut new: Vec<(PackId, u64)> = self
            .packs
            .iter()
            .filter(|(id, bytes)| known.get(*id) != Some(*bytes))
            .map(|(id, bytes)| (*id, *bytes))
            .collect();
        new.sort_unstable();
        self.unreadable.clear();
        for (id, bytes) in new {
            self.read_footer_of(id, bytes)?;
        }
        Ok(())
    }

    fn read_footer_of(&mut self, id: PackId, bytes: u64) -> Result<(), StoreError> {
        let read = match read_footer(&*self.backend, self.hash, &id, bytes) {
            // It vanished between the listing and the reading.
            Err(error) if error.backend_kind() == Some(BackendErrorKind::NotFound) => {
                self.packs.remove(&id);
                return Ok(());
            }
            read => read?,
        };
        match read {
            Ok(footer) => {
                self.cache
                    .transaction(|| self.cache.add_pack(&id, bytes, &footer))?;
            }
            // The head is covered by the pack's name alone: a flipped bit there is damage of this
            // pack and no reason to refuse the store.
            Err(cause @ FormatError::Version { .. })
                if pack_damage(&*self.backend, &id, bytes)?.is_none() =>
            {
                return Err(StoreError::Unsupported {
                    location: name::pack(&id),
                    cause,
                });
            }
            Err(cause) => self.unreadable.push(UnreadablePack { id, cause }),
        }
        Ok(())
    }

    /// Reads a pack's stored footer again, in place of what the cache said.
    pub fn reread(&mut self, id: &PackId) -> Result<(), StoreError> {
        let Some(bytes) = self.packs.get(id).copied() else {
            return Ok(());
        };
        self.guarded(|index| {
            index.cache.transaction(|| index.cache.remove_pack(id))?;
            index.unreadable.retain(|pack| pack.id != *id);
            index.read_footer_of(*id, bytes)
        })
    }

    /// Makes a pack known that was just published.
    pub fn add(&mut self, id: PackId, bytes: u64, footer: &Footer) -> Result<(), StoreError> {
        self.packs.insert(id, bytes);
        self.guarded(|index| {
            let cache = &index.cache;
            Ok(cache.transaction(|| cache.add_pack(&id, bytes, footer))?)
        })
    }

    /// All copies of a blob, usable ones first: a reader tries every one.
    pub fn copies(&mut self, kind: BlobKind, id: &BlobId) -> Result<Vec<Copy>, StoreError> {
        let copies = self.guarded(|index| Ok(index.cache.copies(kind, id)?))?;
        Ok(self.best_first(copies))
    }

    /// All copies of what a delta's base may be, in the same order.
    pub fn copies_of_base(
        &mut self,
        kind: BlobKind,
        prefix: &BasePrefix,
    ) -> Result<Vec<Copy>, StoreError> {
        let copies = self.guarded(|index| Ok(index.cache.copies_of_base(kind, prefix)?))?;
        Ok(self.best_first(copies))
    }

    fn best_first(&self, mut copies: Vec<Copy>) -> Vec<Copy> {
        copies.sort_by_key(|copy| {
            (
                self.excluded.contains(&copy.pack),
                copy.encoding == Encoding::Delta,
            )
        });
        copies
    }

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
            if copy.encoding != Encoding::Delta {
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
        self.guarded(|index| index.footing_of(kind, base))
    }

    fn footing_of(&self, kind: BlobKind, base: &BlobId) -> Result<Option<Footing>, StoreError> {
        let mut footing = Footing::default();
        // What is still to be followed: a delta may have several bases.
        let mut open = vec![(*base, 0)];
        while let Some((id, depth)) = open.pop() {
            footing.depth = footing.depth.max(depth);
            if depth > u32::from(DELTA_DEPTH_MAX)
                || footing.deltas > DELTA_STEPS_MAX
                || self.cache.with_prefix(kind, &base_prefix(&id))?.len() != 1
            {
                return Ok(None);
            }
            let copies = self.cache.copies(kind, &id)?;
            let at_hand = |copy: &&Copy| {
                self.packs.contains_key(&copy.pack) && !self.excluded.contains(&copy.pack)
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
    pub fn is_complete(&mut self, snapshot: &SnapshotId) -> Result<bool, StoreError> {
        let dying = self
            .excluded
            .dead
            .iter()
            .any(|pack| self.packs.contains_key(pack));
        if self.excluded.any() || dying || !self.unreadable.is_empty() {
            return Ok(false);
        }
        self.guarded(|index| Ok(index.cache.is_complete(snapshot)?))
    }

    /// Remembers that every blob that a snapshot reaches has a usable copy.
    pub fn set_complete(&mut self, snapshot: &SnapshotId) -> Result<(), StoreError> {
        self.guarded(|index| Ok(index.cache.set_complete(snapshot)?))
    }

    /// Ids of this kind that a delta's base may have.
    pub fn bases(
        &mut self,
        kind: BlobKind,
        prefix: &BasePrefix,
    ) -> Result<Vec<BlobId>, StoreError> {
        self.guarded(|index| Ok(index.cache.with_prefix(kind, prefix)?))
    }

    /// What a pack's footer says, in no order; `None` if it cannot be read.
    pub fn footer(&mut self, id: &PackId) -> Result<Option<Footer>, StoreError> {
        self.guarded(|index| Ok(index.cache.footer(id)?))
    }

    /// True if no copy may be taken from this pack.
    pub fn is_excluded(&self, id: &PackId) -> bool {
        self.excluded.contains(id)
    }

    /// Packs with their lengths.
    pub fn packs(&self) -> &HashMap<PackId, u64> {
        &self.packs
    }

    /// Packs whose footers cannot be read.
    pub fn unreadable(&self) -> &[UnreadablePack] {
        &self.unreadable
    }
}

/// The packs that a listing shows, with their lengths.
fn list_packs(backend: &dyn Backend) -> Result<HashMap<PackId, u64>, StoreError> {
    let listed = backend.list(name::PACKS)?;
    let pack = |object: &ObjectInfo| Some((name::parse_pack(&object.name)?, object.bytes));
    Ok(listed.iter().filter_map(pack).collect())
}

/// Reads a stored footer. The inner result tells damage; the outer one that it could not be read.
fn read_footer(
    backend: &dyn Backend,
    hash: StoreHash,
    id: &PackId,
    bytes: u64,
) -> Result<Result<Footer, FormatError>, StoreError> {
    let name = name::pack(id);
    let trailer_bytes = TRAILER_BYTES as u64;
    if bytes < PACK_HEAD_BYTES as u64 + trailer_bytes || bytes > limits::PACK_BYTES_MAX {
        return Ok(Err(FormatError::Truncated { what: "a pack" }));
    }
    let head = backend.get_range(&name, 0, PACK_HEAD_BYTES as u64)?;
    let trailer = backend.get_range(&name, bytes - trailer_bytes, trailer_bytes)?;
    let trailer = match pack::check_head(&head).and_then(|()| Trailer::decode(&trailer)) {
        Ok(trailer) => trailer,
        Err(cause) => return Ok(Err(cause)),
    };
    let stored = u64::from(trailer.stored_bytes);
    let Some(at) = (bytes - trailer_bytes).checked_sub(stored) else {
        return Ok(Err(FormatError::Truncated { what: "a pack" }));
    };
    let footer = backend.get_range(&name, at, stored)?;
    Ok(Footer::decode(hash, &trailer, &footer, bytes))
}
