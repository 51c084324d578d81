//! The config, and the records of running commands that stop everybody while they cannot be read.

use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::format::name;
use larder::model::id::SnapshotId;
use larder::ops::open::Store;
use larder::ops::parity::RedundancyLevel;
use larder::ops::repair::RepairOptions;

use super::{Case, flip, no_sources, objects};
use crate::sandbox::names;
use crate::workshop::sql;

#[test]
fn a_config_is_written_again_from_its_copy_or_made_anew_where_there_is_none() {
    let case = Case::small(RedundancyLevel::Full);
    for second in [true, false] {
        let backend = case.copy();
        flip(&*backend, name::CONFIG, 20..30);
        if !second {
            backend.delete(&name::second(name::CONFIG)).unwrap();
        }
        let store = Store::open_for_repair(
            backend.clone(),
            case.sandbox.env.clone(),
            crate::sandbox::usage(),
        )
        .unwrap();
        let outcome = case.repair(&store);
        assert_eq!(outcome.records.len(), 1, "{outcome:?}");
        assert!(!outcome.is_lost());
        let mut store = case.sandbox.open(backend.clone());
        case.assert_all(&mut store, "a config");
        let old = case.sandbox.open(case.backend.clone());
        assert_eq!(store.id() == old.id(), second);
    }
    // Where nothing is, nothing is made.
    let nothing = Arc::new(MemoryBackend::new());
    let none = Store::open_for_repair(
        nothing.clone(),
        case.sandbox.env.clone(),
        crate::sandbox::usage(),
    );
    assert!(none.is_err());
    assert_eq!(names(&*nothing, ""), [""; 0]);
}

#[test]
fn records_that_stop_everybody_get_a_content_that_is_safe() {
    use larder::codec::hash::StoreHash;
    use larder::format::frame::{self, ObjectKind};
    use larder::format::protocol::{GcFinal, GcRecord};
    let case = Case::small(RedundancyLevel::Parity);
    let gc = larder::model::id::GcId([3; 16]);
    let hash = StoreHash::unkeyed();
    let garbage = case.packs()[0];
    let record = frame::encode(hash, ObjectKind::Gc, &GcRecord::of(gc, vec![garbage])).unwrap();
    let abort = GcFinal::Abort {
        clean_up: gc,
        time: "2026-11-23T20:15:30.000Z".to_owned(),
    };
    let verdict = frame::encode(hash, ObjectKind::GcFinal, &abort).unwrap();
    let broken = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[20] ^= 1;
        bytes
    };
    // Record, verdict; and whether it can be healed.
    let cases = [
        (Some(broken(&record)), None, true),
        (None, Some(broken(&verdict)), true),
        (Some(broken(&record)), Some(verdict.clone()), true),
        (Some(record.clone()), Some(broken(&verdict)), true),
        (Some(broken(&record)), Some(broken(&verdict)), false),
    ];
    for (n, (record, verdict, heals)) in cases.into_iter().enumerate() {
        let backend = case.copy();
        for (object, bytes) in [(name::gc(&gc), record), (name::gc_final(&gc), verdict)] {
            if let Some(bytes) = bytes {
                backend.put(&object, &bytes).unwrap();
            }
        }
        let mut store = case.sandbox.open(backend.clone());
        assert!(case.sandbox.try_backup(&mut store, &case.database).is_err());
        let before = objects(&*backend);
        let plan = RepairOptions {
            dry_run: true,
            ..no_sources()
        };
        let planned = case.try_repair(&store, &[], &plan).unwrap();
        assert!(objects(&*backend) == before, "case {n}");
        let outcome = case.repair(&store);
        assert_eq!(planned.records, outcome.records, "case {n}");
        assert_eq!(outcome.is_lost(), !heals, "case {n}: {outcome:?}");
        let backed_up = case.sandbox.try_backup(&mut store, &case.database);
        assert_eq!(backed_up.is_ok(), heals, "case {n}");
        for (id, content) in &case.kept {
            assert!(case.sandbox.restore(&mut store, id) == *content, "case {n}");
        }
    }
    let backend = case.copy();
    let store = case.sandbox.open(backend.clone());
    store.forget(&case.kept[0].0).unwrap();
    store.unforget(&case.kept[0].0).unwrap();
    store.forget(&case.kept[1].0).unwrap();
    flip(
        &*backend,
        &name::forgotten_final(&case.kept[0].0, 1),
        60..61,
    );
    flip(&*backend, &name::forgotten(&case.kept[1].0, 1), 60..61);
    let outcome = case.repair(&store);
    assert_eq!(outcome.records.len(), 2, "{outcome:?}");
    let visible: Vec<&SnapshotId> = case.kept.iter().map(|(id, _)| id).collect();
    let names = store.snapshot_names().unwrap();
    assert_eq!(
        names.ids.iter().collect::<Vec<_>>(),
        [visible[0], visible[2], visible[3]]
    );
    case.sandbox.try_prune(&store).unwrap();
}

