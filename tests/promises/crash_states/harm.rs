//! Damage in the record of a scene, and what it can be made whole with: from then until the repair that is
//! recorded has ended, whatever a power cut leaves is repaired with that, and nothing is lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::error::Error;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::copy::{self, CopyOptions, CopyOutcome};
use larder::ops::open::Store;
use larder::ops::parity::{self, AddOptions};
use larder::ops::repair::{self, RepairOptions, RepairOutcome};
use larder::progress::NoProgress;
use larder::vfs::Vfs;

use super::scene::{Scene, Word};
use crate::sandbox::{ROOT, Sandbox, names, snapshots};
use crate::workshop::sql;

/// What a repair is given.
#[derive(Clone, Default)]
pub struct Remedy {
    /// Other stores.
    pub stores: Vec<Arc<MemoryBackend>>,
    /// Databases.
    pub sources: Vec<PathBuf>,
}

/// Damage, from one point of the record to another.
pub struct Harm {
    from: usize,
    /// When the repair had ended; `None`: not yet.
    until: Option<usize>,
    pub remedy: Remedy,
}

impl Harm {
    /// Whether it is there at a point of the record.
    pub fn is_there(&self, position: usize) -> bool {
        self.from < position && self.until.is_none_or(|until| position < until)
    }
}

/// Repairs with what there is.
pub fn repair_with(
    sandbox: &Sandbox,
    store: &Store,
    remedy: &Remedy,
) -> Result<RepairOutcome, Error> {
    let options = RepairOptions {
        no_sources: true,
        sources: remedy.sources.clone(),
        max_wait: std::time::Duration::ZERO,
        busy_timeout: std::time::Duration::from_millis(200),
        temp_dir: Some(sandbox.dir.path().to_owned()),
        ..RepairOptions::default()
    };
    let open = |other: &Arc<MemoryBackend>| sandbox.open(other.clone());
    let stores: Vec<Store> = remedy.stores.iter().map(open).collect();
    repair::run(store, &stores, &sandbox.world(), &options, &mut NoProgress)
}

impl Scene {
    fn packs(&self) -> Vec<String> {
        let backend = self.backend(Arc::new(self.disk.clone()));
        names(&*backend, name::PACKS)
    }

    /// Backs up a database; gives the snapshot and the pack that is new.
    pub fn pack_of(&mut self, database: &Path) -> (SnapshotId, String) {
        let before = self.packs();
        let id = self.back_up_of(database);
        let new = self.packs().into_iter().find(|pack| !before.contains(pack));
        (id, new.unwrap())
    }

    /// Damages an object in one way or another.
    pub fn harm(&mut self, object: &str, remedy: Remedy) {
        let from = self.disk.position();
        let path = Path::new(ROOT).join(object);
        let mut bytes = self.disk.read(&path, u64::MAX).unwrap();
        let at = self.between(0, bytes.len());
        let end = (at + self.between(1, 400)).min(bytes.len());
        match self.random.below(4) {
            0 => bytes.clear(),
            1 => bytes.truncate(at),
            2 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x5A),
            _ => bytes[0..end].iter_mut().for_each(|byte| *byte = !*byte),
        }
        // A manifest that is gone is no damage that anybody could see.
        let gone = object.starts_with(name::PACKS) && self.random.below(4) == 0;
        let left = (!gone).then_some(&bytes[..]);
        self.disk.damage(&path, left).unwrap();
        self.harms.push(Harm {
            from,
            until: None,
            remedy,
        });
    }

    /// Damages some bytes in the middle of a pack, within what its parity covers.
    pub fn harm_within_parity(&mut self, pack: &str) {
        let from = self.disk.position();
        let path = Path::new(ROOT).join(pack);
        let mut bytes = self.disk.read(&path, u64::MAX).unwrap();
        let at = self.between(1000, bytes.len() - 3000);
        bytes[at..at + 2000].fill(0);
        self.disk.damage(&path, Some(&bytes)).unwrap();
        self.harms.push(Harm {
            from,
            until: None,
            remedy: Remedy::default(),
        });
    }

    fn remedy(&self) -> Remedy {
        self.harms.last().unwrap().remedy.clone()
    }

    /// Repairs, in a process that dies at its operation `nth`; whether it did.
    pub fn repair_dies(&mut self, nth: usize) -> bool {
        let remedy = self.remedy();
        self.dies(nth, |scene, store| {
            repair_with(&scene.sandbox, store, &remedy)
        })
    }

    /// Repairs; nothing is lost, and nothing is damaged any more.
    pub fn repair(&mut self) -> RepairOutcome {
        let store = self.open_for_repair();
        let outcome = repair_with(&self.sandbox, &store, &self.remedy()).unwrap();
        drop(store);
        assert!(!outcome.is_lost(), "{outcome:?}");
        for healed in &outcome.snapshots {
            let new: SnapshotId = healed.new_id.clone().unwrap().parse().unwrap();
            self.say(&healed.id.parse().unwrap(), Word::Hidden);
            self.say(&new, Word::Visible);
        }
        let now = self.disk.position();
        self.said.insert(now);
        self.harms.last_mut().unwrap().until = Some(now);
        self.learn();
        outcome
    }

    /// Repairs with nothing, which finds the damage and marks it. If the pack's blobs themselves are good, that
    /// heals them.
    pub fn mark_damage(&mut self) {
        let store = self.open();
        let outcome = repair_with(&self.sandbox, &store, &Remedy::default()).unwrap();
        let is_found = outcome.is_lost() || !outcome.damaged.is_empty();
        assert!(is_found, "{outcome:?}");
    }

    /// Another store, with a copy of all that is there now.
    pub fn copy_elsewhere(&mut self) -> Arc<MemoryBackend> {
        let elsewhere = Arc::new(MemoryBackend::new());
        let to = self.sandbox.create(elsewhere.clone());
        let from = self.open();
        let world = self.sandbox.world();
        copy::run(&from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
        elsewhere
    }

    /// Another store, with so many snapshots of a database that changes.
    pub fn store_elsewhere(&mut self, count: usize) -> Store {
        let elsewhere: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
        let mut store = self.sandbox.create(elsewhere);
        let database = self.other_database();
        for step in 0..count {
            sql(&database, &format!("CREATE TABLE step{step}(x, y)"));
            self.sandbox.backup(&mut store, &database);
        }
        store
    }

    /// Copies all of another store into this one.
    pub fn copy_in(&mut self, from: &Store) -> CopyOutcome {
        let to = self.open();
        let world = self.sandbox.world();
        let done = copy::run(from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
        for id in snapshots(&to) {
            if !self.contents.contains_key(&id) {
                self.say(&id, Word::Visible);
            }
        }
        self.learn();
        done
    }

    /// The same in a process that dies at its operation `nth`.
    pub fn copy_in_dies(&mut self, from: &Store, nth: usize) -> bool {
        self.dies(nth, |scene, to| {
            let world = scene.sandbox.world();
            copy::run(from, to, &world, &CopyOptions::default(), &mut NoProgress)
        })
    }

    pub fn add_parity(&mut self, full: bool) -> parity::ParityAdded {
        let store = self.open();
        let options = AddOptions {
            full,
            percent: None,
        };
        parity::add(&store, &self.sandbox.world(), &options, &mut NoProgress).unwrap()
    }

    pub fn remove_parity(&mut self) -> parity::ParityRemoved {
        // A manifest that was healed lies damaged where it was until then: its copy is not given away.
        self.prune();
        let store = self.open();
        parity::remove(&store, &mut NoProgress).unwrap()
    }
}
