//! Copies snapshots into another store: what that one lacks, each blob verified.
//!
//! A copy is a snapshot of its own, written by the commit protocol under a new id: names of objects are
//! never used twice, and a snapshot of that id may have been there and been cleaned up. `original` in
//! its manifest says which one it is, so that it is not copied again (store-format.md §10.1).

mod known;
mod transfer;

use std::collections::BTreeSet;

use crate::error::{BlobError, Error};
use crate::format::manifest::{Entity, Manifest};
use crate::model::counted::{agree, counted};
use crate::model::id::SnapshotId;
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::ops::select::{UNCOMMITTED_TAG, newest_first};
use crate::progress::{Finding, Progress, Unit};
use crate::store::{Committed, StoreError, StoreReader};
use known::Known;
use transfer::{Reached, Stop, Transfer};

/// What to copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Snapshots of the store that is copied from; none: all that count. Of those that a restore took and
    /// never confirmed (tag `uncommitted`) only the ones named here are copied.
    pub snapshots: Vec<Manifest>,
}

/// A snapshot that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// As it is in the store that was copied to.
    pub snapshot: SnapshotSummary,
    /// Its id in the store that was copied from.
    pub from: String,
    /// Its name there, if another snapshot has it here.
    pub renamed: Option<String>,
}

/// A snapshot that was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// Its id in the store that was copied from.
    pub from: String,
    /// Its id in the one that was copied to.
    pub id: String,
}

