//! What is done to a store while its file operations are recorded: one row a piece of work, each in processes
//! of its own, on what the ones before have left. The first rows begin, the last one ends; the others are
//! done in an order of the seed.

use super::harm::Remedy;
use super::scene::Scene;

/// A piece of work.
pub type Work = fn(&mut Scene);
/// With its name.
pub type Row = (&'static str, Work);

/// Snapshots that are left before a piece of work: what is there is looked at in every state.
const KEPT: usize = 5;

/// Does all the work, and says of each piece where it begins.
pub fn all(scene: &mut Scene) {
    let mut others = OTHERS.to_vec();
    for at in (1..others.len()).rev() {
        let with = scene.between(0, at + 1);
        others.swap(at, with);
    }
    for (name, work) in FIRST.iter().chain(&others).chain(LAST) {
        scene.begin(name);
        if scene.made.is_some() {
            scene.keep_few(KEPT);
        }
        work(scene);
    }
}

const FIRST: &[Row] = &[
    ("first backup", |scene| {
        scene.make();
        scene.back_up();
    }),
    ("incremental backup", |scene| {
        for _ in 0..3 {
            scene.change();
            scene.back_up();
        }
    }),
];

const LAST: &[Row] = &[("backup after all that", |scene| {
    scene.change();
    scene.back_up();
})];

const OTHERS: &[Row] = &[
    ("backup of nothing new", |scene| {
        scene.back_up();
    }),
    ("backups of several databases", |scene| {
        scene.back_up_other();
        scene.change();
        scene.back_up();
    }),
    ("backup after a dead backup", |scene| {
        scene.change();
        let nth = scene.between(12, 37);
        scene.dies(nth, |scene, store| {
            scene.sandbox.try_backup(store, &scene.database)
        });
        scene.change();
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
    ("pin and unpin", |scene| {
        let id = scene.any_visible();
        assert!(scene.open().pin(&id).unwrap());
        assert!(scene.open().unpin(&id).unwrap());
    }),
    ("prune with dead packs", |scene| {
        scene.waste(3);
        scene.change();
        scene.back_up();
        let done = scene.prune();
        assert!(done.dead.packs > 0 && done.deleted.packs > 0, "{done:?}");
        assert!(done.deleted_snapshots.len() >= 3);
    }),
    ("prune with many dead packs", |scene| {
        scene.waste(10);
        let done = scene.prune();
        assert!(done.deleted.packs >= 10, "{done:?}");
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
        assert!(done.deleted_snapshots.len() >= 2);
    }),
    ("prune that resolves a dead prune", |scene| {
        scene.waste(4);
        let mut nth = scene.between(30, 130);
        while !scene.dies(nth, |scene, store| scene.sandbox.try_prune(store)) {
            // It was done before: there must be something to do for the next one.
            nth -= 10;
            scene.waste(1);
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
    ("parity added", |scene| {
        scene.add_parity(false);
    }),
    ("full redundancy added", |scene| {
        scene.add_parity(true);
        scene.change();
        scene.back_up();
    }),
    ("redundancy removed", |scene| {
        scene.add_parity(true);
        let removed = scene.remove_parity();
        assert!(removed.seconds.count > 2, "{removed:?}");
    }),
    ("prune with second copies", |scene| {
        scene.add_parity(true);
        scene.waste(5);
        let done = scene.prune();
        assert!(done.deleted.packs >= 5, "{done:?}");
    }),
    ("copy from another store", |scene| {
        let from = scene.store_elsewhere(3);
        let done = scene.copy_in(&from);
        assert_eq!(done.copied.len(), 3);
    }),
    ("copy after a dead copy", |scene| {
        let from = scene.store_elsewhere(3);
        let nth = scene.between(20, 90);
        scene.copy_in_dies(&from, nth);
        let done = scene.copy_in(&from);
        assert_eq!(done.copied.len() + done.present.len(), 3);
    }),
    ("repair from a second copy", |scene| {
        scene.add_parity(true);
        let database = scene.other_database();
        let (_, pack) = scene.pack_of(&database);
        scene.harm(&pack, Remedy::default());
        scene.repair();
    }),
    ("repair of a manifest", |scene| {
        scene.add_parity(true);
        let id = scene.any_visible();
        let manifest = larder::format::name::snapshot(&id);
        scene.harm(&manifest, Remedy::default());
        scene.repair();
    }),
    ("repair of the config", |scene| {
        scene.add_parity(true);
        scene.harm(larder::format::name::CONFIG, Remedy::default());
        scene.repair();
    }),
    ("repair from another store", |scene| {
        let database = scene.other_database();
        let (_, pack) = scene.pack_of(&database);
        let stores = vec![scene.copy_elsewhere()];
        let sources = Vec::new();
        scene.harm(&pack, Remedy { stores, sources });
        scene.repair();
    }),
    ("repair from the database, after a dead one", |scene| {
        let database = scene.other_database();
        let (_, pack) = scene.pack_of(&database);
        let (stores, sources) = (Vec::new(), vec![database]);
        scene.harm(&pack, Remedy { stores, sources });
        let nth = scene.between(20, 150);
        scene.repair_dies(nth);
        scene.repair();
    }),
    ("backup that heals", |scene| {
        // Nothing else could.
        scene.remove_parity();
        let database = scene.other_database();
        let (_, pack) = scene.pack_of(&database);
        let (stores, sources) = (Vec::new(), vec![database.clone()]);
        scene.harm(&pack, Remedy { stores, sources });
        scene.mark_damage();
        scene.back_up_of(&database);
        scene.repair();
    }),
    ("repair with parity", |scene| {
        // Packs that have any are long, and slow.
        if scene.random.below(4) != 0 {
            return;
        }
        scene.add_parity(false);
        let database = scene.large_database();
        let (id, pack) = scene.pack_of(&database);
        scene.harm_within_parity(&pack);
        scene.repair();
        scene.forget(&id);
        scene.prune();
    }),
];
