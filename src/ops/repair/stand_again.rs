//! Snapshots whose manifests are damaged stand again under new ids: a name under `snapshots/` is never
//! used twice. W1 to W7, then F1.

use super::RepairOutcome;
use super::outcome::HealedSnapshot;
use super::roots::Roots;
use super::search::Search;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::{Store, World};
use crate::ops::walk::Step;
use crate::progress::{Finding, Progress};
use crate::store::{StoreError, StoreWriter};

/// A writer that a prune took for dead begins again so often.
const FENCED_TRIES: u32 = 3;

/// Commits every damaged manifest of which the content is known anew, and forgets the damaged one.
pub(super) fn all(
    store: &Store,
    world: &World,
    roots: &mut Roots,
    search: &Search,
    outcome: &mut RepairOutcome,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    for (id, damaged) in &mut roots.damaged {
        if damaged.forgotten {
            if damaged.replaced_by.is_none() && damaged.content.is_none() {
                let text = "is damaged, and forgotten: it goes with the next prune";
                outcome
                    .findings
                    .push(Finding::note(format!("snapshot {id}"), text));
            }
            continue;
        }
        let Some((manifest, from)) = &damaged.content else {
            if damaged.replaced_by.is_some() && !outcome.dry_run {
                // An earlier run was cut off before this.
                store.forget(id)?;
            }
            continue;
        };
        let new_id = match (&damaged.replaced_by, outcome.dry_run) {
            (Some(_), true) => continue,
            (None, true) => None,
            (Some(there), false) => Some(there.clone()),
            (None, false) => Some(again(store, world, manifest, search, progress)?),
        };
        if let Some(new_id) = &new_id {
            if store.pins()?.contains(id) {
                store.pin(new_id)?;
                store.unpin(id)?;
            }
            store.forget(id)?;
            damaged.replaced_by = Some(new_id.clone());
        }
        outcome.snapshots.push(HealedSnapshot {
            id: id.to_string(),
            name: manifest.name.clone(),
            new_id: new_id.map(|id| id.to_string()),
            from: from.clone(),
        });
    }
    Ok(())
}

fn again(
    store: &Store,
    world: &World,
    manifest: &Manifest,
    search: &Search,
    progress: &mut dyn Progress,
) -> Result<SnapshotId, Error> {
    let mut tries = 1;
    loop {
        match attempt(store, world, manifest, search, progress) {
            Err(Error::Store(StoreError::Fenced { .. })) if tries < FENCED_TRIES => tries += 1,
            done => return done,
        }
    }
}

fn attempt(
    store: &Store,
    world: &World,
    manifest: &Manifest,
    search: &Search,
    progress: &mut dyn Progress,
) -> Result<SnapshotId, Error> {
    // The id tells the time of the snapshot, not of the repair.
    let time = manifest.time.parse::<jiff::Timestamp>();
    let time_ms = time.map_or_else(|_| world.env.unix_ms(), |t| t.as_millisecond());
    let mut writer = store.writer(time_ms)?;
    let written =
        put_all(manifest, search, &mut writer, progress).and_then(|()| Ok(writer.flush()?));
    let new_bytes = match written {
        Ok(new_bytes) => new_bytes,
        Err(error) => {
            // What went wrong first is told; a record that stays is fenced by a prune.
            let _ = writer.abandon();
            return Err(error);
        }
    };
    let id = writer.snapshot().clone();
    writer.commit(&Manifest {
        id: id.clone(),
        original: Some(manifest.first_id().clone()),
        new_bytes,
        ..manifest.clone()
    })?;
    Ok(id)
}

/// W3, W4: each blob is looked up, and put where no usable copy is known. What is lost is left out: the
/// damaged manifest stood for no more.
fn put_all(
    manifest: &Manifest,
    search: &Search,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    use crate::format::blob::BlobSink;
    let mut open = vec![Step::Schema(manifest.schema)];
    let tables = manifest.all_tables().chain(&manifest.pages);
    open.extend(tables.filter_map(Step::root));
    while let Some(step) = open.pop() {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let (kind, id) = step.blob();
        let is_known = writer.is_known(kind, &id)?;
        if is_known && !step.leads_on() {
            continue;
        }
        let Some((canonical, _)) = search.find(kind, &id)? else {
            continue;
        };
        if !is_known {
            writer.put(kind, &canonical).map_err(StoreError::from)?;
        }
        open.extend(step.below(canonical).map_err(StoreError::from)?);
    }
    Ok(())
}
