//! `larder validate`.

use serde_json::Value;

use crate::workplace::{Workplace, files};

#[test]
fn a_whole_store_passes_under_each_name_of_the_command() {
    let place = Workplace::backed_up();
    for words in [
        vec!["validate"],
        vec!["check"],
        vec!["verify", "--quick"],
        vec!["backup-validate"],
        vec!["validate", "first", "latest"],
    ] {
        let out = place.ok(&words);
        assert!(
            out.contains("1 of 1 complete: 16 entities, 3,738 records"),
            "{out}"
        );
        assert!(
            out.lines()
                .last()
                .unwrap()
                .starts_with("Validation passed in ")
        );
    }
}

#[test]
fn one_snapshot_has_a_line_per_entity_file() {
    let place = Workplace::backed_up();
    let out = place.ok(&["validate", "first"]);
    assert_eq!(out.matches(".json ").count(), 16, "{out}");
    let out = place.ok(&["validate"]);
    assert_eq!(out.matches(".json ").count(), 0, "{out}");
    let out = place.ok(&["validate", "-v"]);
    assert_eq!(out.matches(".json ").count(), 16, "{out}");
}

/// One byte in the middle of each pack is turned over.
#[test]
fn damage_is_named_with_what_hangs_on_it() {
    let place = Workplace::backed_up();
    let mut packs = 0;
    for path in files(&place.path("backups/packs"), "") {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        packs += 1;
    }
    assert!(packs > 0);
    let run = place.code(4, &["validate"]);
    assert!(run.out.contains("damaged: pack "), "{}", run.out);
    assert!(run.out.contains("  affects "), "{}", run.out);
    assert!(run.out.contains("1 snapshot: "), "{}", run.out);
    assert!(run.out.contains("Validation found "), "{}", run.out);
    // But for the time that it took.
    let until = |out: &str| out.rsplit_once(" in ").unwrap().0.to_owned();
    let ancestor = place.code(1, &["backup-validate"]);
    assert_eq!(until(&ancestor.out), until(&run.out));
    let quiet = place.code(4, &["validate", "-q"]);
    assert!(quiet.out.starts_with("damaged: "), "{}", quiet.out);
    let json = place.code(4, &["validate", "--json"]);
    let last: Value = serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["good"], false);
    assert!(!last["damage"].as_array().unwrap().is_empty());
}

#[test]
fn what_is_not_there_is_named_with_the_nearest_that_is() {
    let place = Workplace::backed_up();
    let run = place.code(1, &["validate", "frist"]);
    assert!(run.err.contains("did you mean \"first\"?"), "{}", run.err);
    place.code(10, &["validate", "--store", "absent"]);
    place.code(1, &["backup-validate", "./absent/b1"]);
}

/// One word that was wrong, and nothing of the others was validated.
#[test]
fn what_is_not_there_keeps_nothing_else_from_being_validated() {
    let place = Workplace::backed_up();
    place.ok(&["backup", "app.db", "--name", "second"]);
    place.ok(&["copy", "--to", "other"]);
    let run = place.code(1, &["validate", "first", "frist", "second"]);
    assert!(run.out.contains("2 of 2 complete"), "{}", run.out);
    assert!(run.err.contains("no snapshot \"frist\""), "{}", run.err);
    let run = place.code(10, &["validate", "./absent/x", "", "first", "./other"]);
    assert!(run.out.contains("1 snapshot in ./backups"), "{}", run.out);
    assert!(run.out.contains("2 of 2 complete"), "{}", run.out);
    assert!(run.err.contains("no store at ./absent/x"), "{}", run.err);
    assert!(
        run.err.contains("an empty word names no snapshot"),
        "{}",
        run.err
    );
    // Nothing is left of what was asked: it is not taken for all.
    let run = place.code(1, &["validate", "frist", "secnod"]);
    assert_eq!(run.out, "");
    assert_eq!(run.err.matches("did you mean").count(), 2, "{}", run.err);
    // Damage counts most.
    let pack = files(&place.path("other/packs"), "").remove(0);
    std::fs::remove_file(&pack).unwrap();
    place.code(4, &["validate", "frist", "./other", "first"]);
}

