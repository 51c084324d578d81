//! A small store that holds every kind of object there is, and what its snapshots restore to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::env::Env;
use larder::format::blob::{BlobKind, Encoding};
use larder::format::config::FormatMark;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::{AbortMarker, ForgetFinal, GcFinal, GcRecord, WriterRecord};
use larder::model::id::{GcId, PackId, SnapshotId};
use larder::model::process::ProcessMark;
use larder::ops::open::Store;
use larder::ops::parity::{self, Redundancy, RedundancyLevel};
use larder::testkit::seeded_env::SeededEnv;
use serde::Serialize;

use super::frozen::{Frozen, Objects};
use super::kinds::Kind;
use crate::sandbox::{Sandbox, seed};
use crate::shelf::{footer_of, leaf_ends};
use crate::tree_rows::Random;
use crate::workshop::sql;

/// Nodes over leaves, keys, values of one and of several chunks, several packs that snapshots share,
/// deltas of all kinds. `END`: a row with which a leaf ends; without it, two leaves are one.
const STATES: [&str; 3] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
       INSERT INTO a SELECT i, printf('%04d', i * 7919 % 10007) || printf('%.900c', 'x'), i / 8.0 FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
     INSERT INTO b VALUES('x', 1), ('y', x'00ff'), ('z', NULL);
     CREATE TABLE large(v); INSERT INTO large VALUES(zeroblob(1100000)), (printf('%.20000c', 'y'));
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
       INSERT INTO large SELECT group_concat(printf('%.90c%d', 'x', i * 2654435761 % 1000003), '') FROM n;",
    "UPDATE a SET n = -1 WHERE id = 150; DELETE FROM b WHERE k = 'x'; CREATE INDEX i ON a(x);",
    "CREATE TABLE c(z UNIQUE); INSERT INTO c VALUES('new'), (x'01'); DELETE FROM a WHERE id = END;
     DELETE FROM large WHERE rowid = 1;
     UPDATE large SET v = substr(v, 1, 9000) || 'other' || substr(v, 9001) WHERE rowid = 3;",
];

/// What does not compress: so many bytes in so many rows.
const RANDOM_ROWS: i64 = 36;
const RANDOM_BYTES: usize = 1500;

/// How a parity of so many percent stands beside a pack too small to have it by itself.
const PERCENT: u8 = 60;

/// The store.
pub struct EveryKind {
    pub objects: Arc<Objects>,
    pub redundant: bool,
    /// What all snapshots that were ever restored to.
    pub contents: BTreeMap<SnapshotId, Vec<u8>>,
    /// Those that a prune must keep.
    pub kept: Vec<SnapshotId>,
    /// Forgotten long ago, and taken back.
    pub taken_back: SnapshotId,
    /// Its deletion was decided; its manifest is still there.
    pub going: SnapshotId,
    /// Forgotten long ago, and pinned.
    pub pinned: SnapshotId,
    /// The database as it was last.
    pub database: Vec<u8>,
    /// Where its clock stands.
    pub unix_ms: i64,
}

struct Builder {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    database: PathBuf,
    contents: BTreeMap<SnapshotId, Vec<u8>>,
}

impl Builder {
    fn back_up(&mut self, text: &str) -> SnapshotId {
        sql(&self.database, text);
        let id = self.sandbox.backup(&mut self.store, &self.database);
        let content = self.sandbox.restore(&mut self.store, &id);
        self.contents.insert(id.clone(), content);
        id
    }

    fn put<T: Serialize>(&self, object: &str, kind: ObjectKind, content: &T) {
        let bytes = frame::encode(StoreHash::unkeyed(), kind, content).unwrap();
        self.backend.put(object, &bytes).unwrap();
    }

    fn id(&self, number: u8) -> SnapshotId {
        let seconds = self.sandbox.env.unix_ms() / 1000;
        SnapshotId::new(seconds, [number; 16])
    }

    /// No clean-up of another store has it.
    fn clean_up(&self, number: u8) -> GcId {
        let mut id = self.store.id().0;
        id[0] = number;
        GcId(id)
    }

    fn packs(&self) -> Vec<(String, u64)> {
        let listed = self.backend.list(name::PACKS).unwrap();
        listed.into_iter().map(|o| (o.name, o.bytes)).collect()
    }

    /// A pack that only a snapshot needs that was never to be.
    fn garbage(&mut self, text: &str) -> PackId {
        let before = self.packs();
        let id = self.back_up(text);
        self.store.withdraw(&id).unwrap();
        self.contents.remove(&id);
        let new = self.packs().into_iter().find(|pack| !before.contains(pack));
        name::parse_pack(&new.unwrap().0).unwrap()
    }

