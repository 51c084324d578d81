//! A restore into a database that is in use: beside writers and readers, stopped, or without room, it does
//! all or nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::error::Error;
use larder::ops::restore::Mode;
use larder::progress::{NoProgress, Progress, Unit};
use larder::target::TargetError;
use larder::testkit::fault_vfs::FaultVfs;

use super::stage::{Stage, content, rows, table};

#[test]
fn targets_that_cannot_be_written_are_told_apart() {
    let mut stage = Stage::new();
    let from = stage.make(
        "from.db",
        "PRAGMA application_id=1; CREATE TABLE t(a); INSERT INTO t VALUES(1)",
    );
    let snapshot = stage.back_up(&from);
    let mut restore =
        |to: &Path| stage.try_restore(&snapshot, to, Mode::Add, false, &mut NoProgress);
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.db");
    std::fs::write(
        &text,
        "PK\x03\x04 is no database, however long it is, and however often it is read. ".repeat(20),
    )
    .unwrap();
    assert!(matches!(
        restore(&text),
        Err(Error::Target(TargetError::NotADatabase { .. }))
    ));
    assert!(matches!(
        restore(dir.path()),
        Err(Error::Target(TargetError::NotADatabase { .. }))
    ));
    let other = dir.path().join("other.db");
    let db = rusqlite::Connection::open(&other).unwrap();
    db.execute_batch("PRAGMA application_id=2; CREATE TABLE t(a)")
        .unwrap();
    assert!(matches!(
        restore(&other),
        Err(Error::Target(TargetError::OtherApplication {
            live: 2,
            stored: 1,
            ..
        }))
    ));
    db.execute_batch("PRAGMA application_id=0; BEGIN IMMEDIATE; INSERT INTO t VALUES(5)")
        .unwrap();
    let begun = std::time::Instant::now();
    assert!(matches!(
        restore(&other),
        Err(Error::Target(TargetError::Busy { .. }))
    ));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    assert_eq!(rows(&other, "t"), ["t(5)"]);
}

/// Writes to a database when a phase begins.
struct Writer {
    path: std::path::PathBuf,
    phase: &'static str,
    times: u32,
    refused: u32,
}

impl Progress for Writer {
    fn phase(&mut self, name: &str, _: u64, _: Unit) {
        if name == self.phase && self.times > 0 {
            self.times -= 1;
            let db = rusqlite::Connection::open(&self.path).unwrap();
            db.busy_timeout(Duration::ZERO).unwrap();
            let sql = "INSERT INTO t VALUES(100 + (SELECT count(*) FROM t), 'written meanwhile')";
            self.refused += u32::from(db.execute_batch(sql).is_err());
        }
    }
}

