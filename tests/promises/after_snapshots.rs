//! A snapshot taken within the transaction that writes a database equals an ordinary backup of what
//! that transaction commits, costs what changed, and can be taken back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::{Error, SelectError, TargetError};
use larder::format::manifest::{Entity, Manifest};
use larder::model::id::SnapshotId;
use larder::ops::backup::{self, After, BackupOptions, Deed, Taken};
use larder::ops::list;
use larder::ops::open::{self, StoreOptions};
use larder::ops::select::{AFTER_TAG, SAFETY_TAG, UNCOMMITTED_TAG};
use larder::progress::{NoProgress, Progress, Severity};
use larder::target::{Hold, LiveDatabase};

use crate::sandbox::seed;
use crate::stage::{content, rows};
use crate::transactions::{Counting, MADE, Writing, schema_of};
use crate::tree_rows::Random;
use crate::workshop::{Workshop, sql};

/// Every kind of table, some rows in most; a violated reference; tables behind a virtual one.
const BEFORE: &str = "
    PRAGMA foreign_keys=OFF;
    CREATE TABLE alias(id INTEGER PRIMARY KEY, x TEXT, keyed TEXT REFERENCES keyed(k));
    CREATE TABLE hidden(a INTEGER, b TEXT);
    CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE long(id INTEGER PRIMARY KEY, t TEXT, b BLOB);
    CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT);
    CREATE TABLE vacant(id INTEGER PRIMARY KEY, a TEXT);
    CREATE TABLE still(id INTEGER PRIMARY KEY, x TEXT, alias REFERENCES alias(id));
    CREATE VIRTUAL TABLE words USING fts5(text);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO alias SELECT i, CASE WHEN i % 7 THEN 'alias ' || i * 7919 END, 'key ' || i FROM n;
    INSERT INTO hidden(rowid, a, b)
        SELECT id * 3, id % 11, CASE WHEN id % 5 THEN 'hidden ' || id * 31 END FROM alias;
    INSERT INTO keyed SELECT keyed, CASE WHEN id % 5 THEN id * 1.5 END FROM alias WHERE id % 2;
    INSERT INTO long SELECT id, printf('%.*c', 20000 + id, 'x'), zeroblob(2000000 + id)
        FROM alias WHERE id < 4;
    INSERT INTO auto SELECT id, 'auto ' || id FROM alias WHERE id < 200;
    INSERT INTO still SELECT id, 'still ' || id * 104729, id * 2 FROM alias;
    INSERT INTO words SELECT x FROM alias WHERE id < 300;
    PRAGMA user_version=7;";

/// Tables that the tests write to.
const WRITTEN: [&str; 6] = ["alias", "hidden", "keyed", "long", "auto", "vacant"];

fn journals() -> [&'static str; 2] {
    ["delete", "wal"]
}

/// Makes the database.
fn database(shop: &Workshop, journal: &str) -> PathBuf {
    let path = shop.path("app.db");
    sql(&path, &format!("PRAGMA journal_mode={journal};{BEFORE}"));
    path
}

/// A backup under a tag, or none.
fn tagged(shop: &mut Workshop, path: &Path, tag: &str) -> Manifest {
    let options = BackupOptions {
        tags: Vec::from_iter((!tag.is_empty()).then(|| tag.to_owned())),
        ..shop.backup_options(path)
    };
    let done = backup::run(&mut shop.store, &shop.world, &options, &mut NoProgress).unwrap();
    shop.manifest(&done.snapshot.id)
}

/// A snapshot that was restored, as far as these tests go.
fn restored() -> SnapshotId {
    SnapshotId::new(1_795_464_930, [7; 16])
}

