//! A repair gives back what can be had, exactly, and names what cannot; it never makes anything worse,
//! wherever it is cut off, and done twice it changes nothing.

mod faults;
mod footers;
mod manifests;
mod random;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::error::Error;
use larder::format::name;
use larder::model::id::{PackId, SnapshotId};
use larder::ops::copy::{self, CopyOptions};
use larder::ops::open::Store;
use larder::ops::parity::{self, Redundancy, RedundancyLevel};
use larder::ops::prune;
use larder::ops::repair::{self, RepairOptions, RepairOutcome, Way};
use larder::progress::NoProgress;

use crate::sandbox::{Sandbox, names, seed, snapshots};
use crate::tree_rows::Random;
use crate::workshop::sql;

/// What is done to the bytes of an object.
type Harm<'a> = &'a dyn Fn(&mut Vec<u8>);

/// Objects with their bytes.
type Objects = BTreeMap<String, Vec<u8>>;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    /// Snapshots, and what each restores to.
    kept: Vec<(SnapshotId, Vec<u8>)>,
    database: PathBuf,
}

const SMALL: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
      INSERT INTO a SELECT i, hex(i * 2654435761 % 1000003) FROM n;
    CREATE TABLE large(v); INSERT INTO large VALUES(zeroblob(70000));";

const CHANGES: [&str; 3] = [
    "UPDATE a SET x = 'changed' WHERE id BETWEEN 100 AND 120",
    "CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO b SELECT x || id, id FROM a",
    "UPDATE a SET x = 'again' WHERE id % 700 = 1; INSERT INTO large SELECT v || 'x' FROM large",
];

impl Case {
    /// Four snapshots in packs of less than 1 MiB.
    fn small(level: RedundancyLevel) -> Self {
        Self::of(level, |path| sql(path, SMALL))
    }

    /// The same, the first of them in a pack that has parity.
    fn large() -> Self {
        Self::of(RedundancyLevel::Parity, |path| {
            sql(path, SMALL);
            let mut random = Random(seed());
            let db = rusqlite::Connection::open(path).unwrap();
            db.execute_batch("BEGIN; CREATE TABLE r(id INTEGER PRIMARY KEY, x BLOB)")
                .unwrap();
            for id in 0..80 {
                let value = random.bytes(15_000);
                db.execute("INSERT INTO r VALUES(?1, ?2)", (id, value))
                    .unwrap();
            }
            db.execute_batch("COMMIT").unwrap();
            db.close().unwrap();
        })
    }

    fn of(level: RedundancyLevel, fill: impl FnOnce(&Path)) -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let mut store = sandbox.create(backend.clone());
        parity::choose(&store, Redundancy { level, percent: 3 }).unwrap();
        let database = sandbox.path("a.db");
        fill(&database);
        let mut kept = Vec::new();
        for change in [""].into_iter().chain(CHANGES) {
            sql(&database, change);
            let id = sandbox.backup(&mut store, &database);
            let content = sandbox.restore(&mut store, &id);
            kept.push((id, content));
        }
        Self {
            sandbox,
            backend,
            kept,
            database,
        }
    }

    /// A copy of the store that may be damaged.
    fn copy(&self) -> Arc<MemoryBackend> {
        Arc::new(MemoryBackend::over(self.backend.clone()))
    }

    /// The packs, the longest first.
    fn packs(&self) -> Vec<PackId> {
        let mut packs = self.backend.list(name::PACKS).unwrap();
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.bytes));
        packs
            .iter()
            .map(|pack| name::parse_pack(&pack.name).unwrap())
            .collect()
    }

    fn repair(&self, store: &Store) -> RepairOutcome {
        self.try_repair(store, &[], &no_sources()).unwrap()
    }

    fn try_repair(
        &self,
        store: &Store,
        stores: &[Store],
        options: &RepairOptions,
    ) -> Result<RepairOutcome, Error> {
        let world = self.sandbox.world();
        repair::run(store, stores, &world, options, &mut NoProgress)
    }

    /// Every snapshot is what it was.
    #[track_caller]
    fn assert_all(&self, store: &mut Store, what: &str) {
        let ids: Vec<SnapshotId> = self.kept.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(snapshots(store), ids, "{what}");
        for (id, content) in &self.kept {
            let restored = self.sandbox.restore(store, id);
            assert!(restored == *content, "{what}: {id} is not what it was");
        }
        let validated = self.sandbox.try_validate(store).unwrap();
        assert_eq!(validated.damage, [], "{what}");
    }

    /// Another repair changes nothing.
    #[track_caller]
    fn assert_done(&self, backend: &Arc<MemoryBackend>, stores: &[Store], what: &str) {
        let before = objects(&**backend);
        let store = self.sandbox.open(backend.clone());
        let again = self.try_repair(&store, stores, &no_sources()).unwrap();
        assert!(again.healed.is_empty(), "{what}: {again:?}");
        assert!(again.removed == (0, 0), "{what}: {again:?}");
        let after = objects(&**backend);
        let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&before), names(&after), "{what}");
        assert!(before == after, "{what}: an object was changed");
    }
}

