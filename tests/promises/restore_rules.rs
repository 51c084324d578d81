//! Which row a record means, what follows it, and what is decided about references without a target:
//! the rules of docs/restore.md, case by case.

use larder::model::value::Value;
use larder::ops::restore::{
    Choice, Decision, DeclaredKey, DeclaredReference, KeyValue, Match, Mode, OnConflict, OnMissing,
    Rename, RestoreOptions, RestoreOutcome, Scope,
};

use super::stage::{Stage, content, rows, table};

/// Backs up what the first text makes, and restores it into what the second makes.
fn restored(
    schema: &str,
    from: &str,
    to: &str,
    change: impl FnOnce(&mut RestoreOptions),
) -> (Stage, RestoreOutcome) {
    let mut stage = Stage::new();
    let source = stage.make("from.db", &format!("{schema}; {from}"));
    stage.make("to.db", &format!("{schema}; {to}"));
    let snapshot = stage.back_up(&source);
    let done = stage.restore_with(&snapshot, &stage.path("to.db"), change);
    (stage, done)
}

fn all(stage: &Stage, table: &str) -> Vec<String> {
    rows(&stage.path("to.db"), table)
}

fn scope(tables: &[&str]) -> Scope {
    Scope {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        ..Scope::default()
    }
}

const SHOP: &str = "CREATE TABLE c(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, name);
    CREATE TABLE o(id INTEGER PRIMARY KEY, c REFERENCES c, total);
    CREATE TABLE l(o REFERENCES o, pos, text, PRIMARY KEY(o, pos))";

