//! A prune deletes parity and second copies with what they stand beside, and gives new packs theirs.

use std::path::Path;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::error::Error;
use larder::format::name;
use larder::model::id::{PackId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::parity::{self, Redundancy, RedundancyLevel};
use larder::progress::NoProgress;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use crate::sandbox::{Sandbox, names, scale, snapshots};
use crate::tree_rows::Random;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    kept: Vec<(SnapshotId, Vec<u8>)>,
}

/// Sets these rows to some 15 KB each that do not compress.
fn fill(database: &Path, rows: std::ops::Range<u32>, seed: u64) {
    let mut random = Random(seed);
    let db = rusqlite::Connection::open(database).unwrap();
    db.execute_batch("BEGIN; CREATE TABLE IF NOT EXISTS a(id INTEGER PRIMARY KEY, x BLOB)")
        .unwrap();
    for id in rows {
        let value = random.bytes(15_000);
        db.execute("INSERT OR REPLACE INTO a VALUES(?1, ?2)", (id, value))
            .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    db.close().unwrap();
}

/// A store of full redundancy: a large pack of which half is needed, one that is not, small ones, and
/// two forgotten snapshots.
fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let level = RedundancyLevel::Full;
    parity::choose(&store, Redundancy { level, percent: 3 }).unwrap();
    let database = sandbox.path("a.db");
    let mut ids = Vec::new();
    for (n, rows) in [0..200, 100..200, 0..1, 0..100].into_iter().enumerate() {
        fill(&database, rows, n as u64);
        ids.push(sandbox.backup(&mut store, &database));
    }
    let kept = [&ids[1], &ids[3]].map(|id| (id.clone(), sandbox.restore(&mut store, id)));
    for id in [&ids[0], &ids[2]] {
        store.forget(id).unwrap();
    }
    Case {
        sandbox,
        backend,
        kept: kept.to_vec(),
    }
}

/// Nothing stands beside what is gone; what is there has what the store keeps.
fn examine(case: &Case, store: &mut Store, what: &str) {
    let redundants = store.redundants().unwrap();
    let orphans: Vec<&str> = redundants
        .iter()
        .filter(|redundant| redundant.is_orphan)
        .map(|redundant| redundant.name.as_str())
        .collect();
    assert_eq!(orphans, [""; 0], "{what}");
    let ids: Vec<SnapshotId> = case.kept.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(snapshots(store), ids, "{what}");
    for (id, content) in &case.kept {
        assert!(case.sandbox.restore(store, id) == *content, "{what}: {id}");
    }
    let validated = case.sandbox.try_validate(store).unwrap();
    assert_eq!(validated.damage, [], "{what}");
}

#[test]
fn a_prune_leaves_no_orphan_and_gives_new_packs_their_parity() {
    let case = case();
    let mut store = case.sandbox.open(case.backend.clone());
    let before = names(&*case.backend, name::PARITY);
    let done = case.sandbox.try_prune(&store).unwrap();
    assert_eq!(done.deleted_snapshots.len(), 2);
    assert!(done.new.packs > 0 && done.deleted.packs > 0, "{done:?}");
    assert_eq!(done.orphans.objects, 0);
    examine(&case, &mut store, "pruned");
    let after = names(&*case.backend, name::PARITY);
    assert!(after.iter().any(|sidecar| !before.contains(sidecar)));
    let status = parity::status(&store).unwrap();
    assert_eq!((status.without.count, status.not_copied), (0, 0));
    let checked = parity::check(&store, &case.sandbox.world(), &mut NoProgress).unwrap();
    assert_eq!(checked.damage, []);
}

#[test]
fn orphans_are_deleted_and_counted() {
    let case = case();
    let mut store = case.sandbox.open(case.backend.clone());
    case.sandbox.try_prune(&store).unwrap();
    let gone = PackId([7; 32]);
    let orphans = [name::parity(&gone), name::second(&name::pack(&gone))];
    for orphan in &orphans {
        case.backend.put(orphan, b"of what is gone").unwrap();
    }
    let done = case.sandbox.try_prune(&store).unwrap();
    assert_eq!((done.orphans.objects, done.orphans.bytes), (2, 30));
    examine(&case, &mut store, "pruned again");
}

#[test]
fn a_prune_cut_off_at_any_call_leaves_nothing_that_the_next_one_does_not_delete() {
    let case = case();
    let faults = FaultBackend::new(Arc::new(MemoryBackend::over(case.backend.clone())));
    let store = case.sandbox.open(Arc::new(faults.clone()));
    faults.reset();
    case.sandbox.try_prune(&store).unwrap();
    let calls = faults.count();
    let step = if scale() > 1 { 1 } else { 3 };
    let (mut runs, mut failed) = (0, 0);
    for make in [Fault::once, Fault::for_ever, Fault::lost_reply] {
        for nth in (1..=calls).step_by(step) {
            let copy = Arc::new(MemoryBackend::over(case.backend.clone()));
            let faults = FaultBackend::new(copy.clone());
            let store = case.sandbox.open(Arc::new(faults.clone()));
            faults.reset();
            let fault = make(nth, BackendErrorKind::Other);
            faults.fail(fault);
            let done = case.sandbox.try_prune(&store);
            assert!(matches!(done, Ok(_) | Err(Error::Store(_))), "{done:?}");
            failed += usize::from(done.is_err());
            case.sandbox.env.begin_process();
            let mut store = case.sandbox.open(copy);
            let what = format!("{fault:?} at {:?}", faults.log().get(nth - 1));
            case.sandbox.try_prune(&store).unwrap();
            examine(&case, &mut store, &what);
            runs += 1;
        }
    }
    println!("{runs} faults, {failed} of them failed the prune");
    assert!(failed > 20, "{failed}");
}
