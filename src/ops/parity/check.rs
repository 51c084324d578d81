//! Says whether redundancy would help: reads it with what it stands beside.

use super::{Amount, ParityChecked, RedundancyDamage, pack_object, parity_object};
use crate::error::Error;
use crate::format::name;
use crate::model::counted::{agree, count, counted};
use crate::model::id::PackId;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
use crate::store::{Original, ParityState, Redundant, SecondCopy};

/// Reads all redundancy, and what it stands beside: parity is computed again, copies are compared.
pub fn check(
    store: &Store,
    world: &World,
    progress: &mut dyn Progress,
) -> Result<ParityChecked, Error> {
    let begun = world.env.monotonic();
    let mut checked = ParityChecked {
        store: store.location(),
        parity: Amount::default(),
        seconds: Amount::default(),
        damage: Vec::new(),
        elapsed_ms: 0,
    };
    let mut all = store.redundants()?;
    all.retain(|redundant| !redundant.is_orphan);
    let total = all.iter().map(|redundant| redundant.bytes).sum();
    progress.phase("Checking parity", total, Unit::Bytes);
    for redundant in &all {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        check_one(store, redundant, &mut checked)?;
        progress.advance(redundant.bytes);
    }
    let elapsed = world.env.monotonic().saturating_sub(begun);
    checked.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(checked)
}

fn check_one(
    store: &Store,
    redundant: &Redundant,
    checked: &mut ParityChecked,
) -> Result<(), Error> {
    if let (true, Original::Pack(pack)) = (redundant.is_parity, &redundant.of) {
        checked.parity.add(redundant.bytes);
        checked
            .damage
            .extend(damage_of(pack, store.check_parity(pack)?));
    } else if let Some(first) = first_of(redundant) {
        checked.seconds.add(redundant.bytes);
        let found = store.compare_second(&first)?;
        let found = found.and_then(|found| damage_of_second(&redundant.of, found));
        checked.damage.extend(found);
    }
    Ok(())
}

fn damage_of(pack: &PackId, state: ParityState) -> Option<RedundancyDamage> {
    let (object, cause, can_be_healed) = match state {
        ParityState::Good | ParityState::Gone => return None,
        ParityState::SidecarDamaged(cause) => (parity_object(pack), cause, true),
        ParityState::PackRebuildable(shards) => {
            let cause = format!(
                "{} of {} {} bad, and its parity makes {} again",
                count(shards.bad as u64),
                counted(shards.data as u64, "shard"),
                agree(shards.bad as u64, "is", "are"),
                agree(shards.bad as u64, "it", "them"),
            );
            (pack_object(pack), cause, true)
        }
        ParityState::PackLost(cause) => (pack_object(pack), cause, false),
    };
    Some(RedundancyDamage {
        object,
        cause,
        can_be_healed,
    })
}

/// The object of which a second copy is one; `None` for parity.
pub(super) fn first_of(redundant: &Redundant) -> Option<String> {
    name::parse_second(&redundant.name).map(str::to_owned)
}

/// What damage a comparison with a second copy shows.
pub(in crate::ops) fn damage_of_second(
    of: &Original,
    found: SecondCopy,
) -> Option<RedundancyDamage> {
    let first = match of {
        Original::Config => "config".to_owned(),
        Original::Snapshot(id) => format!("snapshot {id}"),
        Original::Pack(id) => pack_object(id),
    };
    let (object, cause, can_be_healed) = match found {
        SecondCopy::Good => return None,
        SecondCopy::Damaged => (
            format!("second copy of {first}"),
            "it is not what was written",
            true,
        ),
        SecondCopy::FirstDamaged => (first, "it is damaged, its second copy is whole", true),
        SecondCopy::BothDamaged => (first, "it is damaged, and so is its second copy", false),
    };
    Some(RedundancyDamage {
        object,
        cause: cause.to_owned(),
        can_be_healed,
    })
}
