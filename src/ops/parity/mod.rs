//! Redundancy of a store: what there is, adding it, taking it away, and whether it would help.
//!
//! Nothing here changes a snapshot. Parity is made of whole packs only: parity of a damaged one would
//! keep the damage.

mod add;
mod check;

use crate::error::Error;
use crate::format::name;
use crate::format::parity::PARITY_PACK_BYTES_MIN;
pub use crate::format::parity::PARITY_PERCENT;
pub use crate::format::redundancy::{Redundancy, RedundancyLevel};
use crate::model::id::PackId;
use crate::ops::open::Store;
use crate::progress::{Progress, Unit};
use crate::store::StoreError;
pub use add::add;
pub use check::check;
pub(super) use check::damage_of_second;

/// How many, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Objects.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedundancyDamage {
    /// What: `parity of pack 7c/7c01…`, `pack …`, `second copy of snapshot …`.
    pub object: String,
    /// What was found.
    pub cause: String,
    /// True if the rest is enough to make it again.
    pub can_be_healed: bool,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityStatus {
    /// Where the store is.
    pub store: String,
    /// What backups add; `None`: what says so is damaged, and they add the default.
    pub redundancy: Option<Redundancy>,
    /// Packs that are long enough for parity.
    pub packs: Amount,
    /// Of these, those without.
    pub without: Amount,
    /// Sidecars.
    pub parity: Amount,
    /// Second copies.
    pub seconds: Amount,
    /// Objects that should have a second copy and have none; none unless redundancy is full.
    pub not_copied: u64,
    /// Sidecars and copies, counted above, of what is gone: a prune deletes them.
    pub orphans: Amount,
}

/// What is to be added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// Second copies too.
    pub full: bool,
    /// Length of a sidecar in percent of its pack, 1 to 100: of those that are there, too. `None`: as the store
    /// has it, and those that are there stay.
    pub percent: Option<u8>,
}

/// What was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityAdded {
    /// Where the store is.
    pub store: String,
    /// What backups add from now on.
    pub redundancy: Redundancy,
    /// Sidecars made where there was none.
    pub made: Amount,
    /// Sidecars made again, because they were damaged.
    pub again: Amount,
    /// Sidecars made again, because they were of another percentage than was asked for.
    pub resized: Amount,
    /// Packs that had a good one.
    pub kept: u64,
    /// Second copies made, damaged ones again.
    pub copied: Amount,
    /// What is damaged, and so has not been covered.
    pub damage: Vec<RedundancyDamage>,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityRemoved {
    /// Where the store is.
    pub store: String,
    /// Sidecars.
    pub parity: Amount,
    /// Second copies.
    pub seconds: Amount,
}

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParityChecked {
    /// Where the store is.
    pub store: String,
    /// Sidecars, their packs read too.
    pub parity: Amount,
    /// Second copies, compared with the first.
    pub seconds: Amount,
    /// Packs and objects that are damaged, and redundancy that is.
    pub damage: Vec<RedundancyDamage>,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// Says what redundancy there is, by listings; of manifests without a copy it looks which are none.
pub fn status(store: &Store) -> Result<ParityStatus, Error> {
    let redundancy = match store.redundancy() {
        Ok(redundancy) => Some(redundancy),
        Err(StoreError::Damaged { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let excluded = store.packs_on_their_way_out()?;
    let mut status = ParityStatus {
        store: store.location(),
        redundancy,
        packs: Amount::default(),
        without: Amount::default(),
        parity: Amount::default(),
        seconds: Amount::default(),
        not_copied: 0,
        orphans: Amount::default(),
    };
    for redundant in store.redundants()? {
        let of_kind = match redundant.is_parity {
            true => &mut status.parity,
            false => &mut status.seconds,
        };
        of_kind.add(redundant.bytes);
        if redundant.is_orphan {
            status.orphans.add(redundant.bytes);
        }
    }
    for pack in store.parity_of_packs()? {
        if pack.pack_bytes < PARITY_PACK_BYTES_MIN || excluded.contains(&pack.pack) {
            continue;
        }
        status.packs.add(pack.pack_bytes);
        if pack.sidecar_bytes.is_none() {
            status.without.add(pack.pack_bytes);
        }
    }
    if redundancy.is_some_and(|said| said.level == RedundancyLevel::Full) {
        status.not_copied = store.without_second(&excluded)?.len() as u64;
    }
    Ok(status)
}

/// Says how much redundancy backups add from now on, durably; of a new store, for one.
pub fn choose(store: &Store, redundancy: Redundancy) -> Result<(), Error> {
    store.set_redundancy(redundancy)?;
    if redundancy.level == RedundancyLevel::Full {
        store.make_second(name::CONFIG)?;
        store.settle()?;
    }
    Ok(())
}

/// Takes all redundancy away. Later backups add none. Errors: `StillNeeded` if something is damaged that
/// can be made again of it.
pub fn remove(store: &Store, progress: &mut dyn Progress) -> Result<ParityRemoved, Error> {
    // Before anything changes: what can only be made again of this stays.
    let all = store.redundants()?;
    progress.phase(
        "Looking at what it stands beside",
        all.len() as u64,
        Unit::Blobs,
    );
    for redundant in &all {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        store.ensure_not_needed(redundant)?;
        progress.advance(1);
    }
    let percent = match store.redundancy() {
        Ok(said) => said.percent,
        Err(_) => PARITY_PERCENT,
    };
    // First: a backup that begins from now on adds none.
    let level = RedundancyLevel::None;
    choose(store, Redundancy { level, percent })?;
    let mut removed = ParityRemoved {
        store: store.location(),
        parity: Amount::default(),
        seconds: Amount::default(),
    };
    let all = store.redundants()?;
    progress.phase("Removing parity", all.len() as u64, Unit::Blobs);
    for redundant in &all {
        if progress.cancelled() {
            store.settle()?;
            return Err(Error::Cancelled);
        }
        store.delete_redundant(redundant)?;
        match redundant.is_parity {
            true => removed.parity.add(redundant.bytes),
            false => removed.seconds.add(redundant.bytes),
        }
        progress.advance(1);
    }
    store.settle()?;
    Ok(removed)
}

/// How a pack is called: `pack 7c/7c01…`.
fn pack_object(pack: &PackId) -> String {
    let name = name::pack(pack);
    format!("pack {}", name.strip_prefix(name::PACKS).unwrap_or(&name))
}

/// How its parity is called.
pub(super) fn parity_object(pack: &PackId) -> String {
    format!("parity of {}", pack_object(pack))
}
