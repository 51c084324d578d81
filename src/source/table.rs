//! The rows of one table, in the order of SQLite's own scan: what is given, and to whom.

use std::io::Read;

use super::error::SourceError;
use super::moment::Moment;
use super::scan::{Scan, Stop};
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::model::value::{LongClass, Spilled};

/// A value that leaves its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeValue {
    /// The rowid of its row, where rows have one.
    pub rowid: Option<i64>,
    /// Its position among `Table::leaf_columns`.
    pub column: usize,
    /// Text or blob.
    pub class: LongClass,
    /// Its length.
    pub bytes: u64,
}

/// Takes the rows of a table.
pub trait RowSink {
    /// Why it may refuse.
    type Error;

    /// Takes a value over [`SPILL_BYTES_OVER`](crate::model::value::SPILL_BYTES_OVER) bytes, before the row in which what is returned
    /// stands for it. `content` gives exactly `value.bytes` bytes.
    fn large(&mut self, value: LargeValue, content: &mut dyn Read) -> Result<Spilled, Self::Error>;

    /// Takes a row. Its values are those of `Table::leaf_columns`, in that order.
    fn row(&mut self, row: RowRef<'_>) -> Result<(), Self::Error>;

    /// True once no row is wanted behind the last one that was given: the scan of a table with rowids ends there.
    fn has_enough(&self) -> bool {
        false
    }
}

/// A scan ended early: because of the database, or of the sink.
#[derive(Debug, thiserror::Error)]
pub enum RowsError<E> {
    /// The database could not be read.
    #[error(transparent)]
    Source(SourceError),
    /// The sink refused.
    #[error("{0}")]
    Sink(E),
}

/// Rows of a table that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// First rowid that they may have, in tables with rowids.
    pub from: Option<i64>,
    /// Last rowid that they may have; `None`: up to the end of the table.
    pub to: Option<i64>,
    /// Rows that were given before the gap.
    pub behind: u64,
    /// What SQLite said.
    pub cause: String,
}

/// How a scan went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows that were given.
    pub rows: u64,
    /// Where rows are missing because the database is damaged: the first of these places.
    pub gaps: Vec<Gap>,
    /// How many such places there are.
    pub gap_count: u64,
}

impl Scanned {
    /// Adds what a scan of rows behind these gave; `skipped` rows lie between.
    pub fn add(&mut self, next: Self, skipped: u64) {
        let before = self.rows + skipped;
        self.gaps.extend(next.gaps.into_iter().map(|gap| Gap {
            behind: gap.behind + before,
            ..gap
        }));
        self.rows = before + next.rows;
        self.gap_count += next.gap_count;
    }
}

/// Gives every row of a table that can be read to the sink: by rowid, or by the primary key of a
/// WITHOUT ROWID table. Damage is passed over, and told by the gaps.
pub fn rows<S: RowSink>(
    moment: Moment<'_>,
    table: &Table,
    sink: &mut S,
) -> Result<Scanned, RowsError<S::Error>> {
    rows_behind(moment, table, None, sink)
}

/// As [`rows`], from the first rowid behind `behind` on. Tables without rowids are given whole.
pub fn rows_behind<S: RowSink>(
    moment: Moment<'_>,
    table: &Table,
    behind: Option<i64>,
    sink: &mut S,
) -> Result<Scanned, RowsError<S::Error>> {
    // Small tables end before the scan looks.
    moment.check_hold().map_err(RowsError::Source)?;
    let Some(first) = behind.map_or(Some(i64::MIN), |behind| behind.checked_add(1)) else {
        return Ok(Scanned::default());
    };
    let done = Scan::of(moment, table, first, sink).run();
    let lifted = moment.db.limit_length(None);
    match done.and_then(|scanned| Ok((scanned, lifted?))) {
        Ok((scanned, ())) => Ok(scanned),
        Err(Stop::Sink(error)) => Err(RowsError::Sink(error)),
        Err(Stop::Source(error)) => Err(RowsError::Source(error)),
        Err(Stop::Sqlite(cause)) => {
            let error = SourceError::of(moment.path, Some(&table.name), cause);
            Err(RowsError::Source(error))
        }
    }
}
