//! What `larder restore` and `larder undo` say where words cannot be meant, where something is in the way,
//! and of what they make: each with what to do now.

use crate::workplace::Workplace;

/// A shop with a snapshot: customers, orders that refer to them, and their items.
fn shop() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, mail TEXT UNIQUE);
         CREATE TABLE orders(id INTEGER PRIMARY KEY,
             customer_id INTEGER NOT NULL REFERENCES customers(id), total REAL);
         CREATE TABLE items(order_id INTEGER REFERENCES orders(id), n INTEGER, what TEXT,
             PRIMARY KEY(order_id, n));
         CREATE INDEX items_what ON items(what);
         CREATE VIEW all_items AS SELECT * FROM items;
         INSERT INTO customers VALUES (1, 'Ada', 'ada@x'), (2, 'Bob', 'bob@x');
         INSERT INTO orders VALUES (1, 1, 1.5), (2, 1, 2.5), (3, 2, 3.5);
         INSERT INTO items VALUES (1, 1, 'a'), (1, 2, 'b'), (3, 1, 'c')",
    );
    place.ok(&["backup", "app.db", "--name", "first"]);
    place
}

fn to_app<'w>(more: &[&'w str]) -> Vec<&'w str> {
    [&["restore", "first", "--to", "app.db"], more].concat()
}

#[test]
fn tables_that_are_not_restored_are_not_counted() {
    let place = shop();
    let out = place.ok(&to_app(&["-t", "orders"]));
    assert!(out.starts_with("  1 table unchanged\n"), "{out}");
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    let out = place.ok(&to_app(&["-t", "orders"]));
    assert!(!out.contains("unchanged"), "{out}");
    let out = place.ok(&to_app(&["-t", "orders", "--json"]));
    assert!(!out.contains("\"table\":\"customers\""), "{out}");
    let out = place.ok(&to_app(&[]));
    assert!(out.starts_with("  3 tables unchanged\n"), "{out}");
}

#[test]
fn a_database_in_place_of_a_snapshot_is_told_with_the_command_that_is_meant() {
    let place = shop();
    let run = place.code(2, &["restore", "app.db", "latest"]);
    assert!(run.err.contains("latest is one too many"), "{}", run.err);
    assert!(
        run.err.contains("restore latest --to app.db"),
        "{}",
        run.err
    );
    let run = place.code(1, &["restore", "app.db", "--to", "x.db"]);
    assert!(
        run.err.contains("app.db is a file, and no snapshot"),
        "{}",
        run.err
    );
    assert!(
        run.err.contains("restore latest --to app.db"),
        "{}",
        run.err
    );
    for word in ["latest", "latest~1", "backup_20261123_211530"] {
        let run = place.code(2, &["restore", "first", "--to", word]);
        assert!(run.err.contains("is a word for a snapshot"), "{}", run.err);
        assert!(!place.path(word).exists());
    }
    place.ok(&["restore", "first", "--to", "./latest"]);
}

#[test]
fn an_undo_in_nothing_makes_nothing() {
    let place = shop();
    let run = place.code(1, &["undo", "--to", "nosuch.db"]);
    assert!(run.err.contains("no file nosuch.db"), "{}", run.err);
    assert!(!place.path("nosuch.db").exists());
    let run = place.code(2, &["undo", "app.db"]);
    assert!(run.err.contains("undo --to app.db"), "{}", run.err);
    let run = place.code(1, &["undo", "--to", "backups"]);
    assert!(
        run.err.contains("backups is a folder, and no database"),
        "{}",
        run.err
    );
}

#[test]
fn an_expression_that_is_none_is_told_with_what_is_wrong() {
    let place = shop();
    let wrong = |expression: &str, said: &str| {
        let run = place.code(2, &to_app(&["-t", "orders", "--where", expression]));
        assert!(run.err.contains(said), "{expression}: {}", run.err);
    };
    wrong("", "--where is empty");
    wrong("  ", "--where is empty");
    for expression in ["id > (1", "id > 1)", "total = 'x", "1) OR (1"] {
        wrong(expression, "bracket or quote");
    }
    wrong("nope > 1", "no such column: nope");
}

