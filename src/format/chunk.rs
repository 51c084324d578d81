//! §9 Large values: chunks cut by content, and the nodes above them.

use super::bytes::{Fields, check_limit, length_u32};
use super::{FormatError, limits};
use crate::model::id::BlobId;

/// Smallest chunk but the last, in bytes (FastCDC 2020).
pub const CHUNK_MIN_BYTES: u32 = 64 << 10;
/// Chunk length aimed for.
pub const CHUNK_TARGET_BYTES: u32 = 256 << 10;
/// Largest chunk.
pub const CHUNK_MAX_BYTES: u32 = 1 << 20;

/// A child of a chunk node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The chunk or chunk node.
    pub id: BlobId,
    /// Bytes of the value below it.
    pub bytes: u64,
}

/// A node above chunks (level 1) or chunk nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkNode {
    /// 1 if the pieces are chunks, else one more than theirs.
    pub level: u8,
    /// The pieces, in order; at least 1.
    pub pieces: Vec<Piece>,
}

impl ChunkNode {
    /// The canonical form, which is also how it lies in a pack: level (1), count (4), then per
    /// piece id (32) and bytes (8).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(5 + self.pieces.len() * 40);
        out.push(self.level);
        out.extend_from_slice(&length_u32(self.pieces.len()).to_le_bytes());
        for piece in &self.pieces {
            out.extend_from_slice(&piece.id.0);
            out.extend_from_slice(&piece.bytes.to_le_bytes());
        }
        out
    }

    /// Reads a canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "a chunk node");
        let level = fields.u8()?;
        check_limit(
            "the level of a chunk node",
            u64::from(level),
            u64::from(limits::TREE_LEVELS_MAX),
        )?;
        let count = fields.u32()?;
        check_limit(
            "pieces of a chunk node",
            u64::from(count),
            u64::from(limits::NODE_CHILDREN_MAX),
        )?;
        if level == 0 || count == 0 {
            return Err(FormatError::Invalid {
                what: "a chunk node without level or pieces",
            });
        }
        let pieces = (0..count)
            .map(|_| {
                Ok(Piece {
                    id: BlobId(fields.array()?),
                    bytes: fields.u64()?,
                })
            })
            .collect::<Result<Vec<_>, FormatError>>()?;
        fields.end()?;
        Ok(Self { level, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_nodes_come_back_and_cut_ones_are_refused() {
        let piece = Piece {
            id: BlobId([3; 32]),
            bytes: 70_000,
        };
        let node = ChunkNode {
            level: 1,
            pieces: vec![piece; 4],
        };
        let bytes = node.encode();
        assert_eq!(ChunkNode::decode(&bytes).unwrap(), node);
        for cut in 0..bytes.len() {
            assert!(ChunkNode::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
