//! Forgetting a snapshot hides it and deletes nothing: it can be taken back until a clean-up has
//! decided otherwise, and of both only one comes first (rules F1 and F3).

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::ForgetFinal;
use larder::model::id::SnapshotId;
use larder::ops::open::Store;
use larder::store::{StoreError, Verdict};

use crate::sandbox::{Sandbox, names};
use crate::workshop::sql;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    ids: Vec<SnapshotId>,
}

fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let database = sandbox.path("app.db");
    let ids = [
        "CREATE TABLE a(x); INSERT INTO a VALUES(1)",
        "INSERT INTO a VALUES(2)",
    ]
    .map(|change| {
        sql(&database, change);
        sandbox.backup(&mut store, &database)
    })
    .to_vec();
    Case {
        sandbox,
        backend,
        store,
        ids,
    }
}

fn visible(store: &Store) -> Vec<SnapshotId> {
    store.snapshot_names().unwrap().ids
}

#[test]
fn a_forgotten_snapshot_is_hidden_and_whole_until_it_is_taken_back() {
    let Case {
        sandbox,
        mut store,
        ids,
        ..
    } = case();
    let before = sandbox.restore(&mut store, &ids[0]);
    assert!(store.forget(&ids[0]).unwrap());
    assert!(!store.forget(&ids[0]).unwrap(), "it is forgotten already");
    assert_eq!(visible(&store), ids[1..]);
    assert_eq!(store.snapshot_names().unwrap().forgotten, ids[..1]);
    assert!(store.manifest(&ids[0]).unwrap().is_some());
    assert!(store.unforget(&ids[0]).unwrap());
    assert!(!store.unforget(&ids[0]).unwrap(), "it is not forgotten");
    assert_eq!(visible(&store), ids);
    assert!(sandbox.restore(&mut store, &ids[0]) == before);
}

#[test]
fn forgetting_again_is_a_new_mark() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    for nth in 1..=3_u32 {
        assert!(store.forget(&ids[0]).unwrap());
        let forgotten = store.forgotten().unwrap();
        assert_eq!(forgotten.mark(&ids[0]).unwrap().nth, nth);
        assert!(store.unforget(&ids[0]).unwrap());
    }
    assert_eq!(names(&*backend, name::FORGOTTEN).len(), 6);
    assert_eq!(visible(&store), ids);
}

#[test]
fn an_undo_that_comes_after_the_verdict_of_a_clean_up_is_refused() {
    let Case {
        backend,
        store,
        ids,
        ..
    } = case();
    store.forget(&ids[0]).unwrap();
    let delete = ForgetFinal::Delete {
        time: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::ForgetFinal, &delete).unwrap();
    backend
        .put_new(&name::forgotten_final(&ids[0], 1), &bytes)
        .unwrap();
    let mark = store.forgotten().unwrap().mark(&ids[0]).cloned().unwrap();
    assert_eq!(mark.verdict, Some(Verdict::Delete));
    let refused = store.unforget(&ids[0]);
    assert!(
        matches!(refused, Err(StoreError::Pruned { .. })),
        "{refused:?}"
    );
    assert_eq!(visible(&store), ids[1..]);
}

#[test]
fn a_pin_is_there_until_it_is_taken_away() {
    let Case { store, ids, .. } = case();
    assert!(store.pin(&ids[0]).unwrap());
    assert!(!store.pin(&ids[0]).unwrap());
    assert_eq!(
        store.pins().unwrap().into_iter().collect::<Vec<_>>(),
        ids[..1]
    );
    assert!(store.unpin(&ids[0]).unwrap());
    assert!(!store.unpin(&ids[0]).unwrap());
    assert!(store.pins().unwrap().is_empty());
}
