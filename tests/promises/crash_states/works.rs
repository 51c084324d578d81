//! What is done to a store while its file operations are recorded: one row a piece of work. They are done
//! in this order, each in processes of its own, on what the ones before have left.

use super::scene::Scene;

/// A piece of work.
pub type Work = fn(&mut Scene);

pub const WORKS: &[(&str, Work)] = &[
    ("first backup", |scene| {
        scene.make();
        scene.back_up();
    }),
    ("incremental backup", |scene| {
        for _ in 0..2 {
            scene.change();
            scene.back_up();
        }
    }),
    ("backup of nothing new", |scene| {
        scene.back_up();
    }),
    ("forget", |scene| {
        let id = scene.any_visible();
        scene.forget(&id);
        // Of another database: nothing of it is needed by any other snapshot.
        let other = scene.back_up_other();
        scene.forget(&other);
    }),
    ("forget and undo", |scene| {
        let id = scene.any_visible();
        scene.forget(&id);
        scene.unforget(&id);
        scene.forget(&id);
    }),
    ("prune with dead packs", |scene| {
        scene.change();
        scene.back_up();
        let done = scene.prune();
        assert!(done.dead.packs > 0 && done.deleted.packs > 0, "{done:?}");
        assert_eq!(done.deleted_snapshots.len(), 3);
    }),
    ("backup after a dead backup", |scene| {
        scene.change();
        let nth = 12 + usize::try_from(scene.random.below(25)).unwrap();
        scene.dies(nth, |scene, store| {
            scene.sandbox.try_backup(store, &scene.database)
        });
        scene.change();
        scene.back_up();
    }),
    ("prune that repacks", |scene| {
        for _ in 0..2 {
            scene.change();
            scene.back_up();
        }
        for _ in 0..2 {
            let id = scene.any_visible();
            scene.forget(&id);
        }
        let done = scene.prune();
        assert_eq!(done.deleted_snapshots.len(), 2);
    }),
    ("prune that resolves a dead prune", |scene| {
        for _ in 0..2 {
            let other = scene.back_up_other();
            scene.forget(&other);
        }
        let mut nth = 30 + usize::try_from(scene.random.below(100)).unwrap();
        while !scene.dies(nth, |scene, store| scene.sandbox.try_prune(store)) {
            // It was done before: there must be something to do for the next one.
            nth -= 10;
            let other = scene.back_up_other();
            scene.forget(&other);
        }
        scene.prune();
    }),
    ("prune that merges", |scene| {
        for _ in 0..8 {
            scene.change();
            scene.back_up();
        }
        let id = scene.any_visible();
        scene.forget(&id);
        let done = scene.prune();
        assert!(done.repacked.packs >= 8, "{done:?}");
    }),
    ("backup after all that", |scene| {
        scene.change();
        scene.back_up();
    }),
];
