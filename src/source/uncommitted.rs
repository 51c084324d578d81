//! A database within the transaction that writes it: what would be read if that were committed now.

use super::error::SourceError;
use super::moment::Moment;
use crate::model::schema::{Schema, Settings};
use crate::sqlite::schema::{Unreadable, read_schema, read_settings};
use crate::sqlite::transaction::InTransaction;
use crate::sqlite::{Connection, SqliteError};

/// What a transaction has made of a database.
#[derive(Debug)]
pub struct Uncommitted<'t> {
    held: InTransaction<'t>,
    schema: Schema,
    settings: Settings,
    unreadable: Vec<Unreadable>,
    bytes: u64,
}

impl<'t> Uncommitted<'t> {
    /// Reads its schema and settings as they are now. Nothing may be written while tables are read.
    pub fn read(held: InTransaction<'t>) -> Result<Self, SourceError> {
        let read = |db: &Connection| -> Result<Self, SqliteError> {
            let settings = read_settings(db)?;
            let pages = db.integer("PRAGMA main.page_count")?.unwrap_or(0);
            let read = read_schema(db)?;
            Ok(Self {
                held,
                schema: read.schema,
                bytes: pages.unsigned_abs() * u64::from(settings.page_size),
                settings,
                unreadable: read.unreadable,
            })
        };
        read(held.db).map_err(|cause| SourceError::of(held.path, None, cause))
    }

    /// The same, of a database whose file does not say whether it will be in WAL mode.
    #[must_use]
    pub fn in_wal_mode(mut self, is_wal: bool) -> Self {
        self.settings.journal_mode = if is_wal { "wal" } else { "delete" }.to_owned();
        self
    }

    /// What tables are read from.
    pub fn moment(&self) -> Moment<'_> {
        Moment {
            db: self.held.db,
            path: self.held.path,
            schema: &self.schema,
            settings: &self.settings,
            // Only this transaction writes.
            growth: None,
            slices: None,
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Objects of the schema that could not be read, or not exactly.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }
}
