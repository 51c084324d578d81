//! The store: packs, index, snapshots, behind one door.
//!
//! `Store` gives a reader, a writer and the snapshots; it never hands out its backend.

mod ballast;
mod cache;
pub mod census;
mod chain;
mod check;
mod commit;
mod copies;
mod digests;
pub mod error;
mod forgotten;
pub mod gc;
pub mod heal;
mod index;
mod lately;
mod local_file;
mod pack_builder;
mod packer;
mod page_cache;
mod parity;
mod read_ahead;
mod read_log;
mod reader;
mod records;
mod redundancy;
mod register;
pub mod rules;
mod scratch;
mod snapshots;
mod usable;
mod writer;
mod writer_record;

use std::path::PathBuf;
use std::sync::Arc;

pub use copies::StoredDelta;
pub use digests::{DigestSet, DigestStore};
pub use error::StoreError;
pub use forgotten::{Forgotten, Mark, Verdict};
pub use index::UnreadablePack;
pub use page_cache::{KnownLeaf, PageCache, TablePages};
pub use parity::{MadeParity, ParityOf, ParityState, Rebuilt, Shards};
pub use read_log::ReadLog;
pub use reader::StoreReader;
pub use redundancy::{Original, Redundant, SecondCopy};
pub use scratch::ScratchBlobs;
pub use snapshots::SnapshotNames;
pub use writer::{Committed, StoreWriter};

use crate::backend::{Backend, BackendErrorKind, ObjectInfo};
use crate::codec::hash::StoreHash;
use crate::env::{Env, random_16};
use crate::format::config::{Config, FormatMark};
use crate::format::frame::{self, ObjectKind};
use crate::format::manifest::Manifest;
use crate::format::{FormatError, limits, name};
use crate::model::id::{PackId, SnapshotId, StoreId};
use index::Index;
use rules::Rules;
use usable::Excluded;

/// An open store.
#[derive(Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    env: Arc<dyn Env>,
    hash: StoreHash,
    config: Config,
    cache_dir: Option<PathBuf>,
    compression: i32,
    rules: Rules,
}

/// How a store is used in this run.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Folder for the cache of footers; `None`: a temporary cache.
    pub cache_dir: Option<PathBuf>,
    /// zstd level of what is written, 1 to 19.
    pub compression: i32,
    /// All of the protocol's rules, but in tests of the tests.
    pub rules: Rules,
}

/// A time as RFC 3339 in UTC, to the millisecond: always of one width, so that texts sort as times.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    format!("{time:.3}")
}

/// Reads the config; from its second copy, if it has one, where it is damaged or gone.
fn read_config(backend: &dyn Backend, hash: StoreHash) -> Result<Config, StoreError> {
    let wrong = |cause| StoreError::of_object(format!("config of {}", backend.location()), cause);
    let decode = |bytes: &[u8]| {
        let config: Config = frame::decode(hash, ObjectKind::Config, bytes, "config")?;
        config.format.check(&config.features)?;
        Ok(config)
    };
    let failure = match backend.get(name::CONFIG, limits::OBJECT_BYTES_MAX) {
        Ok(bytes) => match decode(&bytes).map_err(wrong) {
            Err(error @ StoreError::Damaged { .. }) => error,
            done => return done,
        },
        Err(error) if error.kind == BackendErrorKind::NotFound => StoreError::NoStore {
            location: backend.location(),
            found: "no config is there",
        },
        Err(error) => error.into(),
    };
    let second = redundancy::second_after(backend, name::CONFIG, &failure)?;
    match second.map(|bytes| decode(&bytes).map_err(wrong)) {
        None | Some(Err(StoreError::Damaged { .. })) => Err(failure),
        Some(done) => done,
    }
}

impl Store {
    fn of(
        backend: Arc<dyn Backend>,
        env: Arc<dyn Env>,
        hash: StoreHash,
        config: Config,
        usage: Usage,
    ) -> Self {
        Self {
            backend,
            env,
            hash,
            config,
            cache_dir: usage.cache_dir,
            compression: usage.compression,
            rules: usage.rules,
        }
    }

    /// Makes a store where none is. Errors: `Exists`, `Backend`.
    pub fn create(
        backend: Arc<dyn Backend>,
        env: Arc<dyn Env>,
        usage: Usage,
    ) -> Result<Self, StoreError> {
        let config = Config {
            format: FormatMark::CURRENT,
            features: Vec::new(),
            store_id: StoreId(random_16(&*env)),
            created: rfc3339(env.unix_ms()),
        };
        let hash = StoreHash::unkeyed();
        let bytes =
            frame::encode(hash, ObjectKind::Config, &config).map_err(|e| StoreError::Encoding {
                what: format!("a config: {e}"),
            })?;
        match backend.put_new(name::CONFIG, &bytes) {
            Err(error) if error.kind == BackendErrorKind::Exists => {
                return Err(StoreError::Exists {
                    location: backend.location(),
                });
            }
            done => done?,
        }
        backend.barrier()?;
        Ok(Self::of(backend, env, hash, config, usage))
    }

