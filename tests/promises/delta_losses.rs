//! What a backup leans on is there: a pack that was lost, marked or condemned is stored again, and
//! chains of deltas neither grow without end nor stand on what comes later.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use larder::backend::Backend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobKind, Encoding};
use larder::format::delta::DELTA_DEPTH_MAX;
use larder::format::footer::base_prefix;
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::format::protocol::GcRecord;
use larder::model::id::{BlobId, GcId, PackId, SnapshotId};
use larder::ops::open::Store;
use larder::ops::validate::{self, ValidateOptions};
use larder::progress::NoProgress;
use larder::store::Usage;

use crate::interfering::Interfering;
use crate::sandbox::scale;
use crate::shelf::{Added, Shelf};

/// Two tables of some leaves, a large value, and changes that give deltas of all kinds.
const STATES: [&str; 4] = [
    "CREATE TABLE a(id INTEGER PRIMARY KEY, n, x TEXT);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
       INSERT INTO a SELECT i, i % 7, hex(i * 2654435761 % 1000003) || printf('%.200c', 'x') FROM n;
     CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
       INSERT INTO b SELECT printf('key %05d', i), hex(i * 40503 % 65521) || printf('%.200c', 'y') FROM n;
     CREATE TABLE c(v); INSERT INTO c VALUES(randomblob(100000));",
    "UPDATE a SET n = 100 WHERE id IN (3, 1400)",
    "UPDATE a SET n = 200 WHERE id = 4; UPDATE b SET v = 1 WHERE k = 'key 00700';
     UPDATE c SET v = substr(v, 1, 50000) || x'00112233' || substr(v, 50001);",
    "UPDATE a SET n = 300 WHERE id = 5; CREATE INDEX i ON b(v)",
];

