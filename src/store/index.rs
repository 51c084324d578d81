//! Which blob lies where: the footers of all packs, read into the local cache.
//!
//! What of it may be leaned on is decided in `usable`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::{Cache, Copy};
use super::check::pack_damage;
use super::error::StoreError;
use super::rules::Rules;
use super::usable::Excluded;
use crate::backend::{Backend, BackendErrorKind, ObjectInfo};
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobKind, Encoding};
use crate::format::footer::{BasePrefix, BlobEntry, Footer, TRAILER_BYTES, Trailer};
use crate::format::pack::PACK_HEAD_BYTES;
use crate::format::{FormatError, limits, name, pack};
use crate::model::id::{BlobId, PackId};

/// Packs are listed so often in a row at most, if clean-ups delete them faster than their footers are read.
const LISTINGS_MAX: u32 = 16;

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
    pub(super) cache: Cache,
    /// The cache is a temporary one already.
    temporary: bool,
    /// Two listings in a row were the same: what is in no pack is nowhere.
    settled: bool,
    /// A pack that was listed is gone: what it held may be in another one.
    stale: bool,
    /// Version of the cache when it was last made to hold what was listed.
    cache_version: i64,
    backend: Arc<dyn Backend>,
    hash: StoreHash,
    pub(super) excluded: Excluded,
    pub(super) packs: HashMap<PackId, u64>,
    pub(super) unreadable: Vec<UnreadablePack>,
    /// Packs whose footers cannot be read: what is known of them was found frame by frame.
    searched: HashSet<PackId>,
    pub(super) rules: Rules,
}

impl Index {
    /// Lists the packs and reads the footers that the cache lacks. `excluded` comes from before
    /// (W2 before W3). `cache_file`: `None` for a temporary cache.
    pub fn load(
        backend: Arc<dyn Backend>,
        hash: StoreHash,
        excluded: Excluded,
        cache_file: Option<PathBuf>,
        rules: Rules,
    ) -> Result<Self, StoreError> {
        let (cache, temporary) = match cache_file.as_deref().map(|file| Cache::open(Some(file))) {
            Some(Ok(cache)) => (cache, false),
            // A cache file that cannot be used costs time, not the run.
            Some(Err(_)) | None => (Cache::open(None)?, true),
        };
        let mut index = Self {
            cache,
            temporary,
            settled: false,
            stale: false,
            cache_version: 0,
            backend,
            hash,
            excluded,
            packs: HashMap::new(),
            unreadable: Vec::new(),
            searched: HashSet::new(),
            rules,
        };
        index.list()?;
        Ok(index)
    }

    /// Does what needs the cache. Where its file fails, it is done once more with a temporary one,
    /// made from the stored footers: a damaged or full cache costs time, not the run.
    pub(super) fn guarded<T>(
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

    /// Lists the packs and reads the footers that the cache lacks, until none of them has gone meanwhile.
    /// Whether the cache was written to.
    fn list(&mut self) -> Result<bool, StoreError> {
        let mut written = false;
        for _ in 0..LISTINGS_MAX {
            self.stale = false;
            self.packs = list_packs(&*self.backend)?;
            written |= self.guarded(Self::refresh)?;
            if !self.stale {
                break;
            }
        }
        Ok(written)
    }

    /// Lists the packs once more, for a blob that was not found: it may have come meanwhile, or a clean-up
    /// may have put it elsewhere, or another process may have taken its pack out of the cache. `false`:
    /// nothing has changed, and what was not found is nowhere.
    pub fn list_again(&mut self) -> Result<bool, StoreError> {
        let version = self.guarded(|index| Ok(index.cache.version()?))?;
        let moved = version != self.cache_version;
        if self.settled && !self.stale && !moved {
            return Ok(false);
        }
        let before = self.packs.clone();
        let written = self.list()?;
        let changed = moved || written || self.stale || self.packs != before;
        self.settled = !changed;
        Ok(changed)
    }

    /// A pack that was listed is not there any more.
    pub(super) fn set_stale(&mut self) {
        self.stale = true;
    }

    /// True if such a pack was met since packs were listed.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Makes the cache hold exactly the packs that were listed. Whether that took any writing.
    fn refresh(&mut self) -> Result<bool, StoreError> {
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
        let mut written = !stale.is_empty();
        self.unreadable.clear();
        for (id, bytes) in new {
            let before = self.unreadable.len();
            self.read_footer_of(id, bytes)?;
            // One whose footer cannot be read is in no cache, and is read each time.
            written |= self.unreadable.len() == before;
        }
        self.cache_version = self.cache.version()?;
        Ok(written)
    }

    fn read_footer_of(&mut self, id: PackId, bytes: u64) -> Result<(), StoreError> {
        let read = match read_footer(&*self.backend, self.hash, &id, bytes) {
            // It vanished between the listing and the reading.
            Err(error) if error.backend_kind() == Some(BackendErrorKind::NotFound) => {
                self.packs.remove(&id);
                self.stale = true;
                return Ok(());
            }
            // Of a pack that is known to be damaged that is no news, and no reason to stop.
            Err(error)
                if error.backend_kind() == Some(BackendErrorKind::Other)
                    && self.excluded.damaged.contains(&id) =>
            {
                Err(FormatError::Truncated { what: "a pack" })
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
        if self.searched.contains(id) {
            return Ok(());
        }
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

    /// Takes what was found in a pack whose footer cannot be read, in its place. Only where the cache is a
    /// temporary one: it is no footer that the store has.
    pub(super) fn adopt(&mut self, id: PackId, found: &Footer) -> Result<(), StoreError> {
        let Some(bytes) = self.packs.get(&id).copied() else {
            return Ok(());
        };
        let cache = &self.cache;
        cache.transaction(|| cache.add_pack(&id, bytes, found))?;
        self.unreadable.retain(|pack| pack.id != id);
        self.searched.insert(id);
        Ok(())
    }

    /// Takes one more blob that was found in such a pack.
    pub(super) fn adopt_blob(&mut self, id: &PackId, found: &BlobEntry) -> Result<(), StoreError> {
        Ok(self.cache.add_blob(id, found)?)
    }

    /// All copies of a blob, usable ones first: a reader tries every one.
    pub fn copies(&mut self, kind: BlobKind, id: &BlobId) -> Result<Vec<Copy>, StoreError> {
        let copies = self.guarded(|index| Ok(index.cache.copies(kind, id)?))?;
        Ok(self.best_first(copies))
    }

    /// Of each of these blobs the copy that a reader tries first, all asked for in one transaction.
    pub fn first_copies(
        &mut self,
        blobs: &[(BlobKind, BlobId)],
    ) -> Result<Vec<Option<Copy>>, StoreError> {
        let copies: Vec<Vec<Copy>> = self.guarded(|index| {
            let of_each = || {
                let each = blobs.iter();
                each.map(|(kind, id)| Ok(index.cache.copies(*kind, id)?))
                    .collect()
            };
            index.cache.reading::<_, StoreError>(of_each)
        })?;
        let first = |copies| self.best_first(copies).into_iter().next();
        Ok(copies.into_iter().map(first).collect())
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

    /// True if this pack is known to be damaged.
    pub fn is_damaged(&self, id: &PackId) -> bool {
        self.excluded.damaged.contains(id)
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
