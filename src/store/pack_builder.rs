//! A pack being filled: blobs are encoded, compressed, decoded again to prove it, and appended.
//!
//! A bit that flips in memory is found while the record is still at hand. Small blobs share
//! frames, so that they compress together. Layout: store-format.md §5 and §6.

use super::error::StoreError;
use crate::codec::hash::{StoreHash, pack_id};
use crate::codec::zstd::{Compressor, Decompressor};
use crate::format::blob::{self, BlobKind, Encoded, Encoding};
use crate::format::bytes::length_u32;
use crate::format::footer::{BlobEntry, Footer, FrameEntry};
use crate::format::pack::{self, FRAME_TARGET_BYTES, Item, PACK_TARGET_BYTES};
use crate::model::id::{BlobId, PackId};

/// Blobs of fewer encoded bytes are compressed without regard to their seams.
const SEAMS_BYTES_MIN: usize = 4096;

/// A blob that is encoded and waits for its frame to be closed.
#[derive(Debug)]
struct Waiting {
    id: BlobId,
    kind: BlobKind,
    encoding: Encoding,
    canonical_bytes: u32,
    encoded_bytes: u32,
    offset: u32,
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
        let compressor = Compressor::new(level).map_err(|e| StoreError::Encoding {
            what: format!("compression level {level}: {e}"),
        })?;
        Ok(Self {
            hash,
            compressor,
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

    /// Appends a blob. `random` is asked for at the beginning of a pack.
    pub fn push(
        &mut self,
        kind: BlobKind,
        id: BlobId,
        canonical: &[u8],
        random: impl FnOnce() -> [u8; 16],
    ) -> Result<(), StoreError> {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&pack::encode_head(random()));
        }
        let wrong = |e: crate::format::FormatError| StoreError::Encoding {
            what: format!("{} {id}: {e}", kind.name()),
        };
        let encoded = blob::encode(kind, canonical).map_err(wrong)?;
        if encoded.bytes.len() > FRAME_TARGET_BYTES / 2 {
            // A frame of its own; what waits keeps waiting for others like it.
            let (frame, seams, waiting) = (
                std::mem::take(&mut self.frame),
                std::mem::take(&mut self.seams),
                std::mem::take(&mut self.waiting),
            );
            self.append(kind, id, canonical.len(), &encoded);
            self.close_frame()?;
            (self.frame, self.seams, self.waiting) = (frame, seams, waiting);
        } else {
            if self.frame.len() + encoded.bytes.len() > FRAME_TARGET_BYTES {
                self.close_frame()?;
            }
            self.append(kind, id, canonical.len(), &encoded);
        }
        Ok(())
    }

    fn append(&mut self, kind: BlobKind, id: BlobId, canonical_bytes: usize, encoded: &Encoded) {
        let encoding = encoded.encoding;
        let offset = length_u32(self.frame.len());
        let canonical_bytes = length_u32(canonical_bytes);
        pack::append_item(
            Item {
                kind,
                encoding,
                base: None,
                canonical_bytes,
                encoded: &encoded.bytes,
            },
            &mut self.frame,
        );
        // Small blobs are better off with the statistics of their neighbours.
        if encoded.bytes.len() >= SEAMS_BYTES_MIN {
            let begin = self.frame.len() - encoded.bytes.len();
            self.seams.push(begin);
            self.seams
                .extend(encoded.seams.iter().map(|seam| begin + seam));
        }
        let encoded_bytes = length_u32(encoded.bytes.len());
        self.waiting.push(Waiting {
            id,
            kind,
            encoding,
            canonical_bytes,
            encoded_bytes,
            offset,
        });
    }

    fn close_frame(&mut self) -> Result<(), StoreError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let what = |e: &dyn std::fmt::Display| StoreError::Encoding {
            what: format!("a frame: {e}"),
        };
        let stored = self
            .compressor
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
                depth: 0,
                base: [0; 16],
                canonical_bytes: blob.canonical_bytes,
                encoded_bytes: blob.encoded_bytes,
                frame: number,
                offset: blob.offset,
            }));
        self.frame.clear();
        self.seams.clear();
        Ok(())
    }

    /// Decodes what was encoded: every blob must come back to its id.
    fn verify(&mut self, stored: &[u8]) -> Result<(), StoreError> {
        let wrong = |id: &BlobId, cause: &dyn std::fmt::Display| StoreError::Encoding {
            what: format!("blob {id}: {cause}"),
        };
        let first = self.waiting.first().map_or(BlobId([0; 32]), |blob| blob.id);
        let plain = self
            .decompressor
            .exact(stored, self.frame.len())
            .map_err(|e| wrong(&first, &e))?;
        for blob in &self.waiting {
            let canonical = pack::read_item(&plain, blob.offset as usize)
                .and_then(|(item, _)| {
                    blob::decode(item.encoding, item.encoded, u64::from(item.canonical_bytes))
                })
                .map_err(|e| wrong(&blob.id, &e))?;
            if self.hash.blob_id(blob.kind as u8, &canonical) != blob.id {
                return Err(wrong(&blob.id, &"its content changed"));
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
