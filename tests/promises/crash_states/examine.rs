//! What must hold of a store after a power cut, whatever state that left.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::open::{self, Store, StoreOptions, World};
use larder::ops::prune::{self, PruneOptions};
use larder::ops::stored::root_of;
use larder::progress::NoProgress;
use larder::testkit::crash_states::CrashState;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::Vfs;

use super::scene::{Scene, Word};
use crate::sandbox::{ROOT, Sandbox, names, snapshots};

/// What was tried.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub points: u64,
    pub states: u64,
    /// States that no other one equals.
    pub distinct: u64,
    /// Those of them that differ in more than `tmp/`.
    pub contents: u64,
    pub restores: u64,
    /// Distinct states by the work that was going on.
    pub works: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.states += other.states;
        self.distinct += other.distinct;
        self.contents += other.contents;
        self.restores += other.restores;
        for (work, states) in &other.works {
            *self.works.entry(work).or_default() += states;
        }
    }
}

/// Examines the states of one record.
pub struct Examiner<'s> {
    scene: &'s Scene,
    sandbox: Sandbox,
    /// Of one state in so many every snapshot is restored; of the others one that was not yet in such a set.
    restore_each: u64,
    seen: HashSet<[u8; 32]>,
    contents: HashSet<[u8; 32]>,
    visible_sets: HashSet<Vec<SnapshotId>>,
    pub counts: Counts,
}

impl<'s> Examiner<'s> {
    pub fn new(scene: &'s Scene, restore_each: u64) -> Self {
        Self {
            scene,
            sandbox: Sandbox::new(),
            restore_each,
            seen: HashSet::new(),
            contents: HashSet::new(),
            visible_sets: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// A state at a point of the record.
    pub fn state(&mut self, position: usize, work: &'static str, state: &CrashState) {
        self.counts.states += 1;
        let whole = state.image.digest(None);
        if !self.seen.insert(whole) {
            return;
        }
        self.counts.distinct += 1;
        if self.counts.distinct.is_multiple_of(1000) {
            println!("so far: {:?}", self.counts);
        }
        *self.counts.works.entry(work).or_default() += 1;
        let temp = Path::new(ROOT).join("tmp");
        let is_new = self.contents.insert(state.image.digest(Some(&temp)));
        self.counts.contents += u64::from(is_new);
        let what = format!("{work}, after operation {position}, {}", state.how);
        let seed = u64::from_le_bytes(whole[..8].try_into().unwrap());
        self.begin(seed);
        let vfs = Arc::new(state.image.to_vfs().unwrap());
        let mut store = self.open(&vfs, position, seed, &what);
        let visible = self.words(&store, position, &what);
        // What lies in tmp/ is nothing that any step reads: one state in 16 is tried all the same.
        if !is_new && !seed.is_multiple_of(16) {
            assert_eq!(store.foreign().unwrap(), [""; 0], "{what}");
            return;
        }
        self.manifests(&store, &what);
        self.sandbox.validated(&store, visible.len(), &what);
        let sampled = seed.is_multiple_of(self.restore_each);
        if self.visible_sets.insert(visible.clone()) || sampled {
            for id in &visible {
                self.counts.restores += 1;
                let restored = self.sandbox.restore(&mut store, id);
                assert!(restored == self.scene.contents[id].restored, "{what}: {id}");
            }
        }
        self.converge(&vfs, store, visible, &what);
    }

    /// Another process, after the power cut: none of those before runs.
    fn begin(&mut self, seed: u64) {
        let env = SeededEnv::new(seed);
        env.set_unix_ms(larder::env::Env::unix_ms(&*self.scene.sandbox.env) + 60_000);
        for _ in 0..=self.scene.processes {
            env.begin_process();
        }
        self.sandbox.env = Arc::new(env);
    }

    /// The store opens, or can be made again as long as nobody was told that it is there.
    fn open(&self, vfs: &Arc<MemoryVfs>, position: usize, seed: u64, what: &str) -> Store {
        // Some processes come with the cache of those that went further than the disk did.
        let cache_dir = seed.is_multiple_of(8).then(|| {
            let own = self.sandbox.path("cache");
            let _ = std::fs::remove_dir_all(&own);
            std::fs::create_dir(&own).unwrap();
            for file in std::fs::read_dir(&self.scene.cache).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), own.join(file.file_name())).unwrap();
            }
            own
        });
        let options = StoreOptions {
            location: PathBuf::from(ROOT),
            cache_dir: None,
            compression: 3,
        };
        let world = World {
            env: self.sandbox.env.clone(),
            vfs: vfs.clone(),
        };
        let there = vfs.entry(&Path::new(ROOT).join("config")).unwrap();
        if self.scene.made.is_none_or(|made| position < made) && there.is_none() {
            return open::create(&options, &world).unwrap_or_else(|e| panic!("{what}: {e}"));
        }
        let usage = larder::store::Usage {
            cache_dir,
            ..crate::sandbox::usage()
        };
        let backend = self.sandbox.folder(vfs.clone());
        Store::open(backend, self.sandbox.env.clone(), usage)
            .unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// What was said of each snapshot holds. Gives those that can be seen.
    fn words(&self, store: &Store, position: usize, what: &str) -> Vec<SnapshotId> {
        let visible = snapshots(store);
        let known: BTreeSet<&SnapshotId> = visible.iter().collect();
        for id in self.scene.contents.keys() {
            match self.scene.word(id, position) {
                Word::Visible => assert!(known.contains(id), "{what}: {id} is lost"),
                Word::Hidden => assert!(!known.contains(id), "{what}: {id} is back"),
                Word::Either => {}
            }
        }
        visible
    }

