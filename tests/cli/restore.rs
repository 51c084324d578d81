//! `larder restore`.

use serde_json::Value;

use crate::workplace::Workplace;

const SUPPLIERS: &str = "SELECT count(*) FROM suppliers";

#[test]
fn a_new_file_is_made() {
    let place = Workplace::backed_up();
    let out = place.ok(&["restore", "latest", "--to", "restored.db"]);
    assert!(out.contains("Restored first "), "{out}");
    assert!(out.contains("16 entity files, 3,738 records."), "{out}");
    assert!(out.contains("Checked: "), "{out}");
    assert_eq!(place.count("restored.db", SUPPLIERS), 8);
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Workplace::backed_up();
    let out = place.ok(&["restore", "first", "--to", "restored.db", "-n"]);
    assert!(out.ends_with("Nothing was written (dry run).\n"), "{out}");
    assert!(!place.path("restored.db").exists());
}

#[test]
fn without_a_target_the_recorded_source_is_suggested_and_never_written() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
    let run = place.code(2, &["restore", "latest"]);
    assert!(run.err.contains("--to restored.db"), "{}", run.err);
    assert!(run.err.contains("LARDER_DATABASE="), "{}", run.err);
    assert!(run.err.contains("app.db"), "{}", run.err);
    assert_eq!(place.count("app.db", SUPPLIERS), 7);
}

#[test]
fn add_brings_back_what_is_missing_and_leaves_the_rest() {
    let place = Workplace::backed_up();
    place.sql(
        "app.db",
        "DELETE FROM suppliers WHERE rowid = 1;
         UPDATE suppliers SET name = 'mine' WHERE rowid = 2",
    );
    let out = place.ok(&["restore", "latest", "--to", "app.db"]);
    assert!(out.contains("1 record inserted"), "{out}");
    assert_eq!(place.count("app.db", SUPPLIERS), 8);
    let mine = "SELECT count(*) FROM suppliers WHERE name = 'mine'";
    assert_eq!(place.count("app.db", mine), 1);
}

/// The printed command, carried out, brings the replaced rows back.
#[test]
fn replace_takes_a_snapshot_first_and_says_how_to_go_back() {
    let mut place = Workplace::backed_up();
    place.sql(
        "app.db",
        "UPDATE suppliers SET name = 'mine' WHERE rowid = 2",
    );
    let mine = "SELECT count(*) FROM suppliers WHERE name = 'mine'";
    place.set("LARDER_DATABASE", "app.db");
    let out = place.ok(&["restore", "./backups/first", "--mode", "replace"]);
    assert_eq!(place.count("app.db", mine), 0);
    // As long as no snapshot of the result is kept, the way back is a restore.
    let is_there = |words: &&str| out.contains(*words);
    let ways = ["Undo with: ", "Go back with: "];
    let way = ways.into_iter().find(is_there).unwrap();
    let back = out.split(way).nth(1).unwrap();
    let words: Vec<&str> = back
        .split("   ")
        .next()
        .unwrap()
        .split(' ')
        .skip(1)
        .collect();
    place.ok(&words);
    assert_eq!(place.count("app.db", mine), 1);
}

#[test]
fn a_restore_that_stops_on_conflicts_writes_nothing_and_exits_with_5() {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT UNIQUE, x);
         INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
    );
    place.ok(&["backup", "app.db"]);
    // Its id is that of one row, its code that of another.
    place.sql(
        "app.db",
        "UPDATE t SET code = 'c' WHERE id = 1; UPDATE t SET code = 'a' WHERE id = 2",
    );
    let run = place.code(5, &["restore", "latest", "--to", "app.db"]);
    assert!(run.out.contains("conflict: t "), "{}", run.out);
    assert!(run.out.contains("Nothing was written: "), "{}", run.out);
    let run = place.code(5, &["restore", "latest", "--to", "app.db", "--json"]);
    let last: Value = serde_json::from_str(run.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["written"], false);
}

#[test]
fn a_mistyped_snapshot_is_named_with_what_was_meant() {
    let place = Workplace::backed_up();
    let run = place.code(1, &["restore", "lastest", "--to", "x.db"]);
    assert!(run.err.contains("did you mean \"latest\"?"), "{}", run.err);
    assert!(!place.path("x.db").exists());
}

/// However its path is written, and whether the database is still there or not.
#[test]
fn in_a_store_of_several_sources_latest_is_the_targets_own() {
    let place = Workplace::backed_up();
    place.sql("other.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
    place.ok(&["backup", "other.db", "--source-name", "other"]);
    for target in ["app.db", "./app.db"] {
        place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
        place.ok(&["restore", "latest", "--to", target]);
        assert_eq!(place.count("app.db", SUPPLIERS), 8);
        std::fs::remove_file(place.path("app.db")).unwrap();
        place.ok(&["restore", "latest", "--to", target]);
        assert_eq!(place.count("app.db", SUPPLIERS), 8);
    }
    place.sql("other.db", "DELETE FROM t");
    place.ok(&["restore", "latest", "--to", "other.db"]);
    assert_eq!(place.count("other.db", "SELECT count(*) FROM t"), 1);
    let run = place.code(2, &["restore", "latest", "--to", "new.db"]);
    assert!(run.err.contains("2 sources"), "{}", run.err);
    place.ok(&[
        "restore",
        "latest",
        "--to",
        "new.db",
        "--source-name",
        "other",
    ]);
    assert_eq!(place.count("new.db", "SELECT count(*) FROM t"), 1);
}
