//! Where a blob can be had from, cheapest truth first: another copy, parity, another store, a database.
//! Whatever it comes from, its id proves it.

use super::outcome::Way;
use crate::codec::hash::StoreHash;
use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource};
use crate::model::id::BlobId;
use crate::ops::open::Store;
use crate::store::gc::View;
use crate::store::heal::Salvage;
use crate::store::{ScratchBlobs, StoreError, StoreReader};

/// All places to look in.
#[derive(Debug)]
pub(super) struct Search {
    salvage: Salvage,
    /// Other stores, with where they are.
    stores: Vec<(String, StoreReader)>,
    /// What databases gave, with their paths.
    taken: Vec<(String, ScratchBlobs)>,
}

impl Search {
    /// In these stores, after what `salvage` has.
    pub fn new(salvage: Salvage, stores: &[Store]) -> Result<Self, Error> {
        let open = |store: &Store| Ok::<_, Error>((store.location(), store.reader()?));
        Ok(Self {
            salvage,
            stores: stores.iter().map(open).collect::<Result<_, _>>()?,
            taken: Vec::new(),
        })
    }

    /// A blob, and where it was had from; `None` if it is nowhere.
    pub fn find(&self, kind: BlobKind, id: &BlobId) -> Result<Option<(Vec<u8>, Way)>, Error> {
        match self.look(kind, id) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.why == BlobErrorKind::Unavailable => {
                Err(StoreError::from(error).into())
            }
            Err(_) => Ok(None),
        }
    }

    /// The error of the first place is told: it says what is wrong here.
    fn look(&self, kind: BlobKind, id: &BlobId) -> Result<(Vec<u8>, Way), BlobError> {
        let first = match self.salvage.plain().get(kind, id) {
            Ok(canonical) => return Ok((canonical, Way::Copy)),
            Err(error) if error.why == BlobErrorKind::Unavailable => return Err(error),
            Err(error) => error,
        };
        if let Some(rebuilt) = self.salvage.rebuilt()
            && let Some(canonical) = had(rebuilt.get(kind, id))?
        {
            return Ok((canonical, Way::Parity));
        }
        for (place, store) in &self.stores {
            if let Some(canonical) = had(store.get(kind, id))? {
                return Ok((canonical, Way::Store(place.clone())));
            }
        }
        for (path, taken) in &self.taken {
            if let Some(canonical) = had(taken.get(kind, id))? {
                return Ok((canonical, Way::Source(path.clone())));
            }
        }
        Err(first)
    }

    /// Begins to take in what a database has. Blobs that `view` lacks are kept.
    pub fn take_from<'a>(&self, view: &'a View) -> Taking<'a> {
        Taking {
            blobs: ScratchBlobs::new(Vec::new()),
            hash: self.salvage.plain().hash(),
            view,
            taken: 0,
        }
    }

    /// Looks from now on in what was taken from a database, too.
    pub fn add(&mut self, path: &str, blobs: ScratchBlobs) {
        self.taken.push((path.to_owned(), blobs));
    }
}

/// Damage elsewhere is no answer; that a place could not be looked at is an error.
fn had(read: Result<Vec<u8>, BlobError>) -> Result<Option<Vec<u8>>, BlobError> {
    match read {
        Ok(canonical) => Ok(Some(canonical)),
        Err(error) if error.why == BlobErrorKind::Unavailable => Err(error),
        Err(_) => Ok(None),
    }
}

impl BlobSource for Search {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.look(kind, id).map(|(canonical, _)| canonical)
    }
}

/// A sink that keeps of a database's trees what is missing.
pub(super) struct Taking<'a> {
    /// Those blobs.
    pub blobs: ScratchBlobs,
    /// How ids are made.
    pub hash: StoreHash,
    view: &'a View,
    /// How often one was kept.
    pub taken: u64,
}

impl BlobSink for Taking<'_> {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = self.hash.blob_id(kind as u8, canonical);
        let lacks = self.view.lacks(kind, &id).map_err(|error| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id,
            cause: Box::new(error),
        })?;
        if lacks {
            // Chunks, too.
            self.blobs.will_read_chunks(true);
            self.blobs.put(kind, canonical)?;
            self.taken += 1;
        }
        Ok(id)
    }
}