/// Rows that are written while the plan is made are in the safety snapshot, or nothing happens.
#[test]
fn a_writer_between_plan_and_transaction_is_never_overwritten_unseen() {
    for mode in ["DELETE", "WAL"] {
        for phase in ["Reading", "Planning"] {
            let mut stage = Stage::new();
            let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a);";
            let from = stage.make("from.db", &format!("{schema} INSERT INTO t VALUES(1, 'x')"));
            let to = stage.make(
                "to.db",
                &format!("PRAGMA journal_mode={mode}; {schema} INSERT INTO t VALUES(2, 'y')"),
            );
            let snapshot = stage.back_up(&from);
            let mut once = Writer {
                path: to.clone(),
                phase,
                times: 1,
                refused: 0,
            };
            let done = stage
                .try_restore(&snapshot, &to, Mode::Replace, false, &mut once)
                .unwrap();
            assert_eq!(rows(&to, "t"), [r#"t(1, "x")"#]);
            assert_eq!(table(&done, "t").deleted, 2);
            let safety = stage.manifest(&done.safety_snapshot.unwrap().id);
            stage.restore(&safety, &to, Mode::Replace);
            assert_eq!(rows(&to, "t").len(), 2);
            let mut ever = Writer {
                path: to.clone(),
                phase,
                times: 99,
                refused: 0,
            };
            // One that always does has to wait for the last plan.
            let done = stage
                .try_restore(&snapshot, &to, Mode::Replace, false, &mut ever)
                .unwrap();
            assert_eq!(rows(&to, "t"), [r#"t(1, "x")"#]);
            assert!(ever.refused > 0, "{mode} {phase}");
            assert_eq!(table(&done, "t").deleted, 5, "{mode} {phase}");
            let safety = stage.manifest(&done.safety_snapshot.unwrap().id);
            stage.restore(&safety, &to, Mode::Replace);
            assert_eq!(rows(&to, "t").len(), 5);
        }
    }
}

/// A reader that has begun sees its state to the end; in WAL mode a new one is not kept waiting.
#[test]
fn live_readers_keep_reading() {
    struct Reader(rusqlite::Connection, u32);
    impl Progress for Reader {
        fn advance(&mut self, _: u64) {
            let rows: i64 = self
                .0
                .query_row("SELECT count(*) FROM t", [], |r| r.get(0))
                .unwrap();
            assert_eq!(rows, 1);
            self.1 += 1;
        }
    }
    for mode in ["DELETE", "WAL"] {
        let mut stage = Stage::new();
        let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a);";
        let from = stage.make(
            "from.db",
            &format!("{schema} INSERT INTO t VALUES(1, 'x'), (3, 'z')"),
        );
        let to = stage.make(
            "to.db",
            &format!("PRAGMA journal_mode={mode}; {schema} INSERT INTO t VALUES(2, 'y')"),
        );
        let snapshot = stage.back_up(&from);
        let reader = rusqlite::Connection::open(&to).unwrap();
        reader.busy_timeout(Duration::ZERO).unwrap();
        let mut reader = Reader(reader, 0);
        stage
            .try_restore(&snapshot, &to, Mode::Add, false, &mut reader)
            .unwrap();
        assert!(reader.1 > 1);
        assert_eq!(rows(&to, "t").len(), 3);
    }
}

/// Ctrl-C at any phase: nothing is written.
#[test]
fn a_restore_that_is_stopped_leaves_the_database_as_it_was() {
    struct Stop(&'static str, bool);
    impl Progress for Stop {
        fn phase(&mut self, name: &str, _: u64, _: Unit) {
            self.1 |= name == self.0;
        }
        fn cancelled(&self) -> bool {
            self.1
        }
    }
    let mut stage = Stage::new();
    let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE u(a);";
    let many = "WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)";
    let from = stage.make(
        "from.db",
        &format!("{schema} INSERT INTO t {many} SELECT n, n FROM n; INSERT INTO u VALUES(1)"),
    );
    let to = stage.make("to.db", &format!("{schema} INSERT INTO t VALUES(7, 'own')"));
    let before = content(&to);
    let snapshot = stage.back_up(&from);
    for mode in [Mode::Add, Mode::Replace] {
        for phase in ["Planning", "Reading", "Restoring"] {
            // Only what is replaced is read first, and without a CHECK nothing need be planned.
            let reached = (mode == Mode::Add && phase != "Reading") || mode == Mode::Replace;
            let mut stop = Stop(phase, false);
            let done = stage.try_restore(&snapshot, &to, mode, false, &mut stop);
            if reached {
                assert!(matches!(done, Err(Error::Cancelled)), "{mode:?} {phase}");
                assert_eq!(content(&to), before, "{mode:?} {phase}");
            } else {
                stage.make(
                    "to.db",
                    "DELETE FROM t; DELETE FROM u; INSERT INTO t VALUES(7, 'own')",
                );
            }
        }
    }
}

/// What cannot fit is told before anything is saved or written.
#[test]
fn a_restore_that_has_no_room_is_told_beforehand() {
    let mut stage = Stage::new();
    let faults = FaultVfs::new(stage.world.vfs.clone());
    let path = stage.make(
        "a.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x);
        INSERT INTO t VALUES(1, zeroblob(50000)), (2, 'kept')",
    );
    let snapshot = stage.back_up(&path);
    stage.make("a.db", "DELETE FROM t WHERE id = 1; VACUUM");
    stage.world.vfs = Arc::new(faults.clone());
    faults.set_free(40_000);
    let snapshots = stage.store.snapshot_names().unwrap().ids.len();
    let planned = stage
        .try_restore(&snapshot, &path, Mode::Add, true, &mut NoProgress)
        .unwrap();
    assert!(
        planned
            .findings
            .iter()
            .any(|f| f.text.contains("too little space"))
    );
    let error = stage
        .try_restore(&snapshot, &path, Mode::Add, false, &mut NoProgress)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Target(TargetError::LittleSpace { free: 40_000, .. })
        ),
        "{error}"
    );
    assert_eq!(stage.store.snapshot_names().unwrap().ids.len(), snapshots);
    faults.set_free(60_000);
    stage
        .try_restore(&snapshot, &path, Mode::Add, false, &mut NoProgress)
        .unwrap();
    assert_eq!(rows(&path, "t").len(), 2);
}
