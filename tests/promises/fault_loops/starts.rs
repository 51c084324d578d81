//! The starts that have redundancy, damage, or another store beside them.

use std::path::Path;
use std::sync::Arc;

use larder::env::Env;
use larder::model::id::SnapshotId;
use larder::ops::copy::{self, CopyOptions};
use larder::ops::open::{Store, World};
use larder::ops::parity::{self, AddOptions};
use larder::ops::repair::{self, RepairOptions};
use larder::progress::NoProgress;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::Vfs;

use super::commands::Start;
use super::place::{OTHER, local};
use super::scene::{Kept, Scene, back_up};
use crate::sandbox::{ROOT, names, snapshots};
use crate::tree_rows::Random;
use crate::workshop::sql;

impl Scene {
    fn env(&self) -> Arc<dyn Env> {
        self.sandbox.env.clone()
    }

    fn open(&self, disk: &MemoryVfs, root: &str) -> Store {
        let vfs = Arc::new(disk.clone());
        self.sandbox.open(local(vfs, &self.env(), root))
    }

    fn create(&self, disk: &MemoryVfs, root: &str) -> Store {
        let vfs = Arc::new(disk.clone());
        self.sandbox.create(local(vfs, &self.env(), root))
    }

    fn add_parity(&self, store: &Store, full: bool) {
        let options = AddOptions {
            full,
            percent: None,
        };
        let added = parity::add(store, &self.sandbox.world(), &options, &mut NoProgress).unwrap();
        assert!(added.made.count + added.copied.count > 0, "{added:?}");
    }

    /// Makes them of the one that is full. `first`: the snapshot of what `first.db` is.
    pub fn more_starts(&mut self, first: &SnapshotId) {
        let redundant = self.disk(Start::Full);
        self.add_parity(&self.open(&redundant, ROOT), true);
        let damaged = redundant.copy();
        self.damage_first(&damaged, first);
        let lacking = self.disk(Start::Full);
        self.copy_beside(&lacking);
        self.damage_first(&lacking, first);
        self.disks.insert(Start::Redundant, redundant);
        self.disks.insert(Start::Damaged, damaged);
        self.disks.insert(Start::Lacking, lacking);
        self.store_beside();
        self.large();
    }

    /// Damages the pack of the first snapshot, of which most others need something.
    fn damage_first(&self, disk: &MemoryVfs, first: &SnapshotId) {
        let store = self.open(disk, ROOT);
        let manifest = store.manifest(first).unwrap().unwrap();
        let blobs = larder::ops::show::blobs(&store, &manifest).unwrap();
        assert!(blobs.len() > 1, "{blobs:?}");
        let backend = local(Arc::new(disk.clone()), &self.env(), ROOT);
        let packs = names(&*backend, larder::format::name::PACKS);
        // The longest: it has all tables whole.
        let length = |pack: &String| disk.read(&Path::new(ROOT).join(pack), u64::MAX).unwrap();
        let pack = packs.into_iter().max_by_key(|pack| length(pack).len());
        let path = Path::new(ROOT).join(pack.unwrap());
        let mut bytes = disk.read(&path, u64::MAX).unwrap();
        bytes[50..400].fill(0xA5);
        disk.plant_file(&path, &bytes).unwrap();
        let found = self.sandbox.try_validate(&store).unwrap();
        assert!(!found.damage.is_empty());
    }

    /// Another store with copies of all snapshots, forgotten ones too.
    fn copy_beside(&self, disk: &MemoryVfs) {
        let from = self.open(disk, ROOT);
        let to = self.create(disk, OTHER);
        let all = self.full.old.keys();
        let options = CopyOptions {
            snapshots: all.map(|id| from.manifest(id).unwrap().unwrap()).collect(),
        };
        let world = self.sandbox.world();
        let made = copy::run(&from, &to, &world, &options, &mut NoProgress).unwrap();
        assert_eq!(made.copied.len(), self.full.old.len(), "{made:?}");
    }

    /// Another store with snapshots of its own.
    fn store_beside(&mut self) {
        let disk = self.disk(Start::Full);
        let mut other = self.create(&disk, OTHER);
        let database = self.sandbox.path("elsewhere.db");
        for (name, text) in [
            ("a", "CREATE TABLE a(x); INSERT INTO a VALUES('elsewhere')"),
            ("b", "CREATE TABLE b(x); INSERT INTO b VALUES(1), (2)"),
        ] {
            sql(&database, text);
            back_up(&self.sandbox, &mut other, &database, name);
        }
        self.other = Self::kept(&other);
        self.disks.insert(Start::Beside, disk);
    }

    /// A store of which a pack is so long that it may have parity.
    fn large(&mut self) {
        let disk = self.disk(Start::Empty);
        let mut store = self.open(&disk, ROOT);
        parity::remove(&store, &mut NoProgress).unwrap();
        let database = self.sandbox.path("large.db");
        let mut random = Random(1);
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute_batch("CREATE TABLE r(x BLOB)").unwrap();
        for _ in 0..60 {
            db.execute("INSERT INTO r VALUES(?1)", [random.bytes(19_000)])
                .unwrap();
        }
        db.close().unwrap();
        back_up(&self.sandbox, &mut store, &database, "large");
        self.large = Self::kept(&store);
        let covered = disk.copy();
        self.add_parity(&self.open(&covered, ROOT), false);
        self.disks.insert(Start::Large, disk);
        self.disks.insert(Start::Covered, covered);
    }

    fn kept(store: &Store) -> Kept {
        let visible = snapshots(store);
        let manifest = |id: &SnapshotId| (id.clone(), store.manifest(id).unwrap().unwrap());
        Kept {
            old: visible.iter().map(manifest).collect(),
            visible,
        }
    }

    /// What is damaged at a start can be healed, whatever became of it since.
    pub fn repair(&self, disk: &MemoryVfs, start: Start, what: &str) {
        // All processes that were tried have ended.
        let env: Arc<dyn Env> = Arc::new(self.after_all());
        let vfs = Arc::new(disk.clone());
        let backend = local(vfs, &env, ROOT);
        let store = Store::open(backend, env.clone(), crate::sandbox::usage()).unwrap();
        let others = start.has_other().then(|| self.open(disk, OTHER));
        let stores: Vec<Store> = others.into_iter().collect();
        let options = RepairOptions {
            no_sources: true,
            max_wait: std::time::Duration::ZERO,
            ..RepairOptions::default()
        };
        let world = World {
            env,
            ..self.sandbox.world()
        };
        let done = repair::run(&store, &stores, &world, &options, &mut NoProgress);
        let done = done.unwrap_or_else(|e| panic!("{what}: the repair: {e}"));
        assert!(!done.is_lost(), "{what}: {done:?}");
    }
}
