//! What `larder restore` and its neighbours say of the way on: each hint names a command or flag that works.

use crate::workplace::Workplace;

/// Customers and orders, with a snapshot `first`.
fn shop() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT, mail TEXT UNIQUE);
         CREATE TABLE orders(id INTEGER PRIMARY KEY,
             customer_id INTEGER NOT NULL REFERENCES customers(id), total REAL);
         INSERT INTO customers VALUES (1, 'Ada', 'ada@x'), (2, 'Bob', 'bob@x');
         INSERT INTO orders VALUES (1, 1, 1.5), (2, 1, 2.5), (3, 2, 3.5)",
    );
    place.ok(&["backup", "app.db", "--name", "first"]);
    place
}

fn to_app<'w>(more: &[&'w str]) -> Vec<&'w str> {
    [&["restore", "first", "--to", "app.db"], more].concat()
}

#[track_caller]
fn says(text: &str, said: &str) {
    assert!(text.contains(said), "not said: {said}\n{text}");
}

#[track_caller]
fn says_not(text: &str, said: &str) {
    assert!(!text.contains(said), "said: {said}\n{text}");
}

#[test]
fn a_place_where_decisions_cannot_be_saved_is_told_before_anything_is_done() {
    let place = shop();
    place.sql("app.db", "DELETE FROM orders");
    let run = place.code(1, &to_app(&["--save-decisions", "nosuch/d.json"]));
    says(
        &run.err,
        "the decisions cannot be saved in nosuch/d.json: no folder nosuch; nothing was done",
    );
    assert_eq!(place.count("app.db", "SELECT count(*) FROM orders"), 0);
    assert_eq!(place.ok(&["list", "--json"]).matches("\"name\"").count(), 1);
}

/// A name that is too long shows only when the file gets it.
#[test]
fn decisions_that_could_not_be_saved_leave_the_report_of_the_restore_as_it_is() {
    let place = shop();
    place.sql("app.db", "DELETE FROM orders");
    let name = "d".repeat(300);
    let run = place.code(3, &to_app(&["--save-decisions", &name]));
    says(&run.out, "Restored first");
    says(&run.err, "warning: ");
    says(&run.err, "the decisions are not saved: cannot write ");
    says_not(&run.err, ".tmp");
    assert_eq!(place.count("app.db", "SELECT count(*) FROM orders"), 3);
}

#[test]
fn what_is_not_in_the_snapshot_is_told_with_a_command_that_works() {
    let place = shop();
    let run = place.code(1, &to_app(&["--key-value", "orders=777"]));
    says(&run.err, " cat first:orders\n");
    std::fs::rename(place.path("backups"), place.path("kept")).unwrap();
    let run = place.code(
        1,
        &to_app(&["--key-value", "orders=777", "--store", "kept"]),
    );
    says(&run.err, " cat first:orders --store kept\n");
    let run = place.code(1, &to_app(&["-t", "nosuch", "--store", "kept"]));
    says(&run.err, " ls first --store kept\n");
    place.ok(&["cat", "first:orders", "--store", "kept"]);
}

#[test]
fn rows_that_have_other_values_are_told_with_what_shows_them_and_what_puts_them_back() {
    let place = shop();
    place.sql("app.db", "UPDATE orders SET total = 0");
    let said = "\n3 rows have other values: ";
    for more in [&["-t", "orders"][..], &["-t", "orders", "-n"]] {
        let out = place.ok(&to_app(more));
        says(&out, said);
        says(
            &out,
            " diff first app.db --table orders shows them; --mode replace puts them back, and deletes what came into \
             orders since\n",
        );
    }
    let out = place.ok(&to_app(&[]));
    says(&out, "; --table orders --mode replace puts them back");
    says(&out, "Nothing to restore of first (");
    says_not(&out, "Restored");
    let out = place.ok(&to_app(&["-t", "orders", "-t", "customers"]));
    says(&out, "deletes what came into orders, customers since");
    let out = place.ok(&to_app(&["--key-value", "orders=2"]));
    says(&out, "\n1 row has other values: ");
    says(
        &out,
        " diff first app.db --table orders --key-value 'orders=2' shows it; --mode replace puts it back\n",
    );
    says_not(&place.ok(&to_app(&["--deleted"])), "other values: ");
    let out = place.ok(&to_app(&["-t", "orders", "--mode", "replace"]));
    says_not(&out, "other values: ");
    assert_eq!(
        place.count("app.db", "SELECT count(*) FROM orders WHERE total > 0"),
        3
    );
}

#[test]
fn doubtful_records_are_told_with_what_decides_about_them() {
    let place = shop();
    place.sql("app.db", "UPDATE customers SET mail = 'new@x' WHERE id = 1");
    let said = "\n1 record is doubtful: --match id ";
    says(&place.ok(&to_app(&["-t", "customers"])), said);
    let out = place.ok(&to_app(&["-t", "customers", "--match", "id"]));
    says_not(&out, said);
    says(&out, "\n1 row has other values: ");
}

