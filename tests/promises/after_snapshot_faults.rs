//! A snapshot within a transaction met by any fault of the store, or by a clean-up: it is there and
//! whole, or an error says so and it is not there, so that the transaction can be taken back.

use std::sync::Arc;
use std::time::Duration;

use larder::backend::BackendErrorKind;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::{Error, StoreError};
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::AbortMarker;
use larder::model::id::SnapshotId;
use larder::ops::backup::{self, After, Deed, Taken};
use larder::ops::open::Store;
use larder::progress::NoProgress;
use larder::target::{Hold, LiveDatabase};
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use crate::interfering::Interfering;
use crate::sandbox::{Sandbox, snapshots};
use crate::workshop::sql;

const ROWS: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT); CREATE TABLE b(y);
    INSERT INTO a VALUES(1,'one'),(2,'two'); INSERT INTO b VALUES('x'),('y');";

/// Empties a table in a transaction, takes a snapshot, and rolls back.
fn take(sandbox: &Sandbox, store: &Store, before: &SnapshotId) -> Result<Taken, Error> {
    let live = LiveDatabase::open(&sandbox.path("a.db"), Duration::ZERO, false, false).unwrap();
    let view = live.begin_view(Hold::Free).unwrap();
    live.end_view(&view).unwrap();
    assert!(live.begin_write(&view).unwrap());
    live.empty("b").unwrap();
    let job = After {
        before: &store.manifest(before).unwrap().unwrap(),
        deed: Deed::Restore(before.clone()),
        changed: &["b".to_owned()],
    };
    backup::take_within(store, &sandbox.world(), &live, &job, &mut NoProgress)
}

#[test]
fn a_fault_of_the_store_leaves_the_snapshot_or_an_error_and_nothing() {
    let (mut runs, mut refused, mut taken) = (0, 0, 0);
    for kind in [BackendErrorKind::Other, BackendErrorKind::OutcomeUnknown] {
        for make in [Fault::once, Fault::lost_reply] {
            for nth in 2.. {
                let sandbox = Sandbox::new();
                sql(&sandbox.path("a.db"), ROWS);
                let faults = FaultBackend::new(Arc::new(MemoryBackend::new()));
                let mut store = sandbox.create(Arc::new(faults.clone()));
                let before = sandbox.backup(&mut store, &sandbox.path("a.db"));
                faults.reset();
                // Call 1 reads the manifest of the snapshot before.
                faults.fail(make(nth, kind));
                let done = take(&sandbox, &store, &before);
                let log = faults.log();
                let Some(hit) = log.get(nth - 1) else { break };
                let what = format!("{kind:?} at {hit:?}");
                faults.reset();
                let mut there = snapshots(&store);
                there.retain(|id| *id != before);
                match done {
                    Ok(done) => {
                        assert_eq!(there, std::slice::from_ref(&done.manifest.id), "{what}");
                        taken += 1;
                        sandbox.assert_whole(&store, 2);
                        backup::withdraw(&store, &done).unwrap();
                    }
                    Err(Error::Store(_)) => {
                        assert_eq!(there, [], "{what}");
                        refused += 1;
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                sandbox.assert_whole(&store, 1);
                runs += 1;
            }
        }
    }
    println!("{runs} faults, {refused} refused, {taken} taken all the same");
    assert!(refused > 40 && taken > 0, "{refused} {taken}");
}

/// A store in which a clean-up takes each of the writers for dead that come after the first.
fn fenced_store(sandbox: &Sandbox, times: usize) -> (Store, SnapshotId) {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let backend = Interfering::new(Arc::new(MemoryBackend::new()), move |inner, object| {
        if let Some(id) = object.strip_prefix(name::WRITERS) {
            let nth = seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if (1..=times).contains(&nth) {
                let id: SnapshotId = id.parse().unwrap();
                let marker = AbortMarker {
                    snapshot: id.clone(),
                    fenced: "2026-11-23T20:15:31.000Z".to_owned(),
                };
                let marker = frame::encode(StoreHash::unkeyed(), ObjectKind::Abort, &marker);
                inner.put_new(&name::snapshot(&id), &marker.unwrap())?;
            }
        }
        Ok(())
    });
    let mut store = sandbox.create(Arc::new(backend));
    let before = sandbox.backup(&mut store, &sandbox.path("a.db"));
    (store, before)
}

#[test]
fn a_fenced_snapshot_begins_again_and_no_abort_marker_is_withdrawn() {
    let sandbox = Sandbox::new();
    sql(&sandbox.path("a.db"), ROWS);
    let (store, before) = fenced_store(&sandbox, 1);
    let taken = take(&sandbox, &store, &before).unwrap();
    assert_eq!(snapshots(&store).len(), 2);
    backup::withdraw(&store, &taken).unwrap();
    assert_eq!(snapshots(&store), [before]);
    assert_eq!(store.snapshot_names().unwrap().ids.len(), 2, "one marker");
    let (store, before) = fenced_store(&sandbox, 9);
    let fenced = take(&sandbox, &store, &before).unwrap_err();
    assert!(
        matches!(fenced, Error::Store(StoreError::Fenced { .. })),
        "{fenced}"
    );
    assert_eq!(snapshots(&store), [before]);
    assert_eq!(
        store.snapshot_names().unwrap().ids.len(),
        4,
        "three markers"
    );
}
