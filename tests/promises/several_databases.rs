//! Several databases in one run: each gets its snapshot, in order, whatever becomes of the others. While one is read the
//! next one may be copied; it is then as it was at that time, and no copy outlives the run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::error::{Error, SourceError};
use larder::ops::backup::{BackupOptions, BackupOutcome, Queue};
use larder::progress::{NoProgress, Progress, StopSign, Unit};
use larder::testkit::fault_vfs::FaultVfs;
use larder::vfs::os::OsVfs;

use crate::workshop::Workshop;

struct Scene {
    shop: Workshop,
    temp: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            shop: Workshop::new(),
            temp: tempfile::tempdir().unwrap(),
        }
    }

    fn database(&self, name: &str, sql: &str) -> PathBuf {
        let path = self.shop.path(name);
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap();
        path
    }

    /// Two that are read from copies; their sums are 1 and 2.
    fn two(&self) -> (PathBuf, PathBuf) {
        let of = |name, a| {
            self.database(
                name,
                &format!("CREATE TABLE t(a); INSERT INTO t VALUES({a})"),
            )
        };
        (of("first", 1), of("second", 2))
    }

    fn options(&self, path: &Path) -> BackupOptions {
        BackupOptions {
            source_name: None,
            temp_dir: Some(self.temp.path().to_owned()),
            ..self.shop.backup_options(path)
        }
    }

    fn queue(&self, paths: &[&Path]) -> Queue {
        Queue::new(paths.iter().map(|path| self.options(path)))
    }

    fn next(
        &mut self,
        queue: &mut Queue,
        progress: &mut dyn Progress,
    ) -> Result<BackupOutcome, Error> {
        let world = self.shop.world.clone();
        queue.next(&mut self.shop.store, &world, progress).unwrap()
    }

    fn copies(&self) -> Vec<PathBuf> {
        let listed = fs::read_dir(self.temp.path()).unwrap();
        listed.map(|entry| entry.unwrap().path()).collect()
    }

    /// The sum of `a` in the table `t` of a snapshot.
    fn sum(&mut self, snapshot: &BackupOutcome) -> i64 {
        let to = tempfile::tempdir().unwrap();
        let target = to.path().join("db");
        self.shop.restore_new(&snapshot.snapshot.id, &target);
        let db = rusqlite::Connection::open(&target).unwrap();
        db.query_row("SELECT sum(a) FROM t", [], |row| row.get(0))
            .unwrap()
    }
}

/// While the first database is read, does something once.
struct Meanwhile<F: FnMut()>(Option<F>);

impl<F: FnMut()> Progress for Meanwhile<F> {
    fn phase(&mut self, name: &str, _total: u64, _unit: Unit) {
        if name == "Reading"
            && let Some(mut what) = self.0.take()
        {
            what();
        }
    }
}

/// Waits until a copy of so many bytes lies in one of the folders there, of which one is another database's.
fn wait_for_second_copy(temp: &Path, bytes: u64) {
    let begun = Instant::now();
    let count = || {
        let folders = fs::read_dir(temp).unwrap().flatten();
        let lengths = folders.filter_map(|folder| fs::metadata(folder.path().join("copy.db")).ok());
        lengths.filter(|facts| facts.len() >= bytes).count()
    };
    while count() < 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nothing was copied ahead"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn write(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.busy_timeout(Duration::from_secs(30)).unwrap();
    db.execute("INSERT INTO t(a) VALUES(1000)", []).unwrap();
}

#[test]
fn what_is_copied_ahead_is_as_it_was_then() {
    let mut scene = Scene::new();
    let (first, second) = scene.two();
    let bytes = fs::metadata(&second).unwrap().len();
    let mut queue = scene.queue(&[&first, &second]);
    let temp = scene.temp.path().to_owned();
    let path = second.clone();
    let mut progress = Meanwhile(Some(move || {
        wait_for_second_copy(&temp, bytes);
        // It is copied, or the copying still holds its lock.
        write(&path);
    }));
    let one = scene.next(&mut queue, &mut progress).unwrap();
    let two = scene.next(&mut queue, &mut NoProgress).unwrap();
    assert_eq!((scene.sum(&one), scene.sum(&two)), (1, 2));
    // Later it is what it is later.
    let mut queue = scene.queue(&[&second]);
    let later = scene.next(&mut queue, &mut NoProgress).unwrap();
    assert_eq!(scene.sum(&later), 1002);
    assert_eq!(scene.copies(), [] as [PathBuf; 0]);
    assert_eq!(scene.shop.validate().damage, []);
}

