//! Whether the keys of a WITHOUT ROWID table come in their order, as they do unless it is damaged.

use std::cmp::Ordering;

use crate::model::row::{Collation, compare_values};
use crate::model::schema::{Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};

/// Remembers the key of the last row.
#[derive(Debug)]
pub(super) struct KeyOrder {
    /// Of each part of the key: its leaf column, its collation, whether larger ones come first.
    parts: Vec<(usize, Collation, bool)>,
    encoding: TextEncoding,
    last: Vec<Value>,
}

impl KeyOrder {
    /// `None` for tables without such a key, and where a collation is not known.
    pub(super) fn of(table: &Table, encoding: TextEncoding) -> Option<Self> {
        if table.kind != TableKind::WithoutRowid || table.unknown_collations().next().is_some() {
            return None;
        }
        let place = |column: u32| {
            let mut leaf = table.leaf_columns();
            leaf.position(|at| u32::try_from(at).is_ok_and(|at| at == column))
        };
        let part = |key: &crate::model::schema::KeyColumn| {
            Some((place(key.column)?, key.collation.clone(), key.descending))
        };
        let parts: Option<Vec<_>> = table.primary_key.iter().map(part).collect();
        Some(Self {
            parts: parts?,
            encoding,
            last: Vec::new(),
        })
    }

    /// True if a row comes behind the last one of which this was said.
    pub(super) fn follows(&mut self, values: &[ValueRef<'_>]) -> bool {
        if !self.last.is_empty() && !self.is_behind(values) {
            return false;
        }
        self.last.resize(self.parts.len(), Value::Null);
        for ((at, ..), last) in self.parts.iter().zip(&mut self.last) {
            assign(last, values[*at]);
        }
        true
    }

    fn is_behind(&self, values: &[ValueRef<'_>]) -> bool {
        for ((at, collation, descending), last) in self.parts.iter().zip(&self.last) {
            let order = compare_values(last.as_ref(), values[*at], collation, self.encoding);
            match order {
                Some(Ordering::Equal) => {}
                Some(order) => return (order == Ordering::Less) != *descending,
                None => return true,
            }
        }
        false
    }
}

/// Overwrites a value; the memory of texts and blobs is used again.
fn assign(place: &mut Value, value: ValueRef<'_>) {
    match (place, value) {
        (Value::Text(place), ValueRef::Text(bytes))
        | (Value::Blob(place), ValueRef::Blob(bytes)) => {
            place.clear();
            place.extend_from_slice(bytes);
        }
        (place, value) => *place = value.to_owned(),
    }
}
