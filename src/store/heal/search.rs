//! Packs whose footers cannot be read are searched frame by frame: what decodes there gets its id by its
//! content, and can be read as if a footer named it. Nothing of this is kept in any cache.
//!
//! Memory: one pack, one of its frames, and the names of what was found in it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::backend::Backend;
use crate::codec::zstd::{self, FRAME_BEGIN};
use crate::format::blob::{self, BlobErrorKind, BlobKind, BlobSource, Encoding};
use crate::format::bytes::length_u32;
use crate::format::delta::{Chain, DELTA_DEPTH_MAX};
use crate::format::footer::{BLOB_ENTRY_BYTES, BlobEntry, Footer, FrameEntry};
use crate::format::limits;
use crate::format::pack::{Item, PACK_HEAD_BYTES, read_item};
use crate::model::id::{BlobId, PackId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::store::reader::StoreReader;
use crate::store::usable::Excluded;

/// Plain bytes that are looked at in one pack: a thousand times what a writer puts into one. A pack that was
/// made to do harm costs no more.
const SEARCH_BYTES_MAX: u64 = 16 << 30;

/// Blobs that are taken from one pack: no footer lists more.
const BLOBS_MAX: usize = limits::FOOTER_BYTES_MAX as usize / BLOB_ENTRY_BYTES;

impl Store {
    /// A reader that knows also what is whole in packs whose footers cannot be read: they are searched now,
    /// which takes as long as reading them.
    pub fn searching_reader(&self) -> Result<StoreReader, StoreError> {
        let excluded = Excluded::read(&*self.backend, self.hash)?;
        self.searched(self.backend.clone(), excluded)
    }

    /// The same over another door to the store.
    pub(super) fn searched(
        &self,
        backend: Arc<dyn Backend>,
        excluded: Excluded,
    ) -> Result<StoreReader, StoreError> {
        let index = Index::load(backend.clone(), self.hash, excluded, None, self.rules)?;
        let packs: Vec<PackId> = index.unreadable().iter().map(|pack| pack.id).collect();
        let reader = StoreReader::new(backend, self.hash, index);
        for pack in &packs {
            if let Some(bytes) = self.pack_as_found(pack, u64::MAX)? {
                let found = whole_blobs(&reader, &bytes);
                reader.index.borrow_mut().adopt(*pack, &found)?;
            }
        }
        // A delta's id is known once its bases are, which may be deltas in another of these packs.
        for _ in 0..=DELTA_DEPTH_MAX {
            let mut found = false;
            for pack in &packs {
                if let Some(bytes) = self.pack_as_found(pack, u64::MAX)? {
                    found |= deltas(&reader, pack, &bytes)?;
                }
            }
            if !found {
                break;
            }
        }
        Ok(reader)
    }
}

/// The frames that decode, and in them the blobs that are no deltas.
fn whole_blobs(reader: &StoreReader, pack: &[u8]) -> Footer {
    let mut found = Footer::default();
    let mut left = SEARCH_BYTES_MAX;
    let mut at = PACK_HEAD_BYTES;
    while let Some(rest) = pack.get(at..) {
        let mut begins = rest.windows(FRAME_BEGIN.len());
        let Some(skipped) = begins.position(|bytes| bytes == FRAME_BEGIN) else {
            break;
        };
        at += skipped;
        let Some((stored_bytes, plain)) = frame_at(pack, at, &mut left) else {
            at += 1;
            continue;
        };
        let frame = length_u32(found.frames.len());
        for_each_item(&plain, |offset, item| {
            if item.encoding != Encoding::Delta && found.blobs.len() < BLOBS_MAX {
                let canonical =
                    blob::decode(item.encoding, item.encoded, item.canonical_bytes.into());
                found.blobs.extend(canonical.ok().map(|canonical| {
                    let id = reader.hash().blob_id(item.kind as u8, &canonical);
                    entry(id, &item, (frame, offset))
                }));
            }
        });
        found.frames.push(FrameEntry {
            offset: at as u64,
            stored_bytes: length_u32(stored_bytes),
            plain_bytes: length_u32(plain.len()),
        });
        at += stored_bytes;
    }
    found
}

/// The frame that begins here: its stored length and its plain text. `None`: none does that decodes.
fn frame_at(pack: &[u8], at: usize, left: &mut u64) -> Option<(usize, Vec<u8>)> {
    let bytes = pack.get(at..)?;
    let (stored_bytes, plain_bytes) = zstd::frame_lengths(bytes)?;
    if plain_bytes > limits::FRAME_BYTES_MAX {
        return None;
    }
    *left = left.checked_sub(plain_bytes)?;
    let plain_bytes = usize::try_from(plain_bytes).ok()?;
    let plain = zstd::decompress_exact(bytes.get(..stored_bytes)?, plain_bytes).ok()?;
    Some((stored_bytes, plain))
}

/// Items up to the first that cannot be one.
fn for_each_item<'f>(frame: &'f [u8], mut each: impl FnMut(usize, Item<'f>)) {
    let mut offset = 0;
    while let Ok((item, next)) = read_item(frame, offset) {
        each(offset, item);
        offset = next;
    }
}

fn entry(id: BlobId, item: &Item<'_>, (frame, offset): (u32, usize)) -> BlobEntry {
    BlobEntry {
        id,
        kind: item.kind,
        encoding: item.encoding,
        // How long its way to a whole copy is, nobody asks here.
        depth: u8::from(item.encoding == Encoding::Delta),
        bases: item.bases.to_vec(),
        canonical_bytes: item.canonical_bytes,
        encoded_bytes: length_u32(item.encoded.len()),
        frame,
        offset: length_u32(offset),
    }
}

/// Finds deltas whose bases are known by now. `false`: no more than before.
fn deltas(reader: &StoreReader, pack: &PackId, bytes: &[u8]) -> Result<bool, StoreError> {
    let Some(known) = reader.index.borrow_mut().footer(pack)? else {
        return Ok(false);
    };
    let places: HashSet<(u32, u32)> = known.blobs.iter().map(|b| (b.frame, b.offset)).collect();
    // What is done twice was allowed once.
    let (mut blobs, mut unbounded) = (known.blobs.len(), u64::MAX);
    for (number, frame) in known.frames.iter().enumerate() {
        let number = length_u32(number);
        let begin = usize::try_from(frame.offset).unwrap_or(usize::MAX);
        let Some((_, plain)) = frame_at(bytes, begin, &mut unbounded) else {
            continue;
        };
        let mut items = Vec::new();
        for_each_item(&plain, |offset, item| {
            let is_known = places.contains(&(number, length_u32(offset)));
            if item.encoding == Encoding::Delta && !is_known && items.len() < BLOBS_MAX {
                items.push((offset, item));
            }
        });
        for (offset, item) in items {
            if blobs >= BLOBS_MAX {
                break;
            }
            if let Some(canonical) = made_of(reader, &item)? {
                let id = reader.hash().blob_id(item.kind as u8, &canonical);
                let entry = entry(id, &item, (number, offset));
                reader.index.borrow_mut().adopt_blob(pack, &entry)?;
                blobs += 1;
            }
        }
    }
    Ok(blobs > known.blobs.len())
}

/// What a delta makes of its bases; `None` if they cannot be had, or if it makes nothing of them.
fn made_of(reader: &StoreReader, item: &Item<'_>) -> Result<Option<Vec<u8>>, StoreError> {
    let mut bases = Vec::with_capacity(item.bases.len());
    for prefix in item.bases {
        let ids = reader.index.borrow_mut().bases(item.kind, prefix)?;
        let mut found = None;
        for id in ids {
            found = had(reader, item.kind, &id)?;
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(base) => bases.push(base),
            None => return Ok(None),
        }
    }
    let mut bases = bases.into_iter();
    let Some(first) = bases.next() else {
        return Ok(None);
    };
    let (more, bytes): (Vec<_>, _) = (bases.collect(), u64::from(item.canonical_bytes));
    let made = Chain::begin(item.kind, first).and_then(|mut chain| {
        chain.apply(&more, item.encoded, bytes)?;
        chain.finish(bytes)
    });
    Ok(made.ok())
}

fn had(reader: &StoreReader, kind: BlobKind, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
    match reader.get(kind, id) {
        Ok(canonical) => Ok(Some(canonical)),
        Err(error) if error.why == BlobErrorKind::Unavailable => Err(error.into()),
        Err(_) => Ok(None),
    }
}
