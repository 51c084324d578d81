//! `larder backup`, on a copy of the bakery's database: 16 tables, 3,738 rows.

use serde_json::Value;

use crate::workplace::{Workplace, files};

#[test]
fn the_first_backup_makes_the_store_and_shows_every_entity_file() {
    let place = Workplace::bakery();
    let out = place.ok(&["backup", "app.db"]);
    assert!(out.starts_with("store ./backups created\n"), "{out}");
    assert!(out.contains("Backing up app.db (SQLite, "), "{out}");
    assert!(out.contains("  suppliers.json "), "{out}");
    assert!(out.contains("  16 entity files, 3,738 records\n"), "{out}");
    assert_eq!(out.matches(".json").count(), 16, "{out}");
    assert!(place.path("backups").is_dir());
}

#[test]
fn a_second_backup_folds_what_did_not_change_and_counts_what_did() {
    let place = Workplace::backed_up();
    let out = place.ok(&["backup", "app.db", "--name", "second"]);
    assert!(!out.contains("created"), "{out}");
    assert!(out.contains("  16 entity files unchanged\n"), "{out}");
    assert!(
        out.contains("; nothing new or changed since first"),
        "{out}"
    );
    place.sql(
        "app.db",
        "UPDATE suppliers SET name = name || '!' WHERE rowid = 1",
    );
    let out = place.ok(&["backup", "app.db", "--name", "third"]);
    assert!(out.contains("1 changed"), "{out}");
    assert!(out.contains("  15 entity files unchanged\n"), "{out}");
    assert!(out.contains("; 1 new or changed since second"), "{out}");
    let out = place.ok(&["backup", "app.db", "--name", "fourth", "-v"]);
    assert_eq!(out.matches(".json").count(), 16, "{out}");
}

/// The last line is pasted into a shell, as a person would.
#[test]
fn the_command_that_restores_works_pasted_as_it_stands() {
    for store in ["./backups", "./my 'own' backups"] {
        let place = Workplace::bakery();
        let out = place.ok(&["backup", "app.db", "--store", store]);
        let line = out.lines().last().unwrap();
        let pasted = line.strip_prefix("Restore it with: ").unwrap();
        let status = std::process::Command::new("bash")
            .args(["-c", pasted])
            .current_dir(place.path("."))
            .env_remove("LARDER_STORE")
            .env_remove("LARDER_DATABASE")
            .status()
            .unwrap();
        assert!(status.success(), "{pasted}");
        assert_eq!(
            place.count("restored.db", "SELECT count(*) FROM suppliers"),
            8
        );
    }
}

#[test]
fn names_are_the_local_time_and_a_name_that_was_given_is_never_used_twice() {
    let place = Workplace::bakery();
    for _ in 0..2 {
        place.ok(&["backup", "app.db"]);
    }
    let list: Value = serde_json::from_str(&place.ok(&["list", "--json"])).unwrap();
    let name = |n: usize| list["snapshots"][n]["name"].as_str().unwrap().to_owned();
    assert!(larder::cli::paths::is_default_name(&name(1)), "{}", name(1));
    assert_ne!(name(0), name(1));
    place.ok(&["backup", "app.db", "--name", "mine"]);
    let run = place.code(1, &["backup", "app.db", "--name", "mine"]);
    assert!(run.err.contains("\"mine\" exists already"), "{}", run.err);
}

/// The snapshot of another database with tables of the same names was taken for the one before, and its other
/// tables were said to be gone.
#[test]
fn a_first_backup_says_nothing_of_other_databases() {
    let place = Workplace::empty();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                INSERT INTO t SELECT i, hex(i * i) || hex(i) FROM n;";
    let shared = "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE p(id INTEGER PRIMARY KEY);
                  CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id)); INSERT INTO c VALUES(1, 7);";
    place.sql("one.db", &format!("{shared} {rows} CREATE TABLE mine(a)"));
    place.sql(
        "two.db",
        &format!("{shared} {rows} INSERT INTO t VALUES(5000, 'x')"),
    );
    place.ok(&["backup", "one.db"]);
    let run = place.code(0, &["backup", "two.db", "--json"]);
    let findings: Vec<Value> = run
        .out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let last = findings.last().unwrap();
    assert_eq!(last["parent"], Value::Null, "{last}");
    assert_eq!(last["dropped"], serde_json::json!([]), "{last}");
    for entity in last["entities"].as_array().unwrap() {
        assert_eq!(entity["changes"], Value::Null, "{last}");
    }
    // What both have is stored once all the same: 2,000 records are more than this.
    assert!(last["stored_bytes"].as_u64().unwrap() < 6000, "{last}");
    assert!(!run.out.contains("in the last snapshot"), "{}", run.out);
    place.sql("three.db", &format!("{shared} CREATE TABLE other(a)"));
    let run = place.code(0, &["backup", "three.db"]);
    let said = run.out + &run.err;
    for word in [
        "is gone",
        "since",
        "new entity",
        "unchanged",
        "in the last snapshot",
    ] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    let run = place.code(0, &["backup", "three.db"]);
    let said = run.out + &run.err;
    assert!(said.contains("; nothing new or changed since "), "{said}");
    assert!(said.contains("; 1 in the last snapshot"), "{said}");
}

