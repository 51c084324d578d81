//! One consistent read of a database, however many write to it meanwhile.
//!
//! WAL mode: one read transaction, held until the capture is dropped. Rollback mode: there an open
//! reader blocks writers, so the database is copied into a private file, the source is released,
//! and the copy is read (`private_copy`). How a source is opened so that it stays as it was:
//! `opening`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::check_beside::CheckBeside;
use super::error::SourceError;
use super::files::{self, Looked};
use super::moment::Moment;
use super::opening::{self, Opened, ReadFrom};
use super::options::{CaptureOptions, Reading};
use super::patience::Tries;
use super::private_copy::{self, Blocks, ensure_in_place};
use super::slices::Slices;
use super::wal_growth::WalGrowth;
use crate::env::SystemEnv;
use crate::model::schema::{Schema, Settings, Table};
use crate::progress::StopSign;
use crate::sqlite::check::{self, IntegrityAnswer};
use crate::sqlite::schema::{ReadSchema, Unreadable};
use crate::sqlite::{Connection, SqliteError, schema};
use crate::vfs::Vfs;

/// From this size on a copy is checked on a thread of its own.
const CHECK_BESIDE_FROM: u64 = 8 << 20;

/// A database at one moment. It does not change while it is read.
#[derive(Debug)]
pub struct Capture {
    // Before `folder`: the connection closes before the files go.
    db: Connection,
    /// Holds the private copy that `db` reads, if it does not read the source.
    folder: Option<tempfile::TempDir>,
    /// The copy, if it is one file that has all pages.
    page_file: Option<PathBuf>,
    /// The source is held in a WAL read transaction.
    growth: Option<WalGrowth>,
    slices: Option<Slices>,
    path: PathBuf,
    options: CaptureOptions,
    bytes: u64,
    is_empty_file: bool,
    longest_lock: Option<Duration>,
    notes: Vec<String>,
    damage: Option<String>,
    settings: Settings,
    schema: Schema,
    unreadable: Vec<Unreadable>,
}

/// What is read from: the source or a copy, in a state that stays.
struct Held {
    db: Connection,
    folder: Option<tempfile::TempDir>,
    page_file: Option<PathBuf>,
    growth: Option<WalGrowth>,
    slices: Option<Slices>,
    /// Pages of the source; `None`: those of `db`.
    pages: Option<u64>,
    longest_lock: Option<Duration>,
    /// The journal mode, where `db` does not say it.
    is_wal: Option<bool>,
}

impl Held {
    /// Read where it lies.
    fn in_place(db: Connection) -> Self {
        Self {
            db,
            folder: None,
            page_file: None,
            growth: None,
            slices: None,
            pages: None,
            longest_lock: None,
            is_wal: None,
        }
    }
}

impl Capture {
    /// Begins: on return the moment of the capture is fixed.
    ///
    /// Errors: `Busy` if a lock was not had in time; `LockTooLong` and `WalGrew` over the limits
    /// of [`Reading`].
    pub fn begin(path: &Path, options: &CaptureOptions) -> Result<Self, SourceError> {
        with_patience(path, options, Self::open)
    }

    /// As [`Self::begin`], for a source that is read from a private copy: on return it is held no longer. `None` for one
    /// that would be read where it lies.
    pub fn begin_copy(path: &Path, options: &CaptureOptions) -> Result<Option<Self>, SourceError> {
        with_patience(path, options, |looked, options, damage| {
            let opened = opening::open(looked, options)?;
            match opened.is_to_be_copied(&options.reading) {
                true => Self::of_opened(opened, looked, options, damage).map(Some),
                false => Ok(None),
            }
        })
    }

    /// `damage`: what SQLite said when it was to open it as it does others.
    fn open(
        looked: &Looked,
        options: &CaptureOptions,
        damage: Option<&SqliteError>,
    ) -> Result<Self, SourceError> {
        let opened = opening::open(looked, options)?;
        Self::of_opened(opened, looked, options, damage)
    }

    fn of_opened(
        mut opened: Opened,
        looked: &Looked,
        options: &CaptureOptions,
        damage: Option<&SqliteError>,
    ) -> Result<Self, SourceError> {
        let notes = std::mem::take(&mut opened.notes);
        let held = hold(opened, looked, options)?;
        let mut capture = Self::read(held, looked.path.clone(), options.clone())?;
        capture.notes = notes;
        capture.is_empty_file = looked.bytes == 0;
        capture.damage = damage.map(|cause| cause.message.clone());
        Ok(capture)
    }

