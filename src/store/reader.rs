//! Blobs by id: index → range of a pack → frame → item → canonical form → id check.
//!
//! Which copies are read, and how deltas become the blob, is in `copies`. Memory: a few decoded
//! frames, what one chain of deltas needs, and leaves as [`StoreReader::keep_leaves`] says.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::cache::Copy;
use super::census::{Census, Tier};
use super::copies::CopyError;
use super::error::StoreError;
use super::index::Index;
use super::lately::Lately;
use super::read_ahead::ReadAhead;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::codec::zstd::Decompressor;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::bytes::check_limit;
use crate::format::{FormatError, limits, name};
use crate::model::id::{BlobId, PackId};

/// Decoded frames are kept up to this many bytes in all: frames of small blobs are read again soon,
/// and a chain of deltas needs one frame for each.
const FRAMES_BYTES_MAX: usize = 4 << 20;
/// A blob is looked for so often at most, if clean-ups move it each time: each may take hours.
const TRIES_MAX: u32 = 64;
/// A frame's place and its plain text.
pub(super) type DecodedFrame = ((PackId, u64), Arc<Vec<u8>>);

/// Reads blobs of one store.
#[derive(Debug)]
pub struct StoreReader {
    backend: Arc<dyn Backend>,
    pub(super) hash: StoreHash,
    pub(super) index: RefCell<Index>,
    pub(super) frames: RefCell<VecDeque<DecodedFrame>>,
    pub(super) lately: RefCell<Lately>,
    decompressor: RefCell<Decompressor>,
    blobs_read: Cell<u64>,
    ahead: RefCell<Option<ReadAhead>>,
}

impl StoreReader {
    pub(super) fn new(backend: Arc<dyn Backend>, hash: StoreHash, index: Index) -> Self {
        Self {
            backend,
            hash,
            index: RefCell::new(index),
            frames: RefCell::default(),
            lately: RefCell::default(),
            decompressor: RefCell::default(),
            blobs_read: Cell::new(0),
            ahead: RefCell::default(),
        }
    }

    /// Keeps the leaves that were read last, up to so many bytes, where deltas are met: for who reads several
    /// snapshots.
    pub fn keep_leaves(&self, bytes: usize) {
        self.lately.borrow_mut().set_bytes(bytes);
    }

    /// How this store hashes.
    pub fn hash(&self) -> StoreHash {
        self.hash
    }

    /// Blobs read so far.
    pub fn blobs_read(&self) -> u64 {
        self.blobs_read.get()
    }

    /// The packs that hold copies of a blob.
    pub fn packs_of(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<PackId>, StoreError> {
        Ok(self
            .index
            .borrow_mut()
            .copies(kind, id)?
            .into_iter()
            .map(|copy| copy.pack)
            .collect())
    }

    /// Where the first copy of a blob lies: its pack, its canonical length, and its share of the
    /// stored length of its frame. `None` if no copy is known.
    pub fn stored(
        &self,
        kind: BlobKind,
        id: &BlobId,
    ) -> Result<Option<(PackId, u64, u64)>, StoreError> {
        let copies = self.index.borrow_mut().copies(kind, id)?;
        Ok(copies.first().map(|copy| {
            let share =
                copy.frame_stored.saturating_mul(copy.encoded_bytes) / copy.frame_plain.max(1);
            (copy.pack, copy.canonical_bytes, share)
        }))
    }

    /// An empty census, and the packs to take into it with [`StoreReader::count_pack`].
    pub fn census(&self) -> Result<(Census, Vec<(PackId, u64)>), StoreError> {
        let index = self.index.borrow();
        let packs = index.packs().iter();
        let mut packs: Vec<(PackId, u64)> = packs.map(|(id, bytes)| (*id, *bytes)).collect();
        packs.sort_unstable();
        Ok((Census::new()?, packs))
    }

    /// Takes a pack of `bytes` bytes into a census. Says what is wrong with its footer, if anything.
    pub fn count_pack(
        &self,
        census: &Census,
        id: &PackId,
        bytes: u64,
    ) -> Result<Option<FormatError>, StoreError> {
        let tier = match self.index.borrow().is_excluded(id) {
            true => Tier::Second,
            false => Tier::First,
        };
        self.count_pack_as(census, id, bytes, tier)
    }

    /// As [`StoreReader::count_pack`], but how gladly copies are taken from it is said.
    pub(super) fn count_pack_as(
        &self,
        census: &Census,
        id: &PackId,
        bytes: u64,
        tier: Tier,
    ) -> Result<Option<FormatError>, StoreError> {
        let mut index = self.index.borrow_mut();
        let footer = index.footer(id)?;
        census.add_pack(id, bytes, footer.as_ref(), tier)?;
        let unreadable = index.unreadable().iter().find(|pack| pack.id == *id);
        Ok(unreadable.map(|pack| pack.cause.clone()))
    }

    /// True if a usable copy of the blob is known; nothing is read.
    pub fn usable(&self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        self.index.borrow_mut().usable(kind, id)
    }

    /// A blob that was read ahead and is good.
    fn read_already(&self, kind: BlobKind, id: &BlobId) -> Option<Vec<u8>> {
        let mut ahead = self.ahead.borrow_mut();
        let ahead = ahead.as_mut()?;
        ahead.top_up(|blobs| {
            let copies = self.index.borrow_mut().first_copies(blobs);
            copies.unwrap_or_default()
        });
        ahead.take(kind, id)
    }

    fn read_copies(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let unavailable = |error: StoreError| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id: *id,
            cause: Box::new(error),
        };
        let mut failed = None;
        for _ in 0..TRIES_MAX {
            let tried = self.try_copies(kind, id, &mut failed);
            if let Some(canonical) = tried.map_err(unavailable)? {
                return Ok(canonical);
            }
            let damaged = failed.as_ref().is_some_and(CopyError::is_damage);
            let mut index = self.index.borrow_mut();
            // Beside a damaged copy there may have been one that is elsewhere now.
            if damaged && !index.is_stale() || !index.list_again().map_err(unavailable)? {
                break;
            }
        }
        // `try_copies` says why it found nothing.
        let failed = failed.unwrap_or(CopyError::Unknown);
        let why = match failed.is_damage() {
            true => BlobErrorKind::Damaged,
            false => BlobErrorKind::Missing,
        };
        Err(BlobError {
            why,
            kind,
            id: failed.culprit(id),
            cause: Box::new(failed),
        })
    }

