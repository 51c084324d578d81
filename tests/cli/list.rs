//! `larder list`.

use serde_json::Value;

use crate::workplace::Workplace;

#[test]
fn snapshots_are_listed_newest_first() {
    let place = Workplace::backed_up();
    place.ok(&["backup", "app.db", "--name", "second", "--tag", "t"]);
    for words in [["list"], ["snapshots"], ["backup-list"]] {
        let out = place.ok(&words);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 4, "{out}");
        assert!(lines[0].starts_with("NAME "), "{out}");
        assert!(lines[1].starts_with("second "), "{out}");
        assert!(lines[1].ends_with("tag:t"), "{out}");
        assert!(lines[2].starts_with("first "), "{out}");
        assert!(lines[2].contains("3,738"), "{out}");
        assert!(lines[3].starts_with("2 snapshots, "), "{out}");
    }
}

#[test]
fn an_empty_store_is_no_error_and_a_missing_one_is() {
    let place = Workplace::empty();
    let run = place.code(10, &["list"]);
    assert!(
        run.err.contains("no store at ./backups (nothing is there)"),
        "{}",
        run.err
    );
    assert!(run.err.contains("larder init"), "{}", run.err);
    assert_eq!(place.code(1, &["backup-list"]).out, "");
    place.ok(&["init"]);
    assert!(place.ok(&["list"]).starts_with("0 snapshots, "));
}

#[test]
fn a_missing_store_is_an_error_in_json_too() {
    let run = Workplace::empty().code(10, &["list", "--json", "--store", "x"]);
    let error: Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(error["code"], 10);
    assert!(error["hint"].as_str().unwrap().ends_with("init --store x"));
}

#[test]
fn a_folder_that_holds_stores_lists_them_all() {
    let place = Workplace::bakery();
    place.ok(&["backup", "app.db", "-o", "./many/a"]);
    place.ok(&["backup", "app.db", "-o", "./many/b"]);
    let out = place.ok(&["backup-list", "--dir", "./many/"]);
    assert_eq!(out.matches("1 snapshot, ").count(), 2, "{out}");
    let document = place.ok(&["list", "--dir", "many", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["stores"].as_array().unwrap().len(), 2);
}

#[test]
fn a_folder_without_stores_has_no_backups() {
    let place = Workplace::empty();
    std::fs::create_dir(place.path("d")).unwrap();
    let out = place.ok(&["backup-list", "--dir", "./d"]);
    assert_eq!(out, "No backups found in ./d\n");
    std::fs::write(place.path("d/notes.txt"), "x").unwrap();
    let out = place.ok(&["backup-list", "--dir", "./d"]);
    assert_eq!(out, "No backups found in ./d\n");
    place.code(1, &["backup-list", "--dir", "./absent"]);
    place.code(10, &["list", "--dir", "./absent"]);
}
