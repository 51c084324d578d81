//! The real file system. The only file of the crate that opens files.
//!
//! Every open is `O_NOFOLLOW`, so no link in the last part of a path is followed, and
//! `O_NONBLOCK` for reading, so that a pipe planted under an object's name cannot stop us.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Entry, EntryKind, Vfs, VfsError, VfsErrorKind, VfsFile};

/// The file system of this machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsVfs;

/// Which kind of failure an error number of the system is.
fn kind_of(error: Errno) -> VfsErrorKind {
    match error {
        Errno::NOENT => VfsErrorKind::NotFound,
        Errno::EXIST => VfsErrorKind::Exists,
        Errno::ACCESS | Errno::ROFS | Errno::PERM => VfsErrorKind::Denied,
        Errno::NOSPC | Errno::DQUOT => VfsErrorKind::NoSpace,
        Errno::AGAIN | Errno::INTR | Errno::BUSY | Errno::TIMEDOUT => VfsErrorKind::Transient,
        _ => VfsErrorKind::Other,
    }
}

/// The path behind all links, whether the file itself is there or not.
#[expect(
    clippy::disallowed_methods,
    reason = "the Vfs follows no links; nothing is opened"
)]
pub fn real_path(given: &Path) -> PathBuf {
    let beside = || {
        let folder = std::fs::canonicalize(super::folder_of(given)).ok()?;
        Some(folder.join(given.file_name()?))
    };
    std::fs::canonicalize(given)
        .ok()
        .or_else(beside)
        .unwrap_or_else(|| given.to_owned())
}

/// An error of the system, with the operation and the path.
fn failed(op: &'static str, path: &Path, error: impl Into<io::Error>) -> VfsError {
    let cause: io::Error = error.into();
    let kind = Errno::from_io_error(&cause).map_or(VfsErrorKind::Other, kind_of);
    VfsError {
        kind,
        op,
        path: path.to_owned(),
        cause,
    }
}

/// A rename or link that failed. When the device or the network failed under it, the name may
/// have changed all the same.
fn failed_move(op: &'static str, path: &Path, error: Errno) -> VfsError {
    let mut error_here = failed(op, path, error);
    if matches!(error, Errno::IO | Errno::TIMEDOUT | Errno::STALE) {
        error_here.kind = VfsErrorKind::OutcomeUnknown;
    }
    error_here
}

/// Opens something that exists, never through a link in the last part of the path.
fn open_existing(op: &'static str, path: &Path, flags: OFlags) -> Result<File, VfsError> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
        .map(File::from)
        .map_err(|error| match error {
            Errno::LOOP => not_regular(op, path),
            error => failed(op, path, error),
        })
}

fn not_regular(op: &'static str, path: &Path) -> VfsError {
    VfsError::new(VfsErrorKind::Other, op, path, "not a regular file")
}

/// Opens a regular file for reading; gives its length too.
fn open_file(op: &'static str, path: &Path) -> Result<(File, u64), VfsError> {
    let file = open_existing(op, path, OFlags::RDONLY)?;
    let facts = file.metadata().map_err(|error| failed(op, path, error))?;
    if facts.is_file() {
        Ok((file, facts.len()))
    } else {
        Err(not_regular(op, path))
    }
}

/// A length that must fit into memory.
fn memory_len(op: &'static str, path: &Path, bytes: u64) -> Result<usize, VfsError> {
    usize::try_from(bytes).map_err(|error| VfsError::new(VfsErrorKind::Other, op, path, error))
}

/// Publishes on file systems that cannot rename without replacing: a second name is refused if
/// taken, then the first one goes.
fn publish_by_link(from: &Path, to: &Path) -> Result<(), VfsError> {
    rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())
        .map_err(|error| failed_move("publish", to, error))?;
    // The file has its final name; a temporary name that stays is not an error of the publishing.
    let _left_over = rustix::fs::unlinkat(CWD, from, AtFlags::empty());
    Ok(())
}

/// A file being written on the real file system.
struct OsFile {
    file: File,
    path: PathBuf,
}

impl VfsFile for OsFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, VfsError> {
        retry_on_intr(|| rustix::io::write(&self.file, bytes))
            .map_err(|error| failed("write", &self.path, error))
    }

    fn sync(&mut self) -> Result<(), VfsError> {
        // All, not data only: the length of a new file must survive as well.
        self.file
            .sync_all()
            .map_err(|error| failed("sync", &self.path, error))
    }

    fn make_read_only(&mut self) -> Result<(), VfsError> {
        match rustix::fs::fchmod(&self.file, Mode::from_raw_mode(0o444)) {
            Ok(()) => Ok(()),
            // File systems without permissions (FAT, some network mounts) refuse; objects are
            // immutable by protocol, the mode only guards against accidents.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(failed("protect", &self.path, error)),
        }
    }
}

