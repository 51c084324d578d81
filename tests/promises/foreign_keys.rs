//! References: a restore leaves none without a target that had one, and cycles are no obstacle.

use larder::model::value::Value;
use larder::ops::restore::Mode;
use larder::progress::NoProgress;

use super::stage::{Stage, content, corpus, number, rows, table};

#[test]
fn cycles_and_self_references_are_restored_in_every_mode() {
    let schema =
        "CREATE TABLE a(id INTEGER PRIMARY KEY, b NOT NULL REFERENCES b, boss REFERENCES a);
        CREATE TABLE b(id INTEGER PRIMARY KEY, a NOT NULL REFERENCES a(id));";
    for mode in [Mode::Add, Mode::Augment, Mode::Replace] {
        let mut stage = Stage::new();
        let from = stage.make(
            "from.db",
            &format!("{schema} INSERT INTO a VALUES(1, 1, 2), (2, 2, 2); INSERT INTO b VALUES(1, 2), (2, 1)"),
        );
        let to = stage.make("to.db", schema);
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, mode);
        assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
        assert_eq!(content(&to), content(&from));
    }
}

const SHOP: &str = "CREATE TABLE tag(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
    CREATE TABLE item(id INTEGER PRIMARY KEY, tag REFERENCES tag);";

/// A record that the database has under another id is that row, and what refers to it follows.
#[test]
fn the_same_thing_under_another_id_is_not_added_twice() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        &format!("{SHOP} INSERT INTO tag VALUES(1, 'red'), (2, 'blue'); INSERT INTO item VALUES(1, 2), (2, 1)"),
    );
    let to = stage.make(
        "to.db",
        &format!(
            "{SHOP} INSERT INTO tag VALUES(2, 'blue'), (9, 'red'); INSERT INTO item VALUES(2, 9)"
        ),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
    assert_eq!(
        (table(&done, "tag").remapped, table(&done, "item").inserted),
        (1, 1)
    );
    assert_eq!(table(&done, "tag").same, 2);
    assert_eq!(rows(&to, "item"), ["item(1, 2)", "item(2, 9)"]);
    // The record that refers to it is gone: it comes back with its reference changed.
    for mode in [Mode::Add, Mode::Augment] {
        stage.make("to.db", "DELETE FROM item WHERE id = 2");
        let done = stage.restore(&snapshot, &to, mode);
        assert_eq!(done.references_followed, 1);
        assert_eq!(done.remapped.len(), 1);
        assert_eq!((&*done.remapped[0].from, &*done.remapped[0].to), ("1", "9"));
        assert_eq!(rows(&to, "item"), ["item(1, 2)", "item(2, 9)"]);
    }
}

/// A filled reference follows its record, too; and both of two references to one parent.
#[test]
fn a_reference_that_is_filled_follows_its_record() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE tag(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
        CREATE TABLE item(id INTEGER PRIMARY KEY, one REFERENCES tag, two REFERENCES tag);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO tag VALUES(1, 'red'), (2, 'blue'); INSERT INTO item VALUES(1, 2, 1)"),
    );
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO tag VALUES(2, 'blue'), (9, 'red'); INSERT INTO item VALUES(1, 2, NULL)"),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "item").skipped, 1);
    let done = stage.restore(&snapshot, &to, Mode::Augment);
    assert_eq!(table(&done, "item").filled, 1);
    assert_eq!(rows(&to, "item"), ["item(1, 2, 9)"]);
}

