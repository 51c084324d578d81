//! A pack being filled: blobs are encoded, compressed, decoded again to prove it, and appended.
//!
//! A bit that flips in memory is found while the record is still at hand. Small blobs share
//! frames, so that they compress together. Layout: store-format.md §5 and §6.

use super::error::StoreError;
use crate::codec::hash::{StoreHash, pack_id, plain_digest};
use crate::codec::zstd::{Compressor, Decompressor};
use crate::format::FormatError;
use crate::format::blob::{self, BlobKind, Encoding, Patch};
use crate::format::bytes::length_u32;
use crate::format::delta::Chain;
use crate::format::footer::{BasePrefix, BlobEntry, Footer, FrameEntry, base_prefix};
use crate::format::pack::{self, FRAME_TARGET_BYTES, Item, PACK_TARGET_BYTES};
use crate::model::id::{BlobId, PackId};

/// Blobs of fewer encoded bytes are compressed without regard to their seams.
const SEAMS_BYTES_MIN: usize = 4096;

/// zstd level, at least, of frames that several blobs share: deltas, nodes, small leaves. There are
/// few bytes of them, and they are kept long.
const SHARED_LEVEL_MIN: i32 = 12;

/// A blob that is encoded and waits for its frame to be closed.
#[derive(Debug)]
struct Waiting {
    id: BlobId,
    kind: BlobKind,
    encoding: Encoding,
    bases: Vec<BasePrefix>,
    depth: u8,
    canonical_bytes: u32,
    encoded_bytes: u32,
    offset: u32,
    /// Digest of a delta, which was applied before it was appended.
    proof: Option<[u8; 32]>,
}

/// A finished pack.
#[derive(Debug)]
pub struct FinishedPack {
    /// Its name.
    pub id: PackId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it holds.
    pub footer: Footer,
}

/// Fills one pack after another.
#[derive(Debug)]
pub struct PackBuilder {
    hash: StoreHash,
    compressor: Compressor,
    /// For frames that several blobs share.
    thorough: Compressor,
    decompressor: Decompressor,
    bytes: Vec<u8>,
    footer: Footer,
    frame: Vec<u8>,
    /// Where content of another kind begins in `frame`.
    seams: Vec<usize>,
    waiting: Vec<Waiting>,
}

impl PackBuilder {
    /// A builder that compresses at this zstd level.
    pub fn new(hash: StoreHash, level: i32) -> Result<Self, StoreError> {
        let of_level = |level: i32| {
            Compressor::new(level).map_err(|e| StoreError::Encoding {
                what: format!("compression level {level}: {e}"),
            })
        };
        Ok(Self {
            hash,
            compressor: of_level(level)?,
            thorough: of_level(level.max(SHARED_LEVEL_MIN))?,
            decompressor: Decompressor::default(),
            bytes: Vec::new(),
            footer: Footer::default(),
            frame: Vec::new(),
            seams: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// True once the pack has its target length.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK_TARGET_BYTES
    }

    /// Begins a pack if none is begun; `random` makes its name unique.
    pub fn begin(&mut self, random: impl FnOnce() -> [u8; 16]) {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&pack::encode_head(random()));
        }
    }

    /// Appends a blob whole.
    pub fn push(&mut self, kind: BlobKind, id: BlobId, canonical: &[u8]) -> Result<(), StoreError> {
        let encoded = blob::encode(kind, canonical).map_err(|e| wrong(kind, &id, &e))?;
        let blob = Waiting {
            id,
            kind,
            encoding: encoded.encoding,
            bases: Vec::new(),
            depth: 0,
            canonical_bytes: length_u32(canonical.len()),
            encoded_bytes: length_u32(encoded.bytes.len()),
            offset: 0,
            proof: None,
        };
        self.append(blob, &encoded.bytes, &encoded.seams)
    }

    /// Appends a blob as a delta on `bases`. `depth`: see [`BlobEntry::depth`].
    pub fn push_delta(
        &mut self,
        kind: BlobKind,
        id: BlobId,
        canonical: &[u8],
        bases: &[BlobId],
        depth: u8,
        patch: &Patch,
    ) -> Result<(), StoreError> {
        let wrong = |cause: &dyn std::fmt::Display| wrong(kind, &id, cause);
        let [first, more @ ..] = &patch.bases[..] else {
            return Err(wrong(&"its delta has no base"));
        };
        let mut chain = Chain::begin(kind, first.clone()).map_err(|e| wrong(&e))?;
        let canonical_bytes = canonical.len() as u64;
        let made = chain
            .apply(more, &patch.delta, canonical_bytes)
            .and_then(|()| chain.finish(canonical_bytes));
        if made.map_err(|e| wrong(&e))? != canonical {
            return Err(wrong(&"its delta gives something else"));
        }
        let blob = Waiting {
            id,
            kind,
            encoding: Encoding::Delta,
            bases: bases.iter().map(base_prefix).collect(),
            depth,
            canonical_bytes: length_u32(canonical.len()),
            encoded_bytes: length_u32(patch.delta.len()),
            offset: 0,
            proof: Some(plain_digest(&patch.delta)),
        };
        self.append(blob, &patch.delta, &[])
    }

