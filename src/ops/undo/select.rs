//! Which restore is undone.

use std::collections::{BTreeMap, BTreeSet};

use super::{UndoOptions, left_nothing};
use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::backup::{Taken, confirm};
use crate::ops::list::summary;
use crate::ops::open::{Store, World};
use crate::ops::select::{
    self, SourceChoice, UNCOMMITTED_TAG, each_forgotten, is_deleted, newest_first,
};
use crate::progress::{Finding, Progress};
use crate::source::recorded_path;

/// What is known of the restores into a database.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Those of which nothing is left.
    pub passed: BTreeSet<SnapshotId>,
    /// Undos, and whether they are in effect.
    undos: BTreeMap<SnapshotId, bool>,
}

/// The snapshot of what the restore made, and the one before it. What is in the `chain` is not asked for
/// again.
///
/// Errors: `Select` if there is no such restore, `Store`, `Target`, `Cancelled`.
pub(super) fn restore(
    store: &Store,
    options: &UndoOptions,
    chain: &mut Chain,
    progress: &mut dyn Progress,
) -> Result<(Manifest, Manifest), Error> {
    let after = match &options.restore {
        Some(word) => named(store, word)?,
        None => last(store, options, chain, progress)?,
    };
    let Some(mark) = &after.restore else {
        return Err(SelectError::NotARestore {
            snapshot: after.name.clone(),
        }
        .into());
    };
    let before = store.manifest(&mark.before)?;
    let before = before.ok_or_else(|| SelectError::NoSnapshot {
        word: mark.before.to_string(),
        store: store.location(),
        nearest: None,
    })?;
    Ok((after, before))
}

/// The snapshot of what a restore made, which is named by it or by the one before.
fn named(store: &Store, word: &str) -> Result<Manifest, Error> {
    let named = select::one(store, word, &SourceChoice::Any)?;
    if named.restore.is_some() {
        return Ok(named);
    }
    let mut after = None;
    newest_first(
        store,
        |manifest| {
            let of_it = manifest.restore.as_ref().filter(|m| m.before == named.id);
            if of_it.is_some() {
                after = Some(manifest);
            }
            Ok(after.is_none())
        },
        |_, error| Err(error.into()),
    )?;
    if let Some(after) = after {
        return Ok(after);
    }
    let mut forgotten = None;
    each_forgotten(store, |manifest| {
        let of_it = manifest.restore.as_ref().filter(|m| m.before == named.id);
        if of_it.is_some() && !is_uncommitted(&manifest) {
            forgotten = Some(manifest.id);
        }
    })?;
    match forgotten {
        // It is refused, with the way back.
        Some(id) => select::one(store, id.as_str(), &SourceChoice::Any),
        None => Ok(named),
    }
}

/// True if to undo this means to do a restore again: it is an undo of one, or of an undo of an undo …
pub(super) fn redoes(store: &Store, after: &Manifest) -> Result<bool, Error> {
    let mut redoes = false;
    let mut next = after.restore.as_ref().and_then(|m| m.undoes.clone());
    let mut seen = BTreeSet::new();
    while let Some(id) = next.filter(|id| seen.insert(id.clone())) {
        redoes = !redoes;
        let other = store.manifest(&id)?;
        next = other.and_then(|other| other.restore.and_then(|m| m.undoes));
    }
    Ok(redoes)
}

/// A restore into the database, or an undo of one.
struct Done {
    id: SnapshotId,
    time: String,
    undoes: Option<SnapshotId>,
    /// The snapshot that it left is forgotten.
    is_forgotten: bool,
}

impl Done {
    fn of(manifest: &Manifest, is_forgotten: bool) -> Self {
        Self {
            id: manifest.id.clone(),
            time: manifest.time.clone(),
            undoes: manifest.restore.as_ref().and_then(|m| m.undoes.clone()),
            is_forgotten,
        }
    }
}