#[test]
fn a_renamed_column_is_told_with_the_flag_for_it() {
    let place = shop();
    place.sql(
        "app.db",
        "ALTER TABLE customers RENAME COLUMN name TO full_name",
    );
    let warned = place
        .code(3, &to_app(&["-n", "-m", "replace", "--force"]))
        .err;
    says(
        &warned,
        "(full_name is only there: was it renamed? if so: --rename customers.name=full_name)",
    );
    let run = place.code(2, &to_app(&["--rename", "customers.full_name=name"]));
    says(
        &run.err,
        "error: --rename customers.full_name=name: in the snapshot customers has no column \"full_name\"",
    );
    says(&run.err, "In the snapshot customers has: id, name, mail\n");
    place.ok(&to_app(&["-n", "--rename", "customers.name=full_name"]));
    place.sql(
        "app.db",
        "ALTER TABLE customers ADD COLUMN phone TEXT; ALTER TABLE customers ADD COLUMN \"a b\" TEXT",
    );
    let warned = place
        .code(3, &to_app(&["-n", "-m", "replace", "--force"]))
        .err;
    says(
        &warned,
        "(full_name, phone and a b are only there: was it renamed to one of them? if so: --rename customers.name=NEW)",
    );
}

#[test]
fn of_another_table_no_columns_are_told() {
    let place = shop();
    place.sql("app.db", "DROP TABLE orders; CREATE TABLE orders(a, b)");
    let run = place.code(5, &to_app(&["-n", "-t", "orders"]));
    says(&run.out, "it is another table");
    says_not(&run.err, "was it renamed");
}

#[test]
fn the_source_of_a_snapshot_is_named_where_it_is_another_database() {
    let place = shop();
    says_not(&place.ok(&to_app(&["-n"])), ", of ");
    std::fs::copy(place.path("app.db"), place.path("wrong.db")).unwrap();
    let source = place.path("app.db").canonicalize().unwrap();
    let of = format!(", of {}) to wrong.db", source.display());
    let restore = ["restore", "first", "--to", "wrong.db"];
    says(&place.ok(&[&restore[..], &["-n"]].concat()), &of);
    let run = place.code(0, &restore);
    says(&run.out, &of);
    says_not(&run.err, "none of its tables");
    place.sql("other.db", "CREATE TABLE x(a); INSERT INTO x VALUES (1)");
    let run = place.code(0, &["restore", "first", "--to", "other.db", "-n"]);
    let said = format!(
        "it is a snapshot of {}; none of its tables is in other.db\n",
        source.display()
    );
    says(&run.err, &said);
}

#[test]
fn an_export_is_restored_with_a_safety_snapshot_in_a_store_that_is_made_for_it() {
    let place = shop();
    place.ok(&["export", "first", "-o", "exported"]);
    std::fs::rename(place.path("backups"), place.path("kept")).unwrap();
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    let restore = ["restore", "exported", "--to", "app.db", "-m", "replace"];
    let plan = place.ok(&[&restore[..], &["-n"]].concat());
    says(
        &plan,
        "a safety snapshot of app.db goes to a new store ./backups first",
    );
    assert!(!place.path("backups").exists());
    let out = place.ok(&[&restore[..], &["--no-safety-snapshot"]].concat());
    says_not(&out, "created");
    assert!(!place.path("backups").exists());
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    says(&place.ok(&restore), "store ./backups created\n");
    place.ok(&["undo", "--to", "app.db"]);
    assert_eq!(place.count("app.db", "SELECT count(*) FROM orders"), 2);
    let plan = place.ok(&[&restore[..], &["-n"]].concat());
    says(&plan, "a safety snapshot of app.db is taken first");
}

#[cfg(unix)]
#[test]
fn a_database_behind_a_link_is_shown_with_its_own_size() {
    let place = shop();
    std::os::unix::fs::symlink("app.db", place.path("link.db")).unwrap();
    let out = place.ok(&["restore", "first", "--to", "link.db", "-n"]);
    says(&out, "to link.db (16.0 KiB)");
}

#[test]
fn a_store_that_is_not_there_is_told_with_how_one_is_named() {
    let place = shop();
    let run = place.code(10, &to_app(&["--store", "nosuch"]));
    says(
        &run.err,
        "Name the store with --store DIR or in LARDER_STORE.",
    );
}