/// It was left for ever, and stopped every backup.
#[test]
fn a_verdict_that_cannot_be_read_beside_its_record_is_settled_and_nobody_leans_on_what_it_may_delete()
 {
    use larder::codec::hash::StoreHash;
    use larder::format::frame::{self, ObjectKind};
    use larder::format::protocol::{GcFinal, GcRecord};
    let case = Case::small(RedundancyLevel::None);
    let gc = larder::model::id::GcId([3; 16]);
    let hash = StoreHash::unkeyed();
    // A pack of which no snapshot needs anything: what is sealed. It holds what the next backup needs.
    let backend = case.copy();
    let mut store = case.sandbox.open(backend.clone());
    sql(
        &case.database,
        "CREATE TABLE only(x); INSERT INTO only SELECT hex(id * 7) FROM a",
    );
    let before = names(&*backend, name::PACKS);
    let only = case.sandbox.backup(&mut store, &case.database);
    let mut after = names(&*backend, name::PACKS);
    after.retain(|pack| !before.contains(pack));
    let dead = name::parse_pack(&after[0]).unwrap();
    backend.delete(&name::snapshot(&only)).unwrap();
    let needed = case.packs()[0];
    let record = GcRecord::of(gc, vec![dead, needed]);
    let bytes = frame::encode(hash, ObjectKind::Gc, &record).unwrap();
    backend.put(&name::gc(&gc), &bytes).unwrap();
    let seal = GcFinal::Sealed {
        clean_up: gc,
        dead: vec![dead],
        time: "2026-11-23T20:15:30.000Z".to_owned(),
    };
    let bytes = frame::encode(hash, ObjectKind::GcFinal, &seal).unwrap();
    backend.put(&name::gc_final(&gc), &bytes).unwrap();
    flip(&*backend, &name::gc_final(&gc), 20..21);
    assert!(case.sandbox.try_backup(&mut store, &case.database).is_err());
    // A backup between two steps of the repair, and then whoever had read the verdict.
    let healed = store.heal_records(true).unwrap();
    assert_eq!(healed.len(), 1, "{healed:?}");
    let again = case.sandbox.backup(&mut store, &case.database);
    let content = case.sandbox.restore(&mut store, &again);
    backend.delete(&name::pack(&dead)).unwrap();
    assert!(case.sandbox.restore(&mut store, &again) == content);
    let outcome = case.repair(&store);
    assert!(!outcome.is_lost(), "{outcome:?}");
    assert!(!names(&*backend, name::PACKS).contains(&name::pack(&needed)));
    for (id, content) in case.kept.iter().chain([&(again, content)]) {
        assert!(case.sandbox.restore(&mut store, id) == *content, "{id}");
    }
    let validated = case.sandbox.try_validate(&store).unwrap();
    assert_eq!(validated.damage, []);
    case.sandbox.try_prune(&store).unwrap();
}
