//! The forms in which a census answers: plain numbers.

use super::TableSort;
use crate::format::blob::BlobKind;
use crate::model::id::BlobId;

/// Blobs, or copies of them, and what they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many.
    pub blobs: u64,
    /// Bytes of their canonical forms.
    pub canonical_bytes: u64,
    /// Their shares of the stored lengths of their frames.
    pub stored_bytes: u64,
}

impl Figures {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            blobs: self.blobs.saturating_add(other.blobs),
            canonical_bytes: self.canonical_bytes.saturating_add(other.canonical_bytes),
            stored_bytes: self.stored_bytes.saturating_add(other.stored_bytes),
        }
    }
}

/// Copies of one kind of blob, whole or as deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFigures {
    /// The kind.
    pub kind: BlobKind,
    /// True for deltas.
    pub delta: bool,
    /// The copies.
    pub figures: Figures,
}

/// Packs, and what of them is no blob.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackFigures {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of heads, footers and trailers.
    pub overhead_bytes: u64,
    /// Packs whose footers cannot be read.
    pub unreadable: u64,
    /// Bytes of those.
    pub unreadable_bytes: u64,
    /// Packs without anything that a snapshot needs.
    pub garbage: u64,
    /// Bytes of those.
    pub garbage_bytes: u64,
}

/// All copies, by what they are there for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// The copy of each blob that a snapshot's trees lead to.
    pub reached: Figures,
    /// The copy of each blob that is needed only because a delta stands on it.
    pub bases: Figures,
    /// Further copies of blobs that are needed.
    pub duplicates: Figures,
    /// Copies of blobs that no snapshot needs.
    pub garbage: Figures,
}

/// Deltas that snapshots need, and the whole blobs they stand on in the end. A delta may stand on
/// several of these: it counts on each, once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chains {
    /// Whole blobs that deltas stand on.
    pub bases: u64,
    /// Deltas that stand on them, directly or through others, on each of them; added up.
    pub versions: u64,
    /// The most of them on one.
    pub versions_max: u64,
    /// The most deltas between a blob and a whole one, on the longest way.
    pub depth_max: u64,
    /// Blobs that the newest snapshot reaches.
    pub newest_blobs: u64,
    /// Deltas between each of these and a whole one, on the longest way; added up.
    pub newest_depths: u64,
}

/// What a snapshot needs, as the tables that were assigned tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotUse {
    /// What its trees lead to.
    pub reached: Figures,
    /// What it needs besides, as bases of deltas.
    pub bases: Figures,
    /// What of both no other snapshot needs.
    pub alone: Figures,
    /// What of both others need too.
    pub shared: Figures,
}

/// What is counted under a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFigures {
    /// Of which sort it is.
    pub sort: TableSort,
    /// Its name.
    pub name: String,
    /// Snapshots that have it, of those that were asked for.
    pub snapshots: u64,
    /// Records in the newest of these.
    pub records: u64,
    /// Leaves that are stored whole.
    pub leaves: Figures,
    /// Leaves that are stored as deltas.
    pub leaf_deltas: Figures,
    /// Nodes.
    pub nodes: Figures,
    /// Chunks of large values, and the nodes above them.
    pub chunks: Figures,
    /// Schemas.
    pub schemas: Figures,
}

impl TableFigures {
    /// All of it.
    pub fn all(&self) -> Figures {
        [self.leaf_deltas, self.nodes, self.chunks, self.schemas]
            .into_iter()
            .fold(self.leaves, Figures::plus)
    }
}

/// A blob that is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedBlob {
    /// Its kind.
    pub kind: BlobKind,
    /// The blob.
    pub id: BlobId,
    /// What was found.
    pub cause: String,
    /// What leads to it: a table and the number of a snapshot.
    pub affects: Vec<(TableSort, String, u64)>,
}
