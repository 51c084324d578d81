//! What a restore is asked for by name is there, and means one thing: else that is said, and nothing is
//! written.

use larder::error::{Error, SelectError};
use larder::ops::restore::{
    self, Choice, Decision, Decisions, DeclaredKey, KeyValue, NoDecider, Rename, RestoreOptions,
    RestoreOutcome, Scope,
};
use larder::progress::{NoProgress, Severity};
use larder::target::TargetError;

use super::stage::{Stage, content, rows, table};

const SHOP: &str = "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, region INTEGER REFERENCES regions(id));
    CREATE TABLE regions(id INTEGER PRIMARY KEY, title TEXT);
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers(id), total);
    INSERT INTO customers VALUES(1, 'Ada', NULL), (2, 'Ben', NULL);
    INSERT INTO orders VALUES(1, 1, 10), (2, 9, 20);";

/// Restores into a copy that lost its orders and, by its text, the foreign key's target.
fn shop(change: impl FnOnce(&mut RestoreOptions)) -> (Stage, Result<RestoreOutcome, Error>) {
    let mut stage = Stage::new();
    let path = stage.make("a.db", SHOP);
    let snapshot = stage.back_up(&path);
    stage.make(
        "a.db",
        "DELETE FROM orders; DELETE FROM customers WHERE id = 1",
    );
    let before = content(&path);
    let mut options = RestoreOptions {
        target: path.clone(),
        ..RestoreOptions::default()
    };
    change(&mut options);
    let done = restore::run(
        &mut stage.store,
        &stage.world,
        &snapshot,
        &options,
        &mut NoDecider,
        &mut NoProgress,
    );
    if done.is_err() {
        assert_eq!(content(&path), before);
    }
    (stage, done)
}

fn of(table: &str) -> Scope {
    Scope {
        tables: vec![table.to_owned()],
        ..Scope::default()
    }
}

fn key(table: &str, value: &str) -> KeyValue {
    KeyValue {
        table: table.to_owned(),
        value: value.to_owned(),
    }
}

#[test]
fn a_key_that_no_record_has_is_an_error_and_one_of_several_is_told() {
    let (_, done) = shop(|options| options.scope.key_values = vec![key("orders", "77")]);
    assert!(matches!(
        done.unwrap_err(),
        Error::Select(SelectError::NoRecord { keys, .. }) if keys == ["77"]
    ));
    let (stage, done) = shop(|options| {
        options.scope.key_values = vec![key("customers", "1"), key("customers", "77")];
    });
    let done = done.unwrap();
    assert_eq!(table(&done, "customers").inserted, 1);
    assert_eq!(rows(&stage.path("a.db"), "customers").len(), 2);
    let told = done.findings.iter().find(|f| f.text.contains("77"));
    assert_eq!(told.unwrap().severity, Severity::Warning);
}

#[test]
fn an_expression_that_fits_no_record_is_told() {
    let (_, done) = shop(|options| {
        options.scope = of("orders");
        options.scope.filter = Some("total > 1000 -- dear".to_owned());
    });
    let done = done.unwrap();
    assert!(
        done.findings.iter().any(|f| f.text.contains("--where")),
        "{:?}",
        done.findings
    );
    assert_eq!(table(&done, "orders").inserted, 0);
}

#[test]
fn a_column_gets_its_values_from_one_column() {
    let rename = |old: &str, new: &str| Rename {
        table: "customers".to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
    };
    for renames in [
        vec![rename("name", "region")],
        vec![rename("name", "region"), rename("region", "region")],
        vec![rename("name", "id"), rename("region", "id")],
    ] {
        let (_, done) = shop(|options| {
            options.scope = of("customers");
            options.renames.clone_from(&renames);
        });
        assert!(
            matches!(done, Err(Error::Target(TargetError::BadRename { .. }))),
            "{renames:?}: {done:?}"
        );
    }
    // Two that change places are one to one.
    let (stage, done) = shop(|options| {
        options.scope = of("customers");
        options.renames = vec![rename("name", "region"), rename("region", "name")];
        options.dry_run = true;
    });
    assert!(!matches!(
        done,
        Err(Error::Target(TargetError::BadRename { .. }))
    ));
    drop(stage);
}

