//! `larder show`, `ls`, `cat`, `export`: what is in a snapshot.

use serde_json::Value;

use crate::workplace::{Workplace, files};

#[test]
fn show_has_a_line_per_entity_file_and_per_blob() {
    let place = Workplace::backed_up();
    let out = place.ok(&["show", "latest"]);
    assert!(out.starts_with("snapshot first\n"), "{out}");
    assert_eq!(out.matches(".json ").count(), 16, "{out}");
    let out = place.ok(&["show", "latest", "--blobs"]);
    assert!(out.contains("BLAKE3"), "{out}");
    let document = place.ok(&["show", "latest", "--blobs", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    let blobs = document["blobs"].as_array().unwrap();
    assert!(
        blobs
            .iter()
            .all(|blob| blob["id"].as_str().unwrap().len() == 64)
    );
    assert!(blobs.iter().all(|blob| blob["new"] == true));
}

#[test]
fn ls_lists_the_entity_files() {
    let place = Workplace::backed_up();
    let out = place.ok(&["ls", "first"]);
    assert_eq!(out.lines().count(), 16, "{out}");
    assert!(out.contains("suppliers.json"), "{out}");
}

#[test]
fn cat_writes_records_as_lines_document_or_csv() {
    let place = Workplace::backed_up();
    let lines = place.ok(&["cat", "latest:suppliers"]);
    assert_eq!(lines.lines().count(), 8);
    for line in lines.lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
    }
    let document = place.ok(&["cat", "latest:suppliers.json"]);
    serde_json::from_str::<Value>(&document).unwrap();
    let csv = place.ok(&["cat", "./backups/first:suppliers", "--csv"]);
    assert_eq!(csv.lines().count(), 9, "{csv}");
    let run = place.code(1, &["cat", "latest:suplliers"]);
    assert!(
        run.err.contains("did you mean \"suppliers\"?"),
        "{}",
        run.err
    );
    place.code(2, &["cat", "latest"]);
}

#[test]
fn export_writes_a_folder_or_a_zip_and_overwrites_nothing() {
    let place = Workplace::backed_up();
    let out = place.ok(&["export", "latest", "-o", "out"]);
    assert!(out.contains("3,738 records"), "{out}");
    // The manifest, 16 entities, and sqlite_sequence: numbers of the ids that were given.
    assert_eq!(files(&place.path("out"), ".json").len(), 18);
    place.ok(&["export", "latest", "-o", "out.zip"]);
    assert!(place.path("out.zip").is_file());
    place.code(1, &["export", "latest", "-o", "out"]);
    place.code(1, &["export", "latest", "-o", "out.zip"]);
}
