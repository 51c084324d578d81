//! The few file calls on a source, all of them before a connection to it exists: closing a file
//! drops every lock that this process holds on it (howtocorrupt.html section 2.2).

use std::path::{Path, PathBuf};

use super::error::SourceError;
use crate::vfs::{EntryKind, Vfs, VfsError, VfsErrorKind, folder_of};

/// What every database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A file that may be opened as a database.
#[derive(Debug)]
pub(super) struct Looked {
    /// Absolute path, symbolic links resolved.
    pub path: PathBuf,
    /// Nothing in it: a valid empty database.
    pub is_empty: bool,
}

/// Resolves the path and tells files that are no databases.
pub(super) fn look(given: &Path, vfs: &dyn Vfs) -> Result<Looked, SourceError> {
    let path = resolve(given)?;
    let failed = |error| of_file("read", &path, error);
    let not = |found: &str| SourceError::NotADatabase {
        path: path.clone(),
        found: found.to_owned(),
    };
    let bytes = match vfs.entry(&path).map_err(failed)? {
        None => return Err(SourceError::NotFound { path }),
        Some(entry) => match entry.kind {
            EntryKind::File => entry.bytes,
            EntryKind::Folder => return Err(not("it is a directory")),
            EntryKind::Foreign => return Err(not("it is not a regular file")),
        },
    };
    let head_bytes = bytes.min(MAGIC.len() as u64);
    let head = vfs.read_at(&path, 0, head_bytes).map_err(failed)?;
    let is_empty = head.is_empty();
    if !is_empty && head != MAGIC {
        return Err(not(&describe(&head, bytes)));
    }
    Ok(Looked { path, is_empty })
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
#[expect(
    clippy::disallowed_methods,
    reason = "the Vfs follows no links; nothing is opened"
)]
pub fn recorded_path(given: &Path) -> PathBuf {
    let beside = || {
        let folder = std::fs::canonicalize(folder_of(given)).ok()?;
        Some(folder.join(given.file_name()?))
    };
    std::fs::canonicalize(given)
        .ok()
        .or_else(beside)
        .unwrap_or_else(|| given.to_owned())
}

/// The answer of the Vfs about a file.
fn of_file(op: &'static str, path: &Path, error: VfsError) -> SourceError {
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
        look(file.path(), &OsVfs).unwrap_err().to_string()
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
    fn an_empty_file_is_an_empty_database() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(look(file.path(), &OsVfs).unwrap().is_empty);
    }
}
