//! A private copy of a database that may not be read in place: its pages are had through SQLite, one by one,
//! never by file calls. The source's lock is held only while pages are copied.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SourceError;
use super::options::CaptureOptions;
use super::pages_into::PagesInto;
use super::wal_growth::WalGrowth;
use crate::sqlite::copy::PageCopy;
use crate::sqlite::{Connection, SqliteError};
use crate::vfs::VfsFile;

/// Bytes copied between two looks at the clock, and under one lock where it is released between.
const SLICE_BYTES: i64 = 16 << 20;

/// Whom the copying keeps waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Writers, in rollback mode: the lock is released between slices, if nobody writes meanwhile.
    Writers,
    /// Everybody: the source is open for us alone. Nobody else had it open.
    Everybody,
    /// Nobody, in WAL mode; but the WAL grows.
    Nobody,
}

/// A copy, and what making it cost the source.
#[derive(Debug)]
pub(super) struct PrivateCopy {
    // Before `folder`: the connection closes before the files go.
    pub db: Connection,
    pub folder: tempfile::TempDir,
    /// The copy, in the folder.
    pub file: PathBuf,
    /// Pages of the source: an empty one has none, its copy has.
    pub pages: u64,
    /// The longest time without a break that others could not write, if they could not.
    pub longest_lock: Option<Duration>,
}

/// Copies the database that `live` has open.
///
/// Errors: `LockTooLong`, `WalGrew`, `Cancelled`, `NoSpace`, `Changed`, and those of reading.
pub(super) fn make(
    live: &Connection,
    path: &Path,
    blocks: Blocks,
    options: &CaptureOptions,
) -> Result<PrivateCopy, SourceError> {
    let mut copying = Copying::new(live, path, blocks, options)?;
    let sliced = match blocks {
        Blocks::Writers => copying.copy(Copying::in_slices)?,
        Blocks::Everybody | Blocks::Nobody => None,
    };
    let copied = match sliced {
        Some(copied) => copied,
        None => copying.at_once_in_any_case()?,
    };
    Ok(copying.complete(copied))
}

/// Copies the state that `live` holds in a read transaction, which stays open. Blocks nobody.
pub(super) fn of_state(
    live: &Connection,
    path: &Path,
    options: &CaptureOptions,
) -> Result<PrivateCopy, SourceError> {
    let mut copying = Copying::new(live, path, Blocks::Nobody, options)?;
    copying.is_held = true;
    let copied = copying.at_once_in_any_case()?;
    Ok(copying.complete(copied))
}

/// The name of a copy in its folder.
const FILE_NAME: &str = "copy.db";

/// An empty folder that only we may enter, removed when it is dropped.
pub(super) fn folder(options: &CaptureOptions) -> Result<tempfile::TempDir, SourceError> {
    let made = super::scratch_folder(&options.temp_dir, &*options.env);
    // Never `NotFound`: that is said of the database.
    made.map_err(|cause| match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SourceError::NoSpace {
            path: options.temp_dir.clone(),
            cause: cause.to_string(),
        },
        _ => SourceError::File {
            op: "make a folder in",
            path: options.temp_dir.clone(),
            cause,
        },
    })
}

type Copied = (Connection, tempfile::TempDir, u64);

/// Copies so many further pages; true once all are there.
type Step<'s> = &'s mut dyn FnMut(i32) -> Result<bool, SourceError>;

/// Takes steps under locks; false if what came of them is of no use.
type Steps<'a> = fn(&mut Copying<'a>, Step<'_>) -> Result<bool, SourceError>;

struct Copying<'a> {
    live: &'a Connection,
    path: &'a Path,
    blocks: Blocks,
    options: &'a CaptureOptions,
    slice_pages: i32,
    /// `live` is in a read transaction, and stays in it.
    is_held: bool,
    longest_lock: Duration,
}