/// A snapshot that could not be read whole; nothing of it is visible in the other store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCopied {
    /// Its id.
    pub id: String,
    /// Its id as people see it.
    pub short_id: String,
    /// Its name; `None` if its manifest cannot be read.
    pub name: Option<String>,
    /// The table; `None` for what all of its tables need.
    pub table: Option<String>,
    /// What could not be read: `leaf …`, `snapshot …`.
    pub object: String,
    /// Why.
    pub cause: String,
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOutcome {
    /// Copied, oldest first.
    pub copied: Vec<Copied>,
    /// There already, oldest first.
    pub present: Vec<Present>,
    /// Not to be read.
    pub not_copied: Vec<NotCopied>,
    /// Snapshots that a restore took and never confirmed: passed over.
    pub uncommitted: u64,
    /// What could not be read of the other store.
    pub findings: Vec<Finding>,
    /// Blobs that were read, some of them only for what is below them.
    pub blobs_read: u64,
    /// Bytes of packs and manifests that were added.
    pub stored_bytes: u64,
    /// Sum of the lengths of the other store's objects afterwards.
    pub store_bytes: u64,
    /// Snapshots in it afterwards.
    pub store_snapshots: u64,
    /// It was asked to stop: what is not named above is not copied.
    pub stopped: bool,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// A writer that a prune took for dead begins again so often.
const FENCED_TRIES: u32 = 3;

/// Copies snapshots of `from` into `to`, oldest first. Each is durable and complete in `to` when the next
/// one begins, and those before it stay whatever happens then.
///
/// Errors: `Store` (`Same` for one store twice). A snapshot that cannot be read is no error, but in the
/// outcome; so is that it was asked to stop.
pub fn run(
    from: &Store,
    to: &Store,
    world: &World,
    options: &CopyOptions,
    progress: &mut dyn Progress,
) -> Result<CopyOutcome, Error> {
    let begun = world.env.monotonic();
    if from.id() == to.id() {
        let location = to.location();
        return Err(StoreError::Same { location }.into());
    }
    let mut outcome = CopyOutcome::default();
    let asked = asked(from, options, &mut outcome)?;
    let known = Known::read(to, &mut outcome.findings)?;
    for finding in &outcome.findings {
        progress.found(finding);
    }
    outcome.store_bytes = to.bytes()?;
    let mut job = Job {
        from,
        to,
        world,
        // Snapshots were listed before: what they need is in its index.
        reader: from.reader()?,
        known,
        reached: Reached::default(),
        pins: from.pins()?,
        outcome,
    };
    for id in &asked {
        if progress.cancelled() {
            job.outcome.stopped = true;
            break;
        }
        let whole = job.one(id, progress).inspect_err(|_| {
            if let Some(text) = before_it(&job.outcome) {
                progress.found(&Finding::note(to.location(), text));
            }
        });
        if !whole? {
            job.outcome.stopped = true;
            break;
        }
    }
    let mut outcome = job.outcome;
    outcome.blobs_read = job.reader.blobs_read();
    outcome.store_snapshots = job.known.snapshots();
    // Parity and second copies too. What was copied stands, whatever becomes of this.
    outcome.store_bytes = to.bytes().unwrap_or(outcome.store_bytes);
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// What is said of the snapshots that were copied before an error.
fn before_it(outcome: &CopyOutcome) -> Option<String> {
    let count = outcome.copied.len() as u64;
    let copied = || {
        let end = agree(count, "was copied, and stays", "were copied, and stay");
        format!("{} {end}", counted(count, "snapshot"))
    };
    (count > 0).then(copied)
}

/// The ids of what is to be copied, oldest first: deltas come after their bases.
fn asked(
    from: &Store,
    options: &CopyOptions,
    outcome: &mut CopyOutcome,
) -> Result<Vec<SnapshotId>, Error> {
    let mut asked: Vec<(String, SnapshotId)> = Vec::new();
    let place = |manifest: &Manifest| (manifest.time.clone(), manifest.id.clone());
    if options.snapshots.is_empty() {
        let (mut damaged, mut uncommitted) = (Vec::new(), 0);
        newest_first(
            from,
            |manifest| {
                if manifest.tags.iter().any(|tag| tag == UNCOMMITTED_TAG) {
                    uncommitted += 1;
                } else {
                    asked.push(place(&manifest));
                }
                Ok(true)
            },
            |id, error| {
                damaged.push(unreadable(id, &error));
                Ok(())
            },
        )?;
        outcome.uncommitted = uncommitted;
        outcome.not_copied = damaged;
    } else {
        asked.extend(options.snapshots.iter().map(place));
    }
    asked.sort_unstable();
    asked.dedup();
    Ok(asked.into_iter().map(|(_, id)| id).collect())
}

/// A snapshot whose manifest is damaged.
fn unreadable(id: &SnapshotId, error: &StoreError) -> NotCopied {
    let cause = match error {
        StoreError::Damaged { cause, .. } => cause.to_string(),
        error => error.to_string(),
    };
    NotCopied {
        id: id.to_string(),
        short_id: id.short().to_owned(),
        name: None,
        table: None,
        object: format!("snapshot {id}"),
        cause,
    }
}

/// A copy at work.
struct Job<'a> {
    from: &'a Store,
    to: &'a Store,
    world: &'a World,
    reader: StoreReader,
    known: Known,
    reached: Reached,
    /// Pinned snapshots of the store that is copied from.
    pins: BTreeSet<SnapshotId>,
    outcome: CopyOutcome,
}

impl Job<'_> {
    /// Copies one snapshot, unless it is there. `false`: it was asked to stop, and nothing of this one is
    /// visible.
    fn one(&mut self, id: &SnapshotId, progress: &mut dyn Progress) -> Result<bool, Error> {
        let manifest = match self.from.manifest(id) {
            Ok(Some(manifest)) => manifest,
            // It was deleted meanwhile.
            Ok(None) => return Ok(true),
            Err(error @ StoreError::Damaged { .. }) => {
                self.outcome.not_copied.push(unreadable(id, &error));
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(there) = self.known.copy_of(&manifest) {
            self.outcome.present.push(Present {
                from: manifest.id.to_string(),
                id: there.to_string(),
            });
            return Ok(true);
        }
        let bytes = |entity: &Entity| entity.bytes;
        let tables = manifest.all_tables().chain(&manifest.pages);
        let total = tables.map(bytes).fold(0, u64::saturating_add);
        progress.phase(&format!("Copying {}", manifest.name), total, Unit::Bytes);
        let mut tries = 1;
        loop {
            match self.attempt(&manifest, progress) {
                // W6: packs that were put are found again by deduplication.
                Err(Stop::Failed(Error::Store(StoreError::Fenced { .. })))
                    if tries < FENCED_TRIES =>
                {
                    tries += 1;
                }
                Err(Stop::Failed(Error::Cancelled)) => return Ok(false),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Unreadable(table, error)) => {
                    self.outcome
                        .not_copied
                        .push(not_copied(&manifest, table, &error));
                    return Ok(true);
                }
                Ok(()) => return Ok(true),
            }
        }
    }

    fn attempt(&mut self, manifest: &Manifest, progress: &mut dyn Progress) -> Result<(), Stop> {
        // The id tells the time of the snapshot, not of the copy.
        let time = manifest.time.parse::<jiff::Timestamp>();
        let time_ms = time.map_or_else(|_| self.world.env.unix_ms(), |t| t.as_millisecond());
        let mut writer = self.to.writer(time_ms).map_err(Error::from)?;
        let round = self.reached.begin();
        let written = Transfer {
            reader: &self.reader,
            writer: &mut writer,
            reached: &mut self.reached,
            progress,
        }
        .snapshot(manifest);
        let done = written.and_then(|()| {
            let new_bytes = writer.flush().map_err(Error::from)?;
            if progress.cancelled() {
                return Err(Error::Cancelled.into());
            }
            Ok(self.known.manifest_of_copy(manifest, &writer, new_bytes))
        });
        let copy = match done {
            Ok(copy) => copy,
            Err(stop) => {
                // What went wrong first is told; a record that stays is fenced by a prune.
                let _ = writer.abandon();
                return Err(stop);
            }
        };
        let is_pinned = self.pins.contains(&manifest.id);
        if is_pinned {
            // Before it is there: what forgets by a rule never sees it without its pin.
            self.to.pin(&copy.id).map_err(Error::from)?;
        }
        let committed = writer.commit(&copy);
        if is_pinned && matches!(committed, Err(StoreError::Fenced { .. })) {
            // That id will never be.
            let _ = self.to.unpin(&copy.id);
        }
        let committed = committed.map_err(Error::from)?;
        self.reached.committed(round, copy.id.clone());
        self.note(manifest, &copy, committed);
        Ok(())
    }

    /// The copy stands: from here on nothing may fail.
    fn note(&mut self, manifest: &Manifest, copy: &Manifest, committed: Committed) {
        let added = committed.pack_bytes + committed.manifest_bytes;
        self.outcome.stored_bytes += added;
        self.outcome.store_bytes += added;
        self.known.add(copy);
        self.outcome.copied.push(Copied {
            snapshot: summary(copy, self.known.ids()),
            from: manifest.id.to_string(),
            renamed: (copy.name != manifest.name).then(|| manifest.name.clone()),
        });
    }
}

fn not_copied(manifest: &Manifest, table: Option<String>, error: &BlobError) -> NotCopied {
    NotCopied {
        id: manifest.id.to_string(),
        short_id: manifest.id.short().to_owned(),
        name: Some(manifest.name.clone()),
        table,
        object: format!("{} {}", error.kind.name(), error.id),
        cause: error.cause.to_string(),
    }
}
