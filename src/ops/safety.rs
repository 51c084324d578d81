//! The snapshots around a change of a live database: one before it, one of what it makes, taken within
//! its transaction. Between them stands what `undo` takes back.

use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::backup::{self, After, BackupOptions, Deed, confirm, take_of, withdraw};
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::ops::select::{self, SAFETY_TAG, SourceChoice};
use crate::progress::{Finding, Progress, Severity, StopSign, Unit};
use crate::source::Uncommitted;
use crate::store::StoreError;
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
/// Errors: `Source`, `Store`, `Safety` if the store cannot be written, `Cancelled`.
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
            fast_skip_from: Some(backup::FAST_SKIP_FROM),
        },
        &mut Beforehand(progress),
    )
    .map_err(|error| match error {
        Error::Store(error @ StoreError::Backend(_)) => Error::Safety(error),
        error => error,
    })?;
    Ok(Before {
        manifest: select::one(store, &saved.snapshot.id, &SourceChoice::Any)?,
        summary: saved.snapshot,
    })
}

/// Passes on what is told of a snapshot that is taken beforehand, but for notes: they are about a state
/// that is about to change.
struct Beforehand<'p>(&'p mut dyn Progress);

impl Progress for Beforehand<'_> {
    fn phase(&mut self, name: &str, total: u64, unit: Unit) {
        self.0.phase(name, total, unit);
    }

    fn advance(&mut self, steps: u64) {
        self.0.advance(steps);
    }

    fn found(&mut self, finding: &Finding) {
        match finding.severity {
            Severity::Note => {}
            Severity::Warning => self.0.found(finding),
        }
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    fn stop_sign(&self) -> StopSign {
        self.0.stop_sign()
    }
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
    let mut commit = |_: &mut dyn Progress| {
        live.commit().inspect_err(|_| live.roll_back())?;
        Ok(true)
    };
    let Some(before) = before else {
        commit(progress)?;
        return Ok(None);
    };
    let after = After {
        before: &before.manifest,
        deed,
        changed,
    };
    let state = || Ok(Uncommitted::read(live.in_transaction()?)?);
    let state = state().inspect_err(|_: &Error| live.roll_back())?;
    let kept = keep(store, world, &state, &after, &mut commit, progress);
    Ok(kept.inspect_err(|_| live.roll_back())?.summary)
}

/// What became of a change.
pub(in crate::ops) struct Kept {
    /// False if it came to nothing: nothing was changed.
    pub counts: bool,
    /// The snapshot of what it made.
    pub summary: Option<SnapshotSummary>,
}

/// Takes a snapshot of a state that is about to count, then has it count by `change`: if that fails, or says
/// that it does not, the snapshot goes again.
pub(in crate::ops) fn keep(
    store: &Store,
    world: &World,
    state: &Uncommitted<'_>,
    after: &After<'_>,
    change: &mut dyn FnMut(&mut dyn Progress) -> Result<bool, Error>,
    progress: &mut dyn Progress,
) -> Result<Kept, Error> {
    let taken = take_of(store, world, state, after, progress)?;
    match change(progress) {
        Ok(true) => {}
        Ok(false) => {
            withdraw(store, &taken)?;
            return Ok(Kept {
                counts: false,
                summary: None,
            });
        }
        Err(error) => {
            // The first error says what went wrong.
            let _ = withdraw(store, &taken);
            return Err(error);
        }
    }
    let summary = match confirm(store, world, &taken) {
        Ok(confirmed) => confirmed.summary,
        Err(error) => {
            // It counts all the same, and can be undone.
            let text = format!("it is not said of it that the change was committed: {error}");
            let subject = format!("snapshot {}", taken.summary.short_id);
            progress.found(&Finding::note(subject, text));
            taken.summary
        }
    };
    Ok(Kept {
        counts: true,
        summary: Some(summary),
    })
}
