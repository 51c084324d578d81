//! A store, one database, and what each backup put into packs: what tests of deltas look at.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobKind, Encoding};
use larder::format::footer::{BlobEntry, Footer, TRAILER_BYTES, Trailer, base_prefix};
use larder::format::name;
use larder::model::id::{BlobId, PackId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::stored::{read_schema, root_of};
use larder::store::Usage;
use larder::tree::TreeShape;
use larder::tree::cursor::{Cursor, Place};

use crate::sandbox::{Sandbox, names};
use crate::workshop::sql;

/// A store of one database.
pub struct Shelf {
    pub sandbox: Sandbox,
    pub backend: Arc<MemoryBackend>,
    pub store: Store,
    pub database: PathBuf,
    seen: HashSet<String>,
}

/// What one backup added.
pub struct Added {
    pub id: SnapshotId,
    /// Bytes of its packs.
    pub pack_bytes: u64,
    /// Blobs in the order in which they lie in its packs, without those of a database's pages.
    pub blobs: Vec<(PackId, BlobEntry)>,
}

impl Added {
    pub fn of_kind(&self, kind: BlobKind) -> Vec<&BlobEntry> {
        let blobs = self.blobs.iter().map(|(_, blob)| blob);
        blobs.filter(|blob| blob.kind == kind).collect()
    }

    /// The only blob of this kind.
    #[track_caller]
    pub fn only(&self, kind: BlobKind) -> &BlobEntry {
        let blobs = self.of_kind(kind);
        assert_eq!(blobs.len(), 1, "{} blobs: {blobs:?}", kind.name());
        blobs[0]
    }

    /// Encoded and canonical bytes of all blobs of a kind.
    pub fn bytes(&self, kind: BlobKind) -> (u64, u64) {
        let blobs = self.of_kind(kind);
        let sum = |of: fn(&BlobEntry) -> u32| blobs.iter().map(|b| u64::from(of(b))).sum();
        (sum(|b| b.encoded_bytes), sum(|b| b.canonical_bytes))
    }

    pub fn has_delta(&self, kind: BlobKind) -> bool {
        let blobs = self.of_kind(kind);
        blobs.iter().any(|blob| blob.encoding == Encoding::Delta)
    }

    pub fn all_are_deltas(&self, kind: BlobKind) -> bool {
        let blobs = self.of_kind(kind);
        !blobs.is_empty() && blobs.iter().all(|blob| blob.encoding == Encoding::Delta)
    }
}

impl Shelf {
    pub fn new(text: &str) -> Self {
        Self::with_cache(text, None)
    }

    /// A store whose cache of footers lies in a folder of the sandbox.
    pub fn with_cache(text: &str, cache: Option<&str>) -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let store = sandbox.create(backend.clone());
        let database = sandbox.path("a.db");
        sql(&database, text);
        let mut shelf = Self {
            sandbox,
            backend,
            store,
            database,
            seen: HashSet::new(),
        };
        if let Some(cache) = cache {
            shelf.reopen(cache);
        }
        shelf
    }

    /// Opens the store again, as the next run would, with this folder for the cache.
    pub fn reopen(&mut self, cache: &str) {
        let dir = self.sandbox.path(cache);
        std::fs::create_dir_all(&dir).unwrap();
        let usage = Usage {
            cache_dir: Some(dir),
            compression: 3,
            rules: larder::store::rules::Rules::default(),
        };
        self.store = Store::open(self.backend.clone(), self.sandbox.env.clone(), usage).unwrap();
    }

    pub fn sql(&self, text: &str) {
        sql(&self.database, text);
    }

    pub fn backup(&mut self) -> Added {
        self.seen = names(&*self.backend, name::PACKS).into_iter().collect();
        let id = self.sandbox.backup(&mut self.store, &self.database);
        self.added(id)
    }

    /// What came into the store since [`Self::backup`] began.
    fn added(&self, id: SnapshotId) -> Added {
        let of_pages = blobs_of_pages(&self.store, &id);
        let mut added = Added {
            id,
            pack_bytes: 0,
            blobs: Vec::new(),
        };
        for name in names(&*self.backend, name::PACKS) {
            if self.seen.contains(&name) {
                continue;
            }
            let bytes = self.backend.get(&name, u64::MAX).unwrap();
            added.pack_bytes += bytes.len() as u64;
            let pack = name::parse_pack(&name).unwrap();
            let blobs = footer_of(&bytes).blobs.into_iter();
            let blobs = blobs.filter(|blob| !of_pages.contains(&blob.id));
            added.blobs.extend(blobs.map(|blob| (pack, blob)));
        }
        added
    }

    /// SQL, then a backup.
    pub fn step(&mut self, text: &str) -> Added {
        self.sql(text);
        self.backup()
    }

    /// The restored database equals the one that was backed up last.
    #[track_caller]
    pub fn assert_comes_back(&mut self, id: &SnapshotId) {
        let restored = self.sandbox.restore(&mut self.store, id);
        let path = self.sandbox.path("compared.db");
        std::fs::write(&path, restored).unwrap();
        assert_same_rows(&self.database, &path);
        std::fs::remove_file(&path).unwrap();
    }
}

