//! The whole of a database that exists is replaced by the snapshot's, as a new file would be: built and checked
//! beside it while others go on, then copied over it in one transaction (docs/restore.md, section 11).
//!
//! Whoever has the database open goes on with it: its file is written, never replaced. What is lost by it is in
//! the safety snapshot: if others wrote after that was taken, it is taken again, in the end while they wait.

mod copying;
mod fit;
mod sight;

use std::collections::BTreeMap;
use std::path::Path;

use self::copying::Copying;
use self::fit::Fit;
use self::sight::Sight;
use super::basis::sequences;
use super::existing::{FREE_PLANS, another, ensure_same_application, settle_target};
use super::new_file::lost::Lost;
use super::new_file::{Making, checked, complete, is_from_pages, left_out, made_from_pages};
use super::records::Records;
use super::{Mode, RestoreOptions, RestoreOutcome};
use crate::error::Error;
use crate::ops::open::{Store, World};
use crate::ops::stored::read_schema;
use crate::progress::{Finding, Progress};
use crate::source::recorded_path;
use crate::target::{Completed, LiveDatabase, Overwrite, Place, TargetError};
use crate::vfs::{Vfs, folder_of};

/// Replaces the database at the target.
///
/// Errors: as of a restore into a new file, and into a database that exists; `LosesTables`, `OtherForm`. After
/// any of them the database is as it was.
///
/// `keep`: the store that the snapshots before and after go to.
pub(super) fn run(
    records: &Records<'_>,
    keep: &mut Store,
    world: &World,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let Records {
        reader,
        manifest,
        summary,
    } = records;
    let schema = read_schema(reader, manifest)?;
    settle_target(keep, world, options, progress)?;
    let target = recorded_path(&options.target);
    let making = Making {
        reader,
        world,
        manifest,
        schema: &schema,
        options,
        lost: &Lost::default(),
        place: Place::Within(&options.target),
    };
    let job = Job {
        from_pages: is_from_pages(manifest, options)?,
        sequences: sequences(reader, manifest, &schema)?,
        making: &making,
    };
    let entry = world.vfs.entry(&target).ok().flatten();
    let mut outcome = RestoreOutcome {
        target_bytes: entry.map(|entry| entry.bytes),
        mode: Mode::Replace,
        whole_file: true,
        ..RestoreOutcome::of(summary, options)
    };
    match options.dry_run {
        true => job.plan(&mut outcome)?,
        false => job.carry_out(keep, &mut outcome, progress)?,
    }
    for finding in &outcome.findings {
        progress.found(finding);
    }
    Ok(outcome)
}

/// What is made, and how.
struct Job<'j> {
    making: &'j Making<'j>,
    from_pages: bool,
    /// The last ids that AUTOINCREMENT gave out in the snapshot, by table.
    sequences: BTreeMap<String, i64>,
}

impl Job<'_> {
    /// Says what would be done.
    fn plan(&self, outcome: &mut RestoreOutcome) -> Result<(), Error> {
        let options = self.making.options;
        let live = LiveDatabase::open(&options.target, options.busy_timeout, true, false)?;
        let sight = self.look(&live)?;
        let fit = Fit::of(&sight.view.schema, &self.making.carried(), &options.target)?;
        live.close()?;
        let made = self.making.manifest.source.bytes;
        let lacking = self.lacking(&sight, made, made);
        self.report(outcome, &sight, fit, self.of_snapshot());
        outcome.findings.extend(
            lacking.map(|lacking| Finding::warning(shown(&options.target), lacking.to_string())),
        );
        Ok(())
    }

    fn carry_out(
        &self,
        keep: &mut Store,
        outcome: &mut RestoreOutcome,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let Making {
            options, manifest, ..
        } = self.making;
        let mut overwrite = Overwrite::open(
            &options.target,
            options.busy_timeout,
            manifest.settings.page_size,
        )?;
        let sight = self.look(overwrite.live())?;
        Fit::of(&sight.view.schema, &self.making.carried(), &options.target)?;
        let made = manifest.source.bytes;
        if let Some(lacking) = self.lacking(&sight, made, 0) {
            return Err(lacking.into());
        }
        let completed = complete(self.making, self.from_pages, progress)?;
        if let Some(lacking) = self.lacking(&sight, 0, completed.bytes()?) {
            return Err(lacking.into());
        }
        outcome.checked = checked(self.making, self.from_pages);
        let mut tries = 0;
        loop {
            let copying = Copying {
                job: self,
                completed: &completed,
                // Others who always write have to wait for the last.
                waits: tries >= FREE_PLANS,
            };
            if copying.run(&mut overwrite, keep, outcome, progress)? {
                break;
            }
            tries += 1;
        }
        overwrite.close()?;
        Ok(())
    }

    /// Looks at the database, and refuses one that cannot be replaced.
    fn look(&self, live: &LiveDatabase) -> Result<Sight, Error> {
        let Making {
            options, manifest, ..
        } = self.making;
        let sight = Sight::of(live)?;
        ensure_same_application(manifest, &sight.view, &options.target)?;
        fit::ensure_same_form(&sight, &manifest.settings, &options.target)?;
        Ok(sight)
    }

    /// What has no room: a file of so many bytes beside the database, and what SQLite needs to write as many
    /// into it: in rollback mode what it held before, in WAL mode what it will hold, and what it grows by.
    fn lacking(&self, sight: &Sight, file: u64, copied: u64) -> Option<TargetError> {
        let path = &self.making.options.target;
        let kept = match (copied, sight.is_wal()) {
            (0, _) => 0,
            (_, true) => copied,
            (_, false) => sight.bytes,
        };
        let needed = file + kept + copied.saturating_sub(sight.bytes);
        let vfs: &dyn Vfs = &*self.making.world.vfs;
        let free = vfs.free_bytes(folder_of(&recorded_path(path)))?;
        (needed > free).then(|| TargetError::LittleSpace {
            path: path.clone(),
            needed,
            free,
        })
    }

    /// What is worth knowing of the snapshot.
    fn of_snapshot(&self) -> Vec<Finding> {
        match self.from_pages {
            true => vec![made_from_pages(&self.making.options.target)],
            false => left_out(self.making.manifest),
        }
    }

    /// Fills the outcome from what was there, and what takes its place.
    fn report(
        &self,
        outcome: &mut RestoreOutcome,
        sight: &Sight,
        fit: Fit,
        findings: Vec<Finding>,
    ) {
        let Making {
            manifest, options, ..
        } = self.making;
        outcome.tables = sight.tables(manifest);
        outcome.findings = findings;
        outcome.findings.extend(fit.findings);
        outcome
            .findings
            .extend(sight.findings(manifest, &self.sequences, options));
        let other = another(manifest, &sight.view, options);
        outcome.findings.extend(other);
        outcome.made = fit.made;
        outcome.beyond_undo = fit.beyond_undo;
    }

    /// The file's findings, with those of the snapshot.
    fn of_file(&self, completed: &Completed) -> Vec<Finding> {
        let mut findings = self.of_snapshot();
        findings.extend_from_slice(completed.findings());
        findings
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
