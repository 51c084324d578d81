//! Rows of a source into a tree, with a look at Ctrl-C now and then. Where somebody knows which leaf comes next,
//! its rows are not read.

use std::io::Read;
use std::path::Path;

use crate::error::Error;
use crate::format::blob::{BlobError, BlobSink};
use crate::format::manifest::Entity;
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::model::value::Spilled;
use crate::ops::stored::root_ref;
use crate::progress::Progress;
use crate::source::{LargeValue, Moment, RowSink, RowsError, Scanned, SourceError, rows_behind};
use crate::store::StoreError;
use crate::tree::Root;
use crate::tree::build::{LeafEnd, TreeBuilder};
use crate::tree::large::StoreLargeError;

/// Rows between two looks at the clock and at Ctrl-C.
const ROWS_A_STEP: u64 = 4096;

/// Why a row was not taken.
pub(super) enum Stop {
    Blob(BlobError),
    /// A large value could not be read to its end.
    Read(std::io::Error),
    /// What is remembered of the source is wrong.
    Store(StoreError),
    /// The source must be let go.
    Source(SourceError),
    Cancelled,
}

/// A leaf that need not be read.
pub(super) struct Known {
    pub end: LeafEnd,
    /// No row comes behind it.
    pub ends_table: bool,
}

/// Stands at the borders between the leaves of a table with rowids.
pub(super) trait Borders {
    /// The leaf of the rows behind `behind`, if it is known which one it is, and it need not be put.
    fn next(
        &mut self,
        behind: Option<i64>,
        blobs: &mut dyn BlobSink,
    ) -> Result<Option<Known>, Stop>;

    /// True if the scan should end at this border, to be taken up again there.
    fn is_pause_due(&self) -> bool;

    /// The rows behind `behind` were read, and gave this leaf. `plain`: there is nothing to say of any of them.
    fn read(
        &mut self,
        behind: Option<i64>,
        end: &LeafEnd,
        ends_table: bool,
        plain: bool,
    ) -> Result<(), Stop>;
}

/// Takes the rows of one table into its tree.
pub(super) struct TreeSink<'a, 's> {
    builder: TreeBuilder<'s>,
    blobs: &'a mut dyn BlobSink,
    progress: &'a mut dyn Progress,
    /// Sees every row that is read; true if there is nothing to say of it.
    look_at: &'a mut dyn FnMut(RowRef<'_>) -> bool,
    /// `None`: all rows are read.
    borders: Option<&'a mut dyn Borders>,
    /// The last rowid before the leaf that is open.
    behind: Option<i64>,
    /// There is nothing to say of any of its rows.
    plain: bool,
    /// The leaf that comes next.
    known: Option<Known>,
    /// The scan is to pause at the next border.
    pauses: bool,
    /// Rows of known leaves.
    skipped: u64,
    largest_value: u64,
    /// Rows not yet told to `progress`.
    untold: u64,
}