/// Writes in a transaction that stays open, and takes a snapshot of what it made.
fn take(
    shop: &Workshop,
    live: &LiveDatabase,
    before: &Manifest,
    progress: &mut dyn Progress,
    write: impl FnOnce(&mut Writing<'_>),
) -> Result<Taken, Error> {
    let view = live.begin_view(Hold::Free).unwrap();
    assert!(live.end_view(&view).unwrap());
    assert!(live.begin_write(&view).unwrap());
    let mut writing = Writing::new(live, view.schema);
    write(&mut writing);
    let job = After {
        before,
        deed: Deed::Restore(restored()),
        changed: &writing.changed,
    };
    backup::take_within(&shop.store, &shop.world, live, &job, progress)
}

fn open_live(path: &Path) -> LiveDatabase {
    LiveDatabase::open(path, Duration::from_millis(200), false, false).unwrap()
}

/// What two snapshots of one state have in common, whatever they are compared with.
fn substance(manifest: &Manifest) -> impl PartialEq + std::fmt::Debug {
    let without_changes = |entity: &Entity| Entity {
        changes: None,
        ..entity.clone()
    };
    (
        manifest.schema,
        manifest.settings.clone(),
        manifest
            .entities
            .iter()
            .map(without_changes)
            .collect::<Vec<_>>(),
        manifest
            .internal
            .iter()
            .map(without_changes)
            .collect::<Vec<_>>(),
        manifest.foreign_keys.clone(),
        (manifest.damaged, manifest.pages.clone()),
        (manifest.source.clone(), manifest.host.clone()),
    )
}

fn ids(shop: &Workshop) -> Vec<SnapshotId> {
    shop.store.snapshot_names().unwrap().ids
}

#[track_caller]
fn assert_whole(shop: &Workshop) {
    let validated = shop.validate();
    assert_eq!(validated.damage, []);
    assert_eq!(validated.findings, []);
}

/// To each table, in turn: nothing, its mere name, emptying, filling anew, inserting, updating; with a new
/// table or not.
#[test]
fn a_snapshot_within_a_transaction_equals_a_backup_of_what_it_commits() {
    for journal in journals() {
        for draw in 0..Writing::DEEDS {
            let mut random = Random(seed() + draw as u64);
            let mut shop = Workshop::new();
            let path = database(&shop, journal);
            let before = tagged(&mut shop, &path, SAFETY_TAG);
            let live = open_live(&path);
            let mut told = String::new();
            let taken = take(&shop, &live, &before, &mut NoProgress, |writing| {
                for (at, table) in WRITTEN.into_iter().enumerate() {
                    writing.draw((at + draw) % Writing::DEEDS, table, &mut random);
                }
                if draw % 2 == 0 {
                    writing.make(&mut random);
                }
                told = writing.told.clone();
            });
            let taken = taken.unwrap();
            live.commit().unwrap();
            live.close().unwrap();
            let what = format!("{journal}, draw {draw} of seed {}: {told}", seed());
            let plain = tagged(&mut shop, &path, "");
            assert_eq!(substance(&taken.manifest), substance(&plain), "{what}");
            assert!(
                !plain.foreign_keys.is_empty(),
                "{what}: no reference is violated"
            );
            // All of it is there already.
            assert_eq!(plain.new_bytes, 0, "{what}");
            assert_whole(&shop);
            let stored = shop.manifest(taken.manifest.id.as_str());
            assert_eq!(stored, taken.manifest, "{what}");
        }
    }
}

#[test]
fn it_says_of_which_restore_it_is_and_is_never_the_latest() {
    let mut shop = Workshop::new();
    let path = database(&shop, "wal");
    let first = tagged(&mut shop, &path, "");
    let before = tagged(&mut shop, &path, SAFETY_TAG);
    let live = open_live(&path);
    let taken = take(&shop, &live, &before, &mut NoProgress, |writing| {
        writing.insert("alias", 4000);
    });
    let taken = taken.unwrap();
    live.commit().unwrap();
    let manifest = &taken.manifest;
    assert_eq!(manifest.tags, [AFTER_TAG, UNCOMMITTED_TAG]);
    assert_eq!(manifest.parent, Some(before.id.clone()));
    assert_ne!(manifest.name, before.name);
    let mark = manifest.restore.clone().unwrap();
    assert_eq!(
        (mark.before, mark.of),
        (before.id.clone(), Some(restored()))
    );
    assert_eq!(
        (mark.undoes, mark.changed),
        (None, vec!["alias".to_owned()])
    );
    let changes: Vec<_> = manifest
        .entities
        .iter()
        .filter_map(|e| Some((e.entity.as_str(), e.changes?.added)))
        .collect();
    assert_eq!(changes, [("alias", 1)]);
    assert_eq!(shop.manifest("latest").id, first.id);
    assert_eq!(shop.manifest(&manifest.name).id, manifest.id);
    let back = larder::ops::select::one(
        &shop.store,
        "latest~1",
        &larder::ops::select::SourceChoice::Any,
    );
    let back = back.unwrap_err();
    assert!(
        matches!(back, Error::Select(SelectError::TooFew { .. })),
        "{back}"
    );
    // Once it counts, another says so in its place: else it is the same.
    let confirmed = backup::confirm(&shop.store, &shop.world, &taken)
        .unwrap()
        .manifest;
    assert_eq!(confirmed.tags, [AFTER_TAG]);
    assert_eq!(shop.store.manifest(&manifest.id).unwrap(), None);
    let alike = larder::format::manifest::Manifest {
        id: manifest.id.clone(),
        time: manifest.time.clone(),
        tags: manifest.tags.clone(),
        ..confirmed
    };
    assert_eq!(alike, *manifest);
    // The next backup compares itself with the one before, as if no restore had taken any.
    let next = tagged(&mut shop, &path, "");
    assert_eq!(next.parent, Some(first.id));
    assert_eq!(list::run(&shop.store).unwrap().snapshots.len(), 4);
}

/// The same change backed up twice: within the transaction, and in another store by a plain backup
/// whose parent is the same state.
#[test]
fn it_stores_no_more_than_a_backup_would_and_reads_only_what_was_written() {
    let (mut shop, mut other) = (Workshop::new(), Workshop::new());
    let path = database(&shop, "wal");
    let before = tagged(&mut shop, &path, SAFETY_TAG);
    tagged(&mut other, &path, "");
    let live = open_live(&path);
    let mut counting = Counting::default();
    let taken = take(&shop, &live, &before, &mut counting, |writing| {
        writing.insert("auto", 1000);
        writing.fill("keyed", 5);
    });
    let taken = taken.unwrap();
    live.commit().unwrap();
    live.close().unwrap();
    let plain = tagged(&mut other, &path, "");
    assert_eq!(taken.manifest.entities, plain.entities);
    assert!(taken.manifest.new_bytes <= plain.new_bytes);
    assert!(plain.new_bytes < before.new_bytes / 10);
    let is_read = |e: &&Entity| ["auto", "keyed"].contains(&e.entity.as_str());
    let read = taken.manifest.entities.iter().filter(is_read);
    let internal = taken.manifest.internal.iter();
    let records: u64 = read.chain(internal).map(|e| e.records).sum();
    assert_eq!(counting.records, records);
    assert!(records < taken.manifest.records() / 2);
}

/// The store, opened without a cache: whether all blobs of a snapshot are there is not known.
fn forget_cache(shop: &mut Workshop) {
    let options = StoreOptions {
        location: shop.path("store"),
        cache_dir: None,
        compression: 3,
    };
    shop.store = open::open(&options, &shop.world).unwrap();
}

#[test]
fn where_the_snapshot_before_is_not_known_to_be_whole_everything_is_read() {
    let mut shop = Workshop::new();
    let path = database(&shop, "delete");
    let before = tagged(&mut shop, &path, SAFETY_TAG);
    forget_cache(&mut shop);
    let live = open_live(&path);
    let mut counting = Counting::default();
    let taken = take(&shop, &live, &before, &mut counting, |writing| {
        writing.empty("hidden");
    });
    let taken = taken.unwrap();
    live.commit().unwrap();
    live.close().unwrap();
    let records: u64 = taken.manifest.all_tables().map(|e| e.records).sum();
    assert_eq!(counting.records, records);
    let plain = tagged(&mut shop, &path, "");
    assert_eq!(substance(&taken.manifest), substance(&plain));
}

/// To scan a table by a collation that is not known, SQLite's schema is read anew in the middle of
/// the transaction: what that made must stay, and must still go.
#[test]
fn reading_past_an_unknown_collation_does_not_disturb_the_transaction() {
    for commits in [false, true] {
        let mut shop = Workshop::new();
        let path = database(&shop, "wal");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.create_collation("own", |a: &str, b: &str| b.cmp(a))
            .unwrap();
        db.execute_batch(
            "CREATE TABLE odd(k TEXT COLLATE own PRIMARY KEY, v) WITHOUT ROWID;
             INSERT INTO odd VALUES('a', 1), ('b', 2), ('c', 3);",
        )
        .unwrap();
        db.close().unwrap();
        let before = tagged(&mut shop, &path, SAFETY_TAG);
        let alias = rows(&path, "alias");
        forget_cache(&mut shop);
        let live = open_live(&path);
        let mut random = Random(seed());
        let taken = take(&shop, &live, &before, &mut NoProgress, |writing| {
            writing.make(&mut random);
            writing.empty("alias");
        });
        let taken = taken.unwrap();
        let odd = |manifest: &Manifest| manifest.entity("odd").unwrap().root;
        assert_eq!(odd(&taken.manifest), odd(&before));
        if commits {
            live.commit().unwrap();
            live.close().unwrap();
            let plain = tagged(&mut shop, &path, "");
            assert_eq!(plain.schema, taken.manifest.schema);
            assert_eq!(plain.entities.len(), before.entities.len() + 1);
            assert_eq!(plain.entity("alias").unwrap().records, 0);
        } else {
            live.roll_back();
            // The connection knows that the table is gone again.
            assert!(live.count("made").is_err());
            assert_eq!(live.count("alias").unwrap(), 3000);
            live.close().unwrap();
            assert_eq!(rows(&path, "alias"), alias);
        }
    }
}

#[test]
fn what_a_transaction_did_not_commit_can_be_withdrawn() {
    for journal in journals() {
        let mut shop = Workshop::new();
        let path = database(&shop, journal);
        let before = tagged(&mut shop, &path, SAFETY_TAG);
        let (known, all) = (ids(&shop), content(&path));
        let live = open_live(&path);
        let mut random = Random(seed());
        let write = |writing: &mut Writing<'_>| {
            writing.empty("alias");
            writing.insert("long", 50);
            writing.make(&mut random);
        };
        let taken = take(&shop, &live, &before, &mut NoProgress, write).unwrap();
        assert_eq!(ids(&shop).len(), known.len() + 1);
        live.roll_back();
        backup::withdraw(&shop.store, &taken).unwrap();
        assert_eq!(ids(&shop), known);
        assert_eq!(content(&path), all);
        // Once more is no error, and takes nothing else away.
        backup::withdraw(&shop.store, &taken).unwrap();
        assert_eq!(ids(&shop), known);
        assert_whole(&shop);
        // The same connection writes again, and the packs that are there are used.
        let taken = take(&shop, &live, &before, &mut NoProgress, |writing| {
            writing.empty("alias");
        });
        let taken = taken.unwrap();
        live.commit().unwrap();
        live.close().unwrap();
        let plain = tagged(&mut shop, &path, "");
        assert_eq!(substance(&taken.manifest), substance(&plain), "{journal}");
        assert_whole(&shop);
    }
}

