//! `larder parity` and `init --redundancy`: as the program says it, and what scripts get.

use serde_json::{Value, json as document};

use crate::workplace::{Workplace, files};

/// A store with a pack of more than 1 MiB.
fn place() -> Workplace {
    let place = Workplace::empty();
    place.sql(
        "app.db",
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
           INSERT INTO a SELECT i, randomblob(15000) FROM n;",
    );
    place.ok(&["backup", "app.db"]);
    place
}

fn json(place: &Workplace, code: i32, words: &[&str]) -> Value {
    serde_json::from_str(&place.code(code, words).out).unwrap()
}

/// Changes one byte in the middle of a file of the store.
fn damage(place: &Workplace, folder: &str) {
    let found = files(&place.path("backups").join(folder), "");
    let largest = found
        .into_iter()
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&largest).unwrap();
    std::fs::write(&largest, bytes).unwrap();
}

#[test]
fn what_there_is_is_shown_and_removed_and_added_again() {
    let place = place();
    let shown = place.ok(&["parity"]);
    assert!(shown.contains("backups add    parity, 3 % of packs of 1 MiB and more"));
    assert!(
        shown.contains("without parity: none\nparity         1 file, 4"),
        "{shown}"
    );
    assert_eq!(shown, place.ok(&["parity", "status"]));
    let removed = place.ok(&["parity", "remove"]);
    assert!(removed.contains("Removed: parity 1 file, "), "{removed}");
    assert!(
        removed.ends_with("add it again with: larder parity add\n")
            || removed.contains("parity add")
    );
    assert_eq!(
        files(&place.path("backups/parity"), ""),
        [""; 0].map(std::path::PathBuf::from)
    );
    let shown = place.ok(&["parity"]);
    assert!(shown.contains("backups add    none\n"), "{shown}");
    assert!(shown.contains("Add what lacks with: "), "{shown}");
    // What it keeps is no concern of a store that keeps none.
    assert!(place.ok(&["validate"]).contains("Validation passed"));
    let added = place.ok(&["parity", "add"]);
    assert!(added.starts_with("Parity added to 1 pack, "), "{added}");
    assert!(added.contains("; 0 packs had it\n"), "{added}");
    assert!(
        added.contains("Backups add from now on: parity, 3 %"),
        "{added}"
    );
    let again = place.ok(&["parity", "add"]);
    assert!(
        again.starts_with("Parity added to no pack; 1 pack had it\n"),
        "{again}"
    );
    let checked = place.ok(&["parity", "check"]);
    assert!(checked.starts_with("Read: parity 1 file, "), "{checked}");
    assert!(checked.contains("All of it would help."), "{checked}");
}

#[test]
fn scripts_get_counts_and_bytes() {
    let place = place();
    let status = json(&place, 0, &["parity", "--json"]);
    let sidecar = status["parity"]["bytes"].as_u64().unwrap();
    let pack = status["packs"]["bytes"].as_u64().unwrap();
    let none = document!({"count": 0, "bytes": 0});
    assert_eq!(
        status,
        document!({
            "store": "./backups",
            "redundancy": {"level": "parity", "percent": 3},
            "packs": {"count": 1, "bytes": pack},
            "without": none,
            "parity": {"count": 1, "bytes": sidecar},
            "second_copies": none,
            "not_copied": 0,
            "orphans": none,
        })
    );
    let stats = json(&place, 0, &["stats", "--json"]);
    assert_eq!(stats["objects"]["parity"], status["parity"]);
    assert_eq!(stats["redundancy_bytes"], sidecar);
    let store_bytes: u64 = files(&place.path("backups"), "")
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert_eq!(stats["store_bytes"], store_bytes);
    let added = json(
        &place,
        0,
        &["parity", "add", "--all", "--percent", "10", "--json"],
    );
    assert_eq!(
        added["redundancy"],
        document!({"level": "full", "percent": 10})
    );
    assert_eq!(
        (&added["kept"], &added["resized"]["count"]),
        (&0.into(), &1.into())
    );
    // The manifest; the config got its copy with the setting, and packs that small there are none.
    assert!(added["copied"]["count"].as_u64().unwrap() >= 1, "{added}");
    let checked = json(&place, 0, &["parity", "check", "--json"]);
    assert_eq!(checked["damage"], document!([]));
    let sidecar = &added["resized"]["bytes"];
    let removed = json(&place, 0, &["parity", "remove", "--json"]);
    assert_eq!(removed["parity"], document!({"count": 1, "bytes": sidecar}));
    let none = json(&place, 0, &["parity", "--json"]);
    assert_eq!(
        none["redundancy"],
        document!({"level": "none", "percent": 10})
    );
}

