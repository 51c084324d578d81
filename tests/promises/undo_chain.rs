//! Which restore an undo takes back: the last that is in effect, whatever came of those after it; and how
//! it gets its turn in a database that others write to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::error::{Error, SelectError};
use larder::ops::list;
use larder::ops::restore::Mode;
use larder::ops::select::{self, SourceChoice};
use larder::ops::undo::{self, UndoOptions};
use larder::progress::{NoProgress, Progress, Unit};
use larder::testkit::fault_vfs::FaultVfs;
use larder::testkit::seeded_env::SeededEnv;

use super::stage::{Stage, content};
use super::undo::undo;

const TABLE: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, a);";

/// A database into which two snapshots are restored, one after the other; its content before, after the
/// first, and after the second.
fn two_restores(stage: &mut Stage) -> (PathBuf, [Vec<String>; 3]) {
    let one = stage.make("one.db", &format!("{TABLE} INSERT INTO t VALUES(1, 'x')"));
    let two = stage.make("two.db", &format!("{TABLE} INSERT INTO t VALUES(2, 'y')"));
    let to = stage.make("to.db", &format!("{TABLE} INSERT INTO t VALUES(9, 'own')"));
    let (one, two) = (stage.back_up(&one), stage.back_up(&two));
    let before = content(&to);
    stage.restore(&one, &to, Mode::Add);
    let first = content(&to);
    stage.restore(&two, &to, Mode::Add);
    let second = content(&to);
    (to, [before, first, second])
}

/// No restore is in effect, and that is an error.
fn assert_nothing_to_undo(stage: &mut Stage, to: &Path) {
    let options = UndoOptions {
        target: to.to_owned(),
        ..UndoOptions::default()
    };
    let error = undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap_err();
    let is_that = matches!(error, Error::Select(SelectError::NothingToUndo { .. }));
    assert!(is_that, "{error}");
}

#[test]
fn a_restore_that_was_done_again_is_the_last_one() {
    let mut stage = Stage::new();
    let (to, [before, first, second]) = two_restores(&mut stage);
    for _ in 0..2 {
        let undone = undo(&mut stage, &to, |_| {});
        assert_eq!(content(&to), first);
        // The undo is undone, and that as well, and again.
        let mut last = undone.after_snapshot.unwrap().id;
        for wanted in [&second, &first, &second] {
            let done = undo(&mut stage, &to, |options| {
                options.restore = Some(last.clone())
            });
            last = done.after_snapshot.unwrap().id;
            assert_eq!(content(&to), *wanted);
        }
    }
    for wanted in [&first, &before] {
        undo(&mut stage, &to, |_| {});
        assert_eq!(content(&to), *wanted);
    }
    assert_nothing_to_undo(&mut stage, &to);
}

/// A stage in which a deed was killed when it was about to be committed: of what it made there is a
/// snapshot, which does not say that it counts, and the database is as it was.
fn killed(
    prepare: impl Fn(&mut Stage) -> PathBuf,
    deed: impl Fn(&mut Stage, &Path),
) -> (Stage, PathBuf) {
    let mut stage = Stage::new();
    let to = prepare(&mut stage);
    let faults = FaultVfs::new(stage.world.vfs.clone());
    stage.world.vfs = Arc::new(faults.clone());
    stage.reopen();
    let before = std::fs::read(&to).unwrap();
    // The snapshot before, that of what is made, and the one that says that it counts.
    faults.refuse("publish", "/snapshots/", 3);
    deed(&mut stage, &to);
    std::fs::write(&to, before).unwrap();
    let all = list::run(&stage.store).unwrap().snapshots;
    let newest = all
        .iter()
        .max_by(|a, b| (&a.time, &a.id).cmp(&(&b.time, &b.id)))
        .unwrap();
    assert!(
        newest.tags.iter().any(|tag| tag == "uncommitted"),
        "{all:?}"
    );
    (stage, to)
}

fn undo_once(stage: &mut Stage, to: &Path) {
    undo(stage, to, |_| {});
}