/// Rows of a table that the snapshot lacks are not orphaned, and no cascade runs.
#[test]
fn replace_is_blocked_by_rows_that_would_lose_their_parents() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT UNIQUE COLLATE NOCASE);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO p VALUES(1, 'a'), (2, 'B')"),
    );
    let to = stage.make(
        "to.db",
        &format!(
            "{schema} INSERT INTO p VALUES(1, 'x'), (2, 'b'), (3, 'c');
            CREATE TABLE c(a REFERENCES p ON DELETE CASCADE, b REFERENCES p(code));
            INSERT INTO c VALUES(1, 'b'), (2, NULL), (77, 'gone already')"
        ),
    );
    let snapshot = stage.back_up(&from);
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
    assert_eq!(number(&to, "SELECT count(*) FROM c"), 3);
    stage.make(
        "to.db",
        "INSERT INTO p VALUES(3, 'c'); INSERT INTO c VALUES(3, 'C')",
    );
    let before = content(&to);
    let planned = stage
        .try_restore(&snapshot, &to, Mode::Replace, true, &mut NoProgress)
        .unwrap();
    assert_eq!(table(&planned, "c").conflicts, 2, "{:?}", planned.conflicts);
    assert_eq!(planned.conflicts[0].record, "row 4");
    let done = stage.restore(&snapshot, &to, Mode::Replace);
    assert!(!done.conflicts.is_empty() && done.safety_snapshot.is_none());
    assert_eq!(content(&to), before);
}

/// A parent that the database lacks is made, and rows that waited for it are no obstacle.
#[test]
fn a_missing_parent_table_is_made() {
    for mode in [Mode::Add, Mode::Replace] {
        let mut stage = Stage::new();
        let from = stage.make(
            "from.db",
            "CREATE TABLE p(id INTEGER PRIMARY KEY); INSERT INTO p VALUES(1)",
        );
        let to = stage.make(
            "to.db",
            "CREATE TABLE c(p REFERENCES p); INSERT INTO c VALUES(1), (2)",
        );
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, mode);
        assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
        assert_eq!(rows(&to, "p"), ["p(1)"]);
    }
}

/// What the snapshot violates itself is restored as it was; what only the database forbids is not.
#[test]
fn only_new_violations_stop_a_restore() {
    let schema = "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p);";
    for mode in [Mode::Add, Mode::Replace] {
        let mut stage = Stage::new();
        let from = stage.make(
            "from.db",
            &format!("{schema} INSERT INTO c VALUES(1, 40), (2, 41)"),
        );
        let to = stage.make("to.db", &format!("{schema} INSERT INTO c VALUES(7, 50)"));
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, mode);
        assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
        // A key that the snapshot does not know of.
        let strict = stage.make(
            "strict.db",
            "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE q(id INTEGER PRIMARY KEY);
             CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES q);",
        );
        let before = content(&strict);
        let done = stage
            .try_restore(&snapshot, &strict, mode, false, &mut NoProgress)
            .unwrap();
        let missing: Vec<_> = done
            .missing
            .iter()
            .map(|m| (&m.values, m.records))
            .collect();
        assert_eq!(
            missing,
            [
                (&vec![Value::Integer(40)], 1),
                (&vec![Value::Integer(41)], 1)
            ]
        );
        assert!(done.is_stopped() && done.missing[0].record.is_none());
        assert_eq!(content(&strict), before);
    }
}

/// A declaration that SQLite cannot check says nothing against a restore.
#[test]
fn a_foreign_key_mismatch_is_carried() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE p(a, b); CREATE TABLE c(id INTEGER PRIMARY KEY, a REFERENCES p(a));";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO p VALUES(1, 1); INSERT INTO c VALUES(1, 1), (2, 5)"),
    );
    let to = stage.make("to.db", schema);
    let snapshot = stage.back_up(&from);
    for mode in [Mode::Add, Mode::Replace] {
        let done = stage.restore(&snapshot, &to, mode);
        assert!(done.conflicts.is_empty(), "{:?}", done.conflicts);
        assert_eq!(content(&to), content(&from));
    }
}

