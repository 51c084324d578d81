//! There and back: what was exported and imported has the roots, schema and settings that it had.

use std::path::{Path, PathBuf};

use larder::format::manifest::Manifest;
use larder::model::finding::Severity;
use larder::ops::import;
use larder::progress::NoProgress;

use super::{essence, export, imported, try_import, validate};
use crate::any_database::statements;
use crate::sandbox::{scale, seed};
use crate::workshop::{Workshop, bakery, copy_database, real_databases, restore_options, sql};

/// Fails unless both snapshots are of the same content.
fn assert_same(a: &Manifest, b: &Manifest, what: &str) {
    assert_eq!(a.schema, b.schema, "{what}: schema");
    assert_eq!(a.settings, b.settings, "{what}: settings");
    let entities = |manifest: &Manifest| manifest.entities.iter().map(essence).collect::<Vec<_>>();
    assert_eq!(entities(a), entities(b), "{what}");
    let internal = |manifest: &Manifest| manifest.internal.iter().map(essence).collect::<Vec<_>>();
    assert_eq!(internal(a), internal(b), "{what}");
    assert_eq!(a.foreign_keys, b.foreign_keys, "{what}");
}

/// Backs up, exports in both forms, imports both.
///
/// True if the records alone make the database again.
fn comes_around(database: &Path) -> bool {
    let what = database.display().to_string();
    let mut shop = Workshop::new();
    let copy = shop.path("source.db");
    copy_database(database, &copy);
    shop.backup(&copy);
    let original = shop.manifest("latest");
    let exports = ["export", "export.zip"].map(|name| (name, export(&shop, name)));
    for (name, from) in exports {
        let check = validate(&shop, &from);
        assert_eq!(check.damage, [], "{what}");
        assert_eq!(check.export.records, original.records());
        let again = imported(&mut shop, &from);
        if original.pages.is_none() {
            assert_same(&original, &again, &format!("{what}, {name}"));
        } else {
            assert_told(&original, &again, &what);
        }
    }
    assert_eq!(shop.validate().damage, [], "{what}");
    original.pages.is_none()
}

/// What only pages bring back is left out and named; all else is as it was.
fn assert_told(original: &Manifest, again: &Manifest, what: &str) {
    let is_told = again.findings.iter().any(|finding| {
        finding.severity == Severity::Warning && finding.text.contains("pages of the database")
    });
    assert!(is_told, "{what}: {:?}", again.findings);
    for entity in again.all_tables() {
        let before = original
            .all_tables()
            .find(|e| e.entity == entity.entity)
            .unwrap();
        assert_eq!(before.root, entity.root, "{what}: {}", entity.entity);
    }
}

const EVERY_SORT: &str = r#"
    PRAGMA page_size=1024; PRAGMA auto_vacuum=2; PRAGMA user_version=7; PRAGMA application_id=9;
    CREATE TABLE w(a TEXT COLLATE NOCASE, b, c REAL, PRIMARY KEY(b DESC, a)) WITHOUT ROWID;
    INSERT INTO w VALUES('x', 1, 1), ('X ', x'00', -0.0), ('y', 'y', 9e999), ('', 2.5, -9e999);
    CREATE TABLE blobs(id INTEGER PRIMARY KEY, small BLOB, large BLOB);
    INSERT INTO blobs VALUES(-5, x'', randomblob(50000)), (9223372036854775807, x'00ff', zeroblob(20000));
    CREATE TABLE texts(t TEXT, "strange ""name""", "" TEXT);
    INSERT INTO texts VALUES('Ä' || char(0) || '🦀', CAST(x'ff41' AS TEXT), '"\'), (hex(randomblob(20000)), 1e300, NULL);
    CREATE TABLE hidden(a, b UNIQUE); INSERT INTO hidden VALUES(1, 1), (2, 2), (3, 3), (4, 4);
    DELETE FROM hidden WHERE a IN (1, 3); UPDATE hidden SET rowid = -7 WHERE a = 4;
    CREATE TABLE numbers("rowid", "_rowid_", n); INSERT INTO numbers(oid, n)
      VALUES(5, -9223372036854775808), (6, 9007199254740993), (9, 0.1), (10, 5e-324);
    CREATE TABLE generated(a, v AS (a + 1), s AS (a * 2) STORED); INSERT INTO generated(a) VALUES(1), (2.5), (NULL);
    CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, x); INSERT INTO auto(x) VALUES(1), (2);
    DELETE FROM auto;
    CREATE TABLE strict_one(id INTEGER PRIMARY KEY, a ANY, b REAL) STRICT; INSERT INTO strict_one VALUES(1, 1.0, 2);
    CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE child(p REFERENCES parent, c REFERENCES child(rowid));
    INSERT INTO child VALUES(77, NULL);
    CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES('bread'), ('butter'); DELETE FROM f WHERE x = 'bread';
    CREATE INDEX i ON texts(t) WHERE t > 'a'; CREATE VIEW v AS SELECT 1;
    CREATE TRIGGER r AFTER INSERT ON auto BEGIN SELECT 1; END;
    ANALYZE;
