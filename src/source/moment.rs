//! A database that stands still while its tables are read, whoever holds it: a capture, or a
//! transaction that writes it.

use std::path::Path;

use super::error::SourceError;
use super::slices::Slices;
use super::wal_growth::WalGrowth;
use crate::model::schema::{Schema, Settings, Table, TableKind};
use crate::sqlite::Connection;
use crate::sqlite::check::{self, ForeignKeyCheck};

/// What tables are read from: a connection that sees one state.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub(super) db: &'a Connection,
    pub(super) path: &'a Path,
    pub(super) schema: &'a Schema,
    pub(super) settings: &'a Settings,
    /// Where others may write meanwhile.
    pub(super) growth: Option<&'a WalGrowth>,
    /// It is read in slices.
    pub(super) slices: Option<&'a Slices>,
}

impl<'a> Moment<'a> {
    /// The database: absolute, symbolic links resolved.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// The whole schema, tables that are not carried included.
    pub fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// Settings that no record holds.
    pub fn settings(&self) -> &'a Settings {
        self.settings
    }

    /// True if the table has rows of its own.
    pub fn carries(&self, table: &Table) -> bool {
        table.kind != TableKind::Virtual
    }

    /// To be asked now and then while rows are read: `WalGrew` once others wrote so much, and `LockTooLong` once they
    /// could not write for so long, that the source should be let go.
    pub fn check_hold(&self) -> Result<(), SourceError> {
        self.growth.map_or(Ok(()), WalGrowth::check)?;
        self.slices.map_or(Ok(()), Slices::check)
    }

    /// True once the source should be let go for a moment, by [`Self::pass_slice`].
    pub fn is_slice_due(&self) -> bool {
        self.slices.is_some_and(Slices::is_due)
    }

    /// To be called wherever nothing is being read: lets others write who have waited long enough.
    /// `WrittenMeanwhile` if they did.
    pub fn pass_slice(&self) -> Result<(), SourceError> {
        self.slices.map_or(Ok(()), |slices| slices.pass(self.db))
    }

    /// Lets others write while nothing is read for longer; [`Self::resume`] comes before the next read.
    pub fn rest(&self) -> Result<(), SourceError> {
        self.slices.map_or(Ok(()), |slices| slices.rest(self.db))
    }

    /// Goes on after [`Self::rest`]. `WrittenMeanwhile` if others have written.
    pub fn resume(&self) -> Result<(), SourceError> {
        self.slices.map_or(Ok(()), |slices| slices.resume(self.db))
    }

    /// The foreign-key verdict of one table. `WalGrew` as `check_hold` says.
    pub fn foreign_key_violations(&self, table: &Table) -> Result<ForeignKeyCheck, SourceError> {
        self.check_hold()?;
        self.pass_slice()?;
        if table.foreign_keys.is_empty() {
            return Ok(ForeignKeyCheck::default());
        }
        check::foreign_keys(self.db, table, self.schema)
            .map_err(|cause| SourceError::of(self.path, Some(&table.name), cause))
    }
}
