//! Which packs a prune deletes, and which it copies: pure, from what of each is needed.

use std::collections::BTreeSet;

use crate::model::id::PackId;
use crate::store::census::PackUse;
use crate::store::gc::PackUses;

/// Packs of fewer bytes are merged.
pub const MERGE_BYTES: u64 = 1 << 20;
/// If there are so many of them: merging writes them again.
pub const MERGE_PACKS: usize = 8;

/// What to do with packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Nothing in them is needed.
    pub dead: BTreeSet<PackId>,
    /// What is needed of them is copied, then they go as well.
    pub repacked: BTreeSet<PackId>,
}

/// Bytes of a pack that nothing needs. Head and footer are needed as long as the pack is.
pub(super) fn unused(pack: &PackUse) -> u64 {
    match pack.kept == pack.copies {
        true => 0,
        false => pack.bytes.saturating_sub(pack.kept_bytes),
    }
}

/// Chooses. `max_unused`: percent of all bytes of packs.
pub(super) fn choose(uses: &PackUses, max_unused: u8) -> Choice {
    let mut choice = Choice {
        dead: uses.dead.iter().map(|pack| pack.id).collect(),
        repacked: BTreeSet::new(),
    };
    // What a repair may need stays where it is.
    let whole = |pack: &&PackUse| pack.readable && pack.broken == 0;
    let all: u64 = uses.kept.iter().map(|pack| pack.bytes).sum();
    let mut left: u64 = uses.kept.iter().map(unused).sum();
    let allowed = u128::from(all) * u128::from(max_unused) / 100;
    let mut wasteful: Vec<&PackUse> = uses.kept.iter().filter(whole).collect();
    // Most freed for each byte that is copied first; equal ones by name, so that runs agree.
    wasteful.sort_by(|a, b| {
        let freed = |x: &PackUse, y: &PackUse| u128::from(unused(x)) * u128::from(y.bytes);
        freed(b, a).cmp(&freed(a, b)).then(a.id.cmp(&b.id))
    });
    for pack in wasteful {
        if u128::from(left) <= allowed || unused(pack) == 0 {
            break;
        }
        left -= unused(pack);
        choice.repacked.insert(pack.id);
    }
    let small: Vec<PackId> = uses
        .kept
        .iter()
        .filter(whole)
        .filter(|pack| pack.bytes < MERGE_BYTES)
        .map(|pack| pack.id)
        .collect();
    if small.len() >= MERGE_PACKS {
        choice.repacked.extend(small);
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(name: u8, bytes: u64, kept_bytes: u64) -> PackUse {
        PackUse {
            id: PackId([name; 32]),
            bytes,
            readable: true,
            copies: 2,
            kept: if kept_bytes == bytes { 2 } else { 1 },
            kept_bytes,
            broken: 0,
        }
    }

    fn repacked(kept: Vec<PackUse>, max_unused: u8) -> Vec<u8> {
        let uses = PackUses {
            kept,
            ..PackUses::default()
        };
        let chosen = choose(&uses, max_unused).repacked;
        chosen.iter().map(|id| id.0[0]).collect()
    }

    const MB: u64 = 1 << 20;

    #[test]
    fn the_most_wasteful_packs_are_copied_until_little_is_wasted() {
        let packs = vec![
            pack(1, 16 * MB, 15 * MB),
            pack(2, 16 * MB, 2 * MB),
            pack(3, 16 * MB, 16 * MB),
            pack(4, 4 * MB, MB),
        ];
        assert_eq!(repacked(packs.clone(), 5), [2, 4]);
        assert_eq!(repacked(packs.clone(), 20), [2]);
        assert_eq!(repacked(packs.clone(), 0), [1, 2, 4]);
        assert!(repacked(packs, 100).is_empty());
    }

    #[test]
    fn what_a_repair_may_need_stays_where_it_is() {
        let damaged = PackUse {
            broken: 1,
            ..pack(1, 16 * MB, MB)
        };
        let unreadable = PackUse {
            readable: false,
            ..pack(2, 16 * MB, MB)
        };
        assert!(repacked(vec![damaged, unreadable], 0).is_empty());
    }

    #[test]
    fn small_packs_are_merged_once_there_are_many() {
        let small = |count: u8| (1..=count).map(|n| pack(n, 5000, 5000)).collect::<Vec<_>>();
        assert!(repacked(small(7), 5).is_empty());
        assert_eq!(repacked(small(8), 5).len(), 8);
    }
}
