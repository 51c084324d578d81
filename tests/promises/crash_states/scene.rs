//! A store whose every file operation is recorded, and what was promised at which point of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::local::LocalBackend;
use larder::error::Error;
use larder::format::manifest::Manifest;
use larder::model::id::SnapshotId;
use larder::ops::open::Store;
use larder::store::Usage;
use larder::testkit::crash_states::RecordingVfs;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::Fault;
use larder::vfs::{Vfs, VfsErrorKind};

use super::harm::Harm;
use crate::sandbox::{ROOT, Sandbox, snapshots, usage};
use crate::tree_rows::Random;
use crate::workshop::sql;

/// What may be seen of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It was reported as there.
    Visible,
    /// It was reported as forgotten.
    Hidden,
    /// Something is being done with it.
    Either,
}

/// A snapshot, and what it restores to.
pub struct Content {
    pub manifest: Manifest,
    pub restored: Vec<u8>,
}

pub struct Scene {
    pub sandbox: Sandbox,
    pub disk: RecordingVfs,
    pub random: Random,
    pub database: PathBuf,
    /// Where the cache of the recorded runs is: ahead of what a power cut leaves.
    pub cache: PathBuf,
    /// Since when the store is there.
    pub made: Option<usize>,
    pub contents: BTreeMap<SnapshotId, Content>,
    /// What was said of each snapshot, and when.
    words: BTreeMap<SnapshotId, Vec<(usize, Word)>>,
    /// When something was said.
    pub said: BTreeSet<usize>,
    /// What was damaged, and when.
    pub harms: Vec<Harm>,
    /// Where each piece of work begins.
    pub works: Vec<(usize, &'static str)>,
    /// How many processes there were.
    pub processes: usize,
    steps: u64,
}

const TABLES: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
    CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE large(v);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
      INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003), i / 8.0 FROM n;
    INSERT INTO b SELECT x, id FROM a WHERE id % 7 = 0;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
      INSERT INTO large SELECT group_concat(printf('%d', i * 2654435761 % 1000003), '') FROM n;";

