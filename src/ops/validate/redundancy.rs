//! Parity and second copies, as part of a validation: damaged ones affect no snapshot, but would not
//! help when they are needed.

use super::findings::Findings;
use crate::error::Error;
use crate::format::name;
use crate::format::redundancy::RedundancyLevel;
use crate::model::counted::{agree, counted};
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::ops::parity;
use crate::progress::{Progress, Unit};
use crate::store::{Original, Redundant, SecondCopy, StoreError, Verdict};

/// Reads sidecars, and second copies beside the first ones. Missing ones are notes: the store can do
/// without.
pub(super) fn check(
    store: &Store,
    found: &mut Findings,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    match store.redundancy() {
        Ok(redundancy) if redundancy.level == RedundancyLevel::None => {}
        Ok(_) => notes(store, found)?,
        Err(StoreError::Damaged { object, cause }) => found.object(object, cause.to_string()),
        Err(error) => return Err(error.into()),
    }
    let mut all = store.redundants()?;
    let marks = store.forgotten()?;
    let names = store.snapshot_names()?;
    // Where the deletion of a manifest was decided, it is not looked at itself either.
    all.retain(|redundant| match &redundant.of {
        Original::Snapshot(id) => {
            marks.mark(id).and_then(|mark| mark.verdict) != Some(Verdict::Delete)
        }
        Original::Config | Original::Pack(_) => true,
    });
    let total = all.iter().map(|redundant| redundant.bytes).sum();
    progress.phase("Reading parity", total, Unit::Bytes);
    for redundant in &all {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let forgotten = match &redundant.of {
            Original::Snapshot(id) => Some(id).filter(|id| names.forgotten.contains(id)),
            Original::Config | Original::Pack(_) => None,
        };
        check_one(store, redundant, forgotten, found)?;
        progress.advance(redundant.bytes);
    }
    Ok(())
}

/// `forgotten`: the snapshot, if it is one, whose manifest this is a copy of.
fn check_one(
    store: &Store,
    redundant: &Redundant,
    forgotten: Option<&SnapshotId>,
    found: &mut Findings,
) -> Result<(), Error> {
    if redundant.is_orphan {
        // Garbage, which the next prune deletes.
        return Ok(());
    }
    if let (true, Original::Pack(pack)) = (redundant.is_parity, &redundant.of) {
        if let Some(cause) = store.parity_damage(pack)? {
            found.object(parity::parity_object(pack), cause);
        }
        return Ok(());
    }
    let Some(first) = name::parse_second(&redundant.name) else {
        return Ok(());
    };
    let compared = store.compare_second(first)?;
    if let (Some(SecondCopy::FirstDamaged), Some(id)) = (compared, forgotten)
        && is_told_elsewhere(store, id)?
    {
        return Ok(());
    }
    if let Some(damage) = compared.and_then(|c| parity::damage_of_second(&redundant.of, c)) {
        found.object(damage.object, damage.cause);
    }
    Ok(())
}

/// True for a forgotten snapshot whose manifest cannot be read, which is told where it matters, and for one that
/// stands again under another id.
fn is_told_elsewhere(store: &Store, id: &SnapshotId) -> Result<bool, Error> {
    let first = match store.manifest(id) {
        Err(StoreError::Damaged { .. }) => return Ok(true),
        // It may be a copy, and then so is what stands for it.
        read => read?.map_or_else(|| id.clone(), |manifest| manifest.first_id().clone()),
    };
    let names = store.snapshot_names()?;
    for other in names.ids.iter().chain(&names.forgotten) {
        let other_first = match store.manifest(other) {
            Err(StoreError::Damaged { .. }) => None,
            read => read?.map(|manifest| manifest.first_id().clone()),
        };
        if other != id && other_first.as_ref() == Some(&first) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn notes(store: &Store, found: &mut Findings) -> Result<(), Error> {
    let status = parity::status(store)?;
    let lacking = [
        (status.without.count, "pack", "parity"),
        (status.not_copied, "object", "second copy"),
    ];
    for (count, noun, what) in lacking {
        if count > 0 {
            let have = agree(count, "has", "have");
            let text = format!("{} {have} no {what} yet", counted(count, noun));
            found.note("redundancy".to_owned(), &text);
        }
    }
    Ok(())
}
