//! `larder import`, and exports in the place of snapshots.

use larder::cli::render::text;
use serde_json::Value;

use crate::samples;
use crate::workplace::Workplace;

/// A backed-up bakery, and an export of it as a folder and as a zip.
fn exported() -> Workplace {
    let place = Workplace::backed_up();
    place.ok(&["export", "first", "-o", "export"]);
    place.ok(&["export", "first", "-o", "export.zip"]);
    place
}

fn last_json(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

/// The same files, of which one has another byte.
fn damage(place: &Workplace) {
    let file = place.path("export/suppliers.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text.replacen("\"1.0\"", "\"1.1\"", 1)).unwrap();
}

#[test]
fn an_export_is_taken_into_a_store() {
    let place = exported();
    let run = place.code(0, &["import", "export", "--name", "again", "--tag", "t"]);
    assert!(run.out.contains("Import complete: again "), "{}", run.out);
    // The database is another source, so it is not compared with it; with itself it is.
    assert!(!run.out.contains("unchanged"), "{}", run.out);
    let twice = place.ok(&["import", "export", "--name", "twice"]);
    assert!(twice.contains("16 entity files unchanged"), "{twice}");
    place.ok(&["forget", "twice"]);
    assert!(
        run.out.contains("larder restore again --to restored.db"),
        "{}",
        run.out
    );
    assert!(run.err.contains("note: "), "{}", run.err);
    assert!(
        run.err.contains("an export of app.db, made 20"),
        "{}",
        run.err
    );
    let list = place.ok(&["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let source = list["snapshots"][0]["source"].as_str().unwrap();
    assert!(source.ends_with("/export"), "{source}");
    assert_eq!(list["snapshots"][0]["tags"][0], "t");
    let shows =
        |word| -> Value { serde_json::from_str(&place.ok(&["show", word, "--json"])).unwrap() };
    let (first, again) = (shows("first"), shows("again"));
    for field in ["schema", "records"] {
        assert_eq!(first[field], again[field], "{field}");
    }
    for at in 0..16 {
        assert_eq!(first["entities"][at]["root"], again["entities"][at]["root"]);
    }
    place.code(1, &["import", "export", "--name", "again"]);
}

#[test]
fn an_import_makes_the_store_that_it_goes_to_and_a_mistake_makes_none() {
    let place = exported();
    for (words, told) in [
        (["import", "absent"], "nothing is there"),
        (["import", "app.db"], "it is a database"),
        (["import", "backups"], "it is a store"),
    ] {
        let run = place.code(1, &[words[0], words[1], "--store", "new"]);
        assert!(run.err.contains(told), "{}", run.err);
        assert!(!place.path("new").exists());
    }
    let out = place.ok(&["import", "export.zip", "--store", "new", "--json"]);
    let summary = last_json(&out);
    assert_eq!(summary["export"], "export.zip");
    assert_eq!(summary["store_created"], true);
    assert_eq!(summary["snapshot"]["records"], 3738);
    assert_eq!(summary["entities"].as_array().unwrap().len(), 16);
    assert!(
        place
            .ok(&["validate", "--store", "new"])
            .contains("Validation passed")
    );
}

#[test]
fn an_export_is_listed_and_validated_and_restored_as_it_is() {
    let place = exported();
    for (n, word) in ["export", "export.zip", "./export/"].iter().enumerate() {
        let out = place.ok(&["list", word]);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with("NAME ") && lines.len() == 3, "{out}");
        assert!(
            lines[1].starts_with("export") && lines[1].contains("3,738"),
            "{out}"
        );
        let out = place.ok(&["validate", word]);
        assert!(out.contains("Validation passed in "), "{out}");
        let target = format!("restored-{n}.db");
        let out = place.ok(&["restore", word, "--to", &target]);
        assert!(out.contains("3,738 records"), "{out}");
        let sql = "SELECT count(*) FROM products";
        let whole = place.count("app.db", sql);
        assert_eq!(place.count(&target, sql), whole);
        // Again, into what is there now.
        place.sql(&target, "DELETE FROM products WHERE id = 1");
        place.ok(&["restore", word, "--to", &target]);
        assert_eq!(place.count(&target, sql), whole);
    }
    // What the second restores changed was saved: a snapshot before and one after each.
    let out = place.ok(&["list"]);
    assert!(out.contains("7 snapshots, "), "{out}");
    assert_eq!(out.matches("before-restore").count(), 3);
    let list: Value = serde_json::from_str(&place.ok(&["list", "export", "--json"])).unwrap();
    assert_eq!(list["exports"][0]["records"], 3738);
    assert_eq!(list["exports"][0]["has_schema"], true);
    let out = place.ok(&["validate", "first", "export.zip", "--json"]);
    assert_eq!(last_json(&out)["export"]["name"], "export.zip");
    assert_eq!(last_json(&out)["good"], true);
}

/// An export is in no store: neither an id of it is shown, nor is the store passed over that was made.
#[test]
fn a_restored_export_says_where_what_was_there_is_kept() {
    let place = exported();
    place.sql("app.db", "DELETE FROM products WHERE id = 1");
    let elsewhere = ["restore", "export", "--to", "app.db", "--store", "kept"];
    let out = place.ok(&elsewhere);
    assert!(out.starts_with("store kept created\n"), "{out}");
    assert!(
        out.contains("\nRestored the export export to app.db in "),
        "{out}"
    );
    let said = out
        .lines()
        .find(|line| line.starts_with("Undo with: "))
        .unwrap();
    assert!(said.contains(" undo --to app.db --store kept "), "{said}");
    assert!(
        place
            .ok(&["list", "--store", "kept"])
            .contains("2 snapshots, ")
    );
    assert!(!place.ok(&elsewhere).contains("created"));
    place.ok(&["undo", "--to", "app.db", "--store", "kept"]);
    assert_eq!(
        place.count("app.db", "SELECT count(*) FROM products WHERE id = 1"),
        0
    );
    let plan = place.ok(&[
        "restore", "export", "--to", "app.db", "-n", "--store", "other",
    ]);
    assert!(
        plan.contains("Plan: add records of the export export to app.db ("),
        "{plan}"
    );
    assert!(!place.path("other").exists());
}

#[test]
fn damage_of_an_export_is_named_and_exits_with_4() {
    let place = exported();
    damage(&place);
    let run = place.code(4, &["validate", "export"]);
    assert!(
        run.out.contains("damaged: suppliers.json: its SHA-256 is "),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("Validation found 1 damaged file in "),
        "{}",
        run.out
    );
    let run = place.code(4, &["validate", "export", "--quiet"]);
    assert!(
        run.out.starts_with("damaged: suppliers.json: "),
        "{}",
        run.out
    );
    let run = place.code(4, &["import", "export"]);
    assert!(
        run.err.contains("suppliers.json: its SHA-256 is "),
        "{}",
        run.err
    );
    assert!(run.err.contains("and manifest.json says "), "{}", run.err);
    place.code(4, &["restore", "export", "--to", "restored.db"]);
    assert!(!place.path("restored.db").exists());
    place.code(1, &["backup-validate", "export"]);
    let summary = last_json(&place.code(4, &["validate", "export", "--json"]).out);
    assert_eq!(summary["good"], false);
    assert_eq!(summary["damage"][0]["kind"], "changed");
    assert_eq!(summary["damage"][0]["found"].as_str().unwrap().len(), 64);
    // Damage counts most, whatever else is validated.
    place.code(4, &["validate", "first", "export"]);
}

/// Rows that go are saved into the store that is named, not into that of the export, which goes again.
#[test]
fn what_an_export_replaces_is_saved_in_the_store_and_can_be_undone() {
    let place = exported();
    place.sql("app.db", "UPDATE products SET notes = 'mine' WHERE id < 9");
    let mine = "SELECT count(*) FROM products WHERE notes = 'mine'";
    place.ok(&["restore", "export", "--to", "app.db", "--mode", "replace"]);
    assert_eq!(place.count("app.db", mine), 0);
    let out = place.ok(&["undo", "--to", "app.db"]);
    assert!(out.contains("Undone in "), "{out}");
    assert_eq!(place.count("app.db", mine), 8);
}

#[test]
fn other_commands_say_how_an_export_becomes_a_snapshot() {
    let place = exported();
    for words in [
        ["show", "export"].as_slice(),
        &["ls", "export.zip"],
        &["cat", "export:suppliers"],
        &["export", "export", "-o", "x"],
        &["stats", "export"],
        &["backup", "export"],
    ] {
        let run = place.code(1, words);
        assert!(run.err.contains("import export"), "{words:?}: {}", run.err);
    }
    let run = place.code(10, &["stats", "--store", "export"]);
    assert!(run.err.contains("(an export is there)"), "{}", run.err);
}

#[test]
fn an_import_says_what_became_of_it() {
    let view = text::backup::BackupView {
        database: std::path::Path::new("export.zip"),
        store: std::path::Path::new("./backups"),
        store_created: false,
        zip: None,
    };
    let text = text::backup::import(&samples::backup(), &view, &samples::berlin());
    insta::assert_snapshot!(text);
}

#[test]
fn an_export_is_a_line_of_a_list() {
    let text = text::import::list(&samples::export(), &samples::berlin());
    insta::assert_snapshot!(text);
}

#[test]
fn a_validation_of_an_export_has_a_line_per_file() {
    let text = text::import::validate(&samples::checked(), &samples::berlin());
    insta::assert_snapshot!(text);
}