/// A tree that has grown to its end.
pub(super) struct Grown {
    pub root: Option<Root>,
    pub largest_value: u64,
    /// What was read, and what could not be; rows of leaves that were known count as read.
    pub scanned: Scanned,
    /// Rows of leaves that were known.
    pub skipped: u64,
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
        look_at: &'a mut dyn FnMut(RowRef<'_>) -> bool,
    ) -> Self {
        Self {
            builder,
            blobs,
            progress,
            look_at,
            borders: None,
            behind: None,
            plain: true,
            known: None,
            pauses: false,
            skipped: 0,
            largest_value: 0,
            untold: 0,
        }
    }

    /// Asks at the borders between leaves whether the rows behind are known.
    pub(super) fn asking(mut self, borders: &'a mut dyn Borders) -> Self {
        self.borders = Some(borders);
        self
    }

    /// Takes a table: its rows, and leaves whose rows are not read.
    pub(super) fn take(
        &mut self,
        moment: Moment<'_>,
        table: &Table,
    ) -> Result<Scanned, RowsError<Stop>> {
        let mut all = Scanned::default();
        loop {
            if self.known.is_none() {
                self.ask_next().map_err(RowsError::Sink)?;
            }
            let before = self.skipped;
            let ends_table = self.take_known(moment).map_err(RowsError::Sink)?;
            let skipped = self.skipped - before;
            if ends_table {
                all.add(Scanned::default(), skipped);
                return Ok(all);
            }
            moment.pass_slice().map_err(RowsError::Source)?;
            self.pauses = false;
            let next = rows_behind(moment, table, self.behind, self)?;
            all.add(next, skipped);
            if !self.has_enough() {
                return Ok(all);
            }
        }
    }

    fn ask_next(&mut self) -> Result<(), Stop> {
        if let Some(borders) = &mut self.borders {
            self.known = borders.next(self.behind, self.blobs)?;
        }
        Ok(())
    }

    /// Takes the leaves that are known to come next, as many as there are. True if nothing comes behind.
    fn take_known(&mut self, moment: Moment<'_>) -> Result<bool, Stop> {
        while let Some(known) = self.known.take() {
            moment.pass_slice().map_err(Stop::Source)?;
            if self.progress.cancelled() {
                return Err(Stop::Cancelled);
            }
            let leaf = &known.end.leaf;
            self.skipped += leaf.rows;
            self.progress.advance(leaf.rows);
            self.behind = leaf.span.last_rowid();
            let put = self.builder.push_leaf(&known.end, self.blobs);
            put.map_err(Stop::Blob)?;
            if known.ends_table {
                return Ok(true);
            }
            self.ask_next()?;
        }
        Ok(false)
    }

    /// A leaf of rows that were read has ended.
    fn pass_border(&mut self, end: &LeafEnd, ends_table: bool) -> Result<(), Stop> {
        if let Some(borders) = &mut self.borders {
            borders.read(self.behind, end, ends_table, self.plain)?;
        }
        self.behind = end.leaf.span.last_rowid();
        self.plain = true;
        Ok(())
    }

    /// Ends the tree, unless the scan of `source` ended early.
    pub(super) fn end(
        mut self,
        scanned: Result<Scanned, RowsError<Stop>>,
        source: &Path,
    ) -> Result<Grown, Error> {
        self.progress.advance(self.untold);
        let scanned = scanned.map_err(|stop| match stop {
            RowsError::Source(error) => Error::Source(error),
            RowsError::Sink(stop) => stop.error(source),
        })?;
        let last = self.builder.end_leaf(self.blobs).map_err(Stop::Blob);
        let ended = last.and_then(|last| match last {
            Some(end) => self.pass_border(&end, true),
            None => Ok(()),
        });
        ended.map_err(|stop| stop.error(source))?;
        let root = self.builder.finish(self.blobs).map_err(StoreError::from)?;
        Ok(Grown {
            root,
            largest_value: self.largest_value,
            scanned,
            skipped: self.skipped,
        })
    }
}

impl Stop {
    /// As an error of the scan of `source`.
    fn error(self, source: &Path) -> Error {
        match self {
            Self::Blob(error) => Error::Store(error.into()),
            Self::Store(error) => Error::Store(error),
            Self::Source(error) => Error::Source(error),
            Self::Cancelled => Error::Cancelled,
            Self::Read(cause) => Error::Source(SourceError::File {
                op: "read a large value of",
                path: source.to_owned(),
                cause,
            }),
        }
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
        self.plain &= (self.look_at)(row);
        match self.builder.push(row, self.blobs).map_err(Stop::Blob)? {
            Some(end) => {
                self.pass_border(&end, false)?;
                self.pauses = self
                    .borders
                    .as_ref()
                    .is_some_and(|borders| borders.is_pause_due());
                match self.pauses {
                    // What comes next is asked when others have had their turn.
                    true => Ok(()),
                    false => self.ask_next(),
                }
            }
            None => Ok(()),
        }
    }

    fn has_enough(&self) -> bool {
        self.known.is_some() || self.pauses
    }
}
