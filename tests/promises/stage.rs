//! A store in a folder, and databases that are backed up into it and restored from it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::error::Error;
use larder::format::manifest::Manifest;
use larder::ops::backup::{self, BackupOptions};
use larder::ops::restore::{self, Form, Mode, RestoreOptions, RestoreOutcome, TableReport};
use larder::progress::{NoProgress, Progress};
use larder::target::CheckLevel;

pub use crate::workshop::{Workshop, differences};
use crate::workshop::{copy_database, real_databases};

/// A workshop in which databases are restored into.
pub type Stage = Workshop;

impl Workshop {
    /// Makes a database from SQL, or goes on with one.
    pub fn make(&self, name: &str, sql: &str) -> PathBuf {
        let path = self.path(name);
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(&format!("PRAGMA foreign_keys=OFF; {sql}"))
            .unwrap();
        path
    }

    /// Copies a database of the corpus, its `-wal` with it.
    pub fn borrow(&self, original: &Path, name: &str) -> PathBuf {
        let to = self.path(name);
        copy_database(original, &to);
        to
    }

    pub fn back_up(&mut self, path: &Path) -> Manifest {
        let options = BackupOptions {
            database: path.to_owned(),
            name: None,
            tags: Vec::new(),
            source_name: None,
            busy_timeout: Duration::from_millis(200),
            temp_dir: None,
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
            fast_skip_from: None,
        };
        let done = backup::run(&mut self.store, &self.world, &options, &mut NoProgress).unwrap();
        self.manifest(&done.snapshot.id)
    }

    pub fn try_restore(
        &mut self,
        manifest: &Manifest,
        to: &Path,
        mode: Mode,
        dry_run: bool,
        progress: &mut dyn Progress,
    ) -> Result<RestoreOutcome, Error> {
        let options = RestoreOptions {
            target: to.to_owned(),
            mode,
            dry_run,
            busy_timeout: Duration::from_millis(100),
            check: CheckLevel::Full,
            form: Form::Best,
            ..RestoreOptions::default()
        };
        restore::run(
            &mut self.store,
            &self.world,
            manifest,
            &options,
            &mut restore::NoDecider,
            progress,
        )
    }

    /// Plans, then restores, with other options: what was done is what was planned, and planning writes
    /// nothing.
    pub fn restore_with(
        &mut self,
        manifest: &Manifest,
        to: &Path,
        change: impl FnOnce(&mut RestoreOptions),
    ) -> RestoreOutcome {
        let mut options = RestoreOptions {
            target: to.to_owned(),
            busy_timeout: Duration::from_millis(100),
            check: CheckLevel::Full,
            dry_run: true,
            ..RestoreOptions::default()
        };
        change(&mut options);
        let mut run = |options: &RestoreOptions| {
            restore::run(
                &mut self.store,
                &self.world,
                manifest,
                options,
                &mut restore::NoDecider,
                &mut NoProgress,
            )
            .unwrap()
        };
        let before = content(to);
        let planned = run(&options);
        assert_eq!(content(to), before, "a plan writes nothing");
        options.dry_run = false;
        let done = run(&options);
        assert_eq!(done.tables, planned.tables);
        assert_eq!(done.missing, planned.missing);
        if done.is_stopped() {
            assert_eq!(content(to), before, "what is stopped writes nothing");
        }
        done
    }

    /// Plans, then restores: what was done is what was planned, and planning writes nothing.
    pub fn restore(&mut self, manifest: &Manifest, to: &Path, mode: Mode) -> RestoreOutcome {
        let before = std::fs::read(to).unwrap();
        let planned = self
            .try_restore(manifest, to, mode, true, &mut NoProgress)
            .unwrap();
        assert!(planned.dry_run && planned.safety_snapshot.is_none());
        assert_eq!(std::fs::read(to).unwrap(), before, "a dry run wrote");
        let done = self
            .try_restore(manifest, to, mode, false, &mut NoProgress)
            .unwrap();
        assert!(!done.new_file && !done.dry_run);
        if done.conflicts.is_empty() {
            assert_eq!(done.tables, planned.tables);
        }
        done
    }
}

/// Everything in a database: texts, and rows with the class of every value, in no order.
pub fn content(path: &Path) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut lines = Vec::new();
    let mut names = db
        .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema")
        .unwrap();
    let mut objects = names.query([]).unwrap();
    while let Some(object) = objects.next().unwrap() {
        let (kind, name, sql): (String, String, String) = (
            object.get(0).unwrap(),
            object.get(1).unwrap(),
            object.get(2).unwrap(),
        );
        lines.push(format!("{kind} {name}: {sql}"));
        if kind == "table" && !name.starts_with("sqlite_stat") {
            lines.extend(rows(path, &name));
        }
    }
    lines.sort();
    lines
}

/// The rows of a table.
pub fn rows(path: &Path, table: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(path).unwrap();
    let sql = format!("SELECT * FROM \"{}\"", table.replace('"', "\"\""));
    let mut statement = db.prepare(&sql).unwrap();
    let width = statement.column_count();
    let mut found = statement.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let values: Vec<String> = (0..width)
            .map(|at| match row.get_ref(at).unwrap() {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(v) => v.to_string(),
                rusqlite::types::ValueRef::Real(v) => format!("{v:?}"),
                rusqlite::types::ValueRef::Text(v) => {
                    format!("{:?}", String::from_utf8_lossy(v))
                }
                rusqlite::types::ValueRef::Blob(v) => format!("{v:?}"),
            })
            .collect();
        lines.push(format!("{table}({})", values.join(", ")));
    }
    lines.sort();
    lines
}

/// One number that a database answers.
pub fn number(path: &Path, sql: &str) -> i64 {
    let db = rusqlite::Connection::open(path).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A database of the corpus; `None`, said aloud, where there is none.
pub fn corpus(name: &str) -> Option<PathBuf> {
    real_databases().map(|data| data.join(name))
}

/// The report of a table.
pub fn table<'o>(outcome: &'o RestoreOutcome, name: &str) -> &'o TableReport {
    outcome.tables.iter().find(|t| t.table == name).unwrap()
}
