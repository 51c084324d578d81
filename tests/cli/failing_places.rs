//! Stores on disks that are read-only, closed, full of open files, gone, or broken: what is said, and that what
//! was there stays whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::workplace::{Run, Workplace};

/// Words that only read, on a store with a snapshot named `first`.
const READING: &[&str] = &[
    "list",
    "show first",
    "ls first",
    "stats",
    "validate",
    "cat first:suppliers",
    "diff first app.db",
    "restore first --to out.db",
];

/// Words that write.
const WRITING: &[&str] = &[
    "backup app.db",
    "forget first",
    "pin first",
    "prune --grace 0",
];

fn run(place: &Workplace, program: &str, words: &[&str]) -> Option<Run> {
    let mut command = Command::new(program);
    command
        .args(words)
        .current_dir(place.path(""))
        .env_remove("LARDER_STORE")
        .env_remove("LARDER_DATABASE")
        .env("LARDER_CACHE_DIR", place.path("cache"))
        // That of who tests may be closed to others.
        .env("TMPDIR", place.path(""))
        .env("TZ", "Europe/Berlin");
    let output = command.output().ok()?;
    Some(Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A snapshot named `first`, and a forgotten one: there is something to prune.
fn with_work() -> Workplace {
    let place = Workplace::backed_up();
    place.sql("app.db", "UPDATE purchases SET packages = 7");
    place.ok(&["backup", "app.db", "--name", "gone"]);
    place.ok(&["forget", "gone"]);
    place
}

fn larder() -> String {
    assert_cmd::cargo::cargo_bin!("larder")
        .display()
        .to_string()
}

#[test]
fn a_store_on_read_only_media_can_be_read_and_says_why_it_cannot_be_written() {
    let place = with_work();
    for (words, code) in READING
        .iter()
        .map(|words| (words, 0))
        .chain(WRITING.iter().map(|words| (words, 1)))
    {
        let script = format!(
            "mount --bind backups backups && mount -o remount,ro,bind backups || exit 99
             {} {words}",
            larder()
        );
        let Some(run) = run(&place, "unshare", &["-Urm", "sh", "-c", &script]) else {
            println!("not run: there is no unshare");
            return;
        };
        if run.code == 99 {
            println!("not run: nothing can be mounted: {}", run.err);
            return;
        }
        assert_eq!(run.code, code, "{words}: {}", run.err);
        if code != 0 {
            assert!(run.err.contains("Read-only file system"), "{}", run.err);
            assert!(run.err.contains("read-only"), "{}", run.err);
        }
        let _ = fs::remove_file(place.path("out.db"));
    }
    place.ok(&["validate"]);
}

/// Makes everything below a folder belong to `other`, or to all: readable, and not writable.
fn close(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        let mode = if entry.file_type().is_dir() {
            0o555
        } else {
            0o444
        };
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn open(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
}

/// Runs larder as somebody whom permissions bind: root they do not. `None`: there is nobody else.
fn as_another(place: &Workplace, words: &[&str]) -> Option<Run> {
    let program = larder();
    let user = Command::new("id").arg("-u").output().ok()?;
    if user.stdout != b"0\n" {
        return run(place, &program, words);
    }
    let mut all = vec!["--reuid=65534", "--regid=65534", "--clear-groups", &program];
    all.extend(words);
    let run = run(place, "setpriv", &all)?;
    // The program, or a folder above, may be closed to others.
    (run.code != 127 && run.code != 126).then_some(run)
}

#[test]
fn a_store_of_somebody_else_can_be_read_and_says_so_where_it_cannot() {
    let place = with_work();
    open(&place.path(""));
    let store = place.path("backups");
    close(&store);
    for (words, code) in READING
        .iter()
        .map(|words| (words, 0))
        .chain(WRITING.iter().map(|words| (words, 1)))
    {
        let words: Vec<&str> = words.split(' ').collect();
        let Some(run) = as_another(&place, &words) else {
            println!("not run: there is no other user");
            return;
        };
        assert_eq!(run.code, code, "{words:?}: {}", run.err);
        if code != 0 {
            assert!(run.err.contains("Permission denied"), "{}", run.err);
            assert!(run.err.contains("permission"), "{}", run.err);
        }
    }
    // Not even readable: which object it was is said.
    for pack in crate::workplace::files(&store.join("packs"), "") {
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let run = as_another(&place, &["restore", "first", "--to", "none.db"]).unwrap();
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(
        run.err.contains("packs/") || run.err.contains("pack "),
        "{}",
        run.err
    );
    assert!(run.err.contains("Permission denied"), "{}", run.err);
    assert!(!place.path("none.db").exists());
    open(&store);
    place.ok(&["validate"]);
}

/// A disk that is pulled out, a share that goes away.
#[test]
fn a_store_that_disappears_fails_the_backup_and_is_whole_when_it_comes_back() {
    let place = Workplace::backed_up();
    place.sql(
        "large.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
         INSERT INTO t SELECT i, hex(randomblob(20)), randomblob(60) FROM n;",
    );
    let (store, away) = (place.path("backups"), place.path("away"));
    let mut command = place.std_command();
    command
        .args(["backup", "large.db"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    let at_work =
        || fs::read_dir(store.join("writers")).is_ok_and(|mut names| names.next().is_some());
    while !at_work() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::rename(&store, &away).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("No such file or directory"), "{err}");
    assert!(!store.join("snapshots").exists() && !store.join("config").exists());
    let _ = fs::remove_dir_all(&store);
    fs::rename(&away, &store).unwrap();
    assert_eq!(place.ok(&["list", "--json"]).matches("\"id\"").count(), 1);
    place.ok(&["validate"]);
    place.ok(&["prune", "--grace", "0"]);
    place.ok(&["backup", "large.db"]);
}

/// However few files a process may have open: done, or an error that says so.
#[test]
fn too_few_open_files_are_an_error_and_nothing_worse() {
    let place = Workplace::backed_up();
    let mut done = 0;
    for limit in 3..40 {
        for words in [
            "backup app.db",
            "validate",
            "prune",
            "restore first --to out.db",
        ] {
            let script = format!("ulimit -n {limit}; exec {} {words}", larder());
            let run = run(&place, "sh", &["-c", &script]).unwrap();
            // 127: the libraries of the program cannot be loaded.
            assert!(
                matches!(run.code, 0 | 1 | 127),
                "{limit} {words}: {}",
                run.err
            );
            assert!(
                !run.err.contains("panicked"),
                "{limit} {words}: {}",
                run.err
            );
            match run.code {
                0 => done += 1,
                1 => assert!(run.err.contains("error:"), "{limit} {words}: {}", run.err),
                _ => {}
            }
            let _ = fs::remove_file(place.path("out.db"));
        }
    }
    assert!(done > 20, "{done}");
    place.ok(&["validate"]);
    place.ok(&["prune", "--grace", "0"]);
    assert_eq!(
        fs::read_dir(place.path("backups/writers")).unwrap().count(),
        0
    );
}

/// A backup into a new store, every sync from `when` on or the one failing. `None`: there is no strace.
fn backup_with_failing_syncs(place: &Workplace, store: &str, when: &str) -> Option<(Run, String)> {
    let inject = format!("inject=fsync:error=EIO:when={when}");
    let program = larder();
    let mut words = vec!["-f", "-qq", "-y", "-o", "trace", "-e", "trace=fsync", "-e"];
    words.extend([&inject, &program, "backup", "app.db", "--store", store]);
    let run = run(place, "strace", &words)?;
    let trace = fs::read_to_string(place.path("trace")).ok()?;
    Some((run, trace))
}

/// The file of a line of the trace: `fsync(3</a/file>) = 0`.
fn synced(line: &str) -> Option<&str> {
    let (path, _) = line
        .split_once("fsync(")?
        .1
        .split_once('<')?
        .1
        .split_once('>')?;
    Some(path)
}

/// No file of the store is synced again after its sync has failed. Those of the cache are SQLite's, and
/// hold nothing that the store lacks. How many syncs failed.
#[track_caller]
fn assert_never_asked_again(trace: &str) -> usize {
    let mut failed = Vec::new();
    for line in trace.lines() {
        let Some(path) = synced(line) else { continue };
        assert!(!failed.contains(&path), "{path}\n{trace}");
        if line.contains("INJECTED") && path.contains("/store-") {
            failed.push(path);
        }
    }
    trace.matches("INJECTED").count()
}

/// The system says once that a sync failed. What it says of a second sync of the same file is worth
/// nothing: the whole object is written again, or the backup has failed.
#[test]
fn a_sync_that_failed_is_never_asked_again() {
    let place = Workplace::bakery();
    let (mut done, mut failed) = (0, 0);
    for nth in 1..100 {
        for (when, store) in [
            (format!("{nth}"), format!("store-{nth}")),
            (format!("{nth}+"), format!("store-{nth}-on")),
        ] {
            let Some((run, trace)) = backup_with_failing_syncs(&place, &store, &when) else {
                println!("not run: there is no strace");
                return;
            };
            let injected = assert_never_asked_again(&trace);
            if injected == 0 && nth == 1 {
                println!("not run: strace cannot do this here: {}", run.err);
                return;
            }
            if injected == 0 {
                println!("{done} backups were done, {failed} failed");
                assert!(done > 0 && failed > 5, "{done} {failed}");
                return;
            }
            match run.code {
                0 => {
                    done += 1;
                    let list = place.ok(&["list", "--store", &store, "--json"]);
                    assert_eq!(list.matches("\"id\"").count(), 1, "{when}");
                }
                code => {
                    failed += 1;
                    assert_eq!(code, 1, "{when}: {}", run.err);
                    assert!(
                        run.err.contains("Input/output error"),
                        "{when}: {}",
                        run.err
                    );
                }
            }
            if place.path(&store).join("config").exists() {
                place.ok(&["validate", "--store", &store]);
            }
        }
    }
    panic!("there is no end of syncs");
}
