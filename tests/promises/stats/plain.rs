//! A plain count of a store: what its footers list, what a walk of a snapshot's trees finds, and
//! what deltas stand on.

use std::collections::{BTreeMap, BTreeSet};

use larder::backend::Backend;
use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobKind, BlobSource};
use larder::format::footer::{BasePrefix, Footer, TRAILER_BYTES, Trailer};
use larder::format::leaf::Leaf;
use larder::format::manifest::{Entity, Manifest};
use larder::format::name;
use larder::model::id::BlobId;
use larder::ops::stats::{Chains, Figures, TableSort};
use larder::store::StoreReader;
use larder::tree::Root;
use larder::tree::cursor::Place;
use larder::tree::large;

use crate::sandbox::names;

pub(super) type Key = (BlobKind, BlobId);

/// Canonical bytes and encoding of every copy, read from the packs without the library's index.
pub(super) fn footers(backend: &dyn Backend) -> Vec<(Footer, u64)> {
    let read = |pack: String| {
        let bytes = backend.get(&pack, u64::MAX).unwrap();
        let at = bytes.len() - TRAILER_BYTES;
        let trailer = Trailer::decode(&bytes[at..]).unwrap();
        let from = at - trailer.stored_bytes as usize;
        let hash = StoreHash::unkeyed();
        let length = bytes.len() as u64;
        (
            Footer::decode(hash, &trailer, &bytes[from..at], length).unwrap(),
            length,
        )
    };
    names(backend, name::PACKS).into_iter().map(read).collect()
}

/// What blobs take: canonical bytes, and the share of their frame. For stores without duplicates.
pub(super) fn sizes(backend: &dyn Backend) -> BTreeMap<Key, (u64, u64)> {
    let mut sizes = BTreeMap::new();
    for (footer, _) in footers(backend) {
        for (at, frame) in footer.frames.iter().enumerate() {
            let blobs = footer.blobs.iter().filter(|blob| blob.frame as usize == at);
            let sum: u64 = blobs.clone().map(|b| u64::from(b.encoded_bytes)).sum();
            let mut before = 0;
            for blob in blobs {
                let upto = |n: u64| u64::from(frame.stored_bytes) * n / sum;
                let after = before + u64::from(blob.encoded_bytes);
                let size = (u64::from(blob.canonical_bytes), upto(after) - upto(before));
                let known = sizes.insert((blob.kind, blob.id), size);
                assert_eq!(known, None, "a duplicate");
                before = after;
            }
        }
    }
    sizes
}

pub(super) fn figures(sizes: &BTreeMap<Key, (u64, u64)>, keys: &BTreeSet<Key>) -> Figures {
    keys.iter().filter_map(|key| sizes.get(key)).fold(
        Figures::default(),
        |sum, (canonical_bytes, stored_bytes)| {
            sum.plus(Figures {
                blobs: 1,
                canonical_bytes: *canonical_bytes,
                stored_bytes: *stored_bytes,
            })
        },
    )
}

pub(super) fn table_blobs(reader: &StoreReader, entity: &Entity, found: &mut BTreeSet<Key>) -> u64 {
    let Some(root) = entity.root else {
        return 0;
    };
    let root = Root {
        id: root.id,
        level: root.level,
        rows: entity.records,
        bytes: entity.bytes,
        has_refs: root.has_refs,
        first_rowid: root.first_rowid,
    };
    let (mut open, mut large_bytes) = (vec![Place::root(&root)], 0);
    while let Some(place) = open.pop() {
        found.insert((place.kind(), place.id));
        if place.level > 0 {
            open.extend(place.children(reader).unwrap());
            continue;
        }
        // Forged leaves are unreadable deltas; they hold no large values.
        let Ok(leaf) = reader.get(BlobKind::Leaf, &place.id) else {
            continue;
        };
        for value in Leaf::parse(leaf).unwrap().spilled() {
            large_bytes += value.bytes;
            let mut enter = |kind, piece: &larder::format::chunk::Piece| {
                found.insert((kind, piece.id));
                Ok(true)
            };
            large::walk(reader, &value, &mut enter, &mut |_| Ok(())).unwrap();
        }
    }
    large_bytes
}

/// What a plain walk of a snapshot finds: blobs by table, and what it holds in full.
pub(super) struct Walked {
    pub(super) tables: BTreeMap<(String, TableSort), BTreeSet<Key>>,
    pub(super) held_bytes: u64,
}

