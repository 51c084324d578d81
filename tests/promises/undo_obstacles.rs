//! What came since a restore leaves rows no room: an undo knows it before it writes, says which, and can
//! leave them out.

use std::path::PathBuf;

use larder::ops::restore::Mode;
use larder::ops::undo::UndoOutcome;

use super::stage::{Stage, content, number, rows};
use super::undo::undo;

/// Makes two databases and restores the first into the second.
fn restored(stage: &mut Stage, from: &str, to: &str, mode: Mode) -> PathBuf {
    let from = stage.make("from.db", from);
    let to = stage.make("to.db", to);
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, mode);
    assert!(!done.is_stopped(), "{:?}", done.conflicts);
    to
}

fn told(outcome: &UndoOutcome) -> Vec<String> {
    let changed = outcome.changed.iter();
    let told = changed.map(|row| format!("{} {}: {}", row.table, row.row, row.reason));
    told.collect()
}

/// Plans, stops, then leaves out what was named; the plan says the same each time.
fn stops_then_skips(stage: &mut Stage, to: &std::path::Path, wanted: &[&str]) -> UndoOutcome {
    let now = content(to);
    for dry_run in [true, false] {
        let stopped = undo(stage, to, |options| options.dry_run = dry_run);
        assert_eq!(told(&stopped), wanted);
        assert!(stopped.is_stopped() && stopped.safety_snapshot.is_none());
        assert_eq!(content(to), now);
    }
    let planned = undo(stage, to, |options| {
        (options.dry_run, options.skip_conflicts) = (true, true);
    });
    let undone = undo(stage, to, |options| options.skip_conflicts = true);
    assert!(!undone.is_stopped(), "{:?}", undone.changed);
    assert_eq!(undone.tables, planned.tables);
    assert_eq!(told(&undone), wanted);
    assert_eq!(undone.staying(), wanted.len() as u64);
    undone
}

#[test]
fn a_row_whose_unique_values_another_has_now_stays_away() {
    let plain = "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, a);";
    let other = "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT, a);
        CREATE UNIQUE INDEX by_mail ON t(lower(mail)) WHERE mail <> 'none';";
    for (schema, reason) in [
        (plain, "another row has its mail now"),
        (other, "UNIQUE constraint failed: index 'by_mail'"),
    ] {
        let mut stage = Stage::new();
        let to = restored(
            &mut stage,
            &format!("{schema} INSERT INTO t VALUES(1, 'new@x', 'x')"),
            &format!(
                "{schema} INSERT INTO t VALUES(1, 'a@x', 'y'), (2, 'b@x', 'z'), (3, 'c@x', 'w')"
            ),
            Mode::Replace,
        );
        assert_eq!(number(&to, "SELECT count(*) FROM t"), 1);
        stage.make("to.db", "INSERT INTO t VALUES(50, 'b@x', 'since')");
        let wanted = format!("t id 2: {reason}");
        let undone = stops_then_skips(&mut stage, &to, &[&wanted]);
        assert_eq!(undone.changed[0].now[0], "id 50");
        assert_eq!(
            rows(&to, "t"),
            [
                r#"t(1, "a@x", "y")"#,
                r#"t(3, "c@x", "w")"#,
                r#"t(50, "b@x", "since")"#
            ]
        );
    }
}

const FAMILY: &str = "CREATE TABLE p(id INTEGER PRIMARY KEY, a);
    CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p);
    CREATE TABLE g(k TEXT PRIMARY KEY, c REFERENCES c) WITHOUT ROWID;";

