//! A restore into a database that exists does what its mode says, to all of it or to none of it.

use std::path::Path;

use larder::ops::restore::{Mode, TableReport};
use larder::ops::select::SAFETY_TAG;
use larder::progress::NoProgress;

use super::stage::{Stage, content, corpus, differences, number, rows, table};

const PEOPLE: &str =
    "CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT UNIQUE COLLATE NOCASE, name, note);";

#[test]
fn add_inserts_what_is_missing_and_leaves_rows_as_they_are() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        &format!("{PEOPLE} INSERT INTO people VALUES(1, 'a@x', 'Ada', 'n'), (2, 'b@x', 'Bob', NULL), (3, NULL, 'Cid', 'c')"),
    );
    let to = stage.make(
        "to.db",
        &format!("{PEOPLE} INSERT INTO people VALUES(1, 'A@X', NULL, ''), (3, NULL, 'Cid', 'c'), (9, 'z@x', 'Zoe', 0)"),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    let people = table(&done, "people");
    assert_eq!((people.inserted, people.same, people.skipped), (1, 1, 1));
    assert!(done.safety_snapshot.is_some() && done.conflicts.is_empty());
    assert_eq!(
        rows(&to, "people"),
        [
            r#"people(1, "A@X", NULL, "")"#,
            r#"people(2, "b@x", "Bob", NULL)"#,
            r#"people(3, NULL, "Cid", "c")"#,
            r#"people(9, "z@x", "Zoe", 0)"#,
        ]
    );
    // Again: nothing is missing any more.
    let again = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&again, "people").inserted, 0);
}

#[test]
fn augment_fills_nulls_and_nothing_else() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT UNIQUE, a, b, c, g AS (a || '!') STORED);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO t(id, code, a, b, c) VALUES(1, 'one', 'a', 'b', 'c'), (2, 'two', NULL, zeroblob(2000000), 5), (3, 'three', 1, 2, 3)"),
    );
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO t(id, code, a, b, c) VALUES(1, NULL, NULL, '', 0), (2, 'two', 7, NULL, NULL)"),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Augment);
    let t = table(&done, "t");
    assert_eq!((t.inserted, t.filled), (1, 2));
    assert_eq!(
        number(
            &to,
            "SELECT count(*) FROM t WHERE id = 1 AND code IS NULL AND a = 'a' AND b = '' AND c = 0 AND g = 'a!'"
        ),
        1,
        "a key is never filled"
    );
    assert_eq!(
        number(
            &to,
            "SELECT count(*) FROM t WHERE id = 2 AND a = 7 AND b = zeroblob(2000000) AND c = 5"
        ),
        1
    );
    let again = stage.restore(&snapshot, &to, Mode::Augment);
    assert_eq!(table(&again, "t").filled, 0);
}

#[test]
fn replace_makes_tables_equal_to_the_snapshot_and_can_be_taken_back() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(a UNIQUE, b); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        CREATE TABLE big(id INTEGER PRIMARY KEY, x BLOB);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO t(rowid, a, b) VALUES(5, 1, 'x'), (9, 2, 'y'); INSERT INTO w VALUES('k', 1);
            INSERT INTO big VALUES(1, randomblob(3000000)), (2, x'00')"),
    );
    let to = stage.make(
        "to.db",
        &format!(
            "{schema} INSERT INTO t VALUES(2, 'x'), (1, 'y'); INSERT INTO w VALUES('K', 2);
            CREATE TABLE own(a); INSERT INTO own VALUES(1)"
        ),
    );
    let before = content(&to);
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert_eq!(
        (table(&done, "t").deleted, table(&done, "t").inserted),
        (2, 2)
    );
    for name in ["t", "w", "big"] {
        assert_eq!(rows(&to, name), rows(&from, name));
    }
    assert_eq!(
        number(
            &to,
            "SELECT cast(group_concat(rowid, '') AS INTEGER) FROM t"
        ),
        59
    );
    assert_eq!(rows(&to, "own"), ["own(1)"]);
    let safety = done.safety_snapshot.unwrap();
    assert_eq!(safety.tags, [SAFETY_TAG]);
    let safety = stage.manifest(&safety.id);
    stage.restore(&safety, &to, Mode::Replace);
    assert_eq!(content(&to), before);
}

