//! What SQL does not make again comes back with the database's pages, and is named.

use std::path::Path;

use larder::error::{Error, SourceError};
use larder::model::finding::Severity;
use larder::ops::backup::BackupOutcome;
use larder::ops::restore::Form;

use crate::workshop::{Workshop, assert_equal, bakery, copy_database, sql};

/// Makes a database in which a collation and a function are known that nobody else knows.
fn make(path: &Path, text: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.create_collation("odd", |a: &str, b: &str| b.cmp(a))
        .unwrap();
    let flags = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("shout", 1, flags, |context| {
        Ok(context.get::<String>(0)?.to_uppercase())
    })
    .unwrap();
    db.execute_batch(text).unwrap();
}

fn warnings(outcome: &BackupOutcome) -> Vec<&str> {
    let is_warning = |f: &&larder::progress::Finding| f.severity == Severity::Warning;
    let all = outcome.findings.iter().filter(is_warning);
    all.map(|finding| finding.subject.as_str()).collect()
}

/// Backed up, named, restored equal; the records that can be read are there as well.
#[test]
fn what_sql_does_not_make_again_comes_back_with_the_pages() {
    let rows = "('b',1),('A',2),('c',3)";
    let cases = [
        ("an index", format!("CREATE TABLE t(a, b); CREATE INDEX i ON t(a COLLATE odd); INSERT INTO t VALUES{rows}"), "index i"),
        ("a unique key", format!("CREATE TABLE t(a COLLATE odd UNIQUE, b); INSERT INTO t VALUES{rows}"), "t"),
        ("a primary key", format!("CREATE TABLE t(a PRIMARY KEY COLLATE odd, b) WITHOUT ROWID; INSERT INTO t VALUES{rows}"), "t"),
        ("a check", format!("CREATE TABLE t(a CHECK(shout(a) <> 'X'), b); INSERT INTO t VALUES{rows}"), "t"),
        ("generated columns", format!("CREATE TABLE t(a, b, v AS (shout(a)), s AS (shout(a)) STORED); INSERT INTO t(a, b) VALUES{rows}"), "t"),
        ("an expression", format!("CREATE TABLE t(a, b); CREATE INDEX i ON t(shout(a)); INSERT INTO t VALUES{rows}"), "index i"),
        ("all names of the rowid", "CREATE TABLE t(rowid, oid, _rowid_); INSERT INTO t VALUES(1,2,3),(4,5,6),(7,8,9); DELETE FROM t WHERE oid = 5".to_owned(), "t"),
        ("pages of 64 KiB", format!("PRAGMA page_size=65536; CREATE TABLE t(a COLLATE odd UNIQUE, b); INSERT INTO t VALUES{rows}"), "t"),
        ("WAL", format!("PRAGMA journal_mode=wal; CREATE TABLE t(a COLLATE odd UNIQUE, b); INSERT INTO t VALUES{rows}"), "t"),
        ("UTF-16", format!("PRAGMA encoding='UTF-16be'; CREATE TABLE t(a COLLATE odd UNIQUE, b); INSERT INTO t VALUES{rows}"), "t"),
    ];
    for (what, text, named) in cases {
        let mut shop = Workshop::new();
        let path = shop.path("source.db");
        make(&path, &text);
        let outcome = shop.backup(&path);
        let source = path.display().to_string();
        assert_eq!(warnings(&outcome), [named, &source], "{what}");
        assert!(outcome.pages.is_some(), "{what}");
        let rows: u64 = outcome.entities.iter().map(|e| e.records).sum();
        assert!(rows >= 2, "{what}: {rows} records");
        let restored = shop.path("restored.db");
        let again = shop.restore_new("latest", &restored);
        let notes = again.findings.iter().all(|f| f.severity == Severity::Note);
        assert!(notes, "{what}: {:?}", again.findings);
        assert_equal(&path, &restored);
        assert_eq!(shop.validate().damage, [], "{what}");
    }
}

