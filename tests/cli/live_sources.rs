//! Databases that are in use or may not be written, as a person meets them: limits, advice, and
//! a folder that looks as it did before.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::workplace::Workplace;

const WAL: &str = "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)";

/// What is beside the databases, with contents.
fn databases(place: &Workplace) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place.path("")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

fn summary(place: &Workplace, words: &[&str]) -> Value {
    let out = place.ok(words);
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

#[test]
fn how_long_the_source_was_locked_is_told() {
    let place = Workplace::empty();
    place.sql("plain.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    place.sql("wal.db", WAL);
    let before = databases(&place);
    let out = place.ok(&["backup", "plain.db", "-v"]);
    assert!(out.contains("\n  source locked for at most 0."), "{out}");
    let out = place.ok(&["backup", "plain.db"]);
    assert!(!out.contains("locked"), "{out}");
    let told = summary(&place, &["backup", "plain.db", "--json"]);
    assert!(told["longest_lock_ms"].is_u64(), "{told}");
    let told = summary(&place, &["backup", "wal.db", "--json"]);
    assert_eq!(told["longest_lock_ms"], Value::Null);
    assert_eq!(databases(&place), before);
}

#[test]
fn a_lock_that_would_be_held_too_long_is_6_and_names_the_option() {
    let place = Workplace::bakery();
    let run = place.code(6, &["backup", "app.db", "--max-lock", "0"]);
    assert!(run.err.contains("app.db was given up"), "{}", run.err);
    assert!(
        run.err.contains("raise --max-lock (now 0 s)"),
        "{}",
        run.err
    );
    assert!(!place.run(&["list"]).out.contains("backup_2"));
}

/// Only the commits in the `-wal` make it whole; nothing is made of it, or beside it.
#[test]
fn a_copied_pair_of_files_is_backed_up_and_stays_as_it_was() {
    let place = Workplace::empty();
    let app = rusqlite::Connection::open(place.path("app.db")).unwrap();
    app.execute_batch(WAL).unwrap();
    for suffix in ["", "-wal"] {
        fs::copy(
            place.path(&format!("app.db{suffix}")),
            place.path(&format!("pair.db{suffix}")),
        )
        .unwrap();
    }
    app.close().unwrap();
    let before = databases(&place);
    for words in [
        &["backup", "pair.db", "--json"][..],
        &["backup", "pair.db", "--json", "--immutable"],
    ] {
        let told = summary(&place, words);
        assert_eq!(told["snapshot"]["records"], 1, "{words:?}");
        assert_eq!(told["journal"], "WAL", "{words:?}");
        assert_eq!(databases(&place), before, "{words:?}");
    }
}

/// Real read-only media, where the system lets a test mount some.
#[test]
fn read_only_media_are_refused_with_the_way_out() {
    let place = Workplace::empty();
    place.sql("app.db", WAL);
    fs::create_dir(place.path("media")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs media && cp app.db media && mount -o remount,ro media || exit 99
         {0} backup media/app.db && exit 98
         {0} backup media/app.db --immutable",
        assert_cmd::cargo::cargo_bin!("larder").display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["-Urm", "sh", "-c", &script])
        .current_dir(place.path(""))
        .env("LARDER_CACHE_DIR", place.path("cache"));
    let Ok(output) = command.output() else {
        println!("not run: there is no unshare");
        return;
    };
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() == Some(99) {
        println!("not run: no tmpfs can be mounted: {err}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(err.contains("app.db is in WAL mode"), "{err}");
    assert!(err.contains("Read-only file system"), "{err}");
    assert!(err.contains("--immutable"), "{err}");
}

/// Ctrl-C is heard while SQLite waits for a lock.
#[test]
fn a_signal_ends_the_wait_for_a_lock() {
    let place = Workplace::bakery();
    let other = rusqlite::Connection::open(place.path("app.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut command = place.std_command();
    command
        .args(["backup", "app.db", "--deadline", "600"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stopped = None;
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(50));
        // Until it catches signals a first one just ends it; the store is made before that.
        if !place.path("backups/config").exists() {
            continue;
        }
        std::thread::sleep(Duration::from_millis(300));
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        break;
    }
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(50));
        stopped = child.try_wait().unwrap();
        if stopped.is_some() {
            break;
        }
    }
    if stopped.is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("app.db was interrupted"), "{err}");
}
