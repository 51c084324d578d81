//! An undo takes back what a restore did, row by row, and nothing that came since.

use std::path::Path;

use larder::ops::restore::Mode;
use larder::ops::undo::{self, UndoOptions, UndoOutcome};
use larder::progress::NoProgress;
use larder::target::CheckLevel;

use super::stage::{Stage, content, corpus, differences, number, rows};

const SHOP: &str =
    "CREATE TABLE customers(id INTEGER PRIMARY KEY AUTOINCREMENT, mail TEXT UNIQUE, name);
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer REFERENCES customers, total REAL, note);
    CREATE TABLE lines(orders, pos, text, PRIMARY KEY(orders, pos)) WITHOUT ROWID;
    CREATE TABLE log(text);";

pub fn undo(stage: &mut Stage, to: &Path, change: impl FnOnce(&mut UndoOptions)) -> UndoOutcome {
    let mut options = UndoOptions {
        target: to.to_owned(),
        check: CheckLevel::Full,
        ..UndoOptions::default()
    };
    change(&mut options);
    undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap()
}

fn shop(stage: &mut Stage) -> (std::path::PathBuf, larder::format::manifest::Manifest) {
    let from = stage.make(
        "from.db",
        &format!(
            "{SHOP} INSERT INTO customers VALUES(1, 'a@x', 'Ada'), (2, 'b@x', 'Bob'), (3, 'c@x', 'Cid');
            INSERT INTO orders VALUES(1, 1, 9.5, NULL), (2, 3, 1.0, zeroblob(70000)), (3, 2, 2.5, 'n');
            INSERT INTO lines VALUES(1, 1, 'x'), (2, 1, 'y'), (2, 2, 'z'); INSERT INTO log VALUES('old')"
        ),
    );
    let snapshot = stage.back_up(&from);
    let to = stage.make(
        "to.db",
        &format!(
            "{SHOP} INSERT INTO customers VALUES(1, 'a@x', NULL), (9, 'b@x', 'Bob');
            INSERT INTO orders VALUES(1, 1, 9.5, 'kept'), (7, 9, 7, NULL); INSERT INTO lines VALUES(1, 1, 'other');
            INSERT INTO log VALUES('new'), ('newer')"
        ),
    );
    (to, snapshot)
}

#[test]
fn an_undo_brings_the_state_before_the_restore_back() {
    for mode in [Mode::Add, Mode::Augment, Mode::Replace] {
        let mut stage = Stage::new();
        let (to, snapshot) = shop(&mut stage);
        let before = content(&to);
        let done = stage.restore(&snapshot, &to, mode);
        assert!(!done.is_stopped(), "{:?}", done.conflicts);
        let restored = content(&to);
        assert_ne!(restored, before);
        let planned = undo(&mut stage, &to, |options| options.dry_run = true);
        assert_eq!(content(&to), restored, "a plan writes nothing");
        let undone = undo(&mut stage, &to, |_| {});
        assert_eq!(undone.tables, planned.tables);
        assert!(!undone.is_stopped(), "{:?}", undone.changed);
        assert_eq!(content(&to), before, "{mode:?}");
        // Nothing is left to undo; but the undo can be undone.
        let options = UndoOptions {
            target: to.clone(),
            ..UndoOptions::default()
        };
        undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap_err();
        let after = undone.after_snapshot.unwrap().id;
        let redone = undo(&mut stage, &to, |options| options.restore = Some(after));
        assert!(!redone.is_stopped());
        assert_eq!(content(&to), restored);
    }
}

#[test]
fn what_came_since_is_kept_and_a_changed_row_is_never_overwritten() {
    let mut stage = Stage::new();
    let (to, snapshot) = shop(&mut stage);
    stage.restore(&snapshot, &to, Mode::Augment);
    stage.make(
        "to.db",
        "INSERT INTO log VALUES('since'); INSERT INTO orders VALUES(50, 1, 5, 's');
         UPDATE orders SET total = 77 WHERE id = 2; UPDATE customers SET name = 'Ada L' WHERE id = 1",
    );
    let now = content(&to);
    let stopped = undo(&mut stage, &to, |_| {});
    assert!(stopped.is_stopped());
    assert_eq!(content(&to), now);
    let named: Vec<(&str, &str)> = stopped
        .changed
        .iter()
        .map(|row| (&*row.table, &*row.row))
        .collect();
    // The parent of a row that stays does so, too.
    let kept = ("customers", "id 3");
    assert_eq!(named, [("customers", "id 1"), ("orders", "id 2"), kept]);
    assert!(stopped.changed[1].now.contains(&"total 77".to_owned()));
    assert_eq!(stopped.changed[2].reason, "row 2 of orders refers to it");
    stage.make("to.db", "UPDATE orders SET customer = 1 WHERE id = 2");
    let undone = undo(&mut stage, &to, |options| options.skip_conflicts = true);
    assert!(!undone.is_stopped(), "{:?}", undone.changed);
    assert_eq!(
        rows(&to, "customers"),
        [
            r#"customers(1, "a@x", "Ada L")"#,
            r#"customers(9, "b@x", "Bob")"#
        ]
    );
    assert_eq!(
        number(
            &to,
            "SELECT cast(group_concat(id, '') AS INTEGER) FROM (SELECT id FROM orders ORDER BY id)"
        ),
        12_750
    );
    assert_eq!(number(&to, "SELECT count(*) FROM log"), 3);
    // Ids that were given out stay given out.
    assert_eq!(
        number(
            &to,
            "SELECT seq FROM sqlite_sequence WHERE name = 'customers'"
        ),
        9
    );
}

