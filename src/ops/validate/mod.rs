//! Reads what snapshots are made of and says whether all of it is there and right.

mod findings;
mod snapshot;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress, Unit};
use crate::store::PackState;
use findings::{Findings, pack_object};

/// What to validate.
#[derive(Debug, Clone, Default)]
pub struct ValidateOptions {
    /// The snapshots; empty: all of the store.
    pub snapshots: Vec<Manifest>,
    /// Structure only: footers and manifests, and that every needed blob is in some pack.
    pub quick: bool,
}

/// A snapshot that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCheck {
    /// The snapshot.
    pub snapshot: SnapshotSummary,
    /// Its entities.
    pub entities: Vec<EntityCheck>,
    /// References without a target, as recorded at backup time: child, parent, count.
    pub references: Vec<(String, String, u64)>,
    /// True if all of it is there and right.
    pub good: bool,
}

/// An entity that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityCheck {
    /// The table.
    pub entity: String,
    /// Its file's name.
    pub file: String,
    /// Records it should have.
    pub records: u64,
    /// Canonical bytes of its leaves.
    pub bytes: u64,
    /// True if all of it is there and right.
    pub good: bool,
}

/// Something that is damaged or missing, and what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The object: `pack 7c/7c01…`, `snapshot 2026…`.
    pub object: String,
    /// The blob, if it is one: kind and id.
    pub blob: Option<(&'static str, String)>,
    /// What is wrong with it.
    pub cause: String,
    /// What it affects; empty if nothing needs it.
    pub affects: Vec<AffectedRecords>,
}

/// Records that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedRecords {
    /// The entity; empty: the whole snapshot.
    pub entity: String,
    /// Number of records; 0 where it is not known.
    pub records: u64,
    /// Which: `records with id 40,961 to 41,870` or `records 1 to 412`.
    pub range: String,
    /// Short ids of the snapshots.
    pub snapshots: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateOutcome {
    /// Where the store is.
    pub store: String,
    /// Packs there are, and those found good.
    pub packs: u64,
    /// Packs without damage.
    pub packs_good: u64,
    /// Bytes of the packs.
    pub pack_bytes: u64,
    /// Distinct blobs that were read (or, with `quick`, looked up).
    pub blobs: u64,
    /// The snapshots, newest first.
    pub snapshots: Vec<SnapshotCheck>,
    /// Damage, each named once.
    pub damage: Vec<Damage>,
    /// Foreign files and the like.
    pub findings: Vec<Finding>,
    /// True if only the structure was looked at.
    pub quick: bool,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Validates snapshots. Damage is in the outcome; an error means that it could not be looked for.
pub fn run(
    store: &Store,
    world: &World,
    options: &ValidateOptions,
    progress: &mut dyn Progress,
) -> Result<ValidateOutcome, Error> {
    let begun = world.env.monotonic();
    // Snapshots before packs: what they need is then in the listing.
    let names = store.snapshot_names()?;
    let (reader, packs) = store.fresh_reader()?;
    let mut found = Findings::default();
    found.unreadable_packs(&packs.unreadable);
    for (object, cause) in &packs.unreadable_records {
        found.object(object.clone(), cause.to_string());
    }
    let pack_bytes = packs.packs.iter().map(|(_, bytes)| bytes).sum();
    if !options.quick {
        read_packs(store, &packs, &mut found, progress)?;
    }
    progress.phase("Checking snapshots", 0, Unit::Blobs);
    let mut checker = snapshot::Checker::new(&reader, options.quick, &mut found, progress);
    let mut checks = Vec::new();
    if options.snapshots.is_empty() {
        for id in names.ids.iter().rev() {
            if let Some(manifest) = readable(store, id, checker.found)? {
                checks.push(checker.snapshot(&manifest, &names.ids)?);
            }
        }
    } else {
        for manifest in &options.snapshots {
            checks.push(checker.snapshot(manifest, &names.ids)?);
        }
    }
    let blobs = checker.blobs();
    for name in store.foreign()? {
        found.note(name, "is no object of this store; it was not read");
    }
    let packs_good = packs
        .packs
        .iter()
        .filter(|(id, _)| !found.names_pack(id))
        .count();
    let elapsed = world.env.monotonic().saturating_sub(begun);
    let (damage, findings) = found.finish();
    Ok(ValidateOutcome {
        store: store.location(),
        packs: packs.packs.len() as u64,
        packs_good: packs_good as u64,
        pack_bytes,
        blobs,
        snapshots: checks,
        damage,
        findings,
        quick: options.quick,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Every byte of every pack, compared with the pack's name.
fn read_packs(
    store: &Store,
    packs: &PackState,
    found: &mut Findings,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    progress.phase(
        "Reading packs",
        packs.packs.iter().map(|(_, bytes)| bytes).sum(),
        Unit::Bytes,
    );
    for (id, bytes) in &packs.packs {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(cause) = store.pack_damage(id, *bytes)? {
            found.object(pack_object(id), cause);
        }
        progress.advance(*bytes);
    }
    Ok(())
}

/// A manifest; a damaged one becomes damage that affects the whole snapshot.
fn readable(
    store: &Store,
    id: &SnapshotId,
    found: &mut Findings,
) -> Result<Option<Manifest>, Error> {
    match store.manifest(id) {
        Err(crate::store::StoreError::Damaged { object, cause }) => {
            found.snapshot(object, cause.to_string(), id);
            Ok(None)
        }
        done => Ok(done?),
    }
}
