//! Blobs of a state that no store holds, for as long as they are needed: the trees of a database
//! that is compared with a snapshot. What a store has already is read from there, what it lacks
//! lies in a temporary database, so that memory does not grow with either.
//!
//! Chunks of large values are not kept, but for those of keys: their ids say whether two values are
//! equal.

use super::error::StoreError;
use super::reader::StoreReader;
use crate::codec::hash::StoreHash;
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource};
use crate::model::id::BlobId;
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, SqliteError};

/// Blobs of stores, and others beside them.
#[derive(Debug)]
pub struct ScratchBlobs {
    readers: Vec<StoreReader>,
    hash: StoreHash,
    /// Made with the first blob that no store has.
    db: Option<Connection>,
    /// Chunks that are put are of a key.
    chunks_matter: bool,
}

impl ScratchBlobs {
    /// Beside these stores; there may be none.
    pub fn new(readers: Vec<StoreReader>) -> Self {
        Self {
            hash: readers
                .first()
                .map_or_else(StoreHash::unkeyed, StoreReader::hash),
            readers,
            db: None,
            chunks_matter: false,
        }
    }

    /// How ids are made.
    pub fn hash(&self) -> StoreHash {
        self.hash
    }

    /// Blobs of stores read so far.
    pub fn blobs_read(&self) -> u64 {
        self.readers.iter().map(StoreReader::blobs_read).sum()
    }

    /// The store that has a usable copy.
    fn reader_of(&self, kind: BlobKind, id: &BlobId) -> Result<Option<&StoreReader>, BlobError> {
        for reader in &self.readers {
            let usable = reader.usable(kind, id);
            if usable.map_err(|error| unavailable(kind, id, error))? {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }

    fn keep_here(&mut self, id: &BlobId, canonical: &[u8]) -> Result<(), SqliteError> {
        let db = match &mut self.db {
            Some(db) => db,
            none => {
                let db = Connection::open_cache(None)?;
                // Never committed: the database is gone with the connection.
                db.execute("BEGIN")?;
                db.execute("CREATE TABLE blobs(id BLOB PRIMARY KEY, canonical BLOB NOT NULL)")?;
                none.insert(db)
            }
        };
        db.for_each_cached(
            "INSERT INTO blobs VALUES(?1, ?2) ON CONFLICT DO NOTHING",
            &[ValueRef::Blob(&id.0), ValueRef::Blob(canonical)],
            |_| Ok(()),
        )
    }

    fn kept_here(&self, id: &BlobId) -> Result<Option<Vec<u8>>, SqliteError> {
        let mut found = None;
        if let Some(db) = &self.db {
            db.for_each_cached(
                "SELECT canonical FROM blobs WHERE id = ?1",
                &[ValueRef::Blob(&id.0)],
                |row| {
                    found = row.bytes(0)?.map(<[u8]>::to_vec);
                    Ok(())
                },
            )?;
        }
        Ok(found)
    }
}

fn unavailable(kind: BlobKind, id: &BlobId, error: StoreError) -> BlobError {
    BlobError {
        why: BlobErrorKind::Unavailable,
        kind,
        id: *id,
        cause: Box::new(error),
    }
}

impl BlobSink for ScratchBlobs {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = self.hash.blob_id(kind as u8, canonical);
        let is_chunk = matches!(kind, BlobKind::Chunk | BlobKind::ChunkNode);
        if (!is_chunk || self.chunks_matter) && self.reader_of(kind, &id)?.is_none() {
            self.keep_here(&id, canonical)
                .map_err(|cause| unavailable(kind, &id, StoreError::Scratch(cause)))?;
        }
        Ok(id)
    }

    fn will_read_chunks(&mut self, yes: bool) {
        self.chunks_matter = yes;
    }
}

impl BlobSource for ScratchBlobs {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let here = self.kept_here(id);
        let here = here.map_err(|cause| unavailable(kind, id, StoreError::Scratch(cause)))?;
        if let Some(canonical) = here {
            return Ok(canonical);
        }
        match self.reader_of(kind, id)?.or(self.readers.first()) {
            // Where no store has it, this says so.
            Some(reader) => reader.get(kind, id),
            None => Err(BlobError {
                why: BlobErrorKind::Missing,
                kind,
                id: *id,
                cause: Box::new(FormatError::Invalid {
                    what: "a blob that was never put",
                }),
            }),
        }
    }
}
