//! `larder diff`: what differs, for people and for programs.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::workplace::{Run, Workplace};

const SHOP: &str = "
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id, status TEXT, total REAL, note);
    CREATE TABLE rates(day TEXT, currency TEXT, rate REAL, PRIMARY KEY(day, currency)) WITHOUT ROWID;
    CREATE TABLE log(line);
    CREATE TABLE old(a);
    CREATE TABLE same(a);
    CREATE INDEX by_customer ON orders(customer_id);
    INSERT INTO orders VALUES(3, 1, 'paid', 9.5, NULL), (5, 2, 'open', 1, NULL), (9, 3, NULL, 1, NULL);
    INSERT INTO rates VALUES('2026-11-24', 'EUR', 1.0), ('2026-11-24', 'NOK', 11.5);
    INSERT INTO log VALUES('started'), ('started'), ('a' || char(10) || 'b');
    INSERT INTO old VALUES(x'00ff'), (zeroblob(30000)), (-0.0);";

const LATER: &str = "
    UPDATE orders SET status = 'paid', note = 'x\"y' WHERE id = 5;
    DELETE FROM orders WHERE id = 9;
    INSERT INTO orders VALUES(77, 12, 'open', 9.5, NULL), (78, 12, NULL, 9e999, CAST(x'61ff' AS TEXT));
    UPDATE rates SET rate = 11.75 WHERE currency = 'NOK';
    DELETE FROM log WHERE rowid = 1;
    INSERT INTO log VALUES(NULL);
    DROP TABLE old;
    CREATE TABLE made(a); INSERT INTO made VALUES(1.0);
    ALTER TABLE same ADD COLUMN b;
    DROP INDEX by_customer; CREATE INDEX by_customer ON orders(customer_id, status);
    CREATE VIEW open_orders AS SELECT * FROM orders WHERE status = 'open';
    PRAGMA user_version=2;";

/// A snapshot named `before`, and `app.db`, which was changed since.
fn changed() -> Workplace {
    let place = Workplace::empty();
    place.sql("app.db", SHOP);
    place.ok(&["backup", "app.db", "--name", "before"]);
    place.sql("app.db", LATER);
    place
}

#[test]
fn a_difference_has_a_line_per_table_and_per_row() {
    let place = changed();
    insta::assert_snapshot!(place.ok(&["diff", "before", "app.db"]));
}

#[test]
fn a_summary_has_no_rows() {
    let place = changed();
    insta::assert_snapshot!(place.ok(&["diff", "before", "app.db", "--summary"]));
}

#[test]
fn what_is_equal_is_told_in_a_line() {
    let place = Workplace::backed_up();
    place.ok(&["backup", "app.db"]);
    let told = "No differences; 16 tables are the same\n";
    for words in [
        ["diff", "first", "latest"],
        ["diff", "latest~1", "app.db"],
        ["diff", "./app.db", "./backups/first"],
        ["diff", "app.db", "app.db"],
    ] {
        assert_eq!(place.ok(&words), told, "{words:?}");
    }
    place.code(0, &["diff", "first", "app.db", "--exit-code"]);
}

