//! The blobs of one snapshot, from one store into another: each is looked up there, and read and put if
//! it is not known. Memory: one blob with its bases, and the children of one blob a level.

use std::collections::HashMap;

use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::delta::Chain;
use crate::format::manifest::Manifest;
use crate::model::id::{BlobId, SnapshotId};
use crate::ops::walk::Step;
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader, StoreWriter, StoredDelta};

/// Blobs that are remembered, so that what is below them is walked once for all snapshots: about 60 MiB,
/// enough for terabytes of tables. Beyond it nodes are read once a snapshot.
const REMEMBERED_MAX: usize = 1_000_000;

/// Why a snapshot was not copied.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be read: the table, if it is of one, and the blob.
    Unreadable(Option<String>, BlobError),
    /// Nothing more can be copied.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Which blobs with something below them were reached by snapshots that this run has copied.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The copy that was committed in each round.
    rounds: Vec<Option<SnapshotId>>,
    /// Half of a blob's id, and the last round that reached it.
    blobs: HashMap<[u8; 16], usize>,
    /// Of this round: whether what another one reached is known to be there.
    complete: HashMap<usize, bool>,
}

impl Reached {
    /// Begins with another snapshot.
    pub fn begin(&mut self) -> usize {
        self.complete.clear();
        self.rounds.push(None);
        self.rounds.len() - 1
    }

    /// What a round has reached is in the store, with all that is below it.
    pub fn committed(&mut self, round: usize, snapshot: SnapshotId) {
        if let Some(of_round) = self.rounds.get_mut(round) {
            *of_round = Some(snapshot);
        }
    }

    /// True if all below a blob is known unread (W3): a snapshot that reaches it was copied by this run, and
    /// stands now that this writer has listed packs.
    fn holds(&mut self, id: &BlobId, writer: &mut StoreWriter) -> Result<bool, StoreError> {
        let Some(round) = self.blobs.get(&half(id)).copied() else {
            return Ok(false);
        };
        let Some(Some(snapshot)) = self.rounds.get(round) else {
            return Ok(false);
        };
        if let Some(complete) = self.complete.get(&round) {
            return Ok(*complete);
        }
        let complete = writer.follow(snapshot)?;
        self.complete.insert(round, complete);
        Ok(complete)
    }

    /// This round reaches a blob.
    fn note(&mut self, id: &BlobId) {
        let round = self.rounds.len().saturating_sub(1);
        if self.blobs.len() < REMEMBERED_MAX || self.blobs.contains_key(&half(id)) {
            self.blobs.insert(half(id), round);
        }
    }
}

/// Half a digest is enough to know a blob again.
fn half(id: &BlobId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&id.0[..16]);
    half
}

/// One snapshot on its way.
pub(super) struct Transfer<'a> {
    pub reader: &'a StoreReader,
    pub writer: &'a mut StoreWriter,
    pub reached: &'a mut Reached,
    pub progress: &'a mut dyn Progress,
}

impl Transfer<'_> {
    /// Puts what the other store lacks of a snapshot.
    pub fn snapshot(mut self, manifest: &Manifest) -> Result<(), Stop> {
        let in_table = |table: Option<&str>, stop| match stop {
            Stop::Unreadable(_, error) => Stop::Unreadable(table.map(str::to_owned), error),
            stop => stop,
        };
        self.tree(Step::Schema(manifest.schema))
            .map_err(|stop| in_table(None, stop))?;
        for entity in manifest.all_tables().chain(&manifest.pages) {
            if let Some(root) = Step::root(entity) {
                self.tree(root)
                    .map_err(|stop| in_table(Some(&entity.entity), stop))?;
            }
        }
        Ok(())
    }

    /// Puts what lacks of a tree, nodes before what is below them, which comes in order.
    fn tree(&mut self, root: Step) -> Result<(), Stop> {
        let mut open = vec![root];
        while let Some(step) = open.pop() {
            if self.progress.cancelled() {
                return Err(Error::Cancelled.into());
            }
            let (kind, id) = step.blob();
            let leads_on = step.leads_on();
            if leads_on && self.reached.holds(&id, self.writer).map_err(Error::from)? {
                self.reached.note(&id);
                self.progress.advance(record_bytes(&step, true));
                continue;
            }
            // A leaf or chunk that is known is not read; below a node each blob is looked up.
            let is_known = self.writer.is_known(kind, &id).map_err(Error::from)?;
            if !is_known || leads_on {
                let canonical = self.reader.get(kind, &id).map_err(source_failed)?;
                if !is_known {
                    self.put(kind, &id, &canonical)?;
                }
                let below = step.below(canonical).map_err(source_failed)?;
                open.extend(below.into_iter().rev());
            }
            if leads_on {
                self.reached.note(&id);
            }
            self.progress.advance(record_bytes(&step, false));
        }
        Ok(())
    }

    /// Puts a blob, as the delta that it is in its own store if its bases are known.
    fn put(&mut self, kind: BlobKind, id: &BlobId, canonical: &[u8]) -> Result<(), Stop> {
        let delta = self.reader.delta(kind, id).map_err(source_failed)?;
        let put = match delta {
            None => self.writer.put(kind, canonical).map(drop),
            Some(stored) => {
                let reader = self.reader;
                let mut patch = || patch(reader, kind, &stored, canonical);
                self.writer
                    .replace(kind, canonical, &stored.bases, &mut patch)
                    .map(drop)
            }
        };
        put.map_err(|error| Error::from(StoreError::from(error)))?;
        Ok(())
    }
}

/// The delta with its bases; `None` if they cannot be read, or give something else.
fn patch(
    reader: &StoreReader,
    kind: BlobKind,
    stored: &StoredDelta,
    canonical: &[u8],
) -> Result<Option<Patch>, BlobError> {
    let mut read = Vec::with_capacity(stored.bases.len());
    for base in &stored.bases {
        match reader.get(kind, base) {
            Ok(base) => read.push(base),
            // The blob itself was read: it is put whole.
            Err(_) => return Ok(None),
        }
    }
    let Some((first, more)) = read.split_first() else {
        return Ok(None);
    };
    let bytes = canonical.len() as u64;
    let made = Chain::begin(kind, first.clone()).and_then(|mut chain| {
        chain.apply(more, &stored.delta, bytes)?;
        chain.finish(bytes)
    });
    Ok(made.is_ok_and(|made| made == canonical).then(|| Patch {
        bases: read,
        delta: stored.delta.clone(),
    }))
}

/// Canonical bytes of the leaves at a place, or of all that are below it.
fn record_bytes(step: &Step, with_all_below: bool) -> u64 {
    match step {
        Step::Records(place) if with_all_below || place.level == 0 => place.bytes,
        _ => 0,
    }
}

/// A blob of the store that is copied from. One that its place does not give, too, stops this snapshot
/// alone: of a failing disk, what can still be read is copied.
fn source_failed(error: BlobError) -> Stop {
    if error.why != BlobErrorKind::Unavailable {
        return Stop::Unreadable(None, error);
    }
    match error.cause.downcast_ref::<StoreError>() {
        Some(StoreError::Backend(_)) => Stop::Unreadable(None, error),
        _ => Stop::Failed(StoreError::from(error).into()),
    }
}
