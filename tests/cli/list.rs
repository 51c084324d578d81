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

/// Else a second restore would bring back what the first one made.
#[test]
fn latest_passes_over_what_restores_took_and_the_list_says_so() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
    place.ok(&["restore", "latest", "--to", "app.db"]);
    let out = place.ok(&["list"]);
    assert!(
        out.contains("tag:before-restore") && out.contains("tag:after-restore"),
        "{out}"
    );
    let said = "2 of them were taken by restores and undos: latest passes over them\n";
    assert!(out.ends_with(said), "{out}");
    let out = place.ok(&["show", "latest"]);
    assert!(out.starts_with("snapshot first\n"), "{out}");
    let run = place.code(1, &["show", "latest~1"]);
    assert!(
        run.err.contains("latest passes over what restores"),
        "{}",
        run.err
    );
}

/// The one that cannot be read is told, and the others are listed and validated all the same.
#[test]
fn a_store_that_cannot_be_read_does_not_hide_the_others() {
    let place = Workplace::bakery();
    for store in ["many/a", "many/b", "many/c"] {
        place.ok(&["backup", "app.db", "--store", store]);
    }
    std::fs::remove_file(place.path("many/b/config")).unwrap();
    std::fs::write(place.path("many/b/config"), "junk").unwrap();
    let run = place.code(4, &["list", "many"]);
    assert_eq!(run.out.matches("1 snapshot, ").count(), 2, "{}", run.out);
    assert!(run.err.contains("many/b"), "{}", run.err);
    let run = place.code(4, &["validate", "--store", "many"]);
    let passed = run.out.matches("Validation passed in ").count();
    assert_eq!(passed, 2, "{}", run.out);
    assert!(run.err.contains("many/b"), "{}", run.err);
    let json = place.code(4, &["list", "many", "--json"]);
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["stores"].as_array().unwrap().len(), 2);
    place.code(1, &["backup-list", "--dir", "many"]);
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
