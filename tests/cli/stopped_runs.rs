//! Signals, and readers that go away: of a run that was stopped nothing is visible, no record of a
//! writer stays, and the exit code is the signal's.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::workplace::Workplace;

/// Signals, and the codes with which a program says that they stopped it.
const SIGNALS: [(&str, i32); 2] = [("-INT", 130), ("-TERM", 143)];

/// A database on which every command works for a while.
fn large(place: &Workplace) {
    place.sql(
        "large.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
         INSERT INTO t SELECT i, hex(randomblob(20)), randomblob(60) FROM n;",
    );
}

fn start(place: &Workplace, words: &[&str]) -> Child {
    let mut command = place.std_command();
    command.args(words).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn send(child: &Child, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// Waits for something that must come. The run must not end before.
#[track_caller]
fn until(child: &mut Child, what: &str, holds: impl Fn(&Child) -> bool) {
    let begun = Instant::now();
    while !holds(child) {
        assert_eq!(child.try_wait().unwrap(), None, "ended before {what}");
        assert!(begun.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The program asks from now on what a signal says, rather than to be ended by it: proc(5), `SigCgt`.
fn catches_signals(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The last one that is registered.
    caught.is_some_and(|mask| mask & (1 << (15 - 1)) != 0)
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn ended(child: Child, code: i32) -> String {
    let output: Output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{err}");
    err
}

#[test]
fn a_backup_that_a_signal_stops_is_invisible_and_leaves_no_record() {
    let place = Workplace::backed_up();
    large(&place);
    for (signal, code) in SIGNALS {
        let mut child = start(&place, &["backup", "large.db"]);
        let writers = place.path("backups/writers");
        until(&mut child, "writer", |child| {
            catches_signals(child) && !names(&writers).is_empty()
        });
        send(&child, signal);
        let err = ended(child, code);
        assert!(err.contains("Nothing that counts was changed"), "{err}");
        assert_eq!(names(&writers), [""; 0]);
        assert_eq!(names(&place.path("backups/tmp")), [""; 0]);
        assert_eq!(names(&place.path("backups/snapshots")).len(), 1);
    }
    place.ok(&["validate"]);
    place.ok(&["backup", "large.db"]);
}

#[test]
fn a_validation_that_a_signal_stops_says_so_and_changes_nothing() {
    let place = Workplace::empty();
    large(&place);
    place.ok(&["backup", "large.db"]);
    for (signal, code) in SIGNALS {
        let mut child = start(&place, &["validate"]);
        until(&mut child, "validation", catches_signals);
        send(&child, signal);
        ended(child, code);
    }
    place.ok(&["validate"]);
}

#[test]
fn a_restore_that_a_signal_stops_leaves_no_file() {
    let place = Workplace::empty();
    large(&place);
    place.ok(&["backup", "large.db"]);
    fs::create_dir(place.path("out")).unwrap();
    for (signal, code) in SIGNALS {
        let mut child = start(&place, &["restore", "latest", "--to", "out/new.db"]);
        let out = place.path("out");
        until(&mut child, "file", |child| {
            catches_signals(child) && !names(&out).is_empty()
        });
        send(&child, signal);
        ended(child, code);
        assert_eq!(names(&out), [""; 0]);
    }
    place.ok(&["restore", "latest", "--to", "out/new.db"]);
}

/// A prune beside a backup waits for it; it is stopped there, and the backup knows nothing of that.
#[test]
fn a_prune_that_a_signal_stops_has_no_open_record_and_holds_nobody_up() {
    let place = Workplace::backed_up();
    large(&place);
    place.sql("app.db", "DELETE FROM purchases");
    place.ok(&["backup", "app.db", "--name", "second"]);
    place.ok(&["forget", "first"]);
    let mut backup = start(&place, &["backup", "large.db", "--name", "large"]);
    let writers = place.path("backups/writers");
    until(&mut backup, "writer", |_| !names(&writers).is_empty());
    send(&backup, "-STOP");
    let open = |names: &[String]| names.iter().any(|name| !name.ends_with(".final"));
    let gc = place.path("backups/gc");
    for (signal, code) in SIGNALS {
        let mut prune = start(&place, &["prune", "--grace", "0"]);
        until(&mut prune, "signals", catches_signals);
        send(&prune, signal);
        ended(prune, code);
        assert!(!open(&names(&gc)), "{:?}", names(&gc));
        // Nothing was taken away either.
        assert!(place.ok(&["list", "--forgotten"]).contains("first"));
    }
    send(&backup, "-CONT");
    ended(backup, 0);
    place.ok(&["prune", "--grace", "0"]);
    assert_eq!(names(&writers), [""; 0]);
    place.ok(&["validate"]);
    assert!(place.ok(&["list"]).contains("large"));
}

/// The second signal ends the program at once: nothing is tidied up. The next prune does that, and has
/// nobody to wait for.
#[test]
fn a_second_signal_ends_the_program_and_the_next_prune_tidies_up() {
    let place = Workplace::backed_up();
    large(&place);
    let mut child = start(&place, &["backup", "large.db"]);
    let writers = place.path("backups/writers");
    until(&mut child, "writer", |child| {
        catches_signals(child) && !names(&writers).is_empty()
    });
    // It finds both when it goes on.
    send(&child, "-STOP");
    send(&child, "-INT");
    send(&child, "-TERM");
    send(&child, "-CONT");
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    assert_eq!(names(&writers).len(), 1);
    place.ok(&["validate"]);
    let begun = Instant::now();
    place.ok(&["prune", "--grace", "0"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(names(&writers), [""; 0]);
    assert_eq!(names(&place.path("backups/tmp")), [""; 0]);
    place.ok(&["backup", "large.db"]);
}

/// A prune of a store in which something was being written when a power cut came, or a kill.
#[test]
fn what_the_dead_were_writing_goes_with_the_next_prune() {
    let place = Workplace::backed_up();
    let tmp = place.path("backups/tmp");
    fs::write(tmp.join("0123456789abcdef0123456789abcdef"), "half a pack").unwrap();
    // Nothing of ours: it stays.
    fs::write(tmp.join("notes.txt"), "mine").unwrap();
    place.ok(&["prune", "-n"]);
    assert_eq!(names(&tmp).len(), 2);
    place.ok(&["prune"]);
    assert_eq!(names(&tmp), ["notes.txt"]);
}

/// While a backup is at work, a prune takes no file away that may be its own.
#[test]
fn what_a_backup_is_writing_stays() {
    let place = Workplace::backed_up();
    large(&place);
    let mut backup = start(&place, &["backup", "large.db"]);
    let writers = place.path("backups/writers");
    until(&mut backup, "writer", |_| !names(&writers).is_empty());
    send(&backup, "-STOP");
    let tmp = place.path("backups/tmp");
    fs::write(tmp.join("0123456789abcdef0123456789abcdef"), "half a pack").unwrap();
    place.ok(&["prune"]);
    assert!(!names(&tmp).is_empty());
    send(&backup, "-CONT");
    ended(backup, 0);
    place.ok(&["prune"]);
    assert_eq!(names(&tmp), [""; 0]);
}

/// `larder backup | head -0`: what was to be done is done.
#[test]
fn a_reader_that_goes_away_stops_no_backup_and_no_prune() {
    let place = Workplace::bakery();
    for words in [
        &["backup", "app.db", "--name", "unread"][..],
        &["list"],
        &["validate", "--json"],
        &["forget", "unread"],
        &["prune", "--grace", "0", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.std_command();
        command.args(words).stdout(writer).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words:?} {err}");
        assert!(!err.contains("panicked"), "{words:?} {err}");
    }
    assert_eq!(names(&place.path("backups/snapshots")), [""; 0]);
}
