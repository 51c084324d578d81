//! §6 Pack footers: which blob lies where. They are the index; what is in no footer does not exist.

use super::blob::{BlobKind, Encoding};
use super::bytes::{Fields, check_limit, length_u32};
use super::delta::DELTA_BASES_MAX;
use super::pack::PACK_HEAD_BYTES;
use super::{FormatError, limits};
use crate::codec::hash::StoreHash;
use crate::codec::zstd;
use crate::model::id::BlobId;

/// Last bytes of a pack.
pub const TRAILER_MAGIC: [u8; 8] = *b"larderFT";
/// Length of the trailer: stored and plain length of the footer, its digest, magic.
pub const TRAILER_BYTES: usize = 48;
/// A footer is mostly ids, which do not compress.
const LEVEL: i32 = 3;

/// The first bytes of the id of a delta's base.
pub type BasePrefix = [u8; BASE_ENTRY_BYTES];

/// The prefix that names a blob as a base.
pub fn base_prefix(id: &BlobId) -> BasePrefix {
    let mut prefix = [0; BASE_ENTRY_BYTES];
    prefix.copy_from_slice(&id.0[..BASE_ENTRY_BYTES]);
    prefix
}

/// A frame of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameEntry {
    /// Where it begins in the pack.
    pub offset: u64,
    /// Its length there.
    pub stored_bytes: u32,
    /// Length of its plain text.
    pub plain_bytes: u32,
}

/// A blob of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its id.
    pub id: BlobId,
    /// Its kind.
    pub kind: BlobKind,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Deltas between it and a whole copy, on the longest way; 0 for a whole one.
    pub depth: u8,
    /// Its bases, in order; none for a whole one.
    pub bases: Vec<BasePrefix>,
    /// Length of its canonical form.
    pub canonical_bytes: u32,
    /// Length of its encoded form.
    pub encoded_bytes: u32,
    /// Number of its frame in the pack.
    pub frame: u32,
    /// Where its item begins in the frame's plain text.
    pub offset: u32,
}

/// A pack's table of contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footer {
    /// Frames in the order they lie in.
    pub frames: Vec<FrameEntry>,
    /// Blobs in the order they lie in.
    pub blobs: Vec<BlobEntry>,
}

/// The numbers of entries.
const COUNTS_BYTES: usize = 12;
/// Bytes of a frame's entry, plain.
pub const FRAME_ENTRY_BYTES: usize = 16;
/// Bytes of a blob's entry, plain.
pub const BLOB_ENTRY_BYTES: usize = 52;
/// Bytes of a base's entry, plain.
pub const BASE_ENTRY_BYTES: usize = 16;

/// The last bytes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Stored length of the footer, which lies right before the trailer.
    pub stored_bytes: u32,
    /// Plain length of the footer.
    pub plain_bytes: u32,
    /// Digest of the footer as stored.
    pub digest: [u8; 32],
}

impl Trailer {
    /// Reads the last 48 bytes of a pack.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "a pack's trailer");
        let trailer = Self {
            stored_bytes: fields.u32()?,
            plain_bytes: fields.u32()?,
            digest: fields.array()?,
        };
        if fields.array()? != TRAILER_MAGIC {
            return Err(FormatError::Invalid {
                what: "a pack's last bytes",
            });
        }
        fields.end()?;
        check_limit(
            "a footer",
            u64::from(trailer.stored_bytes),
            limits::FOOTER_BYTES_MAX,
        )?;
        check_limit(
            "a footer",
            u64::from(trailer.plain_bytes),
            limits::FOOTER_BYTES_MAX,
        )?;
        Ok(trailer)
    }
}

