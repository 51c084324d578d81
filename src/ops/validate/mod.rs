//! Reads what snapshots are made of and says whether all of it is there and right.

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::Store;
use crate::progress::{Finding, Progress};

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
    world: &crate::ops::open::World,
    options: &ValidateOptions,
    progress: &mut dyn Progress,
) -> Result<ValidateOutcome, Error> { todo!() }
