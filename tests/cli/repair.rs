//! `larder repair`: as the program says it, and what scripts get.

use serde_json::Value;

use crate::workplace::{Workplace, files};

/// A store with a pack of more than 1 MiB, and a copy of it.
fn place() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
           INSERT INTO a SELECT i, randomblob(15000) FROM n;",
    );
    place.ok(&["backup", "app.db", "--name", "first"]);
    place.ok(&["copy", "--to", "other"]);
    place
}

/// Changes bytes of the largest pack of the store.
fn damage(place: &Workplace, range: std::ops::Range<usize>) {
    let found = files(&place.path("backups/packs"), "");
    let largest = found
        .into_iter()
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    bytes[range].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::remove_file(&largest).unwrap();
    std::fs::write(&largest, bytes).unwrap();
}

fn document(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn damage_within_parity_is_healed_with_exit_code_0() {
    let place = place();
    let nothing = place.ok(&["repair"]);
    assert!(nothing.starts_with("Nothing to repair in "), "{nothing}");
    assert_eq!(document(&place.ok(&["repair", "--json"]))["clean"], true);
    damage(&place, 500_000..501_000);
    let told = place.code(4, &["validate"]).out;
    let advice = " repair (the damaged pack has parity)\n";
    assert!(told.contains(advice), "{told}");
    let planned = place.ok(&["repair", "-n"]);
    assert!(
        planned.contains("its parity makes it whole; would be removed"),
        "{planned}"
    );
    assert!(
        planned.contains("Nothing was written (dry run)"),
        "{planned}"
    );
    place.code(4, &["validate"]);
    let done = place.ok(&["repair", "--no-source"]);
    assert!(
        done.contains("its parity makes it whole; removed"),
        "{done}"
    );
    assert!(done.contains("from parity"), "{done}");
    assert!(done.contains("nothing is lost"), "{done}");
    place.ok(&["validate"]);
    place.ok(&["restore", "latest", "--to", "restored.db"]);
    let count = "SELECT count(*) FROM a";
    assert_eq!(place.count("restored.db", count), 100);
    assert!(place.ok(&["repair"]).starts_with("Nothing to repair"));
}

#[test]
fn what_is_lost_is_named_with_exit_code_4_until_another_store_or_the_database_heals_it() {
    let place = place();
    place.sql("app.db", "UPDATE a SET x = x'00' WHERE id < 51");
    damage(&place, 100_000..400_000);
    let lost = place.code(4, &["repair"]);
    assert!(lost.out.contains("lost: pack "), "{}", lost.out);
    assert!(lost.out.contains("  affects a, "), "{}", lost.out);
    assert!(lost.out.contains("--from"), "{}", lost.out);
    let again = document(&place.code(4, &["repair", "--json"]).out);
    assert_eq!(again["healed"].as_array().unwrap().len(), 0);
    assert!(!again["lost"].as_array().unwrap().is_empty());
    assert_eq!(again["damaged"][0]["removed"], false);
    let quiet = place.code(4, &["repair", "--quiet"]).out;
    assert!(quiet.starts_with("lost: "), "{quiet}");
    let healed = document(&place.ok(&["repair", "--json", "--from", "other"]));
    assert_eq!(healed["healed"][0]["way"], "store");
    assert_eq!(healed["damaged"][0]["removed"], true);
    assert!(healed["removed"]["count"] == 1, "{healed}");
    place.ok(&["validate"]);
}

#[test]
fn a_store_without_a_config_is_repaired_and_a_folder_that_is_none_is_not() {
    let place = place();
    std::fs::remove_file(place.path("backups/config")).unwrap();
    place.code(10, &["list"]);
    let done = place.ok(&["repair"]);
    assert!(done.contains("config: it is gone: made anew"), "{done}");
    place.ok(&["validate"]);
    place.code(10, &["repair", "--store", "nowhere"]);
    std::fs::create_dir(place.path("empty")).unwrap();
    place.code(10, &["repair", "empty"]);
    place.code(2, &["repair", "--from"]);
}