impl Footer {
    /// The footer as stored, and the trailer behind it.
    ///
    /// Plain: number of frames (4), of blobs (4) and of bases (4), the entries of frames, of blobs,
    /// of bases; one zstd frame of that.
    pub fn encode(&self, hash: StoreHash) -> Result<Vec<u8>, FormatError> {
        let bases: Vec<&BasePrefix> = self.blobs.iter().flat_map(|blob| &blob.bases).collect();
        let mut plain = Vec::with_capacity(
            COUNTS_BYTES
                + self.frames.len() * FRAME_ENTRY_BYTES
                + self.blobs.len() * BLOB_ENTRY_BYTES
                + bases.len() * BASE_ENTRY_BYTES,
        );
        plain.extend_from_slice(&length_u32(self.frames.len()).to_le_bytes());
        plain.extend_from_slice(&length_u32(self.blobs.len()).to_le_bytes());
        plain.extend_from_slice(&length_u32(bases.len()).to_le_bytes());
        for frame in &self.frames {
            plain.extend_from_slice(&frame.offset.to_le_bytes());
            plain.extend_from_slice(&frame.stored_bytes.to_le_bytes());
            plain.extend_from_slice(&frame.plain_bytes.to_le_bytes());
        }
        for blob in &self.blobs {
            plain.extend_from_slice(&blob.id.0);
            let bases = u8::try_from(blob.bases.len()).unwrap_or(u8::MAX);
            plain.extend_from_slice(&[blob.kind as u8, blob.encoding as u8, blob.depth, bases]);
            for number in [
                blob.canonical_bytes,
                blob.encoded_bytes,
                blob.frame,
                blob.offset,
            ] {
                plain.extend_from_slice(&number.to_le_bytes());
            }
        }
        bases
            .iter()
            .for_each(|base| plain.extend_from_slice(&base[..]));
        check_limit("a footer", plain.len() as u64, limits::FOOTER_BYTES_MAX)?;
        let mut stored = zstd::compress(&plain, LEVEL)?;
        let digest = hash.footer_digest(&stored);
        let stored_bytes = length_u32(stored.len());
        stored.extend_from_slice(&stored_bytes.to_le_bytes());
        stored.extend_from_slice(&length_u32(plain.len()).to_le_bytes());
        stored.extend_from_slice(&digest);
        stored.extend_from_slice(&TRAILER_MAGIC);
        Ok(stored)
    }

    /// Reads a stored footer of a pack of `pack_bytes` bytes; every entry is checked against it.
    pub fn decode(
        hash: StoreHash,
        trailer: &Trailer,
        stored: &[u8],
        pack_bytes: u64,
    ) -> Result<Self, FormatError> {
        if hash.footer_digest(stored) != trailer.digest {
            return Err(FormatError::Digest {
                what: "a pack's footer",
            });
        }
        let plain = zstd::decompress_exact(stored, trailer.plain_bytes as usize)?;
        let mut fields = Fields::new(&plain, "a pack's footer");
        let mut counts = [0; 3];
        for count in &mut counts {
            *count = fields.u32()? as usize;
        }
        let [frames, blobs, bases] = counts;
        let needed = frames as u64 * FRAME_ENTRY_BYTES as u64
            + blobs as u64 * BLOB_ENTRY_BYTES as u64
            + bases as u64 * BASE_ENTRY_BYTES as u64;
        if needed != fields.left() as u64 {
            return Err(FormatError::Truncated {
                what: "a pack's footer",
            });
        }
        let frames_end = pack_bytes
            .checked_sub(TRAILER_BYTES as u64 + u64::from(trailer.stored_bytes))
            .ok_or(FormatError::Truncated { what: "a pack" })?;
        let frames = decode_frames(&mut fields, frames, frames_end)?;
        let mut blobs = (0..blobs)
            .map(|_| decode_blob(&mut fields, &frames))
            .collect::<Result<Vec<_>, FormatError>>()?;
        for (blob, bases) in &mut blobs {
            for _ in 0..*bases {
                blob.bases.push(fields.array()?);
            }
        }
        let blobs = blobs.into_iter().map(|(blob, _)| blob).collect();
        fields.end()?;
        Ok(Self { frames, blobs })
    }
}