fn no_sources() -> RepairOptions {
    RepairOptions {
        no_sources: true,
        max_wait: std::time::Duration::from_secs(5),
        ..RepairOptions::default()
    }
}

fn objects(backend: &dyn Backend) -> Objects {
    let named = names(backend, "").into_iter();
    // It is random, and means nothing.
    let named = named.filter(|name| name != name::BALLAST);
    named
        .map(|name| (name.clone(), read(backend, &name)))
        .collect()
}

fn read(backend: &dyn Backend, name: &str) -> Vec<u8> {
    backend.get(name, 1 << 30).unwrap()
}

/// Changes an object in place.
fn change(backend: &dyn Backend, name: &str, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = read(backend, name);
    how(&mut bytes);
    backend.put(name, &bytes).unwrap();
}

/// Flips every byte of a part of an object.
fn flip(backend: &dyn Backend, name: &str, range: std::ops::Range<usize>) {
    change(backend, name, |bytes| {
        let end = range.end.min(bytes.len());
        bytes[range.start.min(end)..end]
            .iter_mut()
            .for_each(|byte| *byte ^= 0xA5);
    });
}

fn blobs(outcome: &RepairOutcome, way: &Way) -> u64 {
    outcome.healed.get(way).map_or(0, |blobs| blobs.blobs)
}

#[test]
fn a_store_without_damage_is_read_and_left_as_it_is() {
    let case = Case::small(RedundancyLevel::Full);
    let before = objects(&*case.backend);
    let store = case.sandbox.open(case.backend.clone());
    let outcome = case.repair(&store);
    assert!(outcome.is_clean(), "{outcome:?}");
    assert_eq!(outcome.packs, case.packs().len() as u64);
    assert!(objects(&*case.backend) == before);
}

#[test]
fn damage_within_parity_heals_to_what_was_there_and_the_damaged_pack_goes() {
    let case = Case::large();
    let pack = case.packs()[0];
    let object = name::pack(&pack);
    let length = read(&*case.backend, &object).len();
    let harms: [Harm<'_>; 4] = [
        &|bytes| bytes[5000] ^= 1,
        &|bytes| bytes[length - 3000..].fill(0),
        &|bytes| bytes.truncate(length - 9000),
        &|bytes| bytes[..20].fill(7),
    ];
    for (n, harm) in harms.iter().enumerate() {
        let backend = case.copy();
        change(&*backend, &object, harm);
        let found = read(&*backend, &object);
        let mut store = case.sandbox.open(backend.clone());
        let outcome = case.repair(&store);
        let what = format!("harm {n}: {outcome:?}");
        assert_eq!(outcome.damaged.len(), 1, "{what}");
        assert!(
            outcome.damaged[0].whole_by.is_some() && outcome.damaged[0].removed,
            "{what}"
        );
        assert!(!outcome.is_lost(), "{what}");
        assert!(blobs(&outcome, &Way::Parity) > 0 || n != 0, "{what}");
        assert!(!names(&*backend, "").contains(&object), "{what}");
        assert!(
            !names(&*backend, "").contains(&name::parity(&pack)),
            "{what}"
        );
        assert!(read(&*backend, &name::damaged(&pack)) == found, "{what}");
        case.assert_all(&mut store, &what);
        case.assert_done(&backend, &[], &what);
    }
}

