//! A blob on which others stand is damaged: validation names it once, with all rows of all
//! snapshots that need it; the rest stays readable; and what brings it back brings all of it back.

use larder::backend::Backend;
use larder::error::Error;
use larder::format::blob::{BlobKind, BlobSource, Encoding};
use larder::format::footer::BlobEntry;
use larder::format::name;
use larder::model::id::{BlobId, PackId, SnapshotId};
use larder::ops::export::{self, ExportForm, ExportOptions};
use larder::ops::validate::{AffectedRecords, Damage};
use larder::progress::NoProgress;

use crate::forged_pack::{ForgedItem, ForgedPack};
use crate::shelf::{Shelf, footer_of};

/// Table `a` has one leaf, which changes a little from snapshot to snapshot; `b` stays.
const STATES: [&str; 4] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, n, x TEXT);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
       INSERT INTO a SELECT i, i % 7, hex(i * 2654435761 % 1000003) FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO b VALUES('x', 1), ('y', 2);",
    "UPDATE a SET n = 100 WHERE id IN (3, 800)",
    "UPDATE a SET n = 200 WHERE id = 4; DELETE FROM a WHERE id = 500",
    "UPDATE a SET n = 300 WHERE id = 5",
];

struct Scene {
    shelf: Shelf,
    snapshots: Vec<(SnapshotId, Vec<u8>)>,
    /// The whole leaf of `a`, its bytes, and the pack it lies in.
    base: BlobEntry,
    canonical: Vec<u8>,
    pack: PackId,
}

fn scene() -> Scene {
    let mut shelf = Shelf::new("");
    let mut snapshots = Vec::new();
    let mut base = None;
    for (at, state) in STATES.iter().enumerate() {
        let added = shelf.step(state);
        let leaves = added
            .blobs
            .iter()
            .filter(|(_, blob)| blob.kind == BlobKind::Leaf);
        let (pack, leaf) = leaves.max_by_key(|(_, leaf)| leaf.canonical_bytes).unwrap();
        match at {
            0 => base = Some((*pack, leaf.clone())),
            _ => assert_eq!(
                (leaf.encoding, usize::from(leaf.depth)),
                (Encoding::Delta, at)
            ),
        }
        let restored = shelf.sandbox.restore(&mut shelf.store, &added.id);
        snapshots.push((added.id, restored));
    }
    let (pack, base) = base.unwrap();
    let reader = shelf.store.reader().unwrap();
    let canonical = reader.get(BlobKind::Leaf, &base.id).unwrap();
    Scene {
        shelf,
        snapshots,
        base,
        canonical,
        pack,
    }
}

impl Scene {
    /// Damages the frame in which a leaf lies.
    fn spoil(&self, pack: &PackId, leaf: &BlobEntry) {
        let name = name::pack(pack);
        let mut bytes = self.shelf.backend.get(&name, u64::MAX).unwrap();
        let frame = footer_of(&bytes).frames[leaf.frame as usize];
        let at = usize::try_from(frame.offset).unwrap();
        // Of a long frame a bit; of a short one, which holds other blobs too, all.
        if frame.stored_bytes > 1000 {
            bytes[at + frame.stored_bytes as usize / 2] ^= 0x10;
        } else {
            bytes[at..at + frame.stored_bytes as usize].fill(0xa5);
        }
        self.shelf.backend.delete(&name).unwrap();
        self.shelf.backend.put_new(&name, &bytes).unwrap();
    }

    fn validate(&self) -> Vec<Damage> {
        self.shelf
            .sandbox
            .try_validate(&self.shelf.store)
            .unwrap()
            .damage
    }

    /// These restore to what they were, all others fail by an error that names the base or pack.
    #[track_caller]
    fn assert_restorable(&mut self, good: &[bool]) {
        for ((id, content), good) in self.snapshots.iter().zip(good) {
            let restored = self.shelf.sandbox.try_restore(&mut self.shelf.store, id);
            match restored {
                Ok(restored) => assert!(*good && restored == *content, "{id}"),
                Err(Error::NotWhole(error)) => {
                    assert!(!good, "{id}: {error}");
                    let text = error.to_string();
                    assert!(text.contains(&self.base.id.to_string()), "{text}");
                    assert!(text.contains(&self.pack.to_string()), "{text}");
                }
                Err(error) => panic!("{id}: {error}"),
            }
        }
    }

