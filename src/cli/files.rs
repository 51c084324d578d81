//! Small files that a person names: `larder.toml` and decisions. Read whole, up to a limit; written
//! under a temporary name beside their place, which they get when they are complete.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the person, named on the command line: links are followed, and no promise of a store hangs on them"
)]

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::ops::open::folder_of;

/// No such file is longer.
const BYTES_MAX: u64 = 64 << 20;

/// The text of a file; `None` if nothing is there.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("it is too long"));
    }
    Ok(Some(text))
}

/// True if something is there, a link to nowhere too.
pub fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// True if both are one file that exists.
pub fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| std::fs::canonicalize(path).ok();
    whole(a).is_some_and(|a| whole(b) == Some(a))
}

/// Whether a file can be made there, as `write` would: found out by making one that goes again.
pub fn ensure_writable(path: &Path, replace: bool) -> io::Result<()> {
    let behind_link = std::fs::canonicalize(path).ok().filter(|_| replace);
    beside(behind_link.as_deref().unwrap_or(path)).map(drop)
}

/// A file without a name of its own yet, in the folder of a path. What is said of a failure does not name it.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let cause = format!("no folder {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, cause));
    }
    NamedTempFile::new_in(folder).map_err(without_name)
}

/// The error without the path that it carries.
fn without_name(error: io::Error) -> io::Error {
    error.kind().into()
}

/// Writes a file as a whole, or not at all. `replace`: one that is there is replaced, a link by what
/// it leads to; else it stays and the error is `AlreadyExists`.
pub fn write(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    let behind_link = std::fs::canonicalize(path).ok().filter(|_| replace);
    let path = behind_link.as_deref().unwrap_or(path);
    let folder = folder_of(path);
    let mut file = beside(path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    if replace {
        file.persist(path).map_err(|error| error.error)?;
    } else {
        file.persist_noclobber(path).map_err(|error| error.error)?;
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_replaced_only_if_that_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.json");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "one", false).unwrap();
        let error = write(&path, "two", false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
        write(&path, "two", true).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "a temporary file was left");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("d.json"), folder.path().join("link"));
        write(&file, "one", false).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(is_same(&file, &link));
        write(&link, "two", true).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(read(&file).unwrap().as_deref(), Some("two"));
    }
}
