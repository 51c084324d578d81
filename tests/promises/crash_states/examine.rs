//! What must hold of a store after a power cut, whatever state that left.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::format::manifest::Manifest;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::open::{self, Store, StoreOptions, World};
use larder::ops::prune::{self, PruneOptions};
use larder::ops::stored::root_of;
use larder::progress::NoProgress;
use larder::store::StoreError;
use larder::testkit::crash_states::CrashState;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::Vfs;

use super::harm::{Harm, repair_with};
use super::scene::{Content, Scene, Word};
use crate::sandbox::{ROOT, Sandbox, names, snapshots};

/// Of states that differ only in `tmp/`, which nobody reads, one in so many is examined.
const ASIDE_EACH: u64 = 32;
/// Of states so many are restored in full, each snapshot of them; and each set of snapshots once.
const RESTORED_EACH: u64 = 50;

/// What was tried.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub points: u64,
    pub states: u64,
    /// States that no other one equals.
    pub distinct: u64,
    /// Those of them that differ in names or bytes of what is not in `tmp/`.
    pub contents: u64,
    /// Those of them that differ in files, not only in folders without any.
    pub objects: u64,
    /// States that were examined, whole.
    pub examined: u64,
    /// Of those the ones that were repaired before.
    pub repaired: u64,
    pub restores: u64,
    /// Contents by the work that was going on.
    pub works: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.states += other.states;
        self.distinct += other.distinct;
        self.contents += other.contents;
        self.objects += other.objects;
        self.examined += other.examined;
        self.repaired += other.repaired;
        self.restores += other.restores;
        for (work, states) in &other.works {
            *self.works.entry(work).or_default() += states;
        }
    }
}

/// Which snapshots there are.
#[derive(Default)]
struct Seen {
    visible: Vec<SnapshotId>,
    /// Those that they stand for: their manifests were damaged.
    originals: BTreeSet<SnapshotId>,
}

/// What was found of a content.
struct Known {
    seen: Seen,
    has_config: bool,
}

/// Examines the states of one record.
pub struct Examiner<'s> {
    scene: &'s Scene,
    sandbox: Sandbox,
    distinct: HashSet<[u8; 32]>,
    objects: HashSet<[u8; 32]>,
    contents: HashSet<[u8; 32]>,
    /// By content, and whether something was damaged.
    known: HashMap<([u8; 32], bool), Known>,
    visible_sets: HashSet<Vec<SnapshotId>>,
    pub counts: Counts,
}

