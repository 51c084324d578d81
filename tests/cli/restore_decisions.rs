//! Decisions about missing records, in files.

use serde_json::{Value, json};

use crate::workplace::{Run, Workplace};

/// Customers and orders, a snapshot of both, and then customers 12 and 13 with their orders gone.
pub fn shop() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
         CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), total REAL);
         INSERT INTO customers VALUES (12, 'Ada Klein', 'ada@example.org'), (13, 'Otto Groß', NULL),
           (40, 'Ada Klein-Berg', 'berg@example.org'), (71, 'Max Klein', 'max@example.org');
         INSERT INTO orders VALUES (5, 12, 1.5), (9, 12, 2), (31, 12, 3), (32, 13, 4), (33, 40, 5)",
    );
    place.ok(&["backup", "app.db"]);
    place.sql(
        "app.db",
        "DELETE FROM orders WHERE customer_id < 40; DELETE FROM customers WHERE id < 40",
    );
    place
}

pub const ORDERS: &str = "SELECT count(*) FROM orders";
const OF_12: &str = "SELECT count(*) FROM orders WHERE customer_id = 12";

/// Restores the orders alone: their customers are missing.
pub const ORDERS_ALONE: [&str; 6] = ["restore", "latest", "--to", "app.db", "--table", "orders"];

fn orders(place: &Workplace, code: i32, more: &[&str]) -> Run {
    place.code(code, &[&ORDERS_ALONE[..], more].concat())
}

fn saved(place: &Workplace, name: &str) -> Value {
    let text = std::fs::read_to_string(place.path(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_file_that_is_not_there_or_not_understood_is_named() {
    let place = Workplace::backed_up();
    let resolve = |file: &str| {
        let words = ["restore", "latest", "--to", "app.db", "--resolve", file];
        place.code(2, &words).err
    };
    let err = resolve("no.json");
    assert!(
        err.contains("no file no.json") && err.contains("--save-decisions"),
        "{err}"
    );
    let write = |text: &str| std::fs::write(place.path("d.json"), text).unwrap();
    write("[{\"table\": \"t\",\n\"why\": 1}]");
    let err = resolve("d.json");
    assert!(
        err.contains("d.json: entry 1: unknown field `why`") && err.contains("line 2"),
        "{err}"
    );
    let entry = json!([{"table": "orders", "columns": ["customer_id"], "parent": "customers",
        "values": [12], "choice": null}]);
    write(&entry.to_string());
    let err = resolve("d.json");
    assert!(
        err.contains("orders.customer_id refers to customers 12"),
        "{err}"
    );
}

#[test]
fn a_file_of_decisions_is_never_written_over_but_by_itself() {
    let place = shop();
    let to_app = |more: &[&str]| {
        let words = [&["restore", "latest", "--to", "app.db"], more].concat();
        place.run(&words)
    };
    std::fs::write(place.path("other.txt"), "mine").unwrap();
    let run = to_app(&["--save-decisions", "other.txt"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err
            .contains("other.txt exists already; nothing was done"),
        "{}",
        run.err
    );
    assert_eq!(
        std::fs::read_to_string(place.path("other.txt")).unwrap(),
        "mine"
    );
    let entry = json!({"table": "orders", "columns": ["customer_id"], "parent": "customers",
        "values": [12], "choice": "map", "to": [40]});
    std::fs::write(place.path("d.json"), json!([entry]).to_string()).unwrap();
    let run = to_app(&["-n", "--resolve", "d.json", "--save-decisions", "d.json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.contains("note: d.json: 1 decision saved"),
        "{}",
        run.err
    );
    assert_eq!(saved(&place, "d.json"), json!([entry]));
}

#[test]

fn missing_records_stop_a_restore_and_are_saved_as_a_template_that_can_be_filled_in() {
    let place = shop();
    let run = orders(&place, 5, &["--save-decisions", "d.json"]);
    assert!(
        run.out
            .contains("missing: orders.customer_id refers to customers 12"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("Nothing was written: 2 missing records."),
        "{}",
        run.out
    );
    assert!(run.err.contains("2 to be filled in"), "{}", run.err);
    assert_eq!(place.count("app.db", ORDERS), 1);
    let mut entries = saved(&place, "d.json");
    assert_eq!(entries[0]["choice"], Value::Null);
    let err = orders(&place, 2, &["--resolve", "d.json"]).err;
    assert!(err.contains("2 of 2 not decided yet"), "{err}");
    entries[0]["choice"] = json!("map");
    entries[0]["to"] = json!([40]);
    entries[1]["choice"] = json!("skip");
    std::fs::write(place.path("d.json"), entries.to_string()).unwrap();
    orders(
        &place,
        0,
        &["--resolve", "d.json", "--save-decisions", "e.json"],
    );
    assert_eq!(place.count("app.db", ORDERS), 4);
    assert_eq!(place.count("app.db", OF_12), 0);
    assert_eq!(saved(&place, "e.json"), entries);
}

#[test]

fn a_dry_run_writes_the_template_and_nothing_else() {
    let place = shop();
    orders(&place, 5, &["-n", "--save-decisions", "d.json"]);
    assert_eq!(saved(&place, "d.json").as_array().unwrap().len(), 2);
    assert_eq!(place.count("app.db", ORDERS), 1);
}

#[test]

fn one_answer_for_all_needs_no_file() {
    for (answer, count, customers) in [("create", 5, 4), ("skip", 1, 2), ("null", 5, 2)] {
        let place = shop();
        orders(&place, 0, &["--on-missing", answer]);
        assert_eq!(place.count("app.db", ORDERS), count, "{answer}");
        let all = "SELECT count(*) FROM customers";
        assert_eq!(place.count("app.db", all), customers, "{answer}");
    }
}
