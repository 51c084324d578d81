//! Any edits, backed up one after another, give the roots of one full backup of the same file; and
//! every snapshot on the way comes back as that full backup does.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::format::blob::{BlobKind, Encoding};
use larder::format::manifest::Manifest;
use larder::model::id::SnapshotId;

use crate::changing_database::World;
use crate::sandbox::{scale, seed};
use crate::shelf::{Shelf, assert_same_rows};

/// What must be the same however a state was reached.
pub fn essence(manifest: &Manifest) -> Vec<String> {
    let all = manifest.entities.iter().chain(&manifest.internal);
    let of_entity = |e: &larder::format::manifest::Entity| {
        format!(
            "{} {:?} {} {} {}",
            e.entity, e.root, e.records, e.bytes, e.largest_value
        )
    };
    all.map(of_entity)
        .chain([manifest.schema.to_string()])
        .collect()
}

#[test]
fn any_edits_backed_up_in_steps_give_the_roots_of_one_full_backup() {
    let mut deltas = BTreeSet::new();
    for case in 0..4 * scale() as u64 {
        let mut shelf = Shelf::with_cache("", Some("cache"));
        let path = shelf.sandbox.path("edited.db");
        shelf.database.clone_from(&path);
        let mut world = World::new(path, seed().wrapping_add(case));
        let mut states: Vec<(SnapshotId, Vec<u8>, String)> = Vec::new();
        for round in 0..6 {
            let mut done = Vec::new();
            for _ in 0..round.min(1) * (1 + world.below(4)) {
                done.push(world.edit());
            }
            if round % 2 == 1 {
                world.change_all_long();
            }
            let what = format!("case {case}, round {round}: {done:?}");
            let added = shelf.backup();
            let kinds = added.blobs.iter().map(|(_, blob)| blob);
            deltas.extend(
                kinds
                    .filter(|b| b.encoding == Encoding::Delta)
                    .map(|b| b.kind),
            );
            let mut full = shelf.sandbox.create(Arc::new(MemoryBackend::new()));
            let id = shelf.sandbox.backup(&mut full, &shelf.database);
            let in_steps = shelf.store.manifest(&added.id).unwrap().unwrap();
            let at_once = full.manifest(&id).unwrap().unwrap();
            assert_eq!(essence(&in_steps), essence(&at_once), "{what}");
            assert_eq!(in_steps.foreign_keys, at_once.foreign_keys, "{what}");
            let restored = shelf.sandbox.restore(&mut full, &id);
            let compared = shelf.sandbox.path("compared.db");
            std::fs::write(&compared, &restored).unwrap();
            assert_same_rows(&world.path, &compared);
            std::fs::remove_file(&compared).unwrap();
            states.push((added.id, restored, what));
        }
        shelf.sandbox.assert_whole(&shelf.store, states.len());
        for (id, expected, what) in states {
            assert!(
                shelf.sandbox.restore(&mut shelf.store, &id) == expected,
                "{what}"
            );
        }
    }
    for kind in [
        BlobKind::Leaf,
        BlobKind::Node,
        BlobKind::Chunk,
        BlobKind::Schema,
    ] {
        assert!(deltas.contains(&kind), "no delta of a {}", kind.name());
    }
}
