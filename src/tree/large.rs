//! Large values: a stream of bytes becomes chunks under a chunk tree, and back.
//!
//! Memory: one chunk of at most 1 MiB and one open node a level, whatever the value's length.

use std::io::Read;

use crate::codec::hash::StoreHash;
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource};
use crate::format::bytes::length_u32;
use crate::format::chunk::{
    CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, CHUNK_TARGET_BYTES, ChunkNode, Piece,
};
use crate::model::id::BlobId;
use crate::model::value::{LongClass, Spilled};

use super::old_chunks::OldChunks;
use super::{misfit, split};

/// Why a large value could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreLargeError {
    /// Its bytes could not be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// A chunk could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Stores the bytes of a large value and returns the reference that stands in its row.
pub fn store(
    class: LongClass,
    content: &mut dyn Read,
    hash: StoreHash,
    sink: &mut dyn BlobSink,
) -> Result<Spilled, StoreLargeError> {
    store_beside(class, content, hash, None, sink)
}

/// The same, beside the chunks of the value that was there before.
pub(super) fn store_beside(
    class: LongClass,
    content: &mut dyn Read,
    hash: StoreHash,
    mut old: Option<OldChunks<'_>>,
    sink: &mut dyn BlobSink,
) -> Result<Spilled, StoreLargeError> {
    let mut tree = ChunkTree {
        hash,
        levels: Vec::new(),
    };
    let mut buffer = Vec::with_capacity(CHUNK_MAX_BYTES as usize);
    let mut total = 0_u64;
    loop {
        let wanted = CHUNK_MAX_BYTES as usize - buffer.len();
        Read::take(&mut *content, wanted as u64).read_to_end(&mut buffer)?;
        if buffer.is_empty() {
            break;
        }
        let cut = first_cut(&buffer);
        let chunk = &buffer[..cut];
        let id = hash.blob_id(BlobKind::Chunk as u8, chunk);
        match &mut old {
            Some(old) => old.put(total, id, chunk, sink)?,
            None => drop(sink.put(BlobKind::Chunk, chunk)?),
        }
        tree.add(
            0,
            Piece {
                id,
                bytes: cut as u64,
            },
            sink,
        )?;
        total += cut as u64;
        buffer.drain(..cut);
    }
    let (root, level) = tree.finish(sink)?;
    Ok(Spilled {
        class,
        bytes: total,
        level,
        root,
    })
}

/// Length of the first chunk of `buffer`, which holds `CHUNK_MAX_BYTES` bytes or the value's end.
fn first_cut(buffer: &[u8]) -> usize {
    let mut chunker = fastcdc::v2020::FastCDC::new(
        buffer,
        CHUNK_MIN_BYTES as usize,
        CHUNK_TARGET_BYTES as usize,
        CHUNK_MAX_BYTES as usize,
    );
    chunker.next().map_or(buffer.len(), |chunk| chunk.length)
}

struct ChunkTree {
    hash: StoreHash,
    levels: Vec<Vec<Piece>>,
}

impl ChunkTree {
    fn add(
        &mut self,
        below: usize,
        piece: Piece,
        sink: &mut dyn BlobSink,
    ) -> Result<(), BlobError> {
        if self.levels.len() == below {
            self.levels.push(Vec::new());
        }
        self.levels[below].push(piece);
        let height = u8::try_from(below + 1).unwrap_or(u8::MAX);
        let count = length_u32(self.levels[below].len());
        if split::node_ends(self.hash, height, &piece.id.0, count) {
            self.close(below, sink)?;
        }
        Ok(())
    }

    fn close(&mut self, below: usize, sink: &mut dyn BlobSink) -> Result<(), BlobError> {
        let node = ChunkNode {
            level: u8::try_from(below + 1).unwrap_or(u8::MAX),
            pieces: std::mem::take(&mut self.levels[below]),
        };
        let id = sink.put(BlobKind::ChunkNode, &node.encode())?;
        let bytes = node.pieces.iter().map(|piece| piece.bytes).sum();
        self.add(below + 1, Piece { id, bytes }, sink)
    }

    fn finish(mut self, sink: &mut dyn BlobSink) -> Result<(BlobId, u8), BlobError> {
        let mut below = 0;
        loop {
            let is_top = below + 1 >= self.levels.len();
            match self.levels.get(below).map(Vec::as_slice) {
                Some([only]) if is_top => {
                    return Ok((only.id, u8::try_from(below).unwrap_or(u8::MAX)));
                }
                Some([]) => {}
                Some(_) => self.close(below, sink)?,
                // No bytes at all: the value is one empty chunk.
                None => return Ok((sink.put(BlobKind::Chunk, &[])?, 0)),
            }
            below += 1;
        }
    }
}

/// The kind of blob at a level of a chunk tree.
pub(crate) fn chunk_kind_at(level: u8) -> BlobKind {
    if level == 0 {
        BlobKind::Chunk
    } else {
        BlobKind::ChunkNode
    }
}