/// Else the restore could not be undone, and the one before it would be taken for the last.
#[test]
fn an_empty_database_is_saved_first_too() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        &format!("{PEOPLE} INSERT INTO people(name) VALUES('Ada')"),
    );
    let to = stage.make("to.db", "PRAGMA user_version = 3");
    let snapshot = stage.back_up(&from);
    let nothing = stage.path("nothing.db");
    std::fs::write(&nothing, "").unwrap();
    for to in [to, nothing] {
        let done = stage.restore(&snapshot, &to, Mode::Replace);
        assert!(done.safety_snapshot.is_some());
        assert_eq!(content(&to), content(&from));
        super::undo::undo(&mut stage, &to, |_| {});
        assert!(content(&to).is_empty());
    }
}

#[test]
fn a_record_whose_keys_name_two_rows_stops_everything() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        &format!("{PEOPLE} INSERT INTO people VALUES(1, 'a@x', 'Ada', NULL), (2, 'b@x', 'Bob', NULL), (5, NULL, 'new', NULL)"),
    );
    let to = stage.make(
        "to.db",
        &format!(
            "{PEOPLE} INSERT INTO people VALUES(1, 'B@X', 'Ada', NULL), (2, 'a@x', 'Bob', NULL)"
        ),
    );
    let before = content(&to);
    let snapshot = stage.back_up(&from);
    for mode in [Mode::Add, Mode::Augment] {
        let done = stage.restore(&snapshot, &to, mode);
        assert_eq!(table(&done, "people").conflicts, 2);
        assert_eq!(done.conflicts[0].record, "id 1");
        assert!(
            done.conflicts[0].reason.contains("id; mail"),
            "{:?}",
            done.conflicts
        );
        assert_eq!(content(&to), before);
    }
    // Emptied first, two rows may exchange their values.
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert!(done.conflicts.is_empty());
    assert_eq!(rows(&to, "people"), rows(&from, "people"));
}

/// A renamed row, or an id given to another thing: `add` leaves it and says so, `augment` stops.
#[test]
fn an_id_that_was_given_to_another_thing_is_not_filled() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        &format!("{PEOPLE} INSERT INTO people VALUES(1, 'a@x', 'Ada', 'phone')"),
    );
    let to = stage.make(
        "to.db",
        &format!("{PEOPLE} INSERT INTO people VALUES(1, 'new@x', 'Ned', NULL)"),
    );
    let before = content(&to);
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "people").left_out.doubtful, 1);
    let done = stage.restore(&snapshot, &to, Mode::Augment);
    assert!(done.conflicts[0].reason.contains("mail"));
    assert_eq!(content(&to), before);
}

#[test]
fn rows_without_a_key_are_a_multiset() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(a, b); CREATE TABLE n(a TEXT PRIMARY KEY, b);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO t VALUES(1, 'x'), (1, 'x'), (1, 'x'), (NULL, 2.0), (zeroblob(20000), 1), (zeroblob(20001), 1);
            INSERT INTO n VALUES(NULL, 1), (NULL, 1), ('k', 2)"),
    );
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO t VALUES(9, 9), (1, 'x'), (zeroblob(20000), 1), (NULL, 2); INSERT INTO n VALUES(NULL, 1)"),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    let (t, n) = (table(&done, "t"), table(&done, "n"));
    assert_eq!((t.inserted, t.same), (4, 2));
    assert_eq!((n.inserted, n.same), (2, 1));
    assert_eq!(number(&to, "SELECT count(*) FROM t WHERE a = 1"), 3);
    let again = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&again, "t").inserted + table(&again, "n").inserted, 0);
    assert_eq!(number(&to, "SELECT count(*) FROM t"), 8);
    // Rowids are kept where they are free.
    assert_eq!(
        number(&to, "SELECT rowid FROM t WHERE a = zeroblob(20001)"),
        6
    );
}

