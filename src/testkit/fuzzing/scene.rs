//! A small store of three snapshots with blobs and deltas of every kind, built once: what targets put
//! out of order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::objects::{object_of, text_of};
use super::packs::footer_of;
use crate::backend::Backend;
use crate::backend::memory::MemoryBackend;
use crate::error::Error;
use crate::format::blob::{BlobKind, BlobSource as _};
use crate::format::name;
use crate::model::id::{BlobId, SnapshotId};
use crate::ops::backup::{self, BackupOptions, Reading};
use crate::ops::open::{Store, World};
use crate::ops::restore::{self, NoDecider, RestoreOptions};
use crate::ops::select::{self, SourceChoice};
use crate::progress::NoProgress;
use crate::store::Usage;
use crate::testkit::seeded_env::SeededEnv;
use crate::vfs::os::OsVfs;

/// Objects by name.
pub(super) type Objects = BTreeMap<String, Vec<u8>>;

/// Leaves with rowids and with keys, nodes, values of one chunk and of several, a leaf that becomes two.
const STATES: [&str; 3] = [
    "PRAGMA page_size = 1024;
     CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
       INSERT INTO a SELECT i, printf('%04d', i * 7919 % 10007) || printf('%.900c', 'x'), i / 8.0 FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v, a REFERENCES a) WITHOUT ROWID;
     INSERT INTO b VALUES('x', 1, 1), ('y', x'00ff', NULL), ('z', NULL, 7);
     CREATE TABLE large(v); INSERT INTO large VALUES(printf('%.20000c', 'y'));
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
       INSERT INTO large SELECT group_concat(i * 2654435761 % 1000003, '') FROM n;
     CREATE VIEW w AS SELECT x FROM a;",
    "UPDATE a SET n = -1 WHERE id = 150; DELETE FROM b WHERE k = 'x'; CREATE INDEX i ON a(x);
     CREATE TRIGGER g AFTER INSERT ON a BEGIN DELETE FROM b; END;",
    "CREATE TABLE c(z UNIQUE); INSERT INTO c VALUES('new'), (x'01');
     DELETE FROM a WHERE id BETWEEN 60 AND 190;
     UPDATE large SET v = substr(v, 1, 9000) || 'other' || substr(v, 9001) WHERE rowid = 2;",
];

/// The store.
pub(super) struct Scene {
    /// Its objects.
    pub(super) objects: Objects,
    /// Its snapshots, oldest first, and the databases that they restore to.
    pub(super) snapshots: Vec<(SnapshotId, Vec<u8>)>,
    /// Its blobs in canonical form.
    pub(super) blobs: Vec<(BlobKind, BlobId, Vec<u8>)>,
}

/// How stores are used here.
pub(super) fn usage() -> Usage {
    Usage {
        cache_dir: None,
        compression: 1,
        rules: crate::store::rules::Rules::default(),
    }
}

/// A world with real files, whose clock stands where it is put.
pub(super) fn world() -> (World, Arc<SeededEnv>) {
    let env = Arc::new(SeededEnv::new(20_261_123));
    let world = World {
        env: env.clone(),
        vfs: Arc::new(OsVfs),
    };
    (world, env)
}

/// A folder of our own, gone with the value.
pub(super) fn folder() -> tempfile::TempDir {
    let mut named = tempfile::Builder::new();
    named.prefix("larder-fuzz-").tempdir().unwrap()
}

/// A store in memory that has these objects.
pub(super) fn backend_of(objects: &Objects) -> Arc<MemoryBackend> {
    let backend = MemoryBackend::new();
    for (name, bytes) in objects {
        backend.put(name, bytes).unwrap();
    }
    Arc::new(backend)
}

/// Runs SQL on a database.
pub(super) fn sql(database: &Path, text: &str) {
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch(text).unwrap();
}

/// Backs a database up.
pub(super) fn backup(
    store: &mut Store,
    world: &World,
    database: &Path,
    folder: &Path,
) -> Result<SnapshotId, Error> {
    let options = BackupOptions {
        database: database.to_owned(),
        name: None,
        tags: Vec::new(),
        source_name: Some("fuzz".to_owned()),
        busy_timeout: Duration::ZERO,
        temp_dir: Some(folder.to_owned()),
        check_source: None,
        strict: false,
        reading: Reading::default(),
        fast_skip_from: None,
    };
    let outcome = backup::run(store, world, &options, &mut NoProgress)?;
    Ok(outcome.snapshot.id.parse().unwrap())
}

/// Restores a snapshot into a new file. Gives its bytes, and leaves nothing there.
pub(super) fn restore(
    store: &mut Store,
    world: &World,
    id: &SnapshotId,
    folder: &Path,
) -> Result<Vec<u8>, Error> {
    let manifest = select::one(store, id.as_str(), &SourceChoice::Any)?;
    let target = folder.join("restored.db");
    let options = RestoreOptions {
        target: target.clone(),
        ..RestoreOptions::default()
    };
    let done = restore::run(
        store,
        world,
        &manifest,
        &options,
        &mut NoDecider,
        &mut NoProgress,
    );
    let found = std::fs::read(&target);
    if done.is_ok() {
        std::fs::remove_file(&target).unwrap();
    }
    let left = std::fs::read_dir(folder).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("restored")
    });
    assert_eq!(left.count(), 0, "a restore left files: {:?}", done.err());
    done.map(|_| found.unwrap())
}

/// The folder of the source was made for this run: its name must not be in the store.
fn without_path(object: &[u8]) -> Vec<u8> {
    let (kind, text) = text_of(object).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
    manifest["source"]["path"] = "/fuzz/a.db".into();
    object_of(kind, manifest.to_string().as_bytes())
}

fn build() -> Scene {
    let folder = folder();
    let database = folder.path().join("a.db");
    let (world, env) = world();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = Store::create(backend.clone(), env.clone(), usage()).unwrap();
    let mut ids = Vec::new();
    for state in STATES {
        sql(&database, state);
        env.advance(Duration::from_secs(1));
        ids.push(backup(&mut store, &world, &database, folder.path()).unwrap());
    }
    let listed = backend.list("").unwrap().into_iter();
    let objects: Objects = listed
        .map(|object| {
            let bytes = backend.get(&object.name, object.bytes).unwrap();
            match name::parse_snapshot(&object.name) {
                Some(_) => (object.name, without_path(&bytes)),
                None => (object.name, bytes),
            }
        })
        .collect();
    let mut store = Store::open(backend_of(&objects), env, usage()).unwrap();
    let reader = store.reader().unwrap();
    let packs = objects.iter().filter(|(n, _)| n.starts_with(name::PACKS));
    let blobs = packs
        .flat_map(|(_, pack)| footer_of(pack).unwrap().unwrap().blobs)
        .map(|blob| (blob.kind, blob.id, reader.get(blob.kind, &blob.id).unwrap()))
        .collect();
    drop(reader);
    let restored = |id: SnapshotId| {
        let bytes = restore(&mut store, &world, &id, folder.path()).unwrap();
        (id, bytes)
    };
    let snapshots = ids.into_iter().map(restored).collect();
    Scene {
        objects,
        snapshots,
        blobs,
    }
}

/// The store, built at the first call.
pub(super) fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(build)
}