impl<'a> Copying<'a> {
    fn new(
        live: &'a Connection,
        path: &'a Path,
        blocks: Blocks,
        options: &'a CaptureOptions,
    ) -> Result<Self, SourceError> {
        let page_bytes = live
            .integer("PRAGMA main.page_size")
            .map_err(|cause| SourceError::of(path, None, cause))?;
        let pages = SLICE_BYTES / page_bytes.unwrap_or(4096).max(512);
        Ok(Self {
            live,
            path,
            blocks,
            options,
            slice_pages: i32::try_from(pages).unwrap_or(i32::MAX),
            is_held: false,
            longest_lock: Duration::ZERO,
        })
    }

    fn complete(self, (db, folder, pages): Copied) -> PrivateCopy {
        PrivateCopy {
            db,
            file: folder.path().join(FILE_NAME),
            folder,
            pages,
            longest_lock: (self.blocks != Blocks::Nobody).then_some(self.longest_lock),
        }
    }

    fn at(&self, cause: SqliteError) -> SourceError {
        SourceError::of(self.path, None, cause)
    }

    /// An empty file for the copy, in a folder of its own.
    fn scratch(&self) -> Result<(tempfile::TempDir, Box<dyn VfsFile>), SourceError> {
        let folder = folder(self.options)?;
        let file = folder.path().join(FILE_NAME);
        // SQLite opens only what is there: nothing is made by a mistaken name.
        let made = self.options.vfs.create_new(&file);
        let made = made.map_err(|error| SourceError::file("make", &file, error.cause))?;
        Ok((folder, made))
    }

    fn open(&self, folder: &tempfile::TempDir) -> Result<Connection, SourceError> {
        let tolerant = self.options.reading.tolerant;
        let file = folder.path().join(FILE_NAME);
        Connection::open_scratch(&file, tolerant).map_err(|cause| self.at(cause))
    }

    /// Copies by what takes less time; `how` takes the steps. `None` if it did not take them to the end.
    fn copy(&mut self, how: Steps<'a>) -> Result<Option<Copied>, SourceError> {
        if self.is_plain() {
            match self.by_pages(how) {
                // What stands in the way of a look at the pages may not stand in that of SQLite itself.
                Err(SourceError::Corrupt { .. }) => {}
                done => return done,
            }
        }
        self.by_backup(how)
    }

    /// True if its pages are all that the copy is to have, and can be had one by one: sound so far, and without a WAL by
    /// its header (SQLite file format, section 1.3: offsets 18 and 19).
    fn is_plain(&self) -> bool {
        if self.blocks == Blocks::Everybody || self.options.reading.tolerant {
            return false;
        }
        let Ok(Some(mut reader)) = self.live.page_reader() else {
            return false;
        };
        let is_rollback = reader.read(1, |page| page.get(18..20) == Some(&[1, 1]));
        matches!(is_rollback, Ok(Some(true)))
    }

    /// Writes the pages into the file, many at a time: SQLite would write each alone.
    fn by_pages(&mut self, how: Steps<'a>) -> Result<Option<Copied>, SourceError> {
        let (folder, file) = self.scratch()?;
        let begun = PagesInto::begin(self.live, (file, folder.path().join(FILE_NAME)));
        let mut into = begun.map_err(|cause| self.at(cause))?;
        let (path, temp_dir) = (self.path, &*self.options.temp_dir);
        let mut step = |pages| {
            let stepped = into.step(pages);
            stepped.map_err(|error| error.of(path, temp_dir))
        };
        if !how(self, &mut step)? {
            return Ok(None);
        }
        let pages = into.pages();
        drop(into);
        let db = self.open(&folder)?;
        Ok(Some((db, folder, pages)))
    }

