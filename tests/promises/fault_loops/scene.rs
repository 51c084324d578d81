//! The stores that commands begin with, and what must be there after each run, whatever failed.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::env::Env;
use larder::format::manifest::Manifest;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::backup::{self, BackupOptions};
use larder::ops::export::{self, ExportOptions};
use larder::ops::open::{Store, World};
use larder::progress::NoProgress;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::Vfs;

use super::commands::{Command, Start};
use super::place::{OTHER, Place, TwoVfs, files, local};
use crate::sandbox::{ROOT, Sandbox, names, snapshots};
use crate::workshop::sql;

const STATES: [&str; 5] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
     CREATE TABLE large(v); CREATE TABLE b(k PRIMARY KEY, v) WITHOUT ROWID;
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
       INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003) FROM n;
     INSERT INTO b VALUES('x',1),('y',x'00ff');
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
       INSERT INTO large SELECT group_concat(printf('%d', i * 2654435761 % 1000003), '') FROM n;",
    "UPDATE a SET x = 'zwei' WHERE id = 2; INSERT INTO a VALUES(100, 'hundred');
     UPDATE large SET v = substr(v, 1, 700) || 'other' || substr(v, 701);",
    "DELETE FROM b WHERE k = 'x'; UPDATE a SET x = 'drei' WHERE id = 3; CREATE TABLE c(z);
     INSERT INTO c VALUES(1);",
    "DROP TABLE c; UPDATE a SET x = 'vier' WHERE id BETWEEN 4 AND 9;",
    "UPDATE a SET x = 'fuenf' WHERE id = 5; INSERT INTO large VALUES(zeroblob(3000));",
];

/// What must stay in a store.
#[derive(Default)]
pub struct Kept {
    /// All snapshots, forgotten ones too.
    pub old: BTreeMap<SnapshotId, Manifest>,
    pub visible: Vec<SnapshotId>,
}

/// What a start is made of.
pub struct Scene {
    pub sandbox: Sandbox,
    pub disks: BTreeMap<Start, MemoryVfs>,
    /// Files of every place, and of one with a database that was restored into.
    files: BTreeMap<String, Vec<u8>>,
    restored: Vec<u8>,
    /// What is in the store of most starts, in the large one, and in the one beside.
    pub full: Kept,
    pub large: Kept,
    pub other: Kept,
    /// Forgotten and pinned: a prune must leave it.
    pub pinned: SnapshotId,
    pub second: SnapshotId,
    clock_ms: i64,
    examined: HashSet<[u8; 32]>,
    pub examined_count: u64,
    clean: HashSet<[u8; 32]>,
}

pub fn back_up(sandbox: &Sandbox, store: &mut Store, database: &Path, name: &str) -> SnapshotId {
    let options = BackupOptions {
        database: database.to_owned(),
        name: Some(name.to_owned()),
        tags: Vec::new(),
        source_name: Some("test".to_owned()),
        busy_timeout: Duration::from_millis(200),
        temp_dir: None,
        check_source: None,
        strict: false,
        reading: backup::Reading::default(),
        fast_skip_from: None,
    };
    sandbox.env.advance(Duration::from_secs(1));
    let done = backup::run(store, &sandbox.world(), &options, &mut NoProgress).unwrap();
    done.snapshot.id.parse().unwrap()
}

