//! Rows of a source into a tree, with a look at Ctrl-C now and then.

use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::format::blob::{BlobError, BlobSink};
use crate::format::manifest::Entity;
use crate::model::row::RowRef;
use crate::model::value::Spilled;
use crate::ops::stored::root_ref;
use crate::progress::Progress;
use crate::source::{LargeValue, RowSink, RowsError, Scanned, SourceError};
use crate::store::StoreError;
use crate::tree::Root;
use crate::tree::build::TreeBuilder;
use crate::tree::large::StoreLargeError;

/// Rows between two looks at the clock and at Ctrl-C.
const ROWS_A_STEP: u64 = 4096;

/// Why a row was not taken.
pub(super) enum Stop {
    Blob(BlobError),
    /// A large value could not be read to its end.
    Read(std::io::Error),
    Cancelled,
}

/// Takes the rows of one table into its tree.
pub(super) struct TreeSink<'a, 's> {
    builder: TreeBuilder<'s>,
    blobs: &'a mut dyn BlobSink,
    progress: &'a mut dyn Progress,
    /// Sees every row.
    look_at: &'a mut dyn FnMut(RowRef<'_>),
    largest_value: u64,
    /// Rows not yet told to `progress`.
    untold: u64,
}

/// A tree that has grown to its end.
pub(super) struct Grown {
    pub root: Option<Root>,
    pub largest_value: u64,
    /// What was read, and what could not be.
    pub scanned: Scanned,
}

impl Grown {
    /// What a manifest says of it; the names are left empty.
    pub(super) fn entity(&self) -> Entity {
        let root = self.root.as_ref();
        Entity {
            entity: String::new(),
            file: String::new(),
            records: root.map_or(0, |root| root.rows),
            bytes: root.map_or(0, |root| root.bytes),
            root: root.map(root_ref),
            import_order: 0,
            dependencies: Vec::new(),
            largest_value: self.largest_value,
            changes: None,
        }
    }
}

impl<'a, 's> TreeSink<'a, 's> {
    pub(super) fn new(
        builder: TreeBuilder<'s>,
        blobs: &'a mut dyn BlobSink,
        progress: &'a mut dyn Progress,
        look_at: &'a mut dyn FnMut(RowRef<'_>),
    ) -> Self {
        Self {
            builder,
            blobs,
            progress,
            look_at,
            largest_value: 0,
            untold: 0,
        }
    }

    /// Ends the tree, unless the scan of `source` ended early.
    pub(super) fn end(
        self,
        scanned: Result<Scanned, RowsError<Stop>>,
        source: &Path,
    ) -> Result<Grown, Error> {
        self.progress.advance(self.untold);
        let scanned = scanned.map_err(|stop| match stop {
            RowsError::Source(error) => Error::Source(error),
            RowsError::Sink(Stop::Blob(error)) => Error::Store(error.into()),
            RowsError::Sink(Stop::Cancelled) => Error::Cancelled,
            RowsError::Sink(Stop::Read(cause)) => Error::Source(SourceError::File {
                op: "read a large value of",
                path: source.to_owned(),
                cause,
            }),
        })?;
        let root = self.builder.finish(self.blobs).map_err(StoreError::from)?;
        Ok(Grown {
            root,
            largest_value: self.largest_value,
            scanned,
        })
    }
}

impl RowSink for TreeSink<'_, '_> {
    type Error = Stop;

    fn large(&mut self, value: LargeValue, content: &mut dyn Read) -> Result<Spilled, Stop> {
        if self.progress.cancelled() {
            return Err(Stop::Cancelled);
        }
        let LargeValue {
            rowid,
            column,
            class,
            bytes,
        } = value;
        self.largest_value = self.largest_value.max(bytes);
        let stored = self
            .builder
            .store_large(class, rowid, column, content, self.blobs);
        match stored {
            Ok(spilled) if spilled.bytes == bytes => Ok(spilled),
            Ok(spilled) => Err(Stop::Read(std::io::Error::other(format!(
                "a value of {bytes} bytes gave {}",
                spilled.bytes
            )))),
            Err(StoreLargeError::Blob(error)) => Err(Stop::Blob(error)),
            Err(StoreLargeError::Read(error)) => Err(Stop::Read(error)),
        }
    }

    fn row(&mut self, row: RowRef<'_>) -> Result<(), Stop> {
        self.untold += 1;
        if self.untold == ROWS_A_STEP {
            self.progress.advance(std::mem::take(&mut self.untold));
            if self.progress.cancelled() {
                return Err(Stop::Cancelled);
            }
        }
        (self.look_at)(row);
        self.builder.push(row, self.blobs).map_err(Stop::Blob)
    }
}
