//! What was backed up comes back: every value, rowid, setting and schema text, from every snapshot.

use std::path::{Path, PathBuf};

use larder::model::finding::Severity;

use crate::workshop::{Workshop, assert_equal, bakery, copy_database, real_databases, sql};

/// Backs up a copy of a database and restores it, through a store of its own.
fn comes_back(database: &Path) {
    let mut shop = Workshop::new();
    let copy = shop.path("source.db");
    copy_database(database, &copy);
    shop.backup(&copy);
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    // The original: reading the copy may have folded its -wal in.
    assert_equal(database, &restored);
    let validated = shop.validate();
    assert_eq!(validated.damage, [], "{}", database.display());
}

#[test]
fn the_example_comes_back() {
    comes_back(&bakery());
}

/// Also a trigger that calls missing functions (calibre), R*Tree and unknown functions (a `GeoPackage`), and one day that
/// is in the -wal only.
#[test]
fn the_real_databases_all_come_back() {
    let Some(data) = real_databases() else { return };
    let mut databases: Vec<PathBuf> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db" || e == "gpkg"))
        .collect();
    databases.sort();
    databases.push(data.join("series/bake/day-15-live.db"));
    for name in ["calibre-metadata.db", "nc.gpkg"] {
        assert!(databases.contains(&data.join(name)), "{name} is missing");
    }
    for database in databases {
        println!("{}", database.display());
        comes_back(&database);
    }
}

/// With their shadow tables, byte for byte, and triggers that call functions which are not here.
#[test]
fn virtual_tables_of_real_databases_come_back() {
    let Some(data) = real_databases() else { return };
    for name in ["calibre-metadata.db", "nc.gpkg"] {
        comes_back(&data.join(name));
    }
}

/// Successive states, backed up into one store; every snapshot is then restored and compared.
fn every_state_comes_back(states: &[PathBuf]) {
    let mut shop = Workshop::new();
    let mut ids = Vec::new();
    for (n, state) in states.iter().enumerate() {
        let copy = shop.path(&format!("state-{n}.db"));
        copy_database(state, &copy);
        ids.push(shop.backup(&copy).snapshot.id);
        shop.reopen();
    }
    for (n, (state, id)) in states.iter().zip(&ids).enumerate() {
        let restored = shop.path(&format!("restored-{n}.db"));
        shop.restore_new(id, &restored);
        assert_equal(state, &restored);
    }
    assert_eq!(shop.validate().damage, []);
}

fn states_of(series: &str) -> Option<Vec<PathBuf>> {
    let folder = real_databases()?.join("series").join(series);
    let mut states: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "db"))
        .collect();
    states.sort();
    Some(states)
}

#[test]
fn every_day_of_the_bake_series_comes_back() {
    if let Some(states) = states_of("bake") {
        every_state_comes_back(&states);
    }
}

#[test]
fn every_state_of_the_proj_series_comes_back() {
    if let Some(states) = states_of("proj") {
        every_state_comes_back(&states);
    }
}

#[test]
fn every_state_of_the_mendeleev_series_comes_back() {
    if let Some(states) = states_of("mendeleev") {
        every_state_comes_back(&states);
    }
}

/// One of its foreign keys is a "foreign key mismatch": a finding, not a failure.
#[test]
fn every_state_of_the_temoa_series_comes_back() {
    let Some(states) = states_of("temoa-utopia") else {
        return;
    };
    every_state_comes_back(&states);
    let mut shop = Workshop::new();
    let copy = shop.path("temoa.db");
    copy_database(&states[0], &copy);
    let outcome = shop.backup(&copy);
    let named = outcome
        .findings
        .iter()
        .any(|f| f.text.contains("foreign key mismatch"));
    assert!(named, "{:?}", outcome.findings);
}

#[test]
fn empty_databases_make_snapshots_that_restore() {
    let cases = [
        ("nothing", None),
        (
            "no-tables",
            Some("PRAGMA user_version=7; CREATE TABLE t(a); DROP TABLE t;"),
        ),
        (
            "no-rows",
            Some("CREATE TABLE a(x INTEGER PRIMARY KEY, y); CREATE TABLE b(z) STRICT;"),
        ),
    ];
    for (name, text) in cases {
        let mut shop = Workshop::new();
        let database = shop.path(&format!("{name}.db"));
        match text {
            Some(text) if name == "no-rows" => sql(&database, &text.replace("(z)", "(z TEXT)")),
            Some(text) => sql(&database, text),
            None => std::fs::write(&database, b"").unwrap(),
        }
        let outcome = shop.backup(&database);
        let noted = outcome.findings.iter().any(|f| f.text.contains("0 bytes"));
        assert_eq!(noted, text.is_none(), "{name}: {:?}", outcome.findings);
        let restored = shop.path("restored.db");
        shop.restore_new("latest", &restored);
        assert_equal(&database, &restored);
        assert_eq!(shop.validate().damage, [], "{name}");
    }
}

