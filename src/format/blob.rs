//! §4 Blobs: the unit of deduplication, and the two one-method doors through which trees reach them.

use crate::model::id::BlobId;

/// What a blob is. The number is part of what is hashed, so kinds never share an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobKind {
    /// Records of one table, in columns; §8.
    Leaf = 1,
    /// A node above leaves or nodes; §7.
    Node = 2,
    /// A piece of a large value; §9.
    Chunk = 3,
    /// A node above chunks; §9.
    ChunkNode = 4,
    /// A schema; §10.2.
    Schema = 5,
}

impl BlobKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Leaf,
        Self::Node,
        Self::Chunk,
        Self::ChunkNode,
        Self::Schema,
    ];

    /// The kind of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Node => "node",
            Self::Chunk => "chunk",
            Self::ChunkNode => "chunk node",
            Self::Schema => "schema",
        }
    }
}

/// Why a blob could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobErrorKind {
    /// No usable copy of it is known.
    Missing,
    /// Its bytes are not what its id says, or do not decode.
    Damaged,
    /// The place that keeps it could not be read or written.
    Unavailable,
}

/// A blob that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} {id}: {cause}", kind.name())]
pub struct BlobError {
    /// Why.
    pub why: BlobErrorKind,
    /// Kind of the blob.
    pub kind: BlobKind,
    /// The blob.
    pub id: BlobId,
    /// What was found.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Gives blobs by id.
pub trait BlobSource {
    /// The canonical form of the blob; its id has been checked.
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError>;
}

/// Takes blobs.
pub trait BlobSink {
    /// Keeps a blob, given in canonical form, unless it is known already. Returns its id.
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError>;
}