    fn append(&mut self, blob: Waiting, encoded: &[u8], seams: &[usize]) -> Result<(), StoreError> {
        if encoded.len() > FRAME_TARGET_BYTES / 2 {
            // A frame of its own; what waits keeps waiting for others like it.
            let (frame, waiting, others) = (
                std::mem::take(&mut self.frame),
                std::mem::take(&mut self.waiting),
                std::mem::take(&mut self.seams),
            );
            self.add_item(blob, encoded, seams);
            self.close_frame()?;
            (self.frame, self.waiting, self.seams) = (frame, waiting, others);
        } else {
            if self.frame.len() + encoded.len() > FRAME_TARGET_BYTES {
                self.close_frame()?;
            }
            self.add_item(blob, encoded, seams);
        }
        Ok(())
    }

    fn add_item(&mut self, mut blob: Waiting, encoded: &[u8], seams: &[usize]) {
        blob.offset = length_u32(self.frame.len());
        pack::append_item(
            Item {
                kind: blob.kind,
                encoding: blob.encoding,
                bases: &blob.bases,
                canonical_bytes: blob.canonical_bytes,
                encoded,
            },
            &mut self.frame,
        );
        // Small blobs are better off with the statistics of their neighbours.
        if encoded.len() >= SEAMS_BYTES_MIN {
            let begin = self.frame.len() - encoded.len();
            self.seams.push(begin);
            self.seams.extend(seams.iter().map(|seam| begin + seam));
        }
        self.waiting.push(blob);
    }

    fn close_frame(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let what = |e: &dyn std::fmt::Display| StoreError::Encoding {
            what: format!("a frame: {e}"),
        };
        let compressor = match self.waiting.len() {
            1 => &mut self.compressor,
            _ => &mut self.thorough,
        };
        let stored = compressor
            .compress(&self.frame, &self.seams)
            .map_err(|e| what(&e))?;
        self.verify(&stored)?;
        let number = length_u32(self.footer.frames.len());
        self.footer.frames.push(FrameEntry {
            offset: self.bytes.len() as u64,
            stored_bytes: length_u32(stored.len()),
            plain_bytes: length_u32(self.frame.len()),
        });
        self.bytes.extend_from_slice(&stored);
        self.footer
            .blobs
            .extend(self.waiting.drain(..).map(|blob| BlobEntry {
                id: blob.id,
                kind: blob.kind,
                encoding: blob.encoding,
                depth: blob.depth,
                bases: blob.bases,
                canonical_bytes: blob.canonical_bytes,
                encoded_bytes: blob.encoded_bytes,
                frame: number,
                offset: blob.offset,
            }));
        self.frame.clear();
        self.seams.clear();
        Ok(())
    }

    /// Decodes what was encoded: every whole blob must come back to its id, every delta to the
    /// bytes that were applied.
    fn verify(&mut self, stored: &[u8]) -> Result<(), StoreError> {
        let Some(first) = self.waiting.first() else {
            return Ok(());
        };
        let plain = self
            .decompressor
            .exact(stored, self.frame.len())
            .map_err(|e| wrong(first.kind, &first.id, &e))?;
        for blob in &self.waiting {
            let wrong = |e: FormatError| wrong(blob.kind, &blob.id, &e);
            let (item, _) = pack::read_item(&plain, blob.offset as usize).map_err(wrong)?;
            let good = if let Some(proof) = blob.proof {
                plain_digest(item.encoded) == proof
            } else {
                let canonical_bytes = u64::from(item.canonical_bytes);
                let canonical =
                    blob::decode(item.encoding, item.encoded, canonical_bytes).map_err(wrong)?;
                self.hash.blob_id(blob.kind as u8, &canonical) == blob.id
            };
            if !good {
                return Err(self::wrong(blob.kind, &blob.id, &"its content changed"));
            }
        }
        Ok(())
    }

    /// Closes the pack; the next blob begins another. `None` if nothing is in it.
    pub fn finish(&mut self) -> Result<Option<FinishedPack>, StoreError> {
        self.close_frame()?;
        if self.footer.blobs.is_empty() {
            return Ok(None);
        }
        let footer = std::mem::take(&mut self.footer);
        let mut bytes = std::mem::take(&mut self.bytes);
        let encoded = footer.encode(self.hash).map_err(|e| StoreError::Encoding {
            what: format!("a footer: {e}"),
        })?;
        bytes.extend_from_slice(&encoded);
        Ok(Some(FinishedPack {
            id: pack_id(&bytes),
            bytes,
            footer,
        }))
    }
}

fn wrong(kind: BlobKind, id: &BlobId, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::Encoding {
        what: format!("{} {id}: {cause}", kind.name()),
    }
}