fn lines(run: &Run) -> Vec<Value> {
    let lines = run.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every value comes back exactly: the forms are those of exports.
#[test]
fn json_has_a_line_per_row_and_a_summary() {
    let place = changed();
    let lines = lines(&place.code(0, &["diff", "before", "app.db", "--json"]));
    let rows: Vec<&Value> = lines
        .iter()
        .filter(|l| l["message_type"] == "row")
        .collect();
    let of = |table: &str, change: &str| {
        let wanted = rows
            .iter()
            .filter(|r| r["table"] == table && r["change"] == change);
        wanted.map(|row| (*row).clone()).collect::<Vec<Value>>()
    };
    assert_eq!(
        of("orders", "changed"),
        [json!({
            "message_type": "row", "table": "orders", "change": "changed", "key": {"id": 5},
            "before": {"status": "open", "note": null}, "after": {"status": "paid", "note": "x\"y"},
        })]
    );
    let added = of("orders", "added");
    assert_eq!(added.len(), 2);
    assert_eq!(added[1]["before"], Value::Null);
    assert_eq!(
        added[1]["after"],
        json!({
            "id": 78, "customer_id": 12, "status": null, "total": {"$real": "Infinity"},
            "note": {"$text": "Yf8="},
        })
    );
    assert_eq!(
        of("rates", "changed")[0]["key"],
        json!({"day": "2026-11-24", "currency": "NOK"})
    );
    let removed = of("old", "removed");
    assert_eq!(removed[0]["before"]["a"], json!({"$blob": "AP8="}));
    assert_eq!(removed[1]["before"]["a"]["$large"], "blob");
    assert_eq!(removed[1]["before"]["a"]["bytes"], 30_000);
    assert_eq!(removed[2]["before"]["a"].to_string(), "-0.0");
    assert_eq!(removed[0]["key"], Value::Null);
    let summary = lines.last().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["differs"], true);
    assert_eq!(summary["before"]["name"], "before");
    assert_eq!(summary["after"]["id"], Value::Null);
    let tables = summary["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 6);
    let orders = tables.iter().find(|t| t["table"] == "orders").unwrap();
    assert_eq!(
        *orders,
        json!({
            "table": "orders", "only_in": null, "added": 2, "changed": 1, "removed": 1,
            "matched": "key", "columns_added": [], "columns_dropped": [],
        })
    );
    let summary_alone = place.ok(&["diff", "before", "app.db", "--json", "--summary"]);
    let mut alone: Value = serde_json::from_str(&summary_alone).unwrap();
    alone["after"]["time"] = summary["after"]["time"].clone();
    assert_eq!(alone, *summary);
}

#[test]
fn a_row_can_be_named_by_its_key() {
    let place = changed();
    let run = |words: &[&str]| {
        let mut all = vec!["diff", "before", "app.db"];
        all.extend(words);
        place.ok(&all)
    };
    assert_eq!(
        run(&["--key-value", "orders=9"]),
        "orders: 1 removed\n  - id 9: customer_id 3, total 1.0\n1 table differs, none is the same\n"
    );
    let rates = run(&["--key-value", "rates=2026-11-24,NOK"]);
    assert!(
        rates.contains("  ~ day \"2026-11-24\", currency \"NOK\": rate 11.5 -> 11.75\n"),
        "{rates}"
    );
    let same = run(&["--table", "Rates", "--key-value", "rates=2026-11-24,EUR"]);
    assert_eq!(same, "No differences; 1 table is the same\n");
    let refused = place.code(2, &["diff", "before", "app.db", "--key-value", "rates=NOK"]);
    assert!(
        refused.err.contains("its key is (day, currency)"),
        "{}",
        refused.err
    );
    place.code(2, &["diff", "before", "app.db", "--key-value", "rates"]);
}

#[test]
fn exit_code_1_tells_a_difference_only_where_it_is_asked_for() {
    let place = changed();
    place.code(0, &["diff", "before", "app.db"]);
    place.code(1, &["diff", "before", "app.db", "--exit-code"]);
    place.code(
        1,
        &[
            "diff",
            "before",
            "app.db",
            "--exit-code",
            "--summary",
            "--json",
        ],
    );
    place.code(
        1,
        &["diff", "before", "app.db", "--exit-code", "--table", "log"],
    );
}

#[test]
fn a_word_that_names_nothing_is_told_with_what_is_near() {
    let place = changed();
    for (words, told) in [
        (
            ["diff", "befor", "app.db"],
            "\"befor\" is neither a snapshot in ./backups nor a file; did you mean \"before\"?",
        ),
        (["diff", "before", "ap.db"], "did you mean \"app.db\"?"),
        (["diff", "before", "./ap.db"], "did you mean \"./app.db\"?"),
        (
            ["diff", "before", "./nothing"],
            "\"./nothing\" is neither a snapshot in ./backups nor a file\n",
        ),
        (["diff", "before", ""], "an empty word names no snapshot"),
    ] {
        let run = place.run(&words);
        assert!(run.code != 0 && run.out.is_empty(), "{words:?} {}", run.out);
        assert!(run.err.contains(told), "{words:?} {}", run.err);
    }
    let run = place.code(1, &["diff", "before", "app.db", "--table", "order"]);
    assert!(
        run.err
            .contains("no table \"order\" in before or app.db; did you mean \"orders\"?"),
        "{}",
        run.err
    );
    std::fs::write(
        place.path("words.txt"),
        "no database at all, just some words in a file",
    )
    .unwrap();
    let run = place.code(1, &["diff", "before", "words.txt"]);
    assert!(run.err.contains("is not a SQLite database"), "{}", run.err);
}

/// A bare word is the snapshot, `./` the file; without a store there are files only.
/// A store of several databases: the newest snapshot of all may be another one's.
#[test]
fn latest_is_that_of_the_database_it_is_compared_with() {
    let place = Workplace::empty();
    for name in ["a.db", "b.db"] {
        place.sql(
            name,
            &format!(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1, '{name}')"
            ),
        );
        place.ok(&["backup", name]);
    }
    place.sql("a.db", "UPDATE t SET x = 'new'");
    let out = place.ok(&["diff", "latest", "a.db", "--json"]);
    assert!(out.contains("a.db") && out.contains("new"), "{out}");
    assert!(!out.contains("b.db"), "{out}");
    let err = place.code(2, &["diff", "latest~1", "latest"]).err;
    assert!(err.contains("snapshots of 2 sources"), "{err}");
    let path = place.path("b.db");
    let source = path.to_str().unwrap();
    let err = place
        .code(1, &["diff", "latest~1", "latest", "--source-name", source])
        .err;
    assert!(err.contains("latest~1"), "{err}");
}