/// Entries beneath a folder, so many levels down.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
fn walk(vfs: &OsVfs, dir: &Path, depth_max: usize) -> Result<Vec<Entry>, VfsError> {
    let mut entries = Vec::new();
    for found in walkdir::WalkDir::new(dir).min_depth(1).max_depth(depth_max) {
        match found {
            Ok(found) => {
                let relative = found.path().strip_prefix(dir).unwrap_or(found.path());
                entries.extend(vfs.entry(found.path())?.map(|entry| Entry {
                    path: relative.to_owned(),
                    ..entry
                }));
            }
            Err(error) => {
                let deep = error.depth() > 0;
                let path = error.path().unwrap_or(dir).to_owned();
                // Without an error of the system: a loop of links, which we never follow.
                let cause = error.into_io_error().unwrap_or(io::ErrorKind::Other.into());
                let error = failed("list", &path, cause);
                // Another process removed it while we walked: then it is not there.
                if !(deep && error.kind == VfsErrorKind::NotFound) {
                    return Err(error);
                }
            }
        }
    }
    entries.sort();
    Ok(entries)
}

impl Vfs for OsVfs {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o600)))
            .map_err(|error| failed("create", path, error))?;
        Ok(Box::new(OsFile {
            file: File::from(fd),
            path: path.to_owned(),
        }))
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        let (file, _) = open_file("sync", path)?;
        file.sync_all().map_err(|error| failed("sync", path, error))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        // The folder itself may be a link that the user made (the store's root); a file may not.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
            .map_err(|error| failed("sync folder", path, error))?;
        match rustix::fs::fsync(&folder) {
            Ok(()) => Ok(()),
            // Some network and FUSE file systems do not know the operation for folders: there is
            // nothing to wait for. PostgreSQL passes over the same two.
            Err(Errno::INVAL | Errno::BADF) => Ok(()),
            Err(error) => Err(VfsError {
                kind: VfsErrorKind::OutcomeUnknown,
                ..failed("sync folder", path, error)
            }),
        }
    }

    fn publish_no_replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => publish_by_link(from, to),
            Err(error) => Err(failed_move("publish", to, error)),
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        rustix::fs::renameat(CWD, from, CWD, to).map_err(|error| failed_move("replace", to, error))
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        let (file, bytes) = open_file("read", path)?;
        let mut out = Vec::new();
        if bytes <= bytes_max {
            out.reserve_exact(memory_len("read", path, bytes)?);
            // One byte more than allowed, so that a file that grows meanwhile is noticed.
            file.take(bytes_max.saturating_add(1))
                .read_to_end(&mut out)
                .map_err(|error| failed("read", path, error))?;
        }
        if bytes > bytes_max || u64::try_from(out.len()).is_ok_and(|read| read > bytes_max) {
            let cause = format!("longer than {bytes_max} bytes");
            return Err(VfsError::new(VfsErrorKind::Other, "read", path, cause));
        }
        Ok(out)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        let (file, file_bytes) = open_file("read", path)?;
        if offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
            let cause = format!("{file_bytes} bytes long, {bytes} wanted from {offset}");
            return Err(VfsError::new(VfsErrorKind::Other, "read", path, cause));
        }
        let mut out = vec![0; memory_len("read", path, bytes)?];
        file.read_exact_at(&mut out, offset)
            .map_err(|error| failed("read", path, error))?;
        Ok(out)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        walk(self, dir, usize::MAX)
    }

    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        walk(self, dir, 1)
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        let facts = match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(facts) => facts,
            // Below what is no folder there is nothing.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(failed("look at", path, error)),
        };
        let kind = match FileType::from_raw_mode(facts.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Folder,
            _ => EntryKind::Foreign,
        };
        let bytes = match kind {
            EntryKind::File => u64::try_from(facts.st_size).unwrap_or(0),
            EntryKind::Folder | EntryKind::Foreign => 0,
        };
        Ok(Some(Entry {
            path: path.to_owned(),
            kind,
            bytes,
        }))
    }

    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        rustix::fs::unlinkat(CWD, path, AtFlags::empty())
            .map_err(|error| failed("remove", path, error))
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o700))
            .map_err(|error| failed("create folder", path, error))
    }

    fn free_bytes(&self, dir: &Path) -> Option<u64> {
        let space = rustix::fs::statvfs(dir).ok()?;
        space.f_bavail.checked_mul(space.f_frsize)
    }

    fn identity(&self, path: &Path) -> Option<String> {
        let facts = rustix::fs::stat(path).ok()?;
        match facts.st_ino {
            // A file system without such numbers.
            0 => Some(real_path(path).display().to_string()),
            inode => Some(format!("{}:{inode}", facts.st_dev)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_by_link_refuses_a_taken_name_and_leaves_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        drop(OsVfs.create_new(&from).unwrap());
        publish_by_link(&from, &to).unwrap();
        assert_eq!(OsVfs.list(dir.path()).unwrap().len(), 1);
        drop(OsVfs.create_new(&from).unwrap());
        let error = publish_by_link(&from, &to).unwrap_err();
        assert_eq!(error.kind, VfsErrorKind::Exists);
    }

    #[test]
    fn error_numbers_have_the_kinds_that_callers_branch_on() {
        for (error, kind) in [
            (Errno::NOENT, VfsErrorKind::NotFound),
            (Errno::EXIST, VfsErrorKind::Exists),
            (Errno::ROFS, VfsErrorKind::Denied),
            (Errno::DQUOT, VfsErrorKind::NoSpace),
            (Errno::AGAIN, VfsErrorKind::Transient),
            (Errno::IO, VfsErrorKind::Other),
        ] {
            assert_eq!(failed("read", Path::new("x"), error).kind, kind, "{error}");
        }
        let moved = failed_move("publish", Path::new("x"), Errno::IO);
        assert_eq!(moved.kind, VfsErrorKind::OutcomeUnknown);
    }
}
