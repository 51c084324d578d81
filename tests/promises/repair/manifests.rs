//! A damaged manifest, and what stands for it once its snapshot is there again.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::copy::{self, CopyOptions};
use larder::ops::parity::{self, Redundancy, RedundancyLevel};
use larder::progress::NoProgress;

use super::{Case, flip, no_sources};
use crate::sandbox::snapshots;

#[test]
fn a_snapshot_whose_manifest_is_damaged_stands_again_under_a_new_id() {
    let case = Case::small(RedundancyLevel::Full);
    let other = Arc::new(MemoryBackend::new());
    let to = case.sandbox.create(other.clone());
    let from = case.sandbox.open(case.backend.clone());
    let world = case.sandbox.world();
    copy::run(&from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
    for second in [true, false] {
        let backend = case.copy();
        let (id, content) = &case.kept[1];
        let object = name::snapshot(id);
        let old = from.manifest(id).unwrap().unwrap();
        flip(&*backend, &object, 60..70);
        if !second {
            backend.delete(&name::second(&object)).unwrap();
        }
        let mut store = case.sandbox.open(backend.clone());
        store.pin(id).unwrap();
        let stores = [case.sandbox.open(other.clone())];
        let outcome = case.try_repair(&store, &stores, &no_sources()).unwrap();
        assert_eq!(outcome.snapshots.len(), 1, "{outcome:?}");
        let new_id: SnapshotId = outcome.snapshots[0]
            .new_id
            .clone()
            .unwrap()
            .parse()
            .unwrap();
        let new = store.manifest(&new_id).unwrap().unwrap();
        assert_eq!(new.original.as_ref(), Some(id));
        assert_eq!(
            (&new.name, &new.time, &new.tags),
            (&old.name, &old.time, &old.tags)
        );
        assert!(case.sandbox.restore(&mut store, &new_id) == *content);
        assert!(store.pins().unwrap().contains(&new_id));
        assert_eq!(snapshots(&store).len(), 4);
        case.assert_done(&backend, &stores, "a manifest");
        let pruned = case.sandbox.try_prune(&store).unwrap();
        assert_eq!(pruned.deleted_snapshots, [id.to_string()]);
        case.sandbox.assert_whole(&store, 4);
    }
}

/// A copied snapshot keeps the id of the first store as its `original`, and so does what stands for it: validation
/// looked for its own id there, and called it damaged for ever.
#[test]
fn a_copied_snapshot_whose_manifest_is_damaged_stands_again_and_is_no_damage_then() {
    let case = Case::small(RedundancyLevel::Full);
    let from = case.sandbox.open(case.backend.clone());
    let backend = Arc::new(MemoryBackend::new());
    let to = case.sandbox.create(backend.clone());
    let world = case.sandbox.world();
    let full = Redundancy {
        level: RedundancyLevel::Full,
        percent: 3,
    };
    parity::choose(&to, full).unwrap();
    copy::run(&from, &to, &world, &CopyOptions::default(), &mut NoProgress).unwrap();
    let ids = snapshots(&to);
    let object = name::snapshot(&ids[1]);
    flip(&*backend, &object, 60..70);
    let store = case.sandbox.open(backend.clone());
    assert_eq!(case.repair(&store).snapshots.len(), 1);
    for pruned in [false, true] {
        if pruned {
            let done = case.sandbox.try_prune(&store).unwrap();
            assert_eq!(done.deleted_snapshots, [ids[1].to_string()]);
        }
        let validated = case.sandbox.try_validate(&store).unwrap();
        assert_eq!(validated.damage, [], "pruned: {pruned}");
        assert_eq!(validated.snapshots.len(), ids.len());
        assert!(case.repair(&store).snapshots.is_empty());
    }
}

/// Who forgets what stands for a damaged manifest has not damaged anything.
#[test]
fn a_damaged_manifest_stays_no_damage_when_what_stands_for_it_is_forgotten() {
    let case = Case::small(RedundancyLevel::Full);
    let backend = case.copy();
    let (id, _) = &case.kept[1];
    let object = name::snapshot(id);
    flip(&*backend, &object, 60..70);
    let store = case.sandbox.open(backend.clone());
    let outcome = case.repair(&store);
    let new_id = outcome.snapshots[0].new_id.clone().unwrap();
    backend.delete(&name::second(&object)).unwrap();
    for forget in [false, true] {
        if forget {
            assert!(store.forget(&new_id.parse().unwrap()).unwrap());
        }
        let validated = case.sandbox.try_validate(&store).unwrap();
        assert_eq!(validated.damage, [], "{forget}");
    }
    let pruned = case.sandbox.try_prune(&store).unwrap();
    assert_eq!(pruned.deleted_snapshots.len(), 2);
    case.sandbox.assert_whole(&store, 3);
}
