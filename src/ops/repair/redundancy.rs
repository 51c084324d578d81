//! Damaged parity and second copies are made anew from what they stand beside.

use super::RepairOutcome;
use super::find::Found;
use crate::error::Error;
use crate::format::name;
use crate::ops::open::Store;
use crate::progress::{Progress, Unit};
use crate::store::{MadeParity, Original, Redundant, SecondCopy};

/// Reads all of it. What stands beside a damaged pack is left as it is: it goes with the pack.
pub(super) fn again(
    store: &Store,
    found: &Found,
    outcome: &mut RepairOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let all = store.redundants()?;
    let total = all.iter().map(|redundant| redundant.bytes).sum();
    progress.phase("Reading parity", total, Unit::Bytes);
    for redundant in &all {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        progress.advance(redundant.bytes);
        let of_damaged =
            matches!(&redundant.of, Original::Pack(id) if found.damaged.contains_key(id));
        if redundant.is_orphan || of_damaged {
            continue;
        }
        if one(store, redundant, outcome.dry_run)? {
            outcome.redundancy.push(redundant.name.clone());
        }
    }
    if !outcome.redundancy.is_empty() && !outcome.dry_run {
        store.settle()?;
    }
    Ok(())
}

/// Says whether it was damaged, and made anew.
fn one(store: &Store, redundant: &Redundant, dry_run: bool) -> Result<bool, Error> {
    if let (true, Original::Pack(pack)) = (redundant.is_parity, &redundant.of) {
        if store.parity_damage(pack)?.is_none() {
            return Ok(false);
        }
        let percent = store
            .redundancy()
            .map_or(crate::format::parity::PARITY_PERCENT, |redundancy| {
                redundancy.percent
            });
        return Ok(dry_run || matches!(store.make_parity(pack, percent)?, MadeParity::Made(_)));
    }
    let Some(first) = name::parse_second(&redundant.name) else {
        return Ok(false);
    };
    match store.compare_second(first)? {
        Some(SecondCopy::Damaged) => Ok(dry_run || store.make_second(first)?),
        _ => Ok(false),
    }
}