    /// A file of our own that is complete and closed: it is read in place, without locks.
    pub fn of_complete(path: &Path, vfs: &Arc<dyn Vfs>) -> Result<Self, SourceError> {
        let db = Connection::open_complete(path, false);
        let held = Held::in_place(db.map_err(|cause| SourceError::of(path, None, cause))?);
        let options = CaptureOptions {
            busy: Duration::ZERO,
            temp_dir: PathBuf::new(),
            vfs: vfs.clone(),
            env: Arc::new(SystemEnv),
            stop: StopSign::default(),
            reading: Reading::default(),
        };
        Self::read(held, path.to_owned(), options)
    }

    fn read(held: Held, path: PathBuf, options: CaptureOptions) -> Result<Self, SourceError> {
        let at = |cause: SqliteError| SourceError::of(&path, None, cause);
        let db = held.db;
        let mut settings = schema::read_settings(&db).map_err(at)?;
        if let Some(is_wal) = held.is_wal {
            settings.journal_mode = if is_wal { "wal" } else { "delete" }.to_owned();
        }
        let pages = match held.pages {
            Some(pages) => pages,
            None => {
                let pages = db.integer("PRAGMA main.page_count").map_err(at)?;
                pages.unwrap_or(0).unsigned_abs()
            }
        };
        let read = match schema::read_schema(&db) {
            Err(error) if options.reading.tolerant && error.is_damage() => {
                ReadSchema::unreadable(&error)
            }
            read => read.map_err(at)?,
        };
        Ok(Self {
            db,
            folder: held.folder,
            page_file: held.page_file,
            growth: held.growth,
            slices: held.slices,
            bytes: pages * u64::from(settings.page_size),
            path,
            options,
            is_empty_file: false,
            longest_lock: held.longest_lock,
            notes: Vec::new(),
            damage: None,
            settings,
            schema: read.schema,
            unreadable: read.unreadable,
        })
    }