/// The snapshot of what a restore made is in the store before that counts: if the restore is killed
/// then, it says what never was.
#[test]
fn a_restore_that_was_killed_is_passed_over() {
    let states = std::cell::RefCell::new(Vec::new());
    let one = format!("{TABLE} INSERT INTO t VALUES(1, 'x')");
    let two = format!("{TABLE} INSERT INTO t VALUES(2, 'y')");
    let prepare = |stage: &mut Stage| {
        let to = stage.make("to.db", &format!("{TABLE} INSERT INTO t VALUES(9, 'own')"));
        let path = stage.make("one.db", &one);
        let snapshot = stage.back_up(&path);
        let path = stage.make("two.db", &two);
        stage.back_up(&path);
        let before = content(&to);
        stage.restore(&snapshot, &to, Mode::Add);
        *states.borrow_mut() = vec![before, content(&to)];
        to
    };
    let restore = |stage: &mut Stage, to: &Path| {
        let source = SourceChoice::Of(stage.path("two.db"));
        let snapshot = select::one(&stage.store, "latest", &source).unwrap();
        let done = stage.try_restore(&snapshot, to, Mode::Add, false, &mut NoProgress);
        assert!(done.unwrap().after_snapshot.is_some());
    };
    let (mut stage, to) = killed(prepare, restore);
    let states = states.into_inner();
    assert_eq!(content(&to), states[1]);
    let options = UndoOptions {
        target: to.clone(),
        dry_run: true,
        ..UndoOptions::default()
    };
    let planned = undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress).unwrap();
    let mut findings = planned.findings.iter();
    assert!(
        findings.any(|finding| finding.text.contains("passed over")),
        "{planned:?}"
    );
    undo(&mut stage, &to, |_| {});
    assert_eq!(content(&to), states[0]);
    assert_nothing_to_undo(&mut stage, &to);
}

/// The same holds for an undo: what it would have undone is still to be undone.
#[test]
fn an_undo_that_was_killed_counts_as_if_it_had_never_been() {
    let states = std::cell::RefCell::new(None);
    let prepare = |stage: &mut Stage| {
        let (to, found) = two_restores(stage);
        *states.borrow_mut() = Some(found);
        to
    };
    let (mut stage, to) = killed(prepare, undo_once);
    let [before, first, second] = states.into_inner().unwrap();
    assert_eq!(content(&to), second);
    for wanted in [&first, &before] {
        undo(&mut stage, &to, |_| {});
        assert_eq!(content(&to), *wanted);
    }
    assert_nothing_to_undo(&mut stage, &to);
}

/// What counts is known, whatever the rows look like later.
#[test]
fn a_restore_that_was_undone_is_not_undone_again() {
    let mut stage = Stage::new();
    let (to, [before, first, second]) = two_restores(&mut stage);
    for wanted in [&first, &before] {
        undo(&mut stage, &to, |_| {});
        assert_eq!(content(&to), *wanted);
    }
    // The application makes the very rows itself.
    stage.make("to.db", "INSERT INTO t VALUES(1, 'x'), (2, 'y')");
    assert_eq!(content(&to), second);
    assert_nothing_to_undo(&mut stage, &to);
    assert_eq!(content(&to), second);
}

/// Clocks may be set back, or differ between machines that share a store.
#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let mut stage = Stage::new();
    let one = stage.make("one.db", &format!("{TABLE} INSERT INTO t VALUES(1, 'x')"));
    let two = stage.make("two.db", &format!("{TABLE} INSERT INTO t VALUES(2, 'y')"));
    let to = stage.make("to.db", TABLE);
    let (one, two) = (stage.back_up(&one), stage.back_up(&two));
    let env = Arc::new(SeededEnv::new(7));
    stage.world.env = env.clone();
    let at = |seconds: i64| env.set_unix_ms(1_900_000_000_000 + 1000 * seconds);
    let before = content(&to);
    at(60);
    stage.restore(&one, &to, Mode::Add);
    let first = content(&to);
    at(0);
    stage.restore(&two, &to, Mode::Add);
    at(-30);
    undo(&mut stage, &to, |_| {});
    assert_eq!(content(&to), first);
    at(-60);
    undo(&mut stage, &to, |_| {});
    assert_eq!(content(&to), before);
    stage.make("to.db", "INSERT INTO t VALUES(1, 'x')");
    assert_nothing_to_undo(&mut stage, &to);
}

