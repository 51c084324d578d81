//! A copy of a store is as good as the store: every snapshot comes back the same from it, it is no
//! larger, nothing is copied twice, and what cannot be read stops only what needs it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::Error;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::{AbortMarker, GcRecord};
use larder::model::id::{GcId, SnapshotId};
use larder::ops::copy::{self, CopyOptions, CopyOutcome};
use larder::ops::open::{self, Store, StoreOptions};
use larder::ops::restore::Mode;
use larder::ops::select::{self, SourceChoice, UNCOMMITTED_TAG};
use larder::ops::undo::{self, UndoOptions};
use larder::progress::{NoProgress, Progress};
use larder::store::{StoreError, Usage};
use larder::testkit::fault_backend::FaultBackend;

use crate::interfering::Interfering;
use crate::sandbox::{Sandbox, names};
use crate::shelf::deltas_in;
use crate::stage::{Stage, content};
use crate::workshop::{Workshop, assert_equal, bakery, copy_database, real_databases, sql};

/// Tables of one leaf and of several, with nodes above them, and large values of one chunk and several.
pub const TABLES: &str = "CREATE TABLE big(id INTEGER PRIMARY KEY, t TEXT, n);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
    INSERT INTO big SELECT i, printf('%08x%08x', i * 2654435761 % 4294967296, i * 40503 % 65536), i FROM n;
    CREATE TABLE k(a TEXT, b INT, PRIMARY KEY(a, b)) WITHOUT ROWID;
    INSERT INTO k SELECT t, n FROM big WHERE id % 50 = 0;
    CREATE TABLE files(id INTEGER PRIMARY KEY, content BLOB);
    INSERT INTO files SELECT 1, group_concat(t) FROM big;
    INSERT INTO files SELECT 2, group_concat(t || n || t || n) || content FROM big, files WHERE files.id = 1;
    INSERT INTO files VALUES (3, zeroblob(70000));
    CREATE TABLE empty(x);";

/// Changes of it: cells, rows, a part of a large value.
pub const CHANGES: [&str; 3] = [
    "UPDATE big SET n = -n WHERE id % 1000 = 7; DELETE FROM k WHERE b % 500 = 0",
    "INSERT INTO big SELECT id + 20000, t || 'x', n FROM big WHERE id < 40;
     UPDATE files SET content = content || 'end' WHERE id = 2",
    "DELETE FROM files WHERE id = 3; UPDATE big SET t = 'x' WHERE id = 9; INSERT INTO empty VALUES (1)",
];

/// A store in memory with a snapshot of each state of the database.
pub struct Original {
    pub sandbox: Sandbox,
    pub backend: Arc<MemoryBackend>,
    pub store: Store,
    pub ids: Vec<SnapshotId>,
}

impl Original {
    pub fn new() -> Self {
        Self::of(TABLES, &CHANGES)
    }

    pub fn of(tables: &str, changes: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let store = sandbox.create(backend.clone());
        sql(&sandbox.path("a.db"), tables);
        let mut original = Self {
            sandbox,
            backend,
            store,
            ids: Vec::new(),
        };
        original.step("");
        for change in changes {
            original.step(change);
        }
        original
    }

    /// Changes the database, and takes a snapshot.
    pub fn step(&mut self, text: &str) -> SnapshotId {
        let database = self.sandbox.path("a.db");
        sql(&database, text);
        let id = self.sandbox.backup(&mut self.store, &database);
        self.ids.push(id.clone());
        id
    }

    pub fn empty(&self) -> (Arc<MemoryBackend>, Store) {
        let backend = Arc::new(MemoryBackend::new());
        (backend.clone(), self.sandbox.create(backend))
    }

    pub fn try_copy(&self, to: &Store) -> Result<CopyOutcome, Error> {
        self.copy_some(to, &[])
    }

    pub fn copy(&self, to: &Store) -> CopyOutcome {
        self.try_copy(to).unwrap()
    }

    fn copy_some(&self, to: &Store, ids: &[&SnapshotId]) -> Result<CopyOutcome, Error> {
        let manifests = ids
            .iter()
            .map(|id| self.store.manifest(id).unwrap().unwrap());
        let options = CopyOptions {
            snapshots: manifests.collect(),
        };
        let world = self.sandbox.world();
        copy::run(&self.store, to, &world, &options, &mut NoProgress)
    }

