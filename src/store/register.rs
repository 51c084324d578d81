//! Sticky registers: objects that are created once, and whose first content holds for ever. Who
//! comes second learns what the first one decided.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::format::frame::{self, ObjectKind};
use crate::format::protocol::Record;
use crate::format::{FormatError, limits};

/// Encodes an object of the protocol.
pub fn encode<T: Serialize>(
    hash: StoreHash,
    kind: ObjectKind,
    content: &T,
    object: &str,
) -> Result<Vec<u8>, StoreError> {
    frame::encode(hash, kind, content).map_err(|e| StoreError::Encoding {
        what: format!("{object}: {e}"),
    })
}

/// Decodes what was read under this name. One that is whole, but of another name, is damaged too.
pub fn decode<T: DeserializeOwned + Record>(
    hash: StoreHash,
    kind: ObjectKind,
    object: &str,
    bytes: &[u8],
) -> Result<T, FormatError> {
    let content: T = frame::decode(hash, kind, bytes, "a record")?;
    match content.is_of(object) {
        true => Ok(content),
        false => Err(FormatError::Invalid {
            what: "the name that a record says it has",
        }),
    }
}

/// Reads an object; `None` if it is not there. Errors: `Damaged`, `Backend`.
pub fn read<T: DeserializeOwned + Record>(
    backend: &dyn Backend,
    hash: StoreHash,
    kind: ObjectKind,
    object: &str,
) -> Result<Option<T>, StoreError> {
    let bytes = match backend.get(object, limits::OBJECT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let content = decode(hash, kind, object, &bytes);
    Ok(Some(
        content.map_err(|cause| StoreError::of_object(object, cause))?,
    ))
}

/// Creates a register, durably. `None`: it says `content` now; else what it said before, and will.
pub fn decide<T: Serialize + DeserializeOwned + Record>(
    backend: &dyn Backend,
    hash: StoreHash,
    kind: ObjectKind,
    object: &str,
    content: &T,
) -> Result<Option<T>, StoreError> {
    let bytes = encode(hash, kind, content, object)?;
    match backend.put_new(object, &bytes) {
        Ok(()) => {
            backend.barrier()?;
            Ok(None)
        }
        Err(error) if error.kind == BackendErrorKind::Exists => {
            match read(backend, hash, kind, object)? {
                Some(said) => Ok(Some(said)),
                // It was taken away after its time, which ends what it was about as well.
                None => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
