//! The whole content of a database that others may use is replaced by that of a complete file: page by page,
//! through SQLite's backup interface, in one transaction of the database. Its file stays the file that it is.
//!
//! SQLite begins such a copy on a connection that is in no transaction, and takes the write lock with the first
//! page. What others wrote just before would be lost, and nobody would know. So:
//!
//! - Rollback mode: a connection that is exclusive keeps the lock of a transaction that has ended, and what
//!   is there is looked at within that. From the first page on SQLite keeps readers waiting as well.
//! - WAL mode: the lock comes with a first step that copies nothing. A second connection, which may read all
//!   the while, then says whether anything was written.

use std::path::Path;
use std::time::Duration;

use super::database::Completed;
use super::error::TargetError;
use super::live::LiveDatabase;
use crate::sqlite::copy::PageCopy;
use crate::sqlite::transaction::InTransaction;
use crate::sqlite::{Connection, SqliteError};

/// Bytes copied between two looks at whether to go on.
const STEP_BYTES: u64 = 4 << 20;

/// A database whose content is to be replaced.
#[derive(Debug)]
pub struct Overwrite {
    written: LiveDatabase,
    witness: LiveDatabase,
}

/// Which state of the database was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    // Each connection counts for itself what others write.
    by_written: i64,
    by_witness: i64,
}

/// A complete file of our own, open to be read.
#[derive(Debug)]
pub struct CompleteFile<'f> {
    db: Connection,
    place: &'f Path,
    page_bytes: u64,
    bytes: u64,
}

impl<'f> CompleteFile<'f> {
    /// Opens it; `tolerant`: its pages may be damaged.
    pub fn open(completed: &'f Completed, tolerant: bool) -> Result<Self, TargetError> {
        let place = completed.place();
        let at = |cause: SqliteError| TargetError::of(place, "", cause);
        let db = Connection::open_complete(completed.path(), tolerant).map_err(at)?;
        db.execute("BEGIN").map_err(at)?;
        let page_bytes = db.integer("PRAGMA main.page_size").map_err(at)?;
        Ok(Self {
            page_bytes: page_bytes.unwrap_or(0).unsigned_abs().max(512),
            bytes: completed.bytes()?,
            db,
            place,
        })
    }

    /// Lends what is in it to a reader.
    pub fn in_transaction(&self) -> Result<InTransaction<'_>, TargetError> {
        let lent = InTransaction::of(&self.db, self.place);
        lent.map_err(|cause| TargetError::of(self.place, "", cause))
    }
}

impl Overwrite {
    /// Opens the database. Errors: as [`LiveDatabase::open`].
    ///
    /// `page_bytes`: of the pages to come, for a database that has none.
    pub fn open(path: &Path, busy: Duration, page_bytes: u32) -> Result<Self, TargetError> {
        let open = || LiveDatabase::open(path, busy, false, false);
        let (written, witness) = (open()?, open()?);
        if written.bytes()? == 0 {
            let set = written.db.pragma("page_size", i64::from(page_bytes));
            set.map_err(|cause| written.at("", cause))?;
        }
        Ok(Self { written, witness })
    }

    /// The database, to be looked at.
    pub fn live(&self) -> &LiveDatabase {
        &self.witness
    }

    /// What is there now, for [`Overwrite::begin`].
    pub fn see(&self) -> Result<Seen, TargetError> {
        Ok(Seen {
            by_written: self.written.data_version()?,
            by_witness: self.witness.data_version()?,
        })
    }

    /// Keeps others from writing. `None`, and no lock, if the database is no longer what was `seen`.
    ///
    /// Errors: `Busy` if the lock was not had in time.
    pub fn begin<'c>(
        &'c mut self,
        from: &'c CompleteFile<'_>,
        seen: Option<Seen>,
    ) -> Result<Option<Overwriting<'c>>, TargetError> {
        let is_wal = self.written.is_wal()?;
        if !is_wal && !self.lock(seen)? {
            self.unlock()?;
            return Ok(None);
        }
        let Self { written, witness } = self;
        let page_bytes = from.page_bytes;
        let LiveDatabase { db, path, .. } = written;
        let path: &Path = path;
        let at = |cause: SqliteError| TargetError::of(path, "", cause);
        let copy = PageCopy::begin(&from.db, db).map_err(at)?;
        if is_wal {
            copy.step(0).map_err(at)?;
            let now = witness.data_version()?;
            if seen.is_some_and(|seen| seen.by_witness != now) {
                return Ok(None);
            }
        }
        Ok(Some(Overwriting {
            copy,
            path,
            witness,
            step_pages: i32::try_from(STEP_BYTES / page_bytes).unwrap_or(1),
            page_bytes,
            bytes: from.bytes,
        }))
    }

    /// Rollback mode: takes the write lock, which stays when its transaction has ended. False if the database is
    /// another than what was `seen`.
    fn lock(&self, seen: Option<Seen>) -> Result<bool, TargetError> {
        let live = &self.written;
        let at = |cause| live.at("", cause);
        live.db
            .execute("PRAGMA main.locking_mode=EXCLUSIVE")
            .and_then(|()| live.db.execute("BEGIN IMMEDIATE"))
            .map_err(at)?;
        let is_seen = match seen {
            Some(seen) => live.data_version()? == seen.by_written,
            None => true,
        };
        // Somebody may have brought it into WAL mode.
        let is_wal = live.is_wal()?;
        live.db.execute("ROLLBACK").map_err(at)?;
        Ok(is_seen && !is_wal)
    }

    /// Lets others write again.
    fn unlock(&self) -> Result<(), TargetError> {
        let normal = self.written.db.execute("PRAGMA main.locking_mode=NORMAL");
        normal.map_err(|cause| self.written.at("", cause))?;
        // Locks go at the end of the next read.
        self.written.data_version().map(drop)
    }

    /// Lets go of the database after its content was replaced.
    pub fn close(self) -> Result<(), TargetError> {
        let Self { written, witness } = self;
        // All of this only tidies up; what was replaced counts.
        let tidy: &[&str] = match written.is_wal() {
            Ok(true) => &["PRAGMA main.wal_checkpoint(PASSIVE)"],
            // What an exclusive connection leaves of its journal goes when another kind is chosen.
            _ => &[
                "PRAGMA main.locking_mode=NORMAL",
                "PRAGMA main.journal_mode=PERSIST",
                "PRAGMA main.journal_mode=DELETE",
            ],
        };
        for sql in tidy {
            let _ = written.db.execute(sql);
        }
        written.close()?;
        witness.close()
    }
}

/// A database whose content is being replaced. Dropped before all is copied, it is as it was.
pub struct Overwriting<'c> {
    copy: PageCopy<'c>,
    path: &'c Path,
    witness: &'c LiveDatabase,
    step_pages: i32,
    page_bytes: u64,
    bytes: u64,
}

impl Overwriting<'_> {
    /// The database, to be looked at before the first step.
    pub fn live(&self) -> &LiveDatabase {
        self.witness
    }

    /// Bytes that are copied in all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that are copied by a step.
    pub fn step_bytes(&self) -> u64 {
        u64::from(self.step_pages.unsigned_abs()).saturating_mul(self.page_bytes)
    }

    /// Copies further pages. True once all are there: then the transaction is committed, and durable.
    ///
    /// Errors: `Busy` at the first step if readers were there for too long; `NoSpace`.
    pub fn step(&self) -> Result<bool, TargetError> {
        let stepped = self.copy.step(self.step_pages);
        stepped.map_err(|cause| TargetError::of(self.path, "", cause))
    }
}
