//! Which copy of a blob is read, and how deltas are brought forward from whole copies.
//!
//! First every blob's first copy is taken for good, and only the id of what comes out is checked.
//! If that fails, every copy is tried, each base checked by its own id, and once more with the
//! stored footers of the packs that were read, before anything is called damage.

use super::cache::Copy;
use super::chain::TRIES_MAX;
use super::error::StoreError;
use super::reader::StoreReader;
use crate::format::blob::{self, BlobError, BlobErrorKind, BlobKind, BlobSource, Encoding, Patch};
use crate::format::bytes::check_limit;
use crate::format::delta::{Chain, DELTA_DEPTH_MAX, DELTA_STEPS_MAX};
use crate::format::footer::{BasePrefix, base_prefix};
use crate::format::pack::{self, Item};
use crate::format::{FormatError, limits};
use crate::model::id::{BlobId, PackId};

/// A copy that could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("pack {0}: {1}")]
    Damaged(PackId, FormatError),
    #[error("pack {0} is gone")]
    Gone(PackId),
    /// A delta whose base could not be had.
    #[error("{1}")]
    Base(BlobId, Box<CopyError>),
    #[error("it is in no pack")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CopyError {
    /// True if bytes were read that are not what they should be.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(..) => true,
            Self::Base(_, cause) => cause.is_damage(),
            Self::Gone(_) | Self::Unknown | Self::Store(_) => false,
        }
    }

    /// The blob at fault: the deepest base that could not be had, else `id` itself.
    pub fn culprit(&self, id: &BlobId) -> BlobId {
        match self {
            Self::Base(base, cause) => cause.culprit(base),
            _ => *id,
        }
    }
}

/// What stands for a base of which only the prefix is known.
fn beginning_with(prefix: &BasePrefix) -> BlobId {
    let mut id = [0; 32];
    id[..prefix.len()].copy_from_slice(prefix);
    BlobId(id)
}

/// A blob as a delta. What comes out of it is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelta {
    /// What it stands on, in order.
    pub bases: Vec<BlobId>,
    /// Its bytes; store-format.md §4.3.
    pub delta: Vec<u8>,
}

/// A delta on the way to a blob.
struct Step {
    pack: PackId,
    delta: Vec<u8>,
    canonical_bytes: u64,
    /// Canonical forms of its bases but the first.
    more: Vec<Vec<u8>>,
}

/// What one blob may cost; bytes are those of deltas and of further bases.
struct Budget {
    deltas: u32,
    bytes: u64,
}

