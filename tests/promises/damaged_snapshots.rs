//! Of a damaged snapshot a new file gets all that is whole, and every record that it lacks is named;
//! unasked nothing is written. Each blob of a small store is lost in turn, and each frame damaged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use larder::backend::Backend;
use larder::codec::hash::StoreHash;
use larder::error::{Error, LostRecords, NotWholePart, SelectError};
use larder::format::blob::BlobKind;
use larder::format::footer::{TRAILER_BYTES, Trailer};
use larder::format::manifest::Manifest;
use larder::format::name;
use larder::model::id::{BlobId, PackId, SnapshotId};
use larder::ops::restore::{self, Form, RestoreOptions, RestoreOutcome};
use larder::ops::validate::{self, ValidateOptions};
use larder::progress::{NoProgress, Severity};
use larder::target::CheckLevel;
use rusqlite::types::{Value, ValueRef};

use crate::forged_pack::put_bytes;
use crate::sandbox::scale;
use crate::shelf::{Added, Shelf, footer_of};
use crate::workshop::{restore_options, sql};

/// Tables of each order of some leaves, large values with and without a node, references, a counter, a
/// full-text index; then changes that are stored as deltas. The largest value is longer than a chunk may
/// be: it has a node whatever its random bytes are.
const STATES: [&str; 2] = [
    "CREATE TABLE customers(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, x);
     INSERT INTO customers(name, x) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
       SELECT 'customer ' || i, hex(i * 2654435761 % 1000003) || printf('%.150c', 'x') FROM n;
     CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers);
     INSERT INTO orders SELECT id * 3, id FROM customers WHERE id % 5 = 0;
     CREATE TABLE keyed(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
     INSERT INTO keyed SELECT printf('key %05d', id), x FROM customers WHERE id <= 1500;
     CREATE TABLE hidden(v); INSERT INTO hidden SELECT x FROM customers WHERE id <= 1500;
     CREATE TABLE files(id INTEGER PRIMARY KEY, note TEXT, body BLOB);
     INSERT INTO files VALUES(1, 'small', x'00'), (5, 'one chunk', randomblob(30000)),
       (6, 'none', NULL), (9, 'several', randomblob(1200000)), (10, 'two', randomblob(30001)), (11, 'end', 1.5);
     CREATE VIRTUAL TABLE words USING fts5(w); INSERT INTO words VALUES('one two'), ('three');
     CREATE INDEX i ON hidden(v);",
    "UPDATE customers SET x = 'changed' WHERE id IN (3, 2400);
     UPDATE keyed SET v = 1 WHERE k = 'key 00700';
     UPDATE files SET body = substr(body, 1, 50000) || x'00112233' || substr(body, 50001) WHERE id = 9;",
];

struct Scene {
    shelf: Shelf,
    added: Vec<Added>,
    good: Vec<PathBuf>,
}

fn scene() -> Scene {
    let mut shelf = Shelf::new("");
    let added: Vec<Added> = STATES.iter().map(|state| shelf.step(state)).collect();
    let kinds: BTreeSet<BlobKind> = added
        .iter()
        .flat_map(|added| added.blobs.iter().map(|(_, blob)| blob.kind))
        .collect();
    assert_eq!(kinds.len(), BlobKind::ALL.len(), "{kinds:?}");
    assert!(added[1].has_delta(BlobKind::Leaf));
    let mut scene = Scene {
        shelf,
        added,
        good: Vec::new(),
    };
    for at in 0..STATES.len() {
        let to = scene.shelf.sandbox.path(&format!("good{at}.db"));
        let manifest = scene.manifest(at);
        assert!(manifest.pages.is_none());
        let outcome = scene.restore(&manifest, &restore_options(&to)).unwrap();
        assert_eq!(outcome.lost, []);
        scene.good.push(to);
    }
    scene
}

impl Scene {
    fn manifest(&self, at: usize) -> Manifest {
        let id: &SnapshotId = &self.added[at].id;
        self.shelf.store.manifest(id).unwrap().unwrap()
    }

    fn restore(
        &mut self,
        manifest: &Manifest,
        options: &RestoreOptions,
    ) -> Result<RestoreOutcome, Error> {
        let world = self.shelf.sandbox.world();
        restore::run(
            &mut self.shelf.store,
            &world,
            manifest,
            options,
            &mut restore::NoDecider,
            &mut NoProgress,
        )
    }

