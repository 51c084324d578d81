//! `larder copy`: as whole texts of an outcome made by hand, and as the program does it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use larder::cli::exit::{self, Code};
use larder::cli::render::text::copy::CopyView;
use larder::cli::render::{Look, json, text};
use larder::cli::signals::Signal;
use larder::ops::copy::{Copied, CopyOutcome, NotCopied, Present};
use larder::progress::Finding;
use serde_json::Value;

use crate::samples;
use crate::workplace::{Workplace, files};

fn outcome() -> CopyOutcome {
    let copied = |snapshot: larder::ops::list::SnapshotSummary, renamed: Option<&str>| Copied {
        from: snapshot.id.replace("Z-", "Z-e"),
        snapshot,
        renamed: renamed.map(str::to_owned),
    };
    CopyOutcome {
        copied: vec![
            copied(samples::older(), None),
            copied(samples::newest(), Some("before\nupgrade")),
        ],
        present: vec![Present {
            from: samples::older().id,
            id: samples::newest().id,
        }],
        blobs_read: 77,
        stored_bytes: 21_504,
        store_bytes: 430_182,
        store_snapshots: 3,
        elapsed_ms: 120,
        ..CopyOutcome::default()
    }
}

fn damaged() -> CopyOutcome {
    let lost = |name: Option<&str>, table: Option<&str>, object: String| NotCopied {
        id: samples::newest().id,
        short_id: samples::newest().short_id,
        name: name.map(str::to_owned),
        table: table.map(str::to_owned),
        object,
        cause: "pack 7c01d9: the digest of a frame".into(),
    };
    CopyOutcome {
        not_copied: vec![
            lost(None, None, format!("snapshot {}", samples::newest().id)),
            lost(
                Some("nightly"),
                Some("ord\ners"),
                format!("leaf {}", "4b".repeat(32)),
            ),
        ],
        uncommitted: 1,
        ..outcome()
    }
}

fn view() -> CopyView<'static> {
    CopyView {
        from: Path::new("./backups"),
        to: Path::new("/mnt/disk/backups"),
        created: true,
    }
}

fn shown(outcome: &CopyOutcome) -> String {
    let look = Look {
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        ..Look::for_tests()
    };
    text::copy::copy(outcome, &view(), &look)
}

#[test]
fn a_copy_has_a_line_per_snapshot() {
    insta::assert_snapshot!(shown(&outcome()));
}

#[test]
fn what_cannot_be_copied_is_named_with_what_to_do() {
    insta::assert_snapshot!(shown(&damaged()));
}

#[test]
fn a_copy_that_was_stopped_or_had_nothing_to_do_says_so() {
    let mut stopped = outcome();
    stopped.stopped = true;
    let text = shown(&stopped);
    assert!(
        text.contains("Stopped after 2 snapshots in 0.1 s; "),
        "{text}"
    );
    let idle = CopyOutcome {
        copied: Vec::new(),
        ..outcome()
    };
    let text = shown(&idle);
    assert!(text.contains("Nothing new in 0.1 s.\n"), "{text}");
    assert!(text.contains("1 snapshot was there already"), "{text}");
}

#[test]
fn damage_counts_most_then_that_it_was_stopped() {
    let code = |outcome: &CopyOutcome| exit::of_copy(outcome, Some(Signal::Terminate));
    assert_eq!(code(&outcome()), Code::Ok);
    assert_eq!(code(&damaged()), Code::Damaged);
    let mut other = outcome();
    other.findings = vec![Finding::warning("snapshot x", "damaged")];
    assert_eq!(code(&other), Code::Incomplete);
    other.stopped = true;
    assert_eq!(code(&other), Code::Terminated);
    assert_eq!(exit::of_copy(&other, None), Code::Interrupted);
}

/// The first column of the table below `### copy` in docs/scripting.md lists what there is.
#[test]
fn the_document_lists_every_field() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scripting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("### `copy`").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let whole = json::copy::copy(&damaged(), &view());
    let mut open = vec![&whole];
    while let Some(value) = open.pop() {
        for (field, below) in value.as_object().into_iter().flatten() {
            let everywhere = field == "message_type";
            assert!(
                everywhere || section.contains(&format!("`{field}`")),
                "{field}"
            );
            if field != "snapshot" {
                open.push(below);
            }
        }
        open.extend(value.as_array().into_iter().flatten());
    }
}

fn two_snapshots() -> Workplace {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM suppliers WHERE id = 1");
    place.ok(&["backup", "app.db", "--name", "second"]);
    place
}