    fn can_export(&self, id: &SnapshotId, entity: &str) -> bool {
        let manifest = self.shelf.store.manifest(id).unwrap().unwrap();
        let options = ExportOptions {
            form: ExportForm::Folder,
            entities: vec![entity.to_owned()],
        };
        let to = self.shelf.sandbox.path("export");
        let done = export::run(&self.shelf.store, &manifest, &to, &options, &mut NoProgress);
        let _none = std::fs::remove_dir_all(&to);
        done.is_ok()
    }
}

/// Rows of `a` in these damages, by snapshot.
fn affected(damage: &[Damage]) -> Vec<&AffectedRecords> {
    damage.iter().flat_map(|damage| &damage.affects).collect()
}

/// Snapshots are named by the beginnings of their ids.
fn affects(rows: &AffectedRecords, id: &SnapshotId) -> bool {
    let id = id.to_string();
    rows.snapshots.iter().any(|short| id.starts_with(short))
}

#[test]
fn damage_to_a_base_names_all_that_hangs_on_it() {
    let mut scene = scene();
    scene.spoil(&scene.pack, &scene.base);
    let damage = scene.validate();
    let of_base = |damage: &&Damage| {
        damage
            .blob
            .as_ref()
            .is_some_and(|(_, id)| *id == scene.base.id.to_string())
    };
    let named: Vec<&Damage> = damage.iter().filter(of_base).collect();
    assert_eq!(named.len(), 1, "{damage:?}");
    assert!(
        named[0].object.contains(&scene.pack.to_string()),
        "{damage:?}"
    );
    assert!(
        damage
            .iter()
            .all(|d| d.object.contains(&scene.pack.to_string())),
        "{damage:?}"
    );
    let rows = affected(&damage);
    assert!(rows.iter().all(|rows| rows.entity == "a"), "{rows:?}");
    for (id, _) in &scene.snapshots {
        assert!(rows.iter().any(|rows| affects(rows, id)), "{id}: {rows:?}");
    }
    assert!(
        rows.iter()
            .all(|rows| rows.records == 900 || rows.records == 899),
        "{rows:?}"
    );
    scene.assert_restorable(&[false; 4]);
    for (id, _) in &scene.snapshots {
        assert!(!scene.can_export(id, "a"));
        assert!(scene.can_export(id, "b"));
    }
}

/// A backup reads no leaf that did not change: until the pack is marked or moved away, it does not
/// find the damage. Then it stores the leaf whole, and the new snapshot needs nothing else.
#[test]
fn the_next_backup_heals_a_base_that_is_known_to_be_damaged() {
    type Tell = fn(&Scene);
    let ways: [Tell; 2] = [
        |scene| {
            let mark = format!("damaged/{}", scene.pack);
            scene.shelf.backend.put_new(&mark, b"").unwrap();
        },
        |scene| {
            scene
                .shelf
                .backend
                .delete(&name::pack(&scene.pack))
                .unwrap()
        },
    ];
    for tell in ways {
        let mut scene = scene();
        scene.spoil(&scene.pack, &scene.base);
        let blind = scene.shelf.backup();
        assert!(blind.of_kind(BlobKind::Leaf).is_empty());
        tell(&scene);
        let healed = scene.shelf.backup();
        let leaves = healed.of_kind(BlobKind::Leaf);
        assert!(
            leaves.iter().all(|leaf| leaf.encoding != Encoding::Delta),
            "{leaves:?}"
        );
        let (id, content) = scene.snapshots.last().unwrap().clone();
        let restored = scene
            .shelf
            .sandbox
            .restore(&mut scene.shelf.store, &healed.id);
        assert!(restored == content);
        // The same leaf: the snapshot that was broken is whole again with it.
        assert!(scene.shelf.sandbox.restore(&mut scene.shelf.store, &id) == content);
        assert!(
            scene
                .shelf
                .sandbox
                .try_restore(&mut scene.shelf.store, &scene.snapshots[0].0)
                .is_err()
        );
        let next = scene.shelf.step("UPDATE a SET n = 400 WHERE id = 6");
        assert!(next.all_are_deltas(BlobKind::Leaf));
        scene.shelf.assert_comes_back(&next.id);
    }
}

