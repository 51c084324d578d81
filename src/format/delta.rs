//! §4.3 Deltas: a blob as what differs from an older one of its kind.
//!
//! Chains are linear: [`Chain`] takes the whole copy once and applies each delta in order, at the
//! cost of what the delta says and not of the blob's length. Nothing here trusts a delta: bytes in,
//! `Result` out; the id of what comes out decides whether the base was the right one.

mod leaf_apply;
mod leaf_encode;
mod nodes;
mod patchwork;

pub use leaf_encode::{Kept, encode as encode_leaf};
pub use nodes::encode as encode_node;

use super::blob::BlobKind;
use super::bytes::check_limit;
use super::leaf::Leaf;
use super::node::Node;
use super::{FormatError, limits};
use crate::codec::zstd;
use patchwork::Patchwork;

/// The columns of the result are those of the base.
pub const DELTA_COLUMNS_SAME: u8 = 0;
/// A source follows for each column of the result.
pub const DELTA_COLUMNS_LISTED: u8 = 1;
/// Column from the base.
pub const DELTA_COLUMN_KEPT: u8 = 0;
/// A new column of one value in every row.
pub const DELTA_COLUMN_CONSTANT: u8 = 1;
/// A new column, given in full.
pub const DELTA_COLUMN_VALUES: u8 = 2;
/// Rowid mode beside those of whole leaves: the base's offsets, shifted.
pub const DELTA_ROWIDS_SHIFTED: u8 = 3;
/// No cell of the column has a new value.
pub const DELTA_CELLS_NONE: u8 = 0;
/// New values, and the rows they stand in.
pub const DELTA_CELLS_LISTED: u8 = 1;
/// New values in the rows that were listed last.
pub const DELTA_CELLS_AGAIN: u8 = 2;
/// A changed child has another id.
pub const DELTA_FIELD_ID: u8 = 1;
/// A changed child has another number of rows.
pub const DELTA_FIELD_ROWS: u8 = 2;
/// A changed child has another length.
pub const DELTA_FIELD_BYTES: u8 = 4;
/// A changed child has other flags or another span.
pub const DELTA_FIELD_TAIL: u8 = 8;
/// Deltas between a blob and a whole copy, on the longest way.
pub const DELTA_DEPTH_MAX: u8 = 32;
/// Deltas that are applied to have a blob, those of all its bases included.
pub const DELTA_STEPS_MAX: u32 = 128;
/// Bases of one delta: where leaves were merged, each of them.
pub const DELTA_BASES_MAX: usize = 4;
/// Blobs that one whole copy serves, directly or through chains.
pub const DELTA_VERSIONS_MAX: u32 = 256;

/// A blob being brought forward from its whole copy, delta by delta.
#[derive(Debug)]
pub struct Chain(State);

#[derive(Debug)]
enum State {
    Leaf(Patchwork),
    Node(Node),
    /// Chunks and schemas.
    Bytes(Vec<u8>),
}

impl Chain {
    /// Begins with the canonical form of the whole copy.
    pub fn begin(kind: BlobKind, canonical: Vec<u8>) -> Result<Self, FormatError> {
        Ok(Self(match kind {
            BlobKind::Leaf => State::Leaf(Patchwork::new(&Leaf::parse(canonical)?)?),
            BlobKind::Node => State::Node(Node::decode(&canonical)?),
            BlobKind::ChunkNode => {
                return Err(FormatError::Invalid {
                    what: "a delta of a chunk node",
                });
            }
            BlobKind::Chunk | BlobKind::Schema => State::Bytes(canonical),
        }))
    }

    /// Goes one delta forward, to a blob whose canonical form has `canonical_bytes` bytes. `more`
    /// are the canonical forms of further bases; only leaves may have them.
    pub fn apply(
        &mut self,
        more: &[Vec<u8>],
        delta: &[u8],
        canonical_bytes: u64,
    ) -> Result<(), FormatError> {
        check_limit("a blob", canonical_bytes, limits::BLOB_BYTES_MAX)?;
        if !more.is_empty() && !matches!(self.0, State::Leaf(_)) {
            return Err(FormatError::Invalid {
                what: "the bases of a delta",
            });
        }
        match &mut self.0 {
            State::Leaf(leaf) => leaf_apply::apply(leaf, more, delta, canonical_bytes)?,
            State::Node(node) => nodes::apply(node, delta)?,
            State::Bytes(bytes) => *bytes = zstd::decompress_after(bytes, delta, canonical_bytes)?,
        }
        Ok(())
    }

    /// The canonical form reached, which must have `canonical_bytes` bytes. The caller checks its id.
    pub fn finish(self, canonical_bytes: u64) -> Result<Vec<u8>, FormatError> {
        let canonical = match self.0 {
            State::Leaf(leaf) => leaf.canonical(canonical_bytes)?,
            State::Node(node) => node.encode(),
            State::Bytes(bytes) => bytes,
        };
        if canonical.len() as u64 == canonical_bytes {
            return Ok(canonical);
        }
        Err(FormatError::Invalid {
            what: "the length of a blob",
        })
    }
}

/// The delta of a chunk or schema against an older one. Error: zstd's own.
pub fn encode_bytes(base: &[u8], result: &[u8], level: i32) -> Result<Vec<u8>, FormatError> {
    Ok(zstd::compress_after(base, result, level)?)
}

#[cfg(test)]
mod tests;
