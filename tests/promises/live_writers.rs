//! While a database is read others go on using it: what they are asked to bear has limits, and what
//! they do meanwhile is never mixed into what is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::cli::exit;
use larder::env::{Env, SystemEnv};
use larder::error::{Error, SourceError};
use larder::ops::backup::{self, BackupOptions, BackupOutcome};
use larder::progress::{Progress, StopSign};
use larder::source::{Capture, CaptureOptions, Reading};

use crate::live_sources::{Scene, WAL, read, texts};
use crate::workshop::Workshop;

/// A clock that does something each time it is asked.
struct Clock {
    hook: Mutex<Box<dyn FnMut() + Send>>,
    /// How far it has gone ahead of the real one.
    ahead: Mutex<Duration>,
    step: Duration,
}

impl Clock {
    fn with(step: Duration, hook: impl FnMut() + Send + 'static) -> Arc<dyn Env> {
        Arc::new(Self {
            hook: Mutex::new(Box::new(hook)),
            ahead: Mutex::new(Duration::ZERO),
            step,
        })
    }
}

impl Env for Clock {
    fn unix_ms(&self) -> i64 {
        SystemEnv.unix_ms()
    }

    fn monotonic(&self) -> Duration {
        (self.hook.lock().unwrap())();
        let mut ahead = self.ahead.lock().unwrap();
        *ahead += self.step;
        SystemEnv.monotonic() + *ahead
    }

    fn fill_random(&self, out: &mut [u8]) {
        SystemEnv.fill_random(out);
    }

    fn sleep(&self, time: Duration) {
        SystemEnv.sleep(time);
    }

    fn host(&self) -> String {
        SystemEnv.host()
    }

    fn process(&self) -> Option<larder::model::process::ProcessMark> {
        SystemEnv.process()
    }

    fn is_running(&self, process: &larder::model::process::ProcessMark) -> Option<bool> {
        SystemEnv.is_running(process)
    }
}

/// More than two slices.
fn large(scene: &Scene, mode: &str) -> PathBuf {
    let app = scene.app(
        "large.db",
        &format!(
            "PRAGMA journal_mode={mode}; CREATE TABLE t(a); CREATE TABLE blobs(b);
             INSERT INTO t VALUES(1);
             INSERT INTO blobs VALUES(zeroblob(20000000)), (zeroblob(20000000))"
        ),
    );
    drop(app);
    scene.path("large.db")
}

/// An application that tries to write whenever the copying looks at the clock, and never waits.
fn insisting(scene: &Scene, path: &Path) -> (CaptureOptions, Arc<Mutex<Vec<bool>>>) {
    let app = rusqlite::Connection::open(path).unwrap();
    app.busy_timeout(Duration::ZERO).unwrap();
    let tried = Arc::new(Mutex::new(Vec::new()));
    let seen = tried.clone();
    let env = Clock::with(Duration::ZERO, move || {
        let done = app.execute_batch("INSERT INTO t VALUES(2)").is_ok();
        seen.lock().unwrap().push(done);
    });
    let mut options = scene.options();
    options.env = env;
    (options, tried)
}

/// Between slices the lock is free; once somebody has written there, all is copied under one lock.
#[test]
fn a_writer_gets_in_between_the_slices_of_a_copy_and_the_copy_is_one_state() {
    let scene = Scene::new();
    let path = large(&scene, "DELETE");
    let (options, tried) = insisting(&scene, &path);
    let capture = Capture::begin(&path, &options).unwrap();
    let tried = tried.lock().unwrap().clone();
    // While a slice is copied it waits; before the next one it gets in.
    let first_refusal = tried.iter().position(|done| !done).unwrap();
    let between = |pair: &[bool]| pair == [true, false];
    assert!(tried[first_refusal..].windows(2).any(between), "{tried:?}");
    assert_eq!(tried.last(), Some(&true), "the lock is released at the end");
    assert!(capture.check(true).unwrap().lines.is_empty());
    assert!(texts(&capture).len() > 1);
    assert!(capture.longest_lock().unwrap() > Duration::ZERO);
    capture.finish().unwrap();
}

