//! The commit: everything that a snapshot needs is durable, then its manifest is created.

use std::time::Duration;

use super::error::StoreError;
use super::rules::{Rule, Rules};
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::format::frame::{self, ObjectKind};
use crate::format::manifest::Manifest;
use crate::format::name;

/// A writer older than this must not commit: seals and abort markers are kept 90 days (rule A5).
pub(super) const AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// W6: commits a snapshot whose packs have all been put. Returns the manifest as it is stored.
///
/// On return the snapshot is durable. Errors: `Fenced` if the name is taken by an abort marker.
pub fn commit(
    backend: &dyn Backend,
    hash: StoreHash,
    manifest: &Manifest,
    age: Duration,
    rules: Rules,
) -> Result<Vec<u8>, StoreError> {
    if age > AGE_MAX {
        return Err(StoreError::TooOld {
            what: "the backup",
            days: age.as_secs() / (24 * 3600),
        });
    }
    let bytes =
        frame::encode(hash, ObjectKind::Manifest, manifest).map_err(|e| StoreError::Encoding {
            what: format!("a manifest: {e}"),
        })?;
    // B1: all packs, before anything names their blobs.
    backend.barrier()?;
    let object = name::snapshot(&manifest.id);
    let put = match rules.hold(Rule::CommitCreates) {
        true => backend.put_new(&object, &bytes),
        false => backend.put(&object, &bytes),
    };
    match put {
        Err(error) if error.kind == BackendErrorKind::Exists => {
            return Err(StoreError::Fenced {
                snapshot: manifest.id.clone(),
            });
        }
        done => done?,
    }
    // B3: success is reported only after it.
    backend.barrier()?;
    Ok(bytes)
}