    fn by_backup(&mut self, how: Steps<'a>) -> Result<Option<Copied>, SourceError> {
        let (folder, file) = self.scratch()?;
        drop(file);
        let mut db = self.open(&folder)?;
        let copy = PageCopy::begin(self.live, &mut db).map_err(|cause| self.at(cause))?;
        let path = self.path;
        let mut step = |pages| {
            let stepped = copy.step(pages);
            stepped.map_err(|cause| SourceError::of(path, None, cause))
        };
        if !how(self, &mut step)? {
            return Ok(None);
        }
        let pages = copy.pages();
        drop(copy);
        Ok(Some((db, folder, pages)))
    }

    /// Begins a read transaction; gives the version of what it sees, and when the lock was had.
    fn lock(&self) -> Result<(i64, Duration), SourceError> {
        let begun = match self.is_held {
            true => Ok(()),
            false => self.live.execute("BEGIN"),
        };
        // The first read, not BEGIN, takes the lock.
        let version = begun.and_then(|()| self.live.integer("PRAGMA main.data_version"));
        let version = version.map_err(|cause| self.at(cause))?;
        Ok((version.unwrap_or(0), self.options.env.monotonic()))
    }

    fn unlock(&mut self, since: Duration) -> Result<(), SourceError> {
        if !self.is_held {
            let ended = self.live.execute("COMMIT");
            ended.map_err(|cause| self.at(cause))?;
        }
        self.note_lock(since)
    }

    /// `LockTooLong` if others have been kept waiting for longer than is allowed.
    fn note_lock(&mut self, since: Duration) -> Result<(), SourceError> {
        let held = self.options.env.monotonic().saturating_sub(since);
        self.longest_lock = self.longest_lock.max(held);
        let max = self.options.reading.max_lock;
        if self.blocks != Blocks::Nobody && held > max {
            let path = self.path.to_owned();
            return Err(SourceError::LockTooLong { path, max });
        }
        Ok(())
    }

    fn stop_if_told(&self) -> Result<(), SourceError> {
        if self.options.stop.is_set() {
            let path = self.path.to_owned();
            return Err(SourceError::Cancelled { path });
        }
        Ok(())
    }

    /// Releases the lock after each slice. `false`: somebody wrote meanwhile, so that what has been
    /// copied may be of several states.
    fn in_slices(&mut self, step: Step<'_>) -> Result<bool, SourceError> {
        let mut first = None;
        loop {
            self.stop_if_told()?;
            let (version, since) = self.lock()?;
            if *first.get_or_insert(version) != version {
                self.unlock(since)?;
                return Ok(false);
            }
            let done = step(self.slice_pages)?;
            if done {
                ensure_in_place(self.path, self.live)?;
            }
            self.unlock(since)?;
            if done {
                return Ok(true);
            }
        }
    }

    /// All of it in one read transaction.
    fn at_once(&mut self, step: Step<'_>) -> Result<bool, SourceError> {
        let (_, since) = self.lock()?;
        let growth = (self.blocks == Blocks::Nobody).then(|| {
            let max_bytes = self.options.reading.max_wal_bytes;
            WalGrowth::begin(self.path, &self.options.vfs, max_bytes)
        });
        while !step(self.slice_pages)? {
            self.stop_if_told()?;
            self.note_lock(since)?;
            growth.as_ref().map_or(Ok(()), WalGrowth::check)?;
        }
        ensure_in_place(self.path, self.live)?;
        self.unlock(since)?;
        Ok(true)
    }

    /// One transaction takes all steps to the end, so there is no second turn.
    fn at_once_in_any_case(&mut self) -> Result<Copied, SourceError> {
        loop {
            if let Some(copied) = self.copy(Self::at_once)? {
                return Ok(copied);
            }
        }
    }
}

/// `Changed` if another file, or none, has taken the database's place.
pub(super) fn ensure_in_place(path: &Path, db: &Connection) -> Result<(), SourceError> {
    match db.has_moved() {
        Ok(false) => Ok(()),
        Ok(true) => Err(SourceError::Changed {
            path: path.to_owned(),
        }),
        Err(cause) => Err(SourceError::of(path, None, cause)),
    }
}
