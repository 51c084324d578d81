//! Whether a store still holds what its snapshots need: by the names of blobs alone, without a line of
//! what reads and cleans up stores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use larder::codec::hash::StoreHash;
use larder::format::blob::Encoding;
use larder::format::frame::{self, ObjectKind};
use larder::format::manifest::Manifest;
use larder::format::name;
use larder::model::id::{PackId, SnapshotId};

use super::scene::{Blobs, Letter, Start, closure};
use super::stepping::Objects;
use crate::shelf::footer_of;

/// A copy in a pack: the blob, and what it stands on.
type Copy = (Letter, Option<Letter>);

pub struct Judge {
    blobs: Arc<Blobs>,
    rotten: Option<PackId>,
    at_start: BTreeSet<SnapshotId>,
    packs: Mutex<HashMap<PackId, Arc<Vec<Copy>>>>,
    manifests: Mutex<HashMap<Vec<u8>, Option<Vec<Letter>>>>,
}

impl Judge {
    pub fn new(blobs: Arc<Blobs>, start: &Start) -> Self {
        Self {
            blobs,
            rotten: start.rotten,
            at_start: start.manifests.keys().cloned().collect(),
            packs: Mutex::default(),
            manifests: Mutex::default(),
        }
    }

    fn copies(&self, id: PackId, bytes: &[u8]) -> Arc<Vec<Copy>> {
        let mut packs = self.packs.lock().unwrap();
        let copies = packs.entry(id).or_insert_with(|| {
            let footer = footer_of(bytes);
            let copy = |entry: &larder::format::footer::BlobEntry| {
                let base = entry
                    .bases
                    .first()
                    .map(|base| self.blobs.beginning_with(base));
                assert_eq!(entry.encoding == Encoding::Delta, base.is_some());
                (self.blobs.letter(&entry.id), base)
            };
            Arc::new(footer.blobs.iter().map(copy).collect())
        });
        copies.clone()
    }

    /// What a manifest needs; `None` for an abort marker.
    fn needs(&self, bytes: &[u8]) -> Option<Vec<Letter>> {
        let mut manifests = self.manifests.lock().unwrap();
        let needs = manifests.entry(bytes.to_vec()).or_insert_with(|| {
            let hash = StoreHash::unkeyed();
            let (kind, payload) = frame::open(hash, bytes).unwrap();
            (kind == ObjectKind::Manifest).then(|| {
                let manifest: Manifest = frame::content(payload, "a manifest").unwrap();
                let root = self.blobs.root(&manifest);
                let mut needs = root.map_or_else(Vec::new, closure);
                needs.push('S');
                needs
            })
        });
        needs.clone()
    }

    /// What can be had from these packs: whole copies, then deltas on what can be had.
    fn had(packs: &BTreeMap<PackId, Arc<Vec<Copy>>>, but: Option<PackId>) -> BTreeSet<Letter> {
        let good = packs.iter().filter(|(id, _)| Some(**id) != but);
        let copies: Vec<Copy> = good
            .flat_map(|(_, copies)| copies.iter().copied())
            .collect();
        let mut had = BTreeSet::new();
        loop {
            let before = had.len();
            for (letter, base) in &copies {
                if base.is_none_or(|base| had.contains(&base)) {
                    had.insert(*letter);
                }
            }
            if had.len() == before {
                return had;
            }
        }
    }

    /// What is lost, if anything is.
    pub fn loss(&self, objects: &Objects) -> Option<String> {
        let packs: BTreeMap<PackId, Arc<Vec<Copy>>> = objects
            .iter()
            .filter_map(|(name, bytes)| {
                let id = name::parse_pack(name)?;
                Some((id, self.copies(id, bytes)))
            })
            .collect();
        let good = Self::had(&packs, self.rotten);
        // A snapshot that lacks something from the start must stay as it can be mended.
        let hope = Self::had(&packs, None);
        for (name, bytes) in objects {
            let Some(id) = name::parse_snapshot(name) else {
                continue;
            };
            let Some(needs) = self.needs(bytes) else {
                continue;
            };
            let had = match self.rotten.is_some() && self.at_start.contains(&id) {
                true => &hope,
                false => &good,
            };
            let lost: Vec<Letter> = needs.into_iter().filter(|l| !had.contains(l)).collect();
            if !lost.is_empty() {
                return Some(format!("snapshot {id} has lost {lost:?}"));
            }
        }
        None
    }
}
