//! The commit protocol, rule by rule (store-format.md, "Write order"): a backup is safe beside a
//! clean-up of a later larder, and beside its own death at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::codec::hash::StoreHash;
use larder::error::Error;
use larder::format::blob::{BlobKind, BlobSink};
use larder::format::frame::{self, ObjectKind};
use larder::format::manifest::Manifest;
use larder::format::protocol::{AbortMarker, GcFinal, GcRecord, WriterRecord};
use larder::format::{limits, name};
use larder::model::id::{GcId, PackId, SnapshotId};
use larder::ops::list;
use larder::ops::open::Store;
use larder::ops::select::{self, SourceChoice};
use larder::progress::Progress;
use larder::store::StoreError;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::{Fault, Operation};
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::{Vfs, VfsErrorKind};

use crate::interfering::Interfering;
use crate::sandbox::{ROOT, Sandbox, names, snapshots};
use crate::workshop::sql;

/// A database of a few rows, and a change of it.
const ROWS: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
    INSERT INTO a VALUES(1,'one'),(2,'two'); CREATE TABLE b(k TEXT PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO b VALUES('x'),('y');";
const CHANGE: &str = "UPDATE a SET x='changed' WHERE id=2";

fn place_of(log: &[Operation], op: &str, prefix: &str) -> Option<usize> {
    let wanted = |o: &Operation| o.op == op && o.name.starts_with(prefix);
    log.iter().position(wanted)
}

fn marker(id: &SnapshotId) -> Vec<u8> {
    let marker = AbortMarker {
        snapshot: id.clone(),
        fenced: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    frame::encode(StoreHash::unkeyed(), ObjectKind::Abort, &marker).unwrap()
}

fn packs(backend: &dyn Backend) -> Vec<PackId> {
    let packs = names(backend, name::PACKS);
    packs.iter().map(|n| name::parse_pack(n).unwrap()).collect()
}

/// W1, W2, W3, W4, barrier, W6, barrier, W7, in the order of the calls.
#[test]
fn the_steps_of_a_backup_come_in_the_order_of_the_rules() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let calls = FaultBackend::new(Arc::new(MemoryBackend::new()));
    let mut store = sandbox.create(Arc::new(calls.clone()));
    sandbox.backup(&mut store, &database);
    sql(&database, CHANGE);
    calls.reset();
    sandbox.backup(&mut store, &database);
    let log = calls.log();
    let at = |op, prefix| place_of(&log, op, prefix).unwrap();
    let sync_after = |from: usize| from + place_of(&log[from..], "sync", "").unwrap();
    let w1 = at("write", "writers/");
    let durable = sync_after(w1);
    let (w2, w3) = (at("list", "gc/"), at("list", "packs/"));
    let (w4, w6) = (at("write", "packs/"), at("write", "snapshots/"));
    let (b1, b3) = (sync_after(w4), sync_after(w6));
    let w7 = at("delete", "writers/");
    let order = [w1, durable, w2, w3, w4, b1, w6, b3, w7];
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?} in {log:#?}");
    assert!(
        log[w7 + 1..].iter().all(|o| o.op != "write"),
        "nothing is written after W7"
    );
}

/// Whatever survives a power cut: a pack without a snapshot has its writer's record beside it, so
/// that a clean-up that finds the pack finds its owner as well.
#[test]
fn no_pack_is_ever_there_without_the_record_of_its_writer() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let disk = MemoryVfs::new();
    disk.create_dir(std::path::Path::new("/home")).unwrap();
    disk.sync_dir(std::path::Path::new("/")).unwrap();
    sandbox.create(sandbox.folder(Arc::new(disk.clone())));
    let mut nth = 1;
    let mut seen = 0;
    loop {
        let disk = disk.copy();
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        faults.fail(Fault::for_ever(nth, VfsErrorKind::Other));
        let done = sandbox
            .try_open(sandbox.folder(Arc::new(faults)))
            .map_err(Error::from)
            .and_then(|mut store| sandbox.try_backup(&mut store, &database));
        for image in [disk.after_power_cut(), disk] {
            let left = sandbox.folder(Arc::new(image));
            let count = |prefix| names(&*left, prefix).len();
            if count(name::PACKS) > 0 && count(name::SNAPSHOTS) == 0 {
                seen += 1;
                assert_eq!(count(name::WRITERS), 1, "cut at {nth}, {ROOT}");
            }
        }
        if done.is_ok() {
            break;
        }
        nth += 1;
    }
    assert!(seen > 3, "the test must not be empty: {seen}");
}