    /// What tables are read from.
    pub fn moment(&self) -> Moment<'_> {
        Moment {
            db: &self.db,
            path: &self.path,
            schema: &self.schema,
            settings: &self.settings,
            growth: self.growth.as_ref(),
            slices: self.slices.as_ref(),
        }
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
        self.folder.is_none()
    }

    /// The longest time without a break that other programs could not write because of the
    /// capture; `None` if it was read in place, as in WAL mode, where they always could.
    pub fn longest_lock(&self) -> Option<Duration> {
        let of_slices = self.slices.as_ref().map(Slices::longest);
        self.longest_lock.or(of_slices)
    }

    /// Facts for the user about how the database lies there, and what was done to read it.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What SQLite says of a database that it does not open unless damage is passed over.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// What SQLite finds wrong: the answer of `quick_check`, or of `integrity_check`.
    pub fn check(&self, full: bool) -> Result<IntegrityAnswer, SourceError> {
        check::integrity(&self.db, full).map_err(|e| SourceError::of(&self.path, None, e))
    }

    /// Begins [`Self::check`] beside what else is done with this; `None` where that would keep others waiting, or for
    /// small databases.
    pub fn check_beside(&self, full: bool) -> Option<CheckBeside> {
        let copy = self
            .page_file
            .as_ref()
            .filter(|_| self.bytes >= CHECK_BESIDE_FROM)?;
        let (tolerant, stop) = (self.options.reading.tolerant, self.options.stop.clone());
        CheckBeside::begin(self.path.clone(), copy.clone(), full, tolerant, stop)
    }

    /// The full-text indexes whose module is here, each with its complaint if it does not fit its
    /// content. That takes a database that may be written: a copy is made if there is none.
    pub fn check_full_text(&self) -> Result<Vec<(String, Option<String>)>, SourceError> {
        let tables = self.schema.full_text_tables();
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let at = |cause: SqliteError| SourceError::of(&self.path, None, cause);
        if self.page_file.is_some() {
            return check::full_texts(&self.db, &tables).map_err(at);
        }
        self.with_page_copy(|file, _| {
            let copy = Connection::open_scratch(file, self.options.reading.tolerant)?;
            check::full_texts(&copy, &tables)
        })?
        .map_err(at)
    }

    /// True if a look at the full-text indexes needs no further copy of the database.
    pub fn has_copy(&self) -> bool {
        self.page_file.is_some()
    }

    /// Shows a file that has all pages of this capture, and nothing but them.
    pub(super) fn with_page_copy<T>(
        &self,
        look: impl FnOnce(&Path, &dyn Vfs) -> T,
    ) -> Result<T, SourceError> {
        let vfs = &*self.options.vfs;
        if let Some(file) = &self.page_file {
            return Ok(look(file, vfs));
        }
        let copy = private_copy::of_state(&self.db, &self.path, &self.options)?;
        copy.db
            .close()
            .map_err(|cause| SourceError::of(&self.path, None, cause))?;
        Ok(look(&copy.file, vfs))
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

/// Opens a source, as often as it is worth another try.
fn with_patience<T>(
    path: &Path,
    options: &CaptureOptions,
    open: impl Fn(&Looked, &CaptureOptions, Option<&SqliteError>) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let mut tries = Tries::begin(options);
    let mut looks = 1;
    loop {
        match attempt(path, options, &open) {
            // Not hot when the journal mode was told: a writer has begun since.
            Err(SourceError::NeedsRecovery { .. }) if looks < opening::LOOKS_AT_JOURNAL => {
                looks += 1;
            }
            Err(SourceError::Busy { path, cause, .. }) => {
                if options.stop.is_set() {
                    return Err(SourceError::Cancelled { path });
                }
                if !tries.again(options) {
                    let waited = options.busy;
                    return Err(SourceError::Busy {
                        path,
                        waited,
                        cause,
                    });
                }
            }
            done => return done,
        }
    }
}

fn attempt<T>(
    path: &Path,
    options: &CaptureOptions,
    open: &impl Fn(&Looked, &CaptureOptions, Option<&SqliteError>) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let looked = files::look(path, &*options.vfs)?;
    match open(&looked, options, None) {
        // SQLite says so; no connection is open any more.
        Err(SourceError::NotADatabase { path, .. }) => {
            Err(files::not_a_database(&path, &*options.vfs))
        }
        Err(SourceError::Corrupt { path, cause, .. }) if !options.reading.tolerant => {
            let mut tolerant = options.clone();
            tolerant.reading.tolerant = true;
            let opened = open(&looked, &tolerant, Some(&cause));
            opened.map_err(|_| SourceError::Corrupt {
                path,
                table: None,
                cause,
            })
        }
        done => done,
    }
}

/// Fixes the moment: by a transaction that stays open, or by a copy.
fn hold(opened: Opened, looked: &Looked, options: &CaptureOptions) -> Result<Held, SourceError> {
    let at = |cause: SqliteError| SourceError::of(&looked.path, None, cause);
    let Opened {
        db,
        reading,
        folder,
        ..
    } = opened;
    let blocks = match reading {
        ReadFrom::Copy(Blocks::Writers) if options.reading.in_slices => {
            return Ok(Held {
                folder,
                slices: Some(Slices::begin(
                    &db,
                    &looked.path,
                    &options.env,
                    options.reading.max_lock,
                )?),
                ..Held::in_place(db)
            });
        }
        ReadFrom::Copy(blocks) => blocks,
        ReadFrom::Wal if options.reading.private_copy => Blocks::Nobody,
        ReadFrom::Wal | ReadFrom::Still(_) => {
            db.execute("BEGIN").map_err(at)?;
            // The first read, not BEGIN, fixes the moment.
            db.integer("PRAGMA main.schema_version").map_err(at)?;
            let max_bytes = options.reading.max_wal_bytes;
            let growth = (reading == ReadFrom::Wal)
                .then(|| WalGrowth::begin(&looked.path, &options.vfs, max_bytes));
            return Ok(Held {
                folder,
                growth,
                is_wal: match reading {
                    ReadFrom::Still(is_wal) => Some(is_wal),
                    ReadFrom::Wal | ReadFrom::Copy(_) => None,
                },
                ..Held::in_place(db)
            });
        }
    };
    let copy = private_copy::make(&db, &looked.path, blocks, options)?;
    db.close().map_err(at)?;
    Ok(Held {
        db: copy.db,
        folder: Some(copy.folder),
        page_file: Some(copy.file),
        growth: None,
        slices: None,
        pages: Some(copy.pages),
        longest_lock: copy.longest_lock,
        is_wal: Some(blocks != Blocks::Writers),
    })
}