impl Budget {
    fn take(&mut self, deltas: u32, bytes: usize) -> Result<(), FormatError> {
        let too_long = FormatError::Invalid {
            what: "the number of deltas",
        };
        self.deltas = self.deltas.checked_sub(deltas).ok_or(too_long)?;
        self.bytes += bytes as u64;
        check_limit("deltas of a chain", self.bytes, limits::CHAIN_BYTES_MAX)
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

impl StoreReader {
    /// How a blob lies in its pack if that is as a delta, for who stores it elsewhere. `None`: a whole copy is there, or its bases are not told apart by their prefixes,
    /// or the delta cannot be read.
    ///
    /// Errors: `Unavailable`.
    pub fn delta(&self, kind: BlobKind, id: &BlobId) -> Result<Option<StoredDelta>, BlobError> {
        match self.first_delta(kind, id) {
            Ok(delta) => Ok(delta),
            Err(CopyError::Store(error)) => Err(BlobError {
                why: BlobErrorKind::Unavailable,
                kind,
                id: *id,
                cause: Box::new(error),
            }),
            Err(_) => Ok(None),
        }
    }

    fn first_delta(&self, kind: BlobKind, id: &BlobId) -> Result<Option<StoredDelta>, CopyError> {
        let copies = self.index.borrow_mut().copies(kind, id)?;
        let Some(copy) = copies.first().filter(|c| c.encoding == Encoding::Delta) else {
            return Ok(None);
        };
        let mut bases = Vec::with_capacity(copy.bases.len());
        for prefix in &copy.bases {
            match self.index.borrow_mut().bases(kind, prefix)?[..] {
                [only] => bases.push(only),
                _ => return Ok(None),
            }
        }
        let delta = self.read_delta(kind, copy)?.delta;
        Ok(Some(StoredDelta { bases, delta }))
    }

    /// The blob from the first copy that is good; `None` without one, and `failed` says why.
    pub(super) fn try_copies(
        &self,
        kind: BlobKind,
        id: &BlobId,
        failed: &mut Option<CopyError>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut budget = Budget {
            deltas: DELTA_STEPS_MAX,
            bytes: 0,
        };
        if let Ok((canonical, _)) = self.read_first(kind, id, 0, &mut budget)
            && self.hash.blob_id(kind as u8, &canonical) == *id
        {
            return Ok(Some(canonical));
        }
        for again in [false, true] {
            let mut tries = Tries {
                left: TRIES_MAX,
                path: Vec::new(),
                packs: Vec::new(),
            };
            match self.read_any(kind, id, &mut tries) {
                Ok(canonical) => return Ok(Some(canonical)),
                Err(CopyError::Store(error)) => return Err(error),
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

    /// A delta of the blob on exactly these bases, and their canonical forms; `None` if no copy that is
    /// good is one.
    pub(super) fn patch(
        &self,
        kind: BlobKind,
        id: &BlobId,
        bases: &[BlobId],
    ) -> Result<Option<Patch>, StoreError> {
        let copies = self.index.borrow_mut().copies(kind, id)?;
        let prefixes: Vec<BasePrefix> = bases.iter().map(base_prefix).collect();
        for copy in copies.iter().filter(|copy| copy.bases == prefixes) {
            match self.read_delta(kind, copy) {
                Ok(mut step) => {
                    let base = |base| self.get(kind, base).map_err(StoreError::from);
                    let bases: Vec<Vec<u8>> = bases.iter().map(base).collect::<Result<_, _>>()?;
                    let Some((first, more)) = bases.split_first() else {
                        return Ok(None);
                    };
                    step.more = more.to_vec();
                    let made = forward(kind, first.clone(), std::slice::from_ref(&step));
                    if made.is_ok_and(|made| self.hash.blob_id(kind as u8, &made) == *id) {
                        let delta = step.delta;
                        return Ok(Some(Patch { bases, delta }));
                    }
                }
                Err(CopyError::Store(error)) => return Err(error),
                // The blob itself was read, perhaps from another copy: it is stored whole.
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The blob by the first copy of it and of each base, and the pack of that copy; no id is
    /// checked. `above`: deltas that stand on it.
    fn read_first(
        &self,
        kind: BlobKind,
        id: &BlobId,
        above: usize,
        budget: &mut Budget,
    ) -> Result<(Vec<u8>, PackId), CopyError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut copies = self.index.borrow_mut().copies(kind, id)?;
        let (whole, pack) = loop {
            let copy = copies.first().ok_or(CopyError::Unknown)?;
            if copy.encoding != Encoding::Delta {
                break (self.read_whole(kind, copy)?, copy.pack);
            }
            if above + steps.len() >= usize::from(DELTA_DEPTH_MAX) {
                return Err(CopyError::Unknown);
            }
            let damaged = |cause| CopyError::Damaged(copy.pack, cause);
            let mut step = self.read_delta(kind, copy)?;
            budget.take(1, step.delta.len()).map_err(damaged)?;
            let (first, more) = copy.bases.split_first().ok_or(CopyError::Unknown)?;
            for prefix in more {
                let bases = self.index.borrow_mut().bases(kind, prefix)?;
                let base = bases.first().ok_or(CopyError::Unknown)?;
                let (canonical, _) =
                    self.read_first(kind, base, above + steps.len() + 1, budget)?;
                budget.take(0, canonical.len()).map_err(damaged)?;
                step.more.push(canonical);
            }
            steps.push(step);
            // Of whatever is made of it the id is checked.
            if kind == BlobKind::Leaf
                && let Some(base) = self.lately.borrow_mut().base(first)
            {
                break (base, copy.pack);
            }
            copies = self.index.borrow_mut().copies_of_base(kind, first)?;
        };
        let first = steps.first().map_or(pack, |step| step.pack);
        let canonical = forward(kind, whole, &steps)
            .map_err(|(of, cause)| CopyError::Damaged(of.unwrap_or(pack), cause))?;
        Ok((canonical, first))
    }

    /// The blob by any copy, each base checked by its own id.
    fn read_any(
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
        let mut step = self.read_delta(kind, copy)?;
        // A chain neither comes back to a blob on it nor is longer than any writer makes it.
        if tries.path.len() >= usize::from(DELTA_DEPTH_MAX) {
            return Err(CopyError::Unknown);
        }
        tries.path.push(*id);
        let made = self.read_on(kind, id, &mut step, &copy.bases, Vec::new(), tries);
        tries.path.pop();
        made
    }

    /// Reads the bases that are left of a delta, then applies it to all of them.
    fn read_on(
        &self,
        kind: BlobKind,
        id: &BlobId,
        step: &mut Step,
        left: &[BasePrefix],
        bases: Vec<Vec<u8>>,
        tries: &mut Tries,
    ) -> Result<Vec<u8>, CopyError> {
        let Some((prefix, left)) = left.split_first() else {
            let mut bases = bases.into_iter();
            let whole = bases.next().unwrap_or_default();
            step.more = bases.collect();
            let canonical = forward(kind, whole, std::slice::from_ref(step))
                .map_err(|(_, cause)| CopyError::Damaged(step.pack, cause))?;
            return self.check_id(kind, id, canonical, step.pack);
        };
        let mut failed = CopyError::Base(beginning_with(prefix), Box::new(CopyError::Unknown));
        let bases_of_prefix = self.index.borrow_mut().bases(kind, prefix)?;
        for base in bases_of_prefix {
            if tries.path.contains(&base) {
                continue;
            }
            let made = match self.read_any(kind, &base, tries) {
                Ok(canonical) => {
                    let mut bases = bases.clone();
                    bases.push(canonical);
                    self.read_on(kind, id, step, left, bases, tries)
                }
                Err(error @ CopyError::Store(_)) => Err(error),
                Err(cause) => Err(CopyError::Base(base, Box::new(cause))),
            };
            match made {
                Err(CopyError::Store(error)) => return Err(error.into()),
                Err(error) => failed = error,
                made => return made,
            }
        }
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
        let what = "the content of a blob";
        Err(CopyError::Damaged(pack, FormatError::Digest { what }))
    }

    /// Decodes a whole copy; its id is not checked yet.
    fn read_whole(&self, kind: BlobKind, copy: &Copy) -> Result<Vec<u8>, CopyError> {
        self.with_item(kind, copy, |item| {
            blob::decode(item.encoding, item.encoded, u64::from(item.canonical_bytes))
        })
    }

    fn read_delta(&self, kind: BlobKind, copy: &Copy) -> Result<Step, CopyError> {
        self.with_item(kind, copy, |item| {
            if item.bases != copy.bases {
                return Err(FormatError::Invalid {
                    what: "the bases of a blob",
                });
            }
            Ok(Step {
                pack: copy.pack,
                delta: item.encoded.to_vec(),
                canonical_bytes: u64::from(item.canonical_bytes),
                more: Vec::new(),
            })
        })
    }

    fn with_item<T>(
        &self,
        kind: BlobKind,
        copy: &Copy,
        take: impl FnOnce(Item<'_>) -> Result<T, FormatError>,
    ) -> Result<T, CopyError> {
        let frame = self.frame(copy)?;
        let taken = item_of(kind, copy, &frame).and_then(take);
        taken.map_err(|cause| CopyError::Damaged(copy.pack, cause))
    }
}

/// The item of a copy, in the plain text of its frame.
pub(super) fn item_of<'f>(
    kind: BlobKind,
    copy: &Copy,
    frame: &'f [u8],
) -> Result<Item<'f>, FormatError> {
    let offset = usize::try_from(copy.offset).map_err(|_| FormatError::Invalid {
        what: "the place of a blob",
    })?;
    let (item, _) = pack::read_item(frame, offset)?;
    if item.kind != kind {
        return Err(FormatError::Invalid {
            what: "the kind of a blob",
        });
    }
    Ok(item)
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
            .apply(&step.more, &step.delta, step.canonical_bytes)
            .map_err(|cause| (Some(step.pack), cause))?;
    }
    let canonical = chain.finish(last.canonical_bytes);
    canonical.map_err(|cause| (Some(last.pack), cause))
}
