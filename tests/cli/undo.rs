//! What `larder undo` says, and the codes it ends with.

use serde_json::Value;

use crate::workplace::Workplace;

/// A database into which a snapshot was restored: three rows came back.
fn restored(words: &[&str]) -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE); INSERT INTO t VALUES(1, 'x'), (2, 'y'), (3, 'z')",
    );
    place.ok(&["init"]);
    place.ok(&["backup", "app.db"]);
    place.sql("app.db", "DELETE FROM t");
    place.ok(&[&["restore", "latest", "--to", "app.db"], words].concat());
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 3);
    place
}

#[test]
fn where_all_rows_were_changed_since_it_is_said_that_they_stay() {
    let place = restored(&[]);
    place.sql("app.db", "UPDATE t SET a = a || ' since'");
    let run = place.code(5, &["undo", "--to", "app.db"]);
    assert!(
        run.out.contains("Nothing was written: rows were changed"),
        "{}",
        run.out
    );
    let out = place.ok(&["undo", "--to", "app.db", "--on-conflict", "skip"]);
    assert!(!out.contains("Nothing to do"), "{out}");
    assert!(
        out.contains("Nothing was written: what is left of the restore stays"),
        "{out}"
    );
    assert!(out.contains("Not undone: 3 rows, see above."), "{out}");
    // Some can be undone, and it is said how many cannot.
    place.sql("app.db", "UPDATE t SET a = 'x' WHERE id = 1");
    let out = place.ok(&["undo", "--to", "app.db", "--on-conflict", "skip"]);
    assert!(
        out.contains(": 1 row deleted, 0 inserted again, 0 put back."),
        "{out}"
    );
    assert!(out.contains("Not undone: 2 rows, see above."), "{out}");
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 2);
}

#[test]
fn where_a_table_is_gone_that_is_said() {
    let place = restored(&[]);
    place.sql("app.db", "DROP TABLE t");
    let run = place.code(5, &["undo", "--to", "app.db"]);
    assert!(
        run.out.contains("changed: t the table: the table is gone"),
        "{}",
        run.out
    );
    let out = place.ok(&["undo", "--to", "app.db", "--on-conflict", "skip"]);
    assert!(out.contains("Not undone: 1 table, see above."), "{out}");
}

#[test]
fn a_restore_that_kept_no_snapshot_cannot_be_undone_and_the_reason_is_said() {
    let place = restored(&["--no-safety-snapshot"]);
    let run = place.code(1, &["undo", "--to", "app.db"]);
    assert!(run.err.contains("nothing to undo"), "{}", run.err);
    assert!(run.err.contains("--no-safety-snapshot"), "{}", run.err);
}

/// An earlier restore was undone in the place of the one whose snapshot was forgotten.
#[test]
fn no_other_restore_is_undone_for_one_that_is_forgotten() {
    let place = restored(&[]);
    place.sql("app.db", "DELETE FROM t WHERE id = 2");
    place.ok(&["restore", "latest", "--to", "app.db"]);
    let ids = |words: &[&str]| -> Vec<String> {
        let list: Value = serde_json::from_str(&place.ok(words)).unwrap();
        let snapshots = list["snapshots"].as_array().unwrap().clone();
        let after = snapshots.iter().filter(|s| s["tags"][0] == "after-restore");
        after
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let after = ids(&["list", "--json"]);
    assert_eq!(after.len(), 2);
    let run = place.code(0, &["forget", &after[0]]);
    assert!(
        run.err
            .contains("cannot be undone as long as it is forgotten"),
        "{}",
        run.err
    );
    let run = place.code(1, &["undo", "--to", "app.db"]);
    let said = format!(
        "the last restore into app.db is forgotten: snapshot {}",
        after[0]
    );
    assert!(run.err.contains(&said), "{}", run.err);
    let back = format!("forget --undo {}", after[0]);
    assert!(run.err.contains(&back), "{}", run.err);
    assert!(run.err.contains("undo --to app.db SNAP"), "{}", run.err);
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 3);
    // An earlier one is undone if it is named.
    place.ok(&["undo", &after[1], "--to", "app.db", "-n"]);
    place.ok(&["forget", "--undo", &after[0]]);
    place.ok(&["undo", "--to", "app.db"]);
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 2);
    // The restore stays undone, though the snapshot of its undo is forgotten.
    let undone = &ids(&["list", "--json"])[0];
    place.ok(&["forget", undone]);
    place.sql("app.db", "INSERT INTO t VALUES(2, 'y')");
    place.ok(&["undo", "--to", "app.db"]);
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 0);
}

#[test]
fn a_restore_whose_snapshot_is_forgotten_is_refused_by_the_one_before_it_too() {
    let place = restored(&[]);
    let list: Value = serde_json::from_str(&place.ok(&["list", "--json"])).unwrap();
    let id = |tag: &str| {
        let mut snapshots = list["snapshots"].as_array().unwrap().iter();
        let found = snapshots.find(|s| s["tags"][0] == tag).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let (before, after) = (id("before-restore"), id("after-restore"));
    place.ok(&["forget", &after]);
    let run = place.code(1, &["undo", &before, "--to", "app.db"]);
    assert!(
        run.err.contains(&format!("{after} is forgotten")),
        "{}",
        run.err
    );
}

#[test]
fn what_is_undone_already_is_no_failure() {
    let place = restored(&[]);
    place.sql("app.db", "DELETE FROM t");
    let out = place.ok(&["undo", "--to", "app.db"]);
    assert!(
        out.contains("Nothing to do: everything is as before the restore."),
        "{out}"
    );
}