#[test]
fn damaged_parity_is_told_with_what_makes_it_again() {
    let place = place();
    damage(&place, "parity");
    let validated = place.code(4, &["validate"]);
    assert!(
        validated.out.contains("damaged: parity of pack "),
        "{}",
        validated.out
    );
    assert!(
        validated.out.contains("affects no snapshot\n"),
        "{}",
        validated.out
    );
    assert!(
        validated.out.contains("make it again with: "),
        "{}",
        validated.out
    );
    let checked = place.code(4, &["parity", "check"]);
    assert!(
        checked.out.contains("Found 1 damaged object in "),
        "{}",
        checked.out
    );
    assert!(
        checked.out.contains("Make damaged parity again with: "),
        "{}",
        checked.out
    );
    let added = place.ok(&["parity", "add"]);
    assert!(
        added.contains("Damaged parity made again of 1 pack, "),
        "{added}"
    );
    place.ok(&["validate"]);
    damage(&place, "packs");
    damage(&place, "parity");
    let added = place.code(4, &["parity", "add", "--quiet"]);
    assert!(added.out.contains("damaged: pack "), "{}", added.out);
    damage(&place, "parity");
    let checked = json(&place, 4, &["parity", "check", "--json"]);
    assert_eq!(checked["damage"][0]["can_be_healed"], true, "{checked}");
    assert!(
        checked["damage"][0]["object"]
            .as_str()
            .unwrap()
            .starts_with("pack ")
    );
}

/// It said that what was there stayed, and kept the promise: the percentage was one of words.
#[test]
fn parity_of_another_percentage_is_made_again_if_that_is_asked_for() {
    let place = place();
    let bytes = || {
        json(&place, 0, &["parity", "--json"])["parity"]["bytes"]
            .as_u64()
            .unwrap()
    };
    let before = bytes();
    let added = place.ok(&["parity", "add", "--percent", "20"]);
    assert!(
        added.starts_with("Parity added to no pack; 0 packs had it\nParity of another percentage made again of 1 pack, "),
        "{added}"
    );
    assert!(bytes() > 4 * before, "{} {before}", bytes());
    let again = json(&place, 0, &["parity", "add", "--percent", "20", "--json"]);
    assert_eq!(again["resized"], document!({"count": 0, "bytes": 0}));
    assert_eq!(again["kept"], 1);
    // Without a number nothing is made again that is whole.
    let kept = json(&place, 0, &["parity", "add", "--json"]);
    assert_eq!(
        (&kept["kept"], &kept["resized"]["count"]),
        (&1.into(), &0.into())
    );
    place.ok(&["parity", "check"]);
    place.ok(&["parity", "add", "--percent", "3"]);
    assert_eq!(bytes(), before);
}

#[test]
fn where_there_is_nothing_to_check_nothing_is_promised() {
    let place = Workplace::backed_up();
    let checked = place.ok(&["parity", "check"]);
    assert!(
        checked.contains("Nothing to check: there is no parity and no second copy."),
        "{checked}"
    );
    assert!(!checked.contains("would help"), "{checked}");
}

