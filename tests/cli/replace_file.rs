//! `larder restore --mode replace --replace-file`: what is said, what is refused with which words, and that a disk
//! that does not take the copy changes nothing.

use std::process::Command;

use serde_json::Value;

use crate::workplace::{Run, Workplace};

const WORDS: [&str; 7] = [
    "restore",
    "first",
    "--to",
    "app.db",
    "--mode",
    "replace",
    "--replace-file",
];

const SUPPLIERS: &str = "SELECT count(*) FROM suppliers";

fn with(more: &[&'static str]) -> Vec<&'static str> {
    WORDS.iter().chain(more).copied().collect()
}

/// The printed command, carried out.
fn way_back(place: &Workplace, out: &str, way: &str) {
    let back = out.split(way).nth(1).unwrap();
    let line = back.lines().next().unwrap();
    let words = line.split("   ").next().unwrap().trim().split(' ').skip(1);
    place.ok(&words.collect::<Vec<_>>());
}

#[test]
fn what_happens_is_told_done_and_taken_back() {
    let place = Workplace::backed_up();
    place.sql(
        "app.db",
        "DELETE FROM suppliers WHERE rowid = 1; CREATE INDEX mine ON suppliers(name)",
    );
    let run = place.run(&with(&["-n"]));
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.starts_with("Plan: replace all of app.db ("),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("all that is in it now goes"),
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("Nothing was written (dry run).\n"),
        "{}",
        run.out
    );
    let goes = "note: index mine: the snapshot lacks it: it goes";
    assert!(run.err.contains(goes), "{}", run.err);
    assert_eq!(place.count("app.db", SUPPLIERS), 7);
    let out = place.ok(&WORDS);
    assert_eq!(place.count("app.db", SUPPLIERS), 8);
    assert!(out.contains(" inserted, "), "{out}");
    assert!(
        out.contains("Checked: quick_check, counts, foreign keys."),
        "{out}"
    );
    way_back(&place, &out, "Undo with: ");
    assert_eq!(place.count("app.db", SUPPLIERS), 7);
    let mine = "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'";
    assert_eq!(place.count("app.db", mine), 1);
}

/// Where undo would leave something, the way back is the same one.
#[test]
fn another_definition_comes_back_with_the_whole() {
    let place = Workplace::backed_up();
    place.sql("app.db", "ALTER TABLE suppliers ADD COLUMN more DEFAULT 5");
    let run = place.code(0, &WORDS);
    let said = "undo would not bring back as they were: suppliers";
    assert!(run.out.contains(said), "{}", run.out);
    assert!(
        run.err.contains("columns that the snapshot lacks go: more"),
        "{}",
        run.err
    );
    way_back(&place, &run.out, "Go back with: ");
    assert_eq!(place.count("app.db", "SELECT max(more) FROM suppliers"), 5);
    // Unless the restore brought a table: it would be lost.
    place.sql("app.db", "ALTER TABLE events RENAME TO old; DROP TABLE old");
    let out = place.ok(&WORDS);
    way_back(
        &place,
        &out,
        "What was there comes back as a new file with: ",
    );
    assert_eq!(
        place.count("app.db.before", "SELECT max(more) FROM suppliers"),
        5
    );
}

#[test]
fn a_program_sees_that_all_was_replaced() {
    let place = Workplace::backed_up();
    let out = place.ok(&with(&["--json"]));
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last["replaced_file"], true);
    assert_eq!(last["new_file"], false);
    assert_eq!(last["written"], true);
    assert_eq!(last["beyond_undo"], serde_json::json!([]));
    assert_eq!(last["tables"][0]["inserted"], 8);
    assert_eq!(last["tables"][0]["deleted"], 8);
    assert!(last["after_snapshot"].is_object());
}

