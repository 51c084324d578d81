//! What a validation found.

use super::Level;
use super::drill::Receipt;
use crate::model::counted::{agree, count, counted};
use crate::ops::list::SnapshotSummary;
use crate::progress::Finding;

/// A snapshot that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCheck {
    /// The snapshot.
    pub snapshot: SnapshotSummary,
    /// Its entities.
    pub entities: Vec<EntityCheck>,
    /// References without a target, as recorded at backup time: child, parent, count.
    pub references: Vec<(String, String, u64)>,
    /// What was asked of its records; `None` where not all of them were read.
    pub audited: Option<Audited>,
    /// True if all of it is there and right.
    pub good: bool,
}

/// What the schema asks of a snapshot's records, asked of the stored ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audited {
    /// Constraints that were asked.
    pub constraints: u64,
    /// Those that records break, or broke at backup time.
    pub broken: Vec<BrokenConstraint>,
    /// Those that cannot be asked here.
    pub not_audited: Vec<NotAudited>,
}

/// A constraint that records break, or broke at backup time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenConstraint {
    /// The table.
    pub table: String,
    /// `FOREIGN KEY (customer_id) → customers`, `UNIQUE (email)`, `NOT NULL name`.
    pub constraint: String,
    /// Records that break it; of a UNIQUE one those whose key another one has already.
    pub found: u64,
    /// Records that broke it at backup time; `None` if that is not recorded.
    pub recorded: Option<u64>,
}

impl BrokenConstraint {
    /// True if it was otherwise at backup time: with the same records it is the same.
    pub fn differs(&self) -> bool {
        self.recorded.is_some_and(|recorded| recorded != self.found)
    }
}

impl std::fmt::Display for BrokenConstraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let found = counted(self.found, "record");
        write!(
            f,
            "{}: {found} {} it",
            self.constraint,
            agree(self.found, "breaks", "break")
        )?;
        match self.recorded {
            Some(recorded) if recorded == self.found => write!(f, ", as at backup time"),
            Some(recorded) => write!(f, ", {} at backup time", count(recorded)),
            None => write!(f, "; how many at backup time is not recorded"),
        }
    }
}

/// A constraint that cannot be asked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAudited {
    /// The table; empty: all of the snapshot.
    pub table: String,
    /// The constraint, or `all`.
    pub constraint: String,
    /// Why: lower case, no full stop.
    pub reason: String,
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

/// Packs that were read whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PacksRead {
    /// In this run.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the pack that was read longest ago was last read whole and found good, RFC 3339 in UTC;
    /// `None`: some pack never was, or it is not known. In a store without packs: now.
    pub oldest: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidateOutcome {
    /// Where the store is.
    pub store: String,
    /// Packs there are, and those found good.
    pub packs: u64,
    /// Packs without damage.
    pub packs_good: u64,
    /// Of the damaged ones, those that have parity: more of them may be healed.
    pub packs_with_parity: u64,
    /// Of the damaged ones, those that have a second copy.
    pub packs_with_second: u64,
    /// Bytes of the packs.
    pub pack_bytes: u64,
    /// Which of them were read whole.
    pub packs_read: PacksRead,
    /// Distinct blobs that the snapshots need and that are good, as far as they were read: the same number at
    /// every level.
    pub blobs: u64,
    /// The snapshots, newest first.
    pub snapshots: Vec<SnapshotCheck>,
    /// The snapshots that were restored for trial, if that was asked for.
    pub drill: Option<Receipt>,
    /// Damage, each named once.
    pub damage: Vec<Damage>,
    /// Foreign files and the like.
    pub findings: Vec<Finding>,
    /// What was read.
    pub level: Level,
    /// Time it took.
    pub elapsed_ms: u64,
}