/// A stored column that another SQLite computed, or a function that the application put in the place of
/// SQLite's own: it would come out otherwise.
#[test]
fn stored_columns_that_are_computed_otherwise_here_come_back_with_the_pages() {
    for encoding in ["UTF-8", "UTF-16le"] {
        let mut shop = Workshop::new();
        let path = shop.path("source.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        let flags = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
        db.create_scalar_function("lower", 1, flags, |context| {
            Ok(context
                .get::<String>(0)?
                .replace('Ä', "ä")
                .to_ascii_lowercase())
        })
        .unwrap();
        let text = format!(
            "PRAGMA encoding='{encoding}'; CREATE TABLE t(a, l AS (lower(a)) STORED, n NOT NULL DEFAULT 1);
            INSERT INTO t(a) VALUES('abc'), ('ABC')"
        );
        db.execute_batch(&text).unwrap();
        assert_eq!(warnings(&shop.backup(&path)), [""; 0], "{encoding}");
        db.execute_batch("INSERT INTO t(a) VALUES('Äh')").unwrap();
        let source = path.display().to_string();
        assert_eq!(warnings(&shop.backup(&path)), ["t", &source], "{encoding}");
        let restored = shop.path("restored.db");
        shop.restore_new("latest", &restored);
        assert_equal(&path, &restored);
    }
}

/// Rows that their table would refuse, or change, on the way back.
#[test]
fn rows_that_sql_refuses_or_changes_come_back_with_the_pages() {
    let mut shop = Workshop::new();
    let path = shop.path("source.db");
    sql(&path, "CREATE TABLE n(a, b); INSERT INTO n VALUES(1, NULL); CREATE TABLE s(a INT); INSERT INTO s VALUES('x');
                CREATE TABLE c(a); INSERT INTO c VALUES('12')");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    db.execute_batch(
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE n(a, b NOT NULL)' WHERE name = 'n';
         UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = 's';
         UPDATE sqlite_schema SET sql = 'CREATE TABLE c(a INTEGER)' WHERE name = 'c'",
    )
    .unwrap();
    drop(db);
    let outcome = shop.backup(&path);
    let source = path.display().to_string();
    assert_eq!(warnings(&outcome), ["n", "s", "c", &source]);
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    assert_equal(&path, &restored);
}

/// A changed row costs its page's changed bytes, not the page.
#[test]
fn a_change_of_one_row_adds_little_to_the_pages() {
    let mut shop = Workshop::new();
    let path = shop.path("source.db");
    copy_database(&bakery(), &path);
    sql(
        &path,
        "CREATE TABLE hides(rowid, oid, _rowid_); INSERT INTO hides VALUES(1, 2, 3)",
    );
    let first = shop.backup(&path);
    sql(&path, "UPDATE hides SET oid = 77");
    let second = shop.backup(&path);
    assert!(second.stored_bytes < 6_000, "{}", second.stored_bytes);
    assert!(first.stored_bytes > 10 * second.stored_bytes);
    for (word, name) in [("latest", "new.db"), ("latest~1", "old.db")] {
        shop.restore_new(word, &shop.path(name));
    }
    assert_equal(&path, &shop.path("new.db"));
}

#[test]
fn a_strict_backup_of_what_needs_pages_stores_nothing() {
    let mut shop = Workshop::new();
    let path = shop.path("source.db");
    sql(
        &path,
        "CREATE TABLE hides(rowid, oid, _rowid_); INSERT INTO hides VALUES(1, 2, 3)",
    );
    let refused = shop.try_backup_strictly(&path);
    let Err(Error::Source(SourceError::NotAllCarried { what, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(what[0].starts_with("hides: "), "{what:?}");
    assert!(shop.validate().snapshots.is_empty());
    let plain = shop.path("plain.db");
    sql(&plain, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    shop.try_backup_strictly(&plain).unwrap();
}

/// Records alone, if they are asked for: what SQL does not make is left out and named.
#[test]
fn records_are_restored_without_the_pages_if_asked() {
    let mut shop = Workshop::new();
    let path = shop.path("source.db");
    make(
        &path,
        "CREATE TABLE t(a COLLATE odd UNIQUE, b); CREATE TABLE u(a); INSERT INTO u VALUES(5)",
    );
    shop.backup(&path);
    let restored = shop.path("restored.db");
    let outcome = shop
        .try_restore_form("latest", &restored, Form::Records)
        .unwrap();
    let named: Vec<&str> = outcome
        .findings
        .iter()
        .map(|f| f.subject.as_str())
        .collect();
    assert!(named.contains(&"table t"), "{named:?}");
    let db = rusqlite::Connection::open(&restored).unwrap();
    let kept: i64 = db
        .query_row("SELECT a FROM u", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 5);
    // A snapshot without pages cannot give them.
    let plain = shop.path("plain.db");
    sql(&plain, "CREATE TABLE t(a)");
    shop.backup(&plain);
    let refused = shop.try_restore_form("latest", &shop.path("never.db"), Form::Pages);
    assert!(matches!(refused, Err(Error::Select(_))), "{refused:?}");
}
