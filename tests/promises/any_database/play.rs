//! Plays a case: after each step the backups and the restored databases are compared.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::model::finding::{Finding, Severity};
use larder::model::id::SnapshotId;
use larder::ops::open::Store;
use larder::ops::restore::{Builder, RestoreOptions, SORT_BYTES};
use larder::store::Usage;
use rusqlite::Connection;

use super::compare::Content;
use super::draw::Step;
use crate::delta_steps::essence;
use crate::sandbox::{Sandbox, usage};
use crate::workshop::differences;

/// What was seen in a case.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub backups: usize,
    pub rows: usize,
    pub warnings: usize,
    pub statements: usize,
    pub refused: usize,
    pub judged: usize,
    /// Restores of which larder wrote the trees, not SQL.
    pub by_trees: usize,
}

/// Plays it, a panic being a failure like any other. `judged`: `dbdiff.py` compares, too.
pub fn play(steps: &[Step], judged: bool) -> Result<Seen, String> {
    let played = catch_unwind(AssertUnwindSafe(|| Case::new().play(steps, judged)));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

struct Case {
    sandbox: Sandbox,
    db: Connection,
    kept: Store,
    seen: Seen,
    first: Option<(SnapshotId, Content)>,
}

/// Opened without the settings of the file being touched.
fn open(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF")
        .unwrap();
    db
}

impl Case {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let db = open(&sandbox.path("any.db"));
        // With a cache, as a run has it: without one no snapshot is known to be complete, and every
        // leaf would be put again.
        let usage = Usage {
            cache_dir: Some(sandbox.path("cache")),
            ..usage()
        };
        std::fs::create_dir(sandbox.path("cache")).unwrap();
        let kept = Store::create(Arc::new(MemoryBackend::new()), sandbox.env.clone(), usage);
        let kept = kept.unwrap();
        Self {
            sandbox,
            db,
            kept,
            seen: Seen::default(),
            first: None,
        }
    }

    fn play(mut self, steps: &[Step], judged: bool) -> Result<Seen, String> {
        for step in steps {
            match step {
                Step::Sql(text) => {
                    self.seen.statements += 1;
                    self.seen.refused += usize::from(self.db.execute_batch(text).is_err());
                }
                Step::Reopen => self.reopen(),
                Step::Backup => self.back_up()?,
            }
        }
        if judged {
            self.judge()?;
        }
        self.end()?;
        Ok(self.seen)
    }

    fn reopen(&mut self) {
        let memory = Connection::open_in_memory().unwrap();
        std::mem::replace(&mut self.db, memory).close().unwrap();
        self.db = open(&self.sandbox.path("any.db"));
    }

    fn back_up(&mut self) -> Result<(), String> {
        let path = self.sandbox.path("any.db");
        let content = source(&path)?;
        let kept = self.sandbox.try_backup(&mut self.kept, &path);
        let kept = kept.map_err(|e| format!("backup: {e}"))?;
        let mut empty = self.sandbox.create(Arc::new(MemoryBackend::new()));
        let full = self.sandbox.try_backup(&mut empty, &path);
        let full = full.map_err(|e| format!("full backup: {e}"))?;
        let id: SnapshotId = kept.snapshot.id.parse().unwrap();
        let in_steps = self.kept.manifest(&id).unwrap().unwrap();
        let at_once = empty
            .manifest(&full.snapshot.id.parse().unwrap())
            .unwrap()
            .unwrap();
        for (a, b) in essence(&in_steps).iter().zip(essence(&at_once)) {
            if *a != b {
                return Err(format!("roots: in steps {a}, at once {b}"));
            }
        }
        if essence(&in_steps).len() != essence(&at_once).len() {
            return Err("roots: not as many tables".to_owned());
        }
        if in_steps.foreign_keys != at_once.foreign_keys {
            let (a, b) = (&in_steps.foreign_keys, &at_once.foreign_keys);
            return Err(format!("verdicts: in steps {a:?}, at once {b:?}"));
        }
        self.comes_back(&id, &content)?;
        self.seen.backups += 1;
        self.seen.rows += content.rows();
        let warned = kept
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Warning);
        self.seen.warnings += warned.count();
        self.first.get_or_insert((id, content));
        Ok(())
    }

    /// A snapshot is restored to what the source was, whoever writes the file; what larder writes is the same
    /// with any memory.
    fn comes_back(&mut self, id: &SnapshotId, expected: &Content) -> Result<(), String> {
        let trees = self.restored(id, Builder::Trees, SORT_BYTES)?;
        self.seen.by_trees += usize::from(!trees.1);
        self.compare(&trees.0, expected, "trees")?;
        let again = self.restored(id, Builder::Trees, 1)?;
        if again != trees {
            return Err("restored again, with little memory: other bytes".to_owned());
        }
        let sql = self.restored(id, Builder::Sql, SORT_BYTES)?;
        self.compare(&sql.0, expected, "SQL")
    }

    /// The file, and whether it was made by SQL though trees were asked for.
    fn restored(
        &mut self,
        id: &SnapshotId,
        builder: Builder,
        sort_bytes: usize,
    ) -> Result<(Vec<u8>, bool), String> {
        let options = RestoreOptions {
            builder,
            sort_bytes,
            ..RestoreOptions::default()
        };
        let restored = self.sandbox.try_restore_by(&mut self.kept, id, options);
        let (bytes, outcome) = restored.map_err(|e| format!("restore, {builder:?}: {e}"))?;
        let by_sql = |finding: &Finding| finding.text.starts_with("made by SQL");
        Ok((bytes, outcome.findings.iter().any(by_sql)))
    }

    fn compare(&self, restored: &[u8], expected: &Content, by: &str) -> Result<(), String> {
        let to = self.sandbox.path("compared.db");
        std::fs::write(&to, restored).unwrap();
        // For writing: read only, SQLite does not even look at CHECKs.
        let db = Connection::open(&to).unwrap();
        let content = Content::of(&db).map_err(|e| format!("restored by {by}: {e}"))?;
        let content = content.with_journal_mode(restored.get(18) == Some(&2));
        db.close().unwrap();
        match expected.difference(&content) {
            Some(difference) => Err(format!("difference, by {by}: {difference}")),
            None => Ok(()),
        }
    }

    fn judge(&mut self) -> Result<(), String> {
        self.reopen();
        let (path, to) = (
            self.sandbox.path("any.db"),
            self.sandbox.path("compared.db"),
        );
        match differences(&path, &to, "") {
            Some(told) if told.is_empty() => self.seen.judged += 1,
            Some(told) => return Err(format!("dbdiff: {told}")),
            None => {}
        }
        Ok(())
    }

    /// The first snapshot comes back still, and the store is whole.
    fn end(&mut self) -> Result<(), String> {
        if let Some((id, content)) = self.first.take() {
            self.comes_back(&id, &content)?;
        }
        let validated = self.sandbox.try_validate(&self.kept);
        let validated = validated.map_err(|e| format!("validate: {e}"))?;
        let good = validated
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.good)
            .count();
        if !validated.damage.is_empty() || good != self.seen.backups {
            return Err(format!("validate: {good} good, {:?}", validated.damage));
        }
        Ok(())
    }
}

