//! One table of a million rows, of which one in a hundred differs, restored into a live database of some
//! 300 MB, in turns with what one would do by hand: DELETE all, INSERT all from a copy.
//!
//!     cargo bench --bench live_restore
//!
//! Prints times and what was written to the `-wal`. `LARDER_BENCH_TURNS`: how often (default 3);
//! `LARDER_BENCH_ROWS`: rows of the table.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench looks at real files, measures time, fails by panicking, and prints"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

const ROWS: u64 = 1_000_000;

const SCHEMA: &str = "
    CREATE TABLE sensors(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE readings(id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL REFERENCES sensors, at TEXT NOT NULL,
        value REAL, note TEXT);
    CREATE INDEX readings_at ON readings(at);
    CREATE INDEX readings_sensor ON readings(sensor, at);
    CREATE TABLE photos(id INTEGER PRIMARY KEY, image BLOB);";

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(otherwise)
}

/// A database of three hundred bytes a row.
fn make(path: &Path, rows: u64) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; {SCHEMA}
         INSERT INTO sensors SELECT value, 'sensor ' || value FROM generate_series(1, 500);
         INSERT INTO readings SELECT value, 1 + value * 7919 % 500,
             strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + value * 13, 'unixepoch'), value * 0.25,
             CASE WHEN value % 3 = 0 THEN 'checked by hand, value within bounds ' || value END
             FROM generate_series(1, {rows});
         INSERT INTO photos SELECT value, randomblob(100000) FROM generate_series(1, {});",
        rows / 700
    ))
    .unwrap_or_else(|_| by_recursion(&db, rows));
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// Where SQLite was built without `generate_series`.
fn by_recursion(db: &Connection, rows: u64) {
    db.execute_batch(&format!(
        "WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500)
         INSERT OR IGNORE INTO sensors SELECT value, 'sensor ' || value FROM n;
         WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {rows})
         INSERT INTO readings SELECT value, 1 + value * 7919 % 500,
             strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + value * 13, 'unixepoch'), value * 0.25,
             CASE WHEN value % 3 = 0 THEN 'checked by hand, value within bounds ' || value END FROM n;
         WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {})
         INSERT INTO photos SELECT value, randomblob(100000) FROM n;",
        rows / 700
    ))
    .unwrap();
}

/// One row in a hundred is changed, deleted or new.
fn change(path: &Path, rows: u64) {
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "UPDATE readings SET value = value + 1 WHERE id % 200 = 0;
         DELETE FROM readings WHERE id % 400 = 1;
         WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {})
         INSERT INTO readings SELECT {rows} + value, 1, '2026', 0, NULL FROM n;
         PRAGMA wal_checkpoint(TRUNCATE);",
        rows / 400
    ))
    .unwrap();
}

fn larder(dir: &Path, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.arg("--store").arg(dir.join("store"));
    command.args(["--no-progress", "--quiet"]).args(words);
    command.env("LARDER_CACHE_DIR", dir.join("cache"));
    let status = command.status().unwrap();
    assert!(status.success(), "larder {words:?}");
}

fn by_hand(live: &Path, copy: &Path) {
    let db = Connection::open(live).unwrap();
    db.execute("ATTACH ?1 AS copy", [copy.to_str().unwrap()])
        .unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE; DELETE FROM main.readings;
         INSERT INTO main.readings SELECT * FROM copy.readings; COMMIT;",
    )
    .unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds, and the length of the `-wal` afterwards.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn measure(dir: &Path, changed: &Path, whole: &Path, way: &str, rows: u64) -> (f64, f64) {
    let live = dir.join("live.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(PathBuf::from(format!("{}{suffix}", live.display())));
    }
    fs::copy(changed, &live).unwrap();
    // Somebody has it open: the -wal stays and shows what was written.
    let other = Connection::open(&live).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    let count = || -> i64 {
        let sql = "SELECT count(*) FROM readings";
        other.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_ne!(count(), 0);
    let to = live.to_str().unwrap();
    let mut restore = vec![
        "restore", "whole", "--to", to, "--mode", "replace", "--table", "readings",
    ];
    let begun = Instant::now();
    match way {
        "plan only" => restore.push("--dry-run"),
        "larder, no snapshots" => restore.push("--no-safety-snapshot"),
        _ => {}
    }
    match way {
        "DELETE and INSERT" => by_hand(&live, whole),
        _ => larder(dir, &restore),
    }
    let seconds = begun.elapsed().as_secs_f64();
    if way != "plan only" {
        assert_eq!(count(), i64::try_from(rows).unwrap());
    }
    let wal = fs::metadata(format!("{}-wal", live.display())).map_or(0, |m| m.len());
    (seconds, wal as f64)
}

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let (rows, turns) = (
        number("LARDER_BENCH_ROWS", ROWS),
        number("LARDER_BENCH_TURNS", 3),
    );
    let whole = scratch.path().join("whole.db");
    make(&whole, rows);
    let changed = scratch.path().join("changed.db");
    fs::copy(&whole, &changed).unwrap();
    change(&changed, rows);
    let bytes = fs::metadata(&changed).unwrap().len();
    let live = scratch.path().join("live.db");
    // The store knows the whole state, and the one that is changed: as after a nightly backup.
    fs::copy(&whole, &live).unwrap();
    larder(
        scratch.path(),
        &["backup", live.to_str().unwrap(), "--name", "whole"],
    );
    fs::copy(&changed, &live).unwrap();
    larder(
        scratch.path(),
        &["backup", live.to_str().unwrap(), "--name", "changed"],
    );
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut wals: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..turns {
        for way in [
            "plan only",
            "larder",
            "larder, no snapshots",
            "DELETE and INSERT",
        ] {
            let run = measure(scratch.path(), &changed, &whole, way, rows);
            times.entry(way).or_default().push(run.0);
            wals.entry(way).or_default().push(run.1);
        }
    }
    println!("table of {rows} rows, database of {bytes} bytes; medians of {turns} turns");
    println!("{:24} {:>9} {:>16}", "", "seconds", "-wal, bytes");
    for (way, seconds) in times {
        let wal = median(wals[way].clone());
        println!("{way:24} {:9.2} {wal:16.0}", median(seconds));
    }
}
