//! Removes damaged packs once all that is needed of them lies elsewhere: by the same sealed clean-up as a
//! prune, G0 to G9. What cannot be had keeps all its copies (G2).

use std::collections::{BTreeMap, BTreeSet};

use super::RepairOutcome;
use super::find::Found;
use crate::error::Error;
use crate::model::id::{PackId, SnapshotId};
use crate::ops::clean;
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress};
use crate::store::StoreError;

/// Removes what may go. That it may not go now, since others are at work, is a finding: the next repair or
/// prune removes it.
pub(super) fn packs(
    store: &Store,
    world: &World,
    found: &mut Found,
    how: &clean::How<'_>,
    outcome: &mut RepairOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if found.damaged.is_empty() {
        return Ok(());
    }
    let removed = try_packs(store, world, &found.ids(), how, progress);
    let cleaned = match removed {
        Err(Error::Store(
            error @ (StoreError::CleanUpAtWork { .. }
            | StoreError::WriterAtWork { .. }
            | StoreError::Overtaken),
        )) => {
            let text = format!("damaged packs stay for now, the next prune removes them: {error}");
            outcome.findings.push(Finding::note(store.location(), text));
            return Ok(());
        }
        Err(Error::Store(error @ (StoreError::Damaged { .. } | StoreError::Blob(_)))) => {
            let text = format!("damaged packs stay, for it is not known what is needed: {error}");
            outcome.findings.push(Finding::note(store.location(), text));
            return Ok(());
        }
        removed => removed?,
    };
    outcome.fenced = cleaned.fenced;
    outcome.removed = (cleaned.deleted.len() as u64, cleaned.deleted.iter().sum());
    let left: BTreeSet<String> = store.objects()?.into_iter().map(|o| o.name).collect();
    for (id, pack) in &mut found.damaged {
        pack.removed = !left.contains(&crate::format::name::pack(id));
    }
    Ok(())
}

fn try_packs(
    store: &Store,
    world: &World,
    damaged: &BTreeSet<PackId>,
    how: &clean::How<'_>,
    progress: &mut dyn Progress,
) -> Result<clean::Cleaned, Error> {
    let clean_up = store.clean_up();
    // G0
    clean_up.resolve()?;
    // G1
    let mut roots: Vec<SnapshotId> = clean_up.roots()?;
    roots.retain(|id| !how.without.contains(id));
    // G2
    let view = clean_up.view()?;
    clean::mark(store, &view, &roots, progress)?;
    let uses = view.uses()?;
    drop(view);
    let dead = uses.dead.iter().filter(|pack| damaged.contains(&pack.id));
    let condemned: BTreeMap<PackId, u64> = dead.map(|pack| (pack.id, pack.bytes)).collect();
    if condemned.is_empty() {
        return Ok(clean::Cleaned::default());
    }
    clean::clean(store, world, how, clean_up, &condemned, progress)
}
