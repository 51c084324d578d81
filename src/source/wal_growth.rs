//! How much a `-wal` grows because we read: while a state is held, no checkpoint can begin it anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SourceError;
use super::files;
use crate::vfs::Vfs;

/// The length of a `-wal`, watched. It is never opened: SQLite has locks on it.
#[derive(Debug)]
pub(super) struct WalGrowth {
    database: PathBuf,
    wal: PathBuf,
    vfs: Arc<dyn Vfs>,
    before_bytes: u64,
    max_bytes: u64,
}

impl WalGrowth {
    /// Growth counts from now.
    pub(super) fn begin(database: &Path, vfs: &Arc<dyn Vfs>, max_bytes: u64) -> Self {
        let mut growth = Self {
            database: database.to_owned(),
            wal: files::sidecar(database, "-wal"),
            vfs: vfs.clone(),
            before_bytes: 0,
            max_bytes,
        };
        growth.before_bytes = growth.bytes();
        growth
    }

    fn bytes(&self) -> u64 {
        let entry = self.vfs.entry(&self.wal);
        // One that cannot be looked at does not stop a backup.
        entry.ok().flatten().map_or(0, |entry| entry.bytes)
    }

    /// `WalGrew` once it is longer by more than the limit.
    pub(super) fn check(&self) -> Result<(), SourceError> {
        let grown_bytes = self.bytes().saturating_sub(self.before_bytes);
        if grown_bytes <= self.max_bytes {
            return Ok(());
        }
        Err(SourceError::WalGrew {
            path: self.database.clone(),
            grown_bytes,
            max_bytes: self.max_bytes,
        })
    }
}