    /// `to` holds a copy of each of these once, and nothing else; all of it is whole and comes back as from
    /// the original.
    #[track_caller]
    pub fn assert_copied(&mut self, to: &mut Store, ids: &[SnapshotId]) {
        self.sandbox.assert_whole(to, ids.len());
        for id in ids {
            // By the id that it has in the original.
            let copy = select::one(to, id.as_str(), &SourceChoice::Any).unwrap();
            assert_eq!(copy.original.as_ref(), Some(id));
            let restored = self.sandbox.restore(to, &copy.id);
            assert!(
                restored == self.sandbox.restore(&mut self.store, id),
                "{id}"
            );
        }
    }
}

/// All objects of a store.
fn objects(backend: &dyn Backend) -> BTreeMap<String, Vec<u8>> {
    let names = names(backend, "").into_iter();
    names
        .map(|name| (name.clone(), backend.get(&name, u64::MAX).unwrap()))
        .collect()
}

fn pack_bytes(backend: &dyn Backend) -> u64 {
    let packs = backend.list(name::PACKS).unwrap();
    packs.iter().map(|pack| pack.bytes).sum()
}

#[test]
fn every_snapshot_comes_back_the_same_from_a_copy_that_is_no_larger() {
    let mut original = Original::new();
    let (backend, mut to) = original.empty();
    let outcome = original.copy(&to);
    assert_eq!(outcome.copied.len(), 4);
    assert_eq!((&outcome.not_copied, outcome.stopped), (&Vec::new(), false));
    let ids = original.ids.clone();
    original.assert_copied(&mut to, &ids);
    let (was, is) = (pack_bytes(&*original.backend), pack_bytes(&*backend));
    println!("packs: {was} bytes, copied: {is}");
    assert!(is * 100 <= was * 103 && is * 100 >= was * 90, "{was}, {is}");
    // What is a delta stays one.
    assert!(deltas_in(&*original.backend).len() > 8);
    assert_eq!(
        deltas_in(&*backend).len(),
        deltas_in(&*original.backend).len()
    );
    // The figures are those of this store.
    assert_eq!(outcome.store_bytes, to.bytes().unwrap());
    assert_eq!(outcome.store_snapshots, 4);
    let new = outcome
        .copied
        .iter()
        .map(|copied| copied.snapshot.new_bytes);
    assert_eq!(new.sum::<u64>(), is);
    assert!(names(&*backend, name::WRITERS).is_empty());
}

#[test]
fn a_copy_says_all_that_the_snapshot_says() {
    let original = Original::new();
    let (_, to) = original.empty();
    let outcome = original.copy(&to);
    let mut parent = None;
    for (id, copied) in original.ids.iter().zip(&outcome.copied) {
        let was = original.store.manifest(id).unwrap().unwrap();
        let here: SnapshotId = copied.snapshot.id.parse().unwrap();
        let is = to.manifest(&here).unwrap().unwrap();
        assert_ne!(is.id, was.id);
        assert_eq!(is.id.second(), was.id.second());
        assert_eq!(is.parent, parent, "the parent is the copy of the parent");
        parent = Some(is.id.clone());
        let as_was = larder::format::manifest::Manifest {
            id: was.id.clone(),
            original: None,
            parent: was.parent.clone(),
            new_bytes: was.new_bytes,
            ..is
        };
        assert_eq!(as_was, was);
    }
}

