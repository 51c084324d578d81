//! Stores written by earlier programs of this format are read as they were written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::env::SystemEnv;
use larder::format::config::FORMAT_DRAFT;
use larder::ops::backup::{self, BackupOptions};
use larder::ops::open::{self, StoreOptions, World};
use larder::ops::select::{self, SourceChoice};
use larder::ops::validate::{self, ValidateOptions};
use larder::progress::NoProgress;
use larder::vfs::os::OsVfs;

use crate::workshop::{Workshop, assert_equal, sql};

/// Every kind of table and value, enough rows for nodes, and large values.
const FIRST: &str = "
PRAGMA page_size=1024; PRAGMA user_version=7; PRAGMA application_id=1818;
CREATE TABLE maker(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE);
CREATE TABLE item(id INTEGER PRIMARY KEY, maker INTEGER REFERENCES maker(id), title TEXT, price REAL,
  stock INTEGER, note, double_price REAL GENERATED ALWAYS AS (price * 2) STORED);
CREATE TABLE tag(item INTEGER, word TEXT COLLATE NOCASE, weight REAL, PRIMARY KEY(word, item DESC)) WITHOUT ROWID;
CREATE TABLE log(at TEXT, what);
CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT, data BLOB) STRICT;
CREATE INDEX item_by_maker ON item(maker, price DESC); CREATE UNIQUE INDEX item_title ON item(title) WHERE id < 100;
CREATE VIEW cheap AS SELECT * FROM item WHERE price < 10;
CREATE TRIGGER item_log AFTER DELETE ON item BEGIN INSERT INTO log VALUES('deleted', old.id); END;
INSERT INTO maker(name) VALUES('Ash'), ('birch'), ('Çedar'), ('');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
  INSERT INTO item(id, maker, title, price, stock, note)
  SELECT i, 1 + i % 5, 'item ' || (i * 7919 % 9001), (i * 37 % 10000) / 100.0, i * i,
    CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i / 7.0 WHEN 3 THEN 'n' || i WHEN 4 THEN CAST(i AS BLOB)
      ELSE -9223372036854775808 END FROM n;
INSERT INTO tag SELECT id, CASE id % 2 WHEN 0 THEN 'Even ' ELSE 'odd ' END || (id % 50), id / 3.0 FROM item WHERE id < 2000;
INSERT INTO log SELECT '2026-11-24', CAST(x'61ff00' AS TEXT) UNION ALL SELECT '', 9e999 UNION ALL SELECT NULL, -0.0;
INSERT INTO big VALUES(1, replace(hex(zeroblob(10000)), '00', 'larder '), NULL),
  (2, 'short', CAST(replace(hex(zeroblob(60000)), '00', 'chunk and ') AS BLOB));
ANALYZE;";

/// What happens between the two snapshots.
const SECOND: &str = "
UPDATE item SET stock = -stock WHERE id % 500 = 0; DELETE FROM tag WHERE item BETWEEN 100 AND 120;
INSERT INTO maker(name) VALUES('Dogwood'); UPDATE big SET data = CAST('more ' || data AS BLOB) WHERE id = 2;";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn world() -> World {
    World {
        env: Arc::new(SystemEnv),
        vfs: Arc::new(OsVfs),
    }
}

fn options(location: PathBuf) -> StoreOptions {
    StoreOptions {
        location,
        cache_dir: None,
        compression: 3,
    }
}

/// Writes the golden store of this draft. Only when asked to.
fn write_golden(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("golden.db");
    let mut store = open::create(&options(folder.join("store")), &world()).unwrap();
    for (name, text) in [("first", FIRST), ("second", SECOND)] {
        sql(&database, &format!("PRAGMA foreign_keys=OFF;{text}"));
        fs::write(folder.join(format!("{name}.sql")), text).unwrap();
        let options = BackupOptions {
            database: database.clone(),
            name: Some(name.to_owned()),
            tags: vec!["golden".to_owned()],
            source_name: Some("golden".to_owned()),
            busy_timeout: std::time::Duration::ZERO,
            temp_dir: None,
        };
        backup::run(&mut store, &world(), &options, &mut NoProgress).unwrap();
    }
    for empty in ["tmp", "writers"] {
        let _ = fs::remove_dir(folder.join("store").join(empty));
    }
}

#[test]
fn the_golden_stores_are_read_as_they_were_written() {
    let newest = golden().join(format!("draft-{FORMAT_DRAFT}"));
    if std::env::var_os("LARDER_WRITE_GOLDEN").is_some() {
        write_golden(&newest);
    }
    assert!(newest.exists(), "no golden store of draft {FORMAT_DRAFT}");
    let mut tested = 0;
    for entry in fs::read_dir(golden()).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            // Another draft would be refused: its store must have been replaced.
            assert_eq!(folder, newest);
            reads_as_written(&folder);
            tested += 1;
        }
    }
    assert_eq!(tested, 1);
}

fn reads_as_written(folder: &Path) {
    let store = open::open(&options(folder.join("store")), &world()).unwrap();
    let validated = validate::run(
        &store,
        &world(),
        &ValidateOptions::default(),
        &mut NoProgress,
    );
    let validated = validated.unwrap();
    assert_eq!(
        (validated.damage, validated.findings),
        (Vec::new(), Vec::new())
    );
    let mut shop = Workshop::new();
    let database = shop.path("golden.db");
    for name in ["first", "second"] {
        let text = fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
        sql(&database, &format!("PRAGMA foreign_keys=OFF;{text}"));
        shop.backup(&database);
        let (new, old) = (
            shop.manifest("latest"),
            select::one(&store, name, &SourceChoice::Any).unwrap(),
        );
        // Equal roots: the program writes today what it wrote then.
        let roots = |m: &larder::format::manifest::Manifest| {
            m.all_tables()
                .map(|e| (e.entity.clone(), e.root, e.records))
                .collect::<Vec<_>>()
        };
        assert_eq!(roots(&new), roots(&old), "{name}");
        assert_eq!(new.schema, old.schema, "{name}");
        let restored = shop.path(&format!("{name}-restored.db"));
        std::mem::swap(
            &mut shop.store,
            &mut open::open(&options(folder.join("store")), &world()).unwrap(),
        );
        shop.try_restore(&old, &restored).unwrap();
        shop.reopen();
        assert_equal(&database, &restored, &[]);
    }
}