#[test]
fn a_key_of_too_few_or_too_many_parts_is_told_with_its_columns() {
    let place = shop();
    for (key, given) in [("items=1", "1"), ("items=1,2,3", "3")] {
        let run = place.code(2, &to_app(&["--key-value", key]));
        let said = format!("its key is (order_id, n): 2 values with commas between, not {given}");
        assert!(run.err.contains(&said), "{}", run.err);
    }
}

#[test]
fn records_that_were_chosen_and_are_not_there_are_told() {
    let place = shop();
    let note = |code: i32, more: &[&str], said: &str| {
        let run = place.code(code, &to_app(more));
        assert!(run.err.contains(said), "{more:?}: {}", run.err);
    };
    note(
        1,
        &["--key-value", "orders=77"],
        "has no record with the key 77",
    );
    note(
        3,
        &["--key-value", "orders=77", "--key-value", "orders=1"],
        "the snapshot has no record with the key 77",
    );
    note(
        0,
        &["-t", "orders", "--where", "total > 100"],
        "no record of which --where is true",
    );
    let run = place.code(0, &to_app(&["--key-value", "orders=1"]));
    assert_eq!(run.err, "");
}

#[test]
fn what_the_settings_file_names_and_does_not_exist_is_told_with_its_line() {
    let place = shop();
    for (code, text, said) in [
        (
            1,
            "[keys]\n\nnope = [\"x\"]\n",
            "larder.toml line 3: no entity \"nope\"",
        ),
        (
            2,
            "[keys]\norders = [\"nope\"]\n",
            "larder.toml line 2: a declared key: orders has no column \"nope\"",
        ),
        (
            2,
            "[references]\n\"orders.no\" = \"customers.id\"\n",
            "larder.toml line 2: a declared reference: orders has no",
        ),
        (
            1,
            "[references]\n\"orders.total\" = \"nope.id\"\n",
            "larder.toml line 2: no entity \"nope\"",
        ),
    ] {
        std::fs::write(place.path("larder.toml"), text).unwrap();
        let run = place.code(code, &to_app(&["-n"]));
        assert!(run.err.contains(said), "{text}: {}", run.err);
    }
}

#[test]
fn a_decision_of_a_wrong_shape_is_named() {
    let place = shop();
    for (choice, said) in [
        (
            "\"choice\": \"map\", \"to\": 1",
            "entry 1 (orders.customer_id refers to customers 1): \"to\" is 1; it must be a list of 1 value",
        ),
        (
            "\"choice\": \"map\", \"to\": [1, 2]",
            "\"to\" is [1,2]; it must be a list of 1 value",
        ),
        (
            "\"choice\": \"nope\"",
            "entry 1 (orders.customer_id): unknown variant `nope`",
        ),
    ] {
        let text = format!(
            "[{{\"table\": \"orders\", \"columns\": [\"customer_id\"], \"parent\": \"customers\", \"values\": [1], {choice}}}]"
        );
        std::fs::write(place.path("d.json"), text).unwrap();
        let run = place.code(2, &to_app(&["--resolve", "d.json"]));
        assert!(run.err.contains(said), "{choice}: {}", run.err);
    }
    std::fs::write(place.path("d.json"), "{}").unwrap();
    let run = place.code(2, &to_app(&["--resolve", "d.json"]));
    assert!(
        run.err.contains("it must hold a list of decisions"),
        "{}",
        run.err
    );
}

/// The row of that key is there: that it is "missing" would be a lie.
#[test]
fn what_refers_to_a_record_in_conflict_is_told_so() {
    let place = shop();
    place.sql(
        "app.db",
        "UPDATE customers SET mail = 'new@x' WHERE id = 1;
         UPDATE customers SET mail = 'ada@x' WHERE id = 2;
         DELETE FROM items WHERE order_id = 1;
         DELETE FROM orders WHERE id = 1",
    );
    let run = place.code(5, &to_app(&["--on-conflict", "skip"]));
    let said = "refers to customers 1, whose record in the snapshot is in conflict with app.db";
    assert!(run.out.contains(said), "{}", run.out);
    assert!(!run.out.contains("--on-missing create"), "{}", run.out);
    assert!(run.out.contains("--on-missing skip"), "{}", run.out);
    place.ok(&to_app(&["--on-conflict", "skip", "--on-missing", "skip"]));
}

