//! New packs for what was healed. W4, and G2 for what is put by no writer: every blob whole, every pack
//! under a new name with its parity, and durable before anything else relies on it.

use crate::env::random_16;
use crate::format::blob::BlobKind;
use crate::format::name;
use crate::format::redundancy::Redundancy;
use crate::model::id::BlobId;
use crate::store::error::StoreError;
use crate::store::pack_builder::PackBuilder;
use crate::store::{Store, parity, redundancy};

/// Puts healed blobs.
#[derive(Debug)]
pub struct HealedPacks<'s> {
    store: &'s Store,
    builder: PackBuilder,
    redundancy: Redundancy,
    packs: u64,
    bytes: u64,
}

impl Store {
    /// Begins to put healed blobs. Nothing is written yet.
    pub fn healed_packs(&self) -> Result<HealedPacks<'_>, StoreError> {
        Ok(HealedPacks {
            store: self,
            builder: PackBuilder::new(self.hash, self.compression)?,
            redundancy: redundancy::read_or_default(&*self.backend, self.hash)?,
            packs: 0,
            bytes: 0,
        })
    }
}

impl HealedPacks<'_> {
    /// Puts a blob whose canonical form has this id. One is put once.
    pub fn put(&mut self, kind: BlobKind, id: BlobId, canonical: &[u8]) -> Result<(), StoreError> {
        self.builder.begin(|| random_16(&*self.store.env));
        self.builder.push(kind, id, canonical)?;
        if self.builder.is_full() {
            self.publish()?;
        }
        Ok(())
    }

    /// Makes all that was put durable. New packs so far, and their bytes without parity.
    pub fn settle(&mut self) -> Result<(u64, u64), StoreError> {
        self.publish()?;
        self.store.backend.barrier()?;
        Ok((self.packs, self.bytes))
    }

    fn publish(&mut self) -> Result<(), StoreError> {
        let Some(pack) = self.builder.finish()? else {
            return Ok(());
        };
        let backend = &*self.store.backend;
        backend.put_new(&name::pack(&pack.id), &pack.bytes)?;
        parity::put_beside_pack(backend, &self.redundancy, &pack.id, &pack.bytes)?;
        self.packs += 1;
        self.bytes += pack.bytes.len() as u64;
        Ok(())
    }
}
