//! One consistent read of a database, however many write to it meanwhile.
//!
//! WAL mode: one read transaction on a read-only connection, held until the capture is dropped.
//! Rollback mode: there an open reader blocks writers, so the database is copied in one step into
//! a private file, the source is released, and the copy is read. Never by file copy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::carried::{NotCarried, not_carried};
use super::error::SourceError;
use super::files;
use crate::model::schema::{Schema, Settings, Table, TableKind};
use crate::sqlite::check::{self, ForeignKeyCheck};
use crate::sqlite::{Connection, SqliteError, schema};
use crate::vfs::Vfs;

/// How to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// How long to wait for a lock.
    pub busy: Duration,
    /// Where a private copy may lie: room for one database.
    pub temp_dir: PathBuf,
    /// Through which the file is looked at before SQLite opens it.
    pub vfs: Arc<dyn Vfs>,
}

/// A database at one moment. It does not change while it is read.
#[derive(Debug)]
pub struct Capture {
    // Before `copy`: the connection closes before the file goes.
    pub(super) db: Connection,
    /// The private copy of a rollback-mode database.
    copy: Option<tempfile::TempPath>,
    path: PathBuf,
    bytes: u64,
    is_empty_file: bool,
    settings: Settings,
    schema: Schema,
    not_carried: Vec<NotCarried>,
}

impl Capture {
    /// Begins: on return the moment of the capture is fixed.
    ///
    /// Errors: `Busy` if a lock was not had in time.
    pub fn begin(path: &Path, options: &CaptureOptions) -> Result<Self, SourceError> {
        let looked = files::look(path, &*options.vfs)?;
        let path = looked.path;
        let at = |cause: SqliteError| SourceError::of(&path, None, cause);
        let live = Connection::open_live(&path, options.busy).map_err(at)?;
        live.execute("BEGIN").map_err(at)?;
        // The first read, not BEGIN, fixes the moment.
        live.integer("PRAGMA main.schema_version").map_err(at)?;
        let settings = schema::read_settings(&live).map_err(at)?;
        // Not of the copy: that of an empty database has a page.
        let pages = live
            .integer("PRAGMA main.page_count")
            .map_err(at)?
            .unwrap_or(0);
        let bytes = pages.unsigned_abs() * u64::from(settings.page_size);
        let (db, copy) = if settings.journal_mode == "wal" {
            (live, None)
        } else {
            let (db, copy) = private_copy(&path, &live, &options.temp_dir)?;
            ensure_in_place(&path, &live)?;
            live.close().map_err(at)?;
            (db, Some(copy))
        };
        let mut capture = Self::read(db, copy, path, settings)?;
        capture.bytes = bytes;
        capture.is_empty_file = looked.is_empty;
        Ok(capture)
    }

    fn read(
        db: Connection,
        copy: Option<tempfile::TempPath>,
        path: PathBuf,
        settings: Settings,
    ) -> Result<Self, SourceError> {
        let at = |cause: SqliteError| SourceError::of(&path, None, cause);
        let read = schema::read_schema(&db).map_err(at)?;
        let mut missing = not_carried(&read.schema).map_err(at)?;
        missing.extend(
            read.unreadable
                .into_iter()
                .map(|(name, reason)| NotCarried { name, reason }),
        );
        Ok(Self {
            db,
            copy,
            bytes: 0,
            path,
            is_empty_file: false,
            settings,
            schema: read.schema,
            not_carried: missing,
        })
    }

    /// The database: absolute, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size at the moment of the capture, what the WAL holds included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file has no bytes: a valid empty database, yet worth a note.
    pub fn is_empty_file(&self) -> bool {
        self.is_empty_file
    }

    /// Settings that no record holds.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The whole schema, tables that are not carried included.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What is not carried, by name: tables, and objects whose text is not UTF-8.
    pub fn not_carried(&self) -> &[NotCarried] {
        &self.not_carried
    }

    /// True if the table has rows that are carried.
    pub fn carries(&self, table: &Table) -> bool {
        let is_carried = !self
            .not_carried
            .iter()
            .any(|other| other.name == table.name);
        is_carried && table.kind != TableKind::Virtual
    }

    /// Tables whose rowids have no name left, since columns took all three: their rows are carried
    /// in order, the rowids are not.
    pub fn without_rowid_name(&self) -> impl Iterator<Item = &Table> {
        self.schema
            .tables
            .iter()
            .filter(|table| table.hides_rowid())
    }

    /// True while the source itself is being read; false if a private copy is.
    pub fn holds_source(&self) -> bool {
        self.copy.is_none()
    }

    /// The foreign-key verdict of one table.
    pub fn foreign_key_violations(&self, table: &Table) -> Result<ForeignKeyCheck, SourceError> {
        if table.foreign_keys.is_empty() {
            return Ok(ForeignKeyCheck::default());
        }
        check::foreign_keys(&self.db, &table.name)
            .map_err(|cause| SourceError::of(&self.path, Some(&table.name), cause))
    }

    /// What SQLite finds damaged: lines of `quick_check`, or of `integrity_check`.
    pub fn check(&self, full: bool) -> Result<Vec<String>, SourceError> {
        check::integrity(&self.db, full).map_err(|e| SourceError::of(&self.path, None, e))
    }

    /// Ends the capture. `Changed` if the file was replaced while it was read: what was read is
    /// then of a file that is no longer there.
    pub fn finish(self) -> Result<(), SourceError> {
        if self.holds_source() {
            ensure_in_place(&self.path, &self.db)?;
        }
        let Self { db, path, .. } = self;
        db.close()
            .map_err(|cause| SourceError::of(&path, None, cause))
    }
}

fn ensure_in_place(path: &Path, db: &Connection) -> Result<(), SourceError> {
    match db.has_moved() {
        Ok(false) => Ok(()),
        Ok(true) => Err(SourceError::Changed {
            path: path.to_owned(),
        }),
        Err(cause) => Err(SourceError::of(path, None, cause)),
    }
}

/// Copies through SQLite, in one step under one lock.
fn private_copy(
    path: &Path,
    live: &Connection,
    temp_dir: &Path,
) -> Result<(Connection, tempfile::TempPath), SourceError> {
    let copy = tempfile::Builder::new()
        .prefix("larder-")
        .tempfile_in(temp_dir)
        .map_err(|cause| SourceError::file("make a file in", temp_dir, cause))?
        .into_temp_path();
    let at = |cause: SqliteError| SourceError::of(path, None, cause);
    let mut db = Connection::open_scratch(&copy).map_err(at)?;
    live.copy_into(&mut db).map_err(at)?;
    Ok((db, copy))
}
