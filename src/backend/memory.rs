//! A store in memory: for tests, and for dry runs, where it lies over the real store.
//!
//! Over another backend it reads through and keeps every change to itself, so a dry run takes the
//! same path as a real one and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, BackendError, BackendErrorKind, ObjectInfo, checked_name, checked_prefix};

/// Objects in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    /// What is read where memory has nothing.
    base: Option<Arc<dyn Backend>>,
    /// Names of the base's objects that were deleted here are kept as `None`.
    objects: Mutex<BTreeMap<String, Option<Arc<[u8]>>>>,
}

impl MemoryBackend {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The objects of `base`, and whatever is put or deleted here; `base` is only read.
    pub fn over(base: Arc<dyn Backend>) -> Self {
        Self {
            base: Some(base),
            objects: Mutex::default(),
        }
    }

    /// Bytes of all objects put here and not deleted.
    pub fn bytes_held(&self) -> u64 {
        let objects = self.objects();
        objects.values().flatten().map(|bytes| len(bytes)).sum()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Option<Arc<[u8]>>>> {
        // Every change is one insertion: a panic elsewhere leaves no half of it.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What memory says of a name: `None`, ask the base; `Some(None)`, deleted here.
    fn held(&self, name: &str) -> Option<Option<Arc<[u8]>>> {
        self.objects().get(name).cloned()
    }

    /// Whether the base holds an object, and whether with these bytes.
    fn base_holds(&self, name: &str, bytes: &[u8]) -> Result<Option<bool>, BackendError> {
        let Some(base) = &self.base else {
            return Ok(None);
        };
        // A listing of one folder, not a read: what is there may be larger than what is put.
        let folder = name.rfind('/').map_or("", |end| &name[..=end]);
        let there = base.list(folder)?;
        match there.iter().find(|object| object.name == name) {
            None => Ok(None),
            Some(object) if object.bytes == len(bytes) => {
                Ok(Some(base.get(name, object.bytes)? == bytes))
            }
            Some(_) => Ok(Some(false)),
        }
    }
}

fn len(bytes: &[u8]) -> u64 {
    bytes.len().try_into().unwrap_or(u64::MAX)
}

fn absent(op: &'static str, name: &str) -> BackendError {
    BackendError::new(BackendErrorKind::NotFound, op, name, "no such object")
}

fn taken(name: &str) -> BackendError {
    let cause = "what is there has other content";
    BackendError::new(BackendErrorKind::Exists, "write", name, cause)
}

impl Backend for MemoryBackend {
    fn location(&self) -> String {
        match &self.base {
            Some(base) => base.location(),
            None => "memory".to_owned(),
        }
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        checked_name("write", name)?;
        let below = match self.held(name) {
            None => self.base_holds(name, bytes)?,
            Some(_) => None,
        };
        // One lock over looking and inserting: of several calls at once one wins.
        let mut objects = self.objects();
        match (objects.get(name), below) {
            (Some(Some(there)), _) if **there == *bytes => Ok(()),
            (Some(Some(_)), _) | (None, Some(false)) => Err(taken(name)),
            (None, Some(true)) => Ok(()),
            (Some(None) | None, _) => {
                objects.insert(name.to_owned(), Some(bytes.into()));
                Ok(())
            }
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        checked_name("write", name)?;
        self.objects().insert(name.to_owned(), Some(bytes.into()));
        Ok(())
    }

    fn barrier(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        checked_name("read", name)?;
        match (self.held(name), &self.base) {
            (Some(Some(bytes)), _) if len(&bytes) <= bytes_max => Ok(bytes.to_vec()),
            (Some(Some(_)), _) => {
                let cause = format!("longer than {bytes_max} bytes");
                Err(BackendError::new(
                    BackendErrorKind::Other,
                    "read",
                    name,
                    cause,
                ))
            }
            (None, Some(base)) => base.get(name, bytes_max),
            (Some(None), _) | (None, None) => Err(absent("read", name)),
        }
    }

    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        checked_name("read", name)?;
        match (self.held(name), &self.base) {
            (Some(Some(held)), _) => {
                let start = usize::try_from(offset).ok();
                let end = offset
                    .checked_add(bytes)
                    .and_then(|end| usize::try_from(end).ok());
                let range = start.zip(end).and_then(|(start, end)| held.get(start..end));
                range.map(<[u8]>::to_vec).ok_or_else(|| {
                    let there = held.len();
                    let cause = format!("{there} bytes long, {bytes} wanted from {offset}");
                    BackendError::new(BackendErrorKind::Other, "read", name, cause)
                })
            }
            (None, Some(base)) => base.get_range(name, offset, bytes),
            (Some(None), _) | (None, None) => Err(absent("read", name)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        checked_prefix(prefix)?;
        let below = match &self.base {
            Some(base) => base.list(prefix)?,
            None => Vec::new(),
        };
        let objects = self.objects();
        let below = below
            .into_iter()
            .filter(|object| !objects.contains_key(&object.name));
        let held = objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .filter_map(|(name, bytes)| {
                Some(ObjectInfo {
                    name: name.clone(),
                    bytes: len(bytes.as_ref()?),
                })
            });
        Ok(below
            .chain(held)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect())
    }

    fn delete(&self, name: &str) -> Result<(), BackendError> {
        checked_name("delete", name)?;
        let below = self.base_holds(name, &[])?.is_some();
        // One lock over looking and removing: of several calls at once one wins.
        let mut objects = self.objects();
        let there = objects.get(name).map_or(below, Option::is_some);
        if !there {
            return Err(absent("delete", name));
        }
        // Kept as deleted only where the base would show through.
        if below {
            objects.insert(name.to_owned(), None);
        } else {
            objects.remove(name);
        }
        Ok(())
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.base
            .as_ref()
            .map_or(Ok(Vec::new()), |base| base.foreign())
    }
}
