//! A manifest that somebody deleted, and whose second copy is there: damage that is named, that no prune makes
//! worse, and that a repair undoes. What was forgotten does not come back by its copy.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::error::Error;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::{AbortMarker, ForgetFinal};
use larder::model::id::SnapshotId;
use larder::ops::forget::{self, ForgetOptions, Which};
use larder::ops::open::Store;
use larder::ops::parity::{self, Redundancy, RedundancyLevel};
use larder::ops::repair::{self, RepairOptions, RepairOutcome};
use larder::ops::validate::{self, Level, ValidateOptions};
use larder::progress::NoProgress;
use larder::store::StoreError;

use crate::sandbox::{Sandbox, names, snapshots};
use crate::workshop::sql;

struct Case {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    store: Store,
    /// Snapshots and what they restore to.
    kept: Vec<(SnapshotId, Vec<u8>)>,
}

/// Three snapshots in a store of full redundancy.
fn case() -> Case {
    let sandbox = Sandbox::new();
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    let (level, percent) = (RedundancyLevel::Full, 3);
    parity::choose(&store, Redundancy { level, percent }).unwrap();
    let database = sandbox.path("a.db");
    let mut kept = Vec::new();
    for text in [
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x); INSERT INTO a VALUES(1, 'one')",
        "INSERT INTO a VALUES(2, 'two')",
        "DELETE FROM a; INSERT INTO a VALUES(3, 'three')",
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
    fn lose(&self, at: usize) -> SnapshotId {
        let id = self.kept[at].0.clone();
        self.backend.delete(&name::snapshot(&id)).unwrap();
        id
    }

    fn second(&self, id: &SnapshotId) -> String {
        name::second(&name::snapshot(id))
    }

    fn has(&self, object: &str) -> bool {
        names(&*self.backend, "").iter().any(|name| name == object)
    }

    fn named(&self) -> Vec<(String, String)> {
        let outcome = self.sandbox.try_validate(&self.store).unwrap();
        let damage = outcome.damage.into_iter();
        damage.map(|d| (d.object, d.cause)).collect()
    }

    fn repair(&self, dry_run: bool) -> RepairOutcome {
        let options = RepairOptions {
            dry_run,
            no_sources: true,
            ..RepairOptions::default()
        };
        repair::run(
            &self.store,
            &[],
            &self.sandbox.world(),
            &options,
            &mut NoProgress,
        )
        .unwrap()
    }

    fn put_marker(&self, id: &SnapshotId) {
        let marker = AbortMarker {
            snapshot: id.clone(),
            fenced: "2026-11-23T20:15:30Z".to_owned(),
        };
        let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Abort, &marker).unwrap();
        self.backend.put_new(&name::snapshot(id), &bytes).unwrap();
    }
}

/// Validation passed, and a prune deleted the copy as an orphan and then the packs.
#[test]
fn a_lost_manifest_is_named_kept_by_prunes_and_stands_again_after_a_repair() {
    let mut case = case();
    let id = case.lose(1);
    assert!(
        !snapshots(&case.store).contains(&id),
        "a copy is no snapshot"
    );
    let said = case.named();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, format!("snapshot {id}"));
    assert!(said[0].1.contains("larder repair"), "{said:?}");
    let quick = ValidateOptions {
        level: Level::Quick,
        ..ValidateOptions::default()
    };
    let world = case.sandbox.world();
    let quick = validate::run(&case.store, &world, &quick, &mut NoProgress).unwrap();
    assert_eq!(quick.damage.len(), 1);
    let packs = names(&*case.backend, name::PACKS);
    case.sandbox.try_prune(&case.store).unwrap();
    assert_eq!(names(&*case.backend, name::PACKS), packs);
    assert!(case.has(&case.second(&id)));
    let refused = parity::remove(&case.store, &mut NoProgress);
    assert!(
        matches!(refused, Err(Error::Store(StoreError::StillNeeded { .. }))),
        "{refused:?}"
    );

    let planned = case.repair(true);
    assert_eq!(planned.snapshots.len(), 1, "{planned:?}");
    assert_eq!(case.named(), said);
    let done = case.repair(false);
    assert_eq!((done.snapshots.len(), done.lost), (1, Vec::new()));
    assert_eq!(done.snapshots[0].id, id.to_string());
    let new_id: SnapshotId = done.snapshots[0].new_id.clone().unwrap().parse().unwrap();
    let content = case.sandbox.restore(&mut case.store, &new_id);
    assert!(content == case.kept[1].1);
    let manifest = case.store.manifest(&new_id).unwrap().unwrap();
    assert_eq!(manifest.original, Some(id.clone()));
    assert_eq!(case.named(), []);
    assert!(case.repair(false).is_clean());
    // Now the old one is forgotten, and its copy garbage.
    case.sandbox.try_prune(&case.store).unwrap();
    assert!(!case.has(&case.second(&id)));
    assert_eq!(case.named(), []);
    case.kept[1].0 = new_id;
    for (id, content) in case.kept.clone() {
        assert!(case.sandbox.restore(&mut case.store, &id) == content);
    }
}