#[test]
fn a_second_whole_copy_of_a_base_makes_everything_readable() {
    let mut scene = scene();
    scene.spoil(&scene.pack, &scene.base);
    scene.assert_restorable(&[false; 4]);
    let copy = ForgedItem::plain(BlobKind::Leaf, &scene.canonical);
    assert_eq!(copy.id, scene.base.id);
    ForgedPack::of(1, [copy]).put(&*scene.shelf.backend);
    scene.assert_restorable(&[true; 4]);
    let damage = scene.validate();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].object.contains(&scene.pack.to_string()));
    assert!(affected(&damage).is_empty(), "{damage:?}");
}

/// A delta in the middle of a chain: what lies before it is whole.
#[test]
fn damage_to_a_delta_names_what_hangs_on_it_and_nothing_before_it() {
    let mut scene = scene();
    // The second snapshot's pack: its leaf, and nothing that another needs.
    let mut found: Option<(PackId, BlobEntry)> = None;
    for name in crate::sandbox::names(&*scene.shelf.backend, name::PACKS) {
        let bytes = scene.shelf.backend.get(&name, u64::MAX).unwrap();
        let blobs = footer_of(&bytes).blobs;
        let delta = blobs
            .into_iter()
            .find(|blob| blob.kind == BlobKind::Leaf && blob.depth == 1);
        found = delta
            .map(|delta| (name::parse_pack(&name).unwrap(), delta))
            .or(found);
    }
    let (pack, delta) = found.unwrap();
    scene.spoil(&pack, &delta);
    (scene.pack, scene.base) = (pack, delta);
    scene.assert_restorable(&[true, false, false, false]);
    let damage = scene.validate();
    assert!(
        damage.iter().all(|d| d.object.contains(&pack.to_string())),
        "{damage:?}"
    );
    let rows = affected(&damage);
    assert!(!rows.is_empty());
    for (at, (id, _)) in scene.snapshots.iter().enumerate() {
        assert_eq!(
            rows.iter().any(|rows| affects(rows, id)),
            at > 0,
            "{id}: {rows:?}"
        );
    }
}

#[test]
fn each_pack_spoiled_alone_is_the_only_one_named() {
    let scene = scene();
    let names = crate::sandbox::names(&*scene.shelf.backend, name::PACKS);
    assert_eq!(names.len(), STATES.len());
    for name in names {
        let good = scene.shelf.backend.get(&name, u64::MAX).unwrap();
        let pack = name::parse_pack(&name).unwrap();
        let footer = footer_of(&good);
        let leaves = footer
            .blobs
            .iter()
            .filter(|blob| blob.kind == BlobKind::Leaf);
        let leaf = leaves.max_by_key(|leaf| leaf.canonical_bytes).unwrap();
        scene.spoil(&pack, leaf);
        let damage = scene.validate();
        let ids: Vec<BlobId> = footer.blobs.iter().map(|blob| blob.id).collect();
        for damage in &damage {
            assert!(damage.object.contains(&pack.to_string()), "{damage:?}");
            let Some((_, id)) = &damage.blob else {
                continue;
            };
            assert!(
                ids.iter().any(|known| known.to_string() == *id),
                "{damage:?}"
            );
        }
        scene.shelf.backend.delete(&name).unwrap();
        scene.shelf.backend.put_new(&name, &good).unwrap();
        scene
            .shelf
            .sandbox
            .assert_whole(&scene.shelf.store, STATES.len());
    }
}