fn decide(columns: &[&str], parent: &str, value: i64, choice: Choice) -> Decisions {
    Decisions {
        single: vec![Decision {
            table: "orders".to_owned(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            parent: parent.to_owned(),
            values: vec![larder::model::value::Value::Integer(value)],
            choice,
        }],
        others: None,
    }
}

fn refusal(decisions: Decisions) -> String {
    let (_, done) = shop(|options| {
        options.scope = of("orders");
        options.decisions = decisions;
    });
    match done {
        Err(Error::Target(TargetError::BadDecision { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_decision_that_cannot_be_carried_out_is_refused_with_its_reason() {
    use larder::model::value::Value;
    let row = |pairs: &[(&str, Value)]| {
        let pairs = pairs.iter().map(|(c, v)| ((*c).to_owned(), v.clone()));
        Choice::Create(pairs.collect())
    };
    let text = |t: &str| Value::Text(t.as_bytes().to_vec());
    let create = |choice| refusal(decide(&["customer"], "customers", 1, choice));
    let skip = |columns: &[&str], parent: &str| refusal(decide(columns, parent, 1, Choice::Skip));
    assert!(skip(&["custmer"], "customers").contains("no reference of its columns"));
    assert!(skip(&["customer"], "custmers").contains("no table custmers"));
    assert!(create(row(&[("nam", text("x"))])).contains("no column \"nam\""));
    assert!(
        create(row(&[("id", Value::Integer(3)), ("name", text("x"))])).contains("given already")
    );
    assert!(create(row(&[("region", Value::Null)])).contains("needs a value for name"));
    let nowhere = row(&[("name", text("x")), ("region", Value::Integer(5))]);
    assert!(create(nowhere).contains("refers to regions 5"));
    let map = refusal(decide(
        &["customer"],
        "customers",
        1,
        Choice::Map(vec![Value::Integer(8)]),
    ));
    assert!(map.contains("does not exist"), "{map}");
}

#[test]
fn decisions_about_what_is_not_missing_are_told_apart() {
    let (_, done) = shop(|options| {
        options.scope = of("orders");
        options.decisions = decide(&["customer"], "customers", 1, Choice::Skip);
        options
            .decisions
            .single
            .extend(decide(&["customer"], "customers", 2, Choice::Skip).single);
    });
    let done = done.unwrap();
    assert_eq!(done.decisions.len(), 1);
    assert!(done.findings.iter().any(|f| f.text.contains("not needed")));
}

#[test]
fn a_table_of_the_same_name_and_other_columns_is_a_conflict() {
    let mut stage = Stage::new();
    let path = stage.make("a.db", "CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 2)");
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DROP TABLE t; CREATE TABLE t(x DEFAULT 5)");
    let done = stage.restore_with(&snapshot, &path, |_| {});
    assert!(done.is_stopped());
    assert!(done.conflicts[0].reason.contains("another table"));
}

#[test]
fn records_that_share_a_declared_key_are_told() {
    let mut stage = Stage::new();
    let path = stage.make(
        "a.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, brand, note);
        INSERT INTO t VALUES(1, 'x', 'first'), (2, 'x', 'second'), (3, 'y', 'other')",
    );
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DELETE FROM t");
    let done = stage.restore_with(&snapshot, &path, |options| {
        options.matching = restore::Match::Natural;
        options.keys = vec![DeclaredKey {
            table: "t".to_owned(),
            columns: vec!["brand".to_owned()],
        }];
    });
    assert_eq!(table(&done, "t").inserted, 2);
    assert!(
        done.findings
            .iter()
            .any(|f| f.text.contains("in the snapshot itself: 1"))
    );
}

/// A full-text index over a restored table is built anew: nothing of it is missing.
#[test]
fn an_index_that_is_built_anew_is_no_warning() {
    let mut stage = Stage::new();
    let path = stage.make(
        "a.db",
        "CREATE TABLE notes(id INTEGER PRIMARY KEY, body);
        CREATE VIRTUAL TABLE found USING fts5(body, content='notes', content_rowid='id');
        INSERT INTO notes VALUES(1, 'apples'); INSERT INTO found(found) VALUES('rebuild')",
    );
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DELETE FROM notes");
    let done = stage.restore_with(&snapshot, &path, |_| {});
    let warnings = done
        .findings
        .iter()
        .filter(|f| f.severity == Severity::Warning);
    assert_eq!(warnings.count(), 0, "{:?}", done.findings);
}