#[test]
fn missing_tables_are_made_with_what_belongs_to_them() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        "PRAGMA user_version=7; PRAGMA application_id=99;
         CREATE TABLE a(x); CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT, y DEFAULT 'd' /* kept */, z AS (y) STORED);
         INSERT INTO b(y) VALUES(1), (2); DELETE FROM b WHERE y = 2;
         CREATE UNIQUE INDEX by ON b(y); CREATE INDEX ax ON a(x);
         CREATE TRIGGER bt AFTER INSERT ON b BEGIN INSERT INTO a VALUES(new.y); END;
         CREATE VIEW bv AS SELECT * FROM b; CREATE VIEW av AS SELECT * FROM a;",
    );
    let to = stage.make("to.db", "CREATE TABLE a(x);");
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "b").inserted, 1);
    assert_eq!(rows(&to, "b"), rows(&from, "b"));
    assert_eq!(rows(&to, "a"), Vec::<String>::new(), "a trigger fired");
    assert_eq!(rows(&to, "sqlite_sequence"), rows(&from, "sqlite_sequence"));
    let names = |path: &Path| -> Vec<String> {
        let objects = content(path).into_iter();
        objects.filter(|line| line.contains(": CREATE")).collect()
    };
    let wanted: Vec<String> = names(&from)
        .into_iter()
        .filter(|line| !line.contains(" av:") && !line.contains(" ax:"))
        .collect();
    assert_eq!(names(&to), wanted);
    // Into a file without a byte, and into a database without tables: all of it.
    for (name, sql) in [
        ("empty.db", None),
        ("bare.db", Some("CREATE TABLE t(a); DROP TABLE t;")),
    ] {
        let to = match sql {
            Some(sql) => stage.make(name, sql),
            None => {
                std::fs::write(stage.path(name), b"").unwrap();
                stage.path(name)
            }
        };
        stage.restore(&snapshot, &to, Mode::Replace);
        assert_eq!(content(&to), content(&from));
        assert_eq!(differences(&from, &to, "order").unwrap_or_default(), "");
    }
}

#[test]
fn columns_are_mapped_by_name_and_what_is_lost_is_counted() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, gone, B TEXT);
         INSERT INTO t VALUES(1, 'a1', 'g', 'b1'), (2, 'a2', NULL, 'b2'), (3, 'a3', 'g', 'b3')",
    );
    let to = stage.make(
        "to.db",
        "CREATE TABLE t(b TEXT, new DEFAULT 'dflt', id INTEGER PRIMARY KEY, A); INSERT INTO t(id) VALUES(3)",
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(
        rows(&to, "t"),
        [
            r#"t("b1", "dflt", 1, "a1")"#,
            r#"t("b2", "dflt", 2, "a2")"#,
            r#"t(NULL, "dflt", 3, NULL)"#
        ]
    );
    let lost: Vec<_> = done
        .findings
        .iter()
        .filter(|f| f.text.contains("gone"))
        .collect();
    assert!(lost[0].text.contains("1 value of it is not"), "{lost:?}");
}

