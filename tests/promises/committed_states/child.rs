//! Processes that write: one transactions at full speed, one checkpoints, VACUUM and schema.
//!
//! Locks are real only between processes, so this program runs itself again. A child ends when its
//! standard input does: also when its parent was killed.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::state;
use crate::sandbox::seed;
use crate::tree_rows::Random;

const DATABASE: &str = "LARDER_TEST_LIVE";
const MODE: &str = "LARDER_TEST_LIVE_MODE";
const LOG: &str = "LARDER_TEST_LIVE_LOG";

/// A writer waits so long before it fails.
const BUSY: Duration = Duration::from_secs(10);
/// The one that meddles asks for the lock now and then, of a neighbour that never rests: with
/// 10 s it failed once in thousands of changes, with or without backups.
const BUSY_BESIDE_WRITER: Duration = Duration::from_secs(60);

/// Runs a test of this program, one that does nothing without `DATABASE`, in a process of its own.
pub fn start(entry: &str, database: &Path, mode: &str, log: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("committed_states::{entry}"),
            "--nocapture",
        ])
        .env(DATABASE, database)
        .env(MODE, mode)
        .env(LOG, log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends a child. It must not have failed: no lock was waited for in vain.
pub fn stop(mut child: Child, what: &str) {
    drop(child.stdin.take());
    let out = child.wait_with_output().unwrap();
    assert!(
        out.status.success(),
        "{what} failed: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// What a child was started with; `None` in an ordinary run of the tests.
struct Role {
    db: Connection,
    mode: String,
    log: PathBuf,
    ended: Arc<AtomicBool>,
}

impl Role {
    fn of_this_process() -> Option<Self> {
        let database = std::env::var_os(DATABASE)?;
        let db = Connection::open(database).unwrap();
        db.busy_timeout(BUSY).unwrap();
        let mode = std::env::var(MODE).unwrap();
        db.execute_batch("PRAGMA synchronous=OFF").unwrap();
        if mode != "WAL" {
            // Of the connection, not of the file.
            db.execute_batch(&format!("PRAGMA journal_mode={mode}"))
                .unwrap();
        }
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            end.store(true, Ordering::Relaxed);
        });
        let log = PathBuf::from(std::env::var_os(LOG).unwrap());
        Some(Self {
            db,
            mode,
            log,
            ended,
        })
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

/// Microseconds of the clock that all processes share.
pub fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// Commits without a pause; logs when each began, and how long it took.
pub fn write_at_full_speed() {
    let Some(role) = Role::of_this_process() else {
        return;
    };
    let mut log = BufWriter::new(File::create(&role.log).unwrap());
    while role.goes_on() {
        let (at, begun) = (now_us(), Instant::now());
        state::advance(&role.db).unwrap();
        writeln!(log, "{at} {}", begun.elapsed().as_micros()).unwrap();
    }
    log.flush().unwrap();
    role.db.close().unwrap();
}

/// Everything else that happens to a database in use.
pub fn meddle() {
    let Some(role) = Role::of_this_process() else {
        return;
    };
    let mut random = Random(seed());
    role.db.busy_timeout(BUSY_BESIDE_WRITER).unwrap();
    while role.goes_on() {
        let db = &role.db;
        match random.below(10) {
            0 => db.execute_batch("VACUUM").unwrap(),
            1..=3 => state::change_schema(db).unwrap(),
            4 if role.mode == "WAL" => checkpoint(db, "PASSIVE"),
            5 if role.mode == "WAL" => checkpoint(db, "RESTART"),
            6 if role.mode == "WAL" => checkpoint(db, "TRUNCATE"),
            7 => db.execute_batch("ANALYZE b").unwrap(),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(random.below(25)));
    }
    role.db.close().unwrap();
}

/// A reader may keep it from its end: that is no failure of a writer, so it does not wait long.
fn checkpoint(db: &Connection, kind: &str) {
    db.busy_timeout(Duration::from_millis(50)).unwrap();
    let done = db.query_row(&format!("PRAGMA wal_checkpoint({kind})"), [], |_| Ok(()));
    done.unwrap();
    db.busy_timeout(BUSY_BESIDE_WRITER).unwrap();
}