#[test]
fn damage_beyond_parity_is_said_to_be_lost_with_what_hangs_on_it_and_nothing_else_is() {
    let case = Case::large();
    let backend = case.copy();
    let pack = case.packs()[0];
    flip(&*backend, &name::pack(&pack), 200_000..400_000);
    let mut store = case.sandbox.open(backend.clone());
    let planned = case
        .try_repair(
            &store,
            &[],
            &RepairOptions {
                dry_run: true,
                ..no_sources()
            },
        )
        .unwrap();
    let outcome = case.repair(&store);
    assert!(outcome.is_lost(), "{outcome:?}");
    assert_eq!(planned.lost, outcome.lost);
    assert!(!outcome.damaged[0].removed);
    for lost in &outcome.lost {
        assert!(lost.blob.is_some());
        // All snapshots need it.
        let affected = &lost.affects[0];
        assert_eq!(
            (affected.entity.as_str(), affected.snapshots.len()),
            ("r", 4)
        );
    }
    let lost: Vec<_> = outcome.lost.iter().map(|damage| &damage.blob).collect();
    let validated = case.sandbox.try_validate(&store).unwrap();
    let named = validated
        .damage
        .iter()
        .filter(|damage| damage.blob.is_some());
    assert_eq!(named.map(|damage| &damage.blob).collect::<Vec<_>>(), lost);
    for (id, _) in &case.kept {
        assert!(case.sandbox.try_restore(&mut store, id).is_err());
    }
    case.assert_done(&backend, &[], "lost");
    assert!(names(&*backend, "").contains(&name::pack(&pack)));
    // A prune keeps what is left as well.
    case.sandbox.try_prune(&store).ok();
    assert!(names(&*backend, "").contains(&name::pack(&pack)));
    // The database has it yet.
    let sources = RepairOptions {
        sources: vec![case.database.clone()],
        ..no_sources()
    };
    let healed = case.try_repair(&store, &[], &sources).unwrap();
    assert!(!healed.is_lost(), "{healed:?}");
    assert!(healed.damaged[0].removed);
    case.assert_all(&mut store, "from the database");
}

