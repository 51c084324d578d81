//! SEAM: files. Whatever opens, writes, lists or removes a file does it through [`Vfs`].
//!
//! Never lies under SQLite: opening and closing a database file that SQLite has open in this
//! process would drop its locks. The sentences V1 to V12 are the contract; `testkit::vfs_suite`
//! tests each for every implementation. Real: [`os`]; in tests: `testkit::memory_vfs`.

pub mod os;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What kind of failure it was; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VfsErrorKind {
    /// Nothing is at this path.
    NotFound,
    /// Something is at this path already.
    Exists,
    /// Not permitted, or read-only.
    Denied,
    /// No space left, or a quota is used up.
    NoSpace,
    /// May succeed when tried again.
    Transient,
    /// It is not known whether the operation took effect, or whether it will survive a power cut.
    OutcomeUnknown,
    /// Anything else.
    Other,
}

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {cause}", path.display())]
pub struct VfsError {
    /// What kind of failure.
    pub kind: VfsErrorKind,
    /// The operation, a verb: `create`, `write`, `sync`, `publish`, `read`, `list`, `remove`.
    pub op: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl VfsError {
    /// A failure with a cause in words.
    pub fn new(
        kind: VfsErrorKind,
        op: &'static str,
        path: &Path,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            op,
            path: path.to_owned(),
            cause: io::Error::other(cause),
        }
    }
}

/// What stands under a name. A link is never followed to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a symbolic link, a device, a pipe, a socket.
    Foreign,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Path relative to the folder that was listed; for [`Vfs::entry`] the path as it was given.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Length in bytes of a regular file, else 0.
    pub bytes: u64,
}

/// A file being written. Dropping it closes it, without making anything durable.
pub trait VfsFile: Send {
    /// Appends bytes. V2: takes some of them from the front, at least one, and returns how many;
    /// or fails. [`write_all`] repeats it.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError>;

    /// Makes the bytes durable. V3: after `Ok` everything written survives a power cut (under a
    /// name that is durable by V4). After an error the file is spoilt: a second call may succeed
    /// without having written anything, so write another file instead.
    fn sync(&mut self) -> Result<(), VfsError>;

    /// Takes away the permission to write from everybody, where the file system knows of
    /// permissions: a published object is never changed again.
    fn make_read_only(&mut self) -> Result<(), VfsError>;
}

/// Files and folders. Paths are used as given; a relative one starts at the current folder.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Creates an empty file that only its owner may read, for writing.
    /// V1: where anything is already, a link to nowhere too, the error is `Exists` and it stays untouched.
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError>;

    /// Makes a file durable that somebody else wrote, as SQLite a restored database. V3 holds.
    /// Only for a file that this process has closed everywhere.
    fn sync_file(&self, path: &Path) -> Result<(), VfsError>;

    /// Makes the names in a folder durable. V4: after `Ok` every name created, moved or removed in
    /// it before the call is so after a power cut. After an error that is unknown for good.
    fn sync_dir(&self, path: &Path) -> Result<(), VfsError>;

    /// Gives a finished file its final name, on the same file system. V5: if anything is at `to`,
    /// the error is `Exists` and both stay as they are; of several calls with one `to`, at once and
    /// from several processes, exactly one succeeds; a reader of `to` sees nothing or the whole file.
    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError>;

    /// Gives a finished file a name that may be taken: for writer records only. V6: a reader of
    /// `to` sees the whole old file or the whole new one.
    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError>;

    /// Reads a whole file. V7: absent: `NotFound`; longer than `bytes_max`: `Other`, read no further.
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError>;

    /// Reads exactly `bytes` bytes from `offset`. V8: a shorter file gives an error of kind
    /// `Other`, found before memory is taken, never fewer bytes.
    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError>;

    /// Lists everything beneath a folder, sorted by path. V9: whatever was there before the call
    /// and is not removed during it is listed, links as `Foreign` and never entered. Absent:
    /// `NotFound`. The folder itself may be reached through a link.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError>;

    /// Lists a folder's own entries, as `list` does, without entering folders: V9 holds.
    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError>;

    /// What is at a path; `None`: nothing. V10: neither this nor any other operation follows a
    /// link in the last part of a path; reading through one is an error of kind `Other`.
    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError>;

    /// Removes a file or a link. V11: absent: `NotFound`. Durable after `sync_dir`.
    fn unlink(&self, path: &Path) -> Result<(), VfsError>;

    /// Makes one folder that only its owner may enter. V12: `Exists` if anything is there,
    /// `NotFound` without its parent. Durable after `sync_dir` of the parent.
    fn create_dir(&self, path: &Path) -> Result<(), VfsError>;

    /// Bytes that this user may still write in a folder's file system; `None`: not known. A guess, for
    /// others write too.
    fn free_bytes(&self, dir: &Path) -> Option<u64>;

    /// What tells the file or folder at a path, behind links, from all others of this machine, however the
    /// path is spelt; `None`: nothing is there, or it cannot be told.
    fn identity(&self, _path: &Path) -> Option<String> {
        None
    }
}

/// Writes all bytes, however short the single writes are.
///
/// A write that takes nothing, or claims more than it was given, is an error: the loop ends.
pub fn write_all(file: &mut dyn VfsFile, path: &Path, bytes: &[u8]) -> Result<(), VfsError> {
    let mut left = bytes;
    while !left.is_empty() {
        let count = file.write(left)?;
        left = match left.get(count..) {
            Some(rest) if count > 0 => rest,
            _ => {
                let cause = format!("a write of {} bytes took {count}", left.len());
                return Err(VfsError::new(VfsErrorKind::Other, "write", path, cause));
            }
        };
    }
    Ok(())
}

/// The folder that holds a path; `.` for a bare file name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}