/// Customers were numbered anew: orders and their lines come back on the right ones.
#[test]
fn references_follow_records_that_have_another_id() {
    let (stage, done) = restored(
        SHOP,
        "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'); INSERT INTO o VALUES(1, 1, 9), (2, 2, 8);
         INSERT INTO l VALUES(1, 1, 'x'), (2, 1, 'y')",
        "INSERT INTO c VALUES(1, 'b', 'Bob'), (2, 'a', 'Ada')",
        |options| options.matching = Match::Natural,
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "o"), ["o(1, 2, 9)", "o(2, 1, 8)"]);
    assert_eq!(all(&stage, "l"), [r#"l(1, 1, "x")"#, r#"l(2, 1, "y")"#]);
    assert_eq!(table(&done, "c").remapped, 2);
    assert_eq!(done.references_followed, 2);
}

/// With `auto` the same is a conflict: both keys find a row, and not the same one.
#[test]
fn keys_that_disagree_are_a_conflict_with_both_rows() {
    let (stage, done) = restored(
        SHOP,
        "INSERT INTO c VALUES(1, 'a', 'Ada')",
        "INSERT INTO c VALUES(1, 'b', 'Bob'), (2, 'a', 'Ada')",
        |_| {},
    );
    assert!(done.is_stopped());
    let conflict = &done.conflicts[0];
    assert_eq!((&*conflict.table, &*conflict.record), ("c", "id 1"));
    assert_eq!(conflict.rows.len(), 2);
    assert!(
        conflict.rows[0].contains(&r#"name "Bob""#.to_owned()),
        "{conflict:?}"
    );
    assert!(conflict.values.contains(&r#"name "Ada""#.to_owned()));
    assert_eq!(all(&stage, "c").len(), 2);
}

/// A new record whose id is taken gets another; composite keys and references follow it.
#[test]
fn a_record_whose_id_is_taken_gets_another_and_all_references_follow() {
    let schema = "CREATE TABLE c(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, boss REFERENCES c);
        CREATE TABLE m(a REFERENCES c, b REFERENCES c, note, PRIMARY KEY(a, b)) WITHOUT ROWID;
        CREATE TABLE n(id INTEGER PRIMARY KEY, a, b, FOREIGN KEY(a, b) REFERENCES m)";
    let (stage, done) = restored(
        schema,
        "INSERT INTO c VALUES(1, 'a', 2), (2, 'b', 1), (3, 'c', 3); INSERT INTO m VALUES(1, 2, 'x'), (3, 3, 'y');
         INSERT INTO n VALUES(1, 1, 2), (2, 3, 3)",
        "INSERT INTO c VALUES(1, 'z', NULL), (2, 'y', NULL); INSERT INTO m VALUES(1, 2, 'other')",
        |options| options.matching = Match::Natural,
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(
        all(&stage, "c"),
        [
            r#"c(1, "z", NULL)"#,
            r#"c(2, "y", NULL)"#,
            r#"c(3, "c", 3)"#,
            r#"c(4, "a", 5)"#,
            r#"c(5, "b", 4)"#
        ]
    );
    assert_eq!(
        all(&stage, "m"),
        [r#"m(1, 2, "other")"#, r#"m(3, 3, "y")"#, r#"m(4, 5, "x")"#]
    );
    assert_eq!(all(&stage, "n"), ["n(1, 4, 5)", "n(2, 3, 3)"]);
}

/// A tree whose natural key holds the reference to its parent: each level finds its row by the one above.
#[test]
fn natural_keys_that_hold_references_are_translated_before_they_are_asked() {
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, up REFERENCES t, name TEXT NOT NULL, UNIQUE(up, name));
        CREATE TABLE root(id INTEGER PRIMARY KEY, name TEXT UNIQUE, t REFERENCES t)";
    let (stage, done) = restored(
        schema,
        "INSERT INTO t VALUES(10, 10, 'top'), (12, 11, 'leaf'), (11, 10, 'mid'), (13, 12, 'new');
         INSERT INTO root VALUES(1, 'r', 12)",
        "INSERT INTO t VALUES(10, 10, 'top'), (21, 10, 'mid'), (22, 21, 'leaf')",
        |options| options.matching = Match::Natural,
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(
        all(&stage, "t"),
        [
            r#"t(10, 10, "top")"#,
            r#"t(13, 22, "new")"#,
            r#"t(21, 10, "mid")"#,
            r#"t(22, 21, "leaf")"#
        ]
    );
    assert_eq!(all(&stage, "root"), [r#"root(1, "r", 22)"#]);
}

/// Only orders are restored; their customer has another id now, and one is gone.
#[test]
fn parents_outside_the_scope_are_known_and_missing_ones_are_listed() {
    let from = "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'); INSERT INTO o VALUES(1, 1, 9), (2, 2, 8), (3, 2, 7)";
    let to = "INSERT INTO c VALUES(5, 'a', 'Ada')";
    let only_orders = |options: &mut RestoreOptions| options.scope = scope(&["o"]);
    let (stage, done) = restored(SHOP, from, to, only_orders);
    assert!(done.is_stopped() && done.conflicts.is_empty());
    assert_eq!(done.missing.len(), 1);
    let missing = &done.missing[0];
    assert_eq!(
        (&*missing.table, &*missing.parent, missing.records),
        ("o", "c", 2)
    );
    assert_eq!(missing.values, [Value::Integer(2)]);
    assert_eq!(missing.examples, ["id 2", "id 3"]);
    let record = missing.record.as_ref().unwrap();
    assert_eq!(record[2], ("name".to_owned(), Value::Text(b"Bob".to_vec())));
    assert!(all(&stage, "o").is_empty());

    let choose = |on_missing, expected: &[&str], customers: usize| {
        let (stage, done) = restored(SHOP, from, to, |options| {
            only_orders(options);
            options.decisions.others = Some(on_missing);
        });
        assert!(!done.is_stopped(), "{on_missing:?}: {done:?}");
        assert_eq!(all(&stage, "o"), expected, "{on_missing:?}");
        assert_eq!(all(&stage, "c").len(), customers);
        done
    };
    let created = choose(
        OnMissing::Create,
        &["o(1, 5, 9)", "o(2, 2, 8)", "o(3, 2, 7)"],
        2,
    );
    assert_eq!(table(&created, "c").inserted, 1);
    let skipped = choose(OnMissing::Skip, &["o(1, 5, 9)"], 1);
    assert_eq!(table(&skipped, "o").left_out.missing, 2);
    choose(
        OnMissing::Null,
        &["o(1, 5, 9)", "o(2, NULL, 8)", "o(3, NULL, 7)"],
        1,
    );
}

/// Nothing is guessed about a parent outside the scope either: its keys name two rows.
#[test]
fn a_parent_outside_the_scope_that_may_be_two_rows_is_missing() {
    let from = "INSERT INTO c VALUES(13, 'bob', 'Bob'); INSERT INTO o VALUES(1, 13, 9)";
    let to = "INSERT INTO c VALUES(13, 'zoe', 'Zoe'), (91, 'bob', 'Bob')";
    let (stage, done) = restored(SHOP, from, to, |options| options.scope = scope(&["o"]));
    assert!(done.is_stopped() && all(&stage, "o").is_empty());
    assert_eq!(done.missing[0].values, [Value::Integer(13)]);
    let (stage, done) = restored(SHOP, from, to, |options| {
        options.scope = scope(&["o"]);
        let to = Choice::Map(vec![Value::Integer(91)]);
        options.decisions.single = vec![decide("o", "c", "c", 13, to)];
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "o"), ["o(1, 91, 9)"]);
}

fn decide(table: &str, column: &str, parent: &str, value: i64, choice: Choice) -> Decision {
    Decision {
        table: table.to_owned(),
        columns: vec![column.to_owned()],
        parent: parent.to_owned(),
        values: vec![Value::Integer(value)],
        choice,
    }
}

/// A decision for a single value: mapped to a row, or to a row of given values.
#[test]
fn a_missing_parent_is_mapped_or_made_from_given_values() {
    let schema = "CREATE TABLE c(id INTEGER PRIMARY KEY, mail TEXT NOT NULL); CREATE TABLE o(id INTEGER PRIMARY KEY, c REFERENCES c)";
    let from = "INSERT INTO c VALUES(1, 'a'), (2, 'b'); INSERT INTO o VALUES(1, 1), (2, 2), (3, 1)";
    let (stage, done) = restored(schema, from, "INSERT INTO c VALUES(7, 'z')", |options| {
        options.scope = scope(&["o"]);
        options.decisions.single = vec![
            decide("o", "c", "c", 1, Choice::Map(vec![Value::Integer(7)])),
            decide(
                "o",
                "c",
                "c",
                2,
                Choice::Create(vec![("mail".to_owned(), Value::Text(b"given".to_vec()))]),
            ),
        ];
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "o"), ["o(1, 7)", "o(2, 2)", "o(3, 7)"]);
    assert_eq!(all(&stage, "c"), [r#"c(2, "given")"#, r#"c(7, "z")"#]);
}

/// What refers to a record that is left out is left out as well; a created parent brings its own.
#[test]
fn leaving_out_and_creating_go_on_along_the_references() {
    let from = "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'); INSERT INTO o VALUES(1, 1, 9), (2, 2, 8);
        INSERT INTO l VALUES(1, 1, 'x'), (1, 2, 'x'), (2, 1, 'y')";
    let to = "INSERT INTO c VALUES(2, 'b', 'Bob')";
    let (stage, done) = restored(SHOP, from, to, |options| {
        options.scope = scope(&["o", "l"]);
        options.decisions.others = Some(OnMissing::Skip);
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "l"), [r#"l(2, 1, "y")"#]);
    assert_eq!(table(&done, "l").left_out.missing, 2);
    let (stage, done) = restored(SHOP, from, to, |options| {
        options.scope = scope(&["l"]);
        options.decisions.others = Some(OnMissing::Create);
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(all(&stage, "l").len(), 3);
    assert_eq!(all(&stage, "o").len(), 2);
    assert_eq!(all(&stage, "c").len(), 2);
}

#[test]
fn rows_are_chosen_by_expression_key_and_reference() {
    let from = "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'); INSERT INTO o VALUES(1, 1, 9), (2, 2, 8), (3, 1, 7);
        INSERT INTO l VALUES(1, 1, 'x'), (2, 1, 'y'), (3, 1, 'z')";
    let choose = |change: &dyn Fn(&mut Scope)| {
        let (stage, done) = restored(SHOP, from, "", |options| change(&mut options.scope));
        assert!(!done.is_stopped(), "{done:?}");
        [
            all(&stage, "c").len(),
            all(&stage, "o").len(),
            all(&stage, "l").len(),
        ]
    };
    let key = |table: &str, value: &str| KeyValue {
        table: table.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(
        choose(&|s| {
            s.tables = vec!["c".to_owned()];
            s.filter = Some("name LIKE 'b%'".to_owned());
        }),
        [1, 0, 0]
    );
    assert_eq!(choose(&|s| s.key_values = vec![key("c", "2")]), [1, 0, 0]);
    assert_eq!(
        choose(&|s| {
            s.key_values = vec![key("c", "1")];
            s.with_children = true;
        }),
        [1, 2, 2]
    );
    assert_eq!(
        choose(&|s| {
            s.key_values = vec![key("L", "3, 1")];
            s.with_parents = true;
        }),
        [1, 1, 1]
    );
    assert_eq!(
        choose(&|s| {
            s.tables = vec!["o".to_owned()];
            s.filter = Some("total > 7.5".to_owned());
            s.with_parents = true;
            s.with_children = true;
        }),
        // Their children, and then the parents of all of them, but not the parents' other children.
        [2, 2, 2]
    );
    assert_eq!(
        choose(&|s| s.excluded = vec!["l".to_owned(), "O".to_owned()]),
        [2, 0, 0]
    );
}

/// Declared for this restore: a key that is not UNIQUE, a reference that is none, a column's old name.
#[test]
fn what_is_declared_counts_as_if_the_database_said_so() {
    let mut stage = Stage::new();
    let source = stage.make(
        "from.db",
        "CREATE TABLE p(id INTEGER PRIMARY KEY, brand, title); CREATE TABLE s(id INTEGER PRIMARY KEY, product, amount);
         INSERT INTO p VALUES(1, 'x', 'flour'), (2, 'x', 'salt'); INSERT INTO s VALUES(1, 1, 5), (2, 2, 6)",
    );
    let snapshot = stage.back_up(&source);
    let to = stage.make(
        "to.db",
        "CREATE TABLE p(id INTEGER PRIMARY KEY, brand, name); CREATE TABLE s(id INTEGER PRIMARY KEY, product, amount);
         INSERT INTO p VALUES(1, 'x', 'salt'), (2, 'x', 'flour')",
    );
    let declare = |options: &mut RestoreOptions| {
        options.matching = Match::Natural;
        options.renames = vec![Rename {
            table: "p".to_owned(),
            old: "title".to_owned(),
            new: "name".to_owned(),
        }];
        options.keys = vec![DeclaredKey {
            table: "p".to_owned(),
            columns: vec!["brand".to_owned(), "name".to_owned()],
        }];
        options.references = vec![DeclaredReference {
            table: "s".to_owned(),
            column: "product".to_owned(),
            parent: "p".to_owned(),
            parent_column: "id".to_owned(),
        }];
    };
    let done = stage.restore_with(&snapshot, &to, declare);
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(rows(&to, "s"), ["s(1, 2, 5)", "s(2, 1, 6)"]);
    assert_eq!(rows(&to, "p").len(), 2);
    // Two rows of one declared key: nothing is guessed.
    stage.make(
        "to.db",
        "DELETE FROM s; INSERT INTO p VALUES(3, 'x', 'salt')",
    );
    let before = content(&to);
    let done = stage.restore_with(&snapshot, &to, declare);
    assert!(done.is_stopped());
    assert!(
        done.conflicts[0].reason.contains("several rows"),
        "{:?}",
        done.conflicts
    );
    assert_eq!(content(&to), before);
    // Left out, it is no target for what refers to it.
    let done = stage.restore_with(&snapshot, &to, |options| {
        declare(options);
        options.on_conflict = OnConflict::Skip;
        options.decisions.others = Some(OnMissing::Skip);
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(rows(&to, "s"), ["s(1, 2, 5)"]);
}

#[test]
fn deleted_rows_come_back_and_later_edits_stay() {
    let (stage, done) = restored(
        SHOP,
        "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'), (3, 'c', 'Cid'), (4, 'd', 'Dan')",
        "INSERT INTO c VALUES(2, 'b', 'Bobby'), (3, 'renamed', 'Cid'), (4, 'x', 'other'), (5, 'd', 'Dan')",
        |options| {
            options.scope = scope(&["c"]);
            options.deleted_only = true;
        },
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!(table(&done, "c").inserted, 1);
    assert_eq!(all(&stage, "c").len(), 5);
    assert_eq!(all(&stage, "c")[0], r#"c(1, "a", "Ada")"#);
}

/// Replacing chosen rows overwrites these, inserts missing ones, and deletes nothing.
#[test]
fn chosen_rows_are_replaced_one_by_one() {
    let (stage, done) = restored(
        SHOP,
        "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'), (3, 'c', 'Cid')",
        "INSERT INTO c VALUES(1, 'a', 'x'), (2, 'b', 'y'), (9, 'z', 'Zoe')",
        |options| {
            options.mode = Mode::Replace;
            options.scope = scope(&["c"]);
            options.scope.filter = Some("id <> 2".to_owned());
        },
    );
    assert!(!done.is_stopped(), "{done:?}");
    let c = table(&done, "c");
    assert_eq!((c.updated, c.inserted, c.deleted), (1, 1, 0));
    assert_eq!(
        all(&stage, "c"),
        [
            r#"c(1, "a", "Ada")"#,
            r#"c(2, "b", "y")"#,
            r#"c(3, "c", "Cid")"#,
            r#"c(9, "z", "Zoe")"#
        ]
    );
}

/// Values that swapped their unique keys go back, and rows that are equal are not written.
#[test]
fn a_replaced_table_may_have_swapped_its_keys() {
    let (stage, done) = restored(
        SHOP,
        "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'), (3, 'c', 'Cid')",
        "INSERT INTO c VALUES(1, 'b', 'Ada'), (2, 'a', 'Bob'), (3, 'c', 'Cid'), (4, 'd', 'Dan')",
        |options| options.mode = Mode::Replace,
    );
    assert!(!done.is_stopped(), "{done:?}");
    let c = table(&done, "c");
    assert_eq!((c.same, c.updated, c.deleted, c.inserted), (1, 2, 1, 0));
    assert_eq!(all(&stage, "c").len(), 3);
    assert_eq!(all(&stage, "c")[0], r#"c(1, "a", "Ada")"#);
}

/// Triggers do not fire; the full-text index that they keep is built anew, and by an undo again.
#[test]
fn a_full_text_index_follows_what_is_restored() {
    let schema = "CREATE TABLE n(id INTEGER PRIMARY KEY, body TEXT);
        CREATE VIRTUAL TABLE f USING fts5(body, content='n', content_rowid='id');
        CREATE TRIGGER n_ai AFTER INSERT ON n BEGIN INSERT INTO f(rowid, body) VALUES(new.id, new.body); END";
    let found = |stage: &Stage, word: &str| {
        let sql = format!("SELECT count(*) FROM f WHERE f MATCH '{word}'");
        super::stage::number(&stage.path("to.db"), &sql)
    };
    let (mut stage, done) = restored(
        schema,
        "INSERT INTO n VALUES(1, 'apple'), (2, 'pear')",
        "INSERT INTO n VALUES(1, 'apple')",
        |_| {},
    );
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!((found(&stage, "pear"), found(&stage, "apple")), (1, 1));
    assert!(
        done.findings
            .iter()
            .any(|f| f.subject == "f" && f.text.contains("built anew"))
    );
    let options = larder::ops::undo::UndoOptions {
        target: stage.path("to.db"),
        ..Default::default()
    };
    let (store, world) = (&mut stage.store, &stage.world);
    larder::ops::undo::run(store, world, &options, &mut larder::progress::NoProgress).unwrap();
    assert_eq!((found(&stage, "pear"), found(&stage, "apple")), (0, 1));
}

#[test]
fn a_forced_replacement_leaves_children_without_parents_and_says_so() {
    let from = "INSERT INTO c VALUES(1, 'a', 'Ada')";
    let to = "INSERT INTO c VALUES(1, 'a', 'Ada'), (2, 'b', 'Bob'); INSERT INTO o VALUES(1, 2, 3)";
    let only_customers = |options: &mut RestoreOptions| {
        options.mode = Mode::Replace;
        options.scope = scope(&["c"]);
    };
    let (stage, done) = restored(SHOP, from, to, only_customers);
    assert!(done.is_stopped());
    assert_eq!(table(&done, "o").conflicts, 1);
    assert_eq!(all(&stage, "c").len(), 2);
    let (stage, done) = restored(SHOP, from, to, |options| {
        only_customers(options);
        options.force = true;
    });
    assert!(!done.is_stopped(), "{done:?}");
    assert_eq!((all(&stage, "c").len(), all(&stage, "o").len()), (1, 1));
    assert!(
        done.findings.iter().any(|f| f.text.contains("forced")),
        "{:?}",
        done.findings
    );
}
