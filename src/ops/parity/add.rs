//! Adds parity and second copies where they lack, and makes damaged ones again.

use std::collections::HashSet;

use super::check::{damage_of_second, first_of};
use super::{
    AddOptions, Amount, ParityAdded, Redundancy, RedundancyDamage, RedundancyLevel, pack_object,
};
use crate::error::Error;
use crate::format::parity::parity_shards;
use crate::model::id::PackId;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
use crate::store::{MadeParity, ParityOf, SecondCopy, StoreError};

/// Adds what packs lack, and makes parity again that is damaged, or of another percentage than is asked for. Later backups add it too. What was made until
/// an error or a stop stays, and helps.
pub fn add(
    store: &Store,
    world: &World,
    options: &AddOptions,
    progress: &mut dyn Progress,
) -> Result<ParityAdded, Error> {
    let begun = world.env.monotonic();
    let before = match store.redundancy() {
        Err(StoreError::Damaged { .. }) => Redundancy::default(),
        said => said?,
    };
    let is_full = options.full || before.level == RedundancyLevel::Full;
    let redundancy = Redundancy {
        level: match is_full {
            true => RedundancyLevel::Full,
            false => RedundancyLevel::Parity,
        },
        percent: options.percent.unwrap_or(before.percent),
    };
    // First, so that no pack of a backup that begins meanwhile is missed.
    store.set_redundancy(redundancy)?;
    let excluded = store.packs_on_their_way_out()?;
    let mut added = ParityAdded {
        store: store.location(),
        redundancy,
        made: Amount::default(),
        again: Amount::default(),
        resized: Amount::default(),
        kept: 0,
        copied: Amount::default(),
        damage: Vec::new(),
        elapsed_ms: 0,
    };
    add_parity(store, &excluded, options, &mut added, progress)?;
    if is_full {
        copy_again(store, &mut added, progress)?;
        copy_missing(store, &excluded, &mut added, progress)?;
    }
    store.settle()?;
    let elapsed = world.env.monotonic().saturating_sub(begun);
    added.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(added)
}

fn add_parity(
    store: &Store,
    excluded: &HashSet<PackId>,
    options: &AddOptions,
    added: &mut ParityAdded,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let mut packs = store.parity_of_packs()?;
    packs.retain(|pack| !excluded.contains(&pack.pack));
    let total = packs.iter().map(|pack| pack.pack_bytes).sum();
    progress.phase("Adding parity", total, Unit::Bytes);
    for pack in &packs {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        add_parity_of(store, pack, options.percent, added)?;
        progress.advance(pack.pack_bytes);
    }
    Ok(())
}

/// `asked`: the percentage, where one was asked for.
fn add_parity_of(
    store: &Store,
    of: &ParityOf,
    asked: Option<u8>,
    added: &mut ParityAdded,
) -> Result<(), Error> {
    let pack = &of.pack;
    let is_good = of.sidecar_bytes.is_some() && store.parity_damage(pack)?.is_none();
    let wanted = asked.map(|percent| parity_shards(of.pack_bytes, percent));
    if is_good && (wanted.is_none() || store.shards_beside(pack)? == wanted) {
        added.kept += 1;
        return Ok(());
    }
    match store.make_parity(pack, added.redundancy.percent)? {
        MadeParity::Made(bytes) if is_good => added.resized.add(bytes),
        MadeParity::Made(bytes) if of.sidecar_bytes.is_some() => added.again.add(bytes),
        MadeParity::Made(bytes) => added.made.add(bytes),
        MadeParity::Gone => {}
        MadeParity::Damaged => added.damage.push(RedundancyDamage {
            object: pack_object(pack),
            cause: "its content does not match its name".to_owned(),
            can_be_healed: false,
        }),
    }
    Ok(())
}

/// Compares second copies with the first ones; damaged ones are made again.
fn copy_again(
    store: &Store,
    added: &mut ParityAdded,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    for redundant in store.redundants()? {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let Some(first) = first_of(&redundant) else {
            continue;
        };
        match store.compare_second(&first)? {
            Some(SecondCopy::Damaged) => {
                if store.make_second(&first)? {
                    added.copied.add(redundant.bytes);
                }
            }
            Some(found @ (SecondCopy::FirstDamaged | SecondCopy::BothDamaged)) => {
                added.damage.extend(damage_of_second(&redundant.of, found));
            }
            Some(SecondCopy::Good) | None => {}
        }
    }
    Ok(())
}

fn copy_missing(
    store: &Store,
    excluded: &HashSet<PackId>,
    added: &mut ParityAdded,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let lacking = store.without_second(excluded)?;
    progress.phase("Adding second copies", lacking.len() as u64, Unit::Blobs);
    for (object, bytes) in lacking {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        if store.make_second(&object)? {
            added.copied.add(bytes);
        }
        progress.advance(1);
    }
    Ok(())
}
