//! Second copies stand in for small objects that are damaged, and for nothing else: what was deleted
//! does not come back by its copy, and what was never committed has none.

use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::error::Error;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::open::Store;
use larder::ops::parity::{self, AddOptions, Redundancy, RedundancyLevel};
use larder::progress::{NoProgress, Severity};
use larder::store::{Rebuilt, StoreError};
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use crate::sandbox::{Sandbox, names, snapshots};
use crate::workshop::sql;

const FULL: Redundancy = Redundancy {
    level: RedundancyLevel::Full,
    percent: 3,
};

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    id: SnapshotId,
    /// What the snapshot restores to.
    content: Vec<u8>,
}

/// A store of full redundancy with one snapshot.
fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    parity::choose(&store, FULL).unwrap();
    sql(
        &sandbox.path("a.db"),
        "CREATE TABLE a(x); INSERT INTO a VALUES('one'),('two')",
    );
    let id = sandbox.backup(&mut store, &sandbox.path("a.db"));
    let content = sandbox.restore(&mut store, &id);
    Case {
        sandbox,
        backend,
        store,
        id,
        content,
    }
}

fn read(backend: &dyn Backend, name: &str) -> Vec<u8> {
    backend.get(name, 1 << 30).unwrap()
}

/// Objects that should have a copy: all but records of the protocol and the setting.
fn firsts(backend: &dyn Backend) -> Vec<String> {
    let mut all = names(backend, "");
    all.retain(|name| name::parse_second(&name::second(name)).is_some());
    all
}

#[test]
fn a_store_of_full_redundancy_has_a_second_copy_of_every_small_object() {
    let case = case();
    let firsts = firsts(&*case.backend);
    assert_eq!(firsts.len(), 3, "{firsts:?}");
    for first in &firsts {
        let copy = read(&*case.backend, &name::second(first));
        assert!(copy == read(&*case.backend, first), "{first}");
    }
    assert_eq!(names(&*case.backend, name::SECOND).len(), 3);
    assert_eq!(case.store.redundants().unwrap().len(), 3);
    case.sandbox.assert_whole(&case.store, 1);
}

#[test]
fn every_small_object_may_be_damaged_at_any_byte_or_cut_and_nothing_is_lost() {
    let case = case();
    let mut damaged = 0;
    for first in firsts(&*case.backend) {
        let good = read(&*case.backend, &first);
        let flips = (0..good.len()).step_by(7).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            bytes
        });
        let cuts = (0..good.len()).step_by(11).map(|at| good[..at].to_vec());
        for bytes in flips.chain(cuts) {
            let backend = Arc::new(MemoryBackend::over(case.backend.clone()));
            backend.put(&first, &bytes).unwrap();
            let mut store = case.sandbox.open(backend);
            assert_eq!(snapshots(&store), std::slice::from_ref(&case.id), "{first}");
            let validated = case.sandbox.try_validate(&store).unwrap();
            assert!(!validated.damage.is_empty(), "{first}: not named");
            match name::parse_pack(&first) {
                // A reader does not look for copies of blobs: a repair does.
                Some(pack) => {
                    assert_eq!(
                        store.rebuild(&pack).unwrap(),
                        Rebuilt::FromSecond(good.clone())
                    );
                }
                None => {
                    assert!(case.sandbox.restore(&mut store, &case.id) == case.content);
                    assert!(validated.snapshots.iter().all(|s| s.good), "{first}");
                }
            }
            damaged += 1;
        }
    }
    println!("{damaged} damaged objects");
    assert!(damaged > 200);
}

#[test]
fn a_damaged_copy_is_named_and_made_again() {
    let case = case();
    for first in firsts(&*case.backend) {
        let copy = name::second(&first);
        let mut bytes = read(&*case.backend, &copy);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        case.backend.put(&copy, &bytes).unwrap();
        let validated = case.sandbox.try_validate(&case.store).unwrap();
        assert_eq!(validated.damage.len(), 1, "{first}");
        let damage = &validated.damage[0];
        assert!(damage.object.starts_with("second copy of "), "{damage:?}");
        assert_eq!(damage.affects, []);
        let world = case.sandbox.world();
        let options = AddOptions::default();
        let added = parity::add(&case.store, &world, &options, &mut NoProgress).unwrap();
        assert_eq!((added.copied.count, added.damage.len()), (1, 0), "{first}");
        case.sandbox.assert_whole(&case.store, 1);
    }
}

#[test]
fn a_store_without_its_config_opens_by_the_copy() {
    let case = case();
    let id = case.store.id();
    case.backend.delete(name::CONFIG).unwrap();
    assert_eq!(case.sandbox.open(case.backend.clone()).id(), id);
    case.backend.delete(&name::second(name::CONFIG)).unwrap();
    let refused = case.sandbox.try_open(case.backend.clone());
    assert!(matches!(refused, Err(StoreError::NoStore { .. })));
}

