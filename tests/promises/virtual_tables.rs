//! Virtual tables come back by the tables behind them, whether their module is here or not.

use std::path::Path;

use larder::model::finding::Severity;
use larder::ops::backup::{BackupOptions, IntegrityCheck};
use larder::progress::NoProgress;
use rusqlite::Connection;

use crate::workshop::{Workshop, assert_equal, sql};

const TABLES: &str = "
    CREATE TABLE docs(id INTEGER PRIMARY KEY, body);
    INSERT INTO docs VALUES(1, 'quick brown fox'), (5, 'lazy dog');
    CREATE VIRTUAL TABLE own USING fts5(body, prefix='2');
    INSERT INTO own(rowid, body) SELECT * FROM docs;
    CREATE VIRTUAL TABLE ext USING fts5(body, content='docs', content_rowid='id');
    INSERT INTO ext(ext) VALUES('rebuild');
    CREATE VIRTUAL TABLE less USING fts5(body, content='');
    INSERT INTO less(rowid, body) SELECT * FROM docs;
    CREATE VIRTUAL TABLE old USING fts4(body);
    INSERT INTO old(docid, body) SELECT * FROM docs;
    CREATE VIRTUAL TABLE \"a 'place' \"\"here\"\"\" USING rtree(id, x0, x1, +label);
    INSERT INTO \"a 'place' \"\"here\"\"\" VALUES(1, 0.1, 0.3, 'a'), (2, -5, 7, NULL);
    DELETE FROM own WHERE rowid = 5";

fn answers(path: &Path) -> Vec<i64> {
    let db = Connection::open(path).unwrap();
    ["own", "ext", "less", "old"]
        .iter()
        .map(|table| {
            let sql = format!("SELECT sum(rowid) FROM {table} WHERE {table} MATCH 'quick'");
            db.query_row(&sql, [], |row| row.get(0)).unwrap()
        })
        .collect()
}

#[test]
fn full_text_and_spatial_indexes_answer_as_before() {
    for mode in ["delete", "wal"] {
        let mut shop = Workshop::new();
        let source = shop.path("source.db");
        sql(&source, &format!("PRAGMA journal_mode={mode}; {TABLES}"));
        let outcome = shop.backup(&source);
        assert_eq!(outcome.findings, []);
        // What lies behind them is no entity of its own.
        let names: Vec<&str> = outcome.entities.iter().map(|e| e.entity.as_str()).collect();
        assert_eq!(names, ["docs"]);
        let restored = shop.path("restored.db");
        assert_eq!(shop.restore_new("latest", &restored).findings, []);
        assert_equal(&source, &restored);
        assert_eq!(answers(&restored), answers(&source));
        sql(
            &restored,
            "INSERT INTO own(rowid, body) VALUES(9, 'a quick one')",
        );
        assert_eq!(answers(&restored)[0], 10);
    }
}

/// Its schema entry and the tables that it keeps its data in are all that there is.
#[test]
fn a_virtual_table_whose_module_is_missing_comes_back() {
    let mut shop = Workshop::new();
    let source = shop.path("source.db");
    sql(
        &source,
        "CREATE TABLE vec_chunks(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO vec_chunks VALUES(1, x'00ff')",
    );
    let db = Connection::open(&source).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch(
        "PRAGMA writable_schema=ON;
         INSERT INTO sqlite_schema VALUES('table', 'vec', 'vec', 0, 'CREATE VIRTUAL TABLE vec USING vec0(e float[2])')",
    )
    .unwrap();
    drop(db);
    let outcome = shop.backup(&source);
    let warnings = outcome
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Warning);
    assert_eq!(warnings.count(), 0, "{:?}", outcome.findings);
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    assert_equal(&source, &restored);
}

/// SQLite's own checks do not see it; the module's does, where it is asked.
#[test]
fn a_full_text_index_that_is_out_of_step_is_named_and_comes_back_so() {
    for (mode, asked) in [("delete", false), ("wal", true)] {
        let mut shop = Workshop::new();
        let source = shop.path("source.db");
        sql(
            &source,
            &format!(
                "PRAGMA journal_mode={mode}; {TABLES}; UPDATE docs SET body = 'never indexed'"
            ),
        );
        let options = BackupOptions {
            check_source: asked.then_some(IntegrityCheck::QuickCheck),
            ..shop.backup_options(&source)
        };
        let world = shop.world.clone();
        let outcome =
            larder::ops::backup::run(&mut shop.store, &world, &options, &mut NoProgress).unwrap();
        let [note] = &outcome.findings[..] else {
            panic!("{mode}: {:?}", outcome.findings);
        };
        assert_eq!(
            (note.severity, note.subject.as_str()),
            (Severity::Note, "ext")
        );
        assert!(
            note.text.starts_with("its index does not fit its content"),
            "{note:?}"
        );
        let restored = shop.path("restored.db");
        let again = shop.restore_new("latest", &restored);
        assert!(
            again.findings[0].text.contains("as in the source"),
            "{:?}",
            again.findings
        );
        assert_equal(&source, &restored);
    }
}
