//! Restores into tables with odd keys, clauses, triggers and names: each row is the one that is meant.

use larder::ops::restore::{
    self, DeclaredKey, KeyValue, Match, Mode, NoDecider, OnConflict, OnMissing, RestoreOptions,
    RestoreOutcome, Scope,
};

use larder::progress::NoProgress;

use super::stage::{Stage, number, rows, table};

/// Backs up what the first text makes, changes it, and restores it.
fn restored(
    made: &str,
    changed: &str,
    change: impl FnOnce(&mut RestoreOptions),
) -> (Stage, RestoreOutcome) {
    let mut stage = Stage::new();
    let path = stage.make("a.db", made);
    let snapshot = stage.back_up(&path);
    stage.make("a.db", changed);
    let done = stage.restore_with(&snapshot, &path, change);
    (stage, done)
}

fn all(stage: &Stage, table: &str) -> Vec<String> {
    rows(&stage.path("a.db"), table)
}

fn of_table(name: &str) -> Scope {
    Scope {
        tables: vec![name.to_owned()],
        ..Scope::default()
    }
}

/// The key tells 'ABC' from 'abc', the column does not.
#[test]
fn rows_are_told_apart_by_the_key_s_collation() {
    let made = "CREATE TABLE t(k TEXT COLLATE NOCASE, v TEXT, w TEXT, PRIMARY KEY(k COLLATE BINARY)) WITHOUT ROWID;
        INSERT INTO t VALUES('ABC', 'restored', 'r'), ('abc', 'mine', 'KEEP')";
    let key = KeyValue {
        table: "t".into(),
        value: "ABC".into(),
    };
    let change = "UPDATE t SET v = NULL WHERE k = 'ABC' COLLATE BINARY; UPDATE t SET v = 'later' WHERE k = 'abc' COLLATE BINARY";
    let (stage, done) = restored(made, change, |options| options.mode = Mode::Augment);
    assert_eq!(table(&done, "t").filled, 1);
    let kept = [
        r#"t("ABC", "restored", "r")"#,
        r#"t("abc", "later", "KEEP")"#,
    ];
    assert_eq!(all(&stage, "t"), kept);
    let (stage, done) = restored(made, change, |options| {
        options.mode = Mode::Replace;
        options.scope.key_values = vec![key];
    });
    assert_eq!(table(&done, "t").updated, 1, "{done:?}");
    assert_eq!(all(&stage, "t"), kept);
    let (stage, done) = restored(made, change, |options| options.mode = Mode::Replace);
    assert_eq!(table(&done, "t").updated, 2);
    assert_eq!(
        all(&stage, "t"),
        [
            r#"t("ABC", "restored", "r")"#,
            r#"t("abc", "mine", "KEEP")"#
        ]
    );
}

