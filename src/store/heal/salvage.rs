//! What can be had of damaged packs: copies in them that are good by themselves, and, where parity or a
//! second copy makes a pack whole, all of it. Every blob is proven by its id.
//!
//! Packs are made whole in memory, one or two at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};
use crate::format::blob::{BlobError, BlobKind, BlobSource};
use crate::format::name;
use crate::model::id::{BlobId, PackId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::parity::Rebuilt;
use crate::store::reader::StoreReader;
use crate::store::usable::Excluded;

/// Packs that are kept in memory as they should be.
const AT_HAND: usize = 2;

/// What makes a damaged pack whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeBy {
    /// Its parity.
    Parity,
    /// Its second copy.
    SecondCopy,
    /// Nothing: it can be read again.
    Itself,
}

/// Reads what a store has, damaged packs included.
#[derive(Debug)]
pub struct Salvage {
    plain: StoreReader,
    /// With packs as their parity makes them; `None` where no pack can be made whole.
    rebuilt: Option<StoreReader>,
}

impl Store {
    /// Reads from everything that is there. `damaged`: packs of which this is known, whether marked or
    /// not; `rebuildable`: those that can be made whole, with their right lengths.
    pub fn salvage(
        &self,
        damaged: &BTreeSet<PackId>,
        rebuildable: &BTreeMap<PackId, u64>,
    ) -> Result<Salvage, StoreError> {
        let mut excluded = Excluded::read(&*self.backend, self.hash)?;
        excluded.damaged.extend(damaged);
        // Beside damage no cache is believed: a footer that cannot be read any more may be in it.
        let plain = match damaged.is_empty() {
            true => StoreReader::new(
                self.backend.clone(),
                self.hash,
                self.load_index(excluded.clone())?,
            ),
            false => self.searched(self.backend.clone(), excluded.clone())?,
        };
        if rebuildable.is_empty() {
            let rebuilt = None;
            return Ok(Salvage { plain, rebuilt });
        }
        let backend: Arc<dyn Backend> = Arc::new(RebuiltPacks {
            store: self.again(),
            lengths: rebuildable.clone(),
            at_hand: Mutex::default(),
        });
        let rebuilt = Some(self.searched(backend, excluded)?);
        Ok(Salvage { plain, rebuilt })
    }

    /// The right length of a pack that can be made whole, and by what.
    pub fn rebuilt_bytes(&self, pack: &PackId) -> Result<Option<(u64, WholeBy)>, StoreError> {
        let whole = self.made_whole(pack)?;
        Ok(whole.map(|(bytes, by)| (bytes.len() as u64, by)))
    }

    fn made_whole(&self, pack: &PackId) -> Result<Option<(Vec<u8>, WholeBy)>, StoreError> {
        Ok(match self.rebuild(pack)? {
            Rebuilt::FromParity { bytes, .. } => Some((bytes, WholeBy::Parity)),
            Rebuilt::FromSecond(bytes) => Some((bytes, WholeBy::SecondCopy)),
            // What could not be read a moment ago can be now.
            Rebuilt::Whole => {
                let bytes = self.pack_as_found(pack, u64::MAX)?;
                bytes.map(|bytes| (bytes, WholeBy::Itself))
            }
            Rebuilt::Lost { .. } | Rebuilt::Unproven | Rebuilt::NoParity(_) => None,
        })
    }

    /// Another door to the same store.
    fn again(&self) -> Self {
        Self {
            backend: self.backend.clone(),
            env: self.env.clone(),
            hash: self.hash,
            config: self.config.clone(),
            cache_dir: None,
            compression: self.compression,
            rules: self.rules,
        }
    }
}

impl Salvage {
    /// A blob from any copy that is good as it lies.
    pub fn plain(&self) -> &StoreReader {
        &self.plain
    }

    /// A blob from packs as their parity makes them; `None` where none can be made whole.
    pub fn rebuilt(&self) -> Option<&StoreReader> {
        self.rebuilt.as_ref()
    }
}

impl BlobSource for Salvage {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let plain = self.plain.get(kind, id);
        match (&plain, &self.rebuilt) {
            (Err(_), Some(rebuilt)) => rebuilt.get(kind, id).or(plain),
            _ => plain,
        }
    }
}

/// A pack as it should be.
type Whole = (PackId, Arc<Vec<u8>>);

/// The store with damaged packs as they should be. Read only.
#[derive(Debug)]
struct RebuiltPacks {
    store: Store,
    lengths: BTreeMap<PackId, u64>,
    at_hand: Mutex<VecDeque<Whole>>,
}

impl RebuiltPacks {
    fn whole(&self, pack: &PackId) -> Result<Option<Arc<Vec<u8>>>, BackendError> {
        let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = at_hand.iter().find(|(id, _)| id == pack) {
            return Ok(Some(bytes.clone()));
        }
        let failed = |error: StoreError| {
            let object = name::pack(pack);
            // A failed call is no damage: whoever asks must know which it is.
            let kind = error.backend_kind().unwrap_or(BackendErrorKind::Other);
            BackendError::new(kind, "rebuild", &object, error)
        };
        let made = match self.store.made_whole(pack) {
            // A bad sector is damage like any other, if it is bad twice.
            Err(error) if error.backend_kind() == Some(BackendErrorKind::Other) => {
                self.store.made_whole(pack)
            }
            made => made,
        };
        let Some((bytes, _)) = made.map_err(failed)? else {
            return Ok(None);
        };
        let bytes = Arc::new(bytes);
        at_hand.push_back((*pack, bytes.clone()));
        while at_hand.len() > AT_HAND {
            at_hand.pop_front();
        }
        Ok(Some(bytes))
    }

    fn refuse(&self, op: &'static str, object: &str) -> BackendError {
        BackendError::new(BackendErrorKind::Denied, op, object, "it is only read")
    }
}

impl Backend for RebuiltPacks {
    fn location(&self) -> String {
        self.store.backend.location()
    }

    fn put_new(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(self.refuse("write", name))
    }

    fn put(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(self.refuse("replace", name))
    }

    fn barrier(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.store.backend.get(name, bytes_max)
    }

    fn get_range(&self, object: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        let pack = name::parse_pack(object).filter(|pack| self.lengths.contains_key(pack));
        let whole = pack.map(|pack| self.whole(&pack)).transpose()?.flatten();
        let Some(whole) = whole else {
            return self.store.backend.get_range(object, offset, bytes);
        };
        let range = usize::try_from(offset).ok().and_then(|begin| {
            let end = begin.checked_add(usize::try_from(bytes).ok()?)?;
            whole.get(begin..end)
        });
        range.map(<[u8]>::to_vec).ok_or_else(|| {
            BackendError::new(BackendErrorKind::Other, "read", object, "it ends before")
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        let mut listed = self.store.backend.list(prefix)?;
        let mut seen = BTreeSet::new();
        for object in &mut listed {
            let Some(pack) = name::parse_pack(&object.name) else {
                continue;
            };
            if let Some(bytes) = self.lengths.get(&pack) {
                object.bytes = *bytes;
                seen.insert(pack);
            }
        }
        // Those that are gone and have a second copy.
        let gone = self
            .lengths
            .iter()
            .filter(|(pack, _)| !seen.contains(*pack));
        listed.extend(gone.filter_map(|(pack, bytes)| {
            let name = name::pack(pack);
            let bytes = *bytes;
            name.starts_with(prefix)
                .then_some(ObjectInfo { name, bytes })
        }));
        Ok(listed)
    }

    fn delete(&self, name: &str) -> Result<(), BackendError> {
        Err(self.refuse("delete", name))
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}
