//! A copy that fails or is killed at any point: in the other store each snapshot is complete or not to be
//! seen, and the next copy brings the rest, once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::format::name;
use larder::testkit::fault_backend::FaultBackend;
use larder::testkit::faults::Fault;

use crate::copies::{CHANGES, Original, TABLES};
use crate::sandbox::{scale, snapshots};
use crate::workshop::sql;

/// A leaf a table, and a large value.
const FEW: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO a SELECT i, 'row ' || i FROM n;
    CREATE TABLE files(content); INSERT INTO files VALUES (zeroblob(70000));";
const CHANGES_OF_FEW: [&str; 3] = [
    "UPDATE a SET x = 'changed' WHERE id = 20",
    "INSERT INTO a VALUES (1000, 'new')",
    "INSERT INTO files SELECT content || 'x' FROM files",
];

/// Each call to the other store fails: without effect, with it, and with all that follow.
#[test]
fn a_copy_of_which_any_call_fails_leaves_whole_snapshots_and_can_be_done_again() {
    let mut original = match scale() {
        1 => Original::of(FEW, &CHANGES_OF_FEW),
        _ => Original::new(),
    };
    let ids = original.ids.clone();
    let count = {
        let calls = FaultBackend::new(Arc::new(MemoryBackend::new()));
        let to = original.sandbox.create(Arc::new(calls.clone()));
        calls.reset();
        original.copy(&to);
        calls.count()
    };
    assert!(count > 60, "{count} calls");
    let ways = [Fault::once, Fault::lost_reply, Fault::for_ever];
    let kinds = [
        BackendErrorKind::Other,
        BackendErrorKind::NoSpace,
        BackendErrorKind::OutcomeUnknown,
    ];
    let (mut failed, mut tried) = (0, 0);
    let mut left = [0; 5];
    for nth in 1..=count {
        for (at, way) in ways.into_iter().enumerate() {
            let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
            let calls = FaultBackend::new(backend.clone());
            let to = original.sandbox.create(Arc::new(calls.clone()));
            calls.reset();
            calls.fail(way(nth, kinds[(nth + at) % 3]));
            tried += 1;
            failed += usize::from(original.try_copy(&to).is_err());
            let mut to = original.sandbox.open(backend.clone());
            let there = snapshots(&to);
            left[there.len()] += 1;
            original.sandbox.assert_whole(&to, there.len());
            let again = original.copy(&to);
            assert_eq!(again.present.len(), there.len());
            original.sandbox.assert_whole(&to, 4);
            // The rest is told by every blob's id; restoring is slow.
            if nth % 37 == 0 {
                original.assert_copied(&mut to, &ids);
            }
            let records = backend.list(name::WRITERS).unwrap();
            assert!(records.len() <= 1, "of the writer that failed, at most");
        }
    }
    println!("{count} calls, {tried} copies, {failed} failed; snapshots left: {left:?}");
    assert!(failed * 2 > tried, "{failed} of {tried}");
    assert!(left[..4].iter().all(|n| *n > 0), "{left:?}");
}

fn larder(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.current_dir(dir).args(words);
    command.env("LARDER_CACHE_DIR", dir.join("cache"));
    command.env_remove("LARDER_STORE");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Kill -9 at times spread over the whole copy, the store's making included.
#[test]
fn a_copy_that_is_killed_is_completed_by_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    let run = |words: &[&str]| {
        let status = larder(dir.path(), words).status().unwrap();
        assert!(status.success(), "{words:?}");
    };
    sql(&path("a.db"), TABLES);
    for change in [""].iter().chain(&CHANGES) {
        sql(&path("a.db"), change);
        run(&["backup", "a.db"]);
    }
    let begun = Instant::now();
    run(&["copy", "--to", "whole"]);
    let took = begun.elapsed();
    let kills = 12 * u32::try_from(scale()).unwrap();
    let mut unfinished = 0;
    for at in 0..kills {
        let to = format!("copy{at}");
        let mut child = larder(dir.path(), &["copy", "--to", &to]).spawn().unwrap();
        let time = took.mul_f64(1.2 * f64::from(at) / f64::from(kills));
        std::thread::sleep(time.max(Duration::from_millis(1)));
        let _ = child.kill();
        unfinished += u32::from(!child.wait().unwrap().success());
        if path(&to).join("config").exists() {
            run(&["validate", "--store", &to]);
        }
        run(&["copy", "--to", &to]);
        run(&["validate", "--store", &to]);
        let copies = std::fs::read_dir(path(&to).join("snapshots")).unwrap();
        assert_eq!(copies.count(), 4, "each once");
        std::fs::remove_dir_all(path(&to)).unwrap();
    }
    println!("{kills} kills within {took:?}, {unfinished} before the end");
    assert!(unfinished * 3 > kills, "{unfinished} of {kills}");
}