/// A store of these states, the cache in `first`, and as it was before the last of them in `old`.
fn scene() -> (Shelf, Vec<Added>) {
    let mut shelf = Shelf::with_cache(STATES[0], Some("first"));
    let mut added = vec![shelf.backup()];
    for state in &STATES[1..] {
        copy_folder(&shelf.sandbox.path("first"), &shelf.sandbox.path("old"));
        added.push(shelf.step(state));
    }
    for (kind, at) in [
        (BlobKind::Leaf, 1),
        (BlobKind::Node, 1),
        (BlobKind::Leaf, 2),
        (BlobKind::Chunk, 2),
        (BlobKind::Schema, 3),
    ] {
        assert!(added[at].has_delta(kind), "{} {at}", kind.name());
    }
    (shelf, added)
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The one snapshot is whole.
#[track_caller]
fn assert_good(shelf: &Shelf, id: &SnapshotId, what: &str) {
    let options = ValidateOptions {
        snapshots: vec![shelf.store.manifest(id).unwrap().unwrap()],
        ..ValidateOptions::default()
    };
    let world = shelf.sandbox.world();
    let checked = validate::run(&shelf.store, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(checked.damage, [], "{what}");
    assert!(
        checked.snapshots.iter().all(|snapshot| snapshot.good),
        "{what}"
    );
}

/// What was there before and is stored again is whole.
#[track_caller]
fn assert_whole_again(before: &[Added], again: &Added, what: &str) {
    let known: Vec<_> = before.iter().flat_map(|added| &added.blobs).collect();
    for (_, blob) in &again.blobs {
        let is_old = known
            .iter()
            .any(|(_, old)| (old.kind, old.id) == (blob.kind, blob.id));
        assert!(is_old, "{what}: {blob:?} is new");
        assert_ne!(blob.encoding, Encoding::Delta, "{what}: {blob:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Loss {
    Deleted,
    Marked,
    Condemned,
}

impl Loss {
    fn of(self, backend: &dyn Backend, pack: &PackId) {
        match self {
            Self::Deleted => backend.delete(&name::pack(pack)).unwrap(),
            Self::Marked => backend.put_new(&format!("damaged/{pack}"), b"").unwrap(),
            Self::Condemned => {
                let record = GcRecord::of(GcId([7; 16]), vec![*pack]);
                let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Gc, &record).unwrap();
                backend.put_new(&name::gc(&GcId([7; 16])), &bytes).unwrap();
            }
        }
    }
}

#[test]
fn a_pack_that_was_lost_is_stored_again_by_the_next_backup() {
    let (_, first) = scene();
    let count = first.len();
    for at in 0..count {
        for loss in [Loss::Deleted, Loss::Marked, Loss::Condemned] {
            // The cache as it is, none, one that knows all packs but the last, and a new one.
            let caches: &[&str] = match loss {
                _ if at > 0 && scale() == 1 => &["first"],
                Loss::Deleted => &["first", "none", "old", "new"],
                _ => &["first", "new"],
            };
            for cache in caches {
                let what = format!("pack {at}, {loss:?}, cache {cache}");
                let (mut shelf, added) = scene();
                let lost = added[at].blobs[0].0;
                loss.of(&*shelf.backend, &lost);
                match *cache {
                    "none" => {
                        std::fs::remove_dir_all(shelf.sandbox.path("first")).unwrap();
                        shelf.reopen("first");
                    }
                    cache => shelf.reopen(cache),
                }
                let again = shelf.backup();
                assert!(!again.blobs.is_empty(), "{what}");
                assert_whole_again(&added, &again, &what);
                // Nothing of the lost pack is needed any more.
                if !matches!(loss, Loss::Deleted) {
                    shelf.backend.delete(&name::pack(&lost)).unwrap();
                }
                assert_good(&shelf, &again.id, &what);
                shelf.assert_comes_back(&again.id);
                // And the next one is content with that, and goes on with deltas.
                if matches!(loss, Loss::Deleted) {
                    let next = shelf.step("UPDATE a SET n = 400 WHERE id = 1400");
                    assert!(next.all_are_deltas(BlobKind::Leaf), "{what}");
                    assert_eq!(next.of_kind(BlobKind::Leaf).len(), 1, "{what}");
                    shelf.assert_comes_back(&next.id);
                }
            }
        }
    }
}

/// The lost pack held what is to be changed: no delta stands on what is not there.
#[test]
fn a_change_of_what_was_lost_is_stored_whole() {
    for loss in [Loss::Deleted, Loss::Marked, Loss::Condemned] {
        for cache in ["first", "old", "new"] {
            let what = format!("{loss:?}, cache {cache}");
            let (mut shelf, added) = scene();
            let lost = added[0].blobs[0].0;
            loss.of(&*shelf.backend, &lost);
            shelf.reopen(cache);
            let next = shelf.step(
                "UPDATE a SET n = -1; DELETE FROM b WHERE k < 'key 00100';
                 UPDATE c SET v = substr(v, 1, 30000) || x'55' || substr(v, 30002);",
            );
            if !matches!(loss, Loss::Deleted) {
                shelf.backend.delete(&name::pack(&lost)).unwrap();
            }
            let deltas = |kind| {
                next.of_kind(kind)
                    .iter()
                    .any(|b| b.encoding == Encoding::Delta)
            };
            assert!(
                !deltas(BlobKind::Leaf) && !deltas(BlobKind::Chunk),
                "{what}"
            );
            assert_good(&shelf, &next.id, &what);
            shelf.assert_comes_back(&next.id);
        }
    }
}

/// With the parent complete in the cache, its leaves are not looked up one by one: a cache that has
/// forgotten them does not make the backup store them again.
#[test]
fn an_unchanged_leaf_is_neither_stored_nor_looked_up() {
    let (mut shelf, _) = scene();
    let cache = std::fs::read_dir(shelf.sandbox.path("first")).unwrap();
    let footers = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".footers");
    let file = cache.map(|e| e.unwrap().path()).find(footers).unwrap();
    let leaf = BlobKind::Leaf as u8;
    crate::workshop::sql(&file, &format!("DELETE FROM blobs WHERE kind = {leaf}"));
    let again = shelf.backup();
    assert!(again.blobs.is_empty(), "{:?}", again.blobs);
    shelf.reopen("new");
    assert_good(&shelf, &again.id, "forgotten");
    // One that is not complete is looked up: there they are not known.
    crate::workshop::sql(&file, "DELETE FROM complete");
    shelf.reopen("first");
    let again = shelf.backup();
    assert!(again.of_kind(BlobKind::Leaf).len() > 4);
}

/// The parent is forgotten, and its packs go, while the backup begins.
#[test]
fn a_parent_that_goes_meanwhile_is_not_leaned_on() {
    let (_, first) = scene();
    for at in 0..=first.len() {
        let (mut shelf, added) = scene();
        let parent = &added.last().unwrap().id;
        let mut gone = vec![name::snapshot(parent)];
        gone.extend(added.get(at).map(|added| name::pack(&added.blobs[0].0)));
        let what = format!("{gone:?}");
        let usage = Usage {
            cache_dir: Some(shelf.sandbox.path("first")),
            compression: 3,
            rules: larder::store::rules::Rules::default(),
        };
        // Once a writer has made its record: the parent was chosen before.
        let interfering = Interfering::new(shelf.backend.clone(), move |inner, name| {
            if name.starts_with(name::WRITERS) {
                gone.iter().try_for_each(|name| inner.delete(name))?;
            }
            Ok(())
        });
        shelf.store = Store::open(Arc::new(interfering), shelf.sandbox.env.clone(), usage).unwrap();
        shelf.sql("UPDATE a SET n = 400 WHERE id = 1400");
        let id = shelf.sandbox.backup(&mut shelf.store, &shelf.database);
        shelf.reopen("first");
        assert_good(&shelf, &id, &what);
        shelf.assert_comes_back(&id);
        shelf.reopen("new");
        shelf.assert_comes_back(&id);
    }
}

#[test]
fn chains_end_and_begin_anew_with_a_whole_copy() {
    let mut shelf = Shelf::new(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, n, x TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
           INSERT INTO a SELECT i, i % 7, hex(i * 2654435761 % 1000003) FROM n;",
    );
    let mut steps = vec![shelf.backup()];
    let mut expected = Vec::new();
    for step in 0..40 {
        let restored = shelf.sandbox.restore(&mut shelf.store, &steps[step].id);
        expected.push(restored);
        steps.push(shelf.step(&format!("UPDATE a SET n = {} WHERE id = 200", 1000 + step)));
    }
    // Depth of every blob so far, as it was written last.
    let mut depths: HashMap<[u8; 16], u8> = HashMap::new();
    let mut encodings = BTreeMap::new();
    for added in &steps {
        let leaf = added.only(BlobKind::Leaf);
        *encodings.entry(format!("{:?}", leaf.encoding)).or_insert(0) += 1;
        for (_, blob) in &added.blobs {
            // A base comes before what stands on it, in its pack or an earlier one.
            let below = blob.bases.iter().map(|base| depths[base] + 1).max();
            assert_eq!(blob.depth, below.unwrap_or(0), "{blob:?}");
            assert!(blob.depth <= DELTA_DEPTH_MAX);
            depths.insert(base_prefix(&blob.id), blob.depth);
        }
    }
    let of_leaf = |at: usize| steps[at].only(BlobKind::Leaf);
    let deepest = usize::from(DELTA_DEPTH_MAX);
    assert_eq!(usize::from(of_leaf(deepest).depth), deepest);
    assert_eq!(of_leaf(deepest + 1).encoding, Encoding::Columns);
    assert_eq!(of_leaf(deepest + 2).depth, 1);
    assert_eq!(encodings["Columns"], 2);
    for (step, expected) in steps.iter().zip(&expected) {
        assert!(shelf.sandbox.restore(&mut shelf.store, &step.id) == *expected);
    }
    shelf.sandbox.assert_whole(&shelf.store, steps.len());
}

/// Deltas that grow to the length of the leaf: it is stored whole again long before the bound.
#[test]
fn what_is_read_to_have_a_leaf_stays_within_a_multiple_of_it() {
    let mut shelf = Shelf::new(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
           INSERT INTO a SELECT i, randomblob(400) FROM n;",
    );
    let mut whole: HashMap<BlobId, u64> = HashMap::new();
    let mut read: Vec<([u8; 16], u64)> = Vec::new();
    let mut again = 0;
    for step in 0..30 {
        let added = match step {
            0 => shelf.backup(),
            _ => shelf.step("UPDATE a SET x = randomblob(400) WHERE abs(random()) % 2 = 0"),
        };
        let leaf = added.only(BlobKind::Leaf).clone();
        let bytes = u64::from(leaf.encoded_bytes);
        let total = match leaf.bases[..] {
            [] => {
                again += 1;
                whole.insert(leaf.id, bytes);
                bytes
            }
            [base] => bytes + read.iter().find(|(id, _)| *id == base).unwrap().1,
            _ => panic!("{leaf:?}"),
        };
        // 60 rows of 400 random bytes do not compress.
        assert!(total <= 8 * 25_500, "step {step}: {total}");
        read.push((base_prefix(&leaf.id), total));
        shelf.assert_comes_back(&added.id);
    }
    assert!(again > 1, "{again}");
}
