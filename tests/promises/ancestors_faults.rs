//! What larder's ancestor got wrong, seen by running it, done right: each on a real database where there
//! is one, or made by hand. The ancestor's faults: a restore that lost records and said "complete", wrote
//! half, believed unchecked files, guessed, or made values anew.

use larder::ops::restore::{
    DeclaredKey, Match, Mode, OnConflict, OnMissing, RestoreOptions, Scope,
};

use super::stage::{Stage, content, corpus, differences, number, rows, table};

fn only(tables: &[&str]) -> Scope {
    Scope {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        ..Scope::default()
    }
}

/// It backed up 24 of 55 tables, without a word about the rest.
#[test]
fn every_table_is_backed_up() {
    let Some(day) = corpus("series/bake/day-15.db") else {
        return;
    };
    let mut stage = Stage::new();
    let from = stage.borrow(&day, "from.db");
    let snapshot = stage.back_up(&from);
    let tables = number(
        &from,
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    assert_eq!(snapshot.entities.len(), usize::try_from(tables).unwrap());
    assert_eq!(tables, 55);
    for entity in &snapshot.entities {
        let sql = format!("SELECT count(*) FROM \"{}\"", entity.entity);
        assert_eq!(
            entity.records,
            number(&from, &sql).unsigned_abs(),
            "{}",
            entity.entity
        );
    }
}

/// It said "Restore Complete" with 5 of 5 purchases missing.
#[test]
fn every_record_that_is_gone_comes_back_or_the_restore_says_why() {
    let Some(day) = corpus("series/bake/day-15.db") else {
        return;
    };
    let mut stage = Stage::new();
    let from = stage.borrow(&day, "from.db");
    let snapshot = stage.back_up(&from);
    let to = stage.borrow(&day, "to.db");
    stage.make(
        "to.db",
        "DELETE FROM purchases; DELETE FROM inventory_items WHERE id % 2 = 0",
    );
    let gone = number(&from, "SELECT count(*) FROM purchases").unsigned_abs();
    assert!(gone > 0);
    let done = stage.restore(&snapshot, &to, Mode::Add);
    assert_eq!(table(&done, "purchases").inserted, gone);
    assert_eq!(
        differences(&from, &to, "stats,sequence,order").unwrap_or_default(),
        ""
    );
}

/// A record that failed was logged, and the rest committed.
#[test]
fn nothing_is_written_where_one_record_fails() {
    let Some(day) = corpus("series/bake/day-15.db") else {
        return;
    };
    let mut stage = Stage::new();
    let from = stage.borrow(&day, "from.db");
    let snapshot = stage.back_up(&from);
    let to = stage.borrow(&day, "to.db");
    // One product's slug was given to another one meanwhile.
    stage.make(
        "to.db",
        "CREATE TEMP TABLE s AS SELECT id, slug FROM products WHERE slug IS NOT NULL ORDER BY id LIMIT 1;
         DELETE FROM products WHERE id = (SELECT id FROM s);
         UPDATE products SET slug = (SELECT slug FROM s) WHERE id = (SELECT max(id) FROM products);
         DELETE FROM purchases",
    );
    let before = content(&to);
    let stopped = stage.restore_with(&snapshot, &to, |_| {});
    assert!(stopped.is_stopped());
    assert_eq!(content(&to), before);
    // Left out, it is in the report, and so is what refers to it.
    let done = stage.restore_with(&snapshot, &to, |options| {
        options.on_conflict = OnConflict::Skip;
        options.decisions.others = Some(OnMissing::Skip);
    });
    assert!(
        !done.is_stopped(),
        "{:?} {:?}",
        done.conflicts,
        done.missing
    );
    let products = table(&done, "products");
    assert!(products.left_out.conflicting > 0, "{products:?}");
    assert!(!done.conflicts.is_empty());
    assert!(table(&done, "purchases").inserted > 0);
}

/// It did not look at checksums: with a file missing, half of the tables were cleared and committed.
#[test]
fn a_damaged_store_changes_nothing() {
    let Some(day) = corpus("series/bake/day-03.db") else {
        return;
    };
    for missing in [false, true] {
        let mut stage = Stage::new();
        let from = stage.borrow(&day, "from.db");
        let snapshot = stage.back_up(&from);
        let to = stage.borrow(&corpus("series/bake/day-15.db").unwrap(), "to.db");
        let before = content(&to);
        let packs = stage.path("store/packs");
        for folder in std::fs::read_dir(packs).unwrap() {
            for pack in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                let pack = pack.unwrap().path();
                if missing {
                    std::fs::remove_file(&pack).unwrap();
                } else {
                    let mut bytes = std::fs::read(&pack).unwrap();
                    let middle = bytes.len() / 3;
                    bytes[middle] ^= 1;
                    std::fs::write(&pack, bytes).unwrap();
                }
            }
        }
        stage.reopen();
        let options = RestoreOptions {
            target: to.clone(),
            mode: Mode::Replace,
            ..RestoreOptions::default()
        };
        let refused = larder::ops::restore::run(
            &mut stage.store,
            &stage.world,
            &snapshot,
            &options,
            &mut larder::ops::restore::NoDecider,
            &mut larder::progress::NoProgress,
        );
        assert!(refused.is_err(), "missing: {missing}");
        assert_eq!(content(&to), before);
    }
}