/// What the database would refuse is a conflict that a dry run sees, too.
#[test]
fn a_record_that_a_constraint_refuses_is_a_conflict() {
    for (columns, reason) in [
        (
            "id INTEGER PRIMARY KEY, a, must DEFAULT NULL NOT NULL",
            "NOT NULL",
        ),
        ("id INTEGER PRIMARY KEY, a CHECK(a < 2)", "CHECK"),
        ("id INTEGER PRIMARY KEY, a UNIQUE, b", "UNIQUE"),
    ] {
        let mut stage = Stage::new();
        let from = stage.make(
            "from.db",
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 1), (2, 2), (3, 2)",
        );
        let row = if reason == "CHECK" { "8, 0" } else { "8, 0, 0" };
        let sql = format!("CREATE TABLE t({columns}); INSERT INTO t VALUES({row})");
        let to = stage.make("to.db", &sql);
        let before = content(&to);
        let snapshot = stage.back_up(&from);
        for mode in [Mode::Add, Mode::Augment, Mode::Replace] {
            // Elsewhere, a second record of a key means the first one's row.
            if reason == "UNIQUE" && mode != Mode::Replace {
                continue;
            }
            let planned = stage
                .try_restore(&snapshot, &to, mode, true, &mut NoProgress)
                .unwrap();
            assert!(
                planned.conflicts[0].reason.contains(reason),
                "{:?}",
                planned.conflicts
            );
            let done = stage.restore(&snapshot, &to, mode);
            assert!(!done.conflicts.is_empty() && done.safety_snapshot.is_none());
            assert_eq!(content(&to), before);
        }
    }
}

/// `replace` carries rows that broke a CHECK in the source; `add` brings no new ones in.
#[test]
fn rows_that_break_a_check_come_back_only_where_all_rows_do() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK(a > 0));";
    let from = stage.make(
        "from.db",
        &format!("{schema} PRAGMA ignore_check_constraints=1; INSERT INTO t VALUES(1, -1), (2, 2)"),
    );
    let to = stage.make("to.db", &format!("{schema} INSERT INTO t VALUES(2, 7)"));
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "t").conflicts, 1);
    assert_eq!(rows(&to, "t"), ["t(2, 7)"]);
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert!(done.conflicts.is_empty());
    assert_eq!(rows(&to, "t"), rows(&from, "t"));
}

/// A text where the database wants a rowid is a conflict, not a failure.
#[test]
fn a_key_of_another_class_is_a_conflict() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        "CREATE TABLE t(id TEXT PRIMARY KEY, a); INSERT INTO t VALUES('7', 1), ('x', 2)",
    );
    let to = stage.make(
        "to.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(7, 1)",
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    let t = table(&done, "t");
    assert_eq!((t.skipped, t.conflicts), (1, 1), "{:?}", done.conflicts);
}

/// What only shows when it is written is taken back whole.
#[test]
fn a_failure_in_the_middle_leaves_the_database_as_it_was() {
    let mut stage = Stage::new();
    let schema =
        "CREATE TABLE first(id INTEGER PRIMARY KEY, a); CREATE TABLE t(id INTEGER PRIMARY KEY, a);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO first VALUES(1, 1); INSERT INTO t VALUES(1, 'x'), (2, 'Y')"),
    );
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO t VALUES(7, 'y'); CREATE UNIQUE INDEX i ON t(lower(a)); CREATE TABLE n(a)"),
    );
    let before = content(&to);
    let snapshot = stage.back_up(&from);
    let done = stage
        .try_restore(&snapshot, &to, Mode::Add, false, &mut NoProgress)
        .unwrap();
    assert_eq!(done.conflicts.len(), 1);
    assert_eq!(done.conflicts[0].record, "id 2");
    assert_eq!(table(&done, "t").conflicts, 1);
    assert_eq!(content(&to), before);
}

