//! The blobs that a snapshot reaches: where its trees begin, and what is directly below a place.
//!
//! Who walks decides what is read and what is passed over. Memory: the children of one blob a level,
//! if what is below a place is walked before what stands beside it.

use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind};
use crate::format::chunk::Piece;
use crate::format::leaf::Leaf;
use crate::format::manifest::Entity;
use crate::model::id::BlobId;
use crate::ops::stored::root_of;
use crate::tree::cursor::Place;
use crate::tree::large;

/// A place to go to.
#[derive(Debug, Clone)]
pub enum Step {
    /// A snapshot's schema.
    Schema(BlobId),
    /// In a record tree.
    Records(Place),
    /// In the chunk tree of a large value: its level there, and the piece.
    Value(u8, Piece),
}

impl Step {
    /// Where the tree of a table begins; `None` without records.
    pub fn root(entity: &Entity) -> Option<Self> {
        root_of(entity).map(|root| Self::Records(Place::root(&root)))
    }

    /// The blob that lies there.
    pub fn blob(&self) -> (BlobKind, BlobId) {
        match self {
            Self::Schema(id) => (BlobKind::Schema, *id),
            Self::Records(place) => (place.kind(), place.id),
            Self::Value(level, piece) => (large::chunk_kind_at(*level), piece.id),
        }
    }

    /// True if something is below it, which only its blob tells.
    pub fn leads_on(&self) -> bool {
        match self {
            Self::Schema(_) => false,
            Self::Records(place) => place.level > 0 || place.has_refs,
            Self::Value(level, _) => *level > 0,
        }
    }

    /// What is directly below it, in order: children of a node, large values of a leaf, pieces of a
    /// chunk node. `canonical` is its blob, whose id has been checked; what is said of the place above
    /// must hold of it.
    pub fn below(&self, canonical: Vec<u8>) -> Result<Vec<Self>, BlobError> {
        match self {
            Self::Schema(_) => Ok(Vec::new()),
            Self::Value(level, piece) => {
                let pieces = large::pieces_in(*level, piece, canonical)?.into_iter();
                Ok(pieces.map(|(level, p)| Self::Value(level, p)).collect())
            }
            Self::Records(place) if place.level > 0 => {
                let children = place.children_in(&canonical)?.into_iter();
                let child = |child| {
                    // Keys may be long, and are not needed here.
                    Self::Records(Place {
                        span: None,
                        ..child
                    })
                };
                Ok(children.map(child).collect())
            }
            Self::Records(place) if place.has_refs => {
                let (kind, id) = self.blob();
                let wrong = |cause: FormatError| BlobError {
                    why: BlobErrorKind::Damaged,
                    kind,
                    id,
                    cause: Box::new(cause),
                };
                let leaf = Leaf::parse(canonical).map_err(wrong)?;
                let value = |value: crate::model::value::Spilled| {
                    let (id, bytes) = (value.root, value.bytes);
                    Self::Value(value.level, Piece { id, bytes })
                };
                Ok(leaf.spilled().map(value).collect())
            }
            Self::Records(_) => Ok(Vec::new()),
        }
    }
}
