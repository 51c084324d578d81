//! Objects that are whole and yet wrong: under another's name, or about a snapshot that they are not about.
//! None of them takes anything away, and validation names each.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::Error;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::{AbortMarker, ForgetFinal, GcFinal, GcRecord};
use larder::model::id::{GcId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::parity::{self, AddOptions, Redundancy, RedundancyLevel};
use larder::progress::NoProgress;
use larder::store::StoreError;

use crate::sandbox::{Sandbox, names};
use crate::workshop::sql;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    /// Snapshots and what they restore to.
    kept: Vec<(SnapshotId, Vec<u8>)>,
}

/// Two snapshots, in a store with second copies or without.
fn case(level: RedundancyLevel) -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    parity::choose(&store, Redundancy { level, percent: 3 }).unwrap();
    let database = sandbox.path("a.db");
    let mut kept = Vec::new();
    for text in [
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x); INSERT INTO a VALUES(1, 'one')",
        "INSERT INTO a VALUES(2, 'two')",
    ] {
        sql(&database, text);
        let id = sandbox.backup(&mut store, &database);
        let content = sandbox.restore(&mut store, &id);
        kept.push((id, content));
    }
    Case {
        sandbox,
        backend,
        store,
        kept,
    }
}

impl Case {
    fn get(&self, object: &str) -> Vec<u8> {
        self.backend.get(object, 1 << 20).unwrap()
    }

    fn flip(&self, object: &str) {
        let mut bytes = self.get(object);
        *bytes.last_mut().unwrap() ^= 1;
        self.backend.put(object, &bytes).unwrap();
    }

    fn named(&self) -> Vec<String> {
        let outcome = self.sandbox.try_validate(&self.store).unwrap();
        outcome.damage.into_iter().map(|d| d.object).collect()
    }

    #[track_caller]
    fn assert_exact(&mut self, at: usize) {
        let (id, content) = self.kept[at].clone();
        assert!(self.sandbox.restore(&mut self.store, &id) == content);
    }
}

/// It was taken for its own: the snapshot was as if it had never been, and a prune deleted its packs.
#[test]
fn an_abort_marker_of_another_name_does_not_take_a_snapshot_away() {
    let mut case = case(RedundancyLevel::None);
    let marker = AbortMarker {
        snapshot: SnapshotId::new(1_700_000_000, [7; 16]),
        fenced: "2020-01-01T00:00:00.000Z".to_owned(),
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Abort, &marker).unwrap();
    let id = case.kept[1].0.clone();
    let (object, good) = (name::snapshot(&id), case.get(&name::snapshot(&id)));
    case.backend.put(&object, &bytes).unwrap();
    assert_eq!(case.named(), [format!("snapshot {id}")]);
    let packs = names(&*case.backend, name::PACKS);
    let pruned = case.sandbox.try_prune(&case.store);
    assert!(
        matches!(pruned, Err(Error::Store(StoreError::Damaged { .. }))),
        "{pruned:?}"
    );
    assert_eq!(names(&*case.backend, name::PACKS), packs);
    case.backend.put(&object, &good).unwrap();
    case.assert_exact(1);
}

/// Every command failed on it, for each asks which snapshots are forgotten.
#[test]
fn a_damaged_verdict_on_a_forgotten_snapshot_stops_nothing_and_deletes_nothing() {
    let mut case = case(RedundancyLevel::None);
    let id = case.kept[0].0.clone();
    case.store.forget(&id).unwrap();
    case.store.unforget(&id).unwrap();
    let verdict = name::forgotten_final(&id, 1);
    case.flip(&verdict);
    assert_eq!(case.named(), [verdict]);
    case.sandbox
        .env
        .advance(std::time::Duration::from_secs(90 * 3600));
    // It may stop at it, but must not take it for what it is not.
    let _ended = case.sandbox.try_prune(&case.store);
    for at in [0, 1] {
        case.assert_exact(at);
    }
    // Forgotten again it is by another mark, and can be had back.
    assert!(case.store.forget(&id).unwrap());
    assert!(case.store.forgotten().unwrap().contains(&id));
    assert!(case.store.unforget(&id).unwrap());
    case.assert_exact(0);
}

#[test]
fn validation_names_damaged_records_of_writers_and_of_forgotten_and_pinned_snapshots() {
    let case = case(RedundancyLevel::None);
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    case.store.forget(&ids[0]).unwrap();
    case.store.pin(&ids[1]).unwrap();
    let writer = case.store.writer(1_700_000_000_000).unwrap();
    let records = [
        names(&*case.backend, name::FORGOTTEN),
        names(&*case.backend, name::PINS),
        names(&*case.backend, name::WRITERS),
        vec![name::snapshot(&ids[0])],
    ];
    for object in records.concat() {
        assert_eq!(case.named(), [""; 0]);
        let good = case.get(&object);
        case.flip(&object);
        assert_eq!(case.named(), [object.replace(name::SNAPSHOTS, "snapshot ")]);
        case.backend.put(&object, &good).unwrap();
    }
    // A whole one, about another snapshot.
    let pin = case.get(&name::pin(&ids[1]));
    case.backend.put(&name::pin(&ids[0]), &pin).unwrap();
    assert_eq!(case.named(), [name::pin(&ids[0])]);
    drop(writer);
}