#[test]
fn a_database_that_is_read_where_it_lies_is_not_held_before_its_turn() {
    let mut scene = Scene::new();
    let first = scene.database("first", "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    let wal = "PRAGMA journal_mode=wal; CREATE TABLE t(a); INSERT INTO t VALUES(2)";
    let second = scene.database("second", wal);
    let mut queue = scene.queue(&[&first, &second]);
    let path = second.clone();
    let mut progress = Meanwhile(Some(move || {
        // Ample time to capture it.
        std::thread::sleep(Duration::from_millis(300));
        write(&path);
    }));
    scene.next(&mut queue, &mut progress).unwrap();
    let two = scene.next(&mut queue, &mut NoProgress).unwrap();
    assert_eq!(scene.sum(&two), 1002);
}

#[test]
fn one_that_fails_keeps_no_other_from_its_snapshot() {
    let mut scene = Scene::new();
    let first = scene.database("first", "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    let absent = scene.shop.path("absent");
    let text = scene.shop.path("text");
    fs::write(
        &text,
        "no database, but a text that is longer than its header",
    )
    .unwrap();
    let busy = scene.database("busy", "CREATE TABLE t(a); INSERT INTO t VALUES(3)");
    let last = scene.database("last", "CREATE TABLE t(a); INSERT INTO t VALUES(4)");
    let lock = rusqlite::Connection::open(&busy).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut queue = scene.queue(&[&first, &absent, &text, &busy, &last]);
    let mut sums = Vec::new();
    let mut errors = Vec::new();
    while queue.first().is_some() {
        match scene.next(&mut queue, &mut NoProgress) {
            Ok(outcome) => sums.push(scene.sum(&outcome)),
            Err(Error::Source(error)) => errors.push(error),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sums, [1, 4]);
    assert!(
        matches!(
            errors[..],
            [
                SourceError::NotFound { .. },
                SourceError::NotADatabase { .. },
                SourceError::Busy { .. }
            ]
        ),
        "{errors:?}"
    );
    assert_eq!(scene.copies(), [] as [PathBuf; 0]);
}

/// Ctrl-C between two databases, or a store that is full.
#[test]
fn a_run_that_ends_early_leaves_no_copy() {
    let mut scene = Scene::new();
    let (first, second) = scene.two();
    let bytes = fs::metadata(&second).unwrap().len();
    let mut queue = scene.queue(&[&first, &second]);
    let temp = scene.temp.path().to_owned();
    let mut progress = Meanwhile(Some(move || wait_for_second_copy(&temp, bytes)));
    scene.next(&mut queue, &mut progress).unwrap();
    assert_eq!(scene.copies().len(), 1);
    drop(queue);
    assert_eq!(scene.copies(), [] as [PathBuf; 0]);
}

/// What was copied ahead is read under the sign of its own turn.
#[test]
fn a_database_that_was_copied_ahead_can_be_stopped() {
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
        fn stop_sign(&self) -> StopSign {
            StopSign::new(|| true)
        }
    }
    let mut scene = Scene::new();
    let (first, second) = scene.two();
    let mut queue = scene.queue(&[&first, &second]);
    scene.next(&mut queue, &mut NoProgress).unwrap();
    let stopped = scene.next(&mut queue, &mut Stopped);
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert_eq!(scene.copies(), [] as [PathBuf; 0]);
}

#[test]
fn where_room_is_short_nothing_is_copied_ahead() {
    for (is_short, copied) in [(true, 0), (false, 1)] {
        let mut scene = Scene::new();
        let (first, second) = scene.two();
        let bytes = fs::metadata(&second).unwrap().len();
        let faults = FaultVfs::new(Arc::new(OsVfs));
        faults.set_free(bytes * 3 - u64::from(is_short));
        scene.shop.world.vfs = Arc::new(faults);
        let mut queue = scene.queue(&[&first, &second]);
        let temp = scene.temp.path().to_owned();
        let mut progress = Meanwhile(Some(move || match is_short {
            // Ample time to copy it.
            true => std::thread::sleep(Duration::from_millis(300)),
            false => wait_for_second_copy(&temp, bytes),
        }));
        scene.next(&mut queue, &mut progress).unwrap();
        assert_eq!(scene.copies().len(), copied);
        let two = scene.next(&mut queue, &mut NoProgress).unwrap();
        assert_eq!(scene.sum(&two), 2);
    }
}

/// 40,000 rows of about 120 bytes, with ids or without: 60 leaves and more. `seed`: other seeds, other rows.
fn many(seed: u32, has_ids: bool) -> String {
    let id = if has_ids {
        "id INTEGER PRIMARY KEY"
    } else {
        "id"
    };
    format!(
        "CREATE TABLE t({id}, a);
         WITH RECURSIVE n(i, r) AS (
           SELECT 1, {seed} UNION ALL SELECT i + 1, (r * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 40000)
         INSERT INTO t SELECT i, hex(r * 3) || hex(r * 5 % 99991) || hex(r * 7 % 9999991) || hex(r) || hex(r * 11) FROM n;"
    )
}

/// Databases of one schema: what they share is kept once, also behind much that they do not share; what they do not
/// share costs what it costs alone.
#[test]
fn of_a_database_like_another_only_what_differs_is_stored() {
    for has_ids in [true, false] {
        let alone = |sql: &str| {
            let mut scene = Scene::new();
            let path = scene.database("alone", sql);
            let mut queue = scene.queue(&[&path]);
            let backup = scene.next(&mut queue, &mut NoProgress);
            backup.unwrap().stored_bytes
        };
        let mut scene = Scene::new();
        let changed = "UPDATE t SET a = 'changed ' || id WHERE id % 1000 = 0";
        let two_thirds = "UPDATE t SET a = (SELECT hex(t.id * 31 % 7919) || upper(substr(t.a, 30)) || hex(t.id * 17) || substr(t.a, 1, 40))
                          WHERE id < 26000";
        let first = scene.database("first", &many(1, has_ids));
        let like = format!("{}; {changed}", many(1, has_ids));
        let partly = format!("{like}; {two_thirds}");
        let strange = many(77, has_ids);
        let (partly_alone, strange_alone) = (alone(&partly), alone(&strange));
        let like = scene.database("like", &like);
        let partly = scene.database("partly", &partly);
        let strange = scene.database("strange", &strange);
        let mut queue = scene.queue(&[&first, &like, &partly, &strange]);
        let mut stored = [0; 4];
        for bytes in &mut stored {
            *bytes = scene
                .next(&mut queue, &mut NoProgress)
                .unwrap()
                .stored_bytes;
        }
        let [first, like, partly, strange] = stored;
        assert!(like * 50 < first, "{stored:?}");
        // A third is shared, and found not too late.
        assert!(partly < partly_alone * 3 / 4, "{stored:?} {partly_alone}");
        assert!(
            strange < strange_alone + strange_alone / 100,
            "{stored:?} {strange_alone}"
        );
        assert_eq!(scene.shop.validate().damage, []);
    }
}