#[test]
fn triggers_do_not_fire_and_sequences_never_go_back() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, a); CREATE TABLE log(a);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO s VALUES(1, 1), (50, 1); DELETE FROM s WHERE id = 50;"),
    );
    let to = stage.make(
        "to.db",
        &format!(
            "{schema} INSERT INTO s VALUES(2, 2), (90, 2); DELETE FROM s WHERE id = 90;
            CREATE TRIGGER tr AFTER INSERT ON s BEGIN INSERT INTO log VALUES(new.a); END;
            CREATE TRIGGER td AFTER DELETE ON s BEGIN INSERT INTO log VALUES(old.a); END;"
        ),
    );
    let snapshot = stage.back_up(&from);
    for mode in [Mode::Add, Mode::Replace] {
        let done = stage.restore(&snapshot, &to, mode);
        assert_eq!(rows(&to, "log"), Vec::<String>::new());
        assert_eq!(number(&to, "SELECT seq FROM sqlite_sequence"), 90);
        let told = done.findings.iter().any(|f| f.text.contains("tr, td"));
        assert!(told, "{:?}", done.findings);
    }
    stage.make("to.db", "UPDATE sqlite_sequence SET seq = 3");
    stage.restore(&snapshot, &to, Mode::Replace);
    assert_eq!(number(&to, "SELECT seq FROM sqlite_sequence"), 50);
}

#[test]
fn virtual_tables_are_left_alone() {
    let mut stage = Stage::new();
    let from = stage.make("from.db", "CREATE TABLE notes(a); INSERT INTO notes VALUES('x'); CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    let to = stage.make(
        "to.db",
        "CREATE VIRTUAL TABLE notes USING fts5(a); INSERT INTO notes VALUES('own');",
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert!(
        done.findings
            .iter()
            .any(|f| f.subject == "notes" && f.text.contains("virtual"))
    );
    assert_eq!(rows(&to, "notes"), [r#"notes("own")"#]);
    assert_eq!(rows(&to, "t"), ["t(1)"]);
}

/// A row that two records mean is filled by neither, and the plan knows.
#[test]
fn two_records_that_mean_one_row_are_a_conflict() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(a UNIQUE, b UNIQUE, c);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO t VALUES(1, NULL, 'x'), (NULL, 2, 'y')"),
    );
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO t VALUES(1, 2, NULL)"),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Augment);
    assert_eq!(table(&done, "t").conflicts, 1);
    assert_eq!(rows(&to, "t"), ["t(1, 2, NULL)"]);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "t").skipped, 2);
}

/// Long values are compared and written piece by piece, whatever kind of table holds them.
#[test]
fn long_values_are_compared_and_filled() {
    let schema = "CREATE TABLE r(id INTEGER PRIMARY KEY, a BLOB, b TEXT);
        CREATE TABLE w(k TEXT PRIMARY KEY, a, b) WITHOUT ROWID;
        CREATE TABLE g(id INTEGER PRIMARY KEY, a, n AS (length(a)) STORED, b);";
    let long = "zeroblob(2000000), printf('%.*c', 1500000, 'x')";
    let all = |values: &str| {
        format!(
            "{schema} INSERT INTO r VALUES(1, {values}), (2, {values}); INSERT INTO w VALUES('1', {values}), ('2', {values});
             INSERT INTO g(id, a, b) VALUES(1, {values}), (2, {values});"
        )
    };
    let mut stage = Stage::new();
    let from = stage.make("from.db", &all(long));
    let to = stage.make(
        "to.db",
        &format!(
            "{} UPDATE r SET a = NULL WHERE id = 2; UPDATE w SET b = NULL WHERE k = 2; UPDATE g SET b = NULL WHERE id = 2",
            all(long)
        ),
    );
    let other = stage.make(
        "other.db",
        &format!(
            "{} UPDATE r SET a = CAST(substr(a, 2) || x'01' AS BLOB); UPDATE w SET a = zeroblob(5)",
            all(long)
        ),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Augment);
    for name in ["r", "w", "g"] {
        let t = table(&done, name);
        assert_eq!((t.same, t.filled), (1, 1), "{name}");
        assert!(rows(&to, name) == rows(&from, name), "{name}");
    }
    let done = stage.restore(&snapshot, &other, Mode::Add);
    assert_eq!(
        (table(&done, "r").skipped, table(&done, "w").skipped),
        (2, 2)
    );
    assert_eq!(table(&done, "g").same, 2);
}

