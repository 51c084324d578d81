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

/// A value over 16 KiB in its key leaves a table to SQL: that takes longer, so it is said.
#[test]
fn a_new_file_is_the_same_whoever_writes_it_and_whatever_memory_there_is() {
    let place = Workplace::backed_up();
    place.ok(&["restore", "latest", "--to", "trees.db"]);
    place.ok(&["restore", "latest", "--to", "small.db", "--memory", "1M"]);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("trees.db") == read("small.db"));
    let run = place.code(
        0,
        &["restore", "latest", "--to", "sql.db", "--builder", "sql"],
    );
    assert!(!run.err.contains("made by SQL"), "{}", run.err);
    let sum = "SELECT sum(id * length(name) + unicode(uuid)) FROM products";
    assert_eq!(place.count("trees.db", sum), place.count("sql.db", sum));

    place.sql(
        "large.db",
        "CREATE TABLE w(k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO w VALUES(hex(zeroblob(20000)))",
    );
    place.ok(&["backup", "large.db", "--name", "large"]);
    let run = place.code(0, &["restore", "large", "--to", "by-sql.db"]);
    assert!(
        run.err.contains("made by SQL, which takes longer"),
        "{}",
        run.err
    );
    assert_eq!(place.count("by-sql.db", "SELECT length(k) FROM w"), 40_000);
}

#[test]
fn an_amount_of_memory_is_understood_or_refused_with_an_example() {
    let place = Workplace::backed_up();
    for (number, memory) in ["1M", "64MiB", "1g", "2000000"].into_iter().enumerate() {
        let to = format!("restored {number}.db");
        place.ok(&["restore", "latest", "--to", &to, "--memory", memory]);
    }
    for memory in ["", "0", "5", "1K", "M", "-1M", "1T", "1.5G", "99999999999G"] {
        let memory = format!("--memory={memory}");
        let run = place.code(2, &["restore", "latest", "--to", "no.db", &memory]);
        assert!(run.err.contains("as 64M or 1G"), "{memory}: {}", run.err);
    }
    assert!(!place.path("no.db").exists());
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