#[test]
fn a_word_may_be_both_a_snapshot_and_a_file() {
    let place = changed();
    place.sql("before", SHOP);
    place.sql("before", "DELETE FROM log");
    assert!(
        !place
            .ok(&["diff", "before", "app.db", "--table", "log"])
            .contains("3 removed")
    );
    let told = place.ok(&["diff", "before", "./before", "--table", "log"]);
    assert!(told.starts_with("log: 3 removed (no primary key"), "{told}");
    let without = Workplace::empty();
    without.sql("a.db", SHOP);
    without.sql("b.db", SHOP);
    assert_eq!(
        without.ok(&["diff", "a.db", "b.db"]),
        "No differences; 5 tables are the same\n"
    );
    assert!(!without.path("backups").exists());
}

/// More rows than a pipe holds: the reader takes some and goes.
#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let place = Workplace::empty();
    place.sql("a.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    place.sql(
        "b.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO t SELECT i, 'some words for a row' FROM n",
    );
    let mut child = place
        .std_command()
        .args(["diff", "a.db", "b.db"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut first = [0; 16];
    out.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"t: 40,000 added\n");
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

/// A database that stays locked is given up after the deadline, before anything is shown.
#[test]
fn a_database_that_is_busy_is_exit_code_6() {
    let place = changed();
    let app = rusqlite::Connection::open(place.path("app.db")).unwrap();
    app.execute_batch("BEGIN EXCLUSIVE; DELETE FROM log")
        .unwrap();
    let run = place.code(6, &["diff", "before", "app.db", "--deadline", "0"]);
    assert!(
        run.out.is_empty() && run.err.contains("--deadline"),
        "{}",
        run.err
    );
}

/// What cannot be read is said, and that it counts as missing.
#[test]
fn a_damaged_database_is_compared_as_far_as_it_reads() {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO t SELECT i, hex(zeroblob(50)) FROM n; CREATE TABLE u(a)",
    );
    place.ok(&["backup", "app.db", "--name", "whole"]);
    let mut bytes = std::fs::read(place.path("app.db")).unwrap();
    bytes[10 * 4096..11 * 4096].fill(0xff);
    std::fs::write(place.path("app.db"), bytes).unwrap();
    let run = place.code(3, &["diff", "whole", "app.db", "--summary", "--exit-code"]);
    assert!(
        run.err
            .contains("warning: t: rows at one place cannot be read"),
        "{}",
        run.err
    );
    assert!(run.err.contains("they count as missing"), "{}", run.err);
    assert!(
        run.out.starts_with("t: ") && run.out.contains(" removed\n1 table differs, 1 is the same"),
        "{}",
        run.out
    );
}