#[test]
fn flags_that_choose_are_refused() {
    let place = Workplace::empty();
    for (words, reason) in [
        ("--replace-file", "--mode says otherwise"),
        ("--replace-file -m add", "--mode says otherwise"),
        ("-t a", "--table would not be used"),
        ("--exclude-table a", "--exclude-table would not be used"),
        ("-t a --where x", "--table would not be used"),
        ("--key-value a=1", "--key-value would not be used"),
        ("--reference a.b=c.d", "--reference would not be used"),
        ("--rename a.b=c", "--rename would not be used"),
        ("--on-conflict skip", "--on-conflict would not be used"),
        ("--force", "--force would not be used"),
        ("--fire-triggers", "--fire-triggers would not be used"),
        ("-i", "--interactive would not be used"),
        ("--on-missing skip", "--on-missing would not be used"),
        ("--resolve d.json", "--resolve would not be used"),
        (
            "--save-decisions d.json",
            "--save-decisions would not be used",
        ),
    ] {
        let mut line = vec!["restore", "latest", "--to", "x.db"];
        if !words.starts_with("--replace-file") {
            line.extend(["-m", "replace", "--replace-file"]);
        }
        line.extend(words.split(' '));
        let run = place.code(2, &line);
        assert!(run.err.contains(reason), "{words}: {}", run.err);
        assert_eq!(run.err.lines().count(), 2, "{words}: {}", run.err);
    }
    let place = Workplace::backed_up();
    let run = place.code(
        2,
        &[
            "restore",
            "first",
            "--to",
            "new.db",
            "-m",
            "replace",
            "--replace-file",
        ],
    );
    let said = "--replace-file is for a database that exists, and new.db does not";
    assert!(run.err.contains(said), "{}", run.err);
    let run = place.code(2, &with(&["--allow-damaged"]));
    assert!(run.err.contains("goes into a new file"), "{}", run.err);
}

#[test]
fn what_it_would_lose_is_named_with_what_to_do() {
    let place = Workplace::backed_up();
    place.sql("app.db", "CREATE TABLE mine(a); CREATE TABLE yours(a)");
    let run = place.code(1, &WORDS);
    let said = "app.db has tables that the snapshot lacks: mine, yours";
    assert!(run.err.contains(said), "{}", run.err);
    assert!(
        run.err.contains("Leave it out, and they stay as they are"),
        "{}",
        run.err
    );
    let place = Workplace::backed_up();
    std::fs::remove_file(place.path("app.db")).unwrap();
    place.sql("app.db", "PRAGMA page_size=512; CREATE TABLE suppliers(a)");
    let run = place.code(1, &WORDS);
    let said = "app.db has page size 512, the snapshot has 4096";
    assert!(run.err.contains(said), "{}", run.err);
    assert!(run.err.contains("go record by record"), "{}", run.err);
}

#[test]
fn a_busy_database_is_exit_code_6() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE rowid = 1");
    let db = rusqlite::Connection::open(place.path("app.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let run = place.code(6, &with(&["--deadline", "0"]));
    assert!(run.err.contains("is busy"), "{}", run.err);
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(place.count("app.db", SUPPLIERS), 7);
}

/// A process that may write no file longer than so many KiB: what is made beside the database fits, the
/// journal, or the WAL, does not.
fn with_files_of(place: &Workplace, kib: u64) -> Run {
    let words = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            &words,
            assert_cmd::cargo::cargo_bin!("larder").to_str().unwrap(),
        ])
        .args(with(&["--no-safety-snapshot"]))
        .current_dir(place.path(""))
        .env_remove("LARDER_STORE")
        .env_remove("LARDER_DATABASE")
        .env("LARDER_CACHE_DIR", place.path("cache"));
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_disk_that_does_not_take_the_copy_leaves_the_database_as_it_was() {
    for mode in ["DELETE", "WAL"] {
        let place = Workplace::backed_up();
        place.sql(
            "app.db",
            &format!(
                "DELETE FROM suppliers WHERE rowid = 1; PRAGMA journal_mode={mode};
                 CREATE INDEX mine ON suppliers(name)"
            ),
        );
        place.ok(&["restore", "first", "--to", "made.db"]);
        let made = std::fs::metadata(place.path("made.db")).unwrap().len();
        // Frames and journal pages are a little longer than pages.
        let run = with_files_of(&place, made / 1024);
        assert_eq!(run.code, 1, "{mode}: {}\n{}", run.out, run.err);
        assert_eq!(place.count("app.db", SUPPLIERS), 7, "{mode}");
        let sound = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'";
        assert_eq!(place.count("app.db", sound), 1, "{mode}");
        let names = std::fs::read_dir(place.path("")).unwrap();
        for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
            assert!(!name.contains(".larder-"), "{mode}: {name}");
        }
        let run = with_files_of(&place, 4 * made / 1024);
        assert_eq!(run.code, 0, "{mode}: {}", run.err);
        assert_eq!(place.count("app.db", SUPPLIERS), 8, "{mode}");
    }
}
