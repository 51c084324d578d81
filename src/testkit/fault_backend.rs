//! A [`Backend`] over another one whose N-th call fails, once or for ever, or loses its reply.

use std::sync::Arc;

use super::faults::{Fault, Faults, Operation};
use crate::backend::{Backend, BackendError, BackendErrorKind, ObjectInfo};

/// A failing [`Backend`]. Clones share plan and log.
#[derive(Debug, Clone)]
pub struct FaultBackend {
    inner: Arc<dyn Backend>,
    faults: Arc<Faults<BackendErrorKind>>,
}

impl FaultBackend {
    /// Nothing fails until [`FaultBackend::fail`].
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
            faults: Arc::default(),
        }
    }

    /// Plans a failure. Calls count from the last [`FaultBackend::reset`].
    pub fn fail(&self, fault: Fault<BackendErrorKind>) {
        self.faults.fail(fault);
    }

    /// Forgets plan and log.
    pub fn reset(&self) {
        self.faults.reset();
    }

    /// How many calls there were since the last reset.
    pub fn count(&self) -> usize {
        self.faults.count()
    }

    /// The calls since the last reset.
    pub fn log(&self) -> Vec<Operation> {
        self.faults.log()
    }

    fn run<T>(
        &self,
        op: &'static str,
        name: &str,
        work: impl FnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let failure = |kind| BackendError::new(kind, op, name, "planned fault");
        self.faults.run(op, name, || work(&*self.inner), failure)
    }
}

impl Backend for FaultBackend {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.run("write", name, |backend| backend.put_new(name, bytes))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.run("replace", name, |backend| backend.put(name, bytes))
    }

    fn barrier(&self) -> Result<(), BackendError> {
        self.run("sync", "", |backend| backend.barrier())
    }

    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError> {
        self.run("read", name, |backend| backend.get(name, bytes_max))
    }

    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError> {
        self.run("read", name, |backend| {
            backend.get_range(name, offset, bytes)
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError> {
        self.run("list", prefix, |backend| backend.list(prefix))
    }

    fn delete(&self, name: &str) -> Result<(), BackendError> {
        self.run("delete", name, |backend| backend.delete(name))
    }

    fn foreign(&self) -> Result<Vec<String>, BackendError> {
        self.run("list", "", |backend| backend.foreign())
    }

    fn unfinished(&self) -> Result<Vec<String>, BackendError> {
        self.run("list", "", |backend| backend.unfinished())
    }

    fn remove_unfinished(&self, name: &str) -> Result<(), BackendError> {
        self.run("delete", name, |backend| backend.remove_unfinished(name))
    }
}
