//! Blobs by id: index → range of a pack → frame → item → canonical form → id check.
//!
//! Every copy is tried; a copy that fails is tried once more with its pack's stored footer before
//! anything is called damage. Memory: a few decoded frames.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::cache::Copy;
use super::census::Census;
use super::error::StoreError;
use super::index::Index;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::codec::zstd::Decompressor;
use crate::format::blob::{self, BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::bytes::check_limit;
use crate::format::{FormatError, limits, name, pack};
use crate::model::id::{BlobId, PackId};

/// Decoded frames are kept up to this many bytes in all: frames of small blobs are read again soon.
const FRAMES_BYTES_MAX: usize = 2 << 20;

/// A copy that could not be used.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("pack {0}: {1}")]
    Damaged(PackId, FormatError),
    #[error("pack {0} is gone")]
    Gone(PackId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A frame's place and its plain text.
type DecodedFrame = ((PackId, u64), Arc<Vec<u8>>);

/// Reads blobs of one store.
#[derive(Debug)]
pub struct StoreReader {
    backend: Arc<dyn Backend>,
    hash: StoreHash,
    index: RefCell<Index>,
    frames: RefCell<VecDeque<DecodedFrame>>,
    decompressor: RefCell<Decompressor>,
    blobs_read: Cell<u64>,
}

impl StoreReader {
    pub(super) fn new(backend: Arc<dyn Backend>, hash: StoreHash, index: Index) -> Self {
        Self {
            backend,
            hash,
            index: RefCell::new(index),
            frames: RefCell::default(),
            decompressor: RefCell::default(),
            blobs_read: Cell::new(0),
        }
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
        let mut index = self.index.borrow_mut();
        let footer = index.footer(id)?;
        census.add_pack(id, bytes, footer.as_ref(), index.is_excluded(id))?;
        let unreadable = index.unreadable().iter().find(|pack| pack.id == *id);
        Ok(unreadable.map(|pack| pack.cause.clone()))
    }

    /// True if a usable copy of the blob is known; nothing is read.
    pub fn usable(&self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        self.index.borrow_mut().usable(kind, id)
    }

    fn read_copies(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let unavailable = |error: StoreError| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id: *id,
            cause: Box::new(error),
        };
        let mut failed = None;
        loop {
            let tried = self.try_copies(kind, id, &mut failed);
            if let Some(canonical) = tried.map_err(unavailable)? {
                return Ok(canonical);
            }
            let damaged = matches!(failed, Some(CopyError::Damaged(..)));
            let mut index = self.index.borrow_mut();
            if damaged || !index.list_again().map_err(unavailable)? {
                break;
            }
        }
        let damaged = |why, cause| BlobError {
            why,
            kind,
            id: *id,
            cause,
        };
        Err(match failed {
            Some(error @ CopyError::Damaged(..)) => {
                damaged(BlobErrorKind::Damaged, Box::new(error))
            }
            Some(error) => damaged(BlobErrorKind::Missing, Box::new(error)),
            None => damaged(BlobErrorKind::Missing, "it is in no pack".into()),
        })
    }

    /// The blob from the first copy that is good; `None` without one, and `failed` says why.
    fn try_copies(
        &self,
        kind: BlobKind,
        id: &BlobId,
        failed: &mut Option<CopyError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        for again in [false, true] {
            let copies = self.index.borrow_mut().copies(kind, id)?;
            for copy in &copies {
                match self.read_copy(kind, id, copy) {
                    Ok(canonical) => return Ok(Some(canonical)),
                    Err(CopyError::Store(error)) => return Err(error),
                    // Damage of one copy says more than that another is gone.
                    Err(CopyError::Gone(_)) if matches!(failed, Some(CopyError::Damaged(..))) => {}
                    Err(error) => *failed = Some(error),
                }
            }
            if again || copies.is_empty() {
                break;
            }
            // The cache may be wrong: read the stored footers, and try once more.
            for copy in &copies {
                self.frames.borrow_mut().clear();
                self.index.borrow_mut().reread(&copy.pack)?;
            }
        }
        Ok(None)
    }

    fn read_copy(&self, kind: BlobKind, id: &BlobId, copy: &Copy) -> Result<Vec<u8>, CopyError> {
        let damaged = |cause| CopyError::Damaged(copy.pack, cause);
        let frame = self.frame(copy)?;
        let offset = usize::try_from(copy.offset).map_err(|_| {
            damaged(FormatError::Invalid {
                what: "the place of a blob",
            })
        })?;
        let (item, _) = pack::read_item(&frame, offset).map_err(damaged)?;
        if item.kind != kind {
            return Err(damaged(FormatError::Invalid {
                what: "the kind of a blob",
            }));
        }
        let canonical = blob::decode(item.encoding, item.encoded, u64::from(item.canonical_bytes))
            .map_err(damaged)?;
        if self.hash.blob_id(kind as u8, &canonical) == *id {
            Ok(canonical)
        } else {
            Err(damaged(FormatError::Digest {
                what: "the content of a blob",
            }))
        }
    }

    /// A frame's plain text, read unless it is at hand.
    fn frame(&self, copy: &Copy) -> Result<Arc<Vec<u8>>, CopyError> {
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
                return Err(CopyError::Gone(copy.pack));
            }
            // A pack that was cut short ends before the range does.
            Err(error) if error.kind == BackendErrorKind::Other && self.is_short(copy) => {
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
        self.read_copies(kind, id)
    }
}