/// Versions of real schemas over each other: a restore does what its plan says and can be taken
/// back, or names what is in the way and writes nothing.
#[test]
fn real_versions_are_restored_over_each_other_or_not_at_all() {
    for (then, now) in [
        ("series/bake/day-00.db", "series/bake/day-15.db"),
        ("series/bake/day-15.db", "series/bake/day-00.db"),
        ("series/temoa-utopia/01.db", "series/temoa-utopia/11.db"),
        ("series/temoa-utopia/11.db", "series/temoa-utopia/05.db"),
        ("series/mendeleev/0.9.0.db", "series/mendeleev/1.2.0.db"),
        ("series/mendeleev/1.2.0.db", "series/mendeleev/0.14.0.db"),
        ("series/proj/2.4.0.db", "series/proj/3.3.0.db"),
        ("chinook.db", "northwind.db"),
    ] {
        let (Some(original), Some(now)) = (corpus(then), corpus(now)) else {
            return;
        };
        for mode in [Mode::Add, Mode::Augment, Mode::Replace] {
            let mut stage = Stage::new();
            let (from, to) = (
                stage.borrow(&original, "from.db"),
                stage.borrow(&now, "to.db"),
            );
            let pristine = stage.borrow(&now, "pristine.db");
            let snapshot = stage.back_up(&from);
            let done = stage.restore(&snapshot, &to, mode);
            let sum = |of: fn(&TableReport) -> u64| done.tables.iter().map(of).sum::<u64>();
            println!(
                "{then} {mode:?}: {} inserted, {} filled, {} same, {} skipped, {} doubtful, {} conflicts {:?}; {} findings",
                sum(|t| t.inserted),
                sum(|t| t.filled),
                sum(|t| t.same),
                sum(|t| t.skipped),
                sum(|t| t.left_out.doubtful),
                sum(|t| t.conflicts),
                done.conflicts.first(),
                done.findings.len(),
            );
            if !done.conflicts.is_empty() {
                assert_eq!(differences(&pristine, &to, "stats").unwrap_or_default(), "");
            } else if let Some(safety) = &done.safety_snapshot {
                let made = !done.made.is_empty();
                let safety = stage.manifest(&safety.id);
                let back = stage.restore(&safety, &to, Mode::Replace);
                assert!(back.conflicts.is_empty(), "{:?}", back.conflicts);
                let told = differences(&pristine, &to, "stats,sequence").unwrap_or_default();
                assert!(made || told.is_empty(), "{told}");
            }
        }
    }
}

/// Real databases: whatever a later state did to the rows, `replace` goes back to the snapshot.
#[test]
fn real_databases_are_replaced_exactly() {
    for (then, now) in [
        ("series/bake/day-03.db", "series/bake/day-15.db"),
        ("series/temoa-utopia/11.db", "series/temoa-utopia/11.db"),
        ("chinook.db", "chinook.db"),
        ("airports.db", "airports.db"),
        ("northwind.db", "northwind.db"),
    ] {
        let (Some(then), Some(now)) = (corpus(then), corpus(now)) else {
            return;
        };
        let mut stage = Stage::new();
        let (from, to) = (stage.borrow(&then, "from.db"), stage.borrow(&now, "to.db"));
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, Mode::Replace);
        println!(
            "{}: {:?} {:?}",
            then.display(),
            done.conflicts,
            done.findings
        );
        assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
        let ignored = "schema,order,pragmas,stats,sequence";
        assert_eq!(
            differences(&from, &to, ignored).unwrap_or_default(),
            "",
            "{}",
            then.display()
        );
        // Where nothing was written, nothing was saved.
        if let Some(safety) = done.safety_snapshot {
            let safety = stage.manifest(&safety.id);
            stage.restore(&safety, &to, Mode::Replace);
        }
        let pristine = stage.borrow(&now, "pristine.db");
        assert_eq!(differences(&pristine, &to, "stats").unwrap_or_default(), "");
    }
}