impl<'s> Examiner<'s> {
    pub fn new(scene: &'s Scene) -> Self {
        Self {
            scene,
            sandbox: Sandbox::new(),
            distinct: HashSet::new(),
            objects: HashSet::new(),
            contents: HashSet::new(),
            known: HashMap::new(),
            visible_sets: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// A state at a point of the record.
    pub fn state(&mut self, position: usize, work: &'static str, state: &CrashState) {
        self.counts.states += 1;
        let whole = state.image.digest(|_, _| true);
        let is_distinct = self.distinct.insert(whole);
        self.counts.distinct += u64::from(is_distinct);
        let temp = Path::new(ROOT).join("tmp");
        let content = state.image.digest(|path, _| !path.starts_with(&temp));
        let objects = |path: &Path, is_file| is_file && !path.starts_with(&temp);
        let is_new = self.objects.insert(state.image.digest(objects));
        self.counts.objects += u64::from(is_new);
        let what = format!("{work}, after operation {position}, {}", state.how);
        let harm = self.scene.harms.iter().find(|h| h.is_there(position));
        let seed = u64::from_le_bytes(whole[..8].try_into().unwrap());
        if self.contents.insert(content) {
            self.counts.contents += 1;
            *self.counts.works.entry(work).or_default() += 1;
            if self.counts.contents.is_multiple_of(2000) {
                println!("so far: {:?}", self.counts);
            }
        }
        if let Some(known) = self.known.get(&(content, harm.is_some())) {
            // What was found then is so now; but more may have been said since.
            self.words(&known.seen, position, &what);
            assert!(known.has_config || !self.is_made(position), "{what}");
            if !is_distinct || !seed.is_multiple_of(ASIDE_EACH) {
                return;
            }
        }
        self.counts.examined += 1;
        self.begin(seed);
        let vfs = Arc::new(state.image.to_vfs().unwrap());
        let config = Path::new(ROOT).join("config");
        let has_config = vfs.entry(&config).unwrap().is_some();
        if let Some(harm) = harm {
            self.repair(&vfs, harm, seed, &what);
        }
        let store = self.open(&vfs, position, seed, &what);
        let seen = self.state_of(&vfs, store, (position, seed), &what);
        let known = Known { seen, has_config };
        self.known.insert((content, harm.is_some()), known);
    }

    /// All that must hold of a store. Gives the snapshots that there are.
    fn state_of(
        &mut self,
        vfs: &Arc<MemoryVfs>,
        mut store: Store,
        (position, seed): (usize, u64),
        what: &str,
    ) -> Seen {
        let seen = self.manifests(&store, what);
        let visible = seen.visible.clone();
        self.words(&seen, position, what);
        self.sandbox.validated(&store, visible.len(), what);
        let sampled = seed.is_multiple_of(RESTORED_EACH);
        if self.visible_sets.insert(visible.clone()) || sampled {
            for id in &visible {
                self.counts.restores += 1;
                let restored = self.sandbox.restore(&mut store, id);
                let known = self.content_of(&store, id);
                assert!(restored == known.restored, "{what}: {id}");
            }
        }
        self.converge(vfs, store, visible, what);
        seen
    }

    /// What is damaged at this point of the record is repaired with what there is for that; before it,
    /// nothing comes back wrong.
    fn repair(&mut self, vfs: &Arc<MemoryVfs>, harm: &Harm, seed: u64, what: &str) {
        let backend = self.sandbox.folder(vfs.clone());
        let env = self.sandbox.env.clone();
        let opened = Store::open_for_repair(backend, env, crate::sandbox::usage());
        let mut store = opened.unwrap_or_else(|e| panic!("{what}: before the repair: {e}"));
        if seed.is_multiple_of(RESTORED_EACH) {
            for id in store.snapshot_names().unwrap().ids {
                if let (Ok(restored), Some(known)) = (
                    self.sandbox.try_restore(&mut store, &id),
                    self.scene.contents.get(&id),
                ) {
                    assert!(restored == known.restored, "{what}: {id} comes back wrong");
                }
            }
        }
        self.counts.repaired += 1;
        let done = repair_with(&self.sandbox, &store, &harm.remedy);
        let done = done.unwrap_or_else(|e| panic!("{what}: the repair: {e}"));
        assert!(!done.is_lost(), "{what}: {done:?}");
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
        if !self.is_made(position) && there.is_none() {
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

    fn is_made(&self, position: usize) -> bool {
        self.scene.made.is_some_and(|made| made <= position)
    }

    /// What was said of each snapshot holds.
    fn words(&self, seen: &Seen, position: usize, what: &str) {
        for id in self.scene.contents.keys() {
            let is_visible = seen.visible.contains(id);
            match self.scene.word(id, position) {
                // It may stand again under another id.
                Word::Visible => {
                    let first = self.scene.contents[id].manifest.first_id();
                    let stands = is_visible || seen.originals.contains(first);
                    assert!(stands, "{what}: {id} is lost");
                }
                Word::Hidden => assert!(!is_visible, "{what}: {id} is back"),
                Word::Either => {}
            }
        }
    }

    /// What is known of a snapshot, or of the one that it stands for.
    fn content_of(&self, store: &Store, id: &SnapshotId) -> &Content {
        self.scene.contents.get(id).unwrap_or_else(|| {
            let manifest = store.manifest(id).unwrap().unwrap();
            self.first_of(&manifest).unwrap()
        })
    }

    /// What a snapshot stands for that the repair of this state has made.
    fn first_of(&self, manifest: &Manifest) -> Option<&Content> {
        let mut contents = self.scene.contents.values();
        contents.find(|content| content.manifest.first_id() == manifest.first_id())
    }

    /// Every manifest that is there, forgotten or not, is what it was.
    fn manifests(&self, store: &Store, what: &str) -> Seen {
        let names = store.snapshot_names().unwrap();
        let mut seen = Seen::default();
        for id in &names.ids {
            if let Some(manifest) = store.manifest(id).unwrap() {
                self.manifest(&manifest, what);
                seen.visible.push(id.clone());
                seen.originals.extend(manifest.original);
            }
        }
        for id in &names.forgotten {
            match store.manifest(id) {
                Ok(Some(manifest)) => self.manifest(&manifest, what),
                Ok(None) => {}
                // It stands again under another id.
                Err(StoreError::Damaged { .. }) => {
                    assert!(self.scene.stands_again(id), "{what}: {id} is damaged");
                }
                Err(error) => panic!("{what}: {id}: {error}"),
            }
        }
        seen
    }

    fn manifest(&self, manifest: &Manifest, what: &str) {
        let contents = &self.scene.contents;
        if let Some(known) = contents.get(&manifest.id) {
            assert_eq!(*manifest, known.manifest, "{what}");
            return;
        }
        // It was made by the repair of this state.
        let known = self.first_of(manifest);
        let known = known.unwrap_or_else(|| panic!("{what}: {} was never made", manifest.id));
        let expected = Manifest {
            id: manifest.id.clone(),
            original: manifest.original.clone(),
            new_bytes: manifest.new_bytes,
            ..known.manifest.clone()
        };
        assert_eq!(*manifest, expected, "{what}");
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
        visible.push(new.clone());
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
        for id in visible.iter().filter(|id| **id != new) {
            self.manifest(&store.manifest(id).unwrap().unwrap(), what);
        }
        self.sandbox.validated(&store, visible.len(), what);
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
    /// Nothing is damaged, and nothing is strange; second copies may be on their way.
    fn validated(&self, store: &Store, snapshots: usize, what: &str) {
        let mut found = self.try_validate(store).unwrap();
        found.findings.retain(|note| note.subject != "redundancy");
        assert_eq!((found.damage, found.findings), (vec![], vec![]), "{what}");
        assert_eq!(found.snapshots.len(), snapshots, "{what}");
        assert!(found.snapshots.iter().all(|s| s.good), "{what}");
    }
}