/// The marker of a backup that was cut off is no snapshot, and never gets a copy: it was told as one that lacks it.
#[test]
fn markers_of_aborted_backups_lack_no_copy() {
    let place = Workplace::bakery();
    place.ok(&["init", "--redundancy", "full"]);
    place.ok(&["backup", "app.db"]);
    let id = "20261123T201530Z-0123456789abcdef0123456789abcdef";
    let marker = larder::format::protocol::AbortMarker {
        snapshot: id.parse().unwrap(),
        fenced: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    let hash = larder::codec::hash::StoreHash::unkeyed();
    let kind = larder::format::frame::ObjectKind::Abort;
    let bytes = larder::format::frame::encode(hash, kind, &marker).unwrap();
    std::fs::write(place.path("backups/snapshots").join(id), bytes).unwrap();
    let shown = place.ok(&["parity"]);
    assert!(!shown.contains("without a copy"), "{shown}");
    assert!(!shown.contains("Add what lacks"), "{shown}");
    let run = place.code(0, &["validate"]);
    assert!(!run.err.contains("no second copy"), "{}", run.err);
    // A manifest that lacks it is told.
    let copy = files(&place.path("backups/second/snapshots"), "").remove(0);
    std::fs::remove_file(copy).unwrap();
    let shown = place.ok(&["parity"]);
    assert!(shown.contains("without a copy 1 object\n"), "{shown}");
}

/// They were told of as packs that nothing makes whole, or that parity does.
#[test]
fn second_copies_of_damaged_packs_are_called_so() {
    let place = Workplace::bakery();
    place.ok(&["init", "--redundancy", "full"]);
    place.ok(&["backup", "app.db"]);
    damage(&place, "packs");
    let told = place.code(4, &["validate"]).out;
    assert!(
        told.contains(" repair (the damaged pack has a second copy)\n"),
        "{told}"
    );
    let told = json(&place, 4, &["validate", "--json"]);
    assert_eq!(told["packs_with_second_copy"], 1);
    let planned = place.ok(&["repair", "-n"]);
    assert!(
        planned.contains("; its second copy is whole; would be removed\n"),
        "{planned}"
    );
    assert!(planned.contains(" from second copies\n"), "{planned}");
    assert!(!planned.contains("parity"), "{planned}");
    std::fs::remove_dir_all(place.path("backups/second")).unwrap();
    let told = place.code(4, &["validate"]).out;
    assert!(
        told.contains("no damaged pack has parity or a second copy"),
        "{told}"
    );
    let planned = place.code(0, &["repair", "-n"]).out;
    assert!(
        planned.contains("neither parity nor a second copy makes it whole"),
        "{planned}"
    );
}

#[test]
fn a_new_store_is_told_what_to_keep() {
    for (word, level, copies) in [
        ("none", "none", 0),
        ("parity", "parity", 0),
        ("full", "full", 3),
    ] {
        let place = Workplace::bakery();
        place.ok(&["init", "--redundancy", word]);
        place.ok(&["backup", "app.db"]);
        let status = json(&place, 0, &["parity", "--json"]);
        assert_eq!(status["redundancy"]["level"], level);
        assert_eq!(status["second_copies"]["count"], copies, "{word}");
        assert_eq!(status["not_copied"], 0, "{word}");
        place.ok(&["validate"]);
    }
    let place = Workplace::empty();
    place.code(2, &["init", "--redundancy", "much"]);
    place.code(10, &["parity"]);
    place.ok(&["init"]);
    place.code(2, &["parity", "add", "--percent", "0"]);
    place.code(2, &["parity", "add", "--percent", "101"]);
}

#[test]
fn a_store_that_has_lost_its_config_is_found_by_its_copy() {
    let place = Workplace::bakery();
    place.ok(&["init", "--redundancy", "full"]);
    place.ok(&["backup", "app.db"]);
    std::fs::remove_file(place.path("backups/config")).unwrap();
    place.ok(&["list"]);
    place.ok(&["restore", "latest", "--to", "out.db"]);
}
