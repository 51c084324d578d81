//! The chunks of a large value as the parent snapshot has it, beside those of the new one: which of
//! them a new chunk may be a patch of. A bad guess costs bytes and nothing else.

use std::collections::VecDeque;

use super::large::{Opened, read_piece};
use super::parent::readable;
use crate::codec::zstd;
use crate::format::blob::{BlobError, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::chunk::Piece;
use crate::format::delta;
use crate::model::id::BlobId;
use crate::model::value::Spilled;

/// How many chunks ahead an equal one is looked for.
const AHEAD: usize = 16;
/// zstd level of patches, and of what they are compared with.
const LEVEL: i32 = 3;

/// A chunk of the old value.
#[derive(Debug, Clone, Copy)]
struct OldChunk {
    /// Where it begins in the old value.
    at: u64,
    piece: Piece,
}

/// The chunks of the old value that the new one has not passed.
pub(super) struct OldChunks<'a> {
    source: &'a dyn BlobSource,
    /// Places of the chunk tree still to be opened, the next one last.
    open: Vec<(u8, Piece)>,
    chunks: VecDeque<OldChunk>,
    /// Bytes of the old value that were opened.
    opened: u64,
    /// How much farther back a place in the new value was in the old one, modulo 2^64.
    shift: u64,
}

impl<'a> OldChunks<'a> {
    /// Begins at the first chunk.
    pub fn new(source: &'a dyn BlobSource, value: &Spilled) -> Self {
        let root = Piece {
            id: value.root,
            bytes: value.bytes,
        };
        Self {
            source,
            open: vec![(value.level, root)],
            chunks: VecDeque::new(),
            opened: 0,
            shift: 0,
        }
    }

    /// Makes sure that as many chunks are at hand as are looked through.
    fn fill(&mut self) -> Result<(), BlobError> {
        while self.chunks.len() < AHEAD
            && let Some((level, piece)) = self.open.pop()
        {
            if level == 0 {
                let at = self.opened;
                self.opened = at.saturating_add(piece.bytes);
                self.chunks.push_back(OldChunk { at, piece });
                continue;
            }
            match readable(read_piece(self.source, level, &piece))? {
                Some(Opened::Node(pieces)) => self.open.extend(pieces),
                // Damage: what is behind it has no place any more.
                _ => self.open.clear(),
            }
        }
        Ok(())
    }

    /// Puts the chunk that begins at `at` of the new value.
    pub fn put(
        &mut self,
        at: u64,
        id: BlobId,
        chunk: &[u8],
        sink: &mut dyn BlobSink,
    ) -> Result<(), BlobError> {
        self.fill()?;
        if let Some(same) = self.chunks.iter().position(|old| old.piece.id == id) {
            self.shift = at.wrapping_sub(self.chunks[same].at);
            self.chunks.drain(..=same);
            return sink.keep(BlobKind::Chunk, &id, chunk);
        }
        let place = at.wrapping_sub(self.shift);
        while self
            .chunks
            .front()
            .is_some_and(|old| old.at.saturating_add(old.piece.bytes) <= place)
        {
            self.chunks.pop_front();
        }
        let Some(old) = self.chunks.front().copied() else {
            return sink.put(BlobKind::Chunk, chunk).map(|_| ());
        };
        let base = old.piece.id;
        let mut patch = || {
            let Some(base) = readable(self.source.get(BlobKind::Chunk, &base))? else {
                return Ok(None);
            };
            Ok(patch_of(base, chunk))
        };
        sink.replace(BlobKind::Chunk, chunk, &[base], &mut patch)
            .map(drop)
    }
}

/// A patch, if it is clearly shorter than the chunk compressed by itself.
fn patch_of(base: Vec<u8>, chunk: &[u8]) -> Option<Patch> {
    let delta = delta::encode_bytes(&base, chunk, LEVEL).ok()?;
    let alone = zstd::compress(chunk, LEVEL).ok()?;
    (delta.len() < alone.len() / 4 * 3).then(|| Patch {
        bases: vec![base],
        delta,
    })
}
