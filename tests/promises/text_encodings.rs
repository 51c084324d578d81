//! Databases that write their texts in other ways: a restore converts them as SQLite does, whichever
//! the snapshot and the database have.

use larder::ops::restore::{Match, Mode, OnConflict, OnMissing, Scope};
use larder::ops::undo::{self, UndoOptions};
use larder::progress::NoProgress;

use super::stage::{Stage, content, rows, table};

const ENCODINGS: [&str; 3] = ["UTF-8", "UTF-16le", "UTF-16be"];

/// Keys of all kinds, references by text, and a text that is too long to be held.
const SHOP: &str = "CREATE TABLE brands(name TEXT PRIMARY KEY COLLATE NOCASE, note TEXT) WITHOUT ROWID;
    CREATE TABLE products(id INTEGER PRIMARY KEY, name TEXT UNIQUE, brand TEXT REFERENCES brands, text TEXT);
    CREATE TABLE log(line TEXT);";

const SNAPSHOT: &str = "INSERT INTO brands VALUES('Äpfel', 'ü'), ('日本', NULL), ('z😀', 'x');
    INSERT INTO products VALUES(1, 'Most', 'äpfel', 'kühl'), (2, 'Tee ☕', '日本', LONG),
      (3, 'new', 'z😀', 'y'); INSERT INTO log VALUES('ö'), ('ö'), ('p')";

const LIVE: &str = "INSERT INTO brands VALUES('Äpfel', 'ü'), ('日本', NULL);
    INSERT INTO products VALUES(7, 'Most', 'Äpfel', NULL), (2, 'Tee ☕', '日本', LONG);
    INSERT INTO log VALUES('ö')";

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let from = ENCODINGS.into_iter();
    from.flat_map(|from| ENCODINGS.into_iter().map(move |to| (from, to)))
}

/// `long`: of one text, its characters.
fn staged(from: &str, to: &str, long: u32) -> (Stage, larder::format::manifest::Manifest) {
    let mut stage = Stage::new();
    let text = |sql: &str| {
        let long = format!("replace(hex(zeroblob({})), '0', 'é')", long / 2);
        sql.replace("LONG", &long)
    };
    let source = stage.make(
        "from.db",
        &format!("PRAGMA encoding='{from}'; {SHOP} {}", text(SNAPSHOT)),
    );
    stage.make(
        "to.db",
        &format!("PRAGMA encoding='{to}'; {SHOP} {}", text(LIVE)),
    );
    let snapshot = stage.back_up(&source);
    (stage, snapshot)
}

#[test]
fn texts_are_the_same_texts_in_every_encoding() {
    for (from, to) in pairs() {
        let (mut stage, snapshot) = staged(from, to, 530_000);
        let target = stage.path("to.db");
        let before = content(&target);
        let done = stage.restore_with(&snapshot, &target, |options| {
            options.mode = Mode::Augment;
            options.matching = Match::Natural;
            options.no_safety_snapshot = false;
        });
        assert!(!done.is_stopped(), "{from} to {to}: {done:?}");
        let products = table(&done, "products");
        assert_eq!(
            (products.inserted, products.filled, products.same),
            (1, 1, 1),
            "{from} to {to}"
        );
        assert_eq!(
            (table(&done, "brands").inserted, table(&done, "brands").same),
            (1, 2)
        );
        assert_eq!(
            (table(&done, "log").inserted, table(&done, "log").same),
            (2, 1)
        );
        assert_eq!(
            rows(&target, "log"),
            [r#"log("p")"#, r#"log("ö")"#, r#"log("ö")"#]
        );
        let products = rows(&target, "products");
        assert_eq!(products[1], r#"products(3, "new", "z😀", "y")"#);
        assert_eq!(products[2], r#"products(7, "Most", "Äpfel", "kühl")"#);
        let options = UndoOptions {
            target: target.clone(),
            ..UndoOptions::default()
        };
        let undone = undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap();
        assert!(undone.changed.is_empty(), "{from} to {to}: {undone:?}");
        assert_eq!(content(&target), before, "{from} to {to}");
    }
}

#[test]
fn a_replaced_database_has_the_texts_of_the_snapshot() {
    for (from, to) in pairs() {
        let (mut stage, snapshot) = staged(from, to, 10_000);
        let target = stage.path("to.db");
        let done = stage.restore(&snapshot, &target, Mode::Replace);
        assert!(!done.is_stopped(), "{from} to {to}: {done:?}");
        assert_eq!(
            content(&target),
            content(&stage.path("from.db")),
            "{from} to {to}"
        );
        let again = stage.restore(&snapshot, &target, Mode::Replace);
        let written = |t: &larder::ops::restore::TableReport| t.inserted + t.updated + t.deleted;
        let products = table(&again, "products");
        assert_eq!((written(products), products.same), (0, 3), "{from} to {to}");
    }
}

#[test]
fn records_are_chosen_and_decided_about_by_their_texts() {
    for (from, to) in pairs() {
        let (mut stage, snapshot) = staged(from, to, 5);
        let target = stage.path("to.db");
        let done = stage.restore_with(&snapshot, &target, |options| {
            options.scope = Scope {
                tables: vec!["products".into()],
                filter: Some("name = 'new' OR brand LIKE '%äpfel'".into()),
                ..Scope::default()
            };
            options.matching = Match::Natural;
            options.decisions.others = Some(OnMissing::Create);
        });
        assert!(!done.is_stopped(), "{from} to {to}: {done:?}");
        assert_eq!(
            table(&done, "products").inserted,
            1,
            "{from} to {to}: {done:?}"
        );
        assert_eq!(rows(&target, "brands").len(), 3);
    }
}

/// What is no Unicode has a form in UTF-8, of bytes, but none in UTF-16.
#[test]
fn a_text_that_the_database_cannot_hold_is_a_conflict() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)";
    let source = stage.make(
        "from.db",
        &format!("{schema}; INSERT INTO t VALUES(1, CAST(x'41ff42' AS TEXT)), (2, 'ok')"),
    );
    let target = stage.make("to.db", &format!("PRAGMA encoding='UTF-16le'; {schema}"));
    let snapshot = stage.back_up(&source);
    let stopped = stage.restore(&snapshot, &target, Mode::Add);
    assert!(stopped.is_stopped());
    assert!(
        stopped.conflicts[0].reason.contains("not valid Unicode"),
        "{stopped:?}"
    );
    let done = stage.restore_with(&snapshot, &target, |options| {
        options.on_conflict = OnConflict::Skip;
    });
    assert_eq!(
        (table(&done, "t").inserted, table(&done, "t").skipped),
        (1, 1)
    );
    assert_eq!(rows(&target, "t"), [r#"t(2, "ok")"#]);
}
