//! A folder of its own for a run of the program, with no variables of the person who tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A temporary folder in which the program is run.
pub struct Workplace {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a run wrote, and its exit code.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Workplace {
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    /// With a copy of the bakery's database as `app.db`.
    pub fn bakery() -> Self {
        let place = Self::empty();
        let bakery = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bakery.db");
        std::fs::copy(bakery, place.path("app.db")).unwrap();
        place
    }

    /// The bakery, and one snapshot of it named `first` in `./backups`.
    pub fn backed_up() -> Self {
        let place = Self::bakery();
        place.ok(&["backup", "app.db", "--name", "first"]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    pub fn std_command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("larder"));
        command
            .current_dir(self.folder.path())
            .env_remove("LARDER_STORE")
            .env_remove("LARDER_DATABASE")
            .env("LARDER_CACHE_DIR", self.path("cache"))
            .env("TZ", "Europe/Berlin")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, words: &[&str]) -> Run {
        let output = self.std_command().args(words).output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs what must succeed, and gives its output.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.code(0, words).out
    }

    /// Runs what must exit with this code.
    #[track_caller]
    pub fn code(&self, code: i32, words: &[&str]) -> Run {
        let run = self.run(words);
        assert_eq!(run.code, code, "{words:?}\n{}\n{}", run.out, run.err);
        run
    }

    /// Carries out SQL, each statement, on a database of this place.
    pub fn sql(&self, database: &str, sql: &str) {
        let connection = rusqlite::Connection::open(self.path(database)).unwrap();
        // As most applications have it; the bundled SQLite turns them on.
        connection.execute_batch("PRAGMA foreign_keys=OFF").unwrap();
        connection.execute_batch(sql).unwrap();
    }

    pub fn count(&self, database: &str, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path(database)).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// All files below a folder with a name that ends in this.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files
}