    /// Records of backups and clean-ups, at work and dead ones.
    fn records(&mut self) {
        let garbage = self.garbage("INSERT INTO b VALUES('garbage', 1)");
        let marked = self.garbage("INSERT INTO b VALUES('marked', 2)");
        let needed = self.packs().iter().max_by_key(|(_, bytes)| *bytes).cloned();
        let needed = name::parse_pack(&needed.unwrap().0).unwrap();
        let process = |pid| ProcessMark {
            machine: "seeded-machine".to_owned(),
            boot: "seeded-boot".to_owned(),
            space: String::new(),
            pid,
            started: 0,
        };
        let time = "2026-11-20T10:00:00.000Z".to_owned();
        for (number, pid) in [(1, 1), (2, 2)] {
            let record = WriterRecord {
                format: FormatMark::CURRENT,
                snapshot: self.id(number),
                host: "seeded-host".to_owned(),
                started: time.clone(),
                beat: 3,
                process: Some(process(pid)),
            };
            let object = name::writer(&record.snapshot);
            self.put(&object, ObjectKind::Writer, &record);
        }
        for (number, condemned) in [(3, vec![garbage, needed]), (4, vec![garbage])] {
            let clean_up = self.clean_up(number);
            let record = GcRecord {
                process: Some(process(2)),
                ..GcRecord::of(clean_up, condemned)
            };
            self.put(&name::gc(&clean_up), ObjectKind::Gc, &record);
        }
        let dead = |number| vec![PackId([number; 32]), PackId([number + 1; 32])];
        let verdicts = [
            GcFinal::Sealed {
                clean_up: self.clean_up(5),
                dead: dead(5),
                time: time.clone(),
            },
            GcFinal::Sealed {
                clean_up: self.clean_up(6),
                dead: dead(7),
                time: time.clone(),
            },
            GcFinal::Abort {
                clean_up: self.clean_up(7),
                time: time.clone(),
            },
        ];
        for (number, verdict) in (5..).zip(&verdicts) {
            let object = name::gc_final(&self.clean_up(number));
            self.put(&object, ObjectKind::GcFinal, verdict);
        }
        for number in [9, 10] {
            let marker = AbortMarker {
                snapshot: self.id(number),
                fenced: time.clone(),
            };
            let object = name::snapshot(&marker.snapshot);
            self.put(&object, ObjectKind::Abort, &marker);
        }
        let mark = format!("{}{marked}", name::DAMAGED);
        self.backend.put_new(&mark, b"a mark").unwrap();
        let ballast = Random(9).bytes(40);
        self.backend.put_new(name::BALLAST, &ballast).unwrap();
    }

    /// Parity beside all packs, second copies beside two of them and beside all small objects.
    fn redundancy(&self) {
        for (at, (pack, _)) in self.packs().iter().enumerate() {
            let id = name::parse_pack(pack).unwrap();
            self.store.make_parity(&id, PERCENT).unwrap();
            let second = name::second(pack);
            if at >= 2 && self.backend.get(&second, 1 << 20).is_ok() {
                self.backend.delete(&second).unwrap();
            }
        }
    }
}

impl Builder {
    fn new(redundant: bool, salt: u64) -> Self {
        let mut sandbox = Sandbox::new();
        sandbox.env = Arc::new(SeededEnv::new(seed() + salt));
        let backend = Arc::new(MemoryBackend::new());
        let store = sandbox.create(backend.clone());
        let level = match redundant {
            true => RedundancyLevel::Full,
            false => RedundancyLevel::None,
        };
        let percent = if salt == 0 { 3 } else { 4 };
        parity::choose(&store, Redundancy { level, percent }).unwrap();
        let database = sandbox.path("a.db");
        Self {
            sandbox,
            backend,
            store,
            database,
            contents: BTreeMap::new(),
        }
    }

    /// Snapshots with all kinds of blobs.
    fn states(&mut self, salt: u64) -> Vec<SnapshotId> {
        let mut made: Vec<SnapshotId> = Vec::new();
        for state in STATES {
            let end = match made.last() {
                Some(last) => leaf_ends(&self.store, last, "a")[0],
                None => 0,
            };
            made.push(self.back_up(&state.replace("END", &end.to_string())));
            if made.len() == 1 {
                self.random_rows(salt);
            }
        }
        made
    }

    /// Snapshots that are pinned, taken back, waiting, and on their way out. Gives them, and
    /// a last one that is as any other.
    fn forgotten(&mut self, first: &SnapshotId) -> [SnapshotId; 5] {
        let pinned = self.back_up("INSERT INTO b VALUES('pinned', 'only here')");
        let taken_back =
            self.back_up("DELETE FROM b WHERE k = 'pinned'; INSERT INTO b VALUES('back', 1)");
        let waiting = self.back_up("UPDATE b SET v = 'waits' WHERE k = 'back'");
        let going = self.back_up("UPDATE b SET v = 'goes' WHERE k = 'back'");
        let last = self.back_up("DELETE FROM b WHERE k = 'back'; UPDATE a SET n = 7 WHERE id = 20");
        for id in [&pinned, &taken_back, &going] {
            self.store.forget(id).unwrap();
        }
        self.store.unforget(&taken_back).unwrap();
        for id in [&pinned, first] {
            self.store.pin(id).unwrap();
        }
        self.sandbox.env.advance(Duration::from_secs(48 * 3600));
        self.store.forget(&waiting).unwrap();
        let verdict = ForgetFinal::Delete {
            snapshot: going.clone(),
            mark: 1,
            time: "2026-11-25T00:00:00.000Z".to_owned(),
        };
        let object = name::forgotten_final(&going, 1);
        self.put(&object, ObjectKind::ForgetFinal, &verdict);
        [pinned, taken_back, waiting, going, last]
    }