impl Walked {
    pub(super) fn of(reader: &StoreReader, manifest: &Manifest) -> Self {
        let mut walked = Self {
            tables: BTreeMap::new(),
            held_bytes: 0,
        };
        let schema = BTreeSet::from([(BlobKind::Schema, manifest.schema)]);
        let name = ("schema".to_owned(), TableSort::Schema);
        walked.tables.insert(name, schema);
        let internal = manifest.internal.iter().map(|e| (TableSort::Internal, e));
        let entities = manifest.entities.iter().map(|e| (TableSort::Entity, e));
        let pages = manifest.pages.iter().map(|e| (TableSort::Pages, e));
        for (sort, entity) in entities.chain(internal).chain(pages) {
            let mut found = BTreeSet::new();
            let large = table_blobs(reader, entity, &mut found);
            walked.held_bytes += entity.bytes + large;
            walked.tables.insert((entity.entity.clone(), sort), found);
        }
        walked
    }

    pub(super) fn blobs(&self) -> BTreeSet<Key> {
        self.tables.values().flatten().copied().collect()
    }
}

/// Every distinct blob under the first table by name that leads to it.
pub(super) fn by_table(walks: &[&Walked]) -> BTreeMap<(String, TableSort), BTreeSet<Key>> {
    let mut tables: BTreeMap<(String, TableSort), BTreeSet<Key>> = BTreeMap::new();
    for (name, blobs) in walks.iter().flat_map(|walk| &walk.tables) {
        tables.entry(name.clone()).or_default().extend(blobs);
    }
    let mut seen = BTreeSet::new();
    for blobs in tables.values_mut() {
        blobs.retain(|blob| seen.insert(*blob));
    }
    tables
}

/// Blobs of one walk that no other has.
pub(super) fn alone(walks: &[BTreeSet<Key>], at: usize) -> BTreeSet<Key> {
    let others = walks.iter().enumerate().filter(|(other, _)| *other != at);
    let others: BTreeSet<Key> = others.flat_map(|(_, blobs)| blobs).copied().collect();
    walks[at].difference(&others).copied().collect()
}

/// What stands on what, by the footers alone. For stores without duplicates.
pub(super) struct Standing {
    /// The bases of every delta, and the depth that its entry tells.
    deltas: BTreeMap<Key, (Vec<Key>, u64)>,
}

impl Standing {
    pub(super) fn of(backend: &dyn Backend) -> Self {
        let footers = footers(backend);
        let entries = || footers.iter().flat_map(|(footer, _)| &footer.blobs);
        let named = |kind, prefix: &BasePrefix| {
            let mut named = entries().filter(|b| b.kind == kind && b.id.0.starts_with(prefix));
            let base = named.next().expect("a base is there");
            assert_eq!(named.next(), None);
            (kind, base.id)
        };
        let delta = |blob: &larder::format::footer::BlobEntry| {
            let bases = blob.bases.iter().map(|base| named(blob.kind, base));
            let told = (bases.collect(), u64::from(blob.depth));
            ((blob.kind, blob.id), told)
        };
        let deltas = entries().filter(|blob| !blob.bases.is_empty());
        Self {
            deltas: deltas.map(delta).collect(),
        }
    }

    fn bases(&self, blob: &Key) -> &[Key] {
        self.deltas.get(blob).map_or(&[], |(bases, _)| bases)
    }

    /// The most bases of one delta of this kind.
    pub(super) fn most_bases(&self) -> usize {
        let bases = self.deltas.values().map(|(bases, _)| bases.len());
        bases.max().unwrap_or_default()
    }

    /// Blobs, their bases, and those of these.
    pub(super) fn with_bases(&self, blobs: &BTreeSet<Key>) -> BTreeSet<Key> {
        let mut all = BTreeSet::new();
        let mut open: Vec<Key> = blobs.iter().copied().collect();
        while let Some(blob) = open.pop() {
            if all.insert(blob) {
                open.extend(self.bases(&blob));
            }
        }
        all
    }

    /// Deltas between a blob and a whole one, on the longest way.
    fn depth(&self, blob: &Key) -> u64 {
        let deepest = self.bases(blob).iter().map(|base| self.depth(base)).max();
        let depth = deepest.map_or(0, |depth| depth + 1);
        assert_eq!(depth, self.deltas.get(blob).map_or(0, |(_, depth)| *depth));
        depth
    }

    /// What a report tells of the deltas among `blobs`; `newest` are those of one snapshot.
    pub(super) fn chains(&self, blobs: &BTreeSet<Key>, newest: &BTreeSet<Key>) -> Chains {
        let all = self.with_bases(blobs);
        let mut versions: BTreeMap<Key, u64> = BTreeMap::new();
        for delta in all.iter().filter(|blob| !self.bases(blob).is_empty()) {
            for below in self.with_bases(&BTreeSet::from([*delta])) {
                if self.bases(&below).is_empty() {
                    *versions.entry(below).or_default() += 1;
                }
            }
        }
        Chains {
            bases: versions.len() as u64,
            versions: versions.values().sum(),
            versions_max: versions.values().copied().max().unwrap_or_default(),
            depth_max: all.iter().map(|b| self.depth(b)).max().unwrap_or_default(),
            newest_blobs: newest.len() as u64,
            newest_depths: newest.iter().map(|blob| self.depth(blob)).sum(),
        }
    }
}
