//! Which forgotten snapshot a word means: id, unique prefix, or name. `latest` is never one.

use super::{SourceChoice, nearest, one};
use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::store::{StoreError, Verdict};

/// What a word names where forgotten snapshots count too, and those that cannot be read.
#[derive(Debug)]
pub enum Named {
    /// A snapshot.
    Visible(Box<Manifest>),
    /// One whose manifest is damaged or lost, named by its full id.
    Unreadable(SnapshotId),
    /// One that is forgotten; it may be deleted.
    Forgotten(SnapshotId),
}

impl Named {
    /// The snapshot's id.
    pub fn id(&self) -> &SnapshotId {
        match self {
            Self::Visible(manifest) => &manifest.id,
            Self::Unreadable(id) | Self::Forgotten(id) => id,
        }
    }
}

/// As [`one`], but what is forgotten counts, and of a damaged manifest the full id will do.
///
/// Errors: `Select`, `Store`.
pub fn named(store: &Store, word: &str, source: &SourceChoice) -> Result<Named, Error> {
    match one(store, word, source) {
        Ok(manifest) => Ok(Named::Visible(Box::new(manifest))),
        Err(error) => match (&error, word.parse::<SnapshotId>()) {
            (Error::Store(StoreError::Damaged { .. }), Ok(id)) => Ok(Named::Unreadable(id)),
            (Error::Select(SelectError::NoSnapshot { .. }), Ok(id))
                if store.lost_manifests()?.contains(&id) =>
            {
                Ok(Named::Unreadable(id))
            }
            (Error::Select(SelectError::Forgotten { snapshot, .. }), _) => match snapshot.parse() {
                Ok(id) => Ok(Named::Forgotten(id)),
                Err(_) => Err(error),
            },
            _ => Err(error),
        },
    }
}

/// The forgotten snapshot that a word means.
///
/// Errors: `Select`; `Store`, `Pruned` if a clean-up has deleted it.
pub fn forgotten_one(store: &Store, word: &str) -> Result<SnapshotId, Error> {
    let mut found = matching(store, word)?;
    match (found.pop(), found.is_empty()) {
        (Some(id), true) if is_deleted(store, &id)? => {
            Err(StoreError::Pruned { snapshot: id }.into())
        }
        (Some(id), true) => Ok(id),
        (Some(id), false) => {
            found.push(id);
            let matches = found.iter().map(|id| id.short().to_owned()).collect();
            let word = word.to_owned();
            Err(SelectError::Ambiguous { word, matches }.into())
        }
        (None, _) => {
            let names = names(store)?;
            let nearest = nearest(word, names.iter().map(|(_, name)| name.as_str()));
            Err(SelectError::NoForgotten {
                word: word.to_owned(),
                store: store.location(),
                nearest,
            }
            .into())
        }
    }
}

/// The forgotten snapshots that a word may mean, oldest first: those that are deleted only if no other does.
pub(super) fn matching(store: &Store, word: &str) -> Result<Vec<SnapshotId>, Error> {
    let forgotten = store.forgotten()?;
    let named = names(store)?.into_iter().filter(|(_, name)| name == word);
    let mut found: Vec<SnapshotId> = named.map(|(id, _)| id).collect();
    if found.is_empty() && word.len() >= 4 {
        let has_prefix = |id: &&SnapshotId| id.as_str().starts_with(word);
        found = forgotten.ids().filter(has_prefix).cloned().collect();
    }
    let can_come_back = |id: &SnapshotId| {
        forgotten
            .mark(id)
            .is_some_and(|mark| mark.verdict.is_none())
    };
    if found.iter().any(can_come_back) {
        found.retain(can_come_back);
    }
    Ok(found)
}

/// The forgotten snapshots whose manifests can be read, and their names, oldest first.
fn names(store: &Store) -> Result<Vec<(SnapshotId, String)>, Error> {
    let mut names = Vec::new();
    each_forgotten(store, |manifest| names.push((manifest.id, manifest.name)))?;
    Ok(names)
}

/// Calls `each` for every forgotten snapshot whose manifest is there still and can be read, oldest first.
pub(in crate::ops) fn each_forgotten(
    store: &Store,
    mut each: impl FnMut(Manifest),
) -> Result<(), Error> {
    for id in store.snapshot_names()?.forgotten {
        match store.manifest(&id) {
            Ok(Some(manifest)) => each(manifest),
            // Deleted meanwhile.
            Ok(None) | Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// True if a clean-up has deleted the snapshot, or is about to.
pub(in crate::ops) fn is_deleted(store: &Store, id: &SnapshotId) -> Result<bool, Error> {
    let forgotten = store.forgotten()?;
    let mark = forgotten.mark(id);
    Ok(mark.is_some_and(|mark| mark.verdict == Some(Verdict::Delete)))
}

/// Refuses a snapshot that is forgotten, or was and is deleted.
pub(super) fn refuse(store: &Store, id: &SnapshotId) -> Result<(), Error> {
    let forgotten = store.forgotten()?;
    let Some(mark) = forgotten.mark(id).filter(|_| forgotten.contains(id)) else {
        return Ok(());
    };
    Err(SelectError::Forgotten {
        snapshot: id.to_string(),
        store: store.location(),
        deleted: mark.verdict == Some(Verdict::Delete),
    }
    .into())
}