#[test]
fn what_rows_that_came_since_refer_to_stays_and_so_do_its_parents() {
    let mut stage = Stage::new();
    let to = restored(
        &mut stage,
        &format!(
            "{FAMILY} INSERT INTO p VALUES(1, 'x'), (2, 'y'), (3, 'z');
            INSERT INTO c VALUES(10, 1), (20, 2), (30, 3); INSERT INTO g VALUES('old', 10)"
        ),
        &format!("{FAMILY} INSERT INTO p VALUES(1, 'x')"),
        Mode::Add,
    );
    stage.make("to.db", "INSERT INTO g VALUES('since', 20)");
    let wanted = [
        "c id 20: row \"since\" of g refers to it",
        "p id 2: row 20 of c refers to it",
    ];
    stops_then_skips(&mut stage, &to, &wanted);
    assert_eq!(rows(&to, "p"), [r#"p(1, "x")"#, r#"p(2, "y")"#]);
    assert_eq!(rows(&to, "c"), ["c(20, 2)"]);
    assert_eq!(rows(&to, "g"), [r#"g("since", 20)"#]);
}

#[test]
fn a_row_whose_parent_is_gone_does_not_come_back() {
    let mut stage = Stage::new();
    let to = restored(
        &mut stage,
        &format!("{FAMILY} INSERT INTO p VALUES(1, 'x'), (2, 'y'); INSERT INTO c VALUES(10, 2)"),
        &format!(
            "{FAMILY} INSERT INTO p VALUES(1, 'x'), (2, 'y');
            INSERT INTO c VALUES(10, 1), (20, 1), (30, 2), (40, 77)"
        ),
        Mode::Replace,
    );
    assert_eq!(rows(&to, "c"), ["c(10, 2)"]);
    stage.make("to.db", "DELETE FROM p WHERE id = 1");
    let wanted = [
        "c id 10: the row of p that it refers to is gone",
        "c id 20: the row of p that it refers to is gone",
    ];
    stops_then_skips(&mut stage, &to, &wanted);
    // The last one had no parent before the restore.
    assert_eq!(rows(&to, "c"), ["c(10, 2)", "c(30, 2)", "c(40, 77)"]);
}

/// As many rows have no parent as before the restore, and yet they are others.
#[test]
fn an_orphan_that_another_one_replaces_is_seen() {
    let mut stage = Stage::new();
    let to = restored(
        &mut stage,
        &format!("{FAMILY} INSERT INTO p VALUES(1, 'x'), (2, 'y')"),
        &format!("{FAMILY} INSERT INTO c VALUES(10, 1), (11, 2)"),
        Mode::Add,
    );
    // Orphan 10 is gone, and 12 would be in its place; 11 had no parent and will have none.
    stage.make(
        "to.db",
        "DELETE FROM c WHERE id = 10; INSERT INTO c VALUES(12, 1)",
    );
    stops_then_skips(&mut stage, &to, &["p id 1: row 12 of c refers to it"]);
    assert_eq!(rows(&to, "p"), [r#"p(1, "x")"#]);
    assert_eq!(rows(&to, "c"), ["c(11, 2)", "c(12, 1)"]);
}

#[test]
fn where_nothing_can_be_undone_that_is_said_and_nothing_is_written() {
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a);";
    for lose in [
        "UPDATE t SET a = 'since'",
        "ALTER TABLE t ADD COLUMN b",
        "DROP TABLE t",
    ] {
        let mut stage = Stage::new();
        let to = restored(
            &mut stage,
            &format!("{schema} INSERT INTO t VALUES(1, 'x')"),
            schema,
            Mode::Add,
        );
        stage.make("to.db", lose);
        let now = content(&to);
        let stopped = undo(&mut stage, &to, |_| {});
        assert!(stopped.is_stopped() && !stopped.is_empty(), "{lose}");
        let skipped = undo(&mut stage, &to, |options| options.skip_conflicts = true);
        assert!(!skipped.is_stopped() && !skipped.is_empty(), "{lose}");
        assert!(skipped.is_idle());
        assert_eq!(skipped.staying(), 1);
        assert!(skipped.safety_snapshot.is_none() && skipped.after_snapshot.is_none());
        assert_eq!(content(&to), now);
    }
}

#[test]
fn what_came_since_and_uses_a_table_that_the_restore_made_keeps_it() {
    for (more, stays) in [
        ("CREATE VIEW v AS SELECT * FROM \"made\"", true),
        ("CREATE INDEX i ON made(a)", true),
        (
            "CREATE TRIGGER r AFTER INSERT ON made BEGIN SELECT 1; END",
            true,
        ),
        (
            "CREATE TRIGGER r AFTER INSERT ON own BEGIN DELETE FROM made; END",
            true,
        ),
        ("CREATE TABLE later(a REFERENCES made)", true),
        ("CREATE VIEW v AS SELECT * FROM of_made", true),
        ("CREATE VIEW v AS SELECT * FROM own", false),
    ] {
        let mut stage = Stage::new();
        let to = restored(
            &mut stage,
            "CREATE TABLE made(id INTEGER PRIMARY KEY, a); CREATE INDEX made_a ON made(a);
             CREATE VIEW of_made AS SELECT a FROM made; INSERT INTO made VALUES(1, 'x')",
            "CREATE TABLE own(a); INSERT INTO own VALUES(1)",
            Mode::Add,
        );
        stage.make("to.db", more);
        let undone = undo(&mut stage, &to, |_| {});
        assert!(!undone.is_stopped(), "{more}: {:?}", undone.changed);
        let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'made'";
        assert_eq!(number(&to, there), i64::from(stays), "{more}");
        let of_user = "SELECT count(*) FROM sqlite_schema WHERE name IN ('v', 'i', 'r', 'later')";
        assert_eq!(number(&to, of_user), 1, "{more}");
        assert_eq!(undone.kept.contains(&"made".to_owned()), stays, "{more}");
        let mut findings = undone.findings.iter();
        let said = findings.any(|f| f.subject == "made" && f.text.contains("uses it and stays"));
        assert_eq!(said, stays, "{more}: {:?}", undone.findings);
        if stays {
            assert_eq!(rows(&to, "made"), Vec::<String>::new());
        }
        if more.starts_with("CREATE VIEW") {
            number(&to, "SELECT count(*) FROM v");
        }
    }
}

/// Rows of a table without a key are known by their rowid, which VACUUM gives anew.
#[test]
fn rows_without_a_key_that_vacuum_numbered_anew_are_never_overwritten() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE log(text);";
    let to = restored(
        &mut stage,
        &format!("{schema} INSERT INTO log(rowid, text) VALUES(11, 'a'), (12, 'b'), (13, 'c')"),
        &format!("{schema} INSERT INTO log(rowid, text) VALUES(1, 'gone'), (2, 'own'), (20, 'a')"),
        Mode::Add,
    );
    // One of those that the restore made is deleted, the others move: undoing that is nothing.
    stage.make(
        "to.db",
        "DELETE FROM log WHERE text IN ('gone', 'b'); VACUUM",
    );
    let now = content(&to);
    let stopped = undo(&mut stage, &to, |_| {});
    assert!(stopped.is_stopped(), "{:?}", stopped.tables);
    let named =
        "log row 13: it has another rowid now, as VACUUM gives it: it cannot be told from others";
    assert_eq!(told(&stopped), [named]);
    assert_eq!(content(&to), now);
    let skipped = undo(&mut stage, &to, |options| options.skip_conflicts = true);
    assert!(!skipped.is_stopped());
    assert_eq!(content(&to), now);
}