#[test]
fn packs_that_are_gone_or_unreadable_heal_from_second_copies_and_other_stores() {
    let case = Case::small(RedundancyLevel::Full);
    let other = Arc::new(MemoryBackend::new());
    let to = case.sandbox.create(other.clone());
    let from = case.sandbox.open(case.backend.clone());
    let world = case.sandbox.world();
    copy::run(&from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
    for (n, pack) in case.packs().into_iter().enumerate() {
        let object = name::pack(&pack);
        for (gone, second) in [(true, true), (false, true), (true, false), (false, false)] {
            let backend = case.copy();
            match gone {
                true => backend.delete(&object).unwrap(),
                false => flip(&*backend, &object, 0..1 << 20),
            }
            if !second {
                backend.delete(&name::second(&object)).unwrap();
            }
            let what = format!("pack {n}, gone {gone}, second copy {second}");
            let mut store = case.sandbox.open(backend.clone());
            let stores = [case.sandbox.open(other.clone())];
            let outcome = case.try_repair(&store, &stores, &no_sources()).unwrap();
            assert!(!outcome.is_lost(), "{what}: {outcome:?}");
            let ways: Vec<&Way> = outcome.healed.keys().collect();
            match second {
                true => assert_eq!(ways, [&Way::Parity], "{what}"),
                false => assert!(matches!(ways[..], [Way::Store(_)]), "{what}: {ways:?}"),
            }
            case.assert_all(&mut store, &what);
            case.assert_done(&backend, &stores, &what);
        }
    }
}

#[test]
fn what_the_database_still_has_heals_by_the_path_that_the_snapshot_names() {
    let case = Case::small(RedundancyLevel::None);
    let packs = case.packs();
    let mut healed = 0;
    for pack in &packs {
        let backend = case.copy();
        backend.delete(&name::pack(pack)).unwrap();
        let mut store = case.sandbox.open(backend.clone());
        let options = RepairOptions {
            no_sources: false,
            ..no_sources()
        };
        let outcome = case.try_repair(&store, &[], &options).unwrap();
        let from_source = Way::Source(case.database.canonicalize().unwrap().display().to_string());
        healed += blobs(&outcome, &from_source);
        // The last snapshot is what the database is now.
        let (id, content) = case.kept.last().unwrap();
        assert!(
            case.sandbox.restore(&mut store, id) == *content,
            "{outcome:?}"
        );
        for (id, content) in &case.kept {
            match case.sandbox.try_restore(&mut store, id) {
                Ok(restored) => assert!(restored == *content),
                Err(_) => assert!(outcome.is_lost()),
            }
        }
        case.assert_done(&backend, &[], "from the database");
    }
    assert!(healed > 3, "{healed}");
}

#[test]
fn a_copy_that_is_elsewhere_heals_and_so_do_good_copies_in_a_damaged_pack() {
    let case = Case::large();
    let backend = case.copy();
    let pack = case.packs()[0];
    // One byte of one frame: the other blobs of the pack are good by themselves.
    flip(&*backend, &name::pack(&pack), 300_000..300_001);
    backend.delete(&name::parity(&pack)).unwrap();
    let store = case.sandbox.open(backend.clone());
    let outcome = case.repair(&store);
    assert!(blobs(&outcome, &Way::Copy) > 0, "{outcome:?}");
    assert!(outcome.is_lost());
    let validated = case.sandbox.try_validate(&store).unwrap();
    let needed = validated
        .damage
        .iter()
        .filter(|damage| damage.blob.is_some());
    assert_eq!(needed.count(), outcome.lost.len());
}

#[test]
fn the_next_backup_heals_what_it_can_make_again_once_a_pack_is_marked() {
    let case = Case::small(RedundancyLevel::None);
    let backend = case.copy();
    let pack = case.packs()[0];
    // All of it but its table of contents: a backup would believe in its copies.
    let length = read(&*backend, &name::pack(&pack)).len();
    flip(&*backend, &name::pack(&pack), 40..length - 2000);
    let mut store = case.sandbox.open(backend.clone());
    let outcome = case.repair(&store);
    assert!(outcome.is_lost());
    let (last, content) = case.kept.last().unwrap();
    assert!(case.sandbox.try_restore(&mut store, last).is_err());
    let new = case.sandbox.backup(&mut store, &case.database);
    assert!(case.sandbox.restore(&mut store, &new) == *content);
    assert!(case.sandbox.restore(&mut store, last) == *content);
    let again = case.repair(&store);
    assert!(again.lost.len() < outcome.lost.len(), "{again:?}");
}

#[test]
fn damaged_parity_and_second_copies_are_made_anew() {
    for case in [Case::large(), Case::small(RedundancyLevel::Full)] {
        let good = objects(&*case.backend);
        for object in names(&*case.backend, "") {
            let is_beside = object.starts_with(name::PARITY) || object.starts_with(name::SECOND);
            if !is_beside {
                continue;
            }
            let backend = case.copy();
            flip(&*backend, &object, 50..60);
            let store = case.sandbox.open(backend.clone());
            let outcome = case.repair(&store);
            assert_eq!(outcome.redundancy, std::slice::from_ref(&object));
            assert!(objects(&*backend) == good, "{object}");
        }
    }
}

#[test]
fn a_plan_writes_nothing_and_says_what_is_then_done() {
    let case = Case::large();
    // What a lost manifest needed is not known: then no pack goes.
    for manifest_is_lost in [false, true] {
        let backend = case.copy();
        flip(&*backend, &name::pack(&case.packs()[0]), 9000..12_000);
        if manifest_is_lost {
            flip(&*backend, &name::snapshot(&case.kept[2].0), 60..61);
        }
        let before = objects(&*backend);
        let store = case.sandbox.open(backend.clone());
        let options = RepairOptions {
            dry_run: true,
            ..no_sources()
        };
        let planned = case.try_repair(&store, &[], &options).unwrap();
        assert!(objects(&*backend) == before);
        let done = case.repair(&store);
        assert_eq!(planned.healed, done.healed);
        assert_eq!(planned.lost, done.lost);
        assert_eq!(planned.removed, done.removed);
        for outcome in [&planned, &done] {
            assert_eq!(outcome.damaged.len(), 1);
            assert_eq!(outcome.damaged[0].removed, !manifest_is_lost);
        }
    }
}

#[test]
fn a_mark_goes_thirty_days_after_its_pack() {
    let mut case = Case::small(RedundancyLevel::Full);
    let pack = case.packs()[0];
    flip(&*case.backend, &name::pack(&pack), 100..200);
    let mut store = case.sandbox.open(case.backend.clone());
    assert!(case.repair(&store).damaged[0].removed);
    let day = std::time::Duration::from_secs(24 * 3600);
    for (days, left) in [(0, true), (29, true), (2, false)] {
        case.sandbox.env.advance(day * days);
        sql(
            &case.database,
            &format!("INSERT INTO a(x) VALUES('{days}')"),
        );
        let id = case.sandbox.backup(&mut store, &case.database);
        let content = case.sandbox.restore(&mut store, &id);
        case.kept.push((id, content));
        case.sandbox.try_prune(&store).unwrap();
        let marks = names(&*case.backend, name::DAMAGED);
        assert_eq!(marks.len(), usize::from(left), "{days} days");
    }
    case.assert_all(&mut store, "after the mark");
}

#[test]
fn a_repair_goes_on_beside_a_backup_and_beside_a_prune_that_was_cut_off() {
    let case = Case::small(RedundancyLevel::Full);
    let backend = case.copy();
    let packs = case.packs();
    flip(&*backend, &name::pack(&packs[0]), 100..200);
    let mut store = case.sandbox.open(backend.clone());
    // A backup at work may lean on the damaged pack: that stays until it is over.
    let writer = store.writer(case.sandbox.world().env.unix_ms()).unwrap();
    let outcome = case.repair(&store);
    assert!(
        !outcome.is_lost() && !outcome.damaged[0].removed,
        "{outcome:?}"
    );
    case.assert_all_but_packs(&mut store);
    writer.abandon().unwrap();
    let again = case.repair(&store);
    assert!(
        again.damaged[0].removed && again.healed.is_empty(),
        "{again:?}"
    );
    case.assert_all(&mut store, "after the backup");
    // A prune that condemned the pack with the only good copies, and died.
    let backend = case.copy();
    flip(&*backend, &name::pack(&packs[0]), 100..200);
    let store = case.sandbox.open(backend.clone());
    let mut clean_up = store.clean_up();
    assert!(clean_up.condemn([packs[1]].into()).unwrap());
    drop(clean_up);
    case.sandbox.env.begin_process();
    let mut store = case.sandbox.open(backend.clone());
    let outcome = case.repair(&store);
    assert!(
        !outcome.is_lost() && outcome.damaged[0].removed,
        "{outcome:?}"
    );
    case.assert_all(&mut store, "beside a prune");
    assert!(
        prune::run(
            &store,
            &case.sandbox.world(),
            &prune::PruneOptions::default(),
            &mut NoProgress
        )
        .is_ok()
    );
}

impl Case {
    /// Every snapshot is what it was, though damaged packs may be there.
    #[track_caller]
    fn assert_all_but_packs(&self, store: &mut Store) {
        for (id, content) in &self.kept {
            assert!(self.sandbox.restore(store, id) == *content);
        }
    }
}
