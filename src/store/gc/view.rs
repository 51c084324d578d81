//! What a clean-up sees of a store at one time: its packs, and which copies of what snapshots need are
//! kept. Rules G2 and G6.

use std::collections::BTreeSet;

use super::CleanUp;
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobKind, BlobSource};
use crate::format::footer::Footer;
use crate::model::id::{BlobId, PackId};
use crate::store::census::{Census, Lacking, PackUse, Tier};
use crate::store::error::StoreError;
use crate::store::index::{Index, UnreadablePack};
use crate::store::reader::StoreReader;
use crate::store::rules::{Rule, Rules};
use crate::store::usable::Excluded;

/// The packs of a store, and what is needed of them.
#[derive(Debug)]
pub struct View {
    pub(super) reader: StoreReader,
    pub(super) census: Census,
    pub(super) rules: Rules,
    unreadable: Vec<UnreadablePack>,
    /// Packs that are listed as damaged.
    damaged: BTreeSet<PackId>,
}

/// Packs, by what a clean-up may do with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackUses {
    /// Nothing in them is kept.
    pub dead: Vec<PackUse>,
    /// Something is.
    pub kept: Vec<PackUse>,
    /// Packs whose footers cannot be read, and that nothing says may go.
    pub unreadable: Vec<PackUse>,
    /// Blobs that snapshots need and that can be had from no copy.
    pub broken: u64,
}

impl CleanUp<'_> {
    /// G2, and after [`CleanUp::condemn`] G6: lists the packs and reads their footers. Manifests are
    /// listed before this is called.
    pub fn view(&self) -> Result<View, StoreError> {
        let excluded = self.excluded()?;
        let rules = self.store.rules;
        let tier = {
            let (condemned, own) = (excluded.condemned.clone(), self.condemned.clone());
            let damaged = excluded.damaged.clone();
            let own = own.unwrap_or_default();
            move |id: &PackId| {
                if damaged.contains(id) {
                    Some(Tier::Never)
                } else if condemned.contains(id) {
                    // By others, who may delete them yet.
                    rules.hold(Rule::ForeignPacks).then_some(Tier::Last)
                } else if own.contains(id) {
                    Some(Tier::Second)
                } else {
                    Some(Tier::First)
                }
            }
        };
        let dead = excluded.dead.clone();
        let damaged = excluded.damaged.iter().copied().collect();
        let index = self.index(excluded)?;
        let unreadable = index.unreadable().to_vec();
        let reader = StoreReader::new(self.store.backend.clone(), self.store.hash, index);
        let (census, packs) = reader.census()?;
        for (id, bytes) in packs {
            if dead.contains(&id) {
                continue;
            }
            if let Some(tier) = tier(&id) {
                reader.count_pack_as(&census, &id, bytes, tier)?;
            }
        }
        for pack in &self.unpublished {
            let (bytes, footer): (_, &Footer) = (pack.bytes.len() as u64, &pack.footer);
            census.add_pack(&pack.id, bytes, Some(footer), Tier::First)?;
        }
        census.chains()?;
        Ok(View {
            reader,
            census,
            rules,
            unreadable,
            damaged,
        })
    }

    fn index(&self, excluded: Excluded) -> Result<Index, StoreError> {
        self.store.load_index(excluded)
    }
}

impl View {
    /// Comes to a blob that a snapshot needs. `true` the first time: what is below it has to be walked
    /// too.
    pub fn need(&self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        let entered = self.census.enter(kind, id)?;
        let first = entered.first;
        if first && !self.rules.hold(Rule::ContentWins) {
            return Ok(!self.census.is_base(entered.number)?);
        }
        Ok(first)
    }

    /// Needed blobs that have no usable copy, in an order that stays; at most `max`, those after `last`.
    /// `unlisted`: only those of which no pack that may be leaned on has any copy.
    pub fn lacking(
        &self,
        last: Option<&Lacking>,
        max: u64,
        unlisted: bool,
    ) -> Result<Vec<Lacking>, StoreError> {
        self.census.lacking(last, max, unlisted)
    }

    /// Finds out what can be had again, now that what it stands on can.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.census.chains()
    }

    /// True if the blob is needed and has no usable copy.
    pub fn lacks(&self, kind: BlobKind, id: &BlobId) -> Result<bool, StoreError> {
        self.census.lacks(kind, id)
    }

    /// From now on the blob can be had.
    pub fn set_had(&self, blob: &Lacking) -> Result<(), StoreError> {
        self.census.set_had(blob)
    }

    /// Once all that snapshots need has been told: what is kept, and what is not.
    pub fn uses(&self) -> Result<PackUses, StoreError> {
        self.census.keep(self.rules)?;
        let mut uses = PackUses {
            broken: self.census.broken()?,
            ..PackUses::default()
        };
        for pack in self.census.pack_uses()? {
            let lost = self.unreadable.iter().any(|lost| lost.id == pack.id);
            if pack.kept > 0 {
                uses.kept.push(pack);
            } else if lost && (uses.broken > 0 || !self.damaged.contains(&pack.id)) {
                // A repair may find in it what is missing, or has not looked yet.
                uses.unreadable.push(pack);
            } else {
                uses.dead.push(pack);
            }
        }
        Ok(uses)
    }

    /// Packs of `condemned` that must stay.
    pub(super) fn homes(&self, condemned: &BTreeSet<PackId>) -> Result<Vec<PackId>, StoreError> {
        if !self.rules.hold(Rule::SecondMark) {
            return Ok(Vec::new());
        }
        if !self.rules.hold(Rule::RescueByHomes) {
            return self.census.only_homes(condemned);
        }
        self.census.keep(self.rules)?;
        let uses = self.census.pack_uses()?.into_iter();
        Ok(uses
            .filter(|pack| pack.kept > 0 && condemned.contains(&pack.id))
            .map(|pack| pack.id)
            .collect())
    }

    /// After [`View::uses`]: packs of which a copy was taken though others have one too. What is taken
    /// must be good before the others go: these are read whole. With their lengths.
    pub fn chosen_among_several(&self) -> Result<Vec<(PackId, u64)>, StoreError> {
        self.census.chosen_among_several()
    }

    /// Packs whose footers cannot be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (&PackId, &FormatError)> {
        self.unreadable.iter().map(|pack| (&pack.id, &pack.cause))
    }
}

impl BlobSource for View {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.reader.get(kind, id)
    }
}
