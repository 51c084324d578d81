//! One object of a store altered in every way: a byte changed, cut short, deleted, exchanged. It
//! is found and named; a restore fails or is exact, and nothing panics.
//!
//! `cargo test` tries a sample; at LARDER_TEST_SCALE=100 (`.ci/long corruption`) it is every byte
//! of every object, and every length.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};
use larder::error::{Error, StoreError};
use larder::format::blob::BlobKind;
use larder::format::name;
use larder::model::id::SnapshotId;

use crate::sandbox::{Sandbox, scale};
use crate::shelf::{deltas_in, leaf_ends};
use crate::workshop::sql;

type Objects = BTreeMap<String, Vec<u8>>;

/// Objects that never change, but for those that `altered` puts in their place (`None`: deleted).
#[derive(Debug, Clone)]
pub struct Frozen {
    objects: Arc<Objects>,
    altered: BTreeMap<String, Option<Vec<u8>>>,
}

impl Frozen {
    pub fn new(objects: Arc<Objects>) -> Self {
        Self {
            objects,
            altered: BTreeMap::new(),
        }
    }

    fn find(&self, name: &str) -> Option<&Vec<u8>> {
        match self.altered.get(name) {
            Some(altered) => altered.as_ref(),
            None => self.objects.get(name),
        }
    }

    fn existing(&self, name: &str) -> Result<&Vec<u8>, BackendError> {
        let absent = || BackendError::new(BackendErrorKind::NotFound, "read", name, "absent");
        self.find(name).ok_or_else(absent)
    }

    fn refuse(op: &'static str, name: &str) -> BackendError {
        BackendError::new(BackendErrorKind::Denied, op, name, "read-only")
    }
}

impl Backend for Frozen {
    fn location(&self) -> String {
        "frozen".to_owned()
    }
    fn put_new(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(Self::refuse("write", name))
    }
    fn put(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(Self::refuse("write", name))
    }
    fn barrier(&self) -> Result<(), BackendError> {
        Err(Self::refuse("sync", ""))
    }
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        let bytes = self.existing(name)?;
        assert!(bytes.len() as u64 <= bytes_max);
        Ok(bytes.clone())
    }
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        let end = offset.saturating_add(bytes);
        let range = usize::try_from(offset).unwrap()..usize::try_from(end).unwrap();
        let short = || BackendError::new(BackendErrorKind::Other, "read", name, "too short");
        let held = self.existing(name)?;
        held.get(range).map(<[u8]>::to_vec).ok_or_else(short)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        let names = self.objects.keys().filter(|name| name.starts_with(prefix));
        let info = |name: &String| {
            Some(ObjectInfo {
                name: name.clone(),
                bytes: self.find(name)?.len() as u64,
            })
        };
        Ok(names.filter_map(info).collect())
    }
    fn delete(&self, name: &str) -> Result<(), BackendError> {
        Err(Self::refuse("delete", name))
    }
    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}

/// Nodes over leaves, keys, values of one and of several chunks, several packs that snapshots share,
/// deltas of all kinds. `END`: a row with which a leaf ends; without it, two leaves are one.
const STATES: [&str; 3] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
       INSERT INTO a SELECT i, printf('%04d', i * 7919 % 10007) || printf('%.900c', 'x'), i / 8.0 FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
     INSERT INTO b VALUES('x', 1), ('y', x'00ff'), ('z', NULL);
     CREATE TABLE large(v); INSERT INTO large VALUES(zeroblob(2200000)), (printf('%.20000c', 'y'));
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
       INSERT INTO large SELECT group_concat(printf('%.90c%d', 'x', i * 2654435761 % 1000003), '') FROM n;",
    "UPDATE a SET n = -1 WHERE id = 150; DELETE FROM b WHERE k = 'x'; CREATE INDEX i ON a(x);",
    "CREATE TABLE c(z UNIQUE); INSERT INTO c VALUES('new'), (x'01'); DELETE FROM a WHERE id = END;
     UPDATE large SET v = substr(v, 1, 9000) || 'other' || substr(v, 9001) WHERE rowid = 3;",
];

/// A store, and what its snapshots restore to.
struct Scene {
    sandbox: Sandbox,
    objects: Arc<Objects>,
    snapshots: Vec<(SnapshotId, Vec<u8>)>,
}

