//! Writing one snapshot: blobs go into packs, then the manifest is committed.
//!
//! Steps and rules W1 to W7: store-format.md, "Write order". A writer that is dropped without a
//! commit leaves garbage at most, which no snapshot needs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::index::{Excluded, Index};
use super::pack_builder::PackBuilder;
use super::{Store, commit, writer_record::WriterMark};
use crate::backend::{Backend, BackendErrorKind};
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
    pending: HashSet<(BlobKind, BlobId)>,
    pack_bytes: u64,
}

impl StoreWriter {
    /// W1 to W3: registers the writer, reads what is condemned, then lists the packs.
    pub(super) fn begin(store: &Store, compression: i32, time_ms: i64) -> Result<Self, StoreError> {
        let started = store.env.monotonic();
        // W1
        let mark = WriterMark::create(
            store.backend.clone(),
            store.env.clone(),
            store.hash,
            time_ms,
        )?;
        let prepared = Self::prepare(store, compression);
        let (index, builder) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                // The first error says what went wrong; a record that stays is fenced by a prune.
                let _ = mark.remove();
                return Err(error);
            }
        };
        Ok(Self {
            backend: store.backend.clone(),
            env: store.env.clone(),
            hash: store.hash,
            index,
            mark,
            started,
            builder,
            pending: HashSet::new(),
            pack_bytes: 0,
        })
    }

    /// W2, then W3.
    fn prepare(store: &Store, compression: i32) -> Result<(Index, PackBuilder), StoreError> {
        let excluded = Excluded::read(&*store.backend, store.hash)?;
        if let Some((object, cause)) = excluded.unreadable.first() {
            return Err(StoreError::of_object(object.clone(), cause.clone()));
        }
        let index = store.load_index(excluded)?;
        Ok((index, PackBuilder::new(store.hash, compression)?))
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
        // Here, not where packs are published: hours may pass in which every blob is known.
        self.mark.refresh_if_due()?;
        // A blob that exists but is not usable is stored again, whole.
        if self.pending.contains(&(kind, id)) || self.index.usable(kind, &id)? {
            return Ok(id);
        }
        let env = self.env.clone();
        self.builder
            .push(kind, id, canonical, || random_16(&*env))?;
        self.pending.insert((kind, id));
        if self.builder.is_full() {
            self.publish()?;
        }
        Ok(id)
    }

    /// W4: publishes the pack being filled.
    fn publish(&mut self) -> Result<(), StoreError> {
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
    /// `OutcomeUnknown` leaves the writer record: whether S exists is then for a prune to settle.
    pub fn commit(mut self, manifest: &Manifest) -> Result<Committed, StoreError> {
        let committed = self.publish().and_then(|()| {
            let age = self.env.monotonic().saturating_sub(self.started);
            commit::commit(&*self.backend, self.hash, manifest, age)
        });
        let unknown =
            |error: &StoreError| error.backend_kind() == Some(BackendErrorKind::OutcomeUnknown);
        if !committed.as_ref().is_err_and(unknown) {
            // W7. If the snapshot stands, it does so with its record as well, and the first error
            // is the one to report: a record that stays is fenced in vain by the next prune.
            let _ = self.mark.remove();
        }
        Ok(Committed {
            pack_bytes: self.pack_bytes,
            manifest_bytes: committed?,
        })
    }

    /// Ends without a commit and takes the writer record away.
    pub fn abandon(self) -> Result<(), StoreError> {
        self.mark.remove()
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
