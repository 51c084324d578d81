//! What `undo` needs: which of the snapshots that restores and undos took are kept.
//!
//! A restore leaves one snapshot before itself and one after; only the pair can take it back. So pairs are
//! kept or forgotten as such, and never the undo of a restore before that restore: else `undo` would take
//! that one for one in effect.

use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Deed, Moment, Policy, Reason};
use crate::model::id::SnapshotId;

/// A restore or an undo that left a snapshot after itself.
struct Done<'a> {
    after: &'a Candidate,
    deed: &'a Deed,
}

/// The snapshots that undo needs, and why.
///
/// Kept are, of each database: the last restore or undo, with all that it undoes in turn; those that are not
/// older than the policy says, or that lie in the future; those of which it is not known whether they count; undos of all these; and a
/// snapshot before, of what never came to be, if it is the newest of its database or not older either.
pub(super) fn needed(
    candidates: &[Candidate],
    policy: &Policy,
    moment: &Moment,
) -> BTreeMap<SnapshotId, Reason> {
    let oldest = policy.keep_undo.before(moment.now, &moment.zone);
    let is_recent = |c: &Candidate| oldest.is_none_or(|oldest| c.time >= oldest);
    let mut of_databases: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        if candidate.of_restore || candidate.uncommitted {
            of_databases
                .entry(&candidate.path)
                .or_default()
                .push(candidate);
        }
    }
    let mut needed = BTreeMap::new();
    for snapshots in of_databases.values() {
        of_database(snapshots, &is_recent, &mut needed);
    }
    needed
}

fn of_database(
    snapshots: &[&Candidate],
    is_recent: &dyn Fn(&Candidate) -> bool,
    needed: &mut BTreeMap<SnapshotId, Reason>,
) {
    let done: Vec<Done<'_>> = snapshots
        .iter()
        .filter_map(|after| {
            let deed = after.deed.as_ref()?;
            Some(Done { after, deed })
        })
        .collect();
    let last = done
        .iter()
        .max_by_key(|one| (one.after.time, &one.after.id));
    let chain = last.map_or_else(BTreeSet::new, |last| chain_of(&done, last));
    let mut kept: BTreeMap<&SnapshotId, Reason> = BTreeMap::new();
    for one in &done {
        if chain.contains(&one.after.id) {
            kept.insert(&one.after.id, Reason::LastRestore);
        } else if is_recent(one.after) || one.after.uncommitted {
            kept.insert(&one.after.id, Reason::RecentRestore);
        }
    }
    // Undos of what is kept, and undos of these.
    loop {
        let is_undo_of_kept = |one: &&Done<'_>| {
            let undoes = one.deed.undoes.as_ref();
            !kept.contains_key(&one.after.id) && undoes.is_some_and(|id| kept.contains_key(id))
        };
        let Some(more) = done.iter().find(is_undo_of_kept) else {
            break;
        };
        kept.insert(&more.after.id, Reason::RecentRestore);
    }
    for one in &done {
        if let Some(reason) = kept.get(&one.after.id) {
            // A snapshot before may be of several snapshots after: the first reason is the best.
            let before = needed.entry(one.deed.before.clone());
            before.or_insert_with(|| reason.clone());
            needed.insert(one.after.id.clone(), reason.clone());
        }
    }
    let befores: BTreeSet<&SnapshotId> = done.iter().map(|one| &one.deed.before).collect();
    let newest = snapshots.iter().max_by_key(|c| (c.time, &c.id));
    for alone in snapshots.iter().filter(|c| c.deed.is_none()) {
        if befores.contains(&alone.id) {
            continue;
        }
        if newest.is_some_and(|newest| newest.id == alone.id) {
            needed.insert(alone.id.clone(), Reason::LastRestore);
        } else if is_recent(alone) {
            needed.insert(alone.id.clone(), Reason::RecentRestore);
        }
    }
}

/// A restore or an undo, and all that it undoes in turn.
fn chain_of(done: &[Done<'_>], last: &Done<'_>) -> BTreeSet<SnapshotId> {
    let mut chain = BTreeSet::from([last.after.id.clone()]);
    let mut next = last.deed.undoes.clone();
    while let Some(id) = next {
        let undone = done.iter().find(|one| one.after.id == id);
        next = undone.and_then(|one| one.deed.undoes.clone());
        if !chain.insert(id) {
            break;
        }
    }
    chain
}