/// The leaves and nodes of the pages that a snapshot holds beside its records.
fn blobs_of_pages(store: &Store, id: &SnapshotId) -> HashSet<BlobId> {
    let manifest = store.manifest(id).unwrap().unwrap();
    let reader = store.reader().unwrap();
    let root = manifest.pages.as_ref().and_then(root_of);
    let mut open: Vec<Place> = root.iter().map(Place::root).collect();
    let mut found = HashSet::new();
    while let Some(place) = open.pop() {
        found.insert(place.id);
        if place.level > 0 {
            open.extend(place.children(&reader).unwrap());
        }
    }
    found
}

/// A pack's footer.
pub fn footer_of(pack: &[u8]) -> Footer {
    let at = pack.len() - TRAILER_BYTES;
    let trailer = Trailer::decode(&pack[at..]).unwrap();
    let stored = &pack[at - trailer.stored_bytes as usize..at];
    Footer::decode(StoreHash::unkeyed(), &trailer, stored, pack.len() as u64).unwrap()
}

/// All deltas in the packs of a store.
pub fn deltas_in(backend: &dyn Backend) -> Vec<BlobEntry> {
    let names = names(backend, name::PACKS).into_iter();
    let packs = names.map(|name| backend.get(&name, u64::MAX).unwrap());
    let blobs = packs.flat_map(|pack| footer_of(&pack).blobs);
    blobs
        .filter(|blob| blob.encoding == Encoding::Delta)
        .collect()
}

/// The rowids with which the leaves of a table end in a snapshot.
pub fn leaf_ends(store: &Store, id: &SnapshotId, table: &str) -> Vec<i64> {
    let manifest = store.manifest(id).unwrap().unwrap();
    let reader = store.reader().unwrap();
    let schema = read_schema(&reader, &manifest).unwrap();
    let shape = TreeShape::of(schema.table(table).unwrap(), schema.encoding);
    let root = root_of(manifest.entity(table).unwrap());
    let mut cursor = Cursor::new(&reader, &shape, root.as_ref());
    let mut ends = Vec::new();
    while let Some(leaf) = cursor.next_leaf().unwrap() {
        ends.extend(leaf.rowid(leaf.leaf.rows() - 1));
    }
    ends
}

/// True if the delta stands on this blob.
pub fn stands_on(blob: &BlobEntry, base: &BlobId) -> bool {
    blob.bases.contains(&base_prefix(base))
}

/// Both databases have the same tables, and in each the same values in the same order.
#[track_caller]
pub fn assert_same_rows(a: &std::path::Path, b: &std::path::Path) {
    let (a, b) = [a, b]
        .map(|path| rusqlite::Connection::open(path).unwrap())
        .into();
    let tables = |db: &rusqlite::Connection| -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'
                   AND name NOT LIKE 'sqlite_stat%' ORDER BY name";
        let mut found = db.prepare(sql).unwrap();
        let names = found.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    assert_eq!(tables(&a), tables(&b));
    for table in tables(&a) {
        let sql = format!("SELECT * FROM \"{table}\"");
        let (mut left, mut right) = (a.prepare(&sql).unwrap(), b.prepare(&sql).unwrap());
        let width = left.column_count();
        assert_eq!(width, right.column_count(), "{table}");
        let (mut left, mut right) = (left.query([]).unwrap(), right.query([]).unwrap());
        let mut at = 0;
        loop {
            let (a, b) = (left.next().unwrap(), right.next().unwrap());
            let (a, b) = match (a, b) {
                (None, None) => break,
                (Some(a), Some(b)) => (a, b),
                (a, _) => panic!(
                    "{table}: row {at}: {} has no more",
                    if a.is_some() { "b" } else { "a" }
                ),
            };
            for column in 0..width {
                let same = a.get_ref(column).unwrap() == b.get_ref(column).unwrap();
                assert!(same, "{table}: row {at}, column {column}");
            }
            at += 1;
        }
    }
}
