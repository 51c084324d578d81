//! Who reads for long may meet several prunes: each may delete the pack that holds a blob, after having put it
//! elsewhere. Nothing of that is damage.

use std::fmt;
use std::sync::{Arc, Mutex};

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendError, ObjectInfo};
use larder::codec::hash::pack_id;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::copy::{self, CopyOptions};
use larder::ops::open::Store;
use larder::ops::stats::{self, StatsOptions};
use larder::ops::validate::{self, Level, ValidateOptions};
use larder::progress::NoProgress;
use larder::store::{StoreError, Usage};

use crate::sandbox::{Sandbox, names, usage};
use crate::workshop::sql;

/// A store in which every pack gets another name, as by a prune that repacks, before every so manyth read.
struct Moving {
    inner: Arc<MemoryBackend>,
    every: usize,
    /// Reads so far, and moves that are left.
    state: Mutex<(usize, usize)>,
}

impl Moving {
    fn new(inner: Arc<MemoryBackend>, every: usize, moves: usize) -> Self {
        Self {
            inner,
            every,
            state: Mutex::new((0, moves)),
        }
    }

    fn left(&self) -> usize {
        self.state.lock().unwrap().1
    }

    fn before_read(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        if state.0.is_multiple_of(self.every) && state.1 > 0 {
            state.1 -= 1;
            for object in names(&*self.inner, name::PACKS) {
                let mut bytes = self.inner.get(&object, u64::MAX).unwrap();
                bytes[16] = bytes[16].wrapping_add(1);
                let moved = name::pack(&pack_id(&bytes));
                self.inner.put_new(&moved, &bytes).unwrap();
                self.inner.delete(&object).unwrap();
            }
        }
    }
}

impl fmt::Debug for Moving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moving").finish_non_exhaustive()
    }
}

impl Backend for Moving {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.put_new(name, bytes)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.put(name, bytes)
    }
    fn barrier(&self) -> Result<(), BackendError> {
        self.inner.barrier()
    }
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.inner.get(name, bytes_max)
    }
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.before_read();
        self.inner.get_range(name, offset, bytes)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        self.inner.list(prefix)
    }
    fn delete(&self, name: &str) -> Result<(), BackendError> {
        self.inner.delete(name)
    }
    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.inner.foreign()
    }
}

/// Three snapshots in three packs, with nodes and deltas.
fn case() -> (Sandbox, Arc<MemoryBackend>, Vec<SnapshotId>) {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let database = sandbox.path("a.db");
    let mut ids = Vec::new();
    for text in [
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
           INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003) || printf('%.60c', 'x') FROM n;
         CREATE TABLE large(v); INSERT INTO large VALUES(randomblob(900000))",
        "UPDATE a SET x = 'changed' WHERE id % 900 = 1",
        "UPDATE a SET x = 'again' WHERE id % 700 = 1; INSERT INTO large VALUES(randomblob(300000))",
    ] {
        sql(&database, text);
        ids.push(sandbox.backup(&mut store, &database));
    }
    assert_eq!(names(&*backend, name::PACKS).len(), 3);
    (sandbox, backend, ids)
}

fn cached(sandbox: &Sandbox, folder: &str) -> Usage {
    Usage {
        cache_dir: Some(sandbox.path(folder)),
        ..usage()
    }
}

/// Does `work` on stores in which packs move at different times, with a cache and without.
fn for_each_pace(work: impl Fn(&Sandbox, &mut Store, &str)) {
    let (sandbox, backend, _) = case();
    let (mut moved, mut runs) = (0, 0);
    for every in [3, 5, 7, 11, 13, 17] {
        for with_cache in [false, true] {
            let copy = Arc::new(MemoryBackend::over(backend.clone()));
            let moving = Arc::new(Moving::new(copy, every, 4));
            let folder = format!("cache-{every}");
            std::fs::create_dir_all(sandbox.path(&folder)).unwrap();
            let usage = match with_cache {
                true => cached(&sandbox, &folder),
                false => usage(),
            };
            let opened: Result<Store, StoreError> =
                Store::open(moving.clone(), sandbox.env.clone(), usage);
            work(&sandbox, &mut opened.unwrap(), &format!("every {every}"));
            moved += 4 - moving.left();
            runs += 1;
        }
    }
    println!("{runs} runs, {moved} moves");
    assert!(moved > runs, "{moved}");
}

#[test]
fn a_validation_calls_nothing_damaged_that_prunes_moved() {
    for level in [Level::Quick, Level::All] {
        for_each_pace(|sandbox, store, what| {
            let options = ValidateOptions {
                level,
                ..ValidateOptions::default()
            };
            let world = sandbox.world();
            let outcome = validate::run(store, &world, &options, &mut NoProgress).unwrap();
            assert_eq!(outcome.damage, [], "{what}");
            assert_eq!(outcome.snapshots.len(), 3);
        });
    }
}

#[test]
fn a_drill_restores_what_prunes_moved() {
    for_each_pace(|sandbox, store, what| {
        let options = ValidateOptions {
            level: Level::Quick,
            drill: Some(sandbox.dir.path().to_owned()),
            ..ValidateOptions::default()
        };
        let outcome = validate::run(store, &sandbox.world(), &options, &mut NoProgress).unwrap();
        assert_eq!(outcome.damage, [], "{what}");
        let drilled = outcome.drill.unwrap().snapshots;
        assert!(drilled.iter().all(|one| one.failure.is_none()), "{what}");
    });
}

#[test]
fn a_copy_has_all_that_prunes_moved() {
    for_each_pace(|sandbox, store, what| {
        let to = sandbox.create(Arc::new(MemoryBackend::new()));
        let (world, options) = (sandbox.world(), CopyOptions::default());
        let outcome = copy::run(store, &to, &world, &options, &mut NoProgress).unwrap();
        assert_eq!(outcome.not_copied, [], "{what}");
        assert_eq!(outcome.copied.len(), 3);
        sandbox.assert_whole(&to, 3);
    });
}

#[test]
fn stats_count_what_prunes_moved() {
    for_each_pace(|sandbox, store, what| {
        let (world, options) = (sandbox.world(), StatsOptions::default());
        let outcome = stats::run(store, &world, &options, &mut NoProgress).unwrap();
        assert_eq!(
            (outcome.damage, outcome.damaged_blobs),
            (Vec::new(), 0),
            "{what}"
        );
        assert_eq!(outcome.snapshots.len(), 3);
    });
}

/// What is nowhere is not looked for by a listing each time.
#[test]
fn many_blobs_that_are_nowhere_cost_few_listings() {
    use larder::testkit::fault_backend::FaultBackend;
    let (sandbox, backend, _) = case();
    for pack in names(&*backend, name::PACKS) {
        backend.delete(&pack).unwrap();
    }
    let counted = FaultBackend::new(backend);
    let store = sandbox.open(Arc::new(counted.clone()));
    counted.reset();
    let options = ValidateOptions {
        level: Level::Quick,
        ..ValidateOptions::default()
    };
    let outcome = validate::run(&store, &sandbox.world(), &options, &mut NoProgress).unwrap();
    assert!(!outcome.damage.is_empty());
    let listed = counted.log();
    let listings = listed.iter().filter(|call| call.name.contains("packs/"));
    assert!(listings.count() <= 4, "{listed:?}");
}