/// Stock rows came back on the wrong product: the key was ambiguous, and the first match won.
#[test]
fn an_ambiguous_key_is_a_conflict() {
    let mut stage = Stage::new();
    let schema = "CREATE TABLE products(id INTEGER PRIMARY KEY, brand, name);
        CREATE TABLE stock(id INTEGER PRIMARY KEY, product REFERENCES products, amount);";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO products VALUES(7, 'x', 'flour'); INSERT INTO stock VALUES(1, 7, 20)"),
    );
    let snapshot = stage.back_up(&from);
    let to = stage.make(
        "to.db",
        &format!("{schema} INSERT INTO products VALUES(1, 'x', 'flour'), (2, 'x', 'flour')"),
    );
    let done = stage.restore_with(&snapshot, &to, |options| {
        options.matching = Match::Natural;
        options.keys = vec![DeclaredKey {
            table: "products".to_owned(),
            columns: vec!["brand".to_owned(), "name".to_owned()],
        }];
    });
    assert!(done.is_stopped());
    assert_eq!(done.conflicts[0].rows.len(), 2, "both rows are named");
    assert!(rows(&to, "stock").is_empty());
}

/// Replace failed on a later day: tables that it did not know of held references.
#[test]
fn references_from_outside_are_listed_before_anything_is_replaced() {
    let (Some(then), Some(now)) = (
        corpus("series/bake/day-03.db"),
        corpus("series/bake/day-15.db"),
    ) else {
        return;
    };
    let mut stage = Stage::new();
    let (from, to) = (stage.borrow(&then, "from.db"), stage.borrow(&now, "to.db"));
    let snapshot = stage.back_up(&from);
    let before = content(&to);
    let planned = stage.restore_with(&snapshot, &to, |options| {
        options.mode = Mode::Replace;
        options.scope = only(&["products"]);
    });
    assert!(planned.is_stopped());
    let outside: Vec<&str> = planned
        .conflicts
        .iter()
        .map(|conflict| conflict.table.as_str())
        .collect();
    assert!(
        outside.iter().any(|table| *table != "products"),
        "{outside:?}"
    );
    assert_eq!(content(&to), before);
    // With all tables there is no outside.
    let done = stage.restore_with(&snapshot, &to, |options| options.mode = Mode::Replace);
    assert!(!done.is_stopped(), "{:?}", done.conflicts);
    assert_eq!(
        differences(&from, &to, "schema,order,pragmas,stats,sequence").unwrap_or_default(),
        ""
    );
}

/// Timestamps and uuids were made anew.
#[test]
fn every_stored_column_is_written_as_it_was() {
    let Some(day) = corpus("series/bake/day-15.db") else {
        return;
    };
    let mut stage = Stage::new();
    let from = stage.borrow(&day, "from.db");
    let snapshot = stage.back_up(&from);
    let to = stage.borrow(&day, "to.db");
    stage.make(
        "to.db",
        "DELETE FROM suppliers; DELETE FROM purchases; DELETE FROM products WHERE id % 3 = 0",
    );
    let done = stage.restore_with(&snapshot, &to, |_| {});
    assert!(!done.is_stopped(), "{:?}", done.conflicts);
    for name in ["suppliers", "purchases", "products"] {
        assert_eq!(
            rows(&to, name),
            rows(&from, name),
            "created_at, updated_at, uuid of {name}"
        );
    }
}