/// The copy was blamed, and adding redundancy wrote the wrong one over it.
#[test]
fn a_manifest_in_anothers_place_is_named_and_its_second_copy_stays() {
    let mut case = case(RedundancyLevel::Full);
    let [one, two] = [0, 1].map(|at| name::snapshot(&case.kept[at].0));
    let good = case.get(&two);
    case.backend.put(&two, &case.get(&one)).unwrap();
    let id = case.kept[1].0.clone();
    assert_eq!(case.named(), [format!("snapshot {id}")]);
    case.assert_exact(1);
    let (world, full) = (
        case.sandbox.world(),
        AddOptions {
            full: true,
            percent: None,
        },
    );
    let added = parity::add(&case.store, &world, &full, &mut NoProgress).unwrap();
    assert_eq!(added.damage.len(), 1, "{:?}", added.damage);
    assert!(case.get(&name::second(&two)) == good);
    case.assert_exact(1);
}

/// Nothing said so as long as the copy was there.
#[test]
fn a_config_that_is_gone_is_named_though_its_second_copy_does() {
    let mut case = case(RedundancyLevel::Full);
    case.backend.delete(name::CONFIG).unwrap();
    case.store = case.sandbox.open(case.backend.clone());
    assert_eq!(case.named(), ["config"]);
    case.assert_exact(1);
}

/// They said nothing of what they were verdicts on: a snapshot that was taken back counted as forgotten.
#[test]
fn verdicts_in_each_others_place_are_named_and_delete_nothing() {
    let mut case = case(RedundancyLevel::None);
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    for id in &ids {
        case.store.forget(id).unwrap();
    }
    case.store.unforget(&ids[0]).unwrap();
    case.store.unforget(&ids[1]).unwrap();
    case.store.forget(&ids[1]).unwrap();
    let delete = ForgetFinal::Delete {
        snapshot: ids[1].clone(),
        mark: 2,
        time: "2026-11-25T00:00:00.000Z".to_owned(),
    };
    let going = name::forgotten_final(&ids[1], 2);
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::ForgetFinal, &delete).unwrap();
    case.backend.put(&going, &bytes).unwrap();
    assert_eq!(case.named(), [""; 0]);
    // Of another snapshot, and of another mark of the same.
    for kept in [
        name::forgotten_final(&ids[0], 1),
        name::forgotten_final(&ids[1], 1),
    ] {
        let (undone, delete) = (case.get(&kept), case.get(&going));
        case.backend.put(&kept, &delete).unwrap();
        case.backend.put(&going, &undone).unwrap();
        let mut both = [kept.clone(), going.clone()];
        both.sort_unstable();
        assert_eq!(case.named(), both);
        let forgotten = case.store.forgotten().unwrap();
        assert!(ids.iter().all(|id| !forgotten.contains(id)));
        let _ended = case.sandbox.try_prune(&case.store);
        for at in [0, 1] {
            case.assert_exact(at);
        }
        case.backend.put(&kept, &undone).unwrap();
        case.backend.put(&going, &delete).unwrap();
    }
    // A mark in the place of another one of the same snapshot would tell another time.
    let marks = [1, 2].map(|nth| name::forgotten(&ids[1], nth));
    case.backend.put(&marks[1], &case.get(&marks[0])).unwrap();
    assert_eq!(case.named(), [marks[1].clone()]);
}

/// What is condemned or dead is what all of them say: which said it did not matter, and was not looked at.
#[test]
fn records_of_clean_ups_in_each_others_place_are_named_and_stop_backups_and_prunes() {
    let mut case = case(RedundancyLevel::None);
    let hash = StoreHash::unkeyed();
    let ids = [GcId([3; 16]), GcId([4; 16])];
    let pack = name::parse_pack(&names(&*case.backend, name::PACKS)[0]).unwrap();
    let time = "2026-11-25T00:00:00.000Z".to_owned();
    for clean_up in ids {
        let record = GcRecord::of(clean_up, vec![pack]);
        let bytes = frame::encode(hash, ObjectKind::Gc, &record).unwrap();
        case.backend.put(&name::gc(&clean_up), &bytes).unwrap();
        let abort = GcFinal::Abort {
            clean_up,
            time: time.clone(),
        };
        let bytes = frame::encode(hash, ObjectKind::GcFinal, &abort).unwrap();
        let object = name::gc_final(&clean_up);
        case.backend.put(&object, &bytes).unwrap();
    }
    assert_eq!(case.named(), [""; 0]);
    for of in [name::gc as fn(&GcId) -> String, name::gc_final] {
        let [one, two] = ids.map(|id| of(&id));
        let good = case.get(&one);
        case.backend.put(&one, &case.get(&two)).unwrap();
        assert_eq!(case.named(), std::slice::from_ref(&one));
        assert!(case.store.writer(1_700_000_000_000).is_err());
        let pruned = case.sandbox.try_prune(&case.store);
        assert!(
            matches!(pruned, Err(Error::Store(StoreError::Damaged { .. }))),
            "{pruned:?}"
        );
        for at in [0, 1] {
            case.assert_exact(at);
        }
        case.backend.put(&one, &good).unwrap();
    }
}
