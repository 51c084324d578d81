//! The judgement of a store that was put out of order: validation names what was altered and nothing else;
//! what it calls good restores exactly, what it does not fails with a name; no command loses anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::pack_id;
use larder::error::Error;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::copy::{self, CopyOptions};
use larder::ops::list;
use larder::ops::open::{Store, World};
use larder::ops::prune::{self, PruneOptions};
use larder::ops::restore::{self, Form, RestoreOptions};
use larder::ops::validate::{self, ValidateOptions, ValidateOutcome};
use larder::progress::NoProgress;
use larder::store::StoreError;
use larder::target::CheckLevel;
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::os::OsVfs;

use super::every_kind::{Bench, EveryKind};
use super::frozen::Altered;
use super::kinds::Kind;
use crate::sandbox::usage;

/// What must be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// These objects, and what hangs on them.
    Named(BTreeSet<String>),
    /// What was in it is missed, if anything needs it.
    Missed,
    /// Nothing.
    Unseen,
    /// These and no others, perhaps not all: of several damages one can hide another.
    Among(BTreeSet<String>),
}

/// A case: what was altered, and what may be lost by that itself.
pub struct Case<'a> {
    pub of: &'a EveryKind,
    pub altered: &'a Altered,
    pub expected: Expected,
    /// Snapshots of which nothing says any more that a prune must keep them.
    pub unprotected: Vec<SnapshotId>,
    /// What stands in an object's place is another whole object.
    pub exchanged: bool,
    pub what: &'a str,
    /// Counts cases: some things are done in some of them.
    pub number: usize,
    /// Restore all snapshots, or those affected and a few others.
    pub all: bool,
    /// Prune, too, and do what else there is to do.
    pub commands: bool,
}

/// What came of cases.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged {
    pub cases: usize,
    /// Restores: exact, and refused.
    pub exact: usize,
    pub refused: usize,
    /// Prunes: to their end, and stopped by an error.
    pub pruned: usize,
    pub not_pruned: usize,
    pub packs_deleted: usize,
}

impl std::ops::AddAssign for Judged {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.exact += other.exact;
        self.refused += other.refused;
        self.pruned += other.pruned;
        self.not_pruned += other.not_pruned;
        self.packs_deleted += other.packs_deleted;
    }
}

fn validated(store: &Store, world: &World) -> ValidateOutcome {
    validate::run(store, world, &ValidateOptions::default(), &mut NoProgress).unwrap()
}

fn good(outcome: &ValidateOutcome) -> BTreeSet<String> {
    let good = outcome.snapshots.iter().filter(|check| check.good);
    good.map(|check| check.snapshot.id.clone()).collect()
}

/// True for what ends a command with the exit code of damage.
fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::NotWhole(_)
            | Error::Store(
                StoreError::Damaged { .. }
                    | StoreError::Blob(_)
                    | StoreError::NoStore { .. }
                    | StoreError::Unsupported { .. }
            )
    )
}

fn restored(bench: &Bench, store: &mut Store, id: &SnapshotId) -> Result<Option<Vec<u8>>, Error> {
    let Some(manifest) = store.manifest(id)? else {
        return Ok(None);
    };
    let target = bench.sandbox.path("restored.db");
    let options = RestoreOptions {
        target: target.clone(),
        busy_timeout: Duration::from_millis(200),
        check: CheckLevel::Quick,
        form: Form::Best,
        ..RestoreOptions::default()
    };
    let (mut decider, world) = (restore::NoDecider, bench.sandbox.world());
    let done = restore::run(
        store,
        &world,
        &manifest,
        &options,
        &mut decider,
        &mut NoProgress,
    );
    let bytes = std::fs::read(&target);
    match done {
        Ok(_) => {
            std::fs::remove_file(&target).unwrap();
            Ok(Some(bytes.unwrap()))
        }
        Err(error) => {
            assert!(bytes.is_err(), "a failed restore left a file: {error}");
            Err(error)
        }
    }
}

fn affected(outcome: &ValidateOutcome, id: &SnapshotId) -> bool {
    let affects = outcome.damage.iter().flat_map(|damage| &damage.affects);
    affects
        .into_iter()
        .any(|a| a.snapshots.iter().any(|s| s == id.short()))
}

