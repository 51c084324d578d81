//! Blobs by id: index → range of a pack → frame → item → canonical form → id check.
//!
//! A delta is brought forward from its whole copy, and only the result's id is checked. Every copy
//! is tried; a copy that fails is tried once more with its pack's stored footer before anything is
//! called damage. Memory: a few decoded frames, and the deltas of one chain.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::cache::Copy;
use super::error::StoreError;
use super::index::Index;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::codec::zstd::Decompressor;
use crate::format::blob::{self, BlobError, BlobErrorKind, BlobKind, BlobSource, Encoding};
use crate::format::bytes::check_limit;
use crate::format::delta::{Chain, DELTA_DEPTH_MAX};
use crate::format::pack::Item;
use crate::format::{FormatError, limits, name, pack};
use crate::model::id::{BlobId, PackId};

/// Decoded frames are kept up to this many bytes in all: frames of small blobs are read again soon,
/// and a chain of deltas needs one frame for each.
const FRAMES_BYTES_MAX: usize = 4 << 20;
/// Copies tried for one blob, bases included: two of each on the longest chain, and some more. A
/// hostile store may offer any number.
const TRIES_MAX: u32 = 4 * DELTA_DEPTH_MAX as u32;

/// A copy that could not be used.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("pack {0}: {1}")]
    Damaged(PackId, FormatError),
    #[error("pack {0} is gone")]
    Gone(PackId),
    /// A delta whose base could not be had.
    #[error("its base, {0}: {1}")]
    Base(BlobId, Box<CopyError>),
    #[error("no usable copy of it is known")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CopyError {
    fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(..) => true,
            Self::Base(_, cause) => cause.is_damage(),
            Self::Gone(_) | Self::Unknown | Self::Store(_) => false,
        }
    }
}

