//! Packs made by hand: what no writer writes, and what none ever should.

use larder::backend::Backend;
use larder::codec::hash::{StoreHash, pack_id};
use larder::codec::zstd;
use larder::format::blob::{BlobKind, Encoding};
use larder::format::footer::{BlobEntry, Footer, FrameEntry};
use larder::format::name;
use larder::format::pack::{self, Item};
use larder::model::id::{BlobId, PackId};

/// One item, as it is to stand in its frame and in the footer.
#[derive(Clone)]
pub struct ForgedItem {
    pub id: BlobId,
    pub kind: BlobKind,
    pub encoding: Encoding,
    pub base: Option<[u8; 16]>,
    pub canonical_bytes: u32,
    pub encoded: Vec<u8>,
}

impl ForgedItem {
    /// A blob that is its own encoding.
    pub fn plain(kind: BlobKind, canonical: &[u8]) -> Self {
        Self {
            id: StoreHash::unkeyed().blob_id(kind as u8, canonical),
            kind,
            encoding: Encoding::Plain,
            base: None,
            canonical_bytes: canonical.len() as u32,
            encoded: canonical.to_vec(),
        }
    }
}

/// A pack whose footer can still be twisted.
pub struct ForgedPack {
    pub bytes: Vec<u8>,
    pub footer: Footer,
}

impl ForgedPack {
    /// One frame an item. `random` makes the name unique.
    pub fn of(random: u8, items: impl IntoIterator<Item = ForgedItem>) -> Self {
        let mut forged = Self {
            bytes: pack::encode_head([random; 16]).to_vec(),
            footer: Footer::default(),
        };
        for item in items {
            let mut plain = Vec::new();
            pack::append_item(
                Item {
                    kind: item.kind,
                    encoding: item.encoding,
                    bases: item.base.as_slice(),
                    canonical_bytes: item.canonical_bytes,
                    encoded: &item.encoded,
                },
                &mut plain,
            );
            let entry = BlobEntry {
                id: item.id,
                kind: item.kind,
                encoding: item.encoding,
                depth: u8::from(item.base.is_some()),
                bases: item.base.into_iter().collect(),
                canonical_bytes: item.canonical_bytes,
                encoded_bytes: item.encoded.len() as u32,
                frame: 0,
                offset: 0,
            };
            forged.frame(&plain, entry);
        }
        forged
    }

    /// Appends a frame of one item.
    pub fn frame(&mut self, plain: &[u8], entry: BlobEntry) {
        let stored = zstd::compress(plain, 3).unwrap();
        self.footer.blobs.push(BlobEntry {
            frame: self.footer.frames.len() as u32,
            ..entry
        });
        self.footer.frames.push(FrameEntry {
            offset: self.bytes.len() as u64,
            stored_bytes: stored.len() as u32,
            plain_bytes: plain.len() as u32,
        });
        self.bytes.extend_from_slice(&stored);
    }

    /// Publishes it under its right name.
    pub fn put(mut self, backend: &dyn Backend) -> PackId {
        let footer = self.footer.encode(StoreHash::unkeyed()).unwrap();
        self.bytes.extend_from_slice(&footer);
        put_bytes(backend, &self.bytes)
    }
}

/// Publishes any bytes as a pack, under their right name.
pub fn put_bytes(backend: &dyn Backend, bytes: &[u8]) -> PackId {
    let pack = pack_id(bytes);
    backend.put_new(&name::pack(&pack), bytes).unwrap();
    pack
}
