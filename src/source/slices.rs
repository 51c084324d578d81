//! A database without WAL that is read where it lies, in slices: between them its lock is let go, so that others wait
//! a moment to write, and not for the whole of it. Once somebody has written, what was read is of two states, and it
//! must be read another way.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::SourceError;
use crate::env::Env;
use crate::sqlite::{Connection, SqliteError};

/// For how long others are kept waiting at a time, if what is read can be left off.
const SLICE: Duration = Duration::from_millis(20);

/// The lock of a source that is read in slices.
pub(super) struct Slices {
    path: PathBuf,
    env: Arc<dyn Env>,
    /// What it was when the first slice began.
    version: i64,
    /// When the slice began; `None` between slices.
    since: Cell<Option<Duration>>,
    longest: Cell<Duration>,
    /// Others are never kept waiting for longer.
    max: Duration,
}

impl std::fmt::Debug for Slices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slices")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Takes the lock; gives the version of what is seen.
fn lock(db: &Connection) -> Result<i64, SqliteError> {
    db.execute("BEGIN")?;
    // The first read, not BEGIN, takes the lock.
    db.integer("PRAGMA main.schema_version")?;
    Ok(db.integer("PRAGMA main.data_version")?.unwrap_or(0))
}

impl Slices {
    /// Begins the first slice.
    pub(super) fn begin(
        db: &Connection,
        path: &Path,
        env: &Arc<dyn Env>,
        max: Duration,
    ) -> Result<Self, SourceError> {
        let version = lock(db).map_err(|cause| SourceError::of(path, None, cause))?;
        Ok(Self {
            path: path.to_owned(),
            version,
            since: Cell::new(Some(env.monotonic())),
            longest: Cell::new(Duration::ZERO),
            max,
            env: env.clone(),
        })
    }

    /// True once others have been kept waiting for as long as a slice lasts.
    pub(super) fn is_due(&self) -> bool {
        self.held() >= SLICE
    }

    /// `LockTooLong` once a slice that cannot be ended has lasted for longer than is allowed.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        match self.held() > self.max {
            true => Err(SourceError::LockTooLong {
                path: self.path.clone(),
                max: self.max,
            }),
            false => Ok(()),
        }
    }

    fn held(&self) -> Duration {
        let since = self.since.get();
        since.map_or(Duration::ZERO, |since| {
            self.env.monotonic().saturating_sub(since)
        })
    }

    /// The longest slice, the one that lasts included.
    pub(super) fn longest(&self) -> Duration {
        self.longest.get().max(self.held())
    }

    /// Ends the slice if it is due, and begins the next one. No statement may be in the middle of its rows.
    ///
    /// Errors: `WrittenMeanwhile`.
    pub(super) fn pass(&self, db: &Connection) -> Result<(), SourceError> {
        if !self.is_due() {
            return Ok(());
        }
        self.rest(db)?;
        self.resume(db)
    }

    /// Ends the slice: nothing is read until [`Self::resume`]. No statement may be in the middle of its rows.
    pub(super) fn rest(&self, db: &Connection) -> Result<(), SourceError> {
        if self.since.get().is_some() {
            let ended = db.execute("COMMIT");
            ended.map_err(|cause| SourceError::of(&self.path, None, cause))?;
            self.longest.set(self.longest());
            self.since.set(None);
        }
        Ok(())
    }

    /// Begins the next slice, if none lasts.
    ///
    /// Errors: `WrittenMeanwhile`.
    pub(super) fn resume(&self, db: &Connection) -> Result<(), SourceError> {
        if self.since.get().is_some() {
            return Ok(());
        }
        let version = match lock(db).map_err(|cause| SourceError::of(&self.path, None, cause)) {
            Err(error @ SourceError::Cancelled { .. }) => return Err(error),
            // Whatever it is that somebody does there: it is not what it was.
            version => version.ok(),
        };
        self.since.set(Some(self.env.monotonic()));
        if version == Some(self.version) {
            return Ok(());
        }
        Err(SourceError::WrittenMeanwhile {
            path: self.path.clone(),
        })
    }
}
