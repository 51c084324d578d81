//! §3 The frame around every object but packs and sidecars: kind, version and digest, then compressed JSON.
//!
//! It begins with a zstd skippable frame, so that `zstd -dc snapshots/ID | jq` shows the content.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bytes::{Fields, check_limit, length_u32};
use super::{FormatError, limits};
use crate::codec::hash::StoreHash;
use crate::codec::zstd;

/// What an object is; its letter is part of its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ObjectKind {
    /// The store's config.
    Config = b'C',
    /// A snapshot's manifest.
    Manifest = b'S',
    /// What stands in a snapshot's place when its writer was fenced.
    Abort = b'A',
    /// A backup at work.
    Writer = b'W',
    /// A clean-up at work.
    Gc = b'G',
    /// The verdict on a clean-up.
    GcFinal = b'F',
    /// A forgotten snapshot.
    Forget = b'M',
    /// The verdict on its mark.
    ForgetFinal = b'V',
    /// A pinned snapshot.
    Pin = b'P',
    /// How much redundancy the store keeps.
    Redundancy = b'R',
}

impl ObjectKind {
    const ALL: [Self; 10] = [
        Self::Config,
        Self::Manifest,
        Self::Abort,
        Self::Writer,
        Self::Gc,
        Self::GcFinal,
        Self::Forget,
        Self::ForgetFinal,
        Self::Pin,
        Self::Redundancy,
    ];

    fn from_letter(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == letter)
    }
}

/// First 4 bytes: the magic of a zstd skippable frame (RFC 8878, section 3.1.2).
pub const FRAME_MAGIC: u32 = 0x184D_2A5C;
/// Content of the skippable frame: 8 bytes of marks and a digest.
pub const FRAME_CONTENT_BYTES: u32 = 40;
/// The name of the format.
pub const FRAME_MARK: [u8; 6] = *b"larder";
/// Compression level of objects: they are small, and read rarely.
const LEVEL: i32 = 19;

/// Encodes an object.
///
/// | bytes | field |
/// |---|---|
/// | 0..4 | `FRAME_MAGIC` |
/// | 4..8 | `FRAME_CONTENT_BYTES` |
/// | 8..14 | `larder` |
/// | 14 | kind, a letter |
/// | 15 | format version |
/// | 16..48 | digest of kind, version and the rest |
/// | 48.. | one zstd frame of JSON |
pub fn encode<T: Serialize>(
    hash: StoreHash,
    kind: ObjectKind,
    content: &T,
) -> Result<Vec<u8>, FormatError> {
    let json = serde_json::to_vec(content).map_err(|e| FormatError::Json {
        what: "an object to be written",
        cause: e.to_string(),
    })?;
    check_limit("an object", json.len() as u64, limits::OBJECT_BYTES_MAX)?;
    let payload = zstd::compress(&json, LEVEL)?;
    let mut out = Vec::with_capacity(48 + payload.len());
    out.extend_from_slice(&FRAME_MAGIC.to_le_bytes());
    out.extend_from_slice(&FRAME_CONTENT_BYTES.to_le_bytes());
    out.extend_from_slice(&FRAME_MARK);
    out.push(kind as u8);
    out.push(super::config::FORMAT_VERSION_BYTE);
    out.extend_from_slice(&hash.object_digest(
        kind as u8,
        super::config::FORMAT_VERSION_BYTE,
        &payload,
    ));
    out.extend_from_slice(&payload);
    debug_assert_eq!(
        length_u32(out.len() - payload.len()),
        8 + FRAME_CONTENT_BYTES
    );
    Ok(out)
}

/// Reads the kind of an object and checks its digest; gives its compressed payload.
pub fn open(hash: StoreHash, bytes: &[u8]) -> Result<(ObjectKind, &[u8]), FormatError> {
    let mut fields = Fields::new(bytes, "an object's head");
    let marks = (fields.u32()?, fields.u32()?, fields.array::<6>()?);
    if marks != (FRAME_MAGIC, FRAME_CONTENT_BYTES, FRAME_MARK) {
        return Err(FormatError::Invalid {
            what: "an object's head",
        });
    }
    let letter = fields.u8()?;
    let kind = ObjectKind::from_letter(letter).ok_or(FormatError::Invalid {
        what: "an object's kind",
    })?;
    let version = fields.u8()?;
    let digest = fields.array::<32>()?;
    let payload = fields.bytes(fields.left())?;
    // The digest first: a flipped bit in the version is damage, not another version.
    if hash.object_digest(letter, version, payload) != digest {
        return Err(FormatError::Digest { what: "an object" });
    }
    if version != super::config::FORMAT_VERSION_BYTE {
        return Err(FormatError::Version {
            version: u32::from(version),
            draft: 0,
        });
    }
    Ok((kind, payload))
}

/// Decodes the payload that `open` gave.
pub fn content<T: DeserializeOwned>(payload: &[u8], what: &'static str) -> Result<T, FormatError> {
    let json = zstd::decompress_bounded(payload, limits::OBJECT_BYTES_MAX)?;
    serde_json::from_slice(&json).map_err(|e| FormatError::Json {
        what,
        cause: e.to_string(),
    })
}

/// Decodes an object that must be of this kind.
pub fn decode<T: DeserializeOwned>(
    hash: StoreHash,
    kind: ObjectKind,
    bytes: &[u8],
    what: &'static str,
) -> Result<T, FormatError> {
    let (found, payload) = open(hash, bytes)?;
    if found != kind {
        return Err(FormatError::Invalid {
            what: "an object's kind",
        });
    }
    content(payload, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let hash = StoreHash::unkeyed();
        let good = encode(hash, ObjectKind::Writer, &vec![1, 2, 3]).unwrap();
        let read = |bytes: &[u8]| decode::<Vec<u32>>(hash, ObjectKind::Writer, bytes, "test");
        assert_eq!(read(&good).unwrap(), [1, 2, 3]);
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(read(&bad).is_err(), "bit {at}");
        }
        let mut other_version = good.clone();
        other_version[15] ^= 1;
        let found = read(&other_version);
        assert_eq!(
            found,
            Err(FormatError::Digest { what: "an object" }),
            "damage, no other version"
        );
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err(), "cut at {cut}");
        }
    }
}
