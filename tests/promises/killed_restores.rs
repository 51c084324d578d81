//! A restore that is killed at any point leaves the live database as before or as planned; who reads it
//! meanwhile sees one of these, never something between, and never a file that was put in its place.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::sandbox::{scale, seed};

/// Kills for each journal mode and way to restore, at scale 1.
const KILLS: u32 = 8;

const SCHEMA: &str = "CREATE TABLE c(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, note);
    CREATE TABLE o(id INTEGER PRIMARY KEY, c REFERENCES c, total, note); CREATE INDEX by_c ON o(c, total);
    CREATE TABLE w(a, b, x, PRIMARY KEY(a, b)) WITHOUT ROWID;";

/// Rows by number: `n` of every table, each a bit larger than the last.
fn fill(db: &Connection, rows: u32) {
    db.execute_batch(&format!(
        "{SCHEMA}
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO c SELECT i, 'mail' || i, NULL FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO o SELECT i, 1 + i % {rows}, i * 1.5, printf('%.*c', i % 900, 'x') FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO w SELECT i % 7, i, zeroblob(i % 300) FROM n;"
    ))
    .unwrap();
}

/// What is left of the rows before the restore: a third is gone, some are others.
const SPOIL: &str = "DELETE FROM o WHERE id % 3 = 0; UPDATE o SET total = -1 WHERE id % 5 = 0;
    DELETE FROM w WHERE b % 4 = 0; UPDATE c SET note = 'now' WHERE id % 6 = 0;
    INSERT INTO w VALUES(100, 1, 'own');";

/// A sum over everything, read in one transaction.
fn state(db: &Connection) -> rusqlite::Result<String> {
    db.query_row(
        "SELECT (SELECT count(*) || ':' || total(id) || ':' || total(length(mail)) || ':' || count(note) FROM c) ||
            '/' || (SELECT count(*) || ':' || total(id) || ':' || total(total) || ':' || total(length(note)) FROM o) ||
            '/' || (SELECT count(*) || ':' || total(b) || ':' || total(length(x)) FROM w)",
        [],
        |row| row.get(0),
    )
}

fn open(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.busy_timeout(Duration::from_secs(60)).unwrap();
    db
}

struct Scene {
    dir: tempfile::TempDir,
    mode: &'static str,
    how: &'static [&'static str],
    before: String,
    after: String,
    took: Duration,
}

impl Scene {
    fn new(mode: &'static str, how: &'static [&'static str], rows: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("live.db");
        {
            let db = Connection::open(&whole).unwrap();
            db.execute_batch(&format!("PRAGMA journal_mode={mode}"))
                .unwrap();
            fill(&db, rows);
        }
        let mut scene = Self {
            dir,
            mode,
            how,
            before: String::new(),
            after: String::new(),
            took: Duration::ZERO,
        };
        assert!(
            scene
                .larder(&["backup", whole.to_str().unwrap()])
                .status()
                .unwrap()
                .success()
        );
        open(&whole).execute_batch(SPOIL).unwrap();
        std::fs::copy(&whole, scene.path("spoiled.db")).unwrap();
        scene.before = state(&open(&whole)).unwrap();
        let begun = Instant::now();
        assert!(scene.restore().status().unwrap().success());
        scene.took = begun.elapsed();
        scene.after = state(&open(&whole)).unwrap();
        assert_ne!(scene.before, scene.after);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn larder(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.arg("--store").arg(self.path("store")).args(words);
        command.env("LARDER_CACHE_DIR", self.path("cache"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn restore(&self) -> Command {
        let live = self.path("live.db");
        // Not `latest`: after a few restores that is another one.
        let mut words = vec!["restore", "latest", "--to", live.to_str().unwrap()];
        words.extend(self.how);
        self.larder(&words)
    }

    /// Restores, kills it after this time, and looks at what is left. True if it had committed.
    fn kill_after(&mut self, time: Duration) -> bool {
        let live = self.path("live.db");
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", live.display()));
        }
        std::fs::copy(self.path("spoiled.db"), &live).unwrap();
        let reader = open(&live);
        let ended = AtomicBool::new(false);
        let stop = &ended;
        let (reader, seen) = std::thread::scope(|threads| {
            let reading = threads.spawn(move || {
                let (mut seen, mut reads) = (std::collections::BTreeSet::new(), 0_u64);
                // Once at least, however soon the end comes.
                while reads == 0 || !stop.load(Ordering::Relaxed) {
                    seen.insert(state(&reader).unwrap());
                    reads += 1;
                }
                (reader, (seen, reads))
            });
            let mut child = self.restore().spawn().unwrap();
            std::thread::sleep(time);
            let _ = child.kill();
            child.wait().unwrap();
            ended.store(true, Ordering::Relaxed);
            reading.join().unwrap()
        });
        let known = [&self.before, &self.after];
        assert!(
            seen.1 > 0 && seen.0.iter().all(|state| known.contains(&state)),
            "{:?}",
            seen.0
        );
        // The reader's own connection, and a new one, see the same file.
        let now = state(&open(&live)).unwrap();
        assert!(known.contains(&&now), "{}: {now}", self.mode);
        assert_eq!(state(&reader).unwrap(), now);
        let sound: String = open(&live)
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
        // What was killed can be done again.
        let begun = Instant::now();
        assert!(self.restore().status().unwrap().success());
        assert_eq!(state(&reader).unwrap(), self.after);
        let is_committed = now == self.after;
        if !is_committed {
            // The machine may be slower by now, and the store is larger.
            self.took = begun.elapsed();
        }
        is_committed
    }
}

#[test]
fn a_restore_that_is_killed_leaves_the_database_as_before_or_as_planned() {
    println!("seed {}", seed());
    for mode in ["WAL", "DELETE"] {
        for how in [
            &["--mode", "replace"] as &[&str],
            &["--mode", "augment"],
            &["--mode", "replace", "--replace-file"],
        ] {
            let mut scene = Scene::new(mode, how, 1500);
            let kills = KILLS * u32::try_from(scale()).unwrap();
            let mut committed = 0;
            for at in 0..kills {
                // Some come after the end.
                let time = scene.took.mul_f64(1.4 * f64::from(at) / f64::from(kills));
                committed += u32::from(scene.kill_after(time));
            }
            // Else much of it was not tried.
            assert!(
                kills < 100 || (0 < committed && committed < kills),
                "{committed}"
            );
            let status = scene.larder(&["validate"]).status().unwrap();
            assert!(status.success(), "the store is whole");
            println!(
                "{mode} {how:?}: {kills} kills within {} ms; {committed} after the commit",
                scene.took.as_millis()
            );
        }
    }
}
