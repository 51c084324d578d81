//! Puts records back: into a new file exactly as they were, or into a database that exists.

mod basis;
mod existing;
mod gaps;
mod identity;
mod missing;
mod new_file;
mod options;
mod plan;
mod records;
mod report;
mod scope;
mod table_plan;
mod whole_file;

pub use self::gaps::similar;
pub use self::missing::{
    Candidate, Candidates, Choice, Decider, Decision, Decisions, Missing, NoDecider, OnMissing,
};
pub use self::options::{
    Builder, CheckLevel, DeclaredKey, DeclaredReference, Form, KeyValue, Match, Mode, OnConflict,
    Rename, RestoreOptions, SORT_BYTES, Scope,
};
pub use self::report::{
    Conflict, ConflictKind, LeftOut, Made, Remapped, RestoreOutcome, TableReport,
};

use std::path::Path;

use self::records::Records;
use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::ops::list::summary;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress};
use crate::target::is_present;

/// Restores a snapshot: into a new file if nothing is at the target, else into the database there.
/// `decider` is asked about references without a target that the options say nothing of.
///
/// Errors: `Store`, `Target`, `Source`, `Select`, `Cancelled`; `NotWhole` where something that is needed
/// of the snapshot is damaged or missing. The target is then as it was.
pub fn run(
    store: &mut Store,
    world: &World,
    manifest: &Manifest,
    options: &RestoreOptions,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let records = records(store, manifest, options.allow_damaged)?;
    restore(&records, store, world, options, decider, progress)
}

/// As [`run`], of a snapshot in another store than `keep`, where the snapshots around the change of an
/// existing database go.
pub fn run_from(
    store: &Store,
    manifest: &Manifest,
    keep: &mut Store,
    world: &World,
    options: &RestoreOptions,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let records = records(store, manifest, options.allow_damaged)?;
    restore(&records, keep, world, options, decider, progress)
}

/// What came of a restore for trial.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Length of the database that was made.
    pub bytes: u64,
    /// What was checked.
    pub checked: Vec<&'static str>,
    /// What is not exactly as it was, and notes.
    pub findings: Vec<Finding>,
}

/// Restores a snapshot into a scratch file in `folder`, checks it as fully as a restore can, and takes
/// it away again, whatever came of it.
///
/// Errors: as [`run`]; `Target` (`LittleSpace`) before anything is made where the folder has less room
/// than the snapshot's database had bytes.
pub fn try_out(
    store: &Store,
    world: &World,
    manifest: &Manifest,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<Tried, Error> {
    new_file::try_out(&records(store, manifest, false)?, world, folder, progress)
}

fn restore(
    records: &Records<'_>,
    keep: &mut Store,
    world: &World,
    options: &RestoreOptions,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let begun = world.env.monotonic();
    let exists = is_present(&*world.vfs, &options.target)?;
    let done = match exists {
        // What the snapshot cannot give would look as if it had been deleted in between.
        true if options.allow_damaged => {
            let database = options.target.clone();
            return Err(SelectError::NewFileOnly { database }.into());
        }
        true if options.whole_file => whole_file::run(records, keep, world, options, progress),
        true => existing::run(records, keep, world, options, decider, progress),
        false => new_file::run(records, world, options, progress),
    };
    let mut outcome =
        done.map_err(|error| new_file::lost::explained(error, records, options, exists, progress))?;
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// `all_that_is_whole`: what is in packs whose tables of contents are damaged, too.
fn records<'r>(
    store: &Store,
    manifest: &'r Manifest,
    all_that_is_whole: bool,
) -> Result<Records<'r>, Error> {
    Ok(Records {
        reader: match all_that_is_whole {
            true => store.searching_reader()?,
            false => store.reader()?,
        },
        manifest,
        summary: summary(manifest, &store.snapshot_names()?.ids),
    })
}
