//! `larder forget`, `pin`, `unpin`, `list --forgotten`: what they say, and the codes they end with.

use serde_json::Value;

use crate::workplace::{Workplace, files};

/// Snapshots of these names, oldest first. Their ids tell seconds, so they are some.
fn backed_up(names: &[&str]) -> Workplace {
    let place = Workplace::empty();
    place.sql("app.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    place.ok(&["init"]);
    for name in names {
        place.ok(&["backup", "app.db", "--name", name]);
    }
    place
}

/// The names that a list shows, newest first.
fn listed(place: &Workplace, words: &[&str]) -> Vec<String> {
    let out = place.ok(&[&["list", "--json"], words].concat());
    let document: Value = serde_json::from_str(&out).unwrap();
    let snapshots = document["snapshots"].as_array().unwrap();
    let name = |snapshot: &Value| snapshot["name"].as_str().unwrap().to_owned();
    snapshots.iter().map(name).collect()
}

/// The last line of JSON.
fn summary(out: &str) -> Value {
    let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["message_type"], "summary");
    summary
}

#[test]
fn forgotten_snapshots_are_listed_apart_and_can_be_taken_back() {
    let place = backed_up(&["a", "b", "c"]);
    let out = place.ok(&["forget", "a", "b"]);
    for said in [
        "2 snapshots forgotten.\n",
        "Take one back with: ",
        " forget --undo ID\n",
        "Free their space with: ",
        " prune   (after 24 hours; --grace 0: at once)\n",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert_eq!(listed(&place, &[]), ["c"]);
    let out = place.ok(&["list"]);
    assert!(out.contains("2 more are forgotten: "), "{out}");
    let out = place.ok(&["list", "--forgotten"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(
        lines[0].contains("FORGOTTEN") && lines[0].contains("SAFE UNTIL"),
        "{out}"
    );
    assert!(
        lines[1].starts_with("b ") && lines[2].starts_with("a "),
        "{out}"
    );
    assert_eq!(lines[3], "2 snapshots forgotten in ./backups");
    assert!(lines[4].ends_with(" forget --undo ID"), "{out}");
    let out = place.ok(&["forget", "--undo", "a"]);
    assert!(out.starts_with("taken back  a  "), "{out}");
    assert_eq!(listed(&place, &[]), ["c", "a"]);
    assert_eq!(listed(&place, &["--forgotten"]), ["b"]);
    place.ok(&["forget", "--undo", "--all"]);
    assert_eq!(listed(&place, &[]), ["c", "b", "a"]);
    assert_eq!(
        place.ok(&["list", "--forgotten"]),
        "0 snapshots forgotten in ./backups\n"
    );
    place.ok(&["validate"]);
}

#[test]
fn a_policy_says_of_each_snapshot_whether_it_is_kept_and_why() {
    let place = backed_up(&["a", "b", "c"]);
    place.ok(&["pin", "a"]);
    let plan = place.ok(&["forget", "--keep-last", "1", "-n"]);
    let lines: Vec<&str> = plan.lines().collect();
    assert!(lines[0].contains("app.db on "), "{plan}");
    assert!(lines[0].ends_with(": 2 of 3 snapshots kept"), "{plan}");
    assert!(
        lines[1].trim_start().starts_with("NAME") && lines[1].ends_with("KEPT AS"),
        "{plan}"
    );
    assert!(
        lines[2].starts_with("  keep    c ") && lines[2].ends_with("  last"),
        "{plan}"
    );
    assert!(lines[3].starts_with("  forget  b "), "{plan}");
    assert!(
        lines[4].starts_with("  keep    a ") && lines[4].ends_with("  pinned"),
        "{plan}"
    );
    let last = "1 snapshot would be forgotten, 2 kept. Nothing was changed (dry run).";
    assert_eq!(lines.last(), Some(&last));
    assert_eq!(listed(&place, &[]), ["c", "b", "a"]);
    let out = place.ok(&["forget", "--keep-last", "1"]);
    assert!(
        out.contains("1 snapshot forgotten, 2 kept.\nTake it back with: "),
        "{out}"
    );
    assert_eq!(listed(&place, &[]), ["c", "a"]);
    let out = place.ok(&["forget", "--keep-last", "1"]);
    assert!(out.ends_with("0 snapshots forgotten, 2 kept.\n"), "{out}");
}

#[test]
fn the_rules_are_about_what_filters_and_groups_say() {
    let place = backed_up(&[]);
    place.sql("other.db", "CREATE TABLE t(a)");
    for (database, name, tag) in [
        ("app.db", "a", "x"),
        ("app.db", "b", "y"),
        ("other.db", "c", "x"),
        ("other.db", "d", "x"),
    ] {
        place.ok(&["backup", database, "--name", name, "--tag", tag]);
    }
    let forgets = |words: &[&str]| -> Vec<String> {
        let out = place.ok(&[&["forget", "-n", "--json"], words].concat());
        let forgotten = summary(&out)["forgotten"].as_array().unwrap().clone();
        forgotten
            .iter()
            .map(|s| s["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(forgets(&["-l", "1"]), ["c", "a"]);
    assert_eq!(forgets(&["-l", "1", "--tag", "x"]), ["c"]);
    assert_eq!(forgets(&["-l", "1", "--source", "app.db"]), ["a"]);
    assert_eq!(forgets(&["-l", "1", "--group-by", ""]), ["c", "b", "a"]);
    assert_eq!(forgets(&["-l", "1", "--group-by", "source,tags"]), ["c"]);
    assert_eq!(forgets(&["-l", "1", "--keep-tag", "x"]), [""; 0]);
    assert_eq!(forgets(&["--keep-daily", "unlimited"]), ["c", "a"]);
    assert_eq!(forgets(&["--keep-last", "-1"]), [""; 0]);
    assert_eq!(forgets(&["--keep-within", "1h"]), [""; 0]);
    assert_eq!(
        forgets(&["--source", "app.db", "--allow-empty"]),
        ["b", "a"]
    );
    assert_eq!(
        forgets(&["-l", "0", "--tag", "x", "--unsafe-allow-remove-all"]),
        ["d", "c", "a"]
    );
    let run = place.code(1, &["forget", "-l", "1", "--source", "ap.db"]);
    assert!(run.err.contains("no source \"ap.db\""), "{}", run.err);
}

/// They forgot nothing, and that was all that was said.
#[test]
fn filters_that_no_snapshot_fits_are_mistakes() {
    let place = Workplace::empty();
    place.sql("app.db", "CREATE TABLE t(a)");
    place.sql("other.db", "CREATE TABLE t(a)");
    place.ok(&["backup", "app.db", "--tag", "nightly"]);
    place.ok(&["backup", "other.db", "--tag", "manual"]);
    let mistakes: [(&[&str], &[&str]); 6] = [
        (
            &["--tag", "nightl"],
            &[
                "no snapshot in ./backups has the tag \"nightl\"; did you mean \"nightly\"?",
                "There are: manual, nightly",
            ],
        ),
        (
            &["--tag", "nightly", "--tag", "weekly"],
            &["has the tag \"weekly\""],
        ),
        (
            &["--tag", "manual,nightly"],
            &["has all of the tags manual, nightly"],
        ),
        (
            &["--tag", ""],
            &["no snapshot in ./backups is without tags"],
        ),
        (
            &["--host", "nowhere"],
            &["was made by host \"nowhere\"", "There are: "],
        ),
        (
            &["--tag", "manual", "--source", "app.db"],
            &["say together", " list\n"],
        ),
    ];
    for (words, said) in mistakes {
        for rules in [&["--keep-last", "1"], &["--allow-empty", "-q"]] {
            let run = place.code(1, &[&["forget"], words, rules.as_slice()].concat());
            for said in said {
                assert!(run.err.contains(said), "{words:?} {said}: {}", run.err);
            }
            assert_eq!(run.out, "");
        }
    }
    assert_eq!(listed(&place, &[]).len(), 2);
    for word in ["sources", "hosts", "path", "tag", "source,colour"] {
        let run = place.code(2, &["forget", "-l", "1", "--group-by", word]);
        assert!(
            run.err.contains("there are source, host and tags"),
            "{word}: {}",
            run.err
        );
    }
    // `forget` has no --source-name: it must not be told of.
    let run = place.code(2, &["forget", "latest"]);
    assert!(run.err.contains("snapshots of 2 sources"), "{}", run.err);
    assert!(!run.err.contains("--source-name"), "{}", run.err);
    assert!(
        run.err.contains("Name the snapshot by its id or name"),
        "{}",
        run.err
    );
}

#[test]
fn a_store_whose_snapshots_are_all_forgotten_is_not_called_new() {
    let place = backed_up(&["a", "b"]);
    place.ok(&["forget", "a", "b"]);
    for words in [
        ["show", "latest"].as_slice(),
        &["restore", "latest", "--to", "x.db"],
    ] {
        let run = place.code(1, words);
        assert!(
            run.err
                .contains("./backups has no snapshots: all 2 are forgotten\n"),
            "{}",
            run.err
        );
        for said in [" forget --undo ID ", " list --forgotten)", " backup DB\n"] {
            assert!(run.err.contains(said), "{said}: {}", run.err);
        }
    }
    place.ok(&["forget", "--undo", "a"]);
    place.ok(&["show", "latest"]);
    let place = backed_up(&["a"]);
    place.ok(&["forget", "a"]);
    let run = place.code(1, &["show", "latest"]);
    assert!(run.err.contains("the only one is forgotten"), "{}", run.err);
    let run = backed_up(&[]).code(1, &["show", "latest"]);
    assert!(run.err.contains("has no snapshots yet\n"), "{}", run.err);
}

#[test]
fn mistakes_are_told_with_what_to_do_and_forget_nothing() {
    let place = backed_up(&["a", "b"]);
    place.ok(&["pin", "a"]);
    let usage: [(&[&str], &str); 8] = [
        (&["forget"], "forget --keep-daily 7"),
        (&["forget", "--tag", "x"], "forget --keep-daily 7"),
        (&["forget", "--keep-last", "0"], "the rules keep nothing"),
        (&["forget", "--allow-empty"], "forget SNAP"),
        (
            &["forget", "b", "--keep-last", "1"],
            "Leave out one of the two",
        ),
        (&["forget", "--undo"], "list --forgotten"),
        (&["forget", "./backups"], "is a store, and no snapshot"),
        (&["forget", "--keep-within", "7 days"], "2y5m7d3h"),
    ];
    for (words, said) in usage {
        let run = place.code(2, words);
        assert!(run.err.contains(said), "{words:?}: {}", run.err);
    }
    let refused: [(&[&str], &str); 5] = [
        (&["forget", "nix"], "no snapshot \"nix\""),
        (&["forget", "b", "nix"], "no snapshot \"nix\""),
        (&["forget", "b", "a"], "is pinned"),
        (&["forget", "a"], "unpin "),
        (&["forget", "--undo", "nix"], "list --forgotten"),
    ];
    for (words, said) in refused {
        let run = place.code(1, words);
        assert!(run.err.contains(said), "{words:?}: {}", run.err);
    }
    place.ok(&["unpin", "a"]);
    let run = place.code(1, &["forget", "--keep-tag", "x"]);
    assert!(run.err.contains("--allow-empty"), "{}", run.err);
    place.ok(&["backup", "app.db", "--store", "other", "--name", "b"]);
    let run = place.code(2, &["forget", "./backups/a", "./other/b"]);
    assert!(run.err.contains("are of two stores"), "{}", run.err);
    assert_eq!(listed(&place, &[]), ["b", "a"]);
}

#[test]
fn a_forgotten_snapshot_that_is_named_elsewhere_leads_back() {
    let place = backed_up(&["a", "b"]);
    let out = place.ok(&["forget", "a", "--json"]);
    let id = summary(&out)["forgotten"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for words in [
        ["show", &id].as_slice(),
        &["show", "a"],
        &["show", &id[..25]],
        &["restore", &id, "--to", "new.db"],
        &["diff", &id, "b"],
        &["pin", &id],
    ] {
        let run = place.code(1, words);
        let back = format!("forget --undo {id}");
        assert!(
            run.err.contains("is forgotten\n") && run.err.contains(&back),
            "{words:?}: {}",
            run.err
        );
    }
    // Both are as they are to be: a run that was cut off can be made again.
    let out = place.ok(&["forget", "a"]);
    assert!(out.starts_with("forgotten already  a "), "{out}");
    place.ok(&["forget", "--undo", &id[..25]]);
    let out = place.ok(&["forget", "--undo", &id]);
    assert!(out.starts_with("not forgotten  a "), "{out}");
}

#[test]
fn a_snapshot_that_was_deleted_cannot_be_taken_back_and_that_is_said() {
    let place = backed_up(&["a", "b"]);
    let out = place.ok(&["forget", "a", "--json"]);
    let id = summary(&out)["forgotten"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // As a clean-up leaves it: the verdict, and no manifest.
    let mark = files(&place.path("backups/forgotten"), ".1");
    assert_eq!(mark.len(), 1);
    let verdict = larder::format::protocol::ForgetFinal::Delete {
        snapshot: id.parse().unwrap(),
        mark: 1,
        time: "2026-11-23T20:15:31.000Z".to_owned(),
    };
    let hash = larder::codec::hash::StoreHash::unkeyed();
    let kind = larder::format::frame::ObjectKind::ForgetFinal;
    let bytes = larder::format::frame::encode(hash, kind, &verdict).unwrap();
    std::fs::write(format!("{}.final", mark[0].display()), bytes).unwrap();
    let out = place.ok(&["list", "--forgotten", "--json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["snapshots"][0]["safe_until"], Value::Null);
    std::fs::remove_file(files(&place.path("backups/snapshots"), &id)[0].clone()).unwrap();
    for words in [["forget", "--undo", &id], ["forget", "--undo", &id[..25]]] {
        let run = place.code(1, &words);
        assert!(run.err.contains("It cannot be had back"), "{}", run.err);
    }
    let run = place.code(1, &["show", &id]);
    assert!(run.err.contains("a clean-up has deleted it"), "{}", run.err);
    place.ok(&["forget", &id]);
    assert_eq!(
        place.ok(&["list", "--forgotten"]),
        "0 snapshots forgotten in ./backups\n"
    );
}

#[test]
fn pins_are_listed_and_taken_away() {
    let place = backed_up(&["a", "b"]);
    let out = place.ok(&["pin", "a"]);
    assert!(out.starts_with("pinned  a "), "{out}");
    assert!(place.ok(&["pin", "a"]).starts_with("pinned already  a "));
    let out = place.ok(&["list"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        !lines[1].ends_with("pinned") && lines[2].ends_with("  pinned"),
        "{out}"
    );
    let document: Value = serde_json::from_str(&place.ok(&["list", "--json"])).unwrap();
    assert_eq!(document["snapshots"][0]["pinned"], false);
    assert_eq!(document["snapshots"][1]["pinned"], true);
    let out = place.ok(&["pin", "--remove", "a", "b", "--json"]);
    let removed = summary(&out);
    assert_eq!(removed["pinned"], false);
    assert_eq!(removed["snapshots"][0]["changed"], true);
    assert_eq!(removed["snapshots"][1]["changed"], false);
    assert!(place.ok(&["unpin", "a"]).starts_with("not pinned  a "));
}

/// A policy must not take away what an undo would need, unless it is named.
#[test]
fn a_policy_leaves_the_last_restore_undoable() {
    let place = backed_up(&["a"]);
    place.sql("app.db", "INSERT INTO t VALUES(2)");
    place.ok(&["backup", "app.db", "--name", "b"]);
    place.sql("app.db", "DELETE FROM t");
    place.ok(&["restore", "b", "--to", "app.db"]);
    let out = place.ok(&["forget", "--keep-last", "1", "--keep-undo", "0h"]);
    assert!(
        out.contains("restores into ") && out.contains("last restore"),
        "{out}"
    );
    assert!(out.contains("1 snapshot forgotten, 3 kept."), "{out}");
    place.ok(&["undo", "--to", "app.db"]);
    assert_eq!(place.count("app.db", "SELECT count(*) FROM t"), 0);
    let out = place.ok(&["list", "--json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    let snapshots = document["snapshots"].as_array().unwrap();
    let after = snapshots
        .iter()
        .find(|s| s["tags"][0] == "after-restore")
        .unwrap();
    let run = place.code(0, &["forget", after["id"].as_str().unwrap()]);
    assert!(
        run.err.contains("note: ") && run.err.contains("cannot be undone as long as"),
        "{}",
        run.err
    );
}