/// Read by a connection of its own: that of the application may have settings that the file lacks.
fn source(path: &Path) -> Result<Content, String> {
    let db = Connection::open(path).unwrap();
    let content = Content::of(&db).map_err(|e| format!("source: {e}"))?;
    let mode = db.query_row("PRAGMA journal_mode", [], |row| row.get(0));
    let mode: String = mode.unwrap();
    Ok(content.with_journal_mode(mode == "wal"))
}

/// Takes steps out as long as the case fails in the same way.
pub fn shrink(mut steps: Vec<Step>, failure: &str) -> (Vec<Step>, String) {
    let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    let mut last = failure.to_owned();
    let mut plays = 0;
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < steps.len() && plays < 600 {
            plays += 1;
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            match play(&fewer, false) {
                Err(error) if kind(&error) == kind(failure) => (steps, last) = (fewer, error),
                _ => at += size,
            }
        }
        size /= 2;
    }
    (steps, last)
}

/// The script as SQL, to be read and run by a person.
pub fn as_sql(steps: &[Step]) -> String {
    let line = |step: &Step| match step {
        Step::Sql(text) => format!("{text};\n"),
        Step::Reopen => "-- closed and opened again\n".to_owned(),
        Step::Backup => "-- backup\n".to_owned(),
    };
    steps.iter().map(line).collect()
}