"#;

/// WITHOUT ROWID, blobs, hidden rowids, generated columns, full text, statistics: all sorts of
/// tables at once, in every encoding.
#[test]
fn an_export_imported_again_has_the_same_roots() {
    let dir = tempfile::tempdir().unwrap();
    for (n, encoding) in ["UTF-8", "UTF-16le", "UTF-16be"].iter().enumerate() {
        let path = dir.path().join(format!("{n}.db"));
        // Of a text that is no UTF-16 nothing more is said: that is tried by the random ones.
        let text = EVERY_SORT.replace(
            "CAST(x'ff41' AS TEXT)",
            match n {
                0 => "CAST(x'ff41' AS TEXT)",
                _ => "'plain'",
            },
        );
        sql(
            &path,
            &format!("PRAGMA encoding='{encoding}'; PRAGMA foreign_keys=OFF; {text}"),
        );
        comes_around(&path);
    }
    comes_around(&bakery());
    let empty = dir.path().join("empty.db");
    std::fs::write(&empty, "").unwrap();
    comes_around(&empty);
}

/// What only pages bring back is named; the records that SQL takes again are as they were.
#[test]
fn what_an_export_lacks_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pages.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.create_collation("BY_MOON", |a, b| b.cmp(a)).unwrap();
    db.execute_batch(
        "CREATE TABLE plain(a); INSERT INTO plain VALUES(1), ('x');
         CREATE TABLE moon(a TEXT COLLATE BY_MOON PRIMARY KEY) WITHOUT ROWID;
         INSERT INTO moon VALUES('a'), ('b');
         CREATE TABLE shy(rowid, _rowid_, oid); INSERT INTO shy VALUES(1, 2, 3);",
    )
    .unwrap();
    db.close().unwrap();
    assert!(!comes_around(&path));
}

#[test]
fn the_real_databases_all_come_around() {
    let Some(data) = real_databases() else { return };
    let mut databases: Vec<PathBuf> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db" || e == "gpkg"))
        // The larger ones are more of the same.
        .filter(|path| path.metadata().unwrap().len() < 5_000_000)
        .collect();
    databases.sort();
    for name in [
        "chinook.db",
        "northwind.db",
        "calibre-metadata.db",
        "nc.gpkg",
    ] {
        assert!(databases.contains(&data.join(name)), "{name} is missing");
    }
    for database in databases {
        println!("{}", database.display());
        comes_around(&database);
    }
}

/// Random databases at the edges of what SQLite allows.
#[test]
fn any_database_comes_around() {
    let (mut whole, cases) = (0, 40 * scale());
    for case in 0..cases as u64 {
        let seed = seed().wrapping_add(case);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("any.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF")
            .unwrap();
        for statement in statements(seed) {
            // Not everything that is drawn can be done.
            let _ = db.execute_batch(&statement);
        }
        db.close().unwrap();
        println!("LARDER_TEST_SEED={seed}");
        whole += usize::from(comes_around(&path));
    }
    println!("{whole} of {cases} without pages");
    // Else most of them would prove little.
    assert!(whole * 2 > cases, "{whole} of {cases}");
}

