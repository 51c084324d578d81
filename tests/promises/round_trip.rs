//! What was backed up comes back: every value, rowid, setting and schema text, from every snapshot.

use std::path::{Path, PathBuf};

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

#[test]
fn the_ordinary_real_databases_come_back() {
    let Some(data) = real_databases() else { return };
    let names = [
        "chinook.db",
        "northwind.db",
        "elements.db",
        "dnd5e-2014.db",
        "xraydb.db",
        "airports.db",
        "ibus-wubi.db",
        "kstars-openngc.db",
        "kstars-citydb.db",
        "gnucash-complex.db",
        "series/bake/day-15-live.db",
    ];
    for name in names {
        println!("{name}");
        comes_back(&data.join(name));
    }
}

/// What is not ordinary is not lost silently: it is named, with the backup's warnings.
#[test]
fn virtual_tables_are_named_and_the_rest_comes_back() {
    let Some(data) = real_databases() else { return };
    for name in ["calibre-metadata.db", "nc.gpkg"] {
        let mut shop = Workshop::new();
        let copy = shop.path("source.db");
        copy_database(&data.join(name), &copy);
        let outcome = shop.backup(&copy);
        let warned = outcome
            .findings
            .iter()
            .filter(|f| f.text.contains("not carried"))
            .count();
        assert!(warned > 1, "{name}: {:?}", outcome.findings);
        let restored = shop.path("restored.db");
        let outcome = shop.restore_new("latest", &restored);
        assert!(
            outcome.findings.len() >= warned,
            "{name}: {:?}",
            outcome.findings
        );
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
