//! Packs: head, items in the plain text of a frame, footer and trailer.

use super::input::Input;
use crate::codec::hash::StoreHash;
use crate::codec::zstd;
use crate::format::FormatError;
use crate::format::blob::{self, Encoding};
use crate::format::footer::{Footer, TRAILER_BYTES, TRAILER_MAGIC, Trailer};
use crate::format::limits;
use crate::format::pack::{self, PACK_HEAD_BYTES};

/// Reads the footer of a pack. `None`: the pack is too short to have one.
pub(super) fn footer_of(pack: &[u8]) -> Option<Result<Footer, FormatError>> {
    let (before, trailer) = pack.split_at_checked(pack.len().checked_sub(TRAILER_BYTES)?)?;
    let trailer = match Trailer::decode(trailer) {
        Ok(trailer) => trailer,
        Err(error) => return Some(Err(error)),
    };
    let at = before.len().checked_sub(trailer.stored_bytes as usize)?;
    let hash = StoreHash::unkeyed();
    let stored = &before[at..];
    Some(Footer::decode(hash, &trailer, stored, pack.len() as u64))
}

/// A footer of any plain text as it is stored, and the trailer behind it.
pub(super) fn stored_footer(plain: &[u8]) -> Vec<u8> {
    let mut stored = zstd::compress(plain, 1).unwrap();
    let digest = StoreHash::unkeyed().footer_digest(&stored);
    let lengths = [stored.len(), plain.len()].map(|n| u32::try_from(n).unwrap().to_le_bytes());
    stored.extend_from_slice(&lengths.concat());
    stored.extend_from_slice(&digest);
    stored.extend_from_slice(&TRAILER_MAGIC);
    stored
}

/// The end of a pack as it stands there, or the plain text of a footer under a right digest, behind
/// frames of any length.
pub fn footer(data: &[u8]) {
    let mut input = Input::new(data);
    let found = if input.u8() == 0 {
        footer_of(input.rest())
    } else {
        let frames = u64::from(input.u32());
        let stored = stored_footer(input.rest());
        let (footer, trailer) = stored.split_at(stored.len() - TRAILER_BYTES);
        let trailer = Trailer::decode(trailer).unwrap();
        let pack_bytes = PACK_HEAD_BYTES as u64 + frames + stored.len() as u64;
        let hash = StoreHash::unkeyed();
        Some(Footer::decode(hash, &trailer, footer, pack_bytes))
    };
    let Some(Ok(footer)) = found else { return };
    let written = footer.encode(StoreHash::unkeyed()).unwrap();
    let frames = footer.frames.last();
    let frames_end = frames.map_or(PACK_HEAD_BYTES as u64, |f| {
        f.offset + u64::from(f.stored_bytes)
    });
    let (stored, trailer) = written.split_at(written.len() - TRAILER_BYTES);
    let trailer = Trailer::decode(trailer).unwrap();
    let pack_bytes = frames_end + written.len() as u64;
    let again = Footer::decode(StoreHash::unkeyed(), &trailer, stored, pack_bytes);
    assert_eq!(again.unwrap(), footer);
    for blob in &footer.blobs {
        let frame = footer.frames[blob.frame as usize];
        assert!(u64::from(blob.offset) + u64::from(blob.encoded_bytes) <= frame.plain_bytes.into());
        assert_eq!(blob.bases.is_empty(), blob.encoding != Encoding::Delta);
    }
}

/// A pack's head, and items one behind the other as in the plain text of a frame; each is decoded.
pub fn pack(data: &[u8]) {
    let _any = pack::check_head(data);
    let mut at = 0;
    while at < data.len() {
        let Ok((item, next)) = pack::read_item(data, at) else {
            break;
        };
        assert!(next > at && next <= data.len());
        let mut again = Vec::new();
        pack::append_item(item, &mut again);
        assert_eq!(again, data[at..next]);
        assert!(u64::from(item.canonical_bytes) <= limits::BLOB_BYTES_MAX);
        let decoded = blob::decode(item.encoding, item.encoded, item.canonical_bytes.into());
        if let Ok(canonical) = decoded {
            assert_eq!(canonical.len(), item.canonical_bytes as usize);
            if let Ok(whole) = blob::encode(item.kind, &canonical) {
                let length = canonical.len() as u64;
                let again = blob::decode(whole.encoding, &whole.bytes, length);
                assert_eq!(again.unwrap(), canonical);
            }
        }
        at = next;
    }
    assert!(pack::read_item(data, data.len() + 1).is_err());
}