/// The real exports of the ancestor: imported, listed, validated, restored; a second day is a
/// change of the first.
#[test]
fn the_ancestors_exports_are_read() {
    let Some(data) = real_databases() else { return };
    let mut shop = Workshop::new();
    for (day, records) in [("00", 903), ("15", 1809)] {
        let folder = data.join(format!("ancestor-backup-day-{day}"));
        let summary = import::look(&folder, &shop.world).unwrap();
        assert_eq!((summary.files, summary.records), (24, records));
        assert_eq!(summary.source, "Seasonal Baking Tracker v0.1.0");
        assert!(summary.time.unwrap().starts_with("2026-11-23T20:46:"));
        let check = validate(&shop, &folder);
        assert_eq!((check.damage, check.findings), (vec![], vec![]));
        let outcome = try_import(&mut shop, &folder).unwrap();
        assert_eq!(outcome.snapshot.records, records);
        assert_eq!(outcome.parent.is_some(), day == "15");
        let manifest = shop.manifest(&outcome.snapshot.id);
        assert_eq!(
            manifest.source.path,
            std::fs::canonicalize(&folder).unwrap().to_str().unwrap()
        );
        let products = manifest.entity("products").unwrap();
        assert_eq!(products.dependencies, ["ingredients"]);
        assert!(manifest.entity("ingredients").unwrap().import_order < products.import_order);
        assert!(
            manifest
                .findings
                .iter()
                .all(|finding| finding.severity == Severity::Note)
        );
    }
    assert_eq!(shop.validate().damage, []);
    let folder = data.join("ancestor-backup-day-15");
    let mut borrowed = import::borrow(&folder, &shop.world, None, &mut NoProgress).unwrap();
    let target = shop.path("restored.db");
    let options = restore_options(&target);
    larder::ops::restore::run(
        &mut borrowed.store,
        &shop.world,
        &borrowed.manifest,
        &options,
        &mut larder::ops::restore::NoDecider,
        &mut NoProgress,
    )
    .unwrap();
    assert_records(&folder, &target);
}

/// Every value of every record of the folder stands in the database, with its class.
fn assert_records(folder: &Path, database: &Path) {
    let db = rusqlite::Connection::open(database).unwrap();
    let read = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
    };
    let manifest = read("manifest.json");
    let mut compared = 0;
    for file in manifest["files"].as_array().unwrap() {
        let table = file["entity_type"].as_str().unwrap();
        for (n, record) in read(file["filename"].as_str().unwrap())["records"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            for (name, value) in record.as_object().unwrap() {
                let sql = format!("SELECT \"{name}\" FROM \"{table}\" WHERE rowid = ?1");
                let stored: rusqlite::types::Value = db
                    .query_row(&sql, [i64::try_from(n + 1).unwrap()], |row| row.get(0))
                    .unwrap();
                assert_value(value, &stored, &format!("{table} {n} {name}"));
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "{compared}");
}

fn assert_value(json: &serde_json::Value, stored: &rusqlite::types::Value, what: &str) {
    use rusqlite::types::Value;
    let is_same = match (json, stored) {
        (serde_json::Value::Null, Value::Null) => true,
        (serde_json::Value::Bool(a), Value::Integer(b)) => i64::from(*a) == *b,
        (serde_json::Value::Number(a), Value::Integer(b)) => a.as_i64() == Some(*b),
        (serde_json::Value::Number(a), Value::Real(b)) => a.is_f64() && a.as_f64() == Some(*b),
        (serde_json::Value::String(a), Value::Text(b)) => a == b,
        (serde_json::Value::Array(_) | serde_json::Value::Object(_), Value::Text(b)) => {
            serde_json::from_str::<serde_json::Value>(b).is_ok_and(|b| b == *json)
        }
        _ => false,
    };
    assert!(is_same, "{what}: {json} is {stored:?}");
}
