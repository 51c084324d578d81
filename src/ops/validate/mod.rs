//! Reads what snapshots are made of and says whether all of it is there and right.

mod audit;
pub mod drill;
mod findings;
mod outcome;
mod packs;
mod redundancy;
mod snapshot;

use std::collections::HashSet;
use std::path::PathBuf;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
use crate::store::{Original, Redundant, StoreError, Verdict};
pub(in crate::ops) use findings::{Findings, pack_object};
pub use outcome::{
    AffectedRecords, Audited, BrokenConstraint, Damage, EntityCheck, NotAudited, PacksRead,
    SnapshotCheck, ValidateOutcome,
};
pub(in crate::ops) use snapshot::affected_records;

/// What is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Level {
    /// Structure only: footers, manifests and nodes, and that every needed blob is in some pack.
    Quick,
    /// The structure, and every byte of some packs, with the leaves and chunks in them.
    Subset(Subset),
    /// Every byte of every pack, and every record.
    #[default]
    All,
}

/// Which packs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subset {
    /// Part `n` of `of`, from 1: all parts together are all packs, and a pack does not change its part.
    Part {
        /// Which part.
        n: u32,
        /// Of so many.
        of: u32,
    },
    /// This share of the bytes, in percent, over 0 and up to 100: those that were read longest ago.
    Percent(f64),
}

/// What to validate.
#[derive(Debug, Clone, Default)]
pub struct ValidateOptions {
    /// The snapshots; empty: all of the store.
    pub snapshots: Vec<Manifest>,
    /// What is read.
    pub level: Level,
    /// Restore every snapshot for trial, too, in this folder.
    pub drill: Option<PathBuf>,
}

/// What no snapshot that is shown is made of. Forgotten ones are not read, but a prune has to know what they
/// need; not of those that stand again under another id, forgotten as well or not, nor of those whose deletion
/// was decided.
fn look_beside(
    store: &Store,
    forgotten: &[SnapshotId],
    mut stand_again: HashSet<SnapshotId>,
    found: &mut Findings,
) -> Result<(), Error> {
    let marks = store.forgotten()?;
    let mut damaged = Vec::new();
    for id in forgotten {
        match store.manifest(id) {
            Err(StoreError::Damaged { object, cause }) => damaged.push((id, object, cause)),
            read => stand_again.extend(read?.and_then(|manifest| manifest.original)),
        }
    }
    for (id, object, cause) in damaged {
        let verdict = marks.mark(id).and_then(|mark| mark.verdict);
        if !stand_again.contains(id) && verdict != Some(Verdict::Delete) {
            found.snapshot(object, cause.to_string(), id);
        }
    }
    for name in store.foreign()? {
        found.note(name, "is no object of this store; it was not read");
    }
    Ok(())
}

/// Snapshots of which only the second copies of their manifests are left.
fn lost(store: &Store, found: &mut Findings) -> Result<(), Error> {
    for id in store.lost_manifests()? {
        let cause = match store.root_manifest(&id) {
            Ok(_) => {
                "is gone, and nobody has forgotten it; `larder repair` brings it back from its second copy"
                    .to_owned()
            }
            Err(error @ StoreError::Damaged { .. }) => {
                format!("is gone, and its second copy is damaged: {error}")
            }
            Err(error) => return Err(error.into()),
        };
        found.snapshot(format!("snapshot {id}"), cause, &id);
    }
    Ok(())
}

/// Validates snapshots. Damage is in the outcome; an error means that it could not be looked for.
pub fn run(
    store: &Store,
    world: &World,
    options: &ValidateOptions,
    progress: &mut dyn Progress,
) -> Result<ValidateOutcome, Error> {
    let begun = world.env.monotonic();
    // Snapshots before packs: what they need is then in the listing.
    let names = store.snapshot_names()?;
    let (reader, packs) = store.fresh_reader()?;
    let mut found = Findings::default();
    found.unreadable_packs(&packs.unreadable);
    for (object, cause) in packs
        .unreadable_records
        .iter()
        .chain(&store.damaged_records()?)
    {
        found.object(object.clone(), cause.to_string());
    }
    let (reads, packs_read) =
        packs::read(store, world, &packs, options.level, &mut found, progress)?;
    if options.level == Level::All {
        redundancy::check(store, &mut found, progress)?;
    }
    progress.phase("Checking snapshots", 0, Unit::Blobs);
    let mut checker = snapshot::Checker::new(&reader, reads, &mut found, progress)?;
    let mut checks = Vec::new();
    let mut manifests = Vec::new();
    let mut stand_again = HashSet::new();
    if options.snapshots.is_empty() {
        for id in names.ids.iter().rev() {
            if let Some(manifest) = readable(store, id, checker.found)? {
                checks.push(checker.snapshot(&manifest, &names.ids)?);
                manifests.push(id.clone());
                stand_again.extend(manifest.original);
            }
        }
    } else {
        for manifest in &options.snapshots {
            checks.push(checker.snapshot(manifest, &names.ids)?);
            manifests.push(manifest.id.clone());
        }
    }
    let blobs = checker.end();
    let drill = match &options.drill {
        Some(folder) => Some(drill::run(
            store, world, &manifests, folder, &mut found, progress,
        )?),
        None => None,
    };
    look_beside(store, &names.forgotten, stand_again, &mut found)?;
    lost(store, &mut found)?;
    let packs_good = packs
        .packs
        .iter()
        .filter(|(id, _)| !found.names_pack(id))
        .count();
    let damaged = packs.packs.len() - packs_good;
    let (packs_with_parity, packs_with_second) = with_redundancy(store, damaged, &found)?;
    let elapsed = world.env.monotonic().saturating_sub(begun);
    let (damage, findings) = found.finish();
    Ok(ValidateOutcome {
        store: store.location(),
        packs: packs.packs.len() as u64,
        packs_good: packs_good as u64,
        packs_with_parity,
        packs_with_second,
        pack_bytes: packs.packs.iter().map(|(_, bytes)| bytes).sum(),
        packs_read,
        blobs,
        snapshots: checks,
        drill,
        damage,
        findings,
        level: options.level,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Of the damaged packs, if there are any, how many have parity, and how many a second copy.
fn with_redundancy(store: &Store, damaged: usize, found: &Findings) -> Result<(u64, u64), Error> {
    if damaged == 0 {
        return Ok((0, 0));
    }
    let of_damaged = |redundant: &Redundant| match &redundant.of {
        Original::Pack(pack) => found.names_pack(pack),
        Original::Config | Original::Snapshot(_) => false,
    };
    let beside = store.redundants()?.into_iter().filter(of_damaged);
    let (parity, seconds): (Vec<_>, Vec<_>) = beside.partition(|redundant| redundant.is_parity);
    Ok((parity.len() as u64, seconds.len() as u64))
}

/// A manifest; a damaged one becomes damage that affects the whole snapshot.
fn readable(
    store: &Store,
    id: &SnapshotId,
    found: &mut Findings,
) -> Result<Option<Manifest>, Error> {
    match store.manifest(id) {
        Err(StoreError::Damaged { object, cause }) => {
            found.snapshot(object, cause.to_string(), id);
            Ok(None)
        }
        done => Ok(done?),
    }
}