    /// A frame's plain text, read unless it is at hand.
    pub(super) fn frame(&self, copy: &Copy) -> Result<Arc<Vec<u8>>, CopyError> {
        let key = (copy.pack, copy.frame_offset);
        if let Some((_, frame)) = self.frames.borrow().iter().find(|(at, _)| *at == key) {
            return Ok(frame.clone());
        }
        let damaged = |cause| CopyError::Damaged(copy.pack, cause);
        check_limit("a frame", copy.frame_stored, limits::PACK_BYTES_MAX).map_err(damaged)?;
        check_limit("a frame", copy.frame_plain, limits::FRAME_BYTES_MAX).map_err(damaged)?;
        let name = name::pack(&copy.pack);
        let stored = match self
            .backend
            .get_range(&name, copy.frame_offset, copy.frame_stored)
        {
            Ok(stored) => stored,
            Err(error) if error.kind == BackendErrorKind::NotFound => {
                self.index.borrow_mut().set_stale();
                return Err(CopyError::Gone(copy.pack));
            }
            // A pack that was cut short ends before the range does.
            // And of one that is known to be damaged, anything may fail.
            Err(error)
                if error.kind == BackendErrorKind::Other
                    && (self.index.borrow().is_damaged(&copy.pack) || self.is_short(copy)) =>
            {
                return Err(damaged(FormatError::Truncated { what: "a pack" }));
            }
            Err(error) => return Err(CopyError::Store(error.into())),
        };
        let plain_bytes = usize::try_from(copy.frame_plain).map_err(|_| {
            damaged(FormatError::Invalid {
                what: "the length of a frame",
            })
        })?;
        let decompressed = self.decompressor.borrow_mut().exact(&stored, plain_bytes);
        let plain = Arc::new(decompressed.map_err(|e| damaged(e.into()))?);
        let mut frames = self.frames.borrow_mut();
        // A frame of one blob is read once.
        if copy.encoded_bytes.saturating_mul(2) > copy.frame_plain {
            return Ok(plain);
        }
        frames.push_back((key, plain.clone()));
        while frames.iter().map(|(_, frame)| frame.len()).sum::<usize>() > FRAMES_BYTES_MAX
            && frames.len() > 1
        {
            frames.pop_front();
        }
        Ok(plain)
    }

    fn is_short(&self, copy: &Copy) -> bool {
        let end = copy.frame_offset.saturating_add(copy.frame_stored);
        let name = name::pack(&copy.pack);
        let folder = name
            .rsplit_once('/')
            .map_or(name::PACKS, |(folder, _)| folder);
        self.backend
            .list(&format!("{folder}/"))
            .is_ok_and(|objects| {
                objects
                    .iter()
                    .any(|object| object.name == name && object.bytes < end)
            })
    }
}

impl BlobSource for StoreReader {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.blobs_read.set(self.blobs_read.get() + 1);
        if kind == BlobKind::Leaf
            && let Some(canonical) = self.lately.borrow().get(id)
        {
            return Ok(canonical);
        }
        let canonical = match self.read_already(kind, id) {
            Some(canonical) => canonical,
            None => self.read_copies(kind, id)?,
        };
        if kind == BlobKind::Leaf {
            self.lately.borrow_mut().put(id, &canonical);
        }
        Ok(canonical)
    }

    fn soon(&self, kind: BlobKind, ids: &[BlobId]) {
        let mut ahead = self.ahead.borrow_mut();
        if ahead.is_none() {
            *ahead = ReadAhead::begin(&self.backend, self.hash, ids.len());
        }
        if let Some(ahead) = &mut *ahead {
            ahead.want(kind, ids);
        }
    }
}