/// The rowid has no name, and the primary key holds NULL more than once.
#[test]
fn rows_without_a_whole_key_are_told_apart_by_all_they_hold() {
    let (stage, done) = restored(
        "CREATE TABLE t(rowid TEXT, oid TEXT, _rowid_ TEXT, v TEXT, PRIMARY KEY(rowid));
         INSERT INTO t VALUES(NULL, 'a', 'b', 'v1'), (NULL, 'c', 'd', 'v2')",
        "UPDATE t SET v = NULL WHERE oid = 'a'; UPDATE t SET v = 'KEEP' WHERE oid = 'c'",
        |options| {
            options.mode = Mode::Augment;
            options.keys = vec![DeclaredKey {
                table: "t".into(),
                columns: vec!["oid".into()],
            }];
        },
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(
        all(&stage, "t"),
        [r#"t(NULL, "a", "b", "v1")"#, r#"t(NULL, "c", "d", "KEEP")"#]
    );
}

#[test]
fn a_trigger_sees_a_long_blob_as_it_is() {
    let (stage, done) = restored(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB); CREATE TABLE audit(id, d BLOB);
         INSERT INTO t VALUES(1, randomblob(1500000));
         CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO audit VALUES(new.id, new.data); END",
        "DELETE FROM t",
        |options| {
            options.scope = of_table("t");
            options.fire_triggers = true;
        },
    );
    assert!(!done.is_stopped(), "{done:?}");
    let same = "SELECT count(*) FROM t JOIN audit USING(id) WHERE t.data = audit.d AND length(d) = 1500000";
    assert_eq!(number(&stage.path("a.db"), same), 1);
}

#[test]
fn a_row_that_a_trigger_keeps_out_stops_the_restore() {
    let mut stage = Stage::new();
    let path = stage.make(
        "a.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB);
         INSERT INTO t VALUES(1, zeroblob(2000000)), (2, randomblob(2000000));
         CREATE TRIGGER tr BEFORE INSERT ON t WHEN new.id = 2 BEGIN SELECT RAISE(IGNORE); END",
    );
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DELETE FROM t");
    let options = RestoreOptions {
        target: path,
        fire_triggers: true,
        ..RestoreOptions::default()
    };
    let (store, world) = (&mut stage.store, &stage.world);
    let done = restore::run(
        store,
        world,
        &snapshot,
        &options,
        &mut NoDecider,
        &mut NoProgress,
    )
    .unwrap();
    assert!(done.is_stopped());
    assert!(
        done.conflicts[0].reason.contains("trigger"),
        "{:?}",
        done.conflicts
    );
    assert!(all(&stage, "t").is_empty());
}

/// What a table's text asks for in a conflict is for its application.
#[test]
fn conflict_clauses_of_a_table_are_not_obeyed() {
    let (stage, done) = restored(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT); INSERT INTO t VALUES(1, 'a'), (2, 'A')",
        "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT COLLATE NOCASE UNIQUE ON CONFLICT REPLACE);
         INSERT INTO t VALUES(1, 'x'), (2, 'y')",
        |options| {
            options.scope = of_table("t");
            options.scope.filter = Some("1".into());
            options.mode = Mode::Replace;
            options.matching = Match::Id;
        },
    );
    assert!(done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "t"), [r#"t(1, "x")"#, r#"t(2, "y")"#]);
    let (stage, done) = restored(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1, NULL), (2, 'b')",
        "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'D')",
        |options| options.on_conflict = OnConflict::Skip,
    );
    assert_eq!(table(&done, "t").conflicts, 1, "{done:?}");
    assert_eq!(all(&stage, "t"), [r#"t(2, "b")"#]);
}

/// A record that is refused is no parent.
#[test]
fn what_refers_to_a_refused_record_of_a_replaced_table_is_left_out_with_it() {
    let (stage, done) = restored(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, v INT); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p);
         INSERT INTO p VALUES(1, -5), (2, 3); INSERT INTO c VALUES(1, 1), (2, 2)",
        "DROP TABLE c; DROP TABLE p; CREATE TABLE p(id INTEGER PRIMARY KEY, v INT CHECK(v > 0));
         INSERT INTO p VALUES(2, 3); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p)",
        |options| {
            options.mode = Mode::Replace;
            options.on_conflict = OnConflict::Skip;
            options.decisions.others = Some(OnMissing::Skip);
        },
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "p"), ["p(2, 3)"]);
    assert_eq!(all(&stage, "c"), ["c(2, 2)"]);
}

#[test]
fn a_row_that_is_as_it_should_be_goes_with_the_parent_that_is_left_out() {
    for without_rowid in ["", "WITHOUT ROWID"] {
        let (stage, done) = restored(
            &format!(
                "CREATE TABLE d(id INTEGER PRIMARY KEY);
                 CREATE TABLE s(id INTEGER PRIMARY KEY, up INT REFERENCES s(id), d INT REFERENCES d(id)) {without_rowid};
                 INSERT INTO d VALUES(1); INSERT INTO s VALUES(1, NULL, 1), (2, 1, NULL), (3, 2, NULL), (4, NULL, NULL)"
            ),
            "UPDATE s SET d = NULL; DELETE FROM d",
            |options| {
                options.scope = of_table("s");
                options.mode = Mode::Replace;
                options.decisions.others = Some(OnMissing::Skip);
            },
        );
        assert!(!done.is_stopped(), "{done:?}");
        assert_eq!(all(&stage, "s"), ["s(4, NULL, NULL)"]);
        let report = table(&done, "s");
        assert_eq!(
            (report.deleted, report.same, report.skipped),
            (3, 1, 3),
            "{report:?}"
        );
    }
}

