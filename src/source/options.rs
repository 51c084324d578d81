//! How a source is captured: what it takes, and what the programs that use it are asked to bear.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::env::Env;
use crate::progress::StopSign;
use crate::vfs::Vfs;

/// How to capture.
#[derive(Clone)]
pub struct CaptureOptions {
    /// How long to wait for a lock.
    pub busy: Duration,
    /// Where a private copy may lie: room for one database.
    pub temp_dir: PathBuf,
    /// Through which is looked at the files.
    pub vfs: Arc<dyn Vfs>,
    /// Times the locks, and waits for them.
    pub env: Arc<dyn Env>,
    /// Ends waits, copies and statements.
    pub stop: StopSign,
    /// What the programs that use the database are asked to bear.
    pub reading: Reading,
}

impl fmt::Debug for CaptureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureOptions")
            .field("busy", &self.busy)
            .field("temp_dir", &self.temp_dir)
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

/// What the programs that use a database are asked to bear while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Rollback mode: how long they may be kept from writing without a break.
    pub max_lock: Duration,
    /// WAL mode: by how much the `-wal` may grow, since no checkpoint can begin it anew.
    pub max_wal_bytes: u64,
    /// On the user's word that nobody writes: no locks are taken and no files made.
    pub immutable: bool,
    /// Read a private copy also where the source could be read in place.
    pub private_copy: bool,
    /// Rollback mode: read the source where it lies, in slices, in place of a copy. `WrittenMeanwhile` once others
    /// write.
    pub in_slices: bool,
    /// Read what can be read of a database whose size or schema is damaged. A capture tries so by
    /// itself where it must.
    pub tolerant: bool,
}

impl Default for Reading {
    /// 30 seconds, 1 GiB; the database may be in use.
    fn default() -> Self {
        Self {
            max_lock: Duration::from_secs(30),
            max_wal_bytes: 1 << 30,
            immutable: false,
            private_copy: false,
            in_slices: false,
            tolerant: false,
        }
    }
}
