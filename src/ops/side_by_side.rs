//! The records of a table and the rows of a live one, walked side by side in the order of both. Memory:
//! one leaf and one row.

use std::cmp::Ordering;

use crate::error::Error;
use crate::format::blob::BlobError;
use crate::format::manifest::Entity;
use crate::model::row::{RowRef, compare_values};
use crate::model::schema::Table;
use crate::model::value::ValueRef;
use crate::ops::content::StoredContent;
use crate::ops::stored::root_of;
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader};
use crate::target::{ColumnMap, LiveRow, LiveRows, SpilledContent, TargetError};
use crate::tree::cursor::{Cursor, PlacedLeaf};
use crate::tree::{Order, TreeShape};

/// Records between two looks at Ctrl-C.
const RECORDS_A_STEP: u64 = 4096;

/// What is met on the walk.
pub enum Pair<'p> {
    /// A record that no row has the key of: its place among the records, from 0.
    Stored(u64, RowRef<'p>),
    /// A row that no record has the key of.
    Live(&'p LiveRow<'p>),
    /// A record, its place, and the row of its key.
    Both(u64, RowRef<'p>, &'p LiveRow<'p>),
}

/// True if records and rows come in one order: by rowid, or by the same primary key.
pub fn is_possible(shape: &TreeShape, stored: &Table, live: &Table, map: &ColumnMap) -> bool {
    match &shape.order {
        Order::RowidAlias => {
            let name = |table: &Table| {
                let at = table.rowid_alias()?;
                table.columns.get(at).map(|c| c.name.to_ascii_lowercase())
            };
            name(live).is_some() && name(stored) == name(live)
        }
        Order::RowidHidden => map.keeps_rowid,
        Order::Key(_) => {
            let parts = |table: &Table| -> Vec<_> {
                let of = |key: &crate::model::schema::KeyColumn| {
                    let column = table.columns.get(key.column as usize);
                    let name = column.map(|c| c.name.to_ascii_lowercase());
                    (name, key.collation.clone(), key.descending)
                };
                table.primary_key.iter().map(of).collect()
            };
            let same = parts(stored) == parts(live) && stored.kind == live.kind;
            same && shape.order_is_known()
        }
        Order::Place => false,
    }
}

/// The records of a tree, one after the other.
struct Records<'r> {
    shape: &'r TreeShape,
    cursor: Cursor<'r>,
    leaf: Option<PlacedLeaf>,
    row: usize,
    ordinal: u64,
}

impl Records<'_> {
    /// Makes sure that a record is at hand, if any is left.
    fn fill(&mut self) -> Result<bool, BlobError> {
        let ended = |leaf: &PlacedLeaf| self.row >= leaf.leaf.rows();
        if self.leaf.as_ref().is_none_or(ended) {
            self.leaf = self.cursor.next_leaf()?;
            self.row = 0;
        }
        Ok(self.leaf.is_some())
    }

    fn step(&mut self) {
        self.row += 1;
        self.ordinal += 1;
    }
}

/// Why a walk ended early.
enum Stop {
    Blob(BlobError),
    Cancelled,
}