fn scene() -> Scene {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    let backend = Arc::new(larder::backend::memory::MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let mut snapshots = Vec::new();
    let mut end = 0;
    for state in STATES {
        sql(&database, &state.replace("END", &end.to_string()));
        let id = sandbox.backup(&mut store, &database);
        end = leaf_ends(&store, &id, "a")[0];
        let restored = sandbox.restore(&mut store, &id);
        snapshots.push((id, restored));
    }
    let deltas = deltas_in(&*backend);
    for kind in [
        BlobKind::Leaf,
        BlobKind::Node,
        BlobKind::Chunk,
        BlobKind::Schema,
    ] {
        let found = deltas.iter().any(|delta| delta.kind == kind);
        assert!(found, "no delta of a {}", kind.name());
    }
    assert!(deltas.iter().any(|delta| delta.bases.len() > 1));
    assert!(deltas.iter().any(|delta| delta.depth > 1));
    let objects: Objects = backend
        .list("")
        .unwrap()
        .into_iter()
        .map(|o| (o.name.clone(), backend.get(&o.name, o.bytes).unwrap()))
        .collect();
    let scene = Scene {
        sandbox,
        objects: Arc::new(objects),
        snapshots,
    };
    let store = scene
        .sandbox
        .open(Arc::new(Frozen::new(scene.objects.clone())));
    scene.sandbox.assert_whole(&store, STATES.len());
    scene
}

/// What must be said of an altered object.
enum Named {
    /// The object, by validation or by whatever fails.
    Object,
    /// Nothing names what is gone, but what it held is missed.
    Missed,
    /// A snapshot that is gone is no longer there: that is all.
    Gone,
}

/// How messages call an object.
fn called(object: &str) -> String {
    let pack = object.strip_prefix(name::PACKS).map(str::to_owned);
    let snapshot = object.strip_prefix(name::SNAPSHOTS).map(str::to_owned);
    pack.or(snapshot).unwrap_or_else(|| object.to_owned())
}

impl Scene {
    fn altered(&self, changes: &[(&String, Option<Vec<u8>>)]) -> Frozen {
        let changes = changes
            .iter()
            .map(|(name, to)| ((*name).clone(), to.clone()));
        Frozen {
            objects: self.objects.clone(),
            altered: changes.collect(),
        }
    }

    /// Validates, and restores the snapshots if so wished.
    fn examine(
        &self,
        frozen: &Frozen,
        objects: &[&String],
        named: &Named,
        restore: bool,
        what: &str,
    ) {
        let calls: Vec<String> = objects.iter().map(|object| called(object)).collect();
        let says = |text: &str| calls.iter().any(|call| text.contains(call.as_str()));
        let backend: Arc<dyn Backend> = Arc::new(frozen.clone());
        let mut store = match self.sandbox.try_open(backend) {
            Ok(store) => store,
            Err(error) => {
                assert!(says(&error.to_string()), "{what}: {error}");
                assert_eq!(objects[0], "config", "{what}: {error}");
                return;
            }
        };
        match (self.sandbox.try_validate(&store), named) {
            (Ok(outcome), Named::Object) => {
                let named = |call: &String| outcome.damage.iter().any(|d| d.object.contains(call));
                assert!(calls.iter().all(named), "{what}: {:?}", outcome.damage);
                let other = outcome
                    .damage
                    .iter()
                    .find(|d| !says(&d.object) && d.object != "no pack");
                assert!(other.is_none(), "{what}: {other:?}");
            }
            (Ok(outcome), Named::Missed) => assert_ne!(outcome.damage, [], "{what}"),
            (Ok(outcome), Named::Gone) => assert_eq!(outcome.damage, [], "{what}"),
            // The byte that tells the version is in no digest.
            (Err(Error::Store(error @ StoreError::Unsupported { .. })), Named::Object) => {
                assert!(says(&error.to_string()), "{what}: {error}");
            }
            (Err(error), _) => panic!("{what}: {error}"),
        }
        if restore {
            for (id, content) in &self.snapshots {
                match self.sandbox.try_restore(&mut store, id) {
                    Ok(restored) => assert!(restored == *content, "{what}: {id} is wrong"),
                    Err(Error::Store(_) | Error::NotWhole(_) | Error::Select(_)) => {}
                    Err(error) => panic!("{what}: {id}: {error}"),
                }
            }
        }
    }

    /// Places in an object: all of them, or a sample that has its ends.
    fn places(&self, bytes: usize, cases: usize) -> Vec<usize> {
        let step = if scale() >= 100 {
            1
        } else {
            bytes.div_ceil(cases * scale()).max(1)
        };
        let mut places: Vec<usize> = (0..bytes).step_by(step).collect();
        places.extend(
            [8, 9, 14, 15, 16, 31, 47, 48]
                .into_iter()
                .filter(|at| *at < bytes),
        );
        places.extend((1..=bytes.min(49)).step_by(6).map(|back| bytes - back));
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[test]
fn every_changed_byte_is_found_and_named() {
    let scene = scene();
    let mut tried = 0;
    for (object, bytes) in &*scene.objects {
        for at in scene.places(bytes.len(), 30) {
            let change = [0x01, 0x80, 0xff][tried % 3];
            let mut altered = bytes.clone();
            altered[at] ^= change;
            let frozen = scene.altered(&[(object, Some(altered))]);
            let what = format!("{object}: byte {at} of {} xor {change:02x}", bytes.len());
            let restore = tried % 5 == 0;
            scene.examine(&frozen, &[object], &Named::Object, restore, &what);
            tried += 1;
        }
    }
    println!("{tried} bytes changed");
}

#[test]
fn every_object_cut_short_is_found_and_named() {
    let scene = scene();
    let mut tried = 0;
    for (object, bytes) in &*scene.objects {
        for length in scene.places(bytes.len(), 12) {
            let frozen = scene.altered(&[(object, Some(bytes[..length].to_vec()))]);
            let what = format!("{object}: {length} of {} bytes", bytes.len());
            let restore = tried % 3 == 0;
            scene.examine(&frozen, &[object], &Named::Object, restore, &what);
            tried += 1;
        }
    }
    println!("{tried} objects cut short");
}

#[test]
fn every_object_with_bytes_behind_it_is_found_and_named() {
    let scene = scene();
    for (object, bytes) in &*scene.objects {
        for tail in [vec![0], vec![0; 4096], bytes.clone()] {
            let frozen = scene.altered(&[(object, Some([bytes.clone(), tail].concat()))]);
            scene.examine(
                &frozen,
                &[object],
                &Named::Object,
                true,
                &format!("{object}: longer"),
            );
        }
    }
}

#[test]
fn every_deleted_object_is_missed() {
    let scene = scene();
    for object in scene.objects.keys() {
        let frozen = scene.altered(&[(object, None)]);
        if object == "config" {
            let error = scene.sandbox.try_open(Arc::new(frozen)).unwrap_err();
            assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
            continue;
        }
        let named = match object.starts_with(name::SNAPSHOTS) {
            true => Named::Gone,
            false => Named::Missed,
        };
        scene.examine(
            &frozen,
            &[object],
            &named,
            true,
            &format!("{object}: deleted"),
        );
    }
}

#[test]
fn exchanged_objects_are_found_and_named_both() {
    let scene = scene();
    for prefix in [name::PACKS, name::SNAPSHOTS] {
        let of_kind: Vec<&String> = scene
            .objects
            .keys()
            .filter(|n| n.starts_with(prefix))
            .collect();
        assert!(of_kind.len() > 2);
        for (n, a) in of_kind.iter().enumerate() {
            for b in &of_kind[n + 1..] {
                let swapped = [
                    (*a, scene.objects.get(*b).cloned()),
                    (*b, scene.objects.get(*a).cloned()),
                ];
                let frozen = scene.altered(&swapped);
                let what = format!("{a} and {b}: exchanged");
                scene.examine(&frozen, &[a, b], &Named::Object, true, &what);
                let frozen = scene.altered(&swapped[..1]);
                let what = format!("{a}: another's content");
                scene.examine(&frozen, &[a], &Named::Object, true, &what);
            }
        }
    }
}

/// The config of another store is a store's config all right: nothing in it tells.
#[test]
fn an_object_of_another_kind_under_a_name_is_found_and_named() {
    let scene = scene();
    let first = |prefix| {
        scene
            .objects
            .keys()
            .find(|n| n.starts_with(prefix))
            .unwrap()
    };
    let (config, pack, snapshot) = (first("config"), first(name::PACKS), first(name::SNAPSHOTS));
    for (place, content) in [
        (config, pack),
        (config, snapshot),
        (pack, config),
        (pack, snapshot),
        (snapshot, config),
        (snapshot, pack),
    ] {
        let frozen = scene.altered(&[(place, scene.objects.get(content).cloned())]);
        let what = format!("{place}: the content of {content}");
        scene.examine(&frozen, &[place], &Named::Object, true, &what);
    }
}

/// What changed is only reported: a parent that cannot be read must not stop the next backup.
#[test]
fn damage_in_the_parent_does_not_stop_a_backup() {
    let scene = scene();
    let database = scene.sandbox.path("a.db");
    sql(&database, "ALTER TABLE b ADD COLUMN w; UPDATE a SET n = 0");
    for (object, bytes) in &*scene.objects {
        if !object.starts_with(name::PACKS) {
            continue;
        }
        let backend = larder::backend::memory::MemoryBackend::new();
        for (other, bytes) in &*scene.objects {
            if other != object {
                backend.put_new(other, bytes).unwrap();
            }
        }
        // Its footer is whole, its frames are not.
        let mut altered = bytes.clone();
        altered[32..48].fill(0xa5);
        backend.put_new(object, &altered).unwrap();
        let mut store = scene.sandbox.open(Arc::new(backend));
        scene.sandbox.backup(&mut store, &database);
    }
}
