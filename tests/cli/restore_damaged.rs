//! A damaged snapshot: refused with the way on, restored with `--allow-damaged`, never with exit code 0.

use std::path::PathBuf;

use serde_json::Value;

use crate::workplace::{Workplace, files};

/// Orders of some leaves, of which one is damaged; customers are whole.
fn damaged() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name);
         INSERT INTO customers VALUES(1, 'Ada'), (2, 'Max');
         CREATE TABLE orders(id INTEGER PRIMARY KEY, note);
         INSERT INTO orders WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
           SELECT i, randomblob(200) FROM n;",
    );
    place.ok(&["backup", "app.db", "--name", "first"]);
    let largest = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    let packs = files(&place.path("backups/packs"), "");
    let pack = packs.into_iter().max_by_key(largest).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    place
}

fn summary(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[test]
fn a_damaged_snapshot_is_refused_with_what_is_affected_and_the_way_on() {
    let place = damaged();
    let run = place.code(4, &["restore", "first", "--to", "new.db"]);
    assert!(!place.path("new.db").exists());
    assert_eq!(run.out, "");
    for part in [
        "error: snapshot first cannot be restored whole: ",
        "of its 4,002 records",
        "orders, records with id ",
        "nothing was written",
        "larder restore first --to new.db --allow-damaged",
        "larder repair",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    // The command works as it stands.
    place.code(
        4,
        &["restore", "first", "--to", "new.db", "--allow-damaged"],
    );
    assert!(place.path("new.db").exists());
}

#[test]
fn what_is_missing_of_a_new_file_is_listed_and_the_exit_code_says_so() {
    let place = damaged();
    let words = ["restore", "first", "--to", "new.db", "--allow-damaged"];
    let run = place.code(4, &words);
    let restored = place.count("new.db", "SELECT count(*) FROM orders");
    assert_eq!(place.count("new.db", "SELECT count(*) FROM customers"), 2);
    assert!(restored > 0 && restored < 4000);
    assert!(
        run.err.contains("warning: table orders: records with id "),
        "{}",
        run.err
    );
    assert!(
        run.out.contains("Restored what is whole of first "),
        "{}",
        run.out
    );
    let lost = 4000 - restored;
    assert!(run.out.contains(" of 4,002 records"), "{}", run.out);
    assert!(
        run.out
            .contains(&format!("MISSING: {lost} records of 1 table")),
        "{}",
        run.out
    );
    // As a validation names them.
    let validated = summary(&place.code(4, &["validate", "first", "--json"]).out);
    let affects = &validated["damage"][0]["affects"][0];
    std::fs::remove_file(place.path("new.db")).unwrap();
    let run = place.code(4, &[&words[..], &["--json"]].concat());
    let told = summary(&run.out);
    assert_eq!(told["lost"].as_array().unwrap().len(), 1);
    let missing = &told["lost"][0];
    assert_eq!(missing["table"], "orders");
    assert_eq!(missing["records"], lost);
    assert_eq!(missing["range"], affects["range"]);
    assert_eq!(missing["records"], affects["records"]);
    let id = |name: &str| missing[name].as_i64().unwrap();
    assert_eq!(id("last_id") - id("first_id") + 1, lost);
    assert_eq!(id("first_record"), id("first_id"));
    let sql = format!(
        "SELECT count(*) FROM orders WHERE id BETWEEN {} AND {}",
        id("first_id"),
        id("last_id")
    );
    assert_eq!(place.count("new.db", &sql), 0);
    assert_eq!(told["missing"], Value::Array(Vec::new()));
    // Quiet is not silent about it.
    std::fs::remove_file(place.path("new.db")).unwrap();
    let quiet = place.code(4, &[&words[..], &["-q"]].concat());
    assert_eq!(quiet.out, "");
    assert!(quiet.err.contains("records with id "), "{}", quiet.err);
    // A plan says it, too.
    let plan = place.code(
        4,
        &[
            "restore",
            "first",
            "--to",
            "plan.db",
            "--allow-damaged",
            "-n",
        ],
    );
    assert!(plan.out.contains("MISSING: "), "{}", plan.out);
    assert!(!place.path("plan.db").exists());
}

#[test]
fn what_is_left_of_a_damaged_snapshot_is_not_put_into_a_database_that_exists() {
    let place = damaged();
    let before = std::fs::read(place.path("app.db")).unwrap();
    for mode in ["add", "augment", "replace"] {
        let words = [
            "restore",
            "first",
            "--to",
            "app.db",
            "--mode",
            mode,
            "--allow-damaged",
        ];
        let run = place.code(2, &words);
        assert!(
            run.err.contains("goes into a new file, and app.db exists"),
            "{}",
            run.err
        );
        assert!(
            run.err.contains("Restore to a new file first"),
            "{}",
            run.err
        );
    }
    // Without the flag the way on leads to a new file.
    place.sql("app.db", "DELETE FROM orders WHERE id > 10");
    let run = place.code(4, &["restore", "first", "--to", "app.db"]);
    assert!(
        run.err.contains("--to rescued.db --allow-damaged"),
        "{}",
        run.err
    );
    assert_eq!(place.count("app.db", "SELECT count(*) FROM orders"), 10);
    assert!(!before.is_empty());
}

/// A whole snapshot is restored as ever: the flag alone costs nothing.
#[test]
fn of_a_whole_snapshot_nothing_is_missing() {
    let place = Workplace::backed_up();
    let out = place.ok(&["restore", "first", "--to", "new.db", "--allow-damaged"]);
    assert!(
        out.contains("Restored first ") && !out.contains("MISSING"),
        "{out}"
    );
}

/// Others that meet damage name the records, and say so by their exit code.
#[test]
fn reading_damaged_records_exits_with_4() {
    let place = damaged();
    for words in [
        &["cat", "first:orders"][..],
        &["export", "first", "--output", "export"],
        &["diff", "first", "other.db"],
    ] {
        place.sql(
            "other.db",
            "CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, note)",
        );
        let run = place.code(4, words);
        assert!(run.err.contains("error: "), "{words:?}: {}", run.err);
    }
}