/// Walks. `rows` must be of the table that the tree lies over, and [`is_possible`] true.
///
/// Errors: `Store`, `Target`, `Cancelled`.
pub fn walk(
    reader: &StoreReader,
    shape: &TreeShape,
    entity: Option<&Entity>,
    rows: &LiveRows<'_>,
    progress: &mut dyn Progress,
    mut visit: impl FnMut(Pair<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), Error> {
    let root = entity.and_then(root_of);
    let mut content = StoredContent::new(reader);
    let mut records = Records {
        shape,
        cursor: Cursor::new(reader, shape, root.as_ref()),
        leaf: None,
        row: 0,
        ordinal: 0,
    };
    let mut stop = None;
    let mut told = 0;
    let walked = rows.for_each(|live| {
        loop {
            match records.fill() {
                Ok(true) => {}
                Ok(false) => {
                    visit(Pair::Live(live), &mut content)?;
                    return Ok(true);
                }
                Err(error) => {
                    stop = Some(Stop::Blob(error));
                    return Ok(false);
                }
            }
            if records.ordinal >= told + RECORDS_A_STEP {
                progress.advance(records.ordinal - told);
                told = records.ordinal;
                if progress.cancelled() {
                    stop = Some(Stop::Cancelled);
                    return Ok(false);
                }
            }
            let order = meet(&records, rows, live, &mut content, &mut visit)?;
            if order != Ordering::Greater {
                records.step();
            }
            if order != Ordering::Less {
                return Ok(true);
            }
        }
    });
    let walked = walked.and_then(|()| match stop {
        Some(_) => Ok(()),
        None => rest(&mut records, &mut content, &mut stop, progress, &mut visit),
    });
    progress.advance(records.ordinal.saturating_sub(told));
    match (walked, stop) {
        (_, Some(Stop::Cancelled)) => Err(Error::Cancelled),
        (_, Some(Stop::Blob(error))) => Err(StoreError::from(error).into()),
        // A large value that cannot be read is the store's failure, not the target's.
        (Err(error), None) => match content.failure() {
            Some(blob) => Err(StoreError::from(blob).into()),
            None => Err(error.into()),
        },
        (Ok(()), None) => Ok(()),
    }
}

/// Compares the record at hand with a row, and visits what comes first.
fn meet(
    records: &Records<'_>,
    rows: &LiveRows<'_>,
    live: &LiveRow<'_>,
    content: &mut dyn SpilledContent,
    visit: &mut impl FnMut(Pair<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<Ordering, TargetError> {
    let Some(leaf) = &records.leaf else {
        return Ok(Ordering::Greater);
    };
    let mut values = Vec::new();
    let rowid = leaf.row(records.row, &mut values);
    let row = RowRef {
        rowid,
        values: &values,
    };
    let order = compare(records.shape, row, rows, live, content)?;
    let pair = match order {
        Ordering::Less => Pair::Stored(records.ordinal, row),
        Ordering::Equal => Pair::Both(records.ordinal, row, live),
        Ordering::Greater => Pair::Live(live),
    };
    visit(pair, content)?;
    Ok(order)
}

/// The records behind the last row.
fn rest(
    records: &mut Records<'_>,
    content: &mut dyn SpilledContent,
    stop: &mut Option<Stop>,
    progress: &mut dyn Progress,
    visit: &mut impl FnMut(Pair<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    loop {
        match records.fill() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                *stop = Some(Stop::Blob(error));
                return Ok(());
            }
        }
        if let Some(leaf) = &records.leaf {
            let mut values = Vec::new();
            let rowid = leaf.row(records.row, &mut values);
            let row = RowRef {
                rowid,
                values: &values,
            };
            visit(Pair::Stored(records.ordinal, row), content)?;
        }
        records.step();
        if records.ordinal.is_multiple_of(RECORDS_A_STEP) && progress.cancelled() {
            *stop = Some(Stop::Cancelled);
            return Ok(());
        }
    }
}

fn compare(
    shape: &TreeShape,
    record: RowRef<'_>,
    rows: &LiveRows<'_>,
    live: &LiveRow<'_>,
    content: &mut dyn SpilledContent,
) -> Result<Ordering, TargetError> {
    let Order::Key(parts) = &shape.order else {
        return Ok(record.rowid.cmp(&live.rowid));
    };
    for (part, live) in parts.iter().zip(rows.key(live)?) {
        let stored = record.values.get(part.at).copied();
        let whole = match stored.unwrap_or(ValueRef::Null) {
            ValueRef::Spilled(long) => rows.load(&long, content)?,
            value => value.to_owned(),
        };
        // Both are whole, and `is_possible` asked for a known order.
        let order = compare_values(whole.as_ref(), live, &part.collation, shape.encoding);
        match order.unwrap_or(Ordering::Equal) {
            Ordering::Equal => {}
            order if part.descending => return Ok(order.reverse()),
            order => return Ok(order),
        }
    }
    Ok(Ordering::Equal)
}
