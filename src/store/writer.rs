//! Writing one snapshot: blobs go into packs, then the manifest is committed.
//!
//! Steps and rules W1 to W7: store-format.md, "Write order". A writer that is dropped without a
//! commit leaves garbage at most, which no snapshot needs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::index::Index;
use super::pack_builder::{FinishedPack, PackBuilder};
use super::packer::{DeltaJob, Job, Packer};
use super::rules::{Rule, Rules};
use super::usable::{Excluded, Footing};
use super::{Store, chain, commit, parity, redundancy, snapshots, writer_record::WriterMark};
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::env::{Env, random_16};
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, Patch, Replaced};
use crate::format::manifest::Manifest;
use crate::format::name;
use crate::format::redundancy::Redundancy;
use crate::model::id::{BlobId, SnapshotId};

/// What a commit added to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Bytes of packs.
    pub pack_bytes: u64,
    /// Bytes of the manifest.
    pub manifest_bytes: u64,
    /// Bytes of its second copy; 0 if it has none.
    pub second_bytes: u64,
    /// Why it has none, though the store keeps them. The snapshot stands all the same.
    pub not_copied: Option<String>,
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
    packer: Packer,
    /// Blobs on their way into packs; those of published packs are in the index.
    pending: HashSet<(BlobKind, BlobId)>,
    pack_bytes: u64,
    /// What is put beside packs and the manifest.
    redundancy: Redundancy,
    /// Blobs of the parent snapshot are known unasked.
    parent_is_complete: bool,
    rules: Rules,
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
            store.rules,
        )?;
        let prepared = Self::prepare(store, compression);
        let (index, packer, redundancy) = match prepared {
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
            packer,
            pending: HashSet::new(),
            pack_bytes: 0,
            redundancy,
            parent_is_complete: false,
            rules: store.rules,
        })
    }

    /// W2, then W3.
    fn prepare(store: &Store, compression: i32) -> Result<(Index, Packer, Redundancy), StoreError> {
        let excluded = Excluded::read(&*store.backend, store.hash)?;
        if let Some((object, cause)) = excluded.unreadable.first() {
            return Err(StoreError::of_object(object.clone(), cause.clone()));
        }
        let index = store.load_index(excluded)?;
        let redundancy = redundancy::read_or_default(&*store.backend, store.hash)?;
        let builder = PackBuilder::new(store.hash, compression)?;
        // The name of a pack is unique, and never depends on its content alone.
        let unique = store.rules.hold(Rule::UniqueNames);
        let names = unique.then(|| random_16(&*store.env));
        Ok((index, Packer::new(builder, names), redundancy))
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

    /// Says which snapshot the blobs given to [`BlobSink::keep`] are known from. They are then
    /// known unasked, if all of the following holds (W3): no clean-up was at work and nothing is
    /// listed as damaged; the manifest stands, now that the packs have been listed; and no pack has
    /// gone since all of its blobs were last found usable. Returns whether they do.
    pub fn follow(&mut self, parent: &SnapshotId) -> Result<bool, StoreError> {
        let busy_too = !self.rules.hold(Rule::SkipUncondemned);
        self.parent_is_complete = self.index.is_complete(parent, busy_too)?
            && snapshots::read(&*self.backend, self.hash, parent)?.is_some();
        Ok(self.parent_is_complete)
    }

    /// True if the blob need not be put: a usable copy of it is known, or it was put just now. Says
    /// nothing of what is below it.
    pub fn is_known(&mut self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        // Here, not where packs are published: hours may pass in which every blob is known.
        self.mark.refresh_if_due()?;
        // A blob that exists but is not usable is stored again.
        Ok(self.pending.contains(&(kind, *id)) || self.index.usable(kind, id)?)
    }

    fn put_whole(
        &mut self,
        kind: BlobKind,
        id: BlobId,
        canonical: &[u8],
    ) -> Result<(), StoreError> {
        self.pack(kind, id, canonical, None)
    }

    fn pack(
        &mut self,
        kind: BlobKind,
        id: BlobId,
        canonical: &[u8],
        delta: Option<DeltaJob>,
    ) -> Result<(), StoreError> {
        self.pending.insert((kind, id));
        let job = Job {
            kind,
            id,
            canonical: self.packer.buffer(canonical),
            delta,
        };
        let full = self.packer.push(job)?;
        full.iter().try_for_each(|pack| self.publish(pack))
    }

    /// Stores a blob as a delta on `bases`. `false`: it must be stored whole.
    fn put_delta(
        &mut self,
        kind: BlobKind,
        id: BlobId,
        canonical: &[u8],
        bases: &[BlobId],
        patch: &mut dyn FnMut() -> Result<Option<Patch>, BlobError>,
    ) -> Result<bool, StoreError> {
        // What is stored again because no copy of it is usable is whole.
        let heal_whole = self.rules.hold(Rule::HealWhole);
        if bases.contains(&id) || heal_whole && !self.index.copies(kind, &id)?.is_empty() {
            return Ok(false);
        }
        let mut footing = Footing::default();
        for base in bases {
            let Some(more) = self.index.footing(kind, base)? else {
                return Ok(false);
            };
            footing = footing.and(more);
        }
        if !chain::may_grow(&footing) {
            return Ok(false);
        }
        let Some(patch) = patch().map_err(StoreError::from)? else {
            return Ok(false);
        };
        if !chain::is_worth(&footing, kind, canonical, patch.delta.len()) {
            return Ok(false);
        }
        let delta = DeltaJob {
            bases: bases.to_vec(),
            depth: chain::depth_above(&footing),
            patch,
        };
        self.pack(kind, id, canonical, Some(delta))?;
        Ok(true)
    }

    /// W4: publishes a pack, and parity of it. That this cannot be written ends the backup as
    /// any failure of the store does: a rule that passes over some of them would pass over others.
    fn publish(&mut self, pack: &FinishedPack) -> Result<(), StoreError> {
        self.backend.put_new(&name::pack(&pack.id), &pack.bytes)?;
        parity::put_beside_pack(&*self.backend, &self.redundancy, &pack.id, &pack.bytes)?;
        self.pack_bytes += pack.bytes.len() as u64;
        self.index
            .add(pack.id, pack.bytes.len() as u64, &pack.footer)?;
        for blob in &pack.footer.blobs {
            self.pending.remove(&(blob.kind, blob.id));
        }
        Ok(())
    }

    /// Publishes what waits, so that `pack_bytes` is final. Blobs may still be put afterwards.
    pub fn flush(&mut self) -> Result<u64, StoreError> {
        let full = self.packer.finish()?;
        full.iter().try_for_each(|pack| self.publish(pack))?;
        Ok(self.pack_bytes)
    }

    /// W6, W7: commits the snapshot. On return it is durable, and so is all that it needs.
    ///
    /// Errors: `Fenced` if a prune took this writer for dead; another writer may then try again.
    /// `OutcomeUnknown` leaves the writer record: whether S exists is then for a prune to settle.
    pub fn commit(mut self, manifest: &Manifest) -> Result<Committed, StoreError> {
        let committed = self.flush().and_then(|_| {
            let age = self.env.monotonic().saturating_sub(self.started);
            // A record that somebody has taken away protects nothing any more.
            if self.rules.hold(Rule::WriterRecord) && !self.mark.is_there()? {
                return Err(StoreError::Fenced {
                    snapshot: manifest.id.clone(),
                });
            }
            let stored = commit::commit(&*self.backend, self.hash, manifest, age, self.rules)?;
            // Each blob was found usable or stored. If this is not remembered, the next backup
            // looks each one up.
            let _ = self.index.set_complete(&manifest.id);
            Ok((self.copy_manifest(manifest, &stored), stored.len() as u64))
        });
        let unknown =
            |error: &StoreError| error.backend_kind() == Some(BackendErrorKind::OutcomeUnknown);
        if !committed.as_ref().is_err_and(unknown) {
            // W7. If the snapshot stands, it does so with its record as well, and the first error
            // is the one to report: a record that stays is fenced in vain by the next prune.
            let _ = self.mark.remove();
        }
        let (copied, manifest_bytes) = committed?;
        let (second_bytes, not_copied) = match copied {
            Ok(bytes) => (bytes, None),
            Err(error) => (0, Some(error.to_string())),
        };
        Ok(Committed {
            pack_bytes: self.pack_bytes,
            manifest_bytes,
            second_bytes,
            not_copied,
        })
    }

    /// After the commit, never before: a copy of what is no snapshot must not be there.
    fn copy_manifest(&self, manifest: &Manifest, stored: &[u8]) -> Result<u64, StoreError> {
        if !redundancy::is_full(&self.redundancy) {
            return Ok(0);
        }
        let object = name::second(&name::snapshot(&manifest.id));
        redundancy::put_once(&*self.backend, &object, stored)?;
        self.backend.barrier()?;
        Ok(stored.len() as u64)
    }

    /// Ends without a commit and takes the writer record away.
    pub fn abandon(self) -> Result<(), StoreError> {
        self.mark.remove()
    }
}