/// A trigger may be named like a table.
#[test]
fn triggers_have_names_of_their_own() {
    let (stage, done) = restored(
        "CREATE TABLE t(a); CREATE TABLE x(a); INSERT INTO t VALUES(1); INSERT INTO x VALUES(2);
         CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "DROP TABLE t",
        |_| {},
    );
    assert!(!done.is_stopped(), "{done:?}");
    let path = stage.path("a.db");
    assert_eq!(
        number(
            &path,
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = 'x'"
        ),
        1
    );
    let (stage, done) = restored(
        "CREATE TABLE t(a); CREATE TABLE x(a); INSERT INTO x VALUES(2)",
        "DROP TABLE x; CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        |_| {},
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "x"), ["x(2)"]);
}

#[test]
fn an_expression_reads_long_values_of_columns_with_odd_names() {
    let (stage, done) = restored(
        r#"CREATE TABLE t(id INTEGER PRIMARY KEY, "a""b" TEXT); INSERT INTO t VALUES(1, hex(zeroblob(50000))), (2, 'x')"#,
        "DELETE FROM t",
        |options| {
            options.scope = of_table("t");
            options.scope.filter = Some(r#"length("a""b") > 1000"#.into());
        },
    );
    assert_eq!(table(&done, "t").inserted, 1);
    assert_eq!(number(&stage.path("a.db"), "SELECT max(id) FROM t"), 1);
}

const PARTS: &str = "CREATE TABLE part(id INTEGER PRIMARY KEY, k TEXT, del INT);
    CREATE UNIQUE INDEX pu ON part(k) WHERE del = 0; CREATE UNIQUE INDEX pe ON part(lower(k), id % 2)";

/// Partial indexes and those over expressions are no keys, and in the way all the same.
#[test]
fn rows_in_the_way_of_other_unique_indexes_are_found_by_the_plan() {
    let made = format!(
        "{PARTS}; INSERT INTO part VALUES(1, 'a', 0), (2, 'b', 0), (3, 'c', 0), (4, 'd', 1)"
    );
    let change =
        "DELETE FROM part; INSERT INTO part VALUES(50, 'a', 0), (51, 'C', 0), (52, 'd', 0)";
    let (stage, done) = restored(&made, change, |_| {});
    assert!(done.is_stopped());
    assert!(
        done.conflicts[0].rows[0].contains(&"id 50".to_owned()),
        "{:?}",
        done.conflicts
    );
    let (_, done) = restored(&made, change, |options| {
        options.on_conflict = OnConflict::Skip
    });
    assert_eq!(
        (
            table(&done, "part").inserted,
            table(&done, "part").conflicts
        ),
        (1, 3),
        "{done:?}"
    );
    drop(stage);
}

#[test]
fn what_a_row_is_filled_with_must_fit_it() {
    let made = "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES(1, 5, 1), (2, 6, 1)";
    let change = "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b INT, CHECK(b IS NULL OR a < 6));
        INSERT INTO t VALUES(1, 5, NULL), (2, 6, NULL)";
    let (stage, done) = restored(made, change, |options| {
        options.mode = Mode::Augment;
        options.on_conflict = OnConflict::Skip;
    });
    assert_eq!(
        (table(&done, "t").filled, table(&done, "t").conflicts),
        (1, 1),
        "{done:?}"
    );
    assert_eq!(all(&stage, "t"), ["t(1, 5, 1)", "t(2, 6, NULL)"]);
}

/// It could not be compared; nothing is guessed, and nothing is written.
#[test]
fn a_row_whose_key_is_too_long_is_refused_by_the_name_of_its_table() {
    let mut stage = Stage::new();
    let made = "CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        INSERT INTO t VALUES(hex(zeroblob(600000)), 1), ('b', 2)";
    let path = stage.make("a.db", made);
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DELETE FROM t WHERE k = 'b'");
    let error = stage
        .try_restore(&snapshot, &path, Mode::Add, false, &mut NoProgress)
        .unwrap_err();
    assert!(
        error.to_string().contains("table t has a key over 1 MiB"),
        "{error}"
    );
    assert_eq!(number(&path, "SELECT count(*) FROM t"), 1);
}

/// Long values of rows without a key are told apart by their content.
#[test]
fn copies_of_rows_with_long_values_are_counted() {
    let made = "CREATE TABLE t(a TEXT, b BLOB);
        INSERT INTO t VALUES(hex(zeroblob(600000)), zeroblob(1100000)), (hex(zeroblob(600000)), zeroblob(1100000)),
            (hex(zeroblob(600000)) || 'x', zeroblob(1100000)), (hex(zeroblob(3000)), zeroblob(5000))";
    let (stage, done) = restored(
        made,
        "DELETE FROM t WHERE rowid = 2; UPDATE t SET b = zeroblob(1100001) WHERE rowid = 3",
        |_| {},
    );
    let told = table(&done, "t");
    assert_eq!((told.inserted, told.same), (2, 2));
    assert_eq!(number(&stage.path("a.db"), "SELECT count(*) FROM t"), 5);
}

/// A UNIQUE key over a computed column is asked while the plan is made.
#[test]
fn a_unique_key_over_a_computed_column_is_known_to_the_plan() {
    for made in [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, g AS (lower(a)) UNIQUE)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, g AS (lower(a)) STORED, UNIQUE(g))",
    ] {
        let made = format!("{made}; INSERT INTO t(id, a) VALUES(2, 'B'), (3, 'c')");
        let (stage, done) = restored(
            &made,
            "DELETE FROM t; INSERT INTO t(id, a) VALUES(1, 'b')",
            |options| options.on_conflict = OnConflict::Skip,
        );
        let told = table(&done, "t");
        assert_eq!((told.inserted, told.conflicts), (1, 1), "{made}");
        assert!(
            done.conflicts[0].rows[0].contains(&"id 1".to_owned()),
            "{done:?}"
        );
        assert_eq!(all(&stage, "t").len(), 2);
    }
}

