//! What a repair is asked, and what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ops::validate::Damage;
use crate::progress::Finding;
use crate::store::heal::HealedRecord;
pub use crate::store::heal::WholeBy;

/// How to repair.
#[derive(Debug, Clone)]
pub struct RepairOptions {
    /// Say what would be done, and write nothing.
    pub dry_run: bool,
    /// Databases to read what is missing from, beside those that the snapshots name.
    pub sources: Vec<PathBuf>,
    /// Read no database that a snapshot names.
    pub no_sources: bool,
    /// How long to wait for backups that are at work before packs are removed.
    pub max_wait: Duration,
    /// How long to wait for a lock of a database.
    pub busy_timeout: Duration,
    /// Where a private copy of a database may lie; `None`: the system's folder for such.
    pub temp_dir: Option<PathBuf>,
}

impl Default for RepairOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            sources: Vec::new(),
            no_sources: false,
            max_wait: Duration::from_secs(10 * 60),
            busy_timeout: Duration::from_secs(5),
            temp_dir: None,
        }
    }
}

/// Where a blob was had from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Another copy of it, or one in a damaged pack that is good by itself.
    Copy,
    /// A pack that its parity, or its second copy, made whole.
    Parity,
    /// Another store, by its place.
    Store(String),
    /// A database, by its path.
    Source(String),
}

/// Blobs, and their canonical bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Blobs {
    /// How many.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A pack that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPack {
    /// `pack 7c/7c01…`.
    pub object: String,
    /// Its length as it was found.
    pub bytes: u64,
    /// What is wrong with it.
    pub cause: String,
    /// What makes it whole; `None`: nothing does.
    pub whole_by: Option<WholeBy>,
    /// It was marked in this run.
    pub marked: bool,
    /// It is gone, or would be: what is needed of it lies elsewhere.
    pub removed: bool,
}

/// A snapshot whose manifest is damaged, and that stands again under a new id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealedSnapshot {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its new id; `None` in a plan.
    pub new_id: Option<String>,
    /// Where its manifest was had from.
    pub from: String,
}

/// What was done, or with `dry_run` would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairOutcome {
    /// Where the store is.
    pub store: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Packs that were read.
    pub packs: u64,
    /// Those that are damaged, by name; with those that were marked before and are still there.
    pub damaged: Vec<DamagedPack>,
    /// Blobs that were healed, by where they were had from.
    pub healed: BTreeMap<Way, Blobs>,
    /// New packs that hold them, and their bytes.
    pub new_packs: (u64, u64),
    /// Snapshots that stand again.
    pub snapshots: Vec<HealedSnapshot>,
    /// Small objects that could not be read.
    pub records: Vec<HealedRecord>,
    /// Parity and second copies that were made anew: names of what they stand beside.
    pub redundancy: Vec<String>,
    /// Packs that were removed, and their bytes.
    pub removed: (u64, u64),
    /// Writers that can never commit now: their processes are dead.
    pub fenced: Vec<String>,
    /// What cannot be had from anywhere.
    pub lost: Vec<Damage>,
    /// Things worth a line.
    pub findings: Vec<Finding>,
    /// Time it took.
    pub elapsed_ms: u64,
}

impl RepairOutcome {
    /// True if nothing was damaged.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty()
            && self.healed.is_empty()
            && self.snapshots.is_empty()
            && self.records.is_empty()
            && self.redundancy.is_empty()
            && self.lost.is_empty()
    }

    /// True if something is damaged still, and will stay so.
    pub fn is_lost(&self) -> bool {
        !self.lost.is_empty() || self.records.iter().any(|record| record.done.is_none())
    }

    /// All healed blobs together.
    pub fn healed_in_all(&self) -> Blobs {
        let add = |sum: Blobs, blobs: &Blobs| Blobs {
            blobs: sum.blobs + blobs.blobs,
            bytes: sum.bytes.saturating_add(blobs.bytes),
        };
        self.healed.values().fold(Blobs::default(), add)
    }
}