#[test]
fn a_second_copy_adds_nothing_and_a_later_one_what_is_missing() {
    let mut original = Original::new();
    let (backend, mut to) = original.empty();
    original.copy(&to);
    let before = objects(&*backend);
    let again = original.copy(&to);
    assert_eq!((again.copied.len(), again.present.len()), (0, 4));
    assert_eq!(again.stored_bytes, 0);
    assert!(objects(&*backend) == before, "not an object has changed");
    let had = pack_bytes(&*original.backend);
    original.step("UPDATE big SET n = 0 WHERE id = 77");
    let added = pack_bytes(&*original.backend) - had;
    let later = original.copy(&to);
    assert_eq!((later.copied.len(), later.present.len()), (1, 4));
    let new = later.copied[0].snapshot.new_bytes;
    assert!(
        new <= added + added / 10,
        "{new} bytes, and the backup {added}"
    );
    let ids = original.ids.clone();
    original.assert_copied(&mut to, &ids);
    // Nor is it copied back, or on and back.
    let world = original.sandbox.world();
    let (_, third) = original.empty();
    let options = CopyOptions::default();
    let on = copy::run(&to, &third, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(on.copied.len(), 5);
    for from in [&to, &third] {
        let back = copy::run(from, &original.store, &world, &options, &mut NoProgress).unwrap();
        assert_eq!((back.copied.len(), back.present.len()), (0, 5));
    }
}

#[test]
fn a_store_with_other_snapshots_of_the_database_gets_only_what_it_lacks() {
    let mut original = Original::new();
    let (backend, mut to) = original.empty();
    // A backup of its own, of the last state, under a name that is taken then.
    let database = original.sandbox.path("a.db");
    let own = original.sandbox.backup(&mut to, &database);
    let last = original.ids[3].clone();
    let mut theirs = original.store.manifest(&last).unwrap().unwrap();
    let had = pack_bytes(&*backend);
    let outcome = original.copy_some(&to, &[&last]).unwrap();
    assert_eq!(outcome.copied.len(), 1);
    assert_eq!(pack_bytes(&*backend), had, "every blob was there");
    theirs.name = outcome.copied[0].snapshot.name.clone();
    assert_eq!(outcome.copied[0].renamed, None);
    let rest = original.copy(&to);
    assert_eq!((rest.copied.len(), rest.present.len()), (3, 1));
    original.sandbox.assert_whole(&to, 5);
    let restored = original.sandbox.restore(&mut to, &own);
    assert!(restored == original.sandbox.restore(&mut original.store, &last));
}

#[test]
fn a_name_that_another_snapshot_has_is_numbered() {
    let original = Original::new();
    let (_, to) = original.empty();
    let first = original.store.manifest(&original.ids[0]).unwrap().unwrap();
    let writer = to.writer(0).unwrap();
    let stranger = larder::format::manifest::Manifest {
        id: writer.snapshot().clone(),
        ..first.clone()
    };
    writer.commit(&stranger).unwrap();
    let outcome = original.copy(&to);
    let copied = &outcome.copied[0];
    assert_eq!(copied.snapshot.name, format!("{}_2", first.name));
    assert_eq!(copied.renamed.as_ref(), Some(&first.name));
}

#[test]
fn one_snapshot_is_copied_alone_and_whole() {
    let mut original = Original::new();
    let (backend, mut to) = original.empty();
    let last = original.ids[3].clone();
    original.copy_some(&to, &[&last]).unwrap();
    original.assert_copied(&mut to, std::slice::from_ref(&last));
    assert_eq!(deltas_in(&*backend).len(), 0, "their bases are not there");
}

#[test]
fn a_store_is_not_copied_into_itself() {
    let original = Original::new();
    let error = original.try_copy(&original.store).unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::Same { .. })));
}

/// A store within a store's folder would be foreign to it, and lost with it.
#[test]
fn a_place_within_the_store_however_it_is_spelt_is_refused() {
    use larder::ops::open::{World, ensure_apart};
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["store", "store/packs", "other"] {
        std::fs::create_dir(path(folder)).unwrap();
    }
    std::os::unix::fs::symlink(path("store"), path("link")).unwrap();
    std::os::unix::fs::symlink(path("store/packs"), path("deep")).unwrap();
    let world = World::system();
    for store in ["store", "link", "other/../store"] {
        let to = |to: &str| ensure_apart(&path(store), &path(to), &world);
        for same in [
            "store",
            "store/.",
            "link",
            "other/../link",
            "store/packs/..",
        ] {
            let refused = to(same);
            assert!(
                matches!(refused, Err(Error::Store(StoreError::Same { .. }))),
                "{same}: {refused:?}"
            );
        }
        for within in [
            "store/packs",
            "store/new/er",
            "link/new",
            "deep",
            "deep/new",
            "deep/../x",
        ] {
            let refused = to(within);
            assert!(
                matches!(refused, Err(Error::Store(StoreError::Within { .. }))),
                "{within}: {refused:?}"
            );
        }
        for apart in ["other", "new", "new/er", "storehouse", "link/../new"] {
            to(apart).unwrap();
        }
    }
}