/// Fences the first writers it sees: what a clean-up does that takes them for dead.
fn fencer(times: usize) -> Interfering {
    let left = AtomicUsize::new(times);
    Interfering::new(Arc::new(MemoryBackend::new()), move |inner, name| {
        if let Some(id) = name.strip_prefix(name::WRITERS) {
            let one_less = |left: usize| left.checked_sub(1);
            let fenced = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
            if fenced.is_ok() {
                let id: SnapshotId = id.parse().unwrap();
                inner.put_new(&name::snapshot(&id), &marker(&id))?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_fenced_backup_begins_again_under_a_new_id_and_uses_its_packs() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let backend = Arc::new(fencer(1));
    let mut store = sandbox.create(backend.clone());
    let outcome = sandbox.try_backup(&mut store, &database).unwrap();
    assert_eq!(store.snapshot_names().unwrap().ids.len(), 2, "one marker");
    let visible = snapshots(&store);
    assert_eq!(visible.len(), 1);
    assert_eq!(outcome.snapshot.id, visible[0].to_string());
    assert_eq!(packs(&*backend).len(), 1, "the first try's pack is used");
    assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
    // A marker is no snapshot, whoever asks.
    assert_eq!(outcome.store_snapshots, 1);
    let listed = list::run(&store).unwrap();
    assert_eq!((listed.snapshots.len(), listed.findings.len()), (1, 0));
    let latest = select::one(&store, "latest", &SourceChoice::Any).unwrap();
    assert_eq!(latest.id, visible[0]);
    sandbox.assert_whole(&store, 1);
    sandbox.restore(&mut store, &visible[0]);
    let ids = store.snapshot_names().unwrap().ids;
    let fenced = ids.iter().find(|id| **id != visible[0]).unwrap();
    let asked = select::one(&store, &fenced.to_string(), &SourceChoice::Any);
    assert!(matches!(asked, Err(Error::Select(_))), "{asked:?}");
}

#[test]
fn a_backup_that_is_fenced_again_and_again_says_so_and_commits_nothing() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let backend = Arc::new(fencer(99));
    let mut store = sandbox.create(backend.clone());
    let error = sandbox.try_backup(&mut store, &database).unwrap_err();
    assert!(
        matches!(error, Error::Store(StoreError::Fenced { .. })),
        "{error}"
    );
    assert_eq!(snapshots(&store), []);
    assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
}

/// A store with one snapshot, and the packs that hold it.
fn backed_up(sandbox: &Sandbox) -> (Arc<MemoryBackend>, Vec<PackId>) {
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    sandbox.backup(&mut store, &database);
    let packs = packs(&*backend);
    (backend, packs)
}

fn gc_id() -> GcId {
    GcId([7; 16])
}

fn put_gc(backend: &dyn Backend, condemned: &[PackId]) {
    let record = GcRecord::of(gc_id(), condemned.to_vec());
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Gc, &record).unwrap();
    backend.put_new(&name::gc(&gc_id()), &bytes).unwrap();
}

fn put_verdict(backend: &dyn Backend, verdict: &GcFinal) {
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::GcFinal, verdict).unwrap();
    backend.put_new(&name::gc_final(&gc_id()), &bytes).unwrap();
}

#[test]
fn packs_that_may_go_are_not_leaned_on() {
    type Plant = fn(&dyn Backend, &[PackId]);
    let plants: [(&str, Plant); 5] = [
        ("condemned", |b, packs| put_gc(b, packs)),
        ("dead, the record gone", |b, packs| {
            let dead = packs.to_vec();
            put_verdict(
                b,
                &GcFinal::Sealed {
                    clean_up: gc_id(),
                    dead,
                    time: String::new(),
                },
            );
        }),
        ("condemned and sealed", |b, packs| {
            put_gc(b, packs);
            let dead = packs.to_vec();
            put_verdict(
                b,
                &GcFinal::Sealed {
                    clean_up: gc_id(),
                    dead,
                    time: String::new(),
                },
            );
        }),
        // Not needed, and harmless: the record is on its way out.
        ("condemned and aborted", |b, packs| {
            put_gc(b, packs);
            put_verdict(
                b,
                &GcFinal::Abort {
                    clean_up: gc_id(),
                    time: String::new(),
                },
            );
        }),
        ("marked as damaged", |b, packs| {
            for pack in packs {
                b.put_new(&format!("damaged/{pack}"), b"").unwrap();
            }
        }),
    ];
    for (what, plant) in plants {
        let sandbox = Sandbox::new();
        let (backend, old) = backed_up(&sandbox);
        plant(&*backend, &old);
        let mut store = sandbox.open(backend.clone());
        // Nothing changed, and yet all of it is stored again.
        let second = sandbox.backup(&mut store, &sandbox.path("a.db"));
        for pack in &old {
            backend.delete(&name::pack(pack)).unwrap();
        }
        let mut store = sandbox.open(backend.clone());
        assert!(!packs(&*backend).is_empty(), "{what}");
        sandbox.assert_whole(&store, 2);
        sandbox.restore(&mut store, &second);
    }
}

#[test]
fn an_open_clean_up_does_not_keep_a_reader_from_reading() {
    let sandbox = Sandbox::new();
    let (backend, old) = backed_up(&sandbox);
    put_gc(&*backend, &old);
    let mut store = sandbox.open(backend);
    let id = snapshots(&store).remove(0);
    sandbox.restore(&mut store, &id);
}

/// A verdict that cannot be read may have named any pack: a writer stops. A reader tries all
/// copies anyway, and validation names the object.
#[test]
fn a_clean_up_that_cannot_be_read_stops_writers_only() {
    for object in [format!("gc/{:032x}", 7), format!("gc/{:032x}.final", 7)] {
        let sandbox = Sandbox::new();
        let (backend, _) = backed_up(&sandbox);
        backend.put_new(&object, b"garbage").unwrap();
        let mut store = sandbox.open(backend.clone());
        let error = sandbox
            .try_backup(&mut store, &sandbox.path("a.db"))
            .unwrap_err();
        assert!(error.to_string().contains(&object), "{error}");
        assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
        let id = snapshots(&store).remove(0);
        sandbox.restore(&mut store, &id);
        let damage = sandbox.try_validate(&store).unwrap().damage;
        assert_eq!(damage.len(), 1);
        assert_eq!(damage[0].object, object);
    }
}

fn read_record(backend: &dyn Backend, id: &SnapshotId) -> WriterRecord {
    let bytes = backend
        .get(&name::writer(id), limits::OBJECT_BYTES_MAX)
        .unwrap();
    frame::decode(StoreHash::unkeyed(), ObjectKind::Writer, &bytes, "record").unwrap()
}

/// The wall clock may say what it likes; and hours may pass in which every blob is known.
#[test]
fn the_writer_record_is_refreshed_every_five_minutes_of_monotonic_time() {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let store = sandbox.create(backend.clone());
    let mut writer = store.writer(0).unwrap();
    let id = writer.snapshot().clone();
    let mut beats = Vec::new();
    for minutes in [0, 4, 2, 1, 5, 60] {
        sandbox.env.advance(Duration::from_secs(minutes * 60));
        sandbox.env.set_unix_ms(0);
        writer.put(BlobKind::Chunk, b"always the same").unwrap();
        beats.push(read_record(&*backend, &id).beat);
    }
    assert_eq!(beats, [0, 0, 1, 1, 2, 3]);
    writer.abandon().unwrap();
    assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
}

/// The manifest of the only snapshot, as one that another writer would commit.
fn manifest_for(store: &Store, id: &SnapshotId) -> Manifest {
    let only = snapshots(store).remove(0);
    let mut manifest = store.manifest(&only).unwrap().unwrap();
    manifest.id = id.clone();
    manifest
}

#[test]
fn nothing_is_committed_thirty_days_after_the_start() {
    let day = Duration::from_secs(24 * 3600);
    for (age, commits) in [(30 * day, true), (30 * day + day / 24, false)] {
        let sandbox = Sandbox::new();
        let (backend, _) = backed_up(&sandbox);
        let store = sandbox.open(backend.clone());
        let writer = store.writer(0).unwrap();
        let manifest = manifest_for(&store, writer.snapshot());
        sandbox.env.advance(age);
        match writer.commit(&manifest) {
            Ok(_) => assert!(commits),
            Err(StoreError::TooOld { days: 30, .. }) => assert!(!commits),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(snapshots(&store).len(), 1 + usize::from(commits));
        assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
    }
}

/// Every backend call fails in turn, with its effect or without: the record does not stay, unless
/// removing it failed, or nobody can say whether the snapshot was committed.
#[test]
fn a_failed_backup_takes_its_writer_record_away() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let mut failures = 0;
    for kind in [BackendErrorKind::Other, BackendErrorKind::NoSpace] {
        for make in [Fault::once, Fault::lost_reply] {
            let mut nth = 1;
            loop {
                let memory = Arc::new(MemoryBackend::new());
                let calls = FaultBackend::new(memory.clone());
                let mut store = sandbox.create(Arc::new(calls.clone()));
                calls.reset();
                calls.fail(make(nth, kind));
                let done = sandbox.try_backup(&mut store, &database);
                let Some(hit) = calls.log().get(nth - 1).cloned() else {
                    break;
                };
                match &done {
                    Ok(_) => {}
                    Err(Error::Store(error)) => {
                        assert_eq!(error.backend_kind(), Some(kind), "{hit:?}: {error}");
                        failures += 1;
                    }
                    Err(error) => panic!("{hit:?}: {error}"),
                }
                if hit.op != "delete" {
                    assert_eq!(names(&*memory, name::WRITERS), [""; 0], "{hit:?}");
                }
                nth += 1;
            }
        }
    }
    assert!(failures > 20, "the test must not be empty: {failures}");
}

/// The snapshot is committed: that its writer's record stays is no failure of the backup.
#[test]
fn a_backup_that_was_committed_never_reports_a_failure() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let mut committed = 0;
    for nth in 1.. {
        let calls = FaultBackend::new(Arc::new(MemoryBackend::new()));
        let mut store = sandbox.create(Arc::new(calls.clone()));
        calls.reset();
        calls.fail(Fault::for_ever(nth, BackendErrorKind::Other));
        let done = sandbox.try_backup(&mut store, &database);
        let log = calls.log();
        calls.reset();
        let commit = place_of(&log, "write", name::SNAPSHOTS);
        let barrier = commit.and_then(|at| Some(at + place_of(&log[at..], "sync", "")?));
        if barrier.is_some_and(|at| at + 1 < nth) {
            assert_eq!(done.unwrap().store_snapshots, 1, "{nth}");
            sandbox.assert_whole(&store, 1);
            committed += 1;
        }
        if log.len() < nth {
            break;
        }
    }
    assert!(committed > 1, "the test must not be empty: {committed}");
}

