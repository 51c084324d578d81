//! A store in which somebody else does something whenever an object is about to be put: what a
//! clean-up, or a hand, may do between two steps of a writer.

use std::fmt;
use std::sync::Arc;

use larder::backend::{Backend, BackendError, ObjectInfo};

/// What is done to the store before the object of this name is put.
type Hook = dyn Fn(&dyn Backend, &str) -> Result<(), BackendError> + Send + Sync;

pub struct Interfering {
    inner: Arc<dyn Backend>,
    before_put_new: Box<Hook>,
}

impl Interfering {
    pub fn new(
        inner: Arc<dyn Backend>,
        before_put_new: impl Fn(&dyn Backend, &str) -> Result<(), BackendError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            before_put_new: Box::new(before_put_new),
        }
    }
}

impl fmt::Debug for Interfering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interfering").finish_non_exhaustive()
    }
}

impl Backend for Interfering {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        (self.before_put_new)(&*self.inner, name)?;
        self.inner.put_new(name, bytes)
    }
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.put(name, bytes)
    }
    fn barrier(&self) -> Result<(), BackendError> {
        self.inner.barrier()
    }
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.inner.get(name, bytes_max)
    }
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.inner.get_range(name, offset, bytes)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        self.inner.list(prefix)
    }
    fn delete(&self, name: &str) -> Result<(), BackendError> {
        self.inner.delete(name)
    }
    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.inner.foreign()
    }
}
