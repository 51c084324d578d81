//! What a program sees: integers, UTC, whole ids, and the fields that docs/scripting.md lists.

use std::path::Path;

use larder::cli::exit::Code;
use larder::cli::render::json;
use larder::cli::render::text::backup::BackupView;
use larder::model::text::TextEncoding;
use larder::ops::restore::RestoreOutcome;
use larder::progress::Finding;
use serde_json::{Value, json};

use crate::samples;

fn value(document: impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap()
}

#[test]
fn an_error_has_its_code_and_what_to_do() {
    assert_eq!(
        value(json::error(
            Code::NoStore,
            "no store at x",
            Some("Make one")
        )),
        json!({"message_type": "error", "code": 10, "message": "no store at x", "hint": "Make one"})
    );
}

#[test]
fn a_finding_is_a_line_of_its_own() {
    assert_eq!(
        value(json::finding(&Finding::warning("photos", "lost"))),
        json!({"message_type": "finding", "severity": "warning", "subject": "photos", "text": "lost"})
    );
}

#[test]
fn a_backup_has_exact_numbers_and_utc() {
    let outcome = samples::backup();
    let view = BackupView {
        database: Path::new("app.db"),
        store: Path::new("./backups"),
        store_created: false,
        zip: None,
    };
    let document = value(json::backup(&outcome, &view));
    assert_eq!(document["message_type"], "summary");
    assert_eq!(document["snapshot"]["time"], "2026-11-23T20:15:30Z");
    assert_eq!(document["source_bytes"], 2_726_298);
    assert_eq!(document["entities"][1]["changes"]["added"], 3);
    assert_eq!(document["entities"][4]["changes"], Value::Null);
    assert_eq!(document["zip"], Value::Null);
}

#[test]
fn a_list_is_one_document_with_the_store_of_each_snapshot() {
    let list = samples::list();
    let pairs = [(Path::new("./a"), &list), (Path::new("./b"), &list)];
    let document = value(json::list(pairs));
    assert_eq!(document["stores"].as_array().unwrap().len(), 2);
    assert_eq!(document["snapshots"].as_array().unwrap().len(), 4);
    assert_eq!(document["snapshots"][3]["store"], "./b");
    assert_eq!(document["snapshots"][3]["tags"], json!(["before-upgrade"]));
    assert_eq!(
        value(json::list([])),
        json!({"stores": [], "snapshots": []})
    );
}

#[test]
fn damage_names_whole_ids() {
    let document = json::validate::validate(&samples::damaged(), Path::new("./backups"));
    assert_eq!(document["good"], false);
    assert_eq!(document["damage"][0]["blob"].as_str().unwrap().len(), 64);
    assert_eq!(document["damage"][0]["affects"][0]["records"], 910);
    assert_eq!(document["damage"][1]["blob"], Value::Null);
    assert_eq!(
        json::validate::validate(&samples::valid(), Path::new("."))["good"],
        true
    );
}

fn restored(outcome: &RestoreOutcome) -> Value {
    json::restore::restore(outcome, TextEncoding::Utf8)
}

#[test]
fn a_restore_that_stopped_says_that_nothing_was_written() {
    let document = restored(&samples::conflicts());
    assert_eq!(document["written"], false);
    assert_eq!(document["tables"][1]["conflicts"], 12);
    assert_eq!(document["mode"], "add");
    assert_eq!(restored(&samples::restored())["written"], true);
    assert_eq!(restored(&samples::missing())["written"], false);
}

/// The whole document, so that no field gets lost, and none comes that docs/scripting.md lacks.
#[test]
fn a_restore_tells_everything() {
    let mut outcome = samples::remapped();
    outcome.missing = samples::missing().missing;
    outcome.conflicts = samples::conflicts().conflicts;
    outcome.decisions = samples::decisions();
    let text = serde_json::to_string_pretty(&restored(&outcome)).unwrap();
    insta::assert_snapshot!(text);
}