/// The texts of the warnings of a backup of a database made from SQL.
fn warnings_of(shop: &mut Workshop, database: &Path) -> Vec<String> {
    let outcome = shop.backup(database);
    let warnings = outcome
        .findings
        .into_iter()
        .filter(|f| f.severity == Severity::Warning && !f.text.contains("are kept beside"));
    warnings
        .map(|f| format!("{}: {}", f.subject, f.text))
        .collect()
}

/// A schema text changed over its rows: what SQL would make of them is said at backup time,
/// and the pages that are kept for it bring them back.
#[test]
fn values_that_their_columns_would_not_take_are_named() {
    let cases = [
        (
            "t(a TEXT)",
            "t(a INTEGER)",
            "'007'",
            "would store as another",
        ),
        ("t(a)", "t(a NUMERIC)", "1.0", "would store as another"),
        ("t(a INTEGER)", "t(a TEXT)", "7", "would store as another"),
        ("t(a)", "t(a NOT NULL)", "NULL", "refuses"),
        ("t(a INT)", "t(a INT) STRICT", "'seven'", "refuses"),
    ];
    for (before, after, value, told) in cases {
        let mut shop = Workshop::new();
        let database = shop.path("source.db");
        sql(
            &database,
            &format!(
                "CREATE TABLE {before}; INSERT INTO t VALUES({value});
                 PRAGMA writable_schema=1;
                 UPDATE sqlite_schema SET sql = 'CREATE TABLE {after}'"
            ),
        );
        let warnings = warnings_of(&mut shop, &database);
        assert_eq!(warnings.len(), 1, "{after} {value}: {warnings:?}");
        assert!(warnings[0].starts_with("t: 1 record holds"), "{warnings:?}");
        assert!(warnings[0].contains(told), "{warnings:?}");
        let target = shop.path("restored.db");
        shop.restore_new("latest", &target);
        assert_equal(&database, &target);
    }
}

#[test]
fn rowids_that_cannot_be_reached_are_named() {
    let mut shop = Workshop::new();
    let database = shop.path("source.db");
    sql(
        &database,
        "CREATE TABLE h(rowid, _rowid_, oid); INSERT INTO h VALUES(1, 2, 3)",
    );
    let warnings = warnings_of(&mut shop, &database);
    assert!(warnings[0].starts_with("h: columns hide"), "{warnings:?}");
}

/// With the rowid, a result would have one column more than SQLite allows.
#[test]
fn the_widest_tables_come_back() {
    let mut shop = Workshop::new();
    let database = shop.path("source.db");
    let columns: Vec<String> = (0..2000).map(|n| format!("c{n}")).collect();
    let values: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    let text = format!(
        "CREATE TABLE w({}); INSERT INTO w VALUES({}); INSERT INTO w(rowid, c1999) VALUES(-4, \
         zeroblob(20000)); INSERT INTO w(rowid, c0) VALUES(9223372036854775807, 'last')",
        columns.join(","),
        values.join(","),
    );
    sql(&database, &text);
    shop.backup(&database);
    let restored = shop.path("restored.db");
    shop.restore_new("latest", &restored);
    assert_equal(&database, &restored);
}

/// A record is known by its primary key also where the table has a rowid besides.
#[test]
fn a_changed_record_of_any_key_counts_as_changed() {
    let mut shop = Workshop::new();
    let database = shop.path("source.db");
    sql(
        &database,
        "CREATE TABLE k(a, b, v, PRIMARY KEY(a, b));
         INSERT INTO k VALUES(1, 'x', 1), (1, 'y', 1), (2, 'x', 1), (NULL, 'x', 1), (3, 'x', 1);
         CREATE TABLE none(a, v); INSERT INTO none VALUES(1, 1), (2, 1)",
    );
    shop.backup(&database);
    sql(
        &database,
        "UPDATE k SET v = 2 WHERE a = 1 OR a IS NULL; DELETE FROM k WHERE a = 3;
         INSERT INTO k VALUES(4, 'x', 1); UPDATE none SET v = 2 WHERE a = 1",
    );
    let outcome = shop.backup(&database);
    let counts: Vec<_> = outcome
        .entities
        .iter()
        .map(|e| e.changes.map(|c| (c.added, c.changed, c.removed)))
        .collect();
    // The key with NULL names no record.
    assert_eq!(counts, [Some((2, 2, 2)), Some((1, 0, 1))]);
}
