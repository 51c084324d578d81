//! Blobs in a map: a tree tested without packs.
//!
//! Reading checks ids, as the store does, so that planted damage is found at the same place.

use std::collections::{HashMap, HashSet};

use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource};
use crate::model::id::BlobId;

/// A map of blobs, and a log of what was put.
#[derive(Debug, Clone, Default)]
pub struct MapBlobs {
    blobs: HashMap<(BlobKind, BlobId), Vec<u8>>,
    /// Every call of `put`, in order: kind, id, length. Blobs known already are logged too.
    pub log: Vec<(BlobKind, BlobId, usize)>,
}

impl MapBlobs {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of its ids.
    pub fn hash(&self) -> StoreHash {
        StoreHash::unkeyed()
    }

    /// Number of blobs.
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// True without blobs.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Ids of all blobs of a kind.
    pub fn ids(&self, kind: BlobKind) -> HashSet<BlobId> {
        self.blobs
            .keys()
            .filter(|(k, _)| *k == kind)
            .map(|(_, id)| *id)
            .collect()
    }

    /// All blobs, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (BlobKind, BlobId, &[u8])> {
        self.blobs.iter().map(|((k, id), b)| (*k, *id, &b[..]))
    }

    /// Takes a blob away. True if it was there.
    pub fn remove(&mut self, kind: BlobKind, id: &BlobId) -> bool {
        self.blobs.remove(&(kind, *id)).is_some()
    }

    /// Puts bytes in a blob's place that are not its own.
    pub fn damage(&mut self, kind: BlobKind, id: &BlobId, bytes: Vec<u8>) {
        self.blobs.insert((kind, *id), bytes);
    }

    fn error(why: BlobErrorKind, kind: BlobKind, id: &BlobId, cause: &str) -> BlobError {
        BlobError {
            why,
            kind,
            id: *id,
            cause: cause.into(),
        }
    }
}

impl BlobSource for MapBlobs {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let bytes = self
            .blobs
            .get(&(kind, *id))
            .ok_or_else(|| Self::error(BlobErrorKind::Missing, kind, id, "it is not there"))?;
        if self.hash().blob_id(kind as u8, bytes) == *id {
            Ok(bytes.clone())
        } else {
            let cause = "its bytes have another id";
            Err(Self::error(BlobErrorKind::Damaged, kind, id, cause))
        }
    }
}

impl BlobSink for MapBlobs {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = self.hash().blob_id(kind as u8, canonical);
        self.log.push((kind, id, canonical.len()));
        self.blobs
            .entry((kind, id))
            .or_insert_with(|| canonical.to_vec());
        Ok(id)
    }
}
