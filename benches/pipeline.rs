//! The program from end to end: first backup, next backup, validate, restore, each in turns with
//! `VACUUM INTO` and `zstd -3` of the same file. Prints the table of docs/benchmarks.md.
//!
//!     cargo bench --bench pipeline -- [DATABASE…]
//!
//! Without arguments the database is `LARDER_BENCH_DB`, or a shop of 300 MB made for the occasion.
//! Needs the programs `zstd` and `python3`. `LARDER_BENCH_TURNS`: how often (default 3).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench looks at real files, measures time, fails by panicking, and prints"
)]

mod shop;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A shop of about 300 MB.
const ROWS: u64 = 2_000_000;
/// Larger databases are not compared with `zstd -19`, which takes minutes for every 100 MB.
const LIMIT_BYTES_MAX: u64 = 400_000_000;
/// Limit of `zstd -19`, computed once for each database and kept beside the binaries.
const LIMITS: &str = "bench-zstd-19";

/// What one run of a program took.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    wall: f64,
    /// User and system time.
    cpu: f64,
    peak_mib: f64,
}

/// Runs a program to its end. GNU time tells what the child took; nothing here may be unsafe.
fn run(scratch: &Path, command: &mut Command) -> Run {
    let report = scratch.join("time");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%U %S %M", "-o"]).arg(&report);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        timed.env(name, value.unwrap_or_default());
    }
    let begun = Instant::now();
    let status = timed.stdout(Stdio::null()).status();
    let wall = begun.elapsed().as_secs_f64();
    assert!(
        status.is_ok_and(|s| s.success()),
        "{command:?} failed, or /usr/bin/time is missing"
    );
    let report = fs::read_to_string(report).unwrap();
    let numbers: Vec<f64> = report
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [user, system, kib] = numbers[..] else {
        panic!("{report}");
    };
    Run {
        wall,
        cpu: user + system,
        peak_mib: kib / 1024.0,
    }
}

/// What is measured, in this order, turn after turn.
const STEPS: [&str; 7] = [
    "VACUUM INTO",
    "zstd -3",
    "first backup",
    "next backup",
    "validate",
    // With its defaults: `--check quick`, `--memory 64M`.
    "restore",
    "restore, none",
];

/// The place of one turn, empty at its beginning.
struct Place<'a> {
    database: &'a Path,
    dir: PathBuf,
}

impl Place<'_> {
    fn larder(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.arg("--store").arg(self.dir.join("store"));
        command.args(["--no-progress", "--quiet"]).args(words);
        command.env("LARDER_CACHE_DIR", self.dir.join("cache"));
        command
    }

    /// What a step writes beside the store.
    fn out(&self) -> PathBuf {
        self.dir.join("out.db")
    }

    /// No step pays for what another has left: neither for its writes nor for memory that its files fill.
    fn tidy(&self) {
        match fs::remove_file(self.out()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        assert!(Command::new("sync").status().unwrap().success());
    }

    fn command(&self, step: &str) -> Command {
        let database = self.database.to_str().unwrap();
        let out = self.out();
        match step {
            "VACUUM INTO" => {
                // SQLite alone, without a program of ours around it.
                let script = "import sqlite3, sys\n\
                    sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))";
                let mut command = Command::new("python3");
                command.args(["-c", script, database]);
                command.arg(out);
                command
            }
            "zstd -3" => {
                let mut command = Command::new("zstd");
                command.args(["-q", "-3", "--single-thread", database, "-o"]);
                command.arg(out);
                command
            }
            "validate" => self.larder(&["validate"]),
            "restore" => self.larder(&["restore", "latest", "--to", out.to_str().unwrap()]),
            "restore, none" => {
                let to = ["--to", out.to_str().unwrap()];
                let words = ["restore", "latest", "--check", "none"];
                self.larder(&[words.as_slice(), &to].concat())
            }
            _ => self.larder(&["backup", database]),
        }
    }
}

fn stored_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => stored_bytes(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}

/// Length of the database under `zstd -19`: minutes of work, so it is done once.
fn limit_bytes(database: &Path) -> Option<u64> {
    let bytes = fs::metadata(database).unwrap().len();
    if bytes > LIMIT_BYTES_MAX {
        return None;
    }
    let name = database.file_name().unwrap().to_string_lossy();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{LIMITS}-{name}-{bytes}"));
    if let Some(limit) = fs::read_to_string(&kept)
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return Some(limit);
    }
    let out = Command::new("sh")
        .args(["-c", "zstd -19 -T0 -q -c \"$1\" | wc -c", "sh"])
        .arg(database)
        .output()
        .unwrap();
    let limit: u64 = String::from_utf8_lossy(&out.stdout).trim().parse().unwrap();
    fs::write(kept, limit.to_string()).unwrap();
    Some(limit)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn measure(database: &Path, turns: usize, scratch: &Path) {
    let limit = limit_bytes(database);
    let mut runs: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
    let mut stored = (0, 0);
    for turn in 0..turns {
        let dir = scratch.join(format!("turn-{turn}"));
        fs::create_dir(&dir).unwrap();
        let place = Place { database, dir };
        for step in STEPS {
            place.tidy();
            let done = run(scratch, &mut place.command(step));
            runs.entry(step).or_default().push(done);
            match step {
                "first backup" => stored.0 = stored_bytes(&place.dir.join("store")),
                "next backup" => stored.1 = stored_bytes(&place.dir.join("store")) - stored.0,
                _ => {}
            }
        }
        fs::remove_dir_all(place.dir).unwrap();
    }
    let of = |step: &str, part: fn(&Run) -> f64| median(runs[step].iter().map(part).collect());
    let (vacuum, zstd) = (of("VACUUM INTO", |r| r.cpu), of("zstd -3", |r| r.cpu));
    let (vacuum_wall, zstd_wall) = (of("VACUUM INTO", |r| r.wall), of("zstd -3", |r| r.wall));
    let bytes = fs::metadata(database).unwrap().len();
    println!(
        "\n{}: {bytes} bytes, {turns} turns, medians",
        database.file_name().unwrap().to_string_lossy()
    );
    println!(
        "| step | wall s | CPU s | CPU / VACUUM INTO | CPU / zstd -3 | wall / VACUUM INTO | wall / zstd -3 | peak MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for step in STEPS {
        let (wall, cpu) = (of(step, |r| r.wall), of(step, |r| r.cpu));
        let peak = runs[step].iter().map(|r| r.peak_mib).fold(0.0, f64::max);
        println!(
            "| {step} | {wall:.2} | {cpu:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {peak:.0} |",
            cpu / vacuum,
            cpu / zstd,
            wall / vacuum_wall,
            wall / zstd_wall,
        );
    }
    println!("stored: first {} bytes, next {} bytes", stored.0, stored.1);
    if let Some(limit) = limit {
        let ratio = stored.0 as f64 / limit as f64;
        println!("zstd -19 of the file: {limit} bytes; first / zstd -19 = {ratio:.3}");
    }
}

fn main() {
    let turns = std::env::var("LARDER_BENCH_TURNS").ok();
    let turns = turns.and_then(|turns| turns.parse().ok()).unwrap_or(3);
    let scratch = tempfile::tempdir().unwrap();
    for database in shop::databases(ROWS, scratch.path()) {
        measure(&database, turns, scratch.path());
    }
}
