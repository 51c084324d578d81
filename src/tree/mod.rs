//! Record trees and the chunk trees of large values: pure over `BlobSource` and `BlobSink`.
//!
//! Equal tables have equal roots, whatever happened to the pages of their files. store-format.md §7.

mod align;
mod attempts;
pub mod build;
pub mod check;
pub mod cursor;
pub mod diff;
pub mod holes;
pub mod large;
mod old_chunks;
pub mod parent;
pub mod split;

use std::cmp::Ordering;

use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind};
use crate::format::node::{NodeKey, Span};
use crate::model::id::BlobId;
use crate::model::row::{Collation, RowRef, compare_values};
use crate::model::schema::{Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};

/// How the rows of a tree are known and ordered, in terms of its leaf columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By the rowid, which is a column of the table: it identifies a row.
    RowidAlias,
    /// By a rowid that is no column: VACUUM may renumber it, so trees are cut by content.
    RowidHidden,
    /// By key columns, of a WITHOUT ROWID table.
    Key(Vec<KeyPart>),
    /// By place only: the rowid cannot be reached.
    Place,
}

/// A column of a tree's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// Position among the leaf columns.
    pub at: usize,
    /// How texts compare.
    pub collation: Collation,
    /// Larger first.
    pub descending: bool,
}

/// What a tree needs to know of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeShape {
    /// Number of leaf columns.
    pub columns: usize,
    /// How its rows are ordered.
    pub order: Order,
    /// How its texts are written: their order depends on it.
    pub encoding: TextEncoding,
}

impl TreeShape {
    /// The shape of the tree of a table, whose texts are in `encoding`.
    pub fn of(table: &Table, encoding: TextEncoding) -> Self {
        let leaf_columns: Vec<usize> = table.leaf_columns().collect();
        let order = match &table.kind {
            TableKind::Rowid { alias: Some(_), .. } => Order::RowidAlias,
            TableKind::Rowid {
                rowid_name: Some(_),
                ..
            } => Order::RowidHidden,
            TableKind::WithoutRowid => Order::Key(key_parts(table, &leaf_columns)),
            _ => Order::Place,
        };
        Self {
            columns: leaf_columns.len(),
            order,
            encoding,
        }
    }

    /// The shape of a database's pages: page number and content. store-format.md §10.3.
    pub fn pages() -> Self {
        Self {
            columns: 1,
            order: Order::RowidAlias,
            encoding: TextEncoding::Utf8,
        }
    }

    /// True if its rows have rowids.
    pub fn has_rowids(&self) -> bool {
        matches!(self.order, Order::RowidAlias | Order::RowidHidden)
    }

    /// True if the order of its keys can be checked here.
    pub fn order_is_known(&self) -> bool {
        match &self.order {
            Order::Key(parts) => parts
                .iter()
                .all(|part| !matches!(part.collation, Collation::Unknown(_))),
            Order::Place => false,
            _ => true,
        }
    }

    /// The values of a row's key.
    pub fn key_values<'a>(&'a self, row: RowRef<'a>) -> impl Iterator<Item = ValueRef<'a>> + 'a {
        let parts = match &self.order {
            Order::Key(parts) => &parts[..],
            _ => &[],
        };
        parts.iter().map(move |part| row.values[part.at])
    }
}

fn key_parts(table: &Table, leaf_columns: &[usize]) -> Vec<KeyPart> {
    let part = |key: &crate::model::schema::KeyColumn| {
        let at = leaf_columns
            .iter()
            .position(|at| *at == key.column as usize)?;
        Some(KeyPart {
            at,
            collation: key.collation.clone(),
            descending: key.descending,
        })
    };
    table.primary_key.iter().filter_map(part).collect()
}

/// The root of a tree, with what a node would say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The leaf or node.
    pub id: BlobId,
    /// 0 for a leaf.
    pub level: u8,
    /// Rows of the tree.
    pub rows: u64,
    /// Canonical bytes of its leaves.
    pub bytes: u64,
    /// True if a leaf holds a spilled value.
    pub has_refs: bool,
    /// Rowid of the first row.
    pub first_rowid: Option<i64>,
}

/// Compares two keys of a tree; `None` if that cannot be decided here.
fn compare_keys(shape: &TreeShape, a: &[Value], b: &[Value]) -> Option<Ordering> {
    let Order::Key(parts) = &shape.order else {
        return None;
    };
    for (part, (a, b)) in parts.iter().zip(a.iter().zip(b)) {
        match compare_values(a.as_ref(), b.as_ref(), &part.collation, shape.encoding)? {
            Ordering::Equal => {}
            order if part.descending => return Some(order.reverse()),
            order => return Some(order),
        }
    }
    (a.len() == b.len() && a.len() == parts.len()).then_some(Ordering::Equal)
}

/// The values of a key that stands whole in a node.
fn key_of(key: &NodeKey) -> Option<Vec<Value>> {
    match key.cut {
        Some(_) => None,
        None => crate::format::leaf::read_values(&key.bytes).ok(),
    }
}

/// The kind of blob at a level of a record tree.
pub(crate) fn kind_at(level: u8) -> BlobKind {
    if level == 0 {
        BlobKind::Leaf
    } else {
        BlobKind::Node
    }
}

/// First rowid of a span.
pub(crate) fn first_rowid(span: &Span) -> Option<i64> {
    match span {
        Span::Rowids { first, .. } => Some(*first),
        _ => None,
    }
}

/// A blob that is whole but does not fit its place in the tree.
pub(crate) fn misfit(kind: BlobKind, id: BlobId, cause: FormatError) -> BlobError {
    BlobError {
        why: BlobErrorKind::Damaged,
        kind,
        id,
        cause: Box::new(cause),
    }
}
