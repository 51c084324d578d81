//! The manifests of a store: those that can be read, and damaged or lost ones with what can be had of them from a
//! second copy or from another store.
//!
//! Memory: two ids a snapshot, and the manifests that stand in for damaged ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::BackendErrorKind;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::format::name;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::store::{SecondCopy, StoreError};

/// A manifest that is damaged, or lost.
#[derive(Debug, Clone)]
pub(super) struct DamagedManifest {
    /// What is wrong with it.
    pub cause: String,
    /// Its content, and where that was had from; `None`: nowhere.
    pub content: Option<(Manifest, String)>,
    /// A snapshot that stands in its place already.
    pub replaced_by: Option<SnapshotId>,
    /// It is forgotten.
    pub forgotten: bool,
}

/// All manifests.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// Ids of those that can be read, oldest first; forgotten ones too.
    pub good: Vec<SnapshotId>,
    /// Those that are damaged, or lost.
    pub damaged: BTreeMap<SnapshotId, DamagedManifest>,
}

impl Roots {
    /// Reads all manifests.
    pub fn read(store: &Store, stores: &[Store], ids: Vec<SnapshotId>) -> Result<Self, Error> {
        let (forgotten, lost) = (store.forgotten()?, store.lost_manifests()?);
        let mut roots = Self::default();
        // By the id under which each was first committed.
        let mut by_first: BTreeMap<SnapshotId, SnapshotId> = BTreeMap::new();
        for id in ids {
            match read(store, &id, lost.contains(&id))? {
                Read::Good(manifest) => {
                    by_first.insert(manifest.first_id().clone(), id.clone());
                    roots.good.push(id);
                }
                Read::None => {}
                Read::Damaged(cause, second) => {
                    let second = second.map(|manifest| (*manifest, "its second copy".to_owned()));
                    let content = match second {
                        Some(content) => Some(content),
                        None => elsewhere(stores, &id)?,
                    };
                    let damaged = DamagedManifest {
                        cause,
                        content,
                        replaced_by: None,
                        forgotten: forgotten.contains(&id),
                    };
                    roots.damaged.insert(id, damaged);
                }
            }
        }
        for (id, damaged) in &mut roots.damaged {
            let first = damaged.content.as_ref().map(|(m, _)| m.first_id());
            damaged.replaced_by = by_first.get(first.unwrap_or(id)).cloned();
        }
        Ok(roots)
    }

    /// Damaged manifests in whose places others stand.
    pub fn replaced(&self) -> BTreeSet<SnapshotId> {
        let replaced = |(id, damaged): (&SnapshotId, &DamagedManifest)| {
            damaged.replaced_by.as_ref().map(|_| id.clone())
        };
        self.damaged.iter().filter_map(replaced).collect()
    }

    /// True if it is not known what some snapshot needs.
    pub fn is_unknown(&self) -> bool {
        let mut damaged = self.damaged.values();
        damaged.any(|damaged| damaged.content.is_none() && damaged.replaced_by.is_none())
    }

    /// Shows every manifest that can be had, one at a time, oldest first.
    pub fn each(
        &self,
        store: &Store,
        mut show: impl FnMut(&Manifest) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for id in &self.good {
            // One that was deleted meanwhile needs nothing.
            if let Some(manifest) = store.manifest(id)? {
                show(&manifest)?;
            }
        }
        let damaged = self.damaged.values().filter(|d| d.replaced_by.is_none());
        for (manifest, _) in damaged.filter_map(|damaged| damaged.content.as_ref()) {
            show(manifest)?;
        }
        Ok(())
    }
}

enum Read {
    Good(Box<Manifest>),
    /// An abort marker, or deleted meanwhile.
    None,
    /// Why, and what its second copy says.
    Damaged(String, Option<Box<Manifest>>),
}

fn read(store: &Store, id: &SnapshotId, is_lost: bool) -> Result<Read, Error> {
    if is_lost {
        let second = store.root_manifest(id);
        return Ok(Read::Damaged(
            "it is gone, and nobody has forgotten it".to_owned(),
            second.ok().flatten().map(Box::new),
        ));
    }
    let unreadable = |error: &StoreError| error.backend_kind() == Some(BackendErrorKind::Other);
    let first = match store.manifest(id) {
        // A bad sector is damage like any other, if it is bad twice.
        Err(error) if unreadable(&error) => store.manifest(id),
        read => read,
    };
    let manifest = match first {
        Ok(Some(manifest)) => Box::new(manifest),
        Ok(None) => return Ok(Read::None),
        Err(StoreError::Damaged { cause, .. }) => {
            return Ok(Read::Damaged(cause.to_string(), None));
        }
        Err(error) if unreadable(&error) => {
            return Ok(Read::Damaged(error.to_string(), None));
        }
        Err(error) => return Err(error.into()),
    };
    let first_damaged =
        store.compare_second(&name::snapshot(id))? == Some(SecondCopy::FirstDamaged);
    Ok(match first_damaged {
        true => Read::Damaged("it is not what was written".to_owned(), Some(manifest)),
        false => Read::Good(manifest),
    })
}

/// A snapshot in other stores, by its id or as a copy.
fn elsewhere(stores: &[Store], id: &SnapshotId) -> Result<Option<(Manifest, String)>, Error> {
    for store in stores {
        let mut ids = store.snapshot_names()?.ids;
        // Most likely under its own id.
        ids.sort_by_key(|other| other != id);
        for other in ids {
            let Ok(Some(manifest)) = store.manifest(&other) else {
                continue;
            };
            if other == *id || manifest.original.as_ref() == Some(id) {
                return Ok(Some((manifest, store.location())));
            }
        }
    }
    Ok(None)
}
