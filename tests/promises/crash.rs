//! A backup cut off at any file operation, or met by any single fault: what was there stays, what
//! is new is complete or invisible, and what was reported survives a power cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::error::Error;
use larder::format::blob::BlobKind;
use larder::model::id::SnapshotId;
use larder::ops::backup::BackupOutcome;
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::faults::{Fault, Operation};
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::{Vfs, VfsErrorKind};

use crate::sandbox::{ROOT, Sandbox, scale, snapshots};
use crate::shelf::deltas_in;
use crate::workshop::sql;

/// Three states of a database: several tables, large values that are shared, one that is new, one
/// that changes; each of the last two is stored as deltas of leaves, the third also of a chunk.
const STATES: [&str; 3] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n REAL);
     INSERT INTO a VALUES(1,'one',0.5),(2,'two',-1e300),(3,NULL,3);
     WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 90)
       INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003), i / 8.0 FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
     INSERT INTO b VALUES('x',1),('y',x'00ff');
     CREATE TABLE large(v); INSERT INTO large VALUES(zeroblob(50000));
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
       INSERT INTO large SELECT group_concat(printf('%.90c%d', 'x', i * 2654435761 % 1000003), '') FROM n;",
    "UPDATE a SET x='zwei' WHERE id=2; DELETE FROM b WHERE k='x'; CREATE INDEX i ON a(x);",
    "INSERT INTO a VALUES(9,'nine',9); INSERT INTO large VALUES(zeroblob(70000));
     UPDATE large SET v = substr(v, 1, 9000) || 'other' || substr(v, 9001) WHERE rowid = 2;
     CREATE TABLE c(z); INSERT INTO c VALUES('new');",
];

/// A disk with a store of two snapshots, and a database in its third state.
struct Scene {
    sandbox: Sandbox,
    database: PathBuf,
    disk: MemoryVfs,
    old: Vec<(SnapshotId, Vec<u8>)>,
    /// What the third state restores to.
    new: Vec<u8>,
}

