//! What a snapshot is made of: its manifest, and every blob of it.

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::open::Store;

/// A blob of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobLine {
    /// `leaf`, `node`, `chunk`, `chunk node` or `schema`.
    pub kind: &'static str,
    /// Its id, 64 hex digits.
    pub id: String,
    /// The entity it belongs to; empty for the schema.
    pub entity: String,
    /// The pack it is in.
    pub pack: String,
    /// Bytes of the canonical form.
    pub plain_bytes: u64,
    /// Its share of the bytes of its frame in the pack.
    pub stored_bytes: u64,
    /// False if another snapshot that is older reaches it too.
    pub new: bool,
}

/// Every blob that a snapshot reaches, each once, in import order.
pub fn blobs(store: &Store, manifest: &Manifest) -> Result<Vec<BlobLine>, Error> { todo!() }