#[test]
fn every_level_counts_the_same_and_says_what_it_read() {
    let place = Workplace::backed_up();
    place.sql("app.db", "DELETE FROM purchases WHERE id < 10");
    place.ok(&["backup", "app.db", "--name", "second"]);
    let words: [&[&str]; 4] = [&[], &["--quick"], &["--read-subset", "1/2"], &["--drill"]];
    let mut counts = Vec::new();
    for more in words {
        let out = summary(&place.ok(&[&["validate", "--json"], more].concat()));
        counts.push(out["blobs"].as_u64().unwrap());
        let out = place.ok(&[&["validate"], more].concat());
        assert!(
            out.contains(&format!("; {} blobs\n", counts[0])),
            "{more:?}: {out}"
        );
    }
    // 16 tables, SQLite's own and the schema; one of them in two forms.
    assert_eq!(counts, [19; 4]);
    let out = place.ok(&["validate", "--quick"]);
    assert!(
        out.contains("  packs      2 of 2 with good footers, "),
        "{out}"
    );
    assert!(out.contains("contents were not read"), "{out}");
    let out = place.ok(&["validate"]);
    assert!(out.contains("  packs      2 of 2 read, "), "{out}");
    let out = place.ok(&["validate", "first", "--drill"]);
    assert!(
        out.contains("  first  16 entities  3,738 records  "),
        "{out}"
    );
}

fn summary(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[test]
fn the_packs_are_read_in_parts() {
    let place = Workplace::backed_up();
    let out = place.ok(&["validate", "--read-subset", "1/1"]);
    assert!(
        out.starts_with("Looking up all and reading some blobs of 1 snapshot in "),
        "{out}"
    );
    assert!(
        out.contains("(100.0 %); every byte was read since 20"),
        "{out}"
    );
    let json = summary(&place.ok(&["validate", "--read-subset", "50%", "--json"]));
    assert_eq!(
        (&json["level"], &json["good"]),
        (&"subset".into(), &true.into())
    );
    assert!(json["read"]["bytes"].as_u64().unwrap() > 0, "{json}");
    assert!(json["read"]["oldest"].is_string(), "{json}");
    assert_eq!(json["snapshots"][0]["audit"], Value::Null);
    let quick = summary(&place.ok(&["validate", "--quick", "--json"]));
    assert_eq!(
        (&quick["level"], &quick["read"]["packs"]),
        (&"quick".into(), &0.into())
    );
    for wrong in ["0/3", "4/3", "3", "0%", "101%", "1/0", "x/y", ""] {
        let run = place.code(2, &["validate", "--read-subset", wrong]);
        assert!(
            run.err.contains("2/7 for the second of seven"),
            "{wrong}: {}",
            run.err
        );
    }
    place.code(2, &["validate", "--read-subset", "1/2", "--quick"]);
    place.code(2, &["validate", "--temp-dir", "."]);
}

#[test]
fn constraints_are_asked_of_the_records() {
    let place = Workplace::backed_up();
    let out = place.ok(&["validate"]);
    assert!(
        out.contains(" constraints asked of the records: all as at backup time"),
        "{out}"
    );
    let json = summary(&place.ok(&["validate", "--json"]));
    let audit = &json["snapshots"][0]["audit"];
    assert!(audit["constraints"].as_u64().unwrap() > 10, "{audit}");
    assert_eq!(json["receipt"], Value::Null);
}

#[test]
fn a_drill_gives_a_receipt_and_leaves_no_file() {
    let place = Workplace::backed_up();
    std::fs::create_dir(place.path("scratch")).unwrap();
    let out = place.ok(&["validate", "--drill", "--temp-dir", "scratch"]);
    assert!(
        out.contains("Drill: 1 of 1 snapshot restored into a scratch file"),
        "{out}"
    );
    assert!(out.contains("  receipt: store "), "{out}");
    let json = summary(&place.ok(&[
        "validate",
        "first",
        "--drill",
        "--temp-dir",
        "scratch",
        "--json",
    ]));
    let receipt = &json["receipt"];
    assert_eq!(receipt["larder"], env!("CARGO_PKG_VERSION"));
    let drilled = &receipt["snapshots"][0];
    assert_eq!(
        (&drilled["restored"], &drilled["failure"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(drilled["manifest_digest"].as_str().unwrap().len(), 64);
    assert!(drilled["bytes"].as_u64().unwrap() > 4096, "{drilled}");
    assert_eq!(files(&place.path("scratch"), "").len(), 0);
    let run = place.code(1, &["validate", "--drill", "--temp-dir", "absent"]);
    assert!(run.err.contains("absent"), "{}", run.err);
}