/// If nobody writes, nobody would have waited longer than for a slice.
#[test]
fn the_longest_lock_is_that_of_a_slice_if_nobody_writes() {
    let scene = Scene::new();
    let path = large(&scene, "DELETE");
    let mut options = scene.options();
    // A second each time the clock is asked: twice a slice, when the lock is had and released.
    options.env = Clock::with(Duration::from_secs(1), || {});
    let capture = Capture::begin(&path, &options).unwrap();
    let longest = capture.longest_lock().unwrap().as_secs_f64();
    assert!((1.0..2.5).contains(&longest), "{longest}");
}

#[test]
fn a_copy_that_would_lock_for_too_long_is_given_up() {
    let scene = Scene::new();
    let path = large(&scene, "DELETE");
    let mut options = scene.options();
    options.env = Clock::with(Duration::from_secs(1), || {});
    options.reading.max_lock = Duration::from_millis(500);
    let error = Capture::begin(&path, &options).unwrap_err();
    assert!(
        matches!(error, SourceError::LockTooLong { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("large.db"), "{error}");
    assert_eq!(exit::of_error(&Error::Source(error), None).number(), 6);
    // The lock is gone with it.
    scene.app("large.db", "INSERT INTO t VALUES(2)");
    assert!(scene.temp_is_empty());
}

/// Writes to a database whenever rows have been read.
struct Writing {
    app: rusqlite::Connection,
    /// What a checkpoint answered each time: 1, it could not begin the `-wal` anew.
    busy: Vec<i64>,
}

impl Progress for Writing {
    fn advance(&mut self, steps: u64) {
        if steps > 0 {
            self.app
                .execute_batch("INSERT INTO u VALUES(zeroblob(2000000))")
                .unwrap();
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy = self.app.query_row(checkpoint, [], |row| row.get(0));
            self.busy.push(busy.unwrap());
        }
    }
}

pub fn many_rows(path: &Path) -> rusqlite::Connection {
    let app = rusqlite::Connection::open(path).unwrap();
    app.busy_timeout(Duration::ZERO).unwrap();
    app.execute_batch(
        "PRAGMA journal_mode=WAL; CREATE TABLE t(a); CREATE TABLE u(b);
         WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
         INSERT INTO t SELECT i FROM n",
    )
    .unwrap();
    app
}

pub fn back_up(
    workshop: &mut Workshop,
    path: &Path,
    reading: Reading,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let options = BackupOptions {
        database: path.to_owned(),
        name: None,
        tags: Vec::new(),
        source_name: None,
        busy_timeout: Duration::from_millis(200),
        temp_dir: Some(workshop.path("temp")),
        check_source: None,
        strict: false,
        reading,
        fast_skip_from: None,
    };
    let _ = fs::create_dir(workshop.path("temp"));
    backup::run(&mut workshop.store, &workshop.world, &options, progress)
}

/// The ceiling: the source is let go, a private copy is read instead, and checkpoints work again.
#[test]
fn a_wal_that_grows_too_much_makes_us_let_go_of_the_source() {
    let mut workshop = Workshop::new();
    let path = workshop.path("app.db");
    let mut writing = Writing {
        app: many_rows(&path),
        busy: Vec::new(),
    };
    let reading = Reading {
        max_wal_bytes: 3_000_000,
        ..Reading::default()
    };
    let outcome = back_up(&mut workshop, &path, reading, &mut writing).unwrap();
    let rows = |name: &str| {
        outcome
            .entities
            .iter()
            .find(|e| e.entity == name)
            .unwrap()
            .records
    };
    assert_eq!(rows("t"), 20_000);
    // The state of the second beginning: what was written until then is in it.
    let held = writing.busy.iter().filter(|busy| **busy == 1).count() as u64;
    assert_eq!(rows("u"), held);
    // Twice while it was read; once more when the read was given up.
    assert_eq!(held, 3, "{:?}", writing.busy);
    assert!(writing.busy.len() > 4 && writing.busy[3..].iter().all(|busy| *busy == 0));
    assert_eq!(outcome.journal, "WAL");
    assert_eq!(outcome.longest_lock_ms, None);
    // Below the ceiling the source is read to its end.
    let reading = Reading::default();
    writing.busy.clear();
    back_up(&mut workshop, &path, reading, &mut writing).unwrap();
    assert!(writing.busy.len() > 4 && writing.busy.iter().all(|busy| *busy == 1));
}

/// Many tables, none of them large, and the checks after the last row.
#[test]
fn growth_is_seen_between_small_tables_and_between_checks() {
    let mut workshop = Workshop::new();
    let path = workshop.path("small.db");
    let app = rusqlite::Connection::open(&path).unwrap();
    app.busy_timeout(Duration::ZERO).unwrap();
    app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE u(b)")
        .unwrap();
    for n in 0..10 {
        app.execute_batch(&format!("CREATE TABLE t{n}(a); INSERT INTO t{n} VALUES(1)"))
            .unwrap();
    }
    let busy = Vec::new();
    let mut writing = Writing { app, busy };
    let reading = Reading {
        max_wal_bytes: 3_000_000,
        ..Reading::default()
    };
    back_up(&mut workshop, &path, reading, &mut writing).unwrap();
    assert_eq!(writing.busy[..3], [1, 1, 0], "{:?}", writing.busy);
    let scene = Scene::new();
    let app = scene.app(
        "app.db",
        &format!("{WAL}; CREATE TABLE c(a REFERENCES t(a)); CREATE TABLE u(b)"),
    );
    let mut options = scene.options();
    options.reading.max_wal_bytes = 100_000;
    let capture = Capture::begin(&scene.path("app.db"), &options).unwrap();
    let checked = capture.schema().table("c").unwrap();
    capture.moment().foreign_key_violations(checked).unwrap();
    app.execute_batch("INSERT INTO u VALUES(zeroblob(200000))")
        .unwrap();
    for error in [
        capture.moment().check_hold().unwrap_err(),
        capture
            .moment()
            .foreign_key_violations(checked)
            .unwrap_err(),
    ] {
        assert!(matches!(error, SourceError::WalGrew { .. }), "{error:?}");
    }
}

#[test]
fn a_wal_that_grows_too_much_even_while_it_is_copied_ends_the_backup() {
    let scene = Scene::new();
    let path = large(&scene, "WAL");
    // Keeps the -wal from going.
    let _app = scene.app("large.db", "INSERT INTO t VALUES(2)");
    let (mut options, _) = insisting(&scene, &path);
    options.reading.max_wal_bytes = 4_000;
    options.reading.private_copy = true;
    let error = Capture::begin(&path, &options).unwrap_err();
    assert!(matches!(error, SourceError::WalGrew { .. }), "{error:?}");
    assert!(error.to_string().contains("large.db"), "{error}");
    assert_eq!(exit::of_error(&Error::Source(error), None).number(), 6);
    assert!(scene.temp_is_empty());
    let mut options = scene.options();
    options.reading.private_copy = true;
    let capture = Capture::begin(&path, &options).unwrap();
    assert!(!capture.holds_source());
    assert_eq!(capture.longest_lock(), None);
    assert_eq!(capture.settings().journal_mode, "wal");
}

/// Renamed over, or deleted: what was read is of a file that is no longer there.
#[test]
fn a_database_that_is_replaced_or_deleted_while_it_is_read_is_no_backup() {
    for mode in ["WAL", "DELETE"] {
        for replaced in [true, false] {
            let scene = Scene::new();
            let path = scene.path("app.db");
            let sql =
                format!("PRAGMA journal_mode={mode}; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
            drop(scene.app("app.db", &sql));
            drop(scene.app("other.db", "CREATE TABLE other(a)"));
            let (from, to) = (scene.path("other.db"), path.clone());
            let (options, capture);
            let error = if mode == "WAL" {
                capture = Capture::begin(&path, &scene.options()).unwrap();
                swap(&from, &to, replaced);
                assert_eq!(texts(&capture), ["1"], "of the old file");
                capture.finish().unwrap_err()
            } else {
                // While it is copied: the clock is asked under the lock.
                let mut asked = 0;
                let env = Clock::with(Duration::ZERO, move || {
                    asked += 1;
                    if asked == 2 {
                        swap(&from, &to, replaced);
                    }
                });
                options = CaptureOptions {
                    env,
                    ..scene.options()
                };
                Capture::begin(&path, &options).unwrap_err()
            };
            assert!(
                matches!(error, SourceError::Changed { .. }),
                "{mode} {replaced}: {error:?}"
            );
            assert_eq!(exit::of_error(&Error::Source(error), None).number(), 6);
            assert_eq!(path.exists(), replaced);
            assert!(scene.temp_is_empty());
        }
    }
}

fn swap(from: &Path, to: &Path, replaced: bool) {
    if replaced {
        fs::rename(from, to).unwrap();
    } else {
        fs::remove_file(to).unwrap();
    }
}

/// A lock that is free in time is waited for; one that is not ends in time.
#[test]
fn a_busy_database_is_waited_for_within_the_deadline() {
    for mode in ["DELETE", "WAL"] {
        let scene = Scene::new();
        let path = scene.path("app.db");
        let app = scene.app(
            "app.db",
            &format!(
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode={mode};
                 CREATE TABLE t(a); BEGIN EXCLUSIVE; INSERT INTO t VALUES(1)"
            ),
        );
        let begun = SystemEnv.monotonic();
        let error = Capture::begin(&path, &scene.options()).unwrap_err();
        let waited = SystemEnv.monotonic() - begun;
        let said = error.to_string();
        assert!(
            said.contains("app.db is locked by another program (waited 0.2 s)"),
            "{mode}: {said}"
        );
        assert!(
            matches!(error, SourceError::Busy { .. }),
            "{mode}: {error:?}"
        );
        assert!(waited >= Duration::from_millis(200), "{mode}: {waited:?}");
        assert!(waited < Duration::from_secs(10), "{mode}: {waited:?}");
        // It lets go while it is waited for.
        let mut app = Some(app);
        let mut asked = 0;
        let env = Clock::with(Duration::ZERO, move || {
            asked += 1;
            if asked == 5
                && let Some(app) = app.take()
            {
                app.execute_batch("COMMIT").unwrap();
            }
        });
        let busy = Duration::from_secs(30);
        let options = CaptureOptions {
            env,
            busy,
            ..scene.options()
        };
        assert_eq!(read(&path, &options).0, ["1"], "{mode}");
    }
}

/// Ctrl-C within a wait, a copy or a long statement.
#[test]
fn a_stop_sign_ends_waits_copies_and_statements() {
    let scene = Scene::new();
    let path = large(&scene, "DELETE");
    let stopped = |error: SourceError| {
        assert!(matches!(error, SourceError::Cancelled { .. }), "{error:?}");
        assert_eq!(exit::of_error(&Error::Source(error), None).number(), 130);
    };
    let flag = Arc::new(AtomicBool::new(false));
    let asked = flag.clone();
    let stop = StopSign::new(move || asked.load(Ordering::Relaxed));
    // A statement.
    let options = CaptureOptions {
        stop: stop.clone(),
        ..scene.options()
    };
    drop(scene.app(
        "small.db",
        &format!(
            "{WAL}; WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)
             INSERT INTO t SELECT i FROM n"
        ),
    ));
    let capture = Capture::begin(&scene.path("small.db"), &options).unwrap();
    assert!(capture.check(true).unwrap().lines.is_empty());
    flag.store(true, Ordering::Relaxed);
    stopped(capture.check(true).unwrap_err());
    drop(capture);
    // A copy: the sign is set once the first slice is copied.
    flag.store(false, Ordering::Relaxed);
    let (set, mut count) = (flag.clone(), 0);
    let env = Clock::with(Duration::ZERO, move || {
        count += 1;
        set.store(count > 2, Ordering::Relaxed);
    });
    let options = CaptureOptions {
        stop: stop.clone(),
        env,
        ..scene.options()
    };
    stopped(Capture::begin(&path, &options).unwrap_err());
    assert!(scene.temp_is_empty());
    // A wait that would take long.
    flag.store(false, Ordering::Relaxed);
    let app = scene.app("large.db", "BEGIN EXCLUSIVE");
    let (set, mut count) = (flag.clone(), 0);
    let env = Clock::with(Duration::ZERO, move || {
        count += 1;
        set.store(count > 4, Ordering::Relaxed);
    });
    let busy = Duration::from_secs(600);
    let options = CaptureOptions {
        stop,
        env,
        busy,
        ..scene.options()
    };
    stopped(Capture::begin(&path, &options).unwrap_err());
    drop(app);
}