fn document(place: &Workplace, words: &[&str]) -> Value {
    let out = place.ok(words);
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[test]
fn a_store_is_copied_once_and_restores_from_there() {
    let place = two_snapshots();
    let out = place.ok(&["copy", "--to", "disk/second"]);
    assert!(out.starts_with("store disk/second created\n"), "{out}");
    assert!(out.contains("\nCopied 2 snapshots in "), "{out}");
    let again = document(&place, &["copy", "--to", "disk/second", "--json"]);
    assert_eq!(again["store_created"], false);
    assert_eq!(again["present"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&again["copied"], &again["stored_bytes"]),
        (&serde_json::json!([]), &serde_json::json!(0))
    );
    place.ok(&["validate", "--store", "disk/second"]);
    // By its name, and by the id that it had.
    let first = document(&place, &["show", "first", "--json"]);
    let id = first["id"].as_str().unwrap();
    for (word, to) in [("first", "a.db"), (id, "b.db"), (&id[..24], "c.db")] {
        place.ok(&["restore", word, "--to", to, "--store", "disk/second"]);
        assert_eq!(place.count(to, "SELECT count(*) FROM suppliers"), 8);
    }
    let copy = document(&place, &["show", id, "--json", "--store", "disk/second"]);
    assert_eq!(copy["original"], id);
    assert_ne!(copy["id"], id);
    let out = place.ok(&["show", "first", "--store", "disk/second"]);
    assert!(out.contains(&format!("\ncopy of  {id}\n")), "{out}");
}

#[test]
fn what_is_named_is_copied_and_a_mistyped_name_leaves_nothing_behind() {
    let place = two_snapshots();
    place.code(1, &["copy", "secund", "--to", "other"]);
    assert!(!place.path("other").exists());
    let done = document(
        &place,
        &["copy", "./backups/second", "--to", "other", "--json"],
    );
    assert_eq!(done["copied"].as_array().unwrap().len(), 1);
    let done = document(&place, &["copy", "./backups", "--to", "other", "--json"]);
    assert_eq!(done["copied"].as_array().unwrap().len(), 1);
    place.code(2, &["copy", "other/first", "first", "--to", "third"]);
    place.code(2, &["copy"]);
    // A copy of a copy is the same snapshot.
    let done = document(
        &place,
        &["copy", "--to", "backups", "--store", "other", "--json"],
    );
    assert_eq!(done["present"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_no_place_for_a_copy_is_refused() {
    let place = two_snapshots();
    let run = place.code(1, &["copy", "--to", "./backups"]);
    assert!(
        run.err.contains("is the store that is copied from"),
        "{}",
        run.err
    );
    std::fs::create_dir(place.path("full")).unwrap();
    std::fs::write(place.path("full/x"), "x").unwrap();
    place.code(1, &["copy", "--to", "full"]);
    place.code(1, &["copy", "--to", "app.db"]);
    place.code(10, &["copy", "--to", "new", "--store", "nowhere"]);
    assert!(!place.path("new").exists());
}

#[test]
fn a_damaged_snapshot_is_named_and_the_others_are_copied() {
    let place = two_snapshots();
    // What came with the second one.
    let packs = files(&place.path("backups/packs"), "");
    let newest = packs
        .iter()
        .max_by_key(|pack| std::fs::metadata(pack).unwrap().modified().unwrap())
        .unwrap();
    std::fs::remove_file(newest).unwrap();
    let run = place.code(4, &["copy", "--to", "other"]);
    assert!(run.out.contains("\nnot copied: "), "{}", run.out);
    assert!(
        run.out.contains("(second): suppliers: leaf "),
        "{}",
        run.out
    );
    assert!(run.out.contains("larder validate\n"), "{}", run.out);
    assert!(run.out.contains("\nCopied 1 snapshot in "), "{}", run.out);
    let quiet = place.code(4, &["copy", "--to", "other", "-q"]);
    assert!(quiet.out.starts_with("not copied: "), "{}", quiet.out);
    place.ok(&["validate", "--store", "other"]);
}

/// Ctrl-C at times spread over the run: 130, whole snapshots, and the next run goes on.
#[test]
fn a_copy_that_is_interrupted_ends_with_130_and_goes_on_later() {
    let place = Workplace::bakery();
    for _ in 0..12 {
        place.sql(
            "app.db",
            "UPDATE suppliers SET name = name || 'x' WHERE id = 1",
        );
        place.ok(&["backup", "app.db", "-q"]);
    }
    let begun = Instant::now();
    place.ok(&["copy", "--to", "whole"]);
    let took = begun.elapsed();
    let mut interrupted = 0;
    for at in 1..=8 {
        let to = format!("copy{at}");
        let mut command = place.std_command();
        command.args(["copy", "--to", &to]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(took * at / 10 + Duration::from_millis(5));
        let id = child.id().to_string();
        // It may have ended.
        let _ = Command::new("kill").args(["-INT", &id]).status().unwrap();
        match child.wait().unwrap().code() {
            Some(130) => {
                interrupted += 1;
                let records = files(&place.path(&to).join("writers"), "");
                assert_eq!(records.len(), 0, "nothing of it is left at work");
            }
            // Before it catches signals, or after the end.
            code => assert!(matches!(code, None | Some(0)), "{code:?}"),
        }
        place.ok(&["copy", "--to", &to]);
        place.ok(&["validate", "--store", &to, "--quick"]);
        assert_eq!(files(&place.path(&to).join("snapshots"), "").len(), 12);
    }
    assert!(interrupted > 1, "{interrupted} of 8");
}

#[test]
fn a_store_is_not_copied_into_its_own_folder() {
    let place = Workplace::backed_up();
    let before = files(&place.path("."), "").len();
    for to in [
        "backups",
        "./backups/../backups",
        "backups/copy",
        "backups/packs/copy",
    ] {
        let run = place.code(1, &["copy", "--to", to]);
        assert!(
            run.err.contains("Give another store with --to"),
            "{to}: {}",
            run.err
        );
        assert_eq!(files(&place.path("."), "").len(), before, "{to}");
    }
}