/// What an index cannot compute of a record is known to the plan.
#[test]
fn a_record_that_an_index_fails_on_is_a_conflict_of_its_own() {
    let (stage, done) = restored(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, '{}'), (2, 'nojson'), (3, '[]')",
        "DELETE FROM t; CREATE INDEX x ON t(json_extract(a, '$.a'))",
        |options| options.on_conflict = OnConflict::Skip,
    );
    let told = table(&done, "t");
    assert_eq!((told.inserted, told.conflicts), (2, 1));
    assert!(done.conflicts[0].reason.contains("JSON"), "{done:?}");
    assert_eq!(all(&stage, "t").len(), 2);
}

/// A UNIQUE index that cannot be made with its table is missed: that is said.
#[test]
fn what_is_not_made_since_its_name_is_taken_is_told() {
    let (_, done) = restored(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX ix ON t(a); CREATE TABLE keep(x)",
        "DROP TABLE t; CREATE INDEX ix ON keep(x)",
        |_| {},
    );
    let warnings = done
        .findings
        .iter()
        .filter(|f| f.severity == larder::progress::Severity::Warning);
    let told: Vec<&str> = warnings.map(|f| f.text.as_str()).collect();
    assert_eq!(
        told,
        ["index ix is not made: the database has something else of that name"]
    );
}

/// A text that refers to a number follows it.
#[test]
fn references_of_another_type_follow() {
    let (stage, done) = restored(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, name UNIQUE); CREATE TABLE c(id INTEGER PRIMARY KEY, p TEXT REFERENCES p(id));
        INSERT INTO p VALUES(7, 'd'); INSERT INTO c VALUES(1, '7')",
        "DELETE FROM c; UPDATE p SET id = 2; INSERT INTO p VALUES(7, 'other')",
        |options| options.matching = Match::Natural,
    );
    assert!(done.missing.is_empty(), "{:?}", done.missing);
    assert_eq!(all(&stage, "c"), [r#"c(1, "2")"#]);
}

/// Those that will lose their parents are told before they do.
#[test]
fn a_forced_replacement_tells_beforehand_what_it_takes() {
    let mut stage = Stage::new();
    let path = stage.make(
        "a.db",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE k(id INTEGER PRIMARY KEY, p REFERENCES p(id));
        INSERT INTO p VALUES(1)",
    );
    let snapshot = stage.back_up(&path);
    stage.make(
        "a.db",
        "INSERT INTO p VALUES(2); INSERT INTO k VALUES(1, 2)",
    );
    let told = |outcome: &RestoreOutcome| {
        let mut findings = outcome.findings.iter();
        findings.any(|f| f.subject == "k" && f.text.contains("forced"))
    };
    for dry_run in [true, false] {
        let options = RestoreOptions {
            target: path.clone(),
            mode: Mode::Replace,
            scope: of_table("p"),
            force: true,
            dry_run,
            ..RestoreOptions::default()
        };
        let done = restore::run(
            &mut stage.store,
            &stage.world,
            &snapshot,
            &options,
            &mut NoDecider,
            &mut NoProgress,
        );
        assert!(told(&done.unwrap()));
    }
}