    /// Opens a store. Errors: `NoStore`, `Unsupported` for another format, `Damaged`, `Backend`.
    pub fn open(
        backend: Arc<dyn Backend>,
        env: Arc<dyn Env>,
        usage: Usage,
    ) -> Result<Self, StoreError> {
        let hash = StoreHash::unkeyed();
        let config = read_config(&*backend, hash)?;
        Ok(Self::of(backend, env, hash, config, usage))
    }

    /// As [`Store::open`]; where neither the config nor its second copy can be read, but a manifest can,
    /// with a new config, which is not written: [`Store::heal_config`] does that.
    pub fn open_for_repair(
        backend: Arc<dyn Backend>,
        env: Arc<dyn Env>,
        usage: Usage,
    ) -> Result<Self, StoreError> {
        let hash = StoreHash::unkeyed();
        let config = match read_config(&*backend, hash) {
            Err(error @ (StoreError::Damaged { .. } | StoreError::NoStore { .. })) => {
                if !snapshots::any_good(&*backend, hash)? {
                    return Err(error);
                }
                Config {
                    format: FormatMark::CURRENT,
                    features: Vec::new(),
                    store_id: StoreId(random_16(&*env)),
                    created: rfc3339(env.unix_ms()),
                }
            }
            read => read?,
        };
        Ok(Self::of(backend, env, hash, config, usage))
    }

    /// Where it is, for messages.
    pub fn location(&self) -> String {
        self.backend.location()
    }

    /// Its name, made with it.
    pub fn id(&self) -> StoreId {
        self.config.store_id
    }

    /// How it hashes.
    pub fn hash(&self) -> StoreHash {
        self.hash
    }

    /// Where its cache is, if it has one.
    fn cache_file(&self) -> Option<PathBuf> {
        let dir = self.cache_dir.as_ref()?;
        Some(dir.join(cache::file_name(&self.id())))
    }

    fn load_index(&self, excluded: Excluded) -> Result<Index, StoreError> {
        Index::load(
            self.backend.clone(),
            self.hash,
            excluded,
            self.cache_file(),
            self.rules,
        )
    }

    /// A reader of its blobs. Snapshots are listed before this is called, never after: what they
    /// need is then in the index.
    pub fn reader(&self) -> Result<StoreReader, StoreError> {
        let excluded = Excluded::read(&*self.backend, self.hash)?;
        let index = self.load_index(excluded)?;
        Ok(StoreReader::new(self.backend.clone(), self.hash, index))
    }

    /// Which packs were read whole when: in this folder, not in a copy of it.
    pub fn read_log(&self) -> Result<ReadLog, StoreError> {
        let dir = self.cache_dir.as_ref();
        let file = dir.map(|dir| dir.join(read_log::file_name(&self.id(), &self.place())));
        ReadLog::open(file.as_deref())
    }

    /// Which leaves the pages of a source made when it was last read; `source` tells it from others. `None` where
    /// nothing can be remembered, or read of it.
    pub fn page_cache(&self, source: &[&[u8]]) -> Option<PageCache> {
        let dir = self.cache_dir.as_ref()?;
        let file = dir.join(page_cache::file_name(&self.id(), &self.place()));
        PageCache::open(&file, source, &*self.env).ok()
    }

    /// What tells its folder from a copy of it.
    fn place(&self) -> String {
        let place = self.backend.identity();
        place.unwrap_or_else(|| self.backend.location())
    }

    /// As [`Store::reader`], but believing no cache: every footer is read from the store.
    pub fn fresh_reader(&self) -> Result<(StoreReader, PackState), StoreError> {
        let excluded = Excluded::read(&*self.backend, self.hash)?;
        let unreadable_records = excluded.unreadable.clone();
        let index = Index::load(self.backend.clone(), self.hash, excluded, None, self.rules)?;
        let mut packs: Vec<(PackId, u64)> = index
            .packs()
            .iter()
            .map(|(id, bytes)| (*id, *bytes))
            .collect();
        packs.sort_unstable();
        let state = PackState {
            packs,
            unreadable: index.unreadable().to_vec(),
            unreadable_records,
        };
        Ok((
            StoreReader::new(self.backend.clone(), self.hash, index),
            state,
        ))
    }

    /// Begins to write a snapshot (W1 to W3). `time_ms` since 1970: the time in its id.
    pub fn writer(&self, time_ms: i64) -> Result<StoreWriter, StoreError> {
        StoreWriter::begin(self, self.compression, time_ms)
    }

    /// The snapshots and abort markers by name, oldest first; forgotten ones apart.
    pub fn snapshot_names(&self) -> Result<SnapshotNames, StoreError> {
        // The marks first: whoever forgets a snapshot meanwhile finds it listed at most once more.
        let forgotten = self.forgotten()?;
        let mut names = snapshots::list(&*self.backend)?;
        (names.forgotten, names.ids) = std::mem::take(&mut names.ids)
            .into_iter()
            .partition(|id| forgotten.contains(id));
        Ok(names)
    }