#[test]
fn a_view_that_is_in_the_way_is_called_a_view() {
    let place = shop();
    place.sql(
        "app.db",
        "DROP VIEW all_items; DROP TABLE items; CREATE VIEW items AS SELECT 1",
    );
    let run = place.code(5, &to_app(&[]));
    let said =
        "conflict: table items: the database has a view of this name, so it cannot be made\n";
    assert!(run.out.contains(said), "{}", run.out);
    assert!(run.out.contains("--exclude-table items"), "{}", run.out);
    assert!(!run.out.contains("--on-conflict"), "{}", run.out);
    place.ok(&to_app(&["--exclude-table", "items"]));
}

#[test]
fn what_the_database_lacks_and_is_made_is_told_in_the_plan_and_in_the_report() {
    let place = shop();
    place.sql("app.db", "DROP VIEW all_items; DROP TABLE items");
    let made = "table items; index items_what; view all_items\n";
    let plan = place.ok(&to_app(&["-n"]));
    let said = format!("\n  to be made, the database lacks them: {made}");
    assert!(plan.contains(&said), "{plan}");
    let out = place.ok(&to_app(&[]));
    assert!(out.contains(&format!("\n  made: {made}")), "{out}");
    assert!(!place.ok(&to_app(&[])).contains("made: "));
}

#[test]
fn columns_that_only_one_side_has_are_told_with_what_becomes_of_them() {
    let place = shop();
    place.sql(
        "app.db",
        "ALTER TABLE orders ADD COLUMN state TEXT DEFAULT 'open';
         ALTER TABLE orders DROP COLUMN total;
         DELETE FROM items WHERE order_id = 3; DELETE FROM orders WHERE id = 3",
    );
    let run = place.code(3, &to_app(&["-n"]));
    assert!(
        run.err
            .contains("note: orders: the snapshot has no state: 1 new row gets its default\n"),
        "{}",
        run.err
    );
    let said = "no column total: 1 value of it is not restored (state is only there: was it renamed? if so: --rename orders.total=state)";
    assert!(run.err.contains(said), "{}", run.err);
    let run = place.code(3, &to_app(&["-n", "-t", "orders", "-m", "replace"]));
    let said =
        "the snapshot has no state: all 3 rows are written anew; state gets its default in them";
    assert!(run.err.contains(said), "{}", run.err);
}

/// What a page that is not one makes of the database is told, and a way that does not need it.
#[test]
fn a_damaged_database_is_not_restored_into_and_a_new_file_is_suggested() {
    let place = shop();
    let mut bytes = std::fs::read(place.path("app.db")).unwrap();
    let pages = bytes.len() / 4096;
    for page in 1..pages {
        bytes[page * 4096..page * 4096 + 200].fill(0xff);
    }
    std::fs::write(place.path("app.db"), &bytes).unwrap();
    for more in [&[][..], &["-n"]] {
        let run = place.code(4, &to_app(more));
        assert!(
            run.err.contains("error: app.db is damaged: "),
            "{}",
            run.err
        );
        assert!(
            run.err.contains("Restore into a new file: --to "),
            "{}",
            run.err
        );
        assert!(run.err.contains("backup app.db"), "{}", run.err);
    }
    assert_eq!(std::fs::read(place.path("app.db")).unwrap(), bytes);
    std::fs::write(place.path("note.txt"), "hello").unwrap();
    let run = place.code(1, &["restore", "first", "--to", "note.txt"]);
    assert!(
        run.err.contains("note.txt is not a SQLite database"),
        "{}",
        run.err
    );
}
