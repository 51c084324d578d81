//! The snapshots around a change of a live database: one before it, one of what it makes, taken within
//! its transaction. Between them stands what `undo` takes back.

use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::backup::{self, After, BackupOptions, Deed, take_within, withdraw};
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::ops::select::{self, SAFETY_TAG, SourceChoice};
use crate::progress::Progress;
use crate::target::LiveDatabase;

/// A snapshot before a change.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Before {
    /// Its manifest.
    pub manifest: Manifest,
    /// As lists show it.
    pub summary: SnapshotSummary,
}

/// Takes a snapshot of a database that is about to be changed.
///
/// Errors: `Source`, `Store`, `Cancelled`.
pub(in crate::ops) fn save(
    store: &mut Store,
    world: &World,
    database: &Path,
    busy: Duration,
    progress: &mut dyn Progress,
) -> Result<Before, Error> {
    let saved = backup::run(
        store,
        world,
        &BackupOptions {
            database: database.to_owned(),
            name: None,
            tags: vec![SAFETY_TAG.to_owned()],
            source_name: None,
            busy_timeout: busy,
            temp_dir: None,
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
        },
        progress,
    )?;
    Ok(Before {
        manifest: select::one(store, &saved.snapshot.id, &SourceChoice::Any)?,
        summary: saved.snapshot,
    })
}

/// Takes a snapshot of what a transaction made, then lets the transaction count. If either fails,
/// neither counts, and the transaction is taken back. Without a snapshot before, none is taken.
///
/// `changed`: tables whose rows were written, or may have been.
pub(in crate::ops) fn commit(
    store: &Store,
    world: &World,
    live: &LiveDatabase,
    before: Option<&Before>,
    deed: Deed,
    changed: &[String],
    progress: &mut dyn Progress,
) -> Result<Option<SnapshotSummary>, Error> {
    let Some(before) = before else {
        live.commit().inspect_err(|_| live.roll_back())?;
        return Ok(None);
    };
    let after = After {
        before: &before.manifest,
        deed,
        changed,
    };
    let taken = take_within(store, world, live, &after, progress);
    let taken = taken.inspect_err(|_| live.roll_back())?;
    if let Err(error) = live.commit() {
        live.roll_back();
        // The first error says what went wrong.
        let _ = withdraw(store, &taken);
        return Err(error.into());
    }
    Ok(Some(taken.summary))
}