    fn objects(&self) -> Objects {
        let listed = self.backend.list("").unwrap().into_iter();
        let object = |o: larder::backend::ObjectInfo| {
            let bytes = self.backend.get(&o.name, o.bytes).unwrap();
            (o.name, bytes)
        };
        listed.map(object).collect()
    }
}

impl EveryKind {
    /// True for the manifest of a snapshot that is not forgotten.
    pub fn is_listed(&self, manifest: &str) -> bool {
        let forgotten = |mark: &SnapshotId| {
            let object = name::forgotten(mark, 1);
            let verdict = name::forgotten_final(mark, 1);
            *mark != self.taken_back
                && (self.objects.contains_key(&object) || self.objects.contains_key(&verdict))
        };
        name::parse_snapshot(manifest).is_some_and(|id| !forgotten(&id))
    }

    /// Another one than by another `salt`, with another name of the store and others of its snapshots.
    pub fn new(redundant: bool, salt: u64) -> Self {
        let mut builder = Builder::new(redundant, salt);
        let mut kept = builder.states(salt);
        let [pinned, taken_back, waiting, going, last] = builder.forgotten(&kept[0]);
        kept.extend([pinned.clone(), taken_back.clone(), waiting, last]);
        builder.records();
        if redundant {
            builder.redundancy();
        }
        let made = Self {
            objects: Arc::new(builder.objects()),
            redundant,
            contents: builder.contents,
            kept,
            taken_back,
            going,
            pinned,
            database: std::fs::read(&builder.database).unwrap(),
            unix_ms: builder.sandbox.env.unix_ms(),
        };
        made.assert_complete();
        made
    }

    pub fn bytes(&self) -> usize {
        self.objects.values().map(Vec::len).sum()
    }

    /// It holds every kind of object, of blob, and of delta.
    fn assert_complete(&self) {
        for kind in Kind::ALL {
            let found = self.objects.iter().any(|(n, b)| Kind::of(n, b) == kind);
            let needs_redundancy = matches!(kind, Kind::Parity | Kind::Second);
            assert_eq!(found, self.redundant || !needs_redundancy, "{kind:?}");
        }
        let packs = self
            .objects
            .iter()
            .filter(|(n, _)| n.starts_with(name::PACKS));
        let blobs: Vec<_> = packs
            .flat_map(|(_, bytes)| footer_of(bytes).blobs)
            .collect();
        for kind in BlobKind::ALL {
            let mut of_kind = blobs.iter().filter(|blob| blob.kind == kind);
            let delta = of_kind.clone().any(|blob| blob.encoding == Encoding::Delta);
            assert!(
                of_kind.any(|blob| blob.encoding != Encoding::Delta),
                "{}",
                kind.name()
            );
            // A node above chunks is small, and always whole.
            assert!(
                delta || kind == BlobKind::ChunkNode,
                "no delta of a {}",
                kind.name()
            );
        }
        let deltas = blobs.iter().filter(|blob| blob.encoding == Encoding::Delta);
        assert!(deltas.clone().any(|delta| delta.bases.len() > 1));
        assert!(deltas.clone().any(|delta| delta.depth > 1));
    }
}

impl Builder {
    fn random_rows(&self, salt: u64) {
        let mut random = Random(seed() + salt);
        let db = rusqlite::Connection::open(&self.database).unwrap();
        db.execute_batch("BEGIN; CREATE TABLE r(id INTEGER PRIMARY KEY, x BLOB)")
            .unwrap();
        for id in 0..RANDOM_ROWS {
            let value = random.bytes(RANDOM_BYTES);
            db.execute("INSERT INTO r VALUES(?1, ?2)", (id, value))
                .unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        db.close().unwrap();
    }
}

/// One that looks after a store: its own folder and clock, and a store that can be put out of order.
pub struct Bench {
    pub sandbox: Sandbox,
    pub frozen: Arc<Frozen>,
    pub store: Store,
}

impl Bench {
    pub fn new(of: &EveryKind) -> Self {
        let sandbox = Sandbox::new();
        sandbox.env.set_unix_ms(of.unix_ms + 3_600_000);
        // The process of one writer has ended, that of the other one is this one.
        sandbox.env.begin_process();
        std::fs::write(sandbox.path("a.db"), &of.database).unwrap();
        let frozen = Arc::new(Frozen::new(of.objects.clone()));
        let store = sandbox.open(frozen.clone());
        Self {
            sandbox,
            frozen,
            store,
        }
    }
}
