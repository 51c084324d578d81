//! What is asked of the file system about a source. Nothing is opened here while SQLite may have
//! the file open: closing a file drops every lock that this process holds on it
//! (howtocorrupt.html section 2.2).

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::error::SourceError;
use crate::vfs::os::real_path;
use crate::vfs::{EntryKind, Vfs, VfsError, VfsErrorKind};

/// Bytes at the beginning that tell a person what a file is.
const HEAD_BYTES: u64 = 16;

/// A file that may be opened as a database. Nothing of it has been read.
#[derive(Debug)]
pub(super) struct Looked {
    /// Absolute path, symbolic links resolved.
    pub path: PathBuf,
    /// Its length; 0: a valid empty database.
    pub bytes: u64,
    /// How many names (hard links) it has.
    pub names: u64,
    /// Length of the `-wal`, if there is one.
    pub wal: Option<u64>,
    /// True if there is a `-shm`.
    pub has_shm: bool,
    /// Length of the `-journal`, if there is one.
    pub journal: Option<u64>,
}

/// Resolves the path and tells what is no file; looks at what lies beside it.
pub(super) fn look(given: &Path, vfs: &dyn Vfs) -> Result<Looked, SourceError> {
    let path = resolve(given)?;
    let not = |found: &str| SourceError::NotADatabase {
        path: path.clone(),
        found: found.to_owned(),
    };
    let bytes = match vfs.entry(&path).map_err(|e| of_file("read", &path, e))? {
        None => return Err(SourceError::NotFound { path }),
        Some(entry) => match entry.kind {
            EntryKind::File => entry.bytes,
            EntryKind::Folder => return Err(not("it is a directory")),
            EntryKind::Foreign => return Err(not("it is not a regular file")),
        },
    };
    let beside = |suffix: &str| -> Result<Option<u64>, SourceError> {
        let path = sidecar(&path, suffix);
        let entry = vfs.entry(&path).map_err(|e| of_file("read", &path, e))?;
        Ok(entry.map(|entry| entry.bytes))
    };
    Ok(Looked {
        bytes,
        names: names_of(&path),
        wal: beside("-wal")?,
        has_shm: beside("-shm")?.is_some(),
        journal: beside("-journal")?,
        path,
    })
}

/// How many names (hard links) a file has; 1 if that cannot be told.
#[expect(
    clippy::disallowed_methods,
    reason = "the Vfs knows nothing of names; nothing is opened"
)]
fn names_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(1, |facts| facts.nlink())
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Absolute, symbolic links resolved.
#[expect(
    clippy::disallowed_methods,
    reason = "the Vfs follows no links; this only makes the path under which SQLite opens the file"
)]
fn resolve(given: &Path) -> Result<PathBuf, SourceError> {
    std::fs::canonicalize(given).map_err(|e| SourceError::file("find", given, e))
}

/// The path under which a snapshot of this database would be recorded, whether it is there or not.
pub fn recorded_path(given: &Path) -> PathBuf {
    real_path(given)
}

/// Refuses to go on without permission to write a file, or to make files in a folder.
pub(super) fn need_write(database: &Path, needed: &Path) -> Result<(), SourceError> {
    rustix::fs::access(needed, Access::WRITE_OK).map_err(|error| SourceError::WalNeedsWrite {
        path: database.to_owned(),
        needed: needed.to_owned(),
        cause: std::io::Error::from(error).to_string(),
    })
}

/// The answer of the Vfs about a file.
pub(super) fn of_file(op: &'static str, path: &Path, error: VfsError) -> SourceError {
    match error.kind {
        VfsErrorKind::NotFound => SourceError::NotFound {
            path: path.to_owned(),
        },
        VfsErrorKind::Denied => SourceError::Denied {
            path: path.to_owned(),
            cause: error.cause.to_string(),
        },
        _ => SourceError::file(op, path, error.cause),
    }
}

/// The error about a file that SQLite does not take for a database, told by its beginning. Only
/// once no connection is open: then it is nobody's database, and has no locks to lose.
pub(super) fn not_a_database(path: &Path, vfs: &dyn Vfs) -> SourceError {
    let read = || -> Result<String, VfsError> {
        let bytes = vfs.entry(path)?.map_or(0, |entry| entry.bytes);
        let head = vfs.read_at(path, 0, bytes.min(HEAD_BYTES))?;
        Ok(describe(&head, bytes))
    };
    match read() {
        Ok(found) => SourceError::NotADatabase {
            path: path.to_owned(),
            found,
        },
        Err(error) => of_file("read", path, error),
    }
}

/// What a file begins with, for a person.
fn describe(head: &[u8], bytes: u64) -> String {
    let printable = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0);
    if head.iter().all(printable) || !bytes.is_multiple_of(512) {
        return format!("it begins with \"{}\"", head.escape_ascii());
    }
    let digits: Vec<String> = head.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "it begins with the bytes {}, as an encrypted database may",
        digits.join(" ")
    )
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the files to look at are made here"
)]
mod tests {
    use super::*;
    use crate::vfs::os::OsVfs;

    fn told(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        not_a_database(file.path(), &OsVfs).to_string()
    }

    #[test]
    fn a_file_that_is_no_database_is_told_by_its_beginning() {
        assert!(told(b"PK\x03\x04rest of a zip archive").contains(r#"begins with "PK\x03\x04"#));
        assert!(told(b"id,name\n1,Anna\n").contains(r#"begins with "id,name\n1,Anna\n""#));
        assert!(told(&[0x9c; 4096]).contains("as an encrypted database may"));
        assert!(told(b"SQLite").contains("not a SQLite database"));
    }

    #[test]
    fn missing_files_and_directories_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let missing = look(&dir.path().join("shop.db"), &OsVfs);
        assert!(matches!(missing, Err(SourceError::NotFound { .. })));
        let error = look(dir.path(), &OsVfs).unwrap_err();
        assert!(error.to_string().ends_with("it is a directory"), "{error}");
    }

    #[test]
    fn what_lies_beside_a_database_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.db");
        for (name, content) in [
            ("app.db", "x"),
            ("app.db-wal", "wal"),
            ("app.db-journal", ""),
        ] {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        std::fs::hard_link(&path, dir.path().join("again.db")).unwrap();
        let looked = look(&path, &OsVfs).unwrap();
        assert_eq!((looked.bytes, looked.names), (1, 2));
        assert_eq!((looked.wal, looked.journal), (Some(3), Some(0)));
        assert!(!looked.has_shm);
    }
}