    /// A snapshot's manifest; `None` if it was aborted, or deleted meanwhile.
    pub fn manifest(&self, id: &SnapshotId) -> Result<Option<Manifest>, StoreError> {
        snapshots::read(&*self.backend, self.hash, id)
    }

    /// As [`Store::manifest`], but one that was lost is read from its second copy. For whoever asks what must
    /// not be deleted: a snapshot that was lost is shown again by a repair only.
    pub fn root_manifest(&self, id: &SnapshotId) -> Result<Option<Manifest>, StoreError> {
        snapshots::read_root(&*self.backend, self.hash, id)
    }

    /// Snapshots whose manifests were lost, oldest first: nobody has forgotten them, and second copies of their
    /// manifests are there.
    pub fn lost_manifests(&self) -> Result<Vec<SnapshotId>, StoreError> {
        snapshots::lost(&*self.backend, self.hash)
    }

    /// BLAKE3 of a snapshot's manifest as it is stored, in hex; `None` if it was deleted meanwhile.
    pub fn manifest_digest(&self, id: &SnapshotId) -> Result<Option<String>, StoreError> {
        snapshots::digest(&*self.backend, id)
    }

    /// Takes a snapshot back that this process has just committed, and that says what did not come to
    /// be. On return it is gone, durably; what only it needs is garbage.
    pub fn withdraw(&self, id: &SnapshotId) -> Result<(), StoreError> {
        snapshots::withdraw(&*self.backend, self.hash, id)
    }

    /// All objects with their lengths.
    pub fn objects(&self) -> Result<Vec<ObjectInfo>, StoreError> {
        Ok(self.backend.list("")?)
    }

    /// "Store size" everywhere: the sum of the lengths of its objects.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        Ok(self.objects()?.iter().map(|object| object.bytes).sum())
    }

    /// The lengths of its objects but packs, which a census counts, by what they are.
    pub fn object_totals(&self) -> Result<ObjectTotals, StoreError> {
        let mut totals = ObjectTotals::default();
        for object in self.objects()? {
            let total = if name::parse_snapshot(&object.name).is_some() {
                &mut totals.manifests
            } else if name::parse_pack(&object.name).is_some() {
                continue;
            } else if name::parse_parity(&object.name).is_some() {
                &mut totals.parity
            } else if name::parse_second(&object.name).is_some() {
                &mut totals.seconds
            } else if name::is_known(&object.name) {
                &mut totals.protocol
            } else {
                &mut totals.other
            };
            total.0 += 1;
            total.1 = total.1.saturating_add(object.bytes);
        }
        Ok(totals)
    }

    /// Whatever lies in its place and is none of its objects: named to the user, never read, never
    /// deleted.
    pub fn foreign(&self) -> Result<Vec<String>, StoreError> {
        let mut foreign = self.backend.foreign()?;
        let objects = self.objects()?.into_iter().map(|object| object.name);
        foreign.extend(objects.filter(|name| !name::is_known(name)));
        foreign.sort_unstable();
        Ok(foreign)
    }

    /// Fails if something is under `snapshots/` that is no snapshot: a link, a folder, another name. What a
    /// snapshot that was moved there needs is not known.
    pub fn ensure_only_snapshots(&self) -> Result<(), StoreError> {
        let strange = |name: &String| name.starts_with("snapshots/") || name == "snapshots";
        match self.foreign()?.into_iter().find(strange) {
            None => Ok(()),
            Some(name) => Err(StoreError::Damaged {
                object: name,
                cause: FormatError::Invalid {
                    what: "an object among the snapshots",
                },
            }),
        }
    }

    /// True if a pack is there.
    pub fn has_pack(&self, id: &PackId) -> Result<bool, StoreError> {
        let object = name::pack(id);
        let folder = object.rsplit_once('/').map_or("", |(folder, _)| folder);
        let listed = self.backend.list(&format!("{folder}/"))?;
        Ok(listed.iter().any(|listed| listed.name == object))
    }

    /// Reads a pack whole and compares it with its name. `None`: good; else what is wrong.
    pub fn pack_damage(&self, id: &PackId, bytes: u64) -> Result<Option<String>, StoreError> {
        check::pack_damage(&*self.backend, id, bytes)
    }
}

/// Objects that are no packs: how many, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectTotals {
    /// Manifests, and the markers of aborted backups in their place.
    pub manifests: (u64, u64),
    /// The config, and records of writers and clean-ups.
    pub protocol: (u64, u64),
    /// Parity of packs.
    pub parity: (u64, u64),
    /// Second copies of small objects.
    pub seconds: (u64, u64),
    /// What has no name that a store gives.
    pub other: (u64, u64),
}

/// The packs of a store as their footers say.
#[derive(Debug, Clone)]
pub struct PackState {
    /// All packs with their lengths, by name.
    pub packs: Vec<(PackId, u64)>,
    /// Packs whose footers cannot be read.
    pub unreadable: Vec<UnreadablePack>,
    /// Objects under `gc/` that cannot be read, and why.
    pub unreadable_records: Vec<(String, FormatError)>,
}
