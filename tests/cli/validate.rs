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
