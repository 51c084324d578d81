//! A new database from the pages of another, written one after the other, checked and published whole.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use super::check::{self, CheckLevel, Expected};
use super::database::Completed;
use super::error::TargetError;
use super::files::{Place, Unpublished};
use super::writer::{STREAM_BYTES, SpilledContent, copy_exactly};
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Settings};
use crate::model::value::{Spilled, ValueRef};
use crate::sqlite::schema::read_objects;
use crate::sqlite::{Connection, SqliteError};
use crate::vfs::Vfs;

/// A database whose pages are being written. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct DatabaseImage {
    file: Unpublished,
    out: io::BufWriter<File>,
    page_bytes: u64,
    pages: i64,
    buffer: Vec<u8>,
}

impl DatabaseImage {
    /// Begins with no page.
    ///
    /// Errors: `Exists` if the place or a sidecar of it is taken.
    pub fn create<'p>(
        vfs: &Arc<dyn Vfs>,
        place: impl Into<Place<'p>>,
        settings: &Settings,
    ) -> Result<Self, TargetError> {
        let (file, out) = Unpublished::create(vfs.clone(), place.into())?;
        Ok(Self {
            file,
            out: io::BufWriter::new(out),
            page_bytes: settings.page_size.into(),
            pages: 0,
            buffer: vec![0; STREAM_BYTES],
        })
    }

    /// Appends a page: a row of its number, one more than that of the page before, and its content.
    pub fn page(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        self.pages += 1;
        let is_next = row.rowid == Some(self.pages);
        match row.values {
            [ValueRef::Blob(page)] if is_next && page.len() as u64 == self.page_bytes => {
                self.written(|out, _| out.write_all(page))
            }
            [ValueRef::Spilled(page)] if is_next && page.bytes == self.page_bytes => {
                self.stream(page, content)
            }
            _ => Err(TargetError::Damaged {
                path: self.file.place().to_owned(),
                lines: vec![format!("page {} is not one", self.pages)],
            }),
        }
    }

    fn stream(
        &mut self,
        page: &Spilled,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        self.written(|out, buffer| copy_exactly(page, content, out, buffer))
    }

    fn written(
        &mut self,
        write: impl FnOnce(&mut io::BufWriter<File>, &mut [u8]) -> io::Result<()>,
    ) -> Result<(), TargetError> {
        write(&mut self.out, &mut self.buffer)
            .map_err(|cause| TargetError::file("write", self.file.temp(), cause))
    }

    /// Checks the database, which nothing is changed in.
    ///
    /// Errors leave the place untouched: `Damaged`, `Count`, `SchemaDiffers`.
    pub fn complete(
        mut self,
        level: CheckLevel,
        schema: &Schema,
        expected: &Expected,
    ) -> Result<Completed, TargetError> {
        self.written(|out, _| out.flush())?;
        let Self { file, out, .. } = self;
        drop(out);
        let place = file.place().to_owned();
        let at = |cause: SqliteError| TargetError::of(&place, "", cause);
        let db = Connection::open_complete(file.temp(), expected.with_damage).map_err(at)?;
        let objects = read_objects(&db).map_err(at)?.schema.objects;
        if objects != schema.objects && !expected.with_damage {
            return Err(TargetError::SchemaDiffers {
                path: place,
                what: "its pages hold another schema than its records".to_owned(),
            });
        }
        let mut findings = Vec::new();
        check::counts(&db, &place, expected, &mut findings)?;
        check::integrity(&db, &place, level, expected, &mut findings)?;
        check::foreign_keys(&db, (&place, schema), expected, &mut findings)?;
        db.close().map_err(at)?;
        Ok(Completed::new(file, findings))
    }
}