#[test]
fn a_snapshot_that_is_taken_back_takes_its_copy_with_it() {
    let case = case();
    case.store.withdraw(&case.id).unwrap();
    assert_eq!(names(&*case.backend, name::SNAPSHOTS), [""; 0]);
    let copies = names(&*case.backend, name::SECOND);
    assert!(!copies.contains(&name::second(&name::snapshot(&case.id))));
    // So it goes with whatever else is deleted.
    for redundant in case.store.redundants().unwrap() {
        case.store.drop_redundancy_of(&redundant.of).unwrap();
        case.store.drop_redundancy_of(&redundant.of).unwrap();
    }
    assert_eq!(names(&*case.backend, name::SECOND), [""; 0]);
}

/// A copy is put after the commit: whatever fails before leaves none, and what fails then is a warning.
#[test]
fn a_fault_leaves_no_copy_of_what_is_no_snapshot_and_takes_no_snapshot_back() {
    let case = case();
    sql(&case.sandbox.path("a.db"), "INSERT INTO a VALUES('three')");
    let (mut refused, mut warned) = (0, 0);
    for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
        for nth in 1.. {
            let copy = Arc::new(MemoryBackend::over(case.backend.clone()));
            let faults = FaultBackend::new(copy.clone());
            let mut store = case.sandbox.open(Arc::new(faults.clone()));
            faults.reset();
            faults.fail(make(nth, BackendErrorKind::Other));
            let done = case
                .sandbox
                .try_backup(&mut store, &case.sandbox.path("a.db"));
            if faults.count() < nth {
                break;
            }
            let what = format!("{:?}", faults.log().get(nth - 1));
            let store = case.sandbox.open(copy.clone());
            let there = snapshots(&store);
            for redundant in store.redundants().unwrap() {
                assert!(!redundant.is_orphan, "{what}: {redundant:?}");
            }
            match done {
                Ok(outcome) => {
                    assert_eq!(there.len(), 2, "{what}");
                    let has_copy = store.redundants().unwrap().len() == 5;
                    let told = outcome
                        .findings
                        .iter()
                        .any(|finding| finding.severity == Severity::Warning);
                    assert!(has_copy || told, "{what}: {:?}", outcome.findings);
                    warned += usize::from(told);
                }
                Err(Error::Store(_)) => refused += 1,
                Err(error) => panic!("{what}: {error}"),
            }
            let world = case.sandbox.world();
            parity::add(&store, &world, &AddOptions::default(), &mut NoProgress).unwrap();
            case.sandbox.assert_whole(&store, there.len());
        }
    }
    println!("{refused} refused, {warned} with a warning");
    assert!(refused > 10 && warned > 3, "{refused} {warned}");
}

#[test]
fn a_damaged_setting_is_named_and_does_not_keep_from_backing_up() {
    let mut case = case();
    case.backend.put(name::REDUNDANCY, b"nothing").unwrap();
    sql(&case.sandbox.path("a.db"), "INSERT INTO a VALUES('three')");
    case.sandbox
        .backup(&mut case.store, &case.sandbox.path("a.db"));
    assert_eq!(parity::status(&case.store).unwrap().redundancy, None);
    let validated = case.sandbox.try_validate(&case.store).unwrap();
    let objects: Vec<&str> = validated.damage.iter().map(|d| d.object.as_str()).collect();
    assert_eq!(objects, [name::REDUNDANCY]);
    let (world, options) = (case.sandbox.world(), AddOptions::default());
    let added = parity::add(&case.store, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(added.redundancy, Redundancy::default());
    case.sandbox.assert_whole(&case.store, 2);
}

#[test]
fn removing_redundancy_leaves_the_data_and_nothing_else() {
    let mut case = case();
    let firsts = firsts(&*case.backend);
    let removed = parity::remove(&case.store, &mut NoProgress).unwrap();
    assert_eq!((removed.parity.count, removed.seconds.count), (0, 3));
    let mut left = names(&*case.backend, "");
    left.retain(|name| name != name::REDUNDANCY);
    assert_eq!(left, firsts);
    sql(&case.sandbox.path("a.db"), "INSERT INTO a VALUES('three')");
    case.sandbox
        .backup(&mut case.store, &case.sandbox.path("a.db"));
    assert_eq!(case.store.redundants().unwrap(), []);
    case.sandbox.assert_whole(&case.store, 2);
}

/// What can only be made again of its copy keeps that copy, and all others keep theirs.
#[test]
fn redundancy_is_not_removed_while_something_damaged_needs_it() {
    for damaged in ["config", "snapshots/", "packs/"] {
        let case = case();
        let object = firsts(&*case.backend)
            .into_iter()
            .chain(["config".to_owned()])
            .find(|object| object.starts_with(damaged))
            .unwrap();
        let mut bytes = read(&*case.backend, &object);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        case.backend.put(&object, &bytes).unwrap();
        let before = case.backend.list("").unwrap();
        let refused = parity::remove(&case.store, &mut NoProgress);
        assert!(
            matches!(refused, Err(Error::Store(StoreError::StillNeeded { .. }))),
            "{object}: {refused:?}"
        );
        assert_eq!(case.backend.list("").unwrap(), before, "{object}");
    }
}