fn scene() -> Scene {
    let sandbox = Sandbox::new();
    let database = sandbox.path("a.db");
    let disk = MemoryVfs::new();
    disk.create_dir(Path::new("/home")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    let mut store = sandbox.create(sandbox.folder(Arc::new(disk.clone())));
    let mut old = Vec::new();
    for state in &STATES[..2] {
        sql(&database, state);
        let id = sandbox.backup(&mut store, &database);
        let restored = sandbox.restore(&mut store, &id);
        old.push((id, restored));
    }
    sql(&database, STATES[2]);
    let aside = sandbox.folder(Arc::new(disk.copy()));
    let before = deltas_in(&*aside);
    let mut store = sandbox.open(aside.clone());
    let id = sandbox.backup(&mut store, &database);
    let new = sandbox.restore(&mut store, &id);
    let mut deltas = deltas_in(&*aside);
    deltas.retain(|delta| !before.contains(delta));
    for kind in [BlobKind::Leaf, BlobKind::Chunk, BlobKind::Schema] {
        let found = deltas.iter().any(|delta| delta.kind == kind);
        assert!(found, "no delta of a {}", kind.name());
    }
    Scene {
        sandbox,
        database,
        disk,
        old,
        new,
    }
}

/// A backup on a copy of the disk that went wrong, or not.
struct Run {
    disk: MemoryVfs,
    done: Result<BackupOutcome, Error>,
    log: Vec<Operation>,
}

impl Scene {
    fn run(&self, fault: Option<Fault<VfsErrorKind>>, short_writes: bool) -> Run {
        let disk = self.disk.copy();
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        faults.write_short(short_writes);
        if let Some(fault) = fault {
            faults.fail(fault);
        }
        let opened = self
            .sandbox
            .try_open(self.sandbox.folder(Arc::new(faults.clone())));
        let done = opened
            .map_err(Error::from)
            .and_then(|mut store| self.sandbox.try_backup(&mut store, &self.database));
        Run {
            disk,
            done,
            log: faults.log(),
        }
    }

    /// The old snapshots are as they were; a new one, if any can be seen, is complete. Gives
    /// whether it can.
    fn examine(&self, image: &MemoryVfs, what: &str) -> bool {
        let sandbox = &self.sandbox;
        let mut store = sandbox.open(sandbox.folder(Arc::new(image.clone())));
        let visible = snapshots(&store);
        for (id, content) in &self.old {
            assert!(visible.contains(id), "{what}: {id} is lost");
            assert!(sandbox.restore(&mut store, id) == *content, "{what}: {id}");
        }
        let is_new = |id: &&SnapshotId| self.old.iter().all(|(old, _)| old != *id);
        let new: Vec<&SnapshotId> = visible.iter().filter(is_new).collect();
        assert!(new.len() <= 1, "{what}: {new:?}");
        for id in &new {
            assert!(sandbox.restore(&mut store, id) == self.new, "{what}: {id}");
        }
        let validated = sandbox.try_validate(&store).unwrap();
        assert_eq!(validated.damage, [], "{what}");
        assert_eq!(validated.findings, [], "{what}");
        !new.is_empty()
    }

    /// The next run leans on what the one that was cut off has left, and only then comes the power cut:
    /// what it reports is durable, whoever wrote it.
    fn lean(&self, disk: &MemoryVfs, what: &str) {
        let disk = disk.copy();
        let mut store = self
            .sandbox
            .open(self.sandbox.folder(Arc::new(disk.clone())));
        let id = self.sandbox.backup(&mut store, &self.database);
        let after = disk.after_power_cut();
        let mut store = self.sandbox.open(self.sandbox.folder(Arc::new(after)));
        let restored = self.sandbox.try_restore(&mut store, &id);
        let restored = restored.unwrap_or_else(|e| panic!("{what}, then a backup: {e}"));
        assert!(restored == self.new, "{what}, then a backup");
    }

    /// The next run finds nothing in its way.
    fn go_on(&self, image: &MemoryVfs, what: &str) {
        let mut store = self
            .sandbox
            .open(self.sandbox.folder(Arc::new(image.copy())));
        let id = self.sandbox.backup(&mut store, &self.database);
        assert!(self.sandbox.restore(&mut store, &id) == self.new, "{what}");
    }
}

#[test]
fn a_backup_cut_at_any_file_operation_keeps_every_snapshot_and_its_word() {
    let scene = scene();
    let calm = scene.run(None, false);
    calm.done.unwrap();
    let operations = calm.log.len();
    assert!(operations > 30, "{operations}");
    let mut complete = 0;
    for nth in 1..=operations + 1 {
        let run = scene.run(Some(Fault::for_ever(nth, VfsErrorKind::Other)), false);
        let what = format!("cut at {nth} of {operations}, {:?}", run.log.get(nth - 1));
        let after = run.disk.after_power_cut();
        scene.examine(&run.disk, &what);
        // A manifest's name may be on the disk before anybody asked for it: what it needs must be.
        let early = |path: &Path| path.starts_with(Path::new(ROOT).join("snapshots"));
        let early = run.disk.after_power_cut_with(&early);
        scene.examine(&early, &format!("{what}, the snapshot's name survives"));
        let survives = scene.examine(&after, &what);
        complete += usize::from(survives);
        match &run.done {
            Ok(_) => assert!(survives, "{what}: reported, and lost in a power cut"),
            Err(Error::Store(_)) => {}
            Err(error) => panic!("{what}: {error}"),
        }
        scene.go_on(&after, &what);
        scene.lean(&run.disk, &what);
    }
    println!(
        "{} cuts, {complete} of them after the commit",
        operations + 1
    );
    assert!(complete > 0);
}

/// Every operation fails once, with its effect or without, for every reason there is.
#[test]
fn a_backup_met_by_any_single_fault_keeps_every_snapshot_and_names_the_reason() {
    let scene = scene();
    let mut kinds = vec![VfsErrorKind::Other, VfsErrorKind::NoSpace];
    if scale() > 1 {
        kinds.extend([
            VfsErrorKind::Denied,
            VfsErrorKind::Transient,
            VfsErrorKind::OutcomeUnknown,
            VfsErrorKind::NotFound,
            VfsErrorKind::Exists,
        ]);
    }
    let (mut runs, mut failed) = (0, 0);
    for short_writes in [false, true] {
        let operations = scene.run(None, short_writes).log.len();
        for nth in 1..=operations {
            for &kind in &kinds {
                for fault in [Fault::once(nth, kind), Fault::lost_reply(nth, kind)] {
                    // Short writes only add operations; the reasons were tried without them.
                    if short_writes && (scale() == 1 && (fault.after_effect || nth % 3 != 0)) {
                        continue;
                    }
                    let run = scene.run(Some(fault), short_writes);
                    let what = format!("{fault:?} at {:?}", run.log.get(nth - 1));
                    let after = run.disk.after_power_cut();
                    let survives = scene.examine(&after, &what);
                    runs += 1;
                    match &run.done {
                        Ok(_) => assert!(survives, "{what}: reported, and lost"),
                        Err(Error::Store(_)) => failed += 1,
                        Err(error) => panic!("{what}: {error}"),
                    }
                }
            }
        }
    }
    println!("{runs} faults, {failed} of them failed the backup");
    assert!(failed > 30, "{failed}");
}

#[test]
fn short_writes_alone_change_nothing() {
    let scene = scene();
    let run = scene.run(None, true);
    run.done.unwrap();
    assert!(scene.examine(&run.disk.after_power_cut(), "short writes"));
}

/// The first backup ever, cut at any operation: the next one finds a folder that it can use.
#[test]
fn a_store_being_made_can_be_cut_at_any_operation() {
    let sandbox = Sandbox::new();
    let empty = MemoryVfs::new();
    empty.create_dir(Path::new("/home")).unwrap();
    empty.sync_dir(Path::new("/")).unwrap();
    for nth in 1.. {
        let disk = empty.copy();
        let faults = FaultVfs::new(Arc::new(disk.clone()));
        faults.fail(Fault::for_ever(nth, VfsErrorKind::Other));
        let backend = sandbox.folder(Arc::new(faults.clone()));
        let made =
            larder::ops::open::Store::create(backend, sandbox.env.clone(), crate::sandbox::usage());
        let after = disk.after_power_cut();
        let options = larder::ops::open::StoreOptions {
            location: PathBuf::from(crate::sandbox::ROOT),
            cache_dir: None,
            compression: 3,
        };
        let world = larder::ops::open::World {
            env: sandbox.env.clone(),
            vfs: Arc::new(after.clone()),
        };
        let opened = larder::ops::open::open(&options, &world);
        assert!(
            opened.is_ok() || made.is_err(),
            "{nth}: reported, and lost in a power cut"
        );
        if opened.is_err() {
            larder::ops::open::create(&options, &world).unwrap();
        }
        if faults.count() < nth {
            break;
        }
    }
}