#[test]
fn pins_are_copied_and_all_of_the_store_is_counted() {
    let original = Original::new();
    original.store.pin(&original.ids[1]).unwrap();
    let (_, to) = original.empty();
    let level = larder::ops::parity::RedundancyLevel::Full;
    let redundancy = larder::ops::parity::Redundancy { level, percent: 3 };
    larder::ops::parity::choose(&to, redundancy).unwrap();
    let outcome = original.copy(&to);
    assert_eq!(outcome.store_bytes, to.bytes().unwrap());
    let pinned = &outcome.copied[1].snapshot.id;
    let pins: Vec<String> = to.pins().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(pins, std::slice::from_ref(pinned));
    // One that was taken away there stays away.
    to.unpin(&pinned.parse().unwrap()).unwrap();
    original.copy(&to);
    assert!(to.pins().unwrap().is_empty());
}

/// The newer one was taken, whichever was meant.
#[test]
fn a_name_that_two_snapshots_have_means_neither() {
    let original = Original::new();
    let first = original.store.manifest(&original.ids[0]).unwrap().unwrap();
    // As two backups at once, or two copies.
    let writer = original.store.writer(0).unwrap();
    let twin = larder::format::manifest::Manifest {
        id: writer.snapshot().clone(),
        ..first.clone()
    };
    writer.commit(&twin).unwrap();
    let one = |word: &str| select::one(&original.store, word, &SourceChoice::Any);
    match one(&first.name) {
        Err(Error::Select(larder::error::SelectError::Ambiguous { matches, .. })) => {
            let mut ids = [first.id.short(), twin.id.short()];
            ids.sort_unstable();
            let mut matches = matches;
            matches.sort_unstable();
            assert_eq!(matches, ids);
        }
        other => panic!("{other:?}"),
    }
    for id in [&first.id, &twin.id] {
        assert_eq!(one(id.as_str()).unwrap().id, *id);
    }
}

/// What cannot be read of a snapshot stops that one alone, and is named.
#[test]
fn damage_stops_only_the_snapshots_that_need_it() {
    let mut original = Original::new();
    let (_, mut to) = original.empty();
    let packs_of = |store: &Store, id: &SnapshotId| {
        let manifest = store.manifest(id).unwrap().unwrap();
        let blobs = larder::ops::show::blobs(store, &manifest).unwrap();
        let new = blobs
            .into_iter()
            .filter(|blob| blob.new && blob.entity == "files");
        new.map(|blob| blob.pack).collect::<Vec<_>>()
    };
    // The large values that came with the third snapshot; the fourth has them too.
    let pack = packs_of(&original.store, &original.ids[2]).remove(0);
    let name = name::pack(&pack.parse().unwrap());
    let good = original.backend.get(&name, u64::MAX).unwrap();
    let mut bad = good.clone();
    for byte in &mut bad[100..good.len() - 400] {
        *byte ^= 0x55;
    }
    original.backend.put(&name, &bad).unwrap();
    let outcome = original.copy(&to);
    let copied: Vec<&str> = outcome.copied.iter().map(|c| c.from.as_str()).collect();
    assert_eq!(copied, [original.ids[0].as_str(), original.ids[1].as_str()]);
    let lost: Vec<&str> = outcome.not_copied.iter().map(|n| n.id.as_str()).collect();
    assert_eq!(lost, [original.ids[2].as_str(), original.ids[3].as_str()]);
    for lost in &outcome.not_copied {
        let tables = [Some("big"), Some("files"), Some("k"), Some("empty")];
        assert!(tables.contains(&lost.table.as_deref()), "{lost:?}");
        assert!(lost.cause.contains(&pack), "{lost:?}");
    }
    let ids = original.ids[..2].to_vec();
    original.assert_copied(&mut to, &ids);
    // A pack that is gone, and a manifest.
    original.backend.delete(&name).unwrap();
    let manifest = name::snapshot(&original.ids[0]);
    original.backend.put(&manifest, b"no manifest").unwrap();
    let outcome = original.copy(&to);
    assert_eq!((outcome.copied.len(), outcome.present.len()), (0, 1));
    assert_eq!(outcome.not_copied.len(), 3);
    assert_eq!(outcome.not_copied[0].name, None);
    // Healed, the rest follows.
    original.backend.put(&name, &good).unwrap();
    let outcome = original.copy(&to);
    assert_eq!(outcome.copied.len(), 2);
    original.sandbox.assert_whole(&to, 4);
}