    /// What a validation says of records of a snapshot: table, range, number.
    fn validated(&self, manifest: &Manifest) -> BTreeSet<(String, String, u64)> {
        let options = ValidateOptions {
            snapshots: vec![manifest.clone()],
            ..ValidateOptions::default()
        };
        let world = self.shelf.sandbox.world();
        let outcome = validate::run(&self.shelf.store, &world, &options, &mut NoProgress).unwrap();
        let blobs = outcome.damage.into_iter().filter(|d| d.blob.is_some());
        blobs
            .flat_map(|damage| damage.affects)
            .map(|affected| (affected.entity, affected.range, affected.records))
            .collect()
    }

    /// All promises of a snapshot of which something is lost, or nothing. Gives what is lost.
    fn check(&mut self, at: usize, what: &str) -> Vec<LostRecords> {
        let manifest = self.manifest(at);
        let told = self.validated(&manifest);
        let to = self.shelf.sandbox.path("new.db");
        let plain = restore_options(&to);
        let refused = self.restore(&manifest, &plain);
        let asked = RestoreOptions {
            allow_damaged: true,
            check: CheckLevel::Full,
            ..plain.clone()
        };
        let refused = match refused {
            Ok(_) => {
                assert!(told.is_empty(), "{what}: {told:?}");
                std::fs::remove_file(&to).unwrap();
                None
            }
            Err(Error::NotWhole(error)) => {
                assert!(!to.exists(), "{what}");
                Some(error.lost)
            }
            Err(error) => panic!("{what}: {error}"),
        };
        if let Some(NotWholePart::Schema(_)) = &refused {
            let error = self.restore(&manifest, &asked).unwrap_err();
            assert!(
                error.to_string().contains("its schema cannot be read"),
                "{error}"
            );
            assert!(!to.exists(), "{what}");
            return Vec::new();
        }
        let outcome = self.restore(&manifest, &asked).unwrap();
        match refused {
            Some(part) => assert_eq!(part, NotWholePart::Records(outcome.lost.clone()), "{what}"),
            None => assert_eq!(outcome.lost, [], "{what}"),
        }
        let listed: BTreeSet<_> = outcome
            .lost
            .iter()
            .map(|lost| (lost.table.clone(), lost.range(), lost.records))
            .collect();
        assert_eq!(listed, told, "{what}");
        for lost in &outcome.lost {
            let is_told = |f: &&larder::progress::Finding| {
                f.severity == Severity::Warning && f.text.contains(&lost.range())
            };
            assert!(
                outcome.findings.iter().any(|f| is_told(&f)),
                "{what}: {lost:?}"
            );
        }
        assert_lacks(&self.good[at], &to, &outcome, what);
        std::fs::remove_file(&to).unwrap();
        outcome.lost
    }

    /// The pack's bytes are others; they come back by the return value.
    fn replace(&self, pack: &PackId, bytes: &[u8]) -> (PackId, Vec<u8>) {
        let name = name::pack(pack);
        let whole = self.shelf.backend.get(&name, u64::MAX).unwrap();
        self.shelf.backend.delete(&name).unwrap();
        (put_bytes(&*self.shelf.backend, bytes), whole)
    }

    /// Takes a blob out of a pack's table of contents.
    fn lose(&self, pack: &PackId, blob: &BlobId) -> (PackId, Vec<u8>) {
        let bytes = self.shelf.backend.get(&name::pack(pack), u64::MAX).unwrap();
        let mut footer = footer_of(&bytes);
        let before = footer.blobs.len();
        footer.blobs.retain(|entry| entry.id != *blob);
        assert_eq!(footer.blobs.len() + 1, before);
        let end = bytes.len() - TRAILER_BYTES;
        let trailer = Trailer::decode(&bytes[end..]).unwrap();
        let mut bytes = bytes[..end - trailer.stored_bytes as usize].to_vec();
        bytes.extend(footer.encode(StoreHash::unkeyed()).unwrap());
        self.replace(pack, &bytes)
    }

    fn put_back(&self, (pack, whole): (PackId, Vec<u8>)) {
        self.shelf.backend.delete(&name::pack(&pack)).unwrap();
        put_bytes(&*self.shelf.backend, &whole);
    }