    /// Every manifest that is there, forgotten or not, is what it was.
    fn manifests(&self, store: &Store, what: &str) {
        let names = store.snapshot_names().unwrap();
        for id in names.ids.iter().chain(&names.forgotten) {
            if let Some(manifest) = store.manifest(id).unwrap() {
                let known = self.scene.contents.get(id);
                let known = known.unwrap_or_else(|| panic!("{what}: {id} was never made"));
                assert_eq!(manifest, known.manifest, "{what}");
            }
        }
    }

    /// The next backup and the next prune work, and leave nothing that is not needed.
    fn converge(
        &self,
        vfs: &Arc<MemoryVfs>,
        mut store: Store,
        mut visible: Vec<SnapshotId>,
        what: &str,
    ) {
        let newest = self.scene.contents.values().next_back().unwrap();
        let new = self
            .sandbox
            .try_backup(&mut store, &self.scene.database)
            .unwrap_or_else(|e| panic!("{what}: the next backup: {e}"));
        let new: SnapshotId = new.snapshot.id.parse().unwrap();
        let manifest = store.manifest(&new).unwrap().unwrap();
        let roots = |m: &larder::format::manifest::Manifest| {
            let trees = m.all_tables().map(|e| (e.entity.clone(), root_of(e)));
            (m.schema, trees.collect::<Vec<_>>())
        };
        // The newest one of the record is of the database as it is now.
        assert_eq!(roots(&manifest), roots(&newest.manifest), "{what}");
        visible.push(new);
        self.prune(&store, false, what);
        let again = self.prune(&store, true, what);
        let left = (again.dead, again.repacked, again.unused_bytes);
        assert_eq!(left, Default::default(), "{what}: {again:?}");
        assert_eq!(again.deleted_snapshots, [""; 0], "{what}");
        let backend = self.sandbox.folder(vfs.clone());
        assert_eq!(names(&*backend, name::WRITERS), [""; 0], "{what}");
        let records = names(&*backend, name::GC);
        let open = records.iter().filter(|record| !record.ends_with(".final"));
        assert_eq!(open.count(), 0, "{what}: {records:?}");
        let mut there = snapshots(&store);
        there.sort_unstable();
        visible.sort_unstable();
        assert_eq!(there, visible, "{what}: after the next prune");
        let named = store.snapshot_names().unwrap();
        assert_eq!(named.forgotten, [], "{what}");
        self.manifests_but_new(&store, &visible, what);
        self.sandbox.validated(&store, visible.len(), what);
    }

    fn manifests_but_new(&self, store: &Store, visible: &[SnapshotId], what: &str) {
        for id in visible {
            if let Some(known) = self.scene.contents.get(id) {
                let manifest = store.manifest(id).unwrap().unwrap();
                assert_eq!(manifest, known.manifest, "{what}");
            }
        }
    }

    fn prune(&self, store: &Store, dry_run: bool, what: &str) -> prune::PruneOutcome {
        let options = PruneOptions {
            dry_run,
            grace: std::time::Duration::ZERO,
            max_wait: std::time::Duration::ZERO,
            max_unused_percent: 0,
        };
        let done = prune::run(store, &self.sandbox.world(), &options, &mut NoProgress);
        let done = done.unwrap_or_else(|e| panic!("{what}: the next prune: {e}"));
        assert!(
            !done.damaged && done.findings.is_empty(),
            "{what}: {done:?}"
        );
        done
    }
}

impl Sandbox {
    /// Nothing is damaged, and nothing is strange.
    fn validated(&self, store: &Store, snapshots: usize, what: &str) {
        let found = self.try_validate(store).unwrap();
        assert_eq!((found.damage, found.findings), (vec![], vec![]), "{what}");
        assert_eq!(found.snapshots.len(), snapshots, "{what}");
        assert!(found.snapshots.iter().all(|s| s.good), "{what}");
    }
}