#[test]
fn a_zip_is_written_beside_the_snapshot() {
    let place = Workplace::bakery();
    let out = place.ok(&["backup", "app.db", "--name", "b1", "--zip"]);
    assert!(out.contains("  zip    ./backups/b1.zip\n"), "{out}");
    assert_eq!(files(&place.path("backups"), "b1.zip").len(), 1);
    // It is no damage, and no snapshot.
    place.ok(&["validate"]);
}

#[test]
fn several_databases_get_a_snapshot_each() {
    let place = Workplace::bakery();
    place.sql("two.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
    // A database that is named twice is backed up once.
    let run = place.code(0, &["backup", "app.db", "two.db", "./app.db", "--json"]);
    let lines: Vec<Value> = run
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message_type"] == "summary")
        .collect();
    let of = |n: usize, name: &str| lines[n][name].clone();
    assert_eq!(lines.len(), 2, "{}", run.out);
    assert_eq!(of(0, "store_created"), true);
    assert_eq!(of(1, "store_created"), false);
    let sources = [0, 1].map(|n| of(n, "snapshot")["source"].as_str().unwrap().to_owned());
    assert!(
        sources[0].ends_with("app.db") && sources[1].ends_with("two.db"),
        "{sources:?}"
    );
    assert_ne!(of(0, "snapshot")["name"], of(1, "snapshot")["name"]);
    place.ok(&["validate"]);
    // The next run tells each from the others.
    let run = place.code(0, &["backup", "two.db", "app.db"]);
    assert_eq!(
        run.out.matches("; nothing new or changed since ").count(),
        2,
        "{}",
        run.out
    );
}

#[test]
fn a_database_that_cannot_be_read_does_not_keep_others_from_their_snapshots() {
    let place = Workplace::bakery();
    std::fs::write(place.path("notes.db"), "not a database at all, but a text").unwrap();
    let run = place.code(1, &["backup", "absent.db", "notes.db", "app.db"]);
    assert!(run.err.contains("no database at absent.db"), "{}", run.err);
    assert!(run.err.contains("notes.db"), "{}", run.err);
    assert_eq!(
        run.out.matches("Backup complete: ").count(),
        1,
        "{}",
        run.out
    );
    assert!(
        run.out.starts_with("store ./backups created\n"),
        "{}",
        run.out
    );
    place.ok(&["validate"]);
}

#[test]
fn names_that_are_mistyped_leave_no_store_behind() {
    let place = Workplace::empty();
    let run = place.code(1, &["backup", "a.db", "b.db"]);
    assert!(
        run.err.contains("a.db") && run.err.contains("b.db"),
        "{}",
        run.err
    );
    assert!(!place.path("backups").exists());
}

#[test]
fn several_databases_do_not_share_one_name() {
    let place = Workplace::bakery();
    for words in [
        ["--name", "mine"],
        ["--source-name", "mine"],
        ["-o", "backups/backup_20261129_120000"],
    ] {
        let run = place.code(2, &["backup", "app.db", "two.db", words[0], words[1]]);
        assert!(run.err.contains("one name for 2 "), "{}", run.err);
    }
    assert!(!place.path("backups").exists());
}

#[test]
fn the_database_may_come_from_the_environment() {
    let mut place = Workplace::bakery();
    place.set("LARDER_DATABASE", "app.db");
    place.set("LARDER_STORE", "s");
    let out = place.ok(&["backup"]);
    assert!(out.contains("--store s"), "the store is named: {out}");
    assert!(place.path("s").is_dir());
}

/// A script that clears a variable meant the default, and was told that a value is required.
#[test]
fn an_empty_variable_counts_as_not_set() {
    let mut place = Workplace::bakery();
    for name in ["LARDER_STORE", "LARDER_DATABASE", "LARDER_CACHE_DIR"] {
        place.set(name, "");
    }
    // The cache is then in the home folder.
    let home = place.path("home").display().to_string();
    place.set("HOME", &home);
    let out = place.ok(&["backup", "app.db", "--name", "b1"]);
    assert!(out.contains("store ./backups created"), "{out}");
    assert!(!out.contains("--store"), "{out}");
    for words in [
        ["list", "-q"],
        ["validate", "-q"],
        ["restore", "latest"],
        ["undo", "-n"],
        ["backup", "-q"],
    ] {
        let run = place.run(&words);
        let expected = match words[0] {
            "restore" | "undo" | "backup" => (2, "no database"),
            _ => (0, ""),
        };
        assert_eq!(run.code, expected.0, "{words:?}: {}", run.err);
        assert!(run.err.contains(expected.1), "{words:?}: {}", run.err);
        assert!(
            !run.err.contains("a value is required"),
            "{words:?}: {}",
            run.err
        );
    }
    // A word that is given and empty is a mistake.
    let run = place.code(2, &["list", "--store", ""]);
    assert!(run.err.contains("a value is required"), "{}", run.err);
}

#[test]
fn what_is_no_database_leaves_no_store_behind() {
    let place = Workplace::empty();
    let run = place.code(1, &["backup", "absent.db"]);
    assert!(run.err.contains("no database at absent.db"), "{}", run.err);
    std::fs::create_dir(place.path("folder")).unwrap();
    let run = place.code(1, &["backup", "folder"]);
    assert!(run.err.contains("folder is a folder"), "{}", run.err);
    assert!(!place.path("backups").exists());
    std::fs::write(place.path("photos.zip"), b"PK\x03\x04 no database at all").unwrap();
    let run = place.code(1, &["backup", "photos.zip"]);
    assert!(run.err.contains("photos.zip is not a"), "{}", run.err);
}

#[test]
fn references_without_a_target_are_a_note_and_no_failure() {
    let place = Workplace::bakery();
    place.sql(
        "app.db",
        "CREATE TABLE p(id INTEGER PRIMARY KEY);
         CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id));
         INSERT INTO c VALUES (1, 77)",
    );
    let run = place.code(0, &["backup", "app.db"]);
    assert!(run.err.contains("note: c: "), "{}", run.err);
    let run = place.code(0, &["backup", "app.db", "-q"]);
    assert_eq!((run.out.as_str(), run.err.as_str()), ("", ""));
}

