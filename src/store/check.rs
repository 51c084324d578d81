//! Reads packs whole: a pack's name is the hash of its bytes, so any changed bit is found.

use super::error::StoreError;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::PackHasher;
use crate::format::name;
use crate::model::id::PackId;

/// Packs are read in pieces of this length.
const PIECE_BYTES: u64 = 4 << 20;

/// Reads a pack of `bytes` bytes and compares it with its name. `None`: good; else what is wrong.
pub fn pack_damage(
    backend: &dyn Backend,
    id: &PackId,
    bytes: u64,
) -> Result<Option<String>, StoreError> {
    let object = name::pack(id);
    let mut hasher = PackHasher::default();
    let mut at = 0;
    while at < bytes {
        let count = PIECE_BYTES.min(bytes - at);
        match backend.get_range(&object, at, count) {
            Ok(piece) => hasher.update(&piece),
            Err(error) if error.kind == BackendErrorKind::NotFound => {
                return Ok(Some("it is gone".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        at += count;
    }
    Ok((hasher.finish() != *id).then(|| "its content does not match its name".to_owned()))
}