#[test]
fn what_a_backup_reports_of_the_store_is_what_is_there() {
    let sandbox = Sandbox::new();
    let (backend, _) = backed_up(&sandbox);
    let mut store = sandbox.open(backend);
    let outcome = sandbox
        .try_backup(&mut store, &sandbox.path("a.db"))
        .unwrap();
    assert_eq!(outcome.store_bytes, store.bytes().unwrap());
    assert_eq!(outcome.store_snapshots, 2);
}

/// Stops after so many looks.
struct Stop {
    left: std::cell::Cell<usize>,
}

impl Progress for Stop {
    fn cancelled(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }
}

#[test]
fn a_cancelled_backup_takes_its_writer_record_away_and_commits_nothing() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    sql(
        &database,
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
           INSERT INTO a SELECT i, 'n' FROM n;
         CREATE TABLE l(x); INSERT INTO l VALUES(randomblob(40000))",
    );
    let mut cancelled = 0;
    for looks in 0.. {
        let backend = Arc::new(MemoryBackend::new());
        let mut store = sandbox.create(backend.clone());
        let left = std::cell::Cell::new(looks);
        let done = sandbox.backup_with(&mut store, &database, &mut Stop { left });
        assert_eq!(names(&*backend, name::WRITERS), [""; 0]);
        match done {
            Ok(_) => break,
            Err(Error::Cancelled) => assert_eq!(snapshots(&store), []),
            Err(error) => panic!("{error}"),
        }
        cancelled += 1;
    }
    assert!(cancelled >= 3, "{cancelled}");
}

/// Somebody else took the writer's record away: what it leans on may be gone, so it begins again.
#[test]
fn a_backup_whose_record_was_taken_away_does_not_commit_on_what_it_had() {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    sql(&database, ROWS);
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let store = sandbox.create(memory.clone());
    let writer = store.writer(0).unwrap();
    let id = writer.snapshot().clone();
    memory.delete(&name::writer(&id)).unwrap();
    let mut other = sandbox.open(memory.clone());
    sandbox.backup(&mut other, &database);
    let refused = writer.commit(&manifest_for(&store, &id));
    assert!(
        matches!(refused, Err(StoreError::Fenced { .. })),
        "{refused:?}"
    );
    assert!(store.manifest(&id).unwrap().is_none());
}
