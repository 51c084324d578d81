//! A private copy of a database that may not be read in place: made through SQLite, page by page,
//! never by file calls. The source's lock is held only while pages are copied.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SourceError;
use super::options::CaptureOptions;
use super::wal_growth::WalGrowth;
use crate::sqlite::copy::PageCopy;
use crate::sqlite::{Connection, SqliteError};

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
        Blocks::Writers => copying.in_slices()?,
        Blocks::Everybody | Blocks::Nobody => None,
    };
    let copied = match sliced {
        Some(copied) => copied,
        None => copying.at_once()?,
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
    let copied = copying.at_once()?;
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

    fn scratch(&self) -> Result<(Connection, tempfile::TempDir), SourceError> {
        let folder = folder(self.options)?;
        let file = folder.path().join(FILE_NAME);
        // SQLite opens only what is there: nothing is made by a mistaken name.
        self.options
            .vfs
            .create_new(&file)
            .map_err(|error| SourceError::file("make", &file, error.cause))?;
        let tolerant = self.options.reading.tolerant;
        let db = Connection::open_scratch(&file, tolerant).map_err(|cause| self.at(cause))?;
        Ok((db, folder))
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

    /// Releases the lock after each slice. `None`: somebody wrote meanwhile, so that what has been
    /// copied may be of several states.
    fn in_slices(&mut self) -> Result<Option<Copied>, SourceError> {
        let (mut db, folder) = self.scratch()?;
        let copy = PageCopy::begin(self.live, &mut db).map_err(|cause| self.at(cause))?;
        let mut first = None;
        loop {
            self.stop_if_told()?;
            let (version, since) = self.lock()?;
            if *first.get_or_insert(version) != version {
                self.unlock(since)?;
                return Ok(None);
            }
            let done = copy.step(self.slice_pages);
            let done = done.map_err(|cause| self.at(cause))?;
            if done {
                ensure_in_place(self.path, self.live)?;
            }
            self.unlock(since)?;
            if done {
                break;
            }
        }
        let pages = copy.pages();
        drop(copy);
        Ok(Some((db, folder, pages)))
    }

    /// All of it in one read transaction.
    fn at_once(&mut self) -> Result<Copied, SourceError> {
        let (mut db, folder) = self.scratch()?;
        let (_, since) = self.lock()?;
        let growth = (self.blocks == Blocks::Nobody).then(|| {
            let max_bytes = self.options.reading.max_wal_bytes;
            WalGrowth::begin(self.path, &self.options.vfs, max_bytes)
        });
        let copy = PageCopy::begin(self.live, &mut db).map_err(|cause| self.at(cause))?;
        while !copy
            .step(self.slice_pages)
            .map_err(|cause| self.at(cause))?
        {
            self.stop_if_told()?;
            self.note_lock(since)?;
            growth.as_ref().map_or(Ok(()), WalGrowth::check)?;
        }
        let pages = copy.pages();
        drop(copy);
        ensure_in_place(self.path, self.live)?;
        self.unlock(since)?;
        Ok((db, folder, pages))
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
