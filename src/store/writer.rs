//! Writing one snapshot: blobs go into packs, then the manifest is committed.
//!
//! Steps and rules W1 to W7: store-format.md, "Write order". A writer that is dropped without a
//! commit leaves garbage at most, which no snapshot needs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::index::{Excluded, Index};
use super::pack_builder::PackBuilder;
use super::reader::StoreReader;
use super::{Store, commit, writer_record::WriterMark};
use crate::backend::Backend;
use crate::codec::hash::StoreHash;
use crate::env::{Env, random_16};
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink};
use crate::format::manifest::Manifest;
use crate::format::name;
use crate::model::id::{BlobId, SnapshotId};

/// What a commit added to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Bytes of packs.
    pub pack_bytes: u64,
    /// Bytes of the manifest.
    pub manifest_bytes: u64,
}

/// Writes one snapshot.
#[derive(Debug)]
pub struct StoreWriter {
    backend: Arc<dyn Backend>,
    env: Arc<dyn Env>,
    hash: StoreHash,
    index: Index,
    mark: WriterMark,
    started: Duration,
    builder: PackBuilder,
    /// Blobs of the pack being filled; those of published packs are in the index.
    pending: HashMap<(BlobKind, BlobId), ()>,
    pack_bytes: u64,
    /// Bytes of blobs that were put, known or not.
    seen_bytes: u64,
}

impl StoreWriter {
    /// W1 to W3: registers the writer, reads what is condemned, then lists the packs.
    pub(super) fn begin(store: &Store, compression: i32) -> Result<Self, StoreError> {
        let started = store.env.monotonic();
        // W1
        let mark = WriterMark::create(store.backend.clone(), store.env.clone(), store.hash)?;
        // W2, then W3
        let excluded = Excluded::read(&*store.backend, store.hash)?;
        let index = store.load_index(excluded)?;
        Ok(Self {
            backend: store.backend.clone(),
            env: store.env.clone(),
            hash: store.hash,
            index,
            mark,
            started,
            builder: PackBuilder::new(store.hash, compression)?,
            pending: HashMap::new(),
            pack_bytes: 0,
            seen_bytes: 0,
        })
    }

    /// The snapshot that this writer may commit.
    pub fn snapshot(&self) -> &SnapshotId {
        self.mark.snapshot()
    }

    /// How this store hashes.
    pub fn hash(&self) -> StoreHash {
        self.hash
    }

    /// Bytes of the packs published so far.
    pub fn pack_bytes(&self) -> u64 {
        self.pack_bytes
    }

    fn keep(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, StoreError> {
        let id = self.hash.blob_id(kind as u8, canonical);
        self.seen_bytes += canonical.len() as u64;
        // A blob that exists but is not usable is stored again, whole.
        if self.pending.contains_key(&(kind, id)) || self.index.usable(kind, &id)? {
            return Ok(id);
        }
        let env = self.env.clone();
        self.builder
            .push(kind, id, canonical, || random_16(&*env))?;
        self.pending.insert((kind, id), ());
        if self.builder.is_full() {
            self.publish()?;
        }
        Ok(id)
    }

    /// W4: publishes the pack being filled.
    fn publish(&mut self) -> Result<(), StoreError> {
        self.mark.refresh_if_due()?;
        let Some(pack) = self.builder.finish()? else {
            return Ok(());
        };
        self.backend.put_new(&name::pack(&pack.id), &pack.bytes)?;
        self.pack_bytes += pack.bytes.len() as u64;
        self.index
            .add(pack.id, pack.bytes.len() as u64, &pack.footer)?;
        self.pending.clear();
        Ok(())
    }

    /// Publishes what waits, so that `pack_bytes` is final. Blobs may still be put afterwards.
    pub fn flush(&mut self) -> Result<u64, StoreError> {
        self.publish()?;
        Ok(self.pack_bytes)
    }

    /// W6, W7: commits the snapshot. On return it is durable, and so is all that it needs.
    ///
    /// Errors: `Fenced` if a prune took this writer for dead; another writer may then try again.
    pub fn commit(mut self, manifest: &Manifest) -> Result<Committed, StoreError> {
        self.publish()?;
        let age = self.env.monotonic().saturating_sub(self.started);
        let manifest_bytes = commit::commit(&*self.backend, self.hash, manifest, age)?;
        // W7. The snapshot stands; a record that stays is fenced in vain by the next prune.
        self.mark.remove()?;
        Ok(Committed {
            pack_bytes: self.pack_bytes,
            manifest_bytes,
        })
    }

    /// Ends without a commit and takes the writer record away.
    pub fn abandon(self) -> Result<(), StoreError> {
        self.mark.remove()
    }

    /// Gives the index to a reader, for looking at what was just written. The writer record stays
    /// until `commit` or `abandon`; this is for tests of what an uncommitted run leaves.
    pub fn into_reader(self) -> StoreReader {
        StoreReader::new(self.backend, self.hash, self.index)
    }
}

impl BlobSink for StoreWriter {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        self.keep(kind, canonical).map_err(|error| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id: self.hash.blob_id(kind as u8, canonical),
            cause: Box::new(error),
        })
    }
}
