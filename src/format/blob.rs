//! §4 Blobs: the unit of deduplication, and the two one-method doors through which trees reach them.

use super::FormatError;
use super::leaf::output::Output;
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
    /// The blob at fault: the one that was asked for, or a base that it stands on.
    pub id: BlobId,
    /// What was found.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Gives blobs by id.
pub trait BlobSource {
    /// The canonical form of the blob; its id has been checked.
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError>;

    /// Says which blobs will be asked for soon, in this order. What was said before does not count any more.
    fn soon(&self, kind: BlobKind, ids: &[BlobId]) {
        let _ = (kind, ids);
    }
}

/// Takes blobs.
pub trait BlobSink {
    /// Keeps a blob, given in canonical form, unless it is known already. Returns its id.
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError>;

    /// True if the blob need not be put: a usable copy of it is known. A sink that cannot tell says no.
    fn has(&mut self, kind: BlobKind, id: &BlobId) -> Result<bool, BlobError> {
        let _ = (kind, id);
        Ok(false)
    }

    /// Keeps a blob that the parent snapshot has at the same place, and so may be known unasked.
    fn keep(&mut self, kind: BlobKind, id: &BlobId, canonical: &[u8]) -> Result<(), BlobError> {
        let _ = id;
        self.put(kind, canonical).map(|_| ())
    }

    /// Keeps a blob that stands in the place of `bases`, blobs of the parent snapshot.
    ///
    /// `patch` is asked for only if a delta would do; it gives none if it has no good one.
    fn replace(
        &mut self,
        kind: BlobKind,
        canonical: &[u8],
        bases: &[BlobId],
        patch: &mut dyn FnMut() -> Result<Option<Patch>, BlobError>,
    ) -> Result<Replaced, BlobError> {
        let _ = (bases, patch);
        let id = self.put(kind, canonical)?;
        Ok(Replaced {
            id,
            as_delta: false,
        })
    }

    /// Says whether the chunks that follow will be read again: those of keys are, to find their order.
    /// Only a sink that keeps no others cares.
    fn will_read_chunks(&mut self, yes: bool) {
        let _ = yes;
    }
}

/// A blob that stands in the place of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The blob.
    pub id: BlobId,
    /// It is kept as a delta on them, and was not before.
    pub as_delta: bool,
}

/// A delta, and what it was made against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Canonical forms of the bases.
    pub bases: Vec<Vec<u8>>,
    /// The delta, §4.3.
    pub delta: Vec<u8>,
}

/// How a blob lies in a frame; §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The canonical form as it is.
    Plain = 0,
    /// A leaf, column by column; §8.2.
    Columns = 1,
    /// Against a base; §4.3.
    Delta = 2,
}

impl Encoding {
    /// The encoding of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Plain, Self::Columns, Self::Delta]
            .into_iter()
            .find(|e| *e as u8 == number)
    }
}

/// A blob as it will lie in a frame.
#[derive(Debug)]
pub struct Encoded {
    /// How.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where content of another kind begins in them: hints for compression, rising.
    pub seams: Vec<usize>,
}

/// Encodes a blob whole, in the encoding that suits its kind.
pub fn encode(kind: BlobKind, canonical: &[u8]) -> Result<Encoded, FormatError> {
    if kind == BlobKind::Leaf {
        let leaf = super::leaf::Leaf::parse(canonical.to_vec())?;
        let Output { bytes, seams } = super::leaf::columns::encode(&leaf);
        let encoding = Encoding::Columns;
        return Ok(Encoded {
            encoding,
            bytes,
            seams,
        });
    }
    Ok(Encoded {
        encoding: Encoding::Plain,
        bytes: canonical.to_vec(),
        seams: Vec::new(),
    })
}

/// Decodes a whole blob to its canonical form, which must have `canonical_bytes` bytes.
///
/// The caller checks the id.
pub fn decode(
    encoding: Encoding,
    encoded: &[u8],
    canonical_bytes: u64,
) -> Result<Vec<u8>, FormatError> {
    super::bytes::check_limit("a blob", canonical_bytes, super::limits::BLOB_BYTES_MAX)?;
    let length = usize::try_from(canonical_bytes).map_err(|_| FormatError::Invalid {
        what: "the length of a blob",
    })?;
    let canonical = match encoding {
        Encoding::Plain => encoded.to_vec(),
        Encoding::Columns => super::leaf::columns::decode(encoded, length)?,
        Encoding::Delta => {
            return Err(FormatError::Invalid {
                what: "a delta without its base",
            });
        }
    };
    if canonical.len() == length {
        Ok(canonical)
    } else {
        Err(FormatError::Invalid {
            what: "the length of a blob",
        })
    }
}
