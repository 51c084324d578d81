//! SEAM: a place that keeps objects by name. The store above knows nothing of files.
//!
//! Names are relative paths of ASCII letters, digits, `.`, `-`, `_` and `/`. The sentences B1 to
//! B9 are the contract; `testkit::backend_suite` tests each for every implementation.

pub mod local;
pub mod memory;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::env::Env;
use crate::vfs::{Vfs, VfsErrorKind};

use local::LocalBackend;

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

impl BackendError {
    /// A failure of an operation on an object, with its cause.
    pub fn new(
        kind: BackendErrorKind,
        op: &'static str,
        name: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            op,
            name: name.to_owned(),
            cause: cause.into(),
        }
    }
}

impl From<VfsErrorKind> for BackendErrorKind {
    fn from(kind: VfsErrorKind) -> Self {
        match kind {
            VfsErrorKind::NotFound => Self::NotFound,
            VfsErrorKind::Exists => Self::Exists,
            VfsErrorKind::Denied => Self::Denied,
            VfsErrorKind::NoSpace => Self::NoSpace,
            VfsErrorKind::Transient => Self::Transient,
            VfsErrorKind::OutcomeUnknown => Self::OutcomeUnknown,
            VfsErrorKind::Other => Self::Other,
        }
    }
}

/// Opens the place that a location names: the path of a folder, which need not exist yet.
///
/// Nothing is read or made here; the folder is made with the first object. A location of another
/// kind (`s3://...`) is an error of kind `Other`.
pub fn open(
    location: &Path,
    vfs: Arc<dyn Vfs>,
    env: Arc<dyn Env>,
) -> Result<Arc<dyn Backend>, BackendError> {
    let text = location.to_string_lossy();
    let refused = |cause: String| BackendError::new(BackendErrorKind::Other, "open", &text, cause);
    match text.split_once("://") {
        Some((scheme, _)) => Err(refused(format!(
            "stores of kind {scheme}:// are not supported"
        ))),
        None if text.is_empty() => Err(refused("the location is empty".to_owned())),
        // Never from the text: a path need not be UTF-8.
        None => Ok(Arc::new(LocalBackend::new(vfs, env, location.to_owned()))),
    }
}

/// Whether a path relative to the store may name an object.
///
/// `tmp/` belongs to the backend, and known strangers are somebody else's.
pub fn is_object_name(name: &str) -> bool {
    let good_part = |part: &str| {
        let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
        !matches!(part, "" | "." | "..") && part.bytes().all(good)
    };
    name.split('/').all(good_part)
        && name != "tmp"
        && !name.starts_with("tmp/")
        && !is_known_stranger(name)
}

/// Whether a path relative to the store is known to be there without being an object.
///
/// `*.zip` beside `config`: exports that `backup --zip` writes into the store's folder because
/// people look for them there. They are neither listed as objects nor reported as foreign.
pub fn is_known_stranger(name: &str) -> bool {
    !name.contains('/') && name.ends_with(".zip")
}

/// An error for a name that cannot be an object's: a fault of the caller, or of a hostile store.
fn checked_name(op: &'static str, name: &str) -> Result<(), BackendError> {
    if is_object_name(name) {
        Ok(())
    } else {
        let cause = "not the name of an object";
        Err(BackendError::new(BackendErrorKind::Other, op, name, cause))
    }
}

/// The same for a prefix: empty, or a folder with its `/`.
fn checked_prefix(prefix: &str) -> Result<(), BackendError> {
    match prefix.strip_suffix('/') {
        Some(folder) => checked_name("list", folder),
        None if prefix.is_empty() => Ok(()),
        None => {
            let cause = "a prefix ends in '/'";
            Err(BackendError::new(
                BackendErrorKind::Other,
                "list",
                prefix,
                cause,
            ))
        }
    }
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

    /// B3: after `Ok`, everything that this value has put is durable: it survives a power cut. So are the
    /// packs that it has listed, whoever put them.
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

    /// What is being written and is no object yet, or was left so by a process that died; names that
    /// mean something to [`Backend::remove_unfinished`] only.
    fn unfinished(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    /// What tells this place from a copy of it on the same machine, however it is named; `None` where that
    /// cannot be told.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Takes one of them away; gone already is no error. B9: a process that is still writing it loses
    /// nothing: it writes the object again.
    fn remove_unfinished(&self, _name: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_told_from_the_rest() {
        for name in ["config", "packs/ab/abcd", "gc/x.final", "a/b.zip", "tmpx"] {
            assert!(is_object_name(name), "{name}");
        }
        for name in [
            "", "/", "a//b", "../x", "a/..", "a b", "é", "tmp", "tmp/x", "b.zip", "a/",
        ] {
            assert!(!is_object_name(name), "{name}");
        }
    }
}