#[test]
fn json_lines_end_with_the_summary() {
    let place = Workplace::bakery();
    let out = place.ok(&["backup", "app.db", "--json", "--tag", "a", "--tag", "b"]);
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(last["message_type"], "summary");
    assert_eq!(last["snapshot"]["records"], 3738);
    assert_eq!(last["snapshot"]["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(last["store_created"], true);
}

/// A link to a database is one: it was taken for the folder of a store.
#[test]
fn a_link_to_a_database_is_backed_up() {
    let place = Workplace::bakery();
    std::os::unix::fs::symlink("app.db", place.path("link.db")).unwrap();
    std::os::unix::fs::symlink("nothing", place.path("dangling.db")).unwrap();
    place.ok(&["backup", "link.db"]);
    let err = place.code(1, &["backup", "dangling.db"]).err;
    assert!(err.contains("no database at dangling.db"), "{err}");
    let err = place.code(1, &["backup", "app.db", "-s", "link.db"]).err;
    assert!(
        err.contains("link.db is a file, and a store is a folder"),
        "{err}"
    );
    let err = place.code(10, &["list", "-s", "link.db"]).err;
    assert!(err.contains("Give the folder of a store."), "{err}");
}

/// Such a store was made in a folder of another name, where nothing found it again.
#[test]
fn a_store_whose_path_is_not_utf8_is_made_where_it_was_said() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Workplace::bakery();
    let store = std::ffi::OsStr::from_bytes(b"st\xffore");
    let run = |words: &[&str]| {
        let mut command = place.std_command();
        command.args(words).arg("--store").arg(store);
        command.output().unwrap().status.code()
    };
    assert_eq!(run(&["backup", "app.db"]), Some(0));
    assert_eq!(run(&["restore", "latest", "--to", "out.db"]), Some(0));
    assert!(place.path("").join(store).join("config").exists());
}

/// Of several first backups at once, all but one were refused: the store was there already.
#[test]
fn first_backups_at_once_share_the_store_that_one_of_them_makes() {
    let place = Workplace::bakery();
    let start = |n: i32| {
        let mut command = place.std_command();
        let name = format!("at-once-{n}");
        command.args(["backup", "app.db", "-q", "--name", &name]);
        command.spawn().unwrap()
    };
    let begun: Vec<_> = (0..4).map(start).collect();
    for mut child in begun {
        assert!(child.wait().unwrap().success());
    }
    let list = place.ok(&["list"]);
    assert!(list.contains("\n4 snapshots, "), "{list}");
}