/// Frames lie one behind the other, from the head to the footer, with nothing between them.
fn decode_frames(
    fields: &mut Fields<'_>,
    count: usize,
    frames_end: u64,
) -> Result<Vec<FrameEntry>, FormatError> {
    let mut at = PACK_HEAD_BYTES as u64;
    let mut frames = Vec::with_capacity(count);
    for _ in 0..count {
        let frame = FrameEntry {
            offset: fields.u64()?,
            stored_bytes: fields.u32()?,
            plain_bytes: fields.u32()?,
        };
        check_limit(
            "a frame",
            u64::from(frame.plain_bytes),
            limits::FRAME_BYTES_MAX,
        )?;
        if frame.offset != at {
            return Err(FormatError::Invalid {
                what: "the place of a frame",
            });
        }
        at += u64::from(frame.stored_bytes);
        frames.push(frame);
    }
    if at == frames_end {
        Ok(frames)
    } else {
        Err(FormatError::Invalid {
            what: "the length of a pack",
        })
    }
}

/// A blob's entry, and the number of its bases, which stand behind all entries.
fn decode_blob(
    fields: &mut Fields<'_>,
    frames: &[FrameEntry],
) -> Result<(BlobEntry, u8), FormatError> {
    let invalid = |what| FormatError::Invalid { what };
    let id = BlobId(fields.array()?);
    let kind = BlobKind::from_number(fields.u8()?).ok_or(invalid("the kind of a blob"))?;
    let encoding = Encoding::from_number(fields.u8()?).ok_or(invalid("the encoding of a blob"))?;
    let (depth, bases) = (fields.u8()?, fields.u8()?);
    let blob = BlobEntry {
        id,
        kind,
        encoding,
        depth,
        bases: Vec::new(),
        canonical_bytes: fields.u32()?,
        encoded_bytes: fields.u32()?,
        frame: fields.u32()?,
        offset: fields.u32()?,
    };
    check_limit(
        "a blob",
        u64::from(blob.canonical_bytes),
        limits::BLOB_BYTES_MAX,
    )?;
    let frame = frames
        .get(blob.frame as usize)
        .ok_or(invalid("the frame of a blob"))?;
    if u64::from(blob.offset) + u64::from(blob.encoded_bytes) > u64::from(frame.plain_bytes) {
        return Err(invalid("the place of a blob in its frame"));
    }
    check_bases(kind, encoding, bases)?;
    if (encoding == Encoding::Delta) != (depth > 0) {
        return Err(invalid("the depth of a blob"));
    }
    Ok((blob, bases))
}

/// Deltas have bases: leaves some, other kinds one; chunk nodes are always whole. Whole blobs have
/// none.
pub(super) fn check_bases(
    kind: BlobKind,
    encoding: Encoding,
    bases: u8,
) -> Result<(), FormatError> {
    let allowed = match (encoding, kind) {
        (Encoding::Delta, BlobKind::Leaf) => (1..=DELTA_BASES_MAX).contains(&usize::from(bases)),
        (Encoding::Delta, BlobKind::ChunkNode) => false,
        (Encoding::Delta, _) => bases == 1,
        _ => bases == 0,
    };
    if allowed {
        return Ok(());
    }
    Err(FormatError::Invalid {
        what: "the bases of a blob",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_come_back_and_damaged_ones_are_refused() {
        let hash = StoreHash::unkeyed();
        let frame = FrameEntry {
            offset: 32,
            stored_bytes: 100,
            plain_bytes: 300,
        };
        let blob = BlobEntry {
            id: BlobId([5; 32]),
            kind: BlobKind::Leaf,
            encoding: Encoding::Columns,
            depth: 0,
            bases: Vec::new(),
            canonical_bytes: 900,
            encoded_bytes: 200,
            frame: 0,
            offset: 10,
        };
        let delta = BlobEntry {
            encoding: Encoding::Delta,
            depth: 3,
            bases: vec![[1; 16], [2; 16]],
            ..blob.clone()
        };
        let footer = Footer {
            frames: vec![frame],
            blobs: vec![delta.clone(), blob, delta],
        };
        let bytes = footer.encode(hash).unwrap();
        let pack_bytes = 132 + bytes.len() as u64;
        let read = |bytes: &[u8]| {
            let at = bytes.len() - TRAILER_BYTES;
            let trailer = Trailer::decode(&bytes[at..])?;
            Footer::decode(hash, &trailer, &bytes[..at], pack_bytes)
        };
        assert_eq!(read(&bytes).unwrap(), footer);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bad).is_err(), "bit {bit}");
        }
    }
}
