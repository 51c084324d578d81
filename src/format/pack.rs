//! §5 Packs: a head, frames of blobs, a footer, a fixed trailer. Immutable once published.
//!
//! A frame is one zstd stream of one large blob or several small ones; its plain text says itself
//! where each blob ends, so a lost footer can be rebuilt from the frames.

use super::blob::{BlobKind, Encoding};
use super::bytes::{Fields, check_limit, length_u32};
use super::footer::{BASE_ENTRY_BYTES, BasePrefix, check_bases};
use super::{FormatError, limits};

/// First bytes of a pack.
pub const PACK_MAGIC: [u8; 8] = *b"larderPK";
/// Length of the head: magic, format version, draft, 6 zeros, 16 random bytes.
pub const PACK_HEAD_BYTES: usize = 32;
/// A pack is closed once its frames reach this length.
pub const PACK_TARGET_BYTES: usize = 16 << 20;
/// Small blobs share a frame up to this plain length; a larger blob has one to itself.
pub const FRAME_TARGET_BYTES: usize = 64 << 10;

/// The head of a pack. The random bytes make its name unique: it is never used twice.
pub fn encode_head(random: [u8; 16]) -> [u8; PACK_HEAD_BYTES] {
    let mut head = [0; PACK_HEAD_BYTES];
    head[..8].copy_from_slice(&PACK_MAGIC);
    head[8] = super::config::FORMAT_VERSION_BYTE;
    head[9] = super::config::FORMAT_DRAFT_BYTE;
    head[16..].copy_from_slice(&random);
    head
}

/// Checks the head of a pack.
pub fn check_head(bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new(bytes, "a pack's head");
    if fields.array()? != PACK_MAGIC {
        return Err(FormatError::Invalid {
            what: "a pack's first bytes",
        });
    }
    let (version, draft) = (fields.u8()?, fields.u8()?);
    if (version, draft)
        != (
            super::config::FORMAT_VERSION_BYTE,
            super::config::FORMAT_DRAFT_BYTE,
        )
    {
        return Err(FormatError::Version {
            version: version.into(),
            draft: draft.into(),
        });
    }
    if fields.array::<6>()? != [0; 6] {
        return Err(FormatError::Invalid {
            what: "a pack's head",
        });
    }
    fields.array::<16>().map(|_| ())
}

/// A blob as it stands in a frame's plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Kind of the blob.
    pub kind: BlobKind,
    /// How it is encoded.
    pub encoding: Encoding,
    /// The bases of a delta.
    pub bases: &'a [BasePrefix],
    /// Length of its canonical form.
    pub canonical_bytes: u32,
    /// The encoded bytes.
    pub encoded: &'a [u8],
}

/// Appends an item: kind (1), encoding (1), number of bases (1) and bases (16 each; deltas only),
/// canonical length (4), encoded length (4), encoded bytes.
pub fn append_item(item: Item<'_>, out: &mut Vec<u8>) {
    debug_assert_eq!(item.bases.is_empty(), item.encoding != Encoding::Delta);
    out.extend_from_slice(&[item.kind as u8, item.encoding as u8]);
    if item.encoding == Encoding::Delta {
        out.push(u8::try_from(item.bases.len()).unwrap_or(u8::MAX));
        out.extend(item.bases.iter().flatten());
    }
    out.extend_from_slice(&item.canonical_bytes.to_le_bytes());
    out.extend_from_slice(&length_u32(item.encoded.len()).to_le_bytes());
    out.extend_from_slice(item.encoded);
}

/// Reads the item that begins at `offset` of a frame's plain text; gives the offset behind it too.
pub fn read_item(frame: &[u8], offset: usize) -> Result<(Item<'_>, usize), FormatError> {
    let bytes = frame
        .get(offset..)
        .ok_or(FormatError::Truncated { what: "a frame" })?;
    let mut fields = Fields::new(bytes, "a blob in a frame");
    let kind = BlobKind::from_number(fields.u8()?).ok_or(FormatError::Invalid {
        what: "the kind of a blob",
    })?;
    let encoding = Encoding::from_number(fields.u8()?).ok_or(FormatError::Invalid {
        what: "the encoding of a blob",
    })?;
    let bases = match encoding {
        Encoding::Delta => {
            let count = fields.u8()?;
            check_bases(kind, encoding, count)?;
            fields.bytes(usize::from(count) * BASE_ENTRY_BYTES)?
        }
        _ => &[],
    };
    let (bases, _) = bases.as_chunks();
    let canonical_bytes = fields.u32()?;
    check_limit("a blob", u64::from(canonical_bytes), limits::BLOB_BYTES_MAX)?;
    let length = fields.u32()?;
    check_limit(
        "an encoded blob",
        u64::from(length),
        limits::FRAME_BYTES_MAX,
    )?;
    let encoded = fields.bytes(length as usize)?;
    let next = frame.len() - fields.left();
    Ok((
        Item {
            kind,
            encoding,
            bases,
            canonical_bytes,
            encoded,
        },
        next,
    ))
}