/// Deleted rows of real databases come back by `add`, and nothing else changes.
#[test]
fn rows_deleted_from_real_databases_come_back() {
    for (name, delete) in [
        (
            "chinook.db",
            "DELETE FROM Employee WHERE EmployeeId IN (1, 2, 3); DELETE FROM Album WHERE AlbumId % 3 = 0; DELETE FROM Track WHERE TrackId % 7 = 0;",
        ),
        ("airports.db", ""),
        ("series/bake/day-05.db", ""),
        ("series/temoa-utopia/11.db", ""),
        ("series/proj/3.3.0.db", ""),
    ] {
        let Some(original) = corpus(name) else { return };
        let mut stage = Stage::new();
        let (from, to) = (
            stage.borrow(&original, "from.db"),
            stage.borrow(&original, "to.db"),
        );
        // Every third row of every table that has rowids.
        let db = rusqlite::Connection::open(&to).unwrap();
        db.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
        let tables: Vec<String> = db
            .prepare("SELECT name FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND rootpage > 0
                AND NOT EXISTS (SELECT 1 FROM sqlite_schema v WHERE v.type = 'table' AND v.rootpage = 0 AND s.name LIKE v.name || '\\_%' ESCAPE '\\')")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        db.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
            false,
        )
        .unwrap();
        for table in &tables {
            let _ = db.execute(&format!("DELETE FROM \"{table}\" WHERE rowid % 3 = 0"), []);
        }
        db.execute_batch(delete).unwrap();
        let deleted: u64 = db.total_changes();
        drop(db);
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, Mode::Add);
        assert!(done.conflicts.is_empty(), "{name}: {:?}", done.conflicts);
        let inserted: u64 = done.tables.iter().map(|t| t.inserted).sum();
        println!("{name}: {deleted} deleted, {inserted} inserted");
        assert_eq!(inserted, deleted, "{name}");
        let ignored = "order,stats,vtab,shadow";
        assert_eq!(
            super::stage::differences(&from, &to, ignored).unwrap_or_default(),
            "",
            "{name}"
        );
    }
}

/// A day's records added to the day before last: what the later day has is there afterwards.
#[test]
fn days_of_a_real_application_are_added_to_each_other() {
    let (Some(later), Some(earlier)) = (
        corpus("series/bake/day-05.db"),
        corpus("series/bake/day-03.db"),
    ) else {
        return;
    };
    for mode in [Mode::Add, Mode::Augment] {
        let mut stage = Stage::new();
        let (from, to) = (
            stage.borrow(&later, "from.db"),
            stage.borrow(&earlier, "to.db"),
        );
        let before = content(&to);
        let snapshot = stage.back_up(&from);
        let done = stage.restore(&snapshot, &to, mode);
        for t in done
            .tables
            .iter()
            .filter(|t| t.inserted + t.filled + t.skipped + t.conflicts > 0)
        {
            println!("{mode:?} {t:?}");
        }
        println!("{:?}", done.conflicts);
        if done.conflicts.is_empty() {
            for t in &done.tables {
                let (live, stored) = (rows(&to, &t.table), rows(&from, &t.table));
                assert!(live.len() >= stored.len());
                let missing = stored.iter().filter(|row| !live.contains(row)).count() as u64;
                assert!(missing <= t.skipped + t.filled, "{t:?}");
            }
        } else {
            assert_eq!(content(&to), before);
        }
    }
}

/// A verdict is taken from the last snapshot only where nothing of it can have changed. What a
/// virtual generated column holds is in no record, only in the table's text.
#[test]
fn a_verdict_is_of_the_tables_as_they_are() {
    let mut stage = Stage::new();
    let child = |g: &str| {
        format!(
            "CREATE TABLE c(id INTEGER PRIMARY KEY, p, g AS ({g}) REFERENCES p(id));
             INSERT INTO c(id, p) VALUES(1, 1), (2, 2), (3, 7);"
        )
    };
    let parents = "CREATE TABLE p(id INTEGER PRIMARY KEY); INSERT INTO p VALUES(1), (2);";
    let path = stage.make("app.db", &format!("{parents} {}", child("p")));
    let missing = |manifest: larder::format::manifest::Manifest| -> Vec<u64> {
        let verdicts = manifest.foreign_keys.iter();
        verdicts.map(|verdict| verdict.violations).collect()
    };
    assert_eq!(missing(stage.back_up(&path)), [1]);
    // Another table is none of its business.
    stage.make("app.db", "CREATE TABLE other(x)");
    assert_eq!(missing(stage.back_up(&path)), [1]);
    stage.make("app.db", &format!("DROP TABLE c; {}", child("p + 10")));
    assert_eq!(missing(stage.back_up(&path)), [3]);
    stage.make("app.db", "INSERT INTO p VALUES(11), (12), (17)");
    assert_eq!(missing(stage.back_up(&path)), Vec::<u64>::new());
}