#[test]
fn the_copy_of_a_manifest_that_was_forgotten_or_never_was_is_garbage() {
    for verdict in [false, true] {
        let case = case();
        let id = case.kept[1].0.clone();
        case.store.forget(&id).unwrap();
        if verdict {
            let delete = ForgetFinal::Delete {
                snapshot: id.clone(),
                mark: 1,
                time: "2026-11-23T20:15:30.000Z".to_owned(),
            };
            let bytes =
                frame::encode(StoreHash::unkeyed(), ObjectKind::ForgetFinal, &delete).unwrap();
            let object = name::forgotten_final(&id, 1);
            case.backend.put_new(&object, &bytes).unwrap();
        }
        case.lose(1);
        assert_eq!(case.named(), []);
        assert_eq!(case.repair(false).snapshots, []);
        case.sandbox.try_prune(&case.store).unwrap();
        assert!(!case.has(&case.second(&id)));
        assert_eq!(snapshots(&case.store).len(), 2);
    }
    // Nor does it count behind a marker that says it never was.
    let case = case();
    let id = case.lose(1);
    case.put_marker(&id);
    assert_eq!(case.store.manifest(&id).unwrap(), None);
    assert_eq!(case.store.lost_manifests().unwrap(), []);
    assert_eq!(snapshots(&case.store).len(), 2);
}

/// A mark that was taken back says that the manifest should be there.
#[test]
fn a_snapshot_that_was_taken_back_counts_as_lost() {
    let case = case();
    let id = case.kept[1].0.clone();
    case.store.forget(&id).unwrap();
    case.store.unforget(&id).unwrap();
    let verdict = name::forgotten_final(&id, 1);
    case.lose(1);
    assert_eq!(case.named().len(), 1);
    // A repair does not make its verdict one that deletes it, either.
    let mut bytes = case.backend.get(&verdict, u64::MAX).unwrap();
    bytes[20] ^= 1;
    case.backend.put(&verdict, &bytes).unwrap();
    let done = case.repair(false);
    assert_eq!(done.snapshots.len(), 1, "{done:?}");
    assert_eq!(case.named(), []);
}

/// What it needs is not known then: nothing may be deleted, until somebody says so.
#[test]
fn a_lost_manifest_whose_copy_is_damaged_stops_prunes_until_it_is_forgotten() {
    let mut case = case();
    let id = case.lose(1);
    let copy = case.second(&id);
    let mut bytes = case.backend.get(&copy, u64::MAX).unwrap();
    bytes[60] ^= 1;
    case.backend.put(&copy, &bytes).unwrap();
    let said = case.named();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].0, format!("snapshot {id}"));
    let all = names(&*case.backend, "");
    let stopped = case.sandbox.try_prune(&case.store);
    assert!(
        matches!(stopped, Err(Error::Store(StoreError::Damaged { .. }))),
        "{stopped:?}"
    );
    assert_eq!(names(&*case.backend, ""), all);
    assert_eq!(case.repair(false).lost.len(), 1);
    let options = ForgetOptions {
        which: Which::Words(vec![id.to_string()]),
        dry_run: false,
    };
    let forgotten = forget::run(&case.store, &options, &mut NoProgress).unwrap();
    assert_eq!(forgotten.forgotten.len(), 1);
    assert_eq!(case.named(), []);
    case.sandbox.try_prune(&case.store).unwrap();
    assert!(!case.has(&copy));
    for at in [0, 2] {
        let (id, content) = case.kept[at].clone();
        assert!(case.sandbox.restore(&mut case.store, &id) == content);
    }
}

/// Its writer may be dead before it could take its record away.
#[test]
fn no_marker_is_put_where_a_manifest_was_lost() {
    let case = case();
    let writer = case.store.writer(1_700_000_000_000).unwrap();
    let id = writer.snapshot().clone();
    let second = case.backend.get(&case.second(&case.kept[0].0), u64::MAX);
    case.backend
        .put(&case.second(&id), &second.unwrap())
        .unwrap();
    let clean_up = case.store.clean_up();
    let state = clean_up.writer_state(&id).unwrap();
    assert_eq!(state, larder::store::gc::WriterState::Over);
    drop(writer);
}