#[test]
fn tables_that_the_restore_made_go_unless_they_hold_rows_of_others() {
    for more in [false, true] {
        let mut stage = Stage::new();
        let from = stage.make(
            "from.db",
            &format!(
                "{SHOP} CREATE INDEX by_total ON orders(total); CREATE VIEW big AS SELECT * FROM orders;
                INSERT INTO orders VALUES(1, NULL, 3, 4)"
            ),
        );
        let to = stage.make("to.db", "CREATE TABLE own(a); INSERT INTO own VALUES(1)");
        let snapshot = stage.back_up(&from);
        stage.restore(&snapshot, &to, Mode::Add);
        assert_eq!(number(&to, "SELECT count(*) FROM big"), 1);
        if more {
            stage.make("to.db", "INSERT INTO orders VALUES(2, NULL, 1, 1)");
        }
        let undone = undo(&mut stage, &to, |_| {});
        assert!(!undone.is_stopped(), "{:?}", undone.changed);
        let left = number(
            &to,
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('orders', 'customers', 'lines', 'log')",
        );
        // Its parent stays with it.
        assert_eq!(left, if more { 2 } else { 0 });
        assert_eq!(rows(&to, "own"), ["own(1)"]);
    }
}

/// Keys that stand apart from their rows, in an order that says nothing of their references: a row that
/// nobody touched is not taken for one that was removed and added.
#[test]
fn rows_of_long_keys_are_told_apart() {
    for (length, collation) in [
        (20_000, "BINARY"),
        (300_000, "NOCASE"),
        (1_000_000, "BINARY"),
    ] {
        let mut stage = Stage::new();
        let rows: Vec<String> = ('a'..='j')
            .map(|letter| format!("({}, 'v{letter}')", long_key(letter, length)))
            .collect();
        let schema = format!(
            "CREATE TABLE w(k TEXT COLLATE {collation}, v, PRIMARY KEY(k DESC)) WITHOUT ROWID;"
        );
        let all = format!("{schema} INSERT INTO w VALUES {}", rows.join(", "));
        let from = stage.make("from.db", &all);
        let to = stage.make("to.db", &all);
        let snapshot = stage.back_up(&from);
        let (c, g) = (long_key('c', length), long_key('g', length));
        stage.make("to.db", &format!("UPDATE w SET v = 'other' WHERE k = {c}"));
        stage.make("to.db", &format!("DELETE FROM w WHERE k = {g}"));
        let before = content(&to);
        let done = stage.restore(&snapshot, &to, Mode::Replace);
        assert!(!done.is_stopped(), "{:?}", done.conflicts);
        let undone = undo(&mut stage, &to, |_| {});
        let table = &undone.tables[0];
        let counts = (table.deleted, table.inserted, table.updated, table.already);
        assert_eq!(counts, (1, 0, 1, 0), "{length} {collation}");
        assert!(content(&to) == before);
    }
}

/// SQL of a text that begins with a letter and differs from others all the way.
fn long_key(letter: char, length: usize) -> String {
    let half = length / 2;
    format!("'{letter}' || substr(hex(zeroblob({half})), 1) || '{letter}'")
}

#[test]
fn restores_into_real_databases_are_undone() {
    for (then, now) in [
        ("series/bake/day-03.db", "series/bake/day-15.db"),
        ("chinook.db", "chinook.db"),
        ("northwind.db", "northwind.db"),
    ] {
        let (Some(then), Some(now)) = (corpus(then), corpus(now)) else {
            return;
        };
        for mode in [Mode::Add, Mode::Replace] {
            let mut stage = Stage::new();
            let (from, to) = (stage.borrow(&then, "from.db"), stage.borrow(&now, "to.db"));
            let snapshot = stage.back_up(&from);
            if then == now {
                let table = if then.ends_with("chinook.db") {
                    "Track"
                } else {
                    "Orders"
                };
                stage.make("to.db", &format!("DELETE FROM {table} WHERE rowid % 7 = 3"));
            }
            let pristine = stage.path("pristine.db");
            std::fs::copy(&to, &pristine).unwrap();
            let done = stage.restore(&snapshot, &to, mode);
            if done.is_stopped() {
                println!("{} {mode:?}: stopped: {:?}", then.display(), done.conflicts);
                continue;
            }
            let undone = undo(&mut stage, &to, |_| {});
            assert!(!undone.is_stopped(), "{:?}", undone.changed);
            let ignored = "stats,sequence,order";
            assert_eq!(differences(&pristine, &to, ignored).unwrap_or_default(), "");
        }
    }
}