impl BlobSink for StoreWriter {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = self.hash.blob_id(kind as u8, canonical);
        let done = self.is_known(kind, &id).and_then(|known| match known {
            true => Ok(()),
            false => self.put_whole(kind, id, canonical),
        });
        done.map_err(|error| unavailable(kind, id, error))?;
        Ok(id)
    }

    fn has(&mut self, kind: BlobKind, id: &BlobId) -> Result<bool, BlobError> {
        let known = self.is_known(kind, id);
        known.map_err(|error| unavailable(kind, *id, error))
    }

    fn keep(&mut self, kind: BlobKind, id: &BlobId, canonical: &[u8]) -> Result<(), BlobError> {
        if !self.parent_is_complete {
            return self.put(kind, canonical).map(|_| ());
        }
        self.mark
            .refresh_if_due()
            .map_err(|error| unavailable(kind, *id, error))
    }

    fn replace(
        &mut self,
        kind: BlobKind,
        canonical: &[u8],
        bases: &[BlobId],
        patch: &mut dyn FnMut() -> Result<Option<Patch>, BlobError>,
    ) -> Result<Replaced, BlobError> {
        let id = self.hash.blob_id(kind as u8, canonical);
        let done = self.is_known(kind, &id).and_then(|known| {
            if known {
                return Ok(false);
            }
            let as_delta = self.put_delta(kind, id, canonical, bases, patch)?;
            if !as_delta {
                self.put_whole(kind, id, canonical)?;
            }
            Ok(as_delta)
        });
        let as_delta = done.map_err(|error| unavailable(kind, id, error))?;
        Ok(Replaced { id, as_delta })
    }
}

fn unavailable(kind: BlobKind, id: BlobId, error: StoreError) -> BlobError {
    BlobError {
        why: BlobErrorKind::Unavailable,
        kind,
        id,
        cause: Box::new(error),
    }
}