/// A delta on the way to a blob.
struct Step {
    pack: PackId,
    delta: Vec<u8>,
    canonical_bytes: u64,
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
            let damaged = failed.as_ref().is_some_and(CopyError::is_damage);
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
            Some(error) if error.is_damage() => damaged(BlobErrorKind::Damaged, Box::new(error)),
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
        let mut packs = Vec::new();
        let first = self.read_first_chain(kind, id, &mut packs);
        if let Ok(canonical) = first {
            return Ok(Some(canonical));
        }
        for again in [false, true] {
            let mut tries = Tries {
                left: TRIES_MAX,
                path: Vec::new(),
                packs: std::mem::take(&mut packs),
            };
            match self.read_any_copy(kind, id, &mut tries) {
                Ok(canonical) => return Ok(Some(canonical)),
                Err(CopyError::Store(error)) => return Err(error),
                Err(CopyError::Unknown) => {}
                // Damage of one copy says more than that another is gone.
                Err(error) if error.is_damage() || failed.is_none() => *failed = Some(error),
                Err(_) => {}
            }
            if again || tries.packs.is_empty() {
                break;
            }
            // The cache may be wrong: read the stored footers, and try once more.
            self.frames.borrow_mut().clear();
            tries.packs.sort_unstable();
            tries.packs.dedup();
            for pack in &tries.packs {
                self.index.borrow_mut().reread(pack)?;
            }
        }
        Ok(None)
    }

    /// The blob by the first copy of it and of each base: what is right unless something is wrong,
    /// and then decoding or the id says so. `packs` gets those that were read.
    fn read_first_chain(
        &self,
        kind: BlobKind,
        id: &BlobId,
        packs: &mut Vec<PackId>,
    ) -> Result<Vec<u8>, CopyError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut delta_bytes = 0;
        let mut at = *id;
        let whole = loop {
            let copies = self.index.borrow_mut().copies(kind, &at)?;
            let copy = copies.first().ok_or(CopyError::Unknown)?;
            packs.push(copy.pack);
            if copy.encoding != Encoding::Delta {
                break self.read_whole(kind, copy)?;
            }
            if steps.len() >= usize::from(DELTA_DEPTH_MAX) {
                return Err(CopyError::Unknown);
            }
            let step = self.read_delta(kind, copy)?;
            delta_bytes += step.delta.len() as u64;
            check_limit("deltas of a chain", delta_bytes, limits::CHAIN_BYTES_MAX)
                .map_err(|cause| CopyError::Damaged(copy.pack, cause))?;
            steps.push(step);
            let bases = self.index.borrow_mut().bases(kind, &copy.base)?;
            at = *bases.first().ok_or(CopyError::Unknown)?;
        };
        let canonical = forward(kind, whole, &steps).map_err(|(pack, cause)| {
            CopyError::Damaged(
                pack.or(packs.last().copied()).unwrap_or(PackId([0; 32])),
                cause,
            )
        })?;
        let pack = packs.first().copied().unwrap_or(PackId([0; 32]));
        self.check_id(kind, id, canonical, pack)
    }

    /// The blob by any copy, each base checked by its own id.
    fn read_any_copy(
        &self,
        kind: BlobKind,
        id: &BlobId,
        tries: &mut Tries,
    ) -> Result<Vec<u8>, CopyError> {
        let copies = self.index.borrow_mut().copies(kind, id)?;
        let mut failed = CopyError::Unknown;
        for copy in &copies {
            if tries.left == 0 {
                break;
            }
            tries.left -= 1;
            tries.packs.push(copy.pack);
            match self.read_copy(kind, id, copy, tries) {
                Ok(canonical) => return Ok(canonical),
                Err(error @ CopyError::Store(_)) => return Err(error),
                Err(error) if error.is_damage() || !failed.is_damage() => failed = error,
                Err(_) => {}
            }
        }
        Err(failed)
    }

    fn read_copy(
        &self,
        kind: BlobKind,
        id: &BlobId,
        copy: &Copy,
        tries: &mut Tries,
    ) -> Result<Vec<u8>, CopyError> {
        if copy.encoding != Encoding::Delta {
            return self.check_id(kind, id, self.read_whole(kind, copy)?, copy.pack);
        }
        let step = self.read_delta(kind, copy)?;
        let bases = self.index.borrow_mut().bases(kind, &copy.base)?;
        let mut failed = CopyError::Unknown;
        tries.path.push(*id);
        // A chain neither comes back to a blob on it nor is longer than any writer makes it.
        let long = tries.path.len() > usize::from(DELTA_DEPTH_MAX);
        for base in bases.iter().filter(|_| !long) {
            if tries.path.contains(base) {
                continue;
            }
            let made = self.read_any_copy(kind, base, tries);
            let made = made.map_err(|cause| match cause {
                CopyError::Store(error) => CopyError::Store(error),
                cause => CopyError::Base(*base, Box::new(cause)),
            });
            let made = made.and_then(|whole| {
                let canonical = forward(kind, whole, std::slice::from_ref(&step))
                    .map_err(|(_, cause)| CopyError::Damaged(copy.pack, cause))?;
                self.check_id(kind, id, canonical, copy.pack)
            });
            match made {
                Ok(canonical) => {
                    tries.path.pop();
                    return Ok(canonical);
                }
                Err(error @ CopyError::Store(_)) => return Err(error),
                Err(error) => failed = error,
            }
        }
        tries.path.pop();
        Err(failed)
    }

    fn check_id(
        &self,
        kind: BlobKind,
        id: &BlobId,
        canonical: Vec<u8>,
        pack: PackId,
    ) -> Result<Vec<u8>, CopyError> {
        if self.hash.blob_id(kind as u8, &canonical) == *id {
            return Ok(canonical);
        }
        let cause = FormatError::Digest {
            what: "the content of a blob",
        };
        Err(CopyError::Damaged(pack, cause))
    }

    /// Decodes a whole copy; its id is not checked yet.
    fn read_whole(&self, kind: BlobKind, copy: &Copy) -> Result<Vec<u8>, CopyError> {
        self.with_item(kind, copy, |item| {
            blob::decode(item.encoding, item.encoded, u64::from(item.canonical_bytes))
        })
    }

    fn read_delta(&self, kind: BlobKind, copy: &Copy) -> Result<Step, CopyError> {
        self.with_item(kind, copy, |item| {
            if item.base != Some(copy.base) {
                return Err(FormatError::Invalid {
                    what: "the base of a blob",
                });
            }
            Ok(Step {
                pack: copy.pack,
                delta: item.encoded.to_vec(),
                canonical_bytes: u64::from(item.canonical_bytes),
            })
        })
    }

    fn with_item<T>(
        &self,
        kind: BlobKind,
        copy: &Copy,
        take: impl FnOnce(Item<'_>) -> Result<T, FormatError>,
    ) -> Result<T, CopyError> {
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
        take(item).map_err(damaged)
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

/// What is still to be tried for one blob.
struct Tries {
    left: u32,
    /// Blobs whose bases are being read.
    path: Vec<BlobId>,
    /// Packs that were read.
    packs: Vec<PackId>,
}

/// Brings a whole copy forward; `steps` begin with the last one. An error names the delta's pack.
fn forward(
    kind: BlobKind,
    whole: Vec<u8>,
    steps: &[Step],
) -> Result<Vec<u8>, (Option<PackId>, FormatError)> {
    let Some(last) = steps.first() else {
        return Ok(whole);
    };
    let mut chain = Chain::begin(kind, whole).map_err(|cause| (None, cause))?;
    for step in steps.iter().rev() {
        chain
            .apply(&step.delta, step.canonical_bytes)
            .map_err(|cause| (Some(step.pack), cause))?;
    }
    let canonical = chain.finish();
    if canonical.len() as u64 == last.canonical_bytes {
        return Ok(canonical);
    }
    let what = "the length of a blob";
    Err((Some(last.pack), FormatError::Invalid { what }))
}

impl BlobSource for StoreReader {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.blobs_read.set(self.blobs_read.get() + 1);
        self.read_copies(kind, id)
    }
}
