//! Which restore an undo takes back: the last that is in effect, whatever came of those after it; and how
//! it gets its turn in a database that others write to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::{Error, SelectError};
use larder::ops::restore::Mode;
use larder::ops::undo::{self, UndoOptions, UndoOutcome};
use larder::progress::{NoProgress, Progress, Unit};

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

fn try_undo(stage: &mut Stage, to: &Path) -> Result<UndoOutcome, Error> {
    let options = UndoOptions {
        target: to.to_owned(),
        ..UndoOptions::default()
    };
    undo::run(&mut stage.store, &stage.world, &options, &mut NoProgress)
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
    let error = try_undo(&mut stage, &to).unwrap_err();
    let is_that = matches!(error, Error::Select(SelectError::NothingToUndo { .. }));
    assert!(is_that, "{error}");
}

/// The snapshot of what a restore made is in the store before that counts: if the restore is killed
/// then, it says what never was.
#[test]
fn a_restore_of_which_nothing_is_left_is_passed_over() {
    let mut stage = Stage::new();
    let (to, [before, first, _]) = two_restores(&mut stage);
    // As if the second had been killed when it was about to be committed.
    stage.make("to.db", "DELETE FROM t WHERE id = 2");
    assert_eq!(content(&to), first);
    let undone = undo(&mut stage, &to, |_| {});
    assert_eq!(content(&to), before);
    let said = |outcome: &UndoOutcome| {
        let mut findings = outcome.findings.iter();
        findings.any(|finding| finding.text.contains("passed over"))
    };
    assert!(said(&undone), "{:?}", undone.findings);
    // Nothing at all is left: that is no failure.
    let nothing = undo(&mut stage, &to, |_| {});
    assert!(nothing.is_empty() && nothing.safety_snapshot.is_none());
    assert_eq!(content(&to), before);
    // One that is named is not passed over.
    let named = nothing.after.id.clone();
    let nothing = undo(&mut stage, &to, |options| options.restore = Some(named));
    assert!(nothing.is_empty() && !said(&nothing));
}

/// The same holds for an undo: what it would have undone is still to be undone.
#[test]
fn an_undo_that_was_killed_counts_as_if_it_had_never_been() {
    let mut stage = Stage::new();
    let (to, [before, first, second]) = two_restores(&mut stage);
    let copy = stage.path("copy.db");
    std::fs::copy(&to, &copy).unwrap();
    undo(&mut stage, &to, |_| {});
    // As if it had been killed when it was about to be committed.
    std::fs::copy(&copy, &to).unwrap();
    assert_eq!(content(&to), second);
    for wanted in [&first, &before] {
        undo(&mut stage, &to, |_| {});
        assert_eq!(content(&to), *wanted);
    }
    // Its twin did count, so that the restore is not undone twice.
    let error = try_undo(&mut stage, &to).unwrap_err();
    let is_that = matches!(error, Error::Select(SelectError::NothingToUndo { .. }));
    assert!(is_that, "{error}");
}

#[test]
fn an_undo_that_keeps_no_snapshot_does_not_stand_in_the_way_of_the_next() {
    let mut stage = Stage::new();
    let (to, [before, first, _]) = two_restores(&mut stage);
    let undone = undo(&mut stage, &to, |options| options.no_safety_snapshot = true);
    assert!(undone.after_snapshot.is_none());
    assert_eq!(content(&to), first);
    undo(&mut stage, &to, |_| {});
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
