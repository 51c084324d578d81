//! Which packs are damaged, and which of these can be made whole: every pack is read, every byte.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::DamagedPack;
use crate::backend::BackendErrorKind;
use crate::error::Error;
use crate::format::name;
use crate::model::id::PackId;
use crate::ops::open::Store;
use crate::progress::{Progress, Unit};
use crate::store::{Original, StoreError};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Packs that were read.
    pub packs: u64,
    /// Those that are damaged, or were marked so before.
    pub damaged: BTreeMap<PackId, DamagedPack>,
    /// Packs that can be made whole, with their right lengths. Some of them may be gone.
    pub rebuildable: BTreeMap<PackId, u64>,
}

impl Found {
    /// The damaged packs.
    pub fn ids(&self) -> BTreeSet<PackId> {
        self.damaged.keys().copied().collect()
    }
}

/// Reads all packs.
pub(super) fn packs(store: &Store, progress: &mut dyn Progress) -> Result<Found, Error> {
    let mut found = Found::default();
    let marked = store.marked_packs()?;
    let listed = store.objects()?;
    let packs: Vec<(PackId, u64)> = listed
        .iter()
        .filter_map(|object| Some((name::parse_pack(&object.name)?, object.bytes)))
        .collect();
    let total = packs.iter().map(|(_, bytes)| bytes).sum();
    progress.phase("Reading packs", total, Unit::Bytes);
    for (id, bytes) in &packs {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let cause = damage(store, id, *bytes)?;
        progress.advance(*bytes);
        found.packs += 1;
        let was_marked = marked.contains(id);
        let cause = cause.or_else(|| was_marked.then(|| "it was marked before".to_owned()));
        if let Some(cause) = cause {
            add(store, &mut found, id, *bytes, cause)?;
        }
    }
    gone(store, &mut found, &packs)?;
    Ok(found)
}

/// What is wrong with a pack, if anything. A bad sector is damage like any other, if it is bad twice.
fn damage(store: &Store, id: &PackId, bytes: u64) -> Result<Option<String>, Error> {
    let unreadable = |error: &StoreError| error.backend_kind() == Some(BackendErrorKind::Other);
    match store.pack_damage(id, bytes) {
        Err(error) if unreadable(&error) => {}
        read => return Ok(read?),
    }
    match store.pack_damage(id, bytes) {
        Err(error) if unreadable(&error) => Ok(Some(error.to_string())),
        read => Ok(read?),
    }
}

fn add(
    store: &Store,
    found: &mut Found,
    id: &PackId,
    bytes: u64,
    cause: String,
) -> Result<(), Error> {
    let whole = store.rebuilt_bytes(id)?;
    if let Some((bytes, _)) = whole {
        found.rebuildable.insert(*id, bytes);
    }
    let name = name::pack(id);
    let pack = DamagedPack {
        object: format!("pack {}", name.strip_prefix(name::PACKS).unwrap_or(&name)),
        bytes,
        cause,
        whole_by: whole.map(|(_, by)| by),
        marked: false,
        removed: false,
    };
    found.damaged.insert(*id, pack);
    Ok(())
}

/// Packs that are gone and have a second copy: whoever needs them may have it.
fn gone(store: &Store, found: &mut Found, packs: &[(PackId, u64)]) -> Result<(), Error> {
    for redundant in store.redundants()? {
        let Original::Pack(id) = redundant.of else {
            continue;
        };
        let is_gone = packs.binary_search_by_key(&id, |(id, _)| *id).is_err();
        if is_gone
            && !redundant.is_parity
            && let Some((bytes, _)) = store.rebuilt_bytes(&id)?
        {
            found.rebuildable.insert(id, bytes);
        }
    }
    Ok(())
}
