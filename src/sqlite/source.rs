//! Connections to a database that is backed up. Each leaves the files as it found them; which one
//! does depends on the journal mode and on what lies beside the database (`source::opening`).

use std::fmt;
use std::path::Path;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use super::open::{Connection, immutable_uri};
use super::statement::{ErrorKind, SqliteError};

/// Instructions of SQLite's between two looks at the stop sign: some milliseconds.
const STEPS_A_LOOK: i32 = 100_000;

/// SQLite's code for a lock that the system did not give: an open file without permission to
/// write can have no write lock.
const IOERR_LOCK: i32 = 3850;

/// How a source is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceProfile {
    /// Read only, no checkpoint. In WAL mode it makes `-wal` and `-shm` where they are missing,
    /// and leaves them.
    ReadOnly,
    /// May write, and does not: so that SQLite removes the `-wal` and `-shm` that it made when the
    /// last connection closes, and can roll back what a crash left.
    Shared,
    /// May write, and does not; alone: the index of the WAL is kept in memory, no `-shm` is made,
    /// and the `-wal` stays as it is.
    Alone,
    /// Takes no lock and makes no file. Wrong answers if anybody writes meanwhile.
    Immutable,
}

/// What is asked while SQLite works.
pub struct Watch {
    /// Called when a lock is not free, with the number of calls before for this lock: waits and
    /// returns true to try again, or false to give up.
    pub wait: Box<dyn FnMut(i32) -> bool + Send>,
    /// Called every now and then within statements: true interrupts.
    pub stop: Box<dyn FnMut() -> bool + Send>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// What a look at a database without a `-wal` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// It has a rollback journal, or none.
    Rollback,
    /// It is in WAL mode.
    Wal,
}

impl Connection {
    /// Opens a database to back it up; if `tolerant`, also one whose size or schema is damaged.
    pub fn open_source(
        path: &Path,
        profile: SourceProfile,
        watch: Watch,
        tolerant: bool,
    ) -> Result<Self, SqliteError> {
        let access = match profile {
            SourceProfile::ReadOnly | SourceProfile::Immutable => OpenFlags::SQLITE_OPEN_READ_ONLY,
            SourceProfile::Shared | SourceProfile::Alone => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = if profile == SourceProfile::Immutable {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            rusqlite::Connection::open_with_flags(immutable_uri(path), flags)?
        } else {
            rusqlite::Connection::open_with_flags(path, flags)?
        };
        let opened = Self::watched(db, watch)?;
        if profile == SourceProfile::Alone {
            // Before the first read: afterwards the index would be in a file already.
            opened.execute("PRAGMA locking_mode=EXCLUSIVE")?;
        }
        opened.harden_for(false, tolerant)?;
        let keeps_wal = profile != SourceProfile::Shared;
        opened
            .db
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps_wal)?;
        opened.pragma("query_only", 1)?;
        Ok(opened)
    }

    /// Tells the journal mode of a database that has no `-wal`, and leaves no trace.
    ///
    /// A reader that wants the lock for itself must have a write lock before it makes the files of
    /// WAL mode; opened read only it cannot get one. In rollback mode it reads.
    pub fn probe(path: &Path, watch: Watch, tolerant: bool) -> Result<Probed, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = rusqlite::Connection::open_with_flags(path, flags)?;
        let probed = Self::watched(db, watch).and_then(|opened| {
            opened.execute("PRAGMA locking_mode=EXCLUSIVE")?;
            opened.harden_for(false, tolerant)?;
            opened.integer("PRAGMA main.schema_version")
        });
        match probed {
            Ok(_) => Ok(Probed::Rollback),
            Err(error) if error.kind == ErrorKind::Io && error.code == IOERR_LOCK => {
                Ok(Probed::Wal)
            }
            Err(error) => Err(error),
        }
    }

    /// Has statements stop once this says so; it is asked every few milliseconds.
    pub fn stop_when(
        &mut self,
        stop: impl FnMut() -> bool + Send + 'static,
    ) -> Result<(), SqliteError> {
        Ok(self.db.progress_handler(STEPS_A_LOOK, Some(stop))?)
    }

    fn watched(mut db: rusqlite::Connection, watch: Watch) -> Result<Self, SqliteError> {
        let Watch { wait, stop } = watch;
        db.busy_handler(Some(wait))?;
        db.progress_handler(STEPS_A_LOOK, Some(stop))?;
        Self::of(db)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn calm() -> Watch {
        Watch {
            wait: Box::new(|_| false),
            stop: Box::new(|| false),
        }
    }

    /// Every profile of this file, on a database each.
    pub fn profiles(dir: &Path) -> Vec<(&'static str, Connection)> {
        [
            ("read only", SourceProfile::ReadOnly),
            ("shared", SourceProfile::Shared),
            ("alone", SourceProfile::Alone),
            ("immutable", SourceProfile::Immutable),
        ]
        .into_iter()
        .map(|(name, profile)| {
            let path = dir.join(format!("{name} #100%?.db"));
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch("CREATE TABLE t(a)").unwrap();
            drop(db);
            let opened = Connection::open_source(&path, profile, calm(), false).unwrap();
            (name, opened)
        })
        .collect()
    }

    /// Whatever a name holds, the URI means that file.
    #[test]
    fn a_source_is_found_and_never_written_under_every_profile() {
        let dir = tempfile::tempdir().unwrap();
        for (name, opened) in profiles(dir.path()) {
            let tables = opened.integer("SELECT count(*) FROM sqlite_schema");
            assert_eq!(tables.unwrap(), Some(1), "{name}");
            for sql in ["INSERT INTO t VALUES(1)", "DROP TABLE t", "VACUUM"] {
                assert!(opened.execute(sql).is_err(), "{name}: {sql}");
            }
        }
    }

    #[test]
    fn a_probe_tells_the_journal_mode_and_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, expected) in [
            ("delete", Probed::Rollback),
            ("persist", Probed::Rollback),
            ("wal", Probed::Wal),
        ] {
            let path = dir.path().join(mode);
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch(&format!(
                "PRAGMA journal_mode={mode}; CREATE TABLE t(a); INSERT INTO t VALUES(1)"
            ))
            .unwrap();
            drop(db);
            assert_eq!(
                Connection::probe(&path, calm(), false).unwrap(),
                expected,
                "{mode}"
            );
            for made in ["-wal", "-shm"] {
                assert!(!dir.path().join(format!("{mode}{made}")).exists(), "{mode}");
            }
        }
    }

    #[test]
    fn a_statement_stops_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        drop(rusqlite::Connection::open(&path).unwrap());
        let watch = Watch {
            stop: Box::new(|| true),
            ..calm()
        };
        let opened = Connection::open_source(&path, SourceProfile::ReadOnly, watch, false).unwrap();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) FROM n";
        let error = opened.integer(endless).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted);
    }
}
