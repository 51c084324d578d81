//! Deltas made by hand, in packs that are well formed under their right names.

use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource, Encoding};
use larder::format::footer::{BlobEntry, base_prefix};
use larder::format::leaf::{Leaf, LeafBuilder};
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::Value;
use larder::ops::open::Store;
use larder::testkit::fault_backend::FaultBackend;

use crate::forged_pack::ForgedPack;
use crate::sandbox::Sandbox;

/// Reads until a blob is given up: all deltas of a chain, then 512 copies, these once more with the
/// stored footers, and all that again after the packs were listed anew.
pub const READS_MAX: usize = 2 * (128 + 2 * 512) + 200;

/// A blob as it is to lie in a pack, its id included.
#[derive(Clone)]
pub struct Lie {
    pub id: BlobId,
    pub kind: BlobKind,
    pub encoding: Encoding,
    pub bases: Vec<BlobId>,
    pub canonical_bytes: u64,
    pub encoded: Vec<u8>,
}

pub fn id_of(kind: BlobKind, canonical: &[u8]) -> BlobId {
    StoreHash::unkeyed().blob_id(kind as u8, canonical)
}

pub fn whole(kind: BlobKind, canonical: &[u8]) -> Lie {
    Lie {
        id: id_of(kind, canonical),
        kind,
        encoding: Encoding::Plain,
        bases: Vec::new(),
        canonical_bytes: canonical.len() as u64,
        encoded: canonical.to_vec(),
    }
}

/// A delta that says to be `result`.
pub fn delta_of(kind: BlobKind, result: &[u8], bases: &[BlobId], encoded: Vec<u8>) -> Lie {
    Lie {
        id: id_of(kind, result),
        kind,
        encoding: Encoding::Delta,
        bases: bases.to_vec(),
        canonical_bytes: result.len() as u64,
        encoded,
    }
}

pub struct Scene {
    _sandbox: Sandbox,
    pub backend: Arc<MemoryBackend>,
    calls: FaultBackend,
    store: Store,
    packs: u8,
}

impl Scene {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let calls = FaultBackend::new(backend.clone());
        let store = sandbox.create(Arc::new(calls.clone()));
        Self {
            _sandbox: sandbox,
            backend,
            calls,
            store,
            packs: 0,
        }
    }

    /// One pack, one frame a blob.
    pub fn put(&mut self, lies: &[Lie]) {
        self.packs += 1;
        let mut forged = ForgedPack::of(self.packs, []);
        for lie in lies {
            let bases: Vec<_> = lie.bases.iter().map(base_prefix).collect();
            // As `pack::append_item`, which makes no item that is wrong.
            let mut plain = vec![lie.kind as u8, lie.encoding as u8];
            if lie.encoding == Encoding::Delta {
                plain.push(bases.len() as u8);
                plain.extend(bases.as_flattened());
            }
            plain.extend((lie.canonical_bytes as u32).to_le_bytes());
            plain.extend((lie.encoded.len() as u32).to_le_bytes());
            plain.extend(&lie.encoded);
            let entry = BlobEntry {
                id: lie.id,
                kind: lie.kind,
                encoding: lie.encoding,
                depth: u8::from(lie.encoding == Encoding::Delta),
                bases,
                canonical_bytes: lie.canonical_bytes as u32,
                encoded_bytes: lie.encoded.len() as u32,
                frame: 0,
                offset: 0,
            };
            forged.frame(&plain, entry);
        }
        forged.put(&*self.backend);
    }

    /// Reads a blob with a new reader, in no more than so many reads of objects.
    #[track_caller]
    pub fn read(&self, lie: &Lie, reads_max: usize) -> Result<Vec<u8>, BlobError> {
        let reader = self.store.reader().unwrap();
        self.calls.reset();
        let read = reader.get(lie.kind, &lie.id);
        assert!(
            self.calls.count() <= reads_max,
            "{} reads",
            self.calls.count()
        );
        read
    }

    /// It cannot be had, and everybody knows: it is stored again.
    #[track_caller]
    pub fn refused(&self, lie: &Lie, what: &str) -> BlobError {
        let Err(error) = self.read(lie, READS_MAX) else {
            panic!("{what}: it was read");
        };
        assert_ne!(error.why, BlobErrorKind::Unavailable, "{what}: {error}");
        error
    }

    /// Whether a writer takes this blob for known.
    pub fn is_known(&self, kind: BlobKind, canonical: &[u8]) -> bool {
        let mut writer = self.store.writer(0).unwrap();
        writer.put(kind, canonical).unwrap();
        let bytes = writer.flush().unwrap();
        writer.abandon().unwrap();
        bytes == 0
    }
}

/// A leaf of one column.
pub fn leaf(numbers: impl IntoIterator<Item = i64>) -> Leaf {
    let mut builder = LeafBuilder::new(1);
    for number in numbers {
        let values = [Value::Integer(number)];
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: None,
            values: &values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    Leaf::parse(canonical).unwrap()
}
