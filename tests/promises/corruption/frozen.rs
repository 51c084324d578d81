//! Objects that never change, but for those that were put out of order.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use larder::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};

pub type Objects = BTreeMap<String, Vec<u8>>;
/// Objects and what is in their place (`None`: nothing).
pub type Altered = BTreeMap<String, Option<Vec<u8>>>;

/// A store that cannot be written, in which objects are exchanged from outside.
#[derive(Debug)]
pub struct Frozen {
    objects: Arc<Objects>,
    altered: RwLock<Altered>,
}

impl Frozen {
    pub fn new(objects: Arc<Objects>) -> Self {
        Self {
            objects,
            altered: RwLock::default(),
        }
    }

    /// From now on the store is whole but for these.
    pub fn alter(&self, altered: Altered) {
        *self.altered.write().unwrap() = altered;
    }

    fn with<T>(
        &self,
        name: &str,
        take: impl FnOnce(&[u8]) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let altered = self.altered.read().unwrap();
        let found = match altered.get(name) {
            Some(altered) => altered.as_ref(),
            None => self.objects.get(name),
        };
        let absent = || BackendError::new(BackendErrorKind::NotFound, "read", name, "absent");
        take(found.ok_or_else(absent)?)
    }

    fn refuse(op: &'static str, name: &str) -> BackendError {
        BackendError::new(BackendErrorKind::Denied, op, name, "read-only")
    }
}

impl Backend for Frozen {
    fn location(&self) -> String {
        "frozen".to_owned()
    }
    fn put_new(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(Self::refuse("write", name))
    }
    fn put(&self, name: &str, _: &[u8]) -> Result<(), BackendError> {
        Err(Self::refuse("write", name))
    }
    fn barrier(&self) -> Result<(), BackendError> {
        Err(Self::refuse("sync", ""))
    }
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.with(name, |bytes| {
            assert!(bytes.len() as u64 <= bytes_max);
            Ok(bytes.to_vec())
        })
    }
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        let end = offset.saturating_add(bytes);
        let range = usize::try_from(offset).unwrap()..usize::try_from(end).unwrap();
        let short = || BackendError::new(BackendErrorKind::Other, "read", name, "too short");
        self.with(name, |held| {
            held.get(range).map(<[u8]>::to_vec).ok_or_else(short)
        })
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        let altered = self.altered.read().unwrap();
        let mut listed: BTreeMap<&String, u64> = self
            .objects
            .range(prefix.to_owned()..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .map(|(name, bytes)| (name, bytes.len() as u64))
            .collect();
        for (name, bytes) in altered.iter().filter(|(name, _)| name.starts_with(prefix)) {
            match bytes {
                Some(bytes) => listed.insert(name, bytes.len() as u64),
                None => listed.remove(name),
            };
        }
        let info = |(name, bytes): (&String, u64)| ObjectInfo {
            name: name.clone(),
            bytes,
        };
        Ok(listed.into_iter().map(info).collect())
    }
    fn delete(&self, name: &str) -> Result<(), BackendError> {
        Err(Self::refuse("delete", name))
    }
    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}