#[test]
fn outside_a_transaction_and_after_ctrl_c_there_is_no_snapshot() {
    let mut shop = Workshop::new();
    let path = database(&shop, "wal");
    let before = tagged(&mut shop, &path, SAFETY_TAG);
    let live = open_live(&path);
    let job = After {
        before: &before,
        deed: Deed::Undo(restored()),
        changed: &[],
    };
    let refused = backup::take_within(&shop.store, &shop.world, &live, &job, &mut NoProgress);
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, Error::Target(TargetError::Sqlite { .. })),
        "{refused}"
    );
    let mut stopped = Counting {
        stops: true,
        ..Counting::default()
    };
    let stopped = take(&shop, &live, &before, &mut stopped, |writing| {
        writing.insert("vacant", 1);
    });
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    live.roll_back();
    assert_eq!(ids(&shop), [before.id]);
    assert!(
        shop.store
            .objects()
            .unwrap()
            .iter()
            .all(|o| !o.name.starts_with("writers/"))
    );
}

/// Pages are of a file, and there is none yet.
#[test]
fn pages_are_not_kept_and_a_note_says_where_they_are() {
    let mut shop = Workshop::new();
    let path = shop.path("pages.db");
    sql(
        &path,
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x INTEGER); INSERT INTO a VALUES(1, 1);
         CREATE TABLE odd(rowid, _rowid_, oid); INSERT INTO odd VALUES(1, 2, 3);",
    );
    let before = tagged(&mut shop, &path, SAFETY_TAG);
    assert!(before.pages.is_some());
    let live = open_live(&path);
    let taken = take(&shop, &live, &before, &mut NoProgress, |writing| {
        writing.empty("a");
    });
    let taken = taken.unwrap();
    live.commit().unwrap();
    assert_eq!(taken.manifest.pages, None);
    let notes: Vec<_> = taken.manifest.findings.iter().collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].severity, Severity::Note);
    assert!(
        notes[0].text.contains(before.id.as_str()),
        "{}",
        notes[0].text
    );
    assert_whole(&shop);
}

/// The table that is made within transactions is one that the library reads as it was meant.
#[test]
fn the_made_table_is_of_its_text() {
    let schema = schema_of(MADE);
    assert_eq!(schema.tables.len(), 1);
    assert_eq!(schema.tables[0].foreign_keys.len(), 1);
}
