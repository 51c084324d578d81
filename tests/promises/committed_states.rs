//! Databases that other processes write at full speed: every snapshot is one committed state, no
//! writer fails, and larder leaves nothing beside the database.
//!
//! How long writers waited is printed, never judged: it depends on the machine.

mod child;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::Error;
use larder::model::finding::Finding;
use larder::source::SourceError;
use rusqlite::Connection;

use crate::sandbox::{scale, seed};
use crate::workshop::Workshop;

/// Started as a process of its own by the tests below.
#[test]
fn writes_at_full_speed() {
    child::write_at_full_speed();
}

/// Started as a process of its own by the tests below.
#[test]
fn meddles() {
    child::meddle();
}

const MODES: [&str; 4] = ["WAL", "DELETE", "TRUNCATE", "PERSIST"];
/// Backups of one mode at scale 1.
const RUNS: usize = 5;
/// How often one backup is tried while the database is busy.
const TRIES: usize = 100;

/// The figures of one mode.
struct Figures {
    runs: usize,
    /// Backups that found it busy for longer than they waited.
    busy: usize,
    commits: usize,
    longest_with_us: u64,
    longest_without_us: u64,
    longest_backup_us: u64,
}

fn print(mode: &str, what: &str, f: &Figures) {
    let ms = |us: u64| us as f64 / 1000.0;
    println!(
        "{mode:8} {what:10} {:5} snapshots {:8} commits; longest commit {:8.1} ms beside larder, \
         {:8.1} ms without; longest backup {:8.1} ms; found busy {}",
        f.runs,
        f.commits,
        ms(f.longest_with_us),
        ms(f.longest_without_us),
        ms(f.longest_backup_us),
        f.busy
    );
}

/// Writers commit, checkpoint, VACUUM and change the schema, in every journal mode.
#[test]
fn every_snapshot_of_a_database_in_use_is_one_committed_state() {
    println!("seed {}", seed());
    for mode in MODES {
        print(
            mode,
            "meddled",
            &Scene::new(mode, 3000).run(RUNS * scale(), true),
        );
    }
}

/// A database of 40 MB: the time it takes to read it is the time in which a writer could be blocked.
#[test]
fn every_snapshot_of_a_larger_database_in_use_is_one_committed_state() {
    let runs = scale() / 4;
    if runs == 0 {
        return;
    }
    println!("seed {}", seed());
    for mode in MODES {
        print(mode, "40 MB", &Scene::new(mode, 40_000).run(runs, false));
    }
}

struct Scene {
    /// Holds the database and nothing else.
    folder: tempfile::TempDir,
    mode: &'static str,
    shop: Workshop,
    log: PathBuf,
}

impl Scene {
    fn new(mode: &'static str, filler: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        state::create(&folder.path().join("live.db"), mode, filler);
        let shop = Workshop::new();
        let log = shop.path("log");
        Self {
            folder,
            mode,
            shop,
            log,
        }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("live.db")
    }

    /// The transactions committed so far.
    fn tick(&self) -> i64 {
        let db = Connection::open(self.database()).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        state::tick(&db)
    }

    fn run(mut self, runs: usize, meddled: bool) -> Figures {
        let start = |entry| child::start(entry, &self.database(), self.mode, &self.log);
        let writer = start("writes_at_full_speed");
        let meddler = meddled.then(|| start("meddles"));
        while self.tick() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What commits take without larder.
        std::thread::sleep(Duration::from_millis(200 * runs.min(20) as u64));
        let (mut windows, mut busy) = (Vec::new(), 0);
        for run in 0..runs {
            let (window, found_busy) = self.back_up(run);
            windows.push(window);
            busy += found_busy;
        }
        let open = names(self.folder.path());
        child::stop(writer, "a writer");
        meddler
            .into_iter()
            .for_each(|meddler| child::stop(meddler, "a meddler"));
        self.assert_nothing_left(&open);
        let validated = self.shop.validate();
        assert_eq!(validated.damage, []);
        assert_eq!(validated.snapshots.len(), runs);
        figures(&std::fs::read_to_string(&self.log).unwrap(), &windows, busy)
    }

    /// One backup, restored and proved. Gives when it began and ended, and how
    /// often the database was found busy.
    fn back_up(&mut self, run: usize) -> ((u64, u64), usize) {
        let before = self.tick();
        let begun = child::now_us();
        let mut busy = 0;
        let outcome = loop {
            match self.shop.try_backup(&self.database()) {
                Ok(outcome) => break outcome,
                // What other processes lock, larder waits for as long as it was told to.
                Err(Error::Source(SourceError::Busy { .. })) if busy < TRIES => busy += 1,
                Err(error) => panic!("{} run {run}: {error}", self.mode),
            }
        };
        let ended = child::now_us();
        // Nobody dies here: a journal that a writer has just begun is none of a crash.
        let rolled_back = |f: &Finding| f.text.contains("rolled back");
        assert!(
            !outcome.findings.iter().any(rolled_back),
            "{} run {run}",
            self.mode
        );
        let after = self.tick();
        let restored = self.shop.path("restored.db");
        self.shop.restore_new(&outcome.snapshot.id, &restored);
        let n = state::prove(&restored);
        assert!(
            before <= n && n <= after,
            "{} run {run}: {before} {n} {after}",
            self.mode
        );
        for name in names(self.shop.dir.path()) {
            if name.starts_with("restored.db") {
                std::fs::remove_file(self.shop.path(&name)).unwrap();
            }
        }
        ((begun, ended), busy)
    }

    /// Beside the database there is what its writers need, then nothing but what they leave; and
    /// no private copy is left.
    fn assert_nothing_left(&self, open: &[String]) {
        let (sidecars, left): (&[&str], &[&str]) = match self.mode {
            "WAL" => (&["live.db", "live.db-shm", "live.db-wal"], &["live.db"]),
            "DELETE" => (&["live.db", "live.db-journal"], &["live.db"]),
            _ => (
                &["live.db", "live.db-journal"],
                &["live.db", "live.db-journal"],
            ),
        };
        let strange: Vec<&String> = open
            .iter()
            .filter(|n| !sidecars.contains(&n.as_str()))
            .collect();
        assert!(strange.is_empty(), "{} while open: {strange:?}", self.mode);
        assert_eq!(names(self.folder.path()), left, "{} when closed", self.mode);
        assert_eq!(
            names(self.shop.dir.path()),
            ["cache", "log", "store"],
            "{}",
            self.mode
        );
    }
}

/// The longest commits, those that a backup overlapped and the others.
fn figures(log: &str, windows: &[(u64, u64)], busy: usize) -> Figures {
    let mut figures = Figures {
        runs: windows.len(),
        busy,
        commits: 0,
        longest_with_us: 0,
        longest_without_us: 0,
        longest_backup_us: windows
            .iter()
            .map(|(from, to)| to - from)
            .max()
            .unwrap_or(0),
    };
    for line in log.lines() {
        let (at, took) = line.split_once(' ').unwrap();
        let (at, took): (u64, u64) = (at.parse().unwrap(), took.parse().unwrap());
        let overlaps = windows
            .iter()
            .any(|(from, to)| at <= *to && at + took >= *from);
        let longest = match overlaps {
            true => &mut figures.longest_with_us,
            false => &mut figures.longest_without_us,
        };
        *longest = took.max(*longest);
        figures.commits += 1;
    }
    figures
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