#[test]
fn a_safety_snapshot_that_cannot_be_taken_is_called_so() {
    let place = shop();
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    std::fs::remove_dir(place.path("backups/tmp")).unwrap();
    std::fs::write(place.path("backups/tmp"), "in the way").unwrap();
    let run = place.code(1, &to_app(&[]));
    says(&run.err, "error: the safety snapshot cannot be taken: ");
    says(&run.err, "--no-safety-snapshot goes without it");
    assert_eq!(place.count("app.db", "SELECT count(*) FROM orders"), 2);
    place.ok(&to_app(&["--no-safety-snapshot"]));
}

#[test]
fn latest_of_too_few_snapshots_says_how_many_there_are() {
    let place = shop();
    let restore = ["restore", "latest~1", "--to", "app.db"];
    let run = place.code(1, &restore);
    let source = place.path("app.db").canonicalize().unwrap();
    says(
        &run.err,
        &format!("there is only 1 snapshot of {}\n", source.display()),
    );
    says_not(&run.err, "passes over");
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    place.ok(&to_app(&[]));
    says(&place.code(1, &restore).err, "latest passes over");
}

#[test]
fn a_source_is_named_by_a_path_from_here() {
    let place = shop();
    place.sql("other.db", "CREATE TABLE x(a)");
    place.ok(&["backup", "other.db"]);
    for name in ["app.db", "./app.db", "backups/../app.db"] {
        let words = [
            "restore",
            "latest",
            "--to",
            "new.db",
            "-n",
            "--source-name",
            name,
        ];
        says(&place.ok(&words), "first (snapshot ");
    }
}

#[test]
fn a_database_that_was_moved_is_told_how_to_undo() {
    let place = shop();
    place.sql("app.db", "DELETE FROM orders WHERE id = 2");
    place.ok(&to_app(&[]));
    std::fs::rename(place.path("app.db"), place.path("moved.db")).unwrap();
    let run = place.code(1, &["undo", "--to", "moved.db"]);
    says(&run.err, "moved or renamed");
    says(&run.err, " undo SNAP --to moved.db\n");
    let listed: serde_json::Value = serde_json::from_str(&place.ok(&["list", "--json"])).unwrap();
    let snapshots = listed["snapshots"].as_array().unwrap().iter();
    let mut after = snapshots.filter(|s| s["tags"][0] == "after-restore");
    let id = after.next().unwrap()["id"].as_str().unwrap();
    place.ok(&["undo", id, "--to", "moved.db"]);
    assert_eq!(place.count("moved.db", "SELECT count(*) FROM orders"), 2);
}

#[test]
fn a_key_that_neither_side_has_is_told() {
    let place = shop();
    let diff = |key: &str| place.ok(&["diff", "first", "app.db", "--key-value", key]);
    says(
        &diff("orders=777"),
        "orders: neither first nor app.db has a row with the key 777\n",
    );
    says_not(&diff("orders=1"), "neither");
    let out = place.ok(&[
        "diff",
        "first",
        "app.db",
        "--key-value",
        "orders=777",
        "--json",
    ]);
    says(&out, "\"absent\":[{\"key\":\"777\",\"table\":\"orders\"}]");
}

#[test]
fn decisions_that_are_not_needed_are_named() {
    let place = shop();
    let entry = "[{\"table\": \"orders\", \"columns\": [\"customer_id\"], \"parent\": \"customers\", \
         \"values\": [12], \"choice\": \"skip\"}]";
    std::fs::write(place.path("d.json"), entry).unwrap();
    let run = place.code(0, &to_app(&["-n", "--resolve", "d.json"]));
    says(&run.err, "1, not needed (orders.customer_id = 12)\n");
}

#[test]
fn why_a_reference_is_not_made_null_is_said() {
    let place = shop();
    place.sql("app.db", "DELETE FROM orders; DELETE FROM customers");
    let said = "  it cannot be null: orders.customer_id may not be NULL\n";
    let run = place.code(5, &to_app(&["-t", "orders", "--on-missing", "null"]));
    says(&run.out, said);
    let run = place.code(5, &to_app(&["-t", "orders"]));
    says_not(&run.out, said);
    let entry = "[{\"table\": \"orders\", \"columns\": [\"customer_id\"], \"parent\": \"customers\", \
         \"values\": [1], \"choice\": \"null\"}]";
    std::fs::write(place.path("d.json"), entry).unwrap();
    let run = place.code(2, &to_app(&["-t", "orders", "--resolve", "d.json"]));
    says(
        &run.err,
        "orders.customer_id = 1 cannot be carried out: it may not be NULL\n",
    );
}

#[test]
fn a_plan_for_a_place_where_nothing_can_be_made_fails_as_the_restore_does() {
    let place = shop();
    for more in [&[][..], &["-n"]] {
        let words = [&["restore", "first", "--to", "nosuch/x.db"], more].concat();
        says(&place.code(1, &words).err, "error: no folder nosuch\n");
    }
}
