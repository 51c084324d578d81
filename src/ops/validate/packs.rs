//! The packs that are read whole in a run: all, or some, chosen by their names or by when they were
//! last read.

use std::collections::HashSet;

use super::findings::{Findings, pack_object};
use super::snapshot::Reads;
use super::{Level, PacksRead, Subset};
use crate::error::Error;
use crate::model::id::PackId;
use crate::ops::open::{Store, World};
use crate::progress::{Progress, Unit};
use crate::store::{PackState, rfc3339};

/// Compares packs with their names, every byte, and remembers which are good.
pub(super) fn read(
    store: &Store,
    world: &World,
    packs: &PackState,
    level: Level,
    found: &mut Findings,
    progress: &mut dyn Progress,
) -> Result<(Reads, PacksRead), Error> {
    let mut log = store.read_log()?;
    if let Level::Subset(Subset::Percent(_)) = level
        && !log.is_kept()
    {
        let text = "which packs were read when cannot be kept in the cache folder: all count as never read";
        found.note(store.location(), text);
    }
    let chosen: Vec<(PackId, u64)> = match level {
        Level::Quick => Vec::new(),
        Level::All => packs.packs.clone(),
        Level::Subset(Subset::Part { n, of }) => {
            let in_part = |(id, _): &&(PackId, u64)| part(id, of) == n;
            packs.packs.iter().filter(in_part).copied().collect()
        }
        Level::Subset(Subset::Percent(share)) => {
            let mut by_age = Vec::new();
            for pack in &packs.packs {
                by_age.push((log.last(&pack.0)?, *pack));
            }
            // Those that never were read come first.
            by_age.sort();
            longest_ago(by_age.into_iter().map(|(_, pack)| pack), share, packs)
        }
    };
    let bytes = chosen.iter().map(|(_, bytes)| bytes).sum();
    if !chosen.is_empty() {
        progress.phase("Reading packs", bytes, Unit::Bytes);
    }
    for (id, bytes) in &chosen {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        match store.pack_damage(id, *bytes)? {
            // A prune deleted it meanwhile: whatever needs it is told where it is needed.
            Some(_) if !store.has_pack(id)? => log.forget(id)?,
            Some(cause) => {
                found.object(pack_object(id), cause);
                log.forget(id)?;
            }
            None => log.set(id, &rfc3339(world.env.unix_ms()))?,
        }
        progress.advance(*bytes);
    }
    let mut oldest = Some(rfc3339(world.env.unix_ms()));
    for (id, _) in &packs.packs {
        oldest = match (oldest, log.last(id)?) {
            (Some(oldest), Some(last)) => Some(oldest.min(last)),
            _ => None,
        };
    }
    let count = chosen.len() as u64;
    let reads = match level {
        Level::Quick => Reads::Structure,
        Level::All => Reads::All,
        Level::Subset(_) => {
            Reads::Packs(chosen.into_iter().map(|(id, _)| id).collect::<HashSet<_>>())
        }
    };
    let packs_read = PacksRead {
        packs: count,
        bytes,
        oldest,
    };
    Ok((reads, packs_read))
}

/// The part of a pack, from 1. Names are digests: parts are about equal.
fn part(id: &PackId, of: u32) -> u32 {
    let mut first = [0; 8];
    first.copy_from_slice(&id.0[..8]);
    let part = u64::from_be_bytes(first) % u64::from(of.max(1));
    u32::try_from(part).map_or(1, |part| part + 1)
}

/// Packs in the order given until they are so many percent of all bytes; at least one.
fn longest_ago(
    by_age: impl Iterator<Item = (PackId, u64)>,
    share: f64,
    packs: &PackState,
) -> Vec<(PackId, u64)> {
    let total: u64 = packs.packs.iter().map(|(_, bytes)| bytes).sum();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of bytes, to the nearest thousand or so; at most all of them"
    )]
    let wanted = ((total as f64) * share.clamp(0.0, 100.0) / 100.0).ceil() as u64;
    let mut left = wanted;
    by_age
        .take_while(|(_, bytes)| {
            let goes_on = left > 0;
            left = left.saturating_sub(*bytes);
            goes_on
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_is_in_one_part_and_stays_there() {
        let mut counts = [0; 7];
        for byte in 0..=u8::MAX {
            let id = PackId(crate::codec::hash::plain_digest(&[byte]));
            let part = part(&id, 7);
            assert_eq!(part, super::part(&id, 7));
            counts[usize::try_from(part - 1).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (15..70).contains(count)),
            "{counts:?}"
        );
    }
}
