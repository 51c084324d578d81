//! One consistent read of a database, however many write to it meanwhile.
//!
//! WAL mode: one read transaction on a read-only connection, held until the capture is dropped.
//! Rollback mode: there an open reader blocks writers, so the database is copied in one step into
//! a private file, the source is released, and the copy is read. Never by file copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::SourceError;
use super::files;
use crate::model::schema::{Schema, Settings, Table, TableKind};
use crate::sqlite::check::{self, ForeignKeyCheck, IntegrityAnswer};
use crate::sqlite::schema::Unreadable;
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
    options: CaptureOptions,
    bytes: u64,
    is_empty_file: bool,
    settings: Settings,
    schema: Schema,
    unreadable: Vec<Unreadable>,
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
        let mut capture = Self::read(db, copy, path, settings, options.clone())?;
        capture.bytes = bytes;
        capture.is_empty_file = looked.is_empty;
        Ok(capture)
    }

    /// A file of our own that is complete and closed: it is read in place, without locks.
    pub fn of_complete(path: &Path, vfs: &Arc<dyn Vfs>) -> Result<Self, SourceError> {
        let at = |cause: SqliteError| SourceError::of(path, None, cause);
        let db = Connection::open_complete(path).map_err(at)?;
        let settings = schema::read_settings(&db).map_err(at)?;
        let options = CaptureOptions {
            busy: Duration::ZERO,
            temp_dir: PathBuf::new(),
            vfs: vfs.clone(),
        };
        Self::read(db, None, path.to_owned(), settings, options)
    }

    fn read(
        db: Connection,
        copy: Option<tempfile::TempPath>,
        path: PathBuf,
        settings: Settings,
        options: CaptureOptions,
    ) -> Result<Self, SourceError> {
        let at = |cause: SqliteError| SourceError::of(&path, None, cause);
        let read = schema::read_schema(&db).map_err(at)?;
        Ok(Self {
            db,
            copy,
            bytes: 0,
            path,
            options,
            is_empty_file: false,
            settings,
            schema: read.schema,
            unreadable: read.unreadable,
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

    /// Objects of the schema that could not be read, or not exactly.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// True if the table has rows of its own.
    pub fn carries(&self, table: &Table) -> bool {
        table.kind != TableKind::Virtual
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

    /// What SQLite finds wrong: the answer of `quick_check`, or of `integrity_check`.
    pub fn check(&self, full: bool) -> Result<IntegrityAnswer, SourceError> {
        check::integrity(&self.db, full).map_err(|e| SourceError::of(&self.path, None, e))
    }

    /// Shows a file that has all pages of this capture, and nothing but them.
    pub(super) fn with_page_copy<T>(
        &self,
        look: impl FnOnce(&Path, &dyn Vfs) -> T,
    ) -> Result<T, SourceError> {
        let vfs = &*self.options.vfs;
        if let Some(copy) = &self.copy {
            return Ok(look(copy, vfs));
        }
        let (db, copy) = private_copy(&self.path, &self.db, &self.options.temp_dir)?;
        db.close()
            .map_err(|cause| SourceError::of(&self.path, None, cause))?;
        Ok(look(&copy, vfs))
    }

    /// Tables and indexes by the root pages of their trees, for people.
    pub fn owners_of_pages(&self) -> Result<BTreeMap<i64, String>, SourceError> {
        schema::read_root_pages(&self.db).map_err(|e| SourceError::of(&self.path, None, e))
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