/// Of a disk that fails here and there, what can be read is copied.
#[test]
fn a_read_that_fails_stops_only_the_snapshots_that_need_it() {
    let original = Original::new();
    let (_, to) = original.empty();
    let failing = FaultBackend::new(original.backend.clone());
    let from = original.sandbox.open(Arc::new(failing.clone()));
    let world = original.sandbox.world();
    let options = CopyOptions::default();
    failing.reset();
    let (_, elsewhere) = original.empty();
    copy::run(&from, &elsewhere, &world, &options, &mut NoProgress).unwrap();
    let log = failing.log();
    let last_read = log
        .iter()
        .rposition(|o| o.name.starts_with("packs/"))
        .unwrap()
        + 1;
    failing.reset();
    let other = larder::backend::BackendErrorKind::Other;
    failing.fail(larder::testkit::faults::Fault::for_ever(last_read, other));
    let outcome = copy::run(&from, &to, &world, &options, &mut NoProgress).unwrap();
    assert_eq!((outcome.copied.len(), outcome.not_copied.len()), (3, 1));
    original.sandbox.assert_whole(&to, 3);
}

/// Stops after so many questions.
struct Stop(Cell<usize>);

impl Progress for Stop {
    fn cancelled(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}

#[test]
fn a_copy_that_is_stopped_keeps_whole_snapshots_and_goes_on_later() {
    let mut original = Original::new();
    let ids = original.ids.clone();
    let mut seen = std::collections::BTreeSet::new();
    for asked in (1..400).step_by(31) {
        let (backend, mut to) = original.empty();
        let world = original.sandbox.world();
        let mut stop = Stop(Cell::new(asked));
        let options = CopyOptions::default();
        let outcome = copy::run(&original.store, &to, &world, &options, &mut stop).unwrap();
        assert_eq!(outcome.stopped, outcome.copied.len() < 4);
        seen.insert(outcome.copied.len());
        assert!(names(&*backend, name::WRITERS).is_empty());
        original.sandbox.assert_whole(&to, outcome.copied.len());
        original.copy(&to);
        original.sandbox.assert_whole(&to, 4);
        if asked == 1 {
            original.assert_copied(&mut to, &ids);
        }
    }
    assert!(seen.len() >= 4, "stopped after {seen:?} snapshots");
}

fn marker(id: &SnapshotId) -> Vec<u8> {
    let marker = AbortMarker {
        snapshot: id.clone(),
        fenced: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    frame::encode(StoreHash::unkeyed(), ObjectKind::Abort, &marker).unwrap()
}

/// A clean-up that takes the writer for dead: the copy begins again under another id.
#[test]
fn a_fenced_copy_begins_again() {
    let mut original = Original::new();
    let fenced = AtomicBool::new(false);
    let backend = Interfering::new(
        Arc::new(MemoryBackend::new()),
        move |inner, object| match object.strip_prefix(name::WRITERS) {
            Some(id) if !fenced.swap(true, Ordering::SeqCst) => {
                let id: SnapshotId = id.parse().unwrap();
                inner.put_new(&name::snapshot(&id), &marker(&id))
            }
            _ => Ok(()),
        },
    );
    let backend = Arc::new(backend);
    let mut to = original.sandbox.create(backend.clone());
    let outcome = original.copy(&to);
    assert_eq!(outcome.copied.len(), 4);
    assert_eq!(to.snapshot_names().unwrap().ids.len(), 5, "one marker");
    let ids = original.ids.clone();
    original.assert_copied(&mut to, &ids);
}

/// An id is never used twice: what was there and has been cleaned up comes again under a new one.
#[test]
fn a_snapshot_that_was_removed_there_is_copied_again_under_a_new_id() {
    let mut original = Original::new();
    let (backend, mut to) = original.empty();
    let first = original.copy(&to).copied.remove(1).snapshot.id;
    let object = name::snapshot(&first.parse().unwrap());
    backend.delete(&object).unwrap();
    backend
        .put_new(&object, &marker(&first.parse().unwrap()))
        .unwrap();
    let again = original.copy(&to);
    assert_eq!((again.copied.len(), again.present.len()), (1, 3));
    assert_ne!(again.copied[0].snapshot.id, first);
    let ids = original.ids.clone();
    original.assert_copied(&mut to, &ids);
}

/// A target that keeps its cache of footers between writers, as the program does.
fn with_cache(original: &Original, backend: Arc<dyn Backend>) -> Store {
    original.sandbox.create(backend.clone());
    let dir = original.sandbox.path("cache");
    fs::create_dir_all(&dir).unwrap();
    let usage = Usage {
        cache_dir: Some(dir),
        compression: 3,
        rules: larder::store::rules::Rules::default(),
    };
    Store::open(backend, original.sandbox.env.clone(), usage).unwrap()
}

/// W3: what earlier snapshots of the run reach is not read again, as long as they stand.
#[test]
fn what_snapshots_share_is_walked_once() {
    let mut original = Original::new();
    for id in 100..110 {
        original.step(&format!("UPDATE k SET b = -{id} WHERE b = 50"));
    }
    let reads = |to: &Store| {
        let outcome = original.copy(to);
        assert_eq!(outcome.copied.len(), 14);
        original.sandbox.assert_whole(to, 14);
        outcome.blobs_read
    };
    let skipping = reads(&with_cache(&original, Arc::new(MemoryBackend::new())));
    let looking = reads(&original.empty().1);
    println!("{skipping} blobs read, {looking} without skipping");
    assert!(skipping * 4 < looking * 3, "{skipping} of {looking}");
}

/// A clean-up that begins, a pack that vanishes, or a snapshot that is deleted between two snapshots: then
/// each blob is looked up, and stored again where it must be.
#[test]
fn nothing_is_taken_as_known_that_may_be_gone() {
    // Nodes of one table and large values of another are the same in all of them.
    let changes = [50, 100, 150].map(|b| format!("UPDATE k SET b = -{b} WHERE b = {b}"));
    let changes = changes.each_ref().map(String::as_str);
    for what in ["condemned", "gone", "manifest"] {
        let mut original = Original::of(TABLES, &changes);
        let writers = std::sync::Mutex::new(0);
        let backend = Interfering::new(Arc::new(MemoryBackend::new()), move |inner, object| {
            if !object.starts_with(name::WRITERS) {
                return Ok(());
            }
            let mut writers = writers.lock().unwrap();
            *writers += 1;
            // The first and second snapshot stand, the third begins.
            if *writers != 3 {
                return Ok(());
            }
            let packs = names(inner, name::PACKS);
            match what {
                "condemned" => {
                    let condemned = packs.iter().map(|n| name::parse_pack(n).unwrap());
                    let record = GcRecord::of(GcId([0; 16]), condemned.collect());
                    let hash = StoreHash::unkeyed();
                    let record = frame::encode(hash, ObjectKind::Gc, &record).unwrap();
                    inner.put_new(&name::gc(&GcId([0; 16])), &record)?;
                }
                "gone" => {
                    for pack in packs {
                        inner.delete(&pack)?;
                    }
                }
                _ => {
                    for object in packs.into_iter().chain(names(inner, name::SNAPSHOTS)) {
                        inner.delete(&object)?;
                    }
                }
            }
            Ok(())
        });
        let backend = Arc::new(backend);
        let mut to = with_cache(&original, backend.clone());
        assert_eq!(original.copy(&to).copied.len(), 4, "{what}");
        // What came after stands on what came after.
        if what == "condemned" {
            let condemned = names(&*backend, name::GC).remove(0);
            let record = backend.get(&condemned, u64::MAX).unwrap();
            let record: GcRecord =
                frame::decode(StoreHash::unkeyed(), ObjectKind::Gc, &record, "").unwrap();
            for pack in &record.condemned {
                backend.delete(&name::pack(pack)).unwrap();
            }
        }
        for id in &original.ids[2..] {
            let copy = select::one(&to, id.as_str(), &SourceChoice::Any)
                .unwrap()
                .id;
            let restored = original.sandbox.restore(&mut to, &copy);
            let was = original.sandbox.restore(&mut original.store, id);
            assert!(restored == was, "{what}: {id}");
        }
    }
}

/// A restore can be undone from a copy: what its snapshots name are the copies.
#[test]
fn a_restore_is_undone_from_a_copy() {
    let mut stage = Stage::new();
    let make = "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    let from = stage.make("from.db", make);
    let snapshot = stage.back_up(&from);
    let to = stage.make("to.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
    let before = content(&to);
    stage.restore(&snapshot, &to, Mode::Add);
    assert_ne!(content(&to), before);
    let options = StoreOptions {
        location: stage.dir.path().join("copy"),
        cache_dir: None,
        compression: 3,
    };
    let mut copy = open::create(&options, &stage.world).unwrap();
    let all = CopyOptions::default();
    let outcome = copy::run(&stage.store, &copy, &stage.world, &all, &mut NoProgress).unwrap();
    assert_eq!(outcome.copied.len(), 3, "what the restore took, too");
    let options = UndoOptions {
        target: to.clone(),
        ..UndoOptions::default()
    };
    undo::run(&mut copy, &stage.world, &options, &mut NoProgress).unwrap();
    assert_eq!(content(&to), before);
}

#[test]
fn what_may_not_have_come_to_count_is_copied_by_name_only() {
    let original = Original::new();
    let (_, to) = original.empty();
    let writer = original.store.writer(0).unwrap();
    let mut open = original.store.manifest(&original.ids[3]).unwrap().unwrap();
    open.id = writer.snapshot().clone();
    open.tags = vec![UNCOMMITTED_TAG.to_owned()];
    writer.commit(&open).unwrap();
    let outcome = original.copy(&to);
    assert_eq!((outcome.copied.len(), outcome.uncommitted), (4, 1));
    let outcome = original.copy_some(&to, &[&open.id]).unwrap();
    assert_eq!((outcome.copied.len(), outcome.uncommitted), (1, 0));
}

/// On disk, with real databases where they are: the restored databases are the same, pages apart.
#[test]
fn real_databases_come_back_from_a_copy() {
    let mut shop = Workshop::new();
    let mut states = vec![bakery()];
    if let Some(data) = real_databases() {
        let days = (0..16).map(|day| data.join(format!("series/bake/day-{day:02}.db")));
        states.extend(days);
        states.extend(["elements.db", "nc.gpkg", "chinook.db"].map(|name| data.join(name)));
    }
    for state in &states {
        let database = shop.path("app.db");
        copy_database(state, &database);
        shop.backup(&database);
    }
    let options = StoreOptions {
        location: shop.path("copy"),
        cache_dir: Some(shop.path("cache")),
        compression: 3,
    };
    let to = open::create(&options, &shop.world).unwrap();
    let all = CopyOptions::default();
    let outcome = copy::run(&shop.store, &to, &shop.world, &all, &mut NoProgress).unwrap();
    assert_eq!(outcome.copied.len(), states.len());
    let (was, is) = (shop.store.bytes().unwrap(), to.bytes().unwrap());
    println!("{} snapshots: {was} bytes, copied: {is}", states.len());
    assert!(is * 100 <= was * 103, "{was}, {is}");
    shop.store = to;
    let checked = shop.validate();
    assert_eq!(checked.damage, []);
    for (state, copied) in states.iter().zip(&outcome.copied) {
        let target = shop.path("restored.db");
        shop.restore_new(&copied.from, &target);
        assert_equal(state, &target);
        fs::remove_file(&target).unwrap();
    }
}