impl Case<'_> {
    /// The whole judgement. The bench has the altered objects.
    pub fn examine(&self, bench: &Bench) -> Judged {
        let what = self.what;
        let mut judged = Judged {
            cases: 1,
            ..Judged::default()
        };
        let mut store = match bench.sandbox.try_open(bench.frozen.clone()) {
            Ok(store) => store,
            Err(error) => {
                assert!(self.altered.contains_key("config"), "{what}: {error}");
                let none = matches!(error, StoreError::NoStore { .. });
                assert!(
                    none || error.to_string().contains("config"),
                    "{what}: {error}"
                );
                assert!(is_damage(&error.into()), "{what}");
                return judged;
            }
        };
        let outcome = match bench.sandbox.try_validate(&store) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{what}: {error}"),
        };
        self.check_names(&outcome);
        self.restores(bench, &mut store, &outcome, &mut judged);
        if !self.commands {
            return judged;
        }
        self.prunes(bench, &outcome, &mut judged);
        if self.number.is_multiple_of(8) {
            self.other_commands(bench, &store);
        }
        judged
    }

    fn check_names(&self, outcome: &ValidateOutcome) {
        let (what, damage) = (self.what, &outcome.damage);
        let named: BTreeSet<String> = damage
            .iter()
            .map(|damage| damage.object.clone())
            .filter(|object| object != "no pack")
            .collect();
        match &self.expected {
            Expected::Named(expected) => assert_eq!(named, *expected, "{what}: {damage:?}"),
            Expected::Missed => assert_eq!(named, BTreeSet::new(), "{what}: {damage:?}"),
            Expected::Unseen => assert_eq!(*damage, [], "{what}"),
            Expected::Among(expected) => {
                assert!(
                    named.is_subset(expected),
                    "{what}: {damage:?}, not {expected:?}"
                );
            }
        }
        for damage in damage {
            for affects in &damage.affects {
                assert!(!affects.snapshots.is_empty(), "{what}: {damage:?}");
                let whole = affects.range == "the whole snapshot";
                assert!(whole || !affects.entity.is_empty(), "{what}: {damage:?}");
            }
        }
        for check in &outcome.snapshots {
            let id = check.snapshot.id.parse().unwrap();
            assert_eq!(
                check.good,
                !affected(outcome, &id),
                "{what}: {id}: {damage:?}"
            );
        }
    }

    fn restores(
        &self,
        bench: &Bench,
        store: &mut Store,
        outcome: &ValidateOutcome,
        judged: &mut Judged,
    ) {
        let what = self.what;
        let names = store.snapshot_names().unwrap();
        for (at, id) in names.ids.iter().enumerate() {
            let affected = affected(outcome, id);
            let Some(content) = self.of.contents.get(id) else {
                // An abort marker; a damaged one counts as a snapshot that cannot be read.
                let read = store.manifest(id);
                assert!(matches!(&read, Ok(None)) != affected, "{what}: {id}");
                continue;
            };
            if !self.all && !affected && !(at + self.number).is_multiple_of(4) {
                continue;
            }
            match restored(bench, store, id) {
                Ok(Some(found)) => {
                    judged.exact += 1;
                    assert!(found == *content, "{what}: {id} is wrong");
                    assert!(
                        !affected,
                        "{what}: {id} is not affected: {:?}",
                        outcome.damage
                    );
                }
                Ok(None) => panic!("{what}: {id} is not there"),
                Err(error) => {
                    judged.refused += 1;
                    assert!(is_damage(&error), "{what}: {id}: {error}");
                    assert!(affected, "{what}: {id} is affected: {error}");
                }
            }
        }
        for id in names.forgotten.iter().filter(|_| self.all) {
            match restored(bench, store, id) {
                Ok(found) => assert!(found.as_ref() == self.of.contents.get(id), "{what}: {id}"),
                Err(error) => assert!(is_damage(&error), "{what}: {id}: {error}"),
            }
        }
    }

    /// A prune of the damaged store takes nothing from a snapshot: what was good stays good, and with the
    /// altered objects as they were everything is.
    fn prunes(&self, bench: &Bench, before: &ValidateOutcome, judged: &mut Judged) {
        let what = self.what;
        let backend = Arc::new(MemoryBackend::over(bench.frozen.clone()));
        let env = Arc::new(SeededEnv::new(self.number as u64));
        env.set_unix_ms(self.of.unix_ms + 3_600_000);
        env.begin_process();
        if !self.number.is_multiple_of(16) {
            // Now the process of the other writer, and of the open clean-up, has ended too.
            env.begin_process();
        }
        let world = World {
            env: env.clone(),
            vfs: Arc::new(OsVfs),
        };
        let open = || Store::open(backend.clone(), env.clone(), usage()).unwrap();
        let options = PruneOptions::default();
        match prune::run(&open(), &world, &options, &mut NoProgress) {
            Ok(pruned) => {
                judged.pruned += 1;
                judged.packs_deleted += usize::try_from(pruned.deleted.packs).unwrap();
            }
            Err(Error::Store(_)) => judged.not_pruned += 1,
            Err(error) => panic!("{what}: {error}"),
        }
        let lost = &good(before) - &good(&validated(&open(), &world));
        assert_eq!(lost, BTreeSet::new(), "{what}: a prune has lost snapshots");
        self.heal(&backend);
        let mut store = open();
        let kept = self.of.kept.iter();
        let kept = kept.filter(|id| !self.unprotected.contains(id));
        let kept: BTreeSet<String> = kept.map(ToString::to_string).collect();
        for id in store.snapshot_names().unwrap().forgotten {
            if kept.contains(id.as_str()) {
                store.unforget(&id).unwrap();
            }
        }
        let healed = validated(&store, &world);
        let (lost, damage) = (&kept - &good(&healed), &healed.damage);
        let nothing = BTreeSet::new();
        assert_eq!(
            lost, nothing,
            "{what}: a prune has lost what snapshots need: {damage:?}"
        );
        let id = &self.of.kept[self.number % self.of.kept.len()];
        if kept.contains(id.as_str()) {
            let found = restored(bench, &mut store, id).unwrap();
            let is_exact = found.as_ref() == self.of.contents.get(id);
            assert!(is_exact, "{what}: {id} after a prune");
        }
    }

    /// Puts the altered objects back.
    fn heal(&self, backend: &MemoryBackend) {
        for (object, now) in self.altered {
            // A whole pack in another one's place goes to its own: it may be all that is left of it.
            if let (Some(now), true, Kind::Pack) = (now, self.exchanged, Kind::of(object, &[])) {
                backend.put(&name::pack(&pack_id(now)), now).unwrap();
            }
        }
        for object in self.altered.keys() {
            backend.put(object, &self.of.objects[object]).unwrap();
        }
    }

    /// What only reads says what it can, or fails with a name; what writes adds only.
    fn other_commands(&self, bench: &Bench, store: &Store) {
        let what = self.what;
        let world = bench.sandbox.world();
        let typed = |error: Error| match error {
            Error::Store(_) | Error::NotWhole(_) => {}
            error => panic!("{what}: {error}"),
        };
        list::run(store).map_or_else(typed, |_| ());
        list::forgotten(store).map_or_else(typed, |_| ());
        let to = bench.sandbox.create(Arc::new(MemoryBackend::new()));
        let options = CopyOptions::default();
        if let Ok(copied) = copy::run(store, &to, &world, &options, &mut NoProgress).map_err(typed)
        {
            let mut to = to;
            let validated = bench.sandbox.try_validate(&to).unwrap();
            assert_eq!(validated.damage, [], "{what}: a copy is damaged");
            for copied in &copied.copied {
                let content = &self.of.contents[&copied.from.parse().unwrap()];
                let id = copied.snapshot.id.parse().unwrap();
                let found = restored(bench, &mut to, &id).unwrap().unwrap();
                assert!(found == *content, "{what}: a copy is wrong");
            }
        }
        let backend = Arc::new(MemoryBackend::over(bench.frozen.clone()));
        let mut store = bench.sandbox.open(backend.clone());
        let before = bench.sandbox.try_validate(&store).unwrap();
        let database = bench.sandbox.path("a.db");
        bench
            .sandbox
            .try_backup(&mut store, &database)
            .map_or_else(typed, |_| ());
        let newest = self.of.kept.last().unwrap();
        store
            .forget(newest)
            .map_or_else(|error| typed(error.into()), |_| ());
        store
            .unforget(newest)
            .map_or_else(|error| typed(error.into()), |_| ());
        let after = bench.sandbox.try_validate(&store).unwrap();
        for check in before.snapshots.iter().filter(|check| check.good) {
            let same = |after: &&validate::SnapshotCheck| after.snapshot.id == check.snapshot.id;
            let after = after.snapshots.iter().find(same);
            assert!(
                after.is_some_and(|after| after.good),
                "{what}: {}",
                check.snapshot.id
            );
        }
    }
}