/// The last restore into the database that is in effect: the newest that no undo in effect takes back.
/// An undo that was undone itself counts as if it had never been, and so does one that was killed: its
/// snapshot is in the store before it counts. What is forgotten was done all the same: if it is the last one,
/// no other is taken for it.
fn last(
    store: &Store,
    options: &UndoOptions,
    chain: &mut Chain,
    progress: &mut dyn Progress,
) -> Result<Manifest, Error> {
    let path = recorded_path(&options.target);
    let path = path.to_string_lossy();
    let (mut done, mut known) = (Vec::<Done>::new(), BTreeSet::<SnapshotId>::new());
    newest_first(
        store,
        |manifest| {
            let is_of_database = manifest.source.path == path;
            let Some(mark) = manifest.restore.as_ref().filter(|_| is_of_database) else {
                return Ok(true);
            };
            // Of one deed, the snapshot that says that it counts is the newer one.
            if !known.insert(mark.before.clone()) || chain.passed.contains(&manifest.id) {
                return Ok(true);
            }
            if mark.undoes.is_some() && is_uncommitted(&manifest) {
                let counts = match chain.undos.get(&manifest.id) {
                    Some(known) => *known,
                    None => is_in_effect(store, &manifest, &mark.before, options, progress)?,
                };
                chain.undos.insert(manifest.id.clone(), counts);
                if !counts {
                    return Ok(true);
                }
            }
            done.push(Done::of(&manifest, false));
            Ok(true)
        },
        |_, error| Err(error.into()),
    )?;
    each_forgotten(store, |manifest| {
        let mark = manifest.restore.as_ref();
        let mark = mark.filter(|_| manifest.source.path == path && !is_uncommitted(&manifest));
        if mark.is_some_and(|mark| known.insert(mark.before.clone())) {
            done.push(Done::of(&manifest, true));
        }
    })?;
    // As `newest_first` has them.
    done.sort_by(|a, b| (b.id.second(), &b.time, &b.id).cmp(&(a.id.second(), &a.time, &a.id)));
    let restores = done.iter().filter(|one| one.undoes.is_none());
    let last = restores
        .into_iter()
        .find(|one| !is_undone(&done, &one.id, done.len()));
    let manifest = match last {
        Some(one) if one.is_forgotten => return Err(last_forgotten(store, options, one)?.into()),
        Some(one) => store.manifest(&one.id)?,
        None => None,
    };
    manifest.ok_or_else(|| {
        SelectError::NothingToUndo {
            database: options.target.display().to_string(),
            store: store.location(),
        }
        .into()
    })
}

fn last_forgotten(store: &Store, options: &UndoOptions, last: &Done) -> Result<SelectError, Error> {
    Ok(SelectError::LastForgotten {
        snapshot: last.id.to_string(),
        database: options.target.display().to_string(),
        store: store.location(),
        deleted: is_deleted(store, &last.id)?,
    })
}

/// True if an undo takes a deed back, and no other takes that one back. Clocks say nothing here.
fn is_undone(done: &[Done], id: &SnapshotId, depth: usize) -> bool {
    let mut undos = done.iter().filter(|one| one.undoes.as_ref() == Some(id));
    depth > 0 && undos.any(|undo| !is_undone(done, &undo.id, depth - 1))
}

/// Of deeds of which it is not known whether they came to count, finds out as long as that can be told: what
/// is in the database counts, what is not never was. To be called before the database is changed again.
///
/// Errors: `Store`, `Target`, `Cancelled`.
pub(in crate::ops) fn settle(
    store: &Store,
    world: &World,
    options: &UndoOptions,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let path = recorded_path(&options.target);
    let path = path.to_string_lossy();
    let mut open = Vec::new();
    newest_first(
        store,
        |manifest| {
            if manifest.source.path != path || manifest.restore.is_none() {
                return Ok(true);
            }
            // What is older was settled before that one.
            let is_open = is_uncommitted(&manifest);
            if is_open {
                open.push(manifest);
            }
            Ok(is_open)
        },
        |_, error| Err(error.into()),
    )?;
    for manifest in open {
        let before = manifest.restore.as_ref().map(|mark| mark.before.clone());
        let Some(before) = before else { continue };
        if is_in_effect(store, &manifest, &before, options, progress)? {
            let summary = summary(&manifest, &store.snapshot_names()?.ids);
            confirm(store, world, &Taken { manifest, summary })?;
        } else {
            store.withdraw(&manifest.id)?;
            let text = "it was killed before it was committed, and nothing of it is left: its snapshot is taken away";
            let subject = format!("snapshot {}", manifest.id.short());
            progress.found(&Finding::note(subject, text));
        }
    }
    Ok(())
}

/// True if it is not known whether what a snapshot holds came to count.
pub(super) fn is_uncommitted(after: &Manifest) -> bool {
    after.tags.iter().any(|tag| tag == UNCOMMITTED_TAG)
}

/// True if something is left of an undo, or that cannot be known.
fn is_in_effect(
    store: &Store,
    after: &Manifest,
    before: &SnapshotId,
    options: &UndoOptions,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    match store.manifest(before)? {
        Some(before) => Ok(!left_nothing(store, (after, &before), options, progress)?),
        None => Ok(true),
    }
}
