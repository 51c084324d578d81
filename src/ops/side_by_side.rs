//! A stored table and a live one walked side by side, in one pass: which records and rows have the
//! same place in the order of both, and which stand alone. Whether they are the same thing, and in
//! what they differ, is the caller's to say.
//!
//! Both must have one order: rowids, or the same key of a WITHOUT ROWID table. Memory: one leaf of
//! the tree and one live row.

use std::cmp::Ordering;
use std::io::Read;

use crate::error::Error;
use crate::format::blob::BlobSource;
use crate::model::row::{RowRef, compare_values};
use crate::model::schema::{Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, ValueRef};
use crate::progress::Progress;
use crate::store::StoreError;
use crate::target::{LiveRow, LiveRows, LiveValue, SpilledContent, TargetError};
use crate::tree::cursor::Cursor;
use crate::tree::{KeyPart, Order, Root, TreeShape};

/// Rows between two looks at Ctrl-C.
const ROWS_A_STEP: u64 = 4096;

/// The longest part of a key that is loaded to be compared.
const KEY_BYTES_MAX: u64 = 1 << 20;

/// A record, a live row, or both in one place.
#[derive(Clone, Copy)]
pub enum Beside<'r> {
    /// No live row has the record's place.
    OnlyStored(RowRef<'r>),
    /// No record has the row's place.
    OnlyLive(LiveRow<'r>),
    /// Both have one.
    Both(RowRef<'r>, LiveRow<'r>),
}

/// The order that a stored table and a live one share.
#[derive(Debug, Clone)]
pub enum SharedOrder {
    /// By rowid.
    Rowids,
    /// By a key: its parts in the record, and where the live rows have them.
    Key(Vec<(KeyPart, usize)>, TextEncoding),
}

impl SharedOrder {
    /// The order of both; `None` if they have none in common, or none that is known here.
    ///
    /// `read`: the columns of the live table that its rows give, by their positions in the table. A
    /// key must be among them.
    pub fn of(
        stored: (&Table, TextEncoding),
        live: (&Table, TextEncoding),
        read: &[usize],
    ) -> Option<Self> {
        let shape = TreeShape::of(stored.0, stored.1);
        let parts = match &shape.order {
            Order::RowidAlias | Order::RowidHidden => {
                return live.0.rowid_column().map(|_| Self::Rowids);
            }
            Order::Key(parts) if shape.order_is_known() => parts,
            _ => return None,
        };
        let key = &live.0.primary_key;
        if live.0.kind != TableKind::WithoutRowid || stored.1 != live.1 || key.len() != parts.len()
        {
            return None;
        }
        let leaf: Vec<usize> = stored.0.leaf_columns().collect();
        let mut shared = Vec::with_capacity(parts.len());
        for (part, live_part) in parts.iter().zip(key) {
            let column = live_part.column as usize;
            let name = &stored.0.columns.get(*leaf.get(part.at)?)?.name;
            let is_same = live.0.column_at(name) == Some(column)
                && part.collation == live_part.collation
                && part.descending == live_part.descending;
            let place = read.iter().position(|at| *at == column)?;
            shared.push(is_same.then(|| (part.clone(), place))?);
        }
        Some(Self::Key(shared, stored.1))
    }

    /// Which comes first. Parts of a key that are spilled are read to be compared.
    ///
    /// Errors: `LongKey` for a part over 1 MiB.
    pub fn compare(
        &self,
        record: RowRef<'_>,
        row: &LiveRow<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Ordering, TargetError> {
        let (parts, encoding) = match self {
            Self::Rowids => return Ok(record.rowid.cmp(&row.rowid)),
            Self::Key(parts, encoding) => (parts, *encoding),
        };
        for (part, at) in parts {
            let stored = record.values.get(part.at).copied();
            let mut loaded = Vec::new();
            let stored = match stored.unwrap_or(ValueRef::Null) {
                ValueRef::Spilled(s) if s.bytes > KEY_BYTES_MAX => return Err(row.key_too_long()),
                ValueRef::Spilled(s) => {
                    let opened = content
                        .open(&s)
                        .and_then(|mut it| it.read_to_end(&mut loaded));
                    opened.map_err(|cause| row.no_content(cause))?;
                    match s.class {
                        LongClass::Text => ValueRef::Text(&loaded),
                        LongClass::Blob => ValueRef::Blob(&loaded),
                    }
                }
                value => value,
            };
            let LiveValue::Here(live) = row.value(*at)? else {
                return Err(row.key_too_long());
            };
            let order = compare_values(stored, live, &part.collation, encoding);
            match order.unwrap_or(Ordering::Equal) {
                Ordering::Equal => {}
                order if part.descending => return Ok(order.reverse()),
                order => return Ok(order),
            }
        }
        Ok(Ordering::Equal)
    }
}

/// Looks at Ctrl-C now and then.
struct Steps<'p> {
    progress: &'p mut dyn Progress,
    untold: u64,
}

impl Steps<'_> {
    fn step(&mut self) -> Result<(), Error> {
        self.untold += 1;
        if self.untold < ROWS_A_STEP {
            return Ok(());
        }
        self.tell();
        match self.progress.cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    fn tell(&mut self) {
        self.progress.advance(std::mem::take(&mut self.untold));
    }
}

/// Calls `each` for every record of a tree and every live row, in their order. A step of `progress`
/// is a record, a row, or both in one place.
///
/// Errors: `Cancelled`; those of `each`; a damaged tree or database.
pub fn walk(
    source: &dyn BlobSource,
    (shape, root): (&TreeShape, Option<&Root>),
    live: &mut LiveRows<'_, '_>,
    order: &SharedOrder,
    content: &mut dyn SpilledContent,
    progress: &mut dyn Progress,
    each: &mut dyn FnMut(Beside<'_>, &mut dyn SpilledContent) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut steps = Steps {
        progress,
        untold: 0,
    };
    let mut cursor = Cursor::new(source, shape, root);
    let mut next = live.next()?;
    while let Some(leaf) = cursor.next_leaf().map_err(StoreError::from)? {
        let mut values = Vec::with_capacity(shape.columns);
        for at in 0..leaf.leaf.rows() {
            let rowid = leaf.row(at, &mut values);
            let record = RowRef {
                rowid,
                values: &values,
            };
            loop {
                steps.step()?;
                let Some(row) = next else {
                    each(Beside::OnlyStored(record), content)?;
                    break;
                };
                match order.compare(record, &row, content)? {
                    Ordering::Less => {
                        each(Beside::OnlyStored(record), content)?;
                        break;
                    }
                    Ordering::Equal => {
                        each(Beside::Both(record, row), content)?;
                        next = live.next()?;
                        break;
                    }
                    Ordering::Greater => {
                        each(Beside::OnlyLive(row), content)?;
                        next = live.next()?;
                    }
                }
            }
        }
    }
    while let Some(row) = next {
        steps.step()?;
        each(Beside::OnlyLive(row), content)?;
        next = live.next()?;
    }
    steps.tell();
    Ok(())
}
