//! SEAM: a place that keeps objects by name. The store above knows nothing of files.
//!
//! Names are relative paths of ASCII letters, digits, `.`, `-`, `_` and `/`. The sentences B1 to
//! B8 are the contract; `testkit::backend_suite` tests each for every implementation.

pub mod local;
pub mod memory;

use std::fmt;

/// An object that a listing showed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectInfo {
    /// Name, relative to the store.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What kind of failure it was; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendErrorKind {
    /// No object (or store) of this name.
    NotFound,
    /// An object of this name exists already.
    Exists,
    /// Not permitted, or read-only.
    Denied,
    /// No space left, or a quota is used up.
    NoSpace,
    /// May succeed when tried again.
    Transient,
    /// It is not known whether the object was written.
    OutcomeUnknown,
    /// Anything else.
    Other,
}

/// A backend operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {name}: {cause}")]
pub struct BackendError {
    /// What kind of failure.
    pub kind: BackendErrorKind,
    /// The operation, a verb: `read`, `write`, `list`, `delete`.
    pub op: &'static str,
    /// The object, or the prefix that was listed.
    pub name: String,
    /// What the system said.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Keeps objects.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Where the objects are, for messages.
    fn location(&self) -> String;

    /// Creates an object.
    ///
    /// B1: of several calls with one name exactly one succeeds, also at once and from several
    /// processes; the others get `Exists`, or `Ok` if the bytes are equal to those there.
    /// B2: a reader sees the whole object or none.
    fn put_new(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError>;

    /// Writes an object, replacing one of that name whole. Only writer records are ever replaced.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), BackendError>;

    /// B3: after `Ok`, everything that this value has put is durable: it survives a power cut.
    fn barrier(&self) -> Result<(), BackendError>;

    /// Reads a whole object. B4: absent: `NotFound`. `bytes_max` bounds what is accepted: a longer
    /// object is an error of kind `Other`, read no further.
    fn get(&self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackendError>;

    /// Reads exactly `bytes` bytes from `offset`. B5: a shorter object gives an error of kind
    /// `Other`, never fewer bytes.
    fn get_range(&self, name: &str, offset: u64, bytes: u64) -> Result<Vec<u8>, BackendError>;

    /// Lists the objects whose names begin with `prefix` (empty, or ending in `/`), sorted by name.
    /// B6: it shows every object that was put before the call and not deleted. Absent: an empty list.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BackendError>;

    /// Deletes an object. B7: an absent one is `NotFound`.
    fn delete(&self, name: &str) -> Result<(), BackendError>;

    /// B8: entries that are no objects (a symbolic link, a device, a name outside the alphabet),
    /// as their paths relative to the store: named to the user, never read.
    fn foreign(&self) -> Result<Vec<String>, BackendError>;
}
