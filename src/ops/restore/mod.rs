//! Puts records back: into a new file exactly as they were, or into a database that exists.

mod answers;
mod apply;
mod basis;
mod beside;
mod candidates;
mod closure;
mod decide;
mod existing;
mod findings;
mod gaps;
mod keys;
mod links;
mod matcher;
mod missing;
mod new_file;
mod new_ids;
mod objects;
mod options;
mod orphans;
mod pages;
mod pass;
mod plan;
mod records;
mod replacement;
mod report;
mod reread;
mod scope;
mod shape;
mod suspects;
mod verify;

pub use self::missing::{
    Candidate, Candidates, Choice, Decider, Decision, Decisions, Missing, NoDecider, OnMissing,
};
pub use self::options::{
    CheckLevel, DeclaredKey, DeclaredReference, Form, KeyValue, Match, Mode, OnConflict, Rename,
    RestoreOptions, Scope,
};
pub use self::report::{Conflict, LeftOut, Remapped, RestoreOutcome, TableReport};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::open::{Store, World};
use crate::progress::Progress;
use crate::target::is_present;

/// Restores a snapshot: into a new file if nothing is at the target, else into the database there.
/// `decider` is asked about references without a target that the options say nothing of.
///
/// Errors: `Store`, `Target`, `Cancelled`; the target is then as it was.
pub fn run(
    store: &mut Store,
    world: &World,
    manifest: &Manifest,
    options: &RestoreOptions,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let begun = world.env.monotonic();
    let mut outcome = if is_present(&*world.vfs, &options.target)? {
        existing::run(store, world, manifest, options, decider, progress)?
    } else {
        new_file::run(store, world, manifest, options, progress)?
    };
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}
