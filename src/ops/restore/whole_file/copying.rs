//! A complete file is copied over the database, if that is still what the safety snapshot holds.

use super::Job;
use super::fit::Fit;
use super::sight::Sight;
use crate::error::Error;
use crate::ops::backup::{After, Deed};
use crate::ops::open::Store;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::new_file::Making;
use crate::ops::safety::{self, Before};
use crate::progress::{Progress, Unit};
use crate::source::Uncommitted;
use crate::target::{CompleteFile, Completed, LiveDatabase, Overwrite, Overwriting};

/// A try.
pub(super) struct Copying<'c> {
    pub job: &'c Job<'c>,
    pub completed: &'c Completed,
    /// Others wait while the safety snapshot is taken.
    pub waits: bool,
}

/// What is known, and kept, of a database that is about to be replaced.
struct Ready {
    sight: Sight,
    fit: Fit,
    before: Option<Before>,
}

impl Copying<'_> {
    /// Saves what is there, and puts the file's content in its place. False if others wrote meanwhile: nothing
    /// was changed.
    pub(super) fn run(
        &self,
        overwrite: &mut Overwrite,
        keep: &mut Store,
        outcome: &mut RestoreOutcome,
        progress: &mut dyn Progress,
    ) -> Result<bool, Error> {
        let manifest = self.job.making.manifest;
        // The pages bring the journal mode along: it stays what it is.
        let is_wal = overwrite.live().is_wal()?;
        let tolerant = self.job.from_pages && manifest.damaged;
        self.completed.set_journal_mode(is_wal, tolerant)?;
        let file = CompleteFile::open(self.completed, tolerant)?;
        let state = Uncommitted::read(file.in_transaction()?)?.in_wal_mode(is_wal);
        let (ready, counts) = if self.waits {
            let Some(begun) = overwrite.begin(&file, None)? else {
                return Ok(false);
            };
            let ready = self.ready(begun.live(), &state, keep, outcome, progress)?;
            let mut change = |progress: &mut dyn Progress| {
                copy(&begun, progress)?;
                Ok(true)
            };
            let counts = self.change(&ready, &state, keep, outcome, &mut change, progress)?;
            (ready, counts)
        } else {
            let seen = overwrite.see()?;
            let ready = self.ready(overwrite.live(), &state, keep, outcome, progress)?;
            let mut change = |progress: &mut dyn Progress| {
                let Some(begun) = overwrite.begin(&file, Some(seen))? else {
                    return Ok(false);
                };
                copy(&begun, progress)?;
                Ok(true)
            };
            let counts = self.change(&ready, &state, keep, outcome, &mut change, progress)?;
            (ready, counts)
        };
        if counts {
            let findings = self.job.of_file(self.completed);
            let Ready { sight, fit, .. } = ready;
            self.job.report(outcome, &sight, fit, findings);
        }
        Ok(counts)
    }

    /// Looks at what is there, and takes the safety snapshot.
    fn ready(
        &self,
        live: &LiveDatabase,
        state: &Uncommitted<'_>,
        keep: &mut Store,
        outcome: &mut RestoreOutcome,
        progress: &mut dyn Progress,
    ) -> Result<Ready, Error> {
        let Making { options, world, .. } = self.job.making;
        let sight = self.job.look(live)?;
        // By what the file holds: something of the snapshot may not have been made.
        let fit = Fit::of(&sight.view.schema, state.moment().schema(), &options.target)?;
        let mut before = None;
        if !options.no_safety_snapshot {
            let (target, busy) = (&options.target, options.busy_timeout);
            let saved = safety::save(keep, world, target, busy, progress)?;
            outcome.safety_snapshot = Some(saved.summary.clone());
            before = Some(saved);
        }
        Ok(Ready { sight, fit, before })
    }

    /// Carries the change out, with a snapshot of what it makes.
    fn change(
        &self,
        ready: &Ready,
        state: &Uncommitted<'_>,
        keep: &Store,
        outcome: &mut RestoreOutcome,
        change: &mut dyn FnMut(&mut dyn Progress) -> Result<bool, Error>,
        progress: &mut dyn Progress,
    ) -> Result<bool, Error> {
        let Making {
            manifest, world, ..
        } = self.job.making;
        let Some(before) = &ready.before else {
            return change(progress);
        };
        let tables = state.moment().schema().tables.iter();
        let changed: Vec<String> = tables.map(|table| table.name.clone()).collect();
        let after = After {
            before: &before.manifest,
            deed: Deed::Replace {
                of: manifest.id.clone(),
                of_pages: manifest.pages.is_some(),
            },
            changed: &changed,
        };
        let kept = safety::keep(keep, world, state, &after, change, progress)?;
        outcome.after_snapshot = kept.summary;
        Ok(kept.counts)
    }
}

/// Copies all pages. The last step commits: until then it can be stopped.
fn copy(overwriting: &Overwriting<'_>, progress: &mut dyn Progress) -> Result<(), Error> {
    progress.phase("Replacing the database", overwriting.bytes(), Unit::Bytes);
    loop {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let is_done = overwriting.step()?;
        progress.advance(overwriting.step_bytes());
        if is_done {
            return Ok(());
        }
    }
}