impl Scene {
    pub fn new(seed: u64) -> Self {
        let sandbox = Sandbox::seeded(seed);
        let disk = RecordingVfs::new();
        disk.create_dir(Path::new("/home")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let database = sandbox.path("app.db");
        sql(&database, TABLES);
        let cache = sandbox.path("cache");
        std::fs::create_dir(&cache).unwrap();
        Self {
            sandbox,
            disk,
            random: Random(seed),
            database,
            cache,
            made: None,
            contents: BTreeMap::new(),
            words: BTreeMap::new(),
            said: BTreeSet::new(),
            harms: Vec::new(),
            works: Vec::new(),
            processes: 0,
            steps: 0,
        }
    }

    /// A piece of work of this name begins.
    pub fn begin(&mut self, what: &'static str) {
        self.works.push((self.disk.position(), what));
    }

    /// The backend of a process.
    pub fn backend(&self, vfs: Arc<dyn Vfs>) -> Arc<LocalBackend> {
        let root = PathBuf::from(ROOT);
        Arc::new(LocalBackend::new(vfs, self.sandbox.env.clone(), root))
    }

    fn usage(&self) -> Usage {
        Usage {
            cache_dir: Some(self.cache.clone()),
            ..usage()
        }
    }

    /// The store, as a new process opens it.
    pub fn open(&mut self) -> Store {
        self.open_over(Arc::new(self.disk.clone())).unwrap()
    }

    fn open_over(&mut self, vfs: Arc<dyn Vfs>) -> Result<Store, Error> {
        self.sandbox.env.begin_process();
        self.processes += 1;
        let env = self.sandbox.env.clone();
        Ok(Store::open(self.backend(vfs), env, self.usage())?)
    }

    /// As [`Scene::open`], where the config may be damaged.
    pub fn open_for_repair(&mut self) -> Store {
        self.sandbox.env.begin_process();
        self.processes += 1;
        let backend = self.backend(Arc::new(self.disk.clone()));
        Store::open_for_repair(backend, self.sandbox.env.clone(), self.usage()).unwrap()
    }

    /// Makes the store.
    pub fn make(&mut self) {
        let backend = self.backend(Arc::new(self.disk.clone()));
        Store::create(backend, self.sandbox.env.clone(), self.usage()).unwrap();
        self.made = Some(self.disk.position());
        self.said.insert(self.disk.position());
    }

    pub fn say(&mut self, id: &SnapshotId, word: Word) {
        let now = self.disk.position();
        self.said.insert(now);
        self.words.entry(id.clone()).or_default().push((now, word));
    }

    /// What may be seen of a snapshot at a point of the record.
    pub fn word(&self, id: &SnapshotId, position: usize) -> Word {
        let said = self.words.get(id).into_iter().flatten();
        let before = said.take_while(|(at, _)| *at <= position).last();
        before.map_or(Word::Either, |(_, word)| *word)
    }

    /// Whether another snapshot was made in the place of this one, by a repair.
    pub fn stands_again(&self, id: &SnapshotId) -> bool {
        let first = self.contents.get(id);
        let first = first.map_or(id, |content| content.manifest.first_id());
        let mut manifests = self.contents.values().map(|content| &content.manifest);
        manifests.any(|manifest| manifest.id != *id && manifest.first_id() == first)
    }

    /// Snapshots that were reported as there, by now.
    pub fn visible(&self) -> Vec<SnapshotId> {
        let now = self.disk.position();
        let ids = self.contents.keys();
        ids.filter(|id| self.word(id, now) == Word::Visible)
            .cloned()
            .collect()
    }

    pub fn any_visible(&mut self) -> SnapshotId {
        let visible = self.visible();
        let at = self.random.below(visible.len() as u64);
        visible[usize::try_from(at).unwrap()].clone()
    }

    /// Changes the database a little.
    pub fn change(&mut self) {
        self.steps += 1;
        let (step, at) = (self.steps, self.random.below(120));
        let text = match self.random.below(5) {
            0 => format!(
                "UPDATE a SET x = 'step {step}' WHERE id BETWEEN {at} AND {}",
                at + 5
            ),
            1 => format!("DELETE FROM a WHERE id = {at}; INSERT INTO b VALUES('s {step}', {at})"),
            2 => format!("INSERT OR REPLACE INTO b VALUES('new {at}', {step})"),
            3 => "UPDATE large SET v = substr(v, 1, 700) || 'other' || substr(v, 701)".to_owned(),
            _ => format!("CREATE TABLE t{step}(x); INSERT INTO t{step} SELECT id FROM a LIMIT 30"),
        };
        sql(&self.database, &text);
    }

    /// Keeps what every snapshot that can be seen now restores to.
    pub fn learn(&mut self) {
        let mut store = self.open();
        for id in snapshots(&store) {
            if self.contents.contains_key(&id) {
                continue;
            }
            let restored = self.sandbox.restore(&mut store, &id);
            let manifest = store.manifest(&id).unwrap().unwrap();
            let content = Content { manifest, restored };
            self.contents.insert(id, content);
        }
    }

    pub fn back_up(&mut self) -> SnapshotId {
        let database = self.database.clone();
        self.back_up_of(&database)
    }

    /// A number from here to there, of the seed.
    pub fn between(&mut self, from: usize, to: usize) -> usize {
        from + usize::try_from(self.random.below((to - from) as u64)).unwrap()
    }

    /// A database that has nothing in common with any other.
    pub fn other_database(&mut self) -> PathBuf {
        self.steps += 1;
        let (step, salt) = (self.steps, self.random.below(1 << 30));
        let database = self.sandbox.path(&format!("other{step}.db"));
        let text = format!(
            "CREATE TABLE other{step}(id INTEGER PRIMARY KEY, x);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
               INSERT INTO other{step} SELECT i, hex(i * {salt} % 1000003) FROM n;"
        );
        sql(&database, &text);
        database
    }

    /// The same, so large that its pack has parity.
    pub fn large_database(&mut self) -> PathBuf {
        let database = self.other_database();
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch("BEGIN; CREATE TABLE r(x BLOB)").unwrap();
        for _ in 0..60 {
            let value = self.random.bytes(19_000);
            db.execute("INSERT INTO r VALUES(?1)", [value]).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        db.close().unwrap();
        database
    }

    /// Backs up a database that has nothing in common with any other.
    pub fn back_up_other(&mut self) -> SnapshotId {
        let database = self.other_database();
        self.back_up_of(&database)
    }

    /// Backs up so many of them, and forgets them: packs that nothing needs.
    pub fn waste(&mut self, count: usize) {
        for _ in 0..count {
            let other = self.back_up_other();
            self.forget(&other);
        }
    }

    /// Forgets what is more than so many snapshots.
    pub fn keep_few(&mut self, count: usize) {
        while self.visible().len() > count {
            let id = self.any_visible();
            self.forget(&id);
        }
    }

    pub fn back_up_of(&mut self, database: &Path) -> SnapshotId {
        let mut store = self.open();
        let id = self.sandbox.backup(&mut store, database);
        self.say(&id, Word::Visible);
        self.learn();
        id
    }

    /// Runs a piece of work in a process that dies at its operation `nth`; whether it did.
    pub fn dies<T>(
        &mut self,
        nth: usize,
        work: impl FnOnce(&mut Self, &mut Store) -> Result<T, Error>,
    ) -> bool {
        let faults = FaultVfs::new(Arc::new(self.disk.clone()));
        faults.fail(Fault::for_ever(nth, VfsErrorKind::Other));
        let done = self
            .open_over(Arc::new(faults.clone()))
            .and_then(|mut store| work(self, &mut store));
        let died = faults.count() >= nth;
        assert!(died || done.is_ok());
        self.learn();
        died
    }

    pub fn forget(&mut self, id: &SnapshotId) {
        self.say(id, Word::Either);
        assert!(self.open().forget(id).unwrap());
        self.say(id, Word::Hidden);
    }

    pub fn unforget(&mut self, id: &SnapshotId) {
        self.say(id, Word::Either);
        assert!(self.open().unforget(id).unwrap());
        self.say(id, Word::Visible);
    }

    pub fn prune(&mut self) -> larder::ops::prune::PruneOutcome {
        let store = self.open();
        self.sandbox.try_prune(&store).unwrap()
    }
}
