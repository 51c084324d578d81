//! `larder prune`: what is deleted, what stays and until when, and what it does beside backups.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workplace::{Workplace, files};

/// Three snapshots, `one` to `three`, each with more than the one before.
fn place() -> Workplace {
    let place = Workplace::bakery();
    for (name, n) in [("one", 1), ("two", 2), ("three", 3)] {
        place.sql(
            "app.db",
            &format!(
                "CREATE TABLE t{n}(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
                 WHERE i < 2000) INSERT INTO t{n} SELECT hex(randomblob(20)) FROM n;
                 DROP TABLE IF EXISTS t{};",
                n - 1
            ),
        );
        place.ok(&["backup", "app.db", "--name", name]);
    }
    place
}

fn document(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn what_only_forgotten_snapshots_need_is_freed_a_day_later_or_when_that_is_asked_for() {
    let place = place();
    let packs = || files(&place.path("backups/packs"), "").len();
    assert_eq!(packs(), 3);
    place.ok(&["forget", "one", "two"]);
    let early = place.ok(&["prune"]);
    assert!(early.contains("1 kept, 0 deleted, 2 forgotten"), "{early}");
    assert!(early.contains("stays until"), "{early}");
    assert!(early.contains("take one back with: "), "{early}");
    // The commands that are told work as they are.
    let told = early
        .lines()
        .find_map(|l| l.trim().strip_prefix("take one back with: "));
    let words: Vec<&str> = told.unwrap().split(' ').skip(1).collect();
    place.ok(&words);
    assert_eq!(packs(), 3);
    place.ok(&["forget", "one", "two"]);
    let planned = place.ok(&["prune", "--grace", "0", "-n"]);
    assert!(
        planned.contains("Nothing was deleted (dry run)"),
        "{planned}"
    );
    assert_eq!(packs(), 3);
    let done = document(&place.ok(&["prune", "--grace", "0", "--json"]));
    assert_eq!(done["deleted_snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(done["damaged"], false);
    assert!(done["packs"]["deleted"]["count"].as_u64() >= Some(1));
    assert!(done["store_bytes"].as_u64() < done["store_bytes_before"].as_u64());
    place.ok(&["validate"]);
    place.ok(&["restore", "three", "--to", "again.db"]);
    let late = place.code(1, &["forget", "--undo", "one"]);
    assert!(late.err.contains("error: "), "{}", late.err);
    let again = place.ok(&["prune"]);
    assert!(again.contains("nothing to free"), "{again}");
}

#[test]
fn a_backup_that_died_is_not_waited_for_and_one_that_lives_is() {
    let place = place();
    // A large value that is slow to make, so that the backup can be met at work.
    place.sql(
        "app.db",
        "CREATE TABLE big(x); INSERT INTO big VALUES(randomblob(60000000));",
    );
    let started = |place: &Workplace| {
        let mut backup = place.std_command();
        backup
            .args(["backup", "app.db"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = backup.spawn().unwrap();
        let begun = Instant::now();
        while files(&place.path("backups/writers"), "").is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    };
    place.ok(&["forget", "one", "two"]);
    let mut alive = started(&place);
    // SIGSTOP: it lives, and does not end.
    let stop = |signal: &str, pid: u32| {
        let kill = std::process::Command::new("kill");
        let mut kill = kill;
        assert!(
            kill.args([signal, &pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
    };
    stop("-STOP", alive.id());
    let refused = place.code(6, &["prune", "--grace", "0", "--max-wait", "1s"]);
    assert!(
        refused.err.contains("a backup is at work"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("--max-wait"), "{}", refused.err);
    stop("-CONT", alive.id());
    assert!(alive.wait().unwrap().success());
    let mut dead = started(&place);
    dead.kill().unwrap();
    dead.wait().unwrap();
    let begun = Instant::now();
    let done = place.ok(&["prune", "--grace", "0", "-v"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        done.contains("was cut off; it can never be completed"),
        "{done}"
    );
    assert!(files(&place.path("backups/writers"), "").is_empty());
    place.ok(&["validate"]);
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let place = place();
    let unit = place.code(2, &["prune", "--grace", "3y"]);
    assert!(unit.err.contains("use s, m, h, d or w"), "{}", unit.err);
    let none = place.code(10, &["prune", "--store", "nowhere"]);
    assert!(none.err.contains("no store at nowhere"), "{}", none.err);
}

#[test]
fn a_snapshot_that_cannot_be_read_stops_a_prune_unless_it_is_forgotten() {
    let place = place();
    let manifest = files(&place.path("backups/snapshots"), "").remove(0);
    let id = manifest.file_name().unwrap().to_str().unwrap().to_owned();
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&manifest).unwrap();
    std::fs::write(&manifest, bytes).unwrap();
    let before = files(&place.path("backups/packs"), "").len();
    let stopped = place.code(4, &["prune", "--grace", "0"]);
    assert!(stopped.err.contains(&id), "{}", stopped.err);
    assert_eq!(files(&place.path("backups/packs"), "").len(), before);
    place.ok(&["forget", &id]);
    place.ok(&["prune", "--grace", "0"]);
    place.ok(&["validate"]);
}