/// Visits the blobs of a large value in order: nodes before what is below them.
///
/// `enter` is asked before a node's children are read; `chunk` gets every chunk's bytes.
/// Levels, counts and lengths are checked on the way.
pub fn walk(
    source: &dyn BlobSource,
    value: &Spilled,
    enter: &mut dyn FnMut(BlobKind, &Piece) -> Result<bool, BlobError>,
    chunk: &mut dyn FnMut(&[u8]) -> Result<(), BlobError>,
) -> Result<(), BlobError> {
    // What is still to be visited, the next one last.
    let mut open = vec![(
        value.level,
        Piece {
            id: value.root,
            bytes: value.bytes,
        },
    )];
    while let Some((level, piece)) = open.pop() {
        let kind = chunk_kind_at(level);
        if !enter(kind, &piece)? {
            continue;
        }
        match read_piece(source, level, &piece)? {
            Opened::Chunk(bytes) => chunk(&bytes)?,
            Opened::Node(pieces) => open.extend(pieces),
        }
    }
    Ok(())
}

/// What is directly below a place of a chunk tree whose blob was read, in order, each with its level;
/// nothing below a chunk. Level and length must be what is said of it.
pub fn pieces_in(
    level: u8,
    piece: &Piece,
    canonical: Vec<u8>,
) -> Result<Vec<(u8, Piece)>, BlobError> {
    match open_piece(level, piece, canonical)? {
        Opened::Chunk(_) => Ok(Vec::new()),
        Opened::Node(mut pieces) => {
            pieces.reverse();
            Ok(pieces)
        }
    }
}

/// What stands at a place of a chunk tree.
pub(super) enum Opened {
    /// The bytes of a chunk.
    Chunk(Vec<u8>),
    /// What is below a node, with its level, the first piece last.
    Node(Vec<(u8, Piece)>),
}

/// Reads a chunk or chunk node; its level and length must be what is said of it.
pub(super) fn read_piece(
    source: &dyn BlobSource,
    level: u8,
    piece: &Piece,
) -> Result<Opened, BlobError> {
    open_piece(level, piece, source.get(chunk_kind_at(level), &piece.id)?)
}

fn open_piece(level: u8, piece: &Piece, bytes: Vec<u8>) -> Result<Opened, BlobError> {
    let kind = chunk_kind_at(level);
    let wrong = |what| misfit(kind, piece.id, FormatError::Invalid { what });
    let Some(below) = level.checked_sub(1) else {
        if bytes.len() as u64 != piece.bytes {
            return Err(wrong("the length of a chunk"));
        }
        return Ok(Opened::Chunk(bytes));
    };
    let node = ChunkNode::decode(&bytes).map_err(|cause| misfit(kind, piece.id, cause))?;
    let total = node
        .pieces
        .iter()
        .try_fold(0_u64, |sum, piece| sum.checked_add(piece.bytes));
    if node.level != level || total != Some(piece.bytes) {
        return Err(wrong("the level or length of a chunk node"));
    }
    let pieces = node.pieces.into_iter().rev();
    Ok(Opened::Node(pieces.map(|piece| (below, piece)).collect()))
}

/// Reads a large value as a stream.
pub struct LargeReader<'a> {
    source: &'a dyn BlobSource,
    open: Vec<(u8, Piece)>,
    chunk: Vec<u8>,
    at: usize,
    /// The blob error behind an I/O error, for callers that can tell it.
    pub failure: Option<BlobError>,
}

impl std::fmt::Debug for LargeReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeReader").finish_non_exhaustive()
    }
}

impl<'a> LargeReader<'a> {
    /// Begins to read a value.
    pub fn new(source: &'a dyn BlobSource, value: &Spilled) -> Self {
        let root = Piece {
            id: value.root,
            bytes: value.bytes,
        };
        Self {
            source,
            open: vec![(value.level, root)],
            chunk: Vec::new(),
            at: 0,
            failure: None,
        }
    }

    /// Loads the next chunk; false at the end.
    fn next_chunk(&mut self) -> Result<bool, BlobError> {
        while let Some((level, piece)) = self.open.pop() {
            match read_piece(self.source, level, &piece)? {
                Opened::Chunk(bytes) => {
                    (self.chunk, self.at) = (bytes, 0);
                    return Ok(true);
                }
                Opened::Node(pieces) => self.open.extend(pieces),
            }
        }
        Ok(false)
    }
}

impl Read for LargeReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.chunk.len() {
            match self.next_chunk() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => {
                    let text = error.to_string();
                    self.failure = Some(error);
                    return Err(std::io::Error::other(text));
                }
            }
        }
        let count = out.len().min(self.chunk.len() - self.at);
        out[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A read failure that a blob's damage caused.
pub fn blob_failure(reader: LargeReader<'_>, value: &Spilled, cause: std::io::Error) -> BlobError {
    reader.failure.unwrap_or_else(|| BlobError {
        why: BlobErrorKind::Unavailable,
        kind: chunk_kind_at(value.level),
        id: value.root,
        cause: Box::new(cause),
    })
}
