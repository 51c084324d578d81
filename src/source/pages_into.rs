//! The pages of a database, had through SQLite's own pager, into a file of ours: many of them in one write. SQLite's
//! backup interface writes each alone, which takes several times as long.

use std::path::{Path, PathBuf};

use super::error::SourceError;
use crate::sqlite::pages::PageReader;
use crate::sqlite::{Connection, SqliteError};
use crate::vfs::{VfsError, VfsErrorKind, VfsFile, write_all};

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// A copy that is being made, in transactions of who makes it.
pub(super) struct PagesInto<'c> {
    live: &'c Connection,
    reader: PageReader<'c>,
    file: Box<dyn VfsFile>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// `None` before the first step.
    pages: Option<u32>,
    next: u32,
}

/// The pages cannot be had one by one.
fn no_page() -> SqliteError {
    SqliteError::damaged("a page cannot be read")
}

/// Why a step was not taken.
#[derive(Debug)]
pub(super) enum StepError {
    Read(SqliteError),
    Write(VfsError),
}

impl From<SqliteError> for StepError {
    fn from(cause: SqliteError) -> Self {
        Self::Read(cause)
    }
}

impl StepError {
    /// As an error of the source at `path`, whose copy lies in `temp_dir`.
    pub(super) fn of(self, path: &Path, temp_dir: &Path) -> SourceError {
        match self {
            Self::Read(cause) => SourceError::of(path, None, cause),
            Self::Write(error) if error.kind == VfsErrorKind::NoSpace => SourceError::NoSpace {
                path: temp_dir.to_owned(),
                cause: error.cause.to_string(),
            },
            Self::Write(error) => SourceError::file("write", &error.path, error.cause),
        }
    }
}

impl<'c> PagesInto<'c> {
    /// Begins with the first page. The file is empty.
    pub(super) fn begin(
        live: &'c Connection,
        (file, path): (Box<dyn VfsFile>, PathBuf),
    ) -> Result<Self, SqliteError> {
        let reader = live.page_reader()?.ok_or_else(no_page)?;
        Ok(Self {
            live,
            reader,
            file,
            path,
            buffer: Vec::with_capacity(WRITE_BYTES),
            pages: None,
            next: 1,
        })
    }

    /// Copies so many further pages. True once all are there.
    pub(super) fn step(&mut self, pages: i32) -> Result<bool, StepError> {
        let all = match self.pages {
            Some(all) => all,
            None => self.count()?,
        };
        self.pages = Some(all);
        let end = self.next.saturating_add(pages.unsigned_abs()).min(all + 1);
        while self.next < end {
            let buffer = &mut self.buffer;
            let read = self
                .reader
                .read(self.next, |page| buffer.extend_from_slice(page))?;
            // The database ends before its header says.
            read.ok_or_else(no_page)?;
            self.next += 1;
            if self.buffer.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        self.flush()?;
        Ok(self.next > all)
    }

    /// Pages of the source, as of the first step.
    pub(super) fn pages(&self) -> u64 {
        self.pages.unwrap_or(0).into()
    }

    fn count(&self) -> Result<u32, SqliteError> {
        let count = self.live.integer("PRAGMA main.page_count")?.unwrap_or(0);
        // SQLite has no more than 2^32 - 2.
        u32::try_from(count)
            .ok()
            .filter(|count| *count < u32::MAX)
            .ok_or_else(no_page)
    }

    fn flush(&mut self) -> Result<(), StepError> {
        write_all(&mut *self.file, &self.path, &self.buffer).map_err(StepError::Write)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "databases and their copies are compared as files"
)]
mod tests {
    use super::*;
    use crate::vfs::Vfs;
    use crate::vfs::os::OsVfs;

    fn copy(source: &Path, copy: &Path, pages: i32) -> Result<u64, StepError> {
        let live = Connection::open_complete(source, false)?;
        let file = OsVfs.create_new(copy).map_err(StepError::Write)?;
        let mut into = PagesInto::begin(&live, (file, copy.to_owned()))?;
        while !into.step(pages)? {}
        Ok(into.pages())
    }

    #[test]
    fn a_copy_has_every_page_of_the_source() {
        let dir = tempfile::tempdir().unwrap();
        for (page, vacuum, step) in [(512, 0, 1), (4096, 1, 7), (65_536, 2, 1000), (1024, 0, 300)] {
            let source = dir.path().join(format!("{page}"));
            let db = rusqlite::Connection::open(&source).unwrap();
            db.execute_batch(&format!(
                "PRAGMA page_size={page}; PRAGMA auto_vacuum={vacuum}; CREATE TABLE t(a, b);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                 INSERT INTO t SELECT i, zeroblob(i * 5) FROM n;
                 DELETE FROM t WHERE a % 3 = 0; CREATE INDEX by_b ON t(b)"
            ))
            .unwrap();
            drop(db);
            let to = dir.path().join(format!("{page}.copy"));
            let pages = copy(&source, &to, step).unwrap();
            let (source, copied) = (std::fs::read(source).unwrap(), std::fs::read(to).unwrap());
            assert!(source == copied, "{page}");
            assert_eq!(pages * page, copied.len() as u64);
        }
    }

    #[test]
    fn pages_that_are_not_there_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        let db = rusqlite::Connection::open(&source).unwrap();
        db.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(100000))")
            .unwrap();
        drop(db);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&source)
            .unwrap();
        file.set_len(40_000).unwrap();
        match copy(&source, &dir.path().join("copy"), 100) {
            Err(StepError::Read(cause)) => assert!(cause.is_damage(), "{cause}"),
            other => panic!("{other:?}"),
        }
    }
}