/// Of a restore that was killed it is found out whether it counts as soon as another begins: rows that the
/// application makes later are its own.
#[test]
fn a_killed_restore_is_settled_by_the_next_one() {
    let prepare = |stage: &mut Stage| {
        let path = stage.make("two.db", &format!("{TABLE} INSERT INTO t VALUES(2, 'y')"));
        stage.back_up(&path);
        stage.make("to.db", TABLE)
    };
    let restore = |stage: &mut Stage, to: &Path| {
        let source = SourceChoice::Of(stage.path("two.db"));
        let snapshot = select::one(&stage.store, "latest", &source).unwrap();
        let done = stage.try_restore(&snapshot, to, Mode::Add, false, &mut NoProgress);
        assert!(done.unwrap().after_snapshot.is_some());
    };
    let (mut stage, to) = killed(prepare, restore);
    restore(&mut stage, &to);
    undo(&mut stage, &to, |_| {});
    stage.make("to.db", "INSERT INTO t VALUES(2, 'y')");
    assert_nothing_to_undo(&mut stage, &to);
}

/// Nothing is left of the last restore, for another reason: it is not taken for the one before it.
#[test]
fn a_restore_of_which_nothing_is_left_is_told_and_no_other_is_undone() {
    let mut stage = Stage::new();
    let (to, [_, first, _]) = two_restores(&mut stage);
    stage.make("to.db", "DELETE FROM t WHERE id = 2");
    let nothing = undo(&mut stage, &to, |_| {});
    assert!(nothing.is_empty() && nothing.safety_snapshot.is_none());
    assert_eq!(content(&to), first);
}

#[test]
fn after_an_undo_that_kept_no_snapshot_an_earlier_restore_is_undone_by_name() {
    let mut stage = Stage::new();
    let (to, [before, first, _]) = two_restores(&mut stage);
    let undone = undo(&mut stage, &to, |options| options.no_safety_snapshot = true);
    assert!(undone.after_snapshot.is_none());
    assert_eq!(content(&to), first);
    // It has left no trace: the last restore counts still, and nothing is left of it.
    assert!(undo(&mut stage, &to, |_| {}).is_empty());
    assert_eq!(content(&to), first);
    let restores = list::run(&stage.store).unwrap();
    let mut after = restores
        .snapshots
        .iter()
        .filter(|s| s.tags.iter().any(|t| t == "after-restore"));
    // The newest is first.
    let earlier = after.nth(1).unwrap().id.clone();
    undo(&mut stage, &to, |options| options.restore = Some(earlier));
    assert_eq!(content(&to), before);
}

/// Writes whenever a phase begins, if it may.
struct Busy {
    path: PathBuf,
    written: u32,
}

impl Progress for Busy {
    fn phase(&mut self, _: &str, _: u64, _: Unit) {
        let db = rusqlite::Connection::open(&self.path).unwrap();
        db.busy_timeout(Duration::ZERO).unwrap();
        let sql = "INSERT INTO t(a) VALUES('written meanwhile')";
        self.written += u32::from(db.execute_batch(sql).is_ok());
    }
}

#[test]
fn a_database_that_others_write_to_all_the_time_is_planned_for_under_its_lock() {
    for (journal, dry_run) in [
        ("DELETE", false),
        ("WAL", false),
        ("DELETE", true),
        ("WAL", true),
    ] {
        let mut stage = Stage::new();
        let (to, _) = two_restores(&mut stage);
        stage.make("to.db", &format!("PRAGMA journal_mode={journal}"));
        let options = UndoOptions {
            target: to.clone(),
            dry_run,
            busy_timeout: Duration::from_millis(500),
            ..UndoOptions::default()
        };
        let mut busy = Busy {
            path: to.clone(),
            written: 0,
        };
        let undone = undo::run(&mut stage.store, &stage.world, &options, &mut busy).unwrap();
        assert!(busy.written > 0);
        let is_there = content(&to).iter().any(|row| row == r#"t(2, "y")"#);
        assert_eq!(is_there, dry_run, "{journal}: {undone:?}");
        let written = content(&to);
        let written = written.iter().filter(|row| row.contains("meanwhile"));
        assert_eq!(written.count() as u32, busy.written);
    }
}