impl Scene {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let nothing = MemoryVfs::new();
        nothing.create_dir(Path::new("/home")).unwrap();
        nothing.sync_dir(Path::new("/")).unwrap();
        let empty = nothing.copy();
        sandbox.create(sandbox.folder(Arc::new(empty.clone())));
        let disk = empty.copy();
        let mut store = sandbox.open(sandbox.folder(Arc::new(disk.clone())));
        let database = sandbox.path("app.db");
        let names = ["first", "second", "third", "fourth"];
        let mut ids = Vec::new();
        for (state, name) in STATES.iter().zip(names) {
            sql(&database, state);
            if name == "fourth" {
                std::fs::copy(&database, sandbox.path("live.db")).unwrap();
            }
            ids.push(back_up(&sandbox, &mut store, &database, name));
            if name == "first" {
                std::fs::copy(&database, sandbox.path("first.db")).unwrap();
            }
        }
        let manifest = store.manifest(&ids[0]).unwrap().unwrap();
        let to = sandbox.path("export");
        let options = ExportOptions::default();
        export::run(&store, &manifest, &to, &options, &mut NoProgress).unwrap();
        // The third goes, and what only it needs; a fifth is forgotten and pinned.
        sql(
            &sandbox.path("live.db"),
            "UPDATE a SET x = 'mine' WHERE id = 9",
        );
        ids.push(back_up(
            &sandbox,
            &mut store,
            &sandbox.path("live.db"),
            "pinned",
        ));
        store.forget(&ids[2]).unwrap();
        store.pin(&ids[4]).unwrap();
        store.forget(&ids[4]).unwrap();
        sql(&database, STATES[4]);
        let mut old = BTreeMap::new();
        for id in &ids {
            old.insert(id.clone(), store.manifest(id).unwrap().unwrap());
        }
        std::fs::create_dir(sandbox.path("temp")).unwrap();
        let mut scene = Self {
            disks: BTreeMap::new(),
            files: files(sandbox.dir.path()),
            restored: Vec::new(),
            full: Kept {
                old,
                visible: vec![ids[0].clone(), ids[1].clone(), ids[3].clone()],
            },
            large: Kept::default(),
            other: Kept::default(),
            pinned: ids[4].clone(),
            second: ids[1].clone(),
            clock_ms: sandbox.env.unix_ms(),
            sandbox,
            examined: HashSet::new(),
            examined_count: 0,
            clean: HashSet::new(),
        };
        scene.files.retain(|name, _| !name.contains("store"));
        scene.disks.insert(Start::Nothing, nothing);
        scene.disks.insert(Start::Empty, empty);
        scene.disks.insert(Start::Full, disk);
        scene.restore();
        scene.more_starts(&ids[0]);
        scene
    }

    /// Makes the start at which a restore has changed a database.
    fn restore(&mut self) {
        let disk = self.disk(Start::Full);
        let vfs = Arc::new(TwoVfs {
            memory: disk.clone(),
        });
        // Not the process that is tried later: what it names has a name of its own.
        let place = self.place_for(Start::Full, vfs, 1);
        let commands = super::commands::COMMANDS;
        let into = commands
            .iter()
            .find(|c| c.name == "restore into a database");
        (into.unwrap().run)(&place).unwrap();
        self.restored = std::fs::read(place.path("live.db")).unwrap();
        self.disks.insert(Start::Restored, disk);
    }

    pub fn disk(&self, start: Start) -> MemoryVfs {
        self.disks[&start].copy()
    }

    /// A folder as it is at a start, and a process.
    pub fn place(&self, start: Start, vfs: Arc<dyn Vfs>) -> Place {
        self.place_for(start, vfs, 2)
    }

    fn place_for(&self, start: Start, vfs: Arc<dyn Vfs>, process: u32) -> Place {
        let folder = self.sandbox.path("place");
        let _ = std::fs::remove_dir_all(&folder);
        for below in ["", "temp", "export"] {
            std::fs::create_dir(folder.join(below)).unwrap();
        }
        for (name, bytes) in &self.files {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        if start == Start::Restored {
            std::fs::write(folder.join("live.db"), &self.restored).unwrap();
        }
        self.process(folder, vfs, process)
    }

    /// The same folder for another process.
    pub fn again(&self, folder: PathBuf, vfs: Arc<dyn Vfs>) -> Place {
        self.process(folder, vfs, 3)
    }

    /// A process of this number: each time with the same clock and the same random bytes, so that many
    /// faults leave the same, which is then looked at once.
    fn process(&self, folder: PathBuf, vfs: Arc<dyn Vfs>, number: u32) -> Place {
        let env = SeededEnv::new(number.into());
        env.set_unix_ms(self.clock_ms + 60_000 * i64::from(number));
        for _ in 0..number {
            env.begin_process();
        }
        let world = World {
            env: Arc::new(env),
            vfs,
        };
        Place {
            folder,
            world,
            backend: None,
        }
    }

    /// All that must be there is there, in memory and after a power cut.
    pub fn examine(&mut self, command: &Command, disk: &MemoryVfs, what: &str) {
        if matches!(command.start, Start::Nothing | Start::Empty) {
            return;
        }
        for (image, when) in [(disk.copy(), "now"), (disk.after_power_cut(), "power cut")] {
            if self.examined.insert(digest(&image)) {
                self.examined_count += 1;
                self.image(command, &image, &format!("{what}, {when}"));
            }
        }
    }

    fn image(&self, command: &Command, image: &MemoryVfs, what: &str) {
        if command.start.is_damaged() {
            self.repair(image, command.start, what);
        }
        let kept = match command.start {
            Start::Large | Start::Covered => &self.large,
            _ => &self.full,
        };
        self.store(command, image, (ROOT, kept), what);
        if command.start.has_other() && command.start != Start::Lacking {
            self.store(command, image, (OTHER, &self.other), what);
        }
    }

    fn store(&self, command: &Command, image: &MemoryVfs, (root, kept): (&str, &Kept), what: &str) {
        let env: Arc<dyn Env> = self.sandbox.env.clone();
        let mut store = self
            .sandbox
            .open(local(Arc::new(image.clone()), &env, root));
        let marks = command.name.starts_with("forget");
        let listed = store.snapshot_names().unwrap();
        for id in &kept.visible {
            let may_go = marks && *id == self.second;
            assert!(listed.ids.contains(id) || may_go, "{what}: {id} is lost");
        }
        for (id, manifest) in &kept.old {
            let found = store.manifest(id).unwrap();
            // Only a prune deletes, and what is forgotten and not pinned.
            let may_go = command.name.starts_with("prune")
                && !kept.visible.contains(id)
                && *id != self.pinned;
            match found {
                Some(found) => assert_eq!(found, *manifest, "{what}: {id}"),
                None => assert!(may_go, "{what}: {id} is gone"),
            }
        }
        self.sandbox.is_whole(&store, what);
        // What is forgotten can be had back as long as it is there.
        for id in &listed.forgotten {
            if store.manifest(id).unwrap().is_some() {
                match store.unforget(id) {
                    Ok(_) | Err(larder::store::StoreError::Pruned { .. }) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
        self.sandbox
            .is_whole(&store, &format!("{what}, all taken back"));
        if self.examined_count.is_multiple_of(20) {
            for id in snapshots(&store) {
                self.sandbox.restore(&mut store, &id);
            }
        }
    }

    /// A process after all that were tried.
    pub fn after_all(&self) -> SeededEnv {
        let env = SeededEnv::new(77);
        env.set_unix_ms(self.clock_ms * 2);
        for _ in 0..10 {
            env.begin_process();
        }
        env
    }

    /// After a run without faults and a prune nothing is left over.
    pub fn is_clean(&mut self, disk: &MemoryVfs, start: Start, what: &str) {
        if !self.clean.insert(digest(disk)) && temporary(disk) == 0 {
            return;
        }
        self.ends_clean(disk, ROOT, what);
        if start.has_other() {
            self.ends_clean(disk, OTHER, what);
        }
    }

    fn ends_clean(&self, disk: &MemoryVfs, root: &str, what: &str) {
        let env: Arc<dyn Env> = Arc::new(self.after_all());
        let backend = local(Arc::new(disk.clone()), &env, root);
        let store = Store::open(backend.clone(), env.clone(), crate::sandbox::usage()).unwrap();
        let world = World {
            env,
            vfs: self.sandbox.world().vfs,
        };
        let options = larder::ops::prune::PruneOptions {
            max_wait: Duration::ZERO,
            ..Default::default()
        };
        let pruned = larder::ops::prune::run(&store, &world, &options, &mut NoProgress);
        let pruned = pruned.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(!pruned.damaged, "{what}: {pruned:?}");
        assert_eq!(names(&*backend, name::WRITERS), [""; 0], "{what}");
        let records = names(&*backend, name::GC);
        assert!(
            records.iter().all(|r| r.ends_with(".final")),
            "{what}: {records:?}"
        );
        self.sandbox.is_whole(&store, what);
    }
}

/// How many temporary files a disk has.
pub fn temporary(disk: &MemoryVfs) -> usize {
    let listed = disk.list(&Path::new(ROOT).join("tmp"));
    listed.map_or(0, |entries| entries.len())
}

fn digest(disk: &MemoryVfs) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for entry in disk.list(Path::new("/home")).unwrap_or_default() {
        // Temporary files of either store.
        if entry.path.iter().nth(1).is_some_and(|part| part == "tmp") {
            continue;
        }
        hasher.update(entry.path.to_string_lossy().as_bytes());
        hasher.update(&entry.bytes.to_le_bytes());
        if let Ok(bytes) = disk.read(&Path::new("/home").join(&entry.path), u64::MAX) {
            hasher.update(&bytes);
        }
    }
    *hasher.finalize().as_bytes()
}

impl Sandbox {
    pub fn is_whole(&self, store: &Store, what: &str) {
        let mut found = self.try_validate(store).unwrap();
        // Second copies may be on their way.
        found.findings.retain(|note| note.subject != "redundancy");
        assert_eq!((found.damage, found.findings), (vec![], vec![]), "{what}");
        assert!(found.snapshots.iter().all(|s| s.good), "{what}");
    }
}