    /// As the next run would.
    fn reopen(&mut self) {
        self.shelf.store = self.shelf.sandbox.open(self.shelf.backend.clone());
    }
}

fn tables(db: &rusqlite::Connection) -> Vec<String> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
               ORDER BY name";
    let mut found = db.prepare(sql).unwrap();
    let names = found.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn rows(db: &rusqlite::Connection, table: &str) -> Vec<Vec<Value>> {
    let mut found = db
        .prepare(&format!("SELECT * FROM \"{table}\" NOT INDEXED"))
        .unwrap();
    let width = found.column_count();
    let value = |value: ValueRef<'_>| match value {
        // Not all that FTS5 keeps as text is Unicode.
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        value => value.try_into().unwrap(),
    };
    let rows = found.query_map([], |row| {
        (0..width).map(|at| row.get_ref(at).map(value)).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The new file has exactly the records of the good one without those that are listed.
#[track_caller]
fn assert_lacks(good: &Path, made: &Path, outcome: &RestoreOutcome, what: &str) {
    let [good, made] = [good, made].map(|path| rusqlite::Connection::open(path).unwrap());
    assert_eq!(tables(&good), tables(&made), "{what}");
    for table in tables(&good) {
        let before_rows: Vec<_> = rows(&good, &table).into_iter().map(Some).collect();
        let mut wanted: Vec<Option<Vec<Value>>> = before_rows.clone();
        for lost in outcome.lost.iter().filter(|lost| lost.table == table) {
            let first = usize::try_from(lost.first_ordinal).unwrap();
            let all = &mut wanted[first..][..usize::try_from(lost.records).unwrap()];
            if let Some(ids) = lost.ids {
                let id = |row: &Option<Vec<Value>>| match &row.as_ref().unwrap()[0] {
                    Value::Integer(id) => *id,
                    other => panic!("{other:?}"),
                };
                assert_eq!((id(&all[0]), id(&all[all.len() - 1])), ids, "{what}");
            }
            let key = |row: &Option<Vec<Value>>| match &row.as_ref().unwrap()[0] {
                Value::Text(key) => format!("{key:?}"),
                other => panic!("{other:?}"),
            };
            if table == "keyed" && lost.records < 1500 {
                let last = lost.last_key.as_ref().unwrap();
                assert_eq!(key(&all[all.len() - 1]), *last, "{what}");
                if let Some(before) = first.checked_sub(1) {
                    let after = lost.after_key.as_ref().unwrap();
                    assert_eq!(key(&before_rows[before]), *after, "{what}");
                }
            }
            // No record is listed twice.
            assert!(all.iter_mut().all(|row| row.take().is_some()), "{what}");
        }
        let wanted: Vec<Vec<Value>> = wanted.into_iter().flatten().collect();
        let found = rows(&made, &table);
        let differ = wanted.iter().zip(&found).position(|(a, b)| a != b);
        assert_eq!(
            (found.len(), differ),
            (wanted.len(), None),
            "{what}: {table}"
        );
        let report = outcome.tables.iter().find(|report| report.table == table);
        if let Some(report) = report {
            assert_eq!(report.inserted, found.len() as u64, "{what}: {table}");
        }
    }
    let orphans = |db: &rusqlite::Connection| {
        let sql = "SELECT count(*) FROM pragma_foreign_key_check";
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let is_told = |f: &larder::progress::Finding| f.text.contains("foreign keys are violated");
    assert_eq!(
        orphans(&made) > 0,
        outcome.findings.iter().any(is_told),
        "{what}"
    );
}

/// A leaf, node, chunk, chunk node, schema or base of a delta is gone, all else is there.
#[test]
fn what_is_whole_is_restored_and_what_is_lost_is_listed() {
    let mut scene = scene();
    let blobs: Vec<(PackId, BlobId, BlobKind)> = scene
        .added
        .iter()
        .flat_map(|added| &added.blobs)
        .map(|(pack, blob)| (*pack, blob.id, blob.kind))
        .collect();
    let (mut cases, mut with_loss) = (0, 0);
    let mut lost_by = BTreeSet::new();
    let (mut whole_files, mut only_one) = (0, 0);
    for (pack, blob, kind) in &blobs {
        let gone = scene.lose(pack, blob);
        scene.reopen();
        for at in (0..STATES.len()).filter(|at| *at == 1 || scale() > 1) {
            let lost = scene.check(at, &format!("{} {blob}, snapshot {at}", kind.name()));
            cases += 1;
            with_loss += usize::from(!lost.is_empty());
            if !lost.is_empty() {
                lost_by.insert(*kind);
            }
            // A large value takes its own record only.
            if matches!(kind, BlobKind::Chunk | BlobKind::ChunkNode) {
                only_one += lost.iter().filter(|lost| lost.records == 1).count();
                assert!(lost.iter().all(|lost| lost.records == 1), "{lost:?}");
            }
            whole_files += lost
                .iter()
                .filter(|lost| lost.table == "files" && lost.records > 1)
                .count();
        }
        scene.put_back(gone);
    }
    scene.reopen();
    assert_eq!(scene.check(1, "put back"), []);
    println!(
        "{cases} cases, {with_loss} with lost records, {} blobs",
        blobs.len()
    );
    let wanted = [
        BlobKind::Leaf,
        BlobKind::Node,
        BlobKind::Chunk,
        BlobKind::ChunkNode,
    ];
    assert_eq!(lost_by.into_iter().collect::<Vec<_>>(), wanted);
    assert!(with_loss > blobs.len() / 2 && only_one > 2 && whole_files > 0);
}

/// Bytes of a frame are others: all blobs in it are lost together.
#[test]
fn of_a_damaged_frame_all_that_others_hold_is_restored() {
    let mut scene = scene();
    let packs: BTreeSet<PackId> = scene
        .added
        .iter()
        .flat_map(|added| added.blobs.iter().map(|(pack, _)| *pack))
        .collect();
    let (mut cases, mut with_loss) = (0, 0);
    for pack in packs {
        let name = name::pack(&pack);
        let whole = scene.shelf.backend.get(&name, u64::MAX).unwrap();
        for frame in footer_of(&whole).frames {
            let mut bytes = whole.clone();
            let middle = usize::try_from(frame.offset).unwrap() + frame.stored_bytes as usize / 2;
            bytes[middle] ^= 0x41;
            scene.shelf.backend.delete(&name).unwrap();
            scene.shelf.backend.put_new(&name, &bytes).unwrap();
            scene.reopen();
            let lost = scene.check(1, &format!("frame at {} of {pack}", frame.offset));
            cases += 1;
            with_loss += usize::from(!lost.is_empty());
        }
        scene.shelf.backend.delete(&name).unwrap();
        scene.shelf.backend.put_new(&name, &whole).unwrap();
    }
    println!("{cases} frames, {with_loss} with lost records");
    assert!(with_loss > 3);
}

/// Without its table of contents nothing of a pack was had.
#[test]
fn of_packs_without_a_table_of_contents_all_that_is_whole_is_restored() {
    let mut scene = scene();
    let packs: BTreeSet<PackId> = scene
        .added
        .iter()
        .flat_map(|added| added.blobs.iter().map(|(pack, _)| *pack))
        .collect();
    let whole = |scene: &Scene, pack: &PackId| {
        let bytes = scene.shelf.backend.get(&name::pack(pack), u64::MAX);
        bytes.unwrap()
    };
    for pack in &packs {
        let mut bytes = whole(&scene, pack);
        let at = bytes.len() - 20;
        bytes[at] ^= 4;
        scene.shelf.backend.put(&name::pack(pack), &bytes).unwrap();
    }
    scene.reopen();
    let to = scene.shelf.sandbox.path("new.db");
    let asked = RestoreOptions {
        allow_damaged: true,
        check: CheckLevel::Full,
        ..restore_options(&to)
    };
    for at in 0..STATES.len() {
        let manifest = scene.manifest(at);
        assert!(scene.restore(&manifest, &restore_options(&to)).is_err());
        let outcome = scene.restore(&manifest, &asked).unwrap();
        assert_eq!(outcome.lost, []);
        assert_lacks(&scene.good[at], &to, &outcome, "nothing");
        std::fs::remove_file(&to).unwrap();
    }
    // A frame that is damaged besides takes what is in it.
    let (pack, frame) = packs
        .iter()
        .flat_map(|pack| {
            let mut bytes = whole(&scene, pack);
            let at = bytes.len() - 20;
            bytes[at] ^= 4;
            let frames = footer_of(&bytes).frames;
            frames.into_iter().map(|frame| (*pack, frame))
        })
        .max_by_key(|(_, frame)| frame.plain_bytes)
        .unwrap();
    let mut bytes = whole(&scene, &pack);
    bytes[usize::try_from(frame.offset).unwrap() + frame.stored_bytes as usize / 2] ^= 0x41;
    scene.shelf.backend.put(&name::pack(&pack), &bytes).unwrap();
    scene.reopen();
    let manifest = scene.manifest(1);
    let outcome = scene.restore(&manifest, &asked).unwrap();
    assert!(!outcome.lost.is_empty());
    assert_lacks(&scene.good[1], &to, &outcome, "a frame");
}

/// Into a database that exists, what the snapshot cannot give would look like what was deleted.
#[test]
fn what_is_left_of_a_damaged_snapshot_goes_into_a_new_file_only() {
    let mut scene = scene();
    let leaf = scene.added[0].of_kind(BlobKind::Leaf)[0].id;
    let pack = scene.added[0].blobs[0].0;
    scene.lose(&pack, &leaf);
    scene.reopen();
    let manifest = scene.manifest(1);
    let to = scene.shelf.sandbox.path("exists.db");
    sql(&to, STATES[0]);
    let before = std::fs::read(&to).unwrap();
    for mode in [
        restore::Mode::Add,
        restore::Mode::Augment,
        restore::Mode::Replace,
    ] {
        let mut options = RestoreOptions {
            mode,
            no_safety_snapshot: true,
            ..restore_options(&to)
        };
        let error = scene.restore(&manifest, &options).unwrap_err();
        assert!(matches!(error, Error::NotWhole(_)), "{error}");
        options.allow_damaged = true;
        let error = scene.restore(&manifest, &options).unwrap_err();
        assert!(
            matches!(error, Error::Select(SelectError::NewFileOnly { .. })),
            "{error}"
        );
        assert!(std::fs::read(&to).unwrap() == before);
    }
    // A plan lists what would be lost.
    let to = scene.shelf.sandbox.path("planned.db");
    let options = RestoreOptions {
        allow_damaged: true,
        dry_run: true,
        ..restore_options(&to)
    };
    let outcome = scene.restore(&manifest, &options).unwrap();
    assert!(!outcome.lost.is_empty() && !to.exists());
}

/// Pages are all or none; records are taken where nobody asked for pages.
#[test]
fn pages_are_restored_all_or_none() {
    let mut shelf = Shelf::new("");
    // A NULL where none may be: SQL does not make that again.
    let added = shelf.step(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, NULL), (2, 'b');
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t(id INTEGER PRIMARY KEY, v NOT NULL)' WHERE name = 't';",
    );
    let mut scene = Scene {
        shelf,
        added: vec![added],
        good: Vec::new(),
    };
    let manifest = scene.manifest(0);
    let root = manifest.pages.as_ref().unwrap().root.unwrap().id;
    let pack = scene.shelf.store.reader().unwrap();
    let pack = pack.packs_of(BlobKind::Leaf, &root).unwrap()[0];
    scene.lose(&pack, &root);
    scene.reopen();
    let to = scene.shelf.sandbox.path("new.db");
    for (form, allow_damaged) in [
        (Form::Best, false),
        (Form::Pages, false),
        (Form::Pages, true),
    ] {
        let options = RestoreOptions {
            form,
            allow_damaged,
            ..restore_options(&to)
        };
        let error = scene.restore(&manifest, &options).unwrap_err();
        let Error::NotWhole(error) = error else {
            panic!("{error}");
        };
        assert!(matches!(&error.lost, NotWholePart::Pages(lost) if lost.len() == 1));
        assert!(!to.exists());
    }
    let told = scene.restore(
        &manifest,
        &RestoreOptions {
            allow_damaged: true,
            ..restore_options(&to)
        },
    );
    let note = |outcome: &RestoreOutcome| {
        let mut findings = outcome.findings.iter();
        findings.any(|f| f.text.contains("it is made from its records"))
    };
    match told {
        Ok(outcome) => assert!(note(&outcome) && outcome.lost.is_empty()),
        // The same NULL, as of any restore of its records.
        Err(error) => assert!(matches!(error, Error::Target(_)), "{error}"),
    }
}
