//! Foreign keys that refer to rowids, looked at while the rows of both tables pass by: in a first backup SQLite would
//! look up a parent for every child again.
//!
//! What is found here is that a key holds. Where it does not, or where that cannot be told, SQLite checks the table
//! (`verdicts`). Memory: some ranges of rowids a table, bounded.

use crate::model::row::RowRef;
use crate::model::schema::{ForeignKey, Schema, Table};
use crate::model::value::ValueRef;
use crate::tree::diff::Field;

/// Ranges of rowids that are kept of all tables together: 16 MiB.
const RANGES_MAX: usize = 1 << 20;

/// The rowids of a table, in ranges without gaps.
#[derive(Debug, Default)]
struct Rowids(Vec<(i64, i64)>);

impl Rowids {
    /// Takes the next one, in rising order.
    fn push(&mut self, rowid: i64) {
        match self.0.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(rowid) => *last = rowid,
            _ => self.0.push((rowid, rowid)),
        }
    }

    fn contain(&self, rowid: i64) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= rowid);
        behind > 0 && rowid <= self.0[behind - 1].1
    }
}

/// What was seen of the tables so far.
#[derive(Debug, Default)]
pub(super) struct SeenKeys {
    /// Tables that others refer to by the rowid, by their names in lower case, once all of their rows were seen.
    parents: Vec<(String, Rowids)>,
    ranges: usize,
    /// Tables all of whose keys hold, by name.
    hold: Vec<String>,
}

/// A table whose rows pass by.
#[derive(Debug)]
pub(super) struct Passing {
    /// Its rowids, if others refer to them.
    rowids: Option<Rowids>,
    ranges_max: usize,
    /// Its keys: where they stand, and which of the parents they refer to. `None` if one cannot be followed here, or is
    /// broken.
    keys: Option<Vec<(Field, usize)>>,
}

impl SeenKeys {
    /// A table begins.
    pub(super) fn begin(&self, schema: &Schema, table: &Table) -> Passing {
        let refers = |other: &Table| {
            let mut keys = other.foreign_keys.iter();
            keys.any(|key| key.parent.eq_ignore_ascii_case(&table.name))
        };
        let is_parent = table.rowid_alias().is_some() && schema.tables.iter().any(refers);
        let mut keys = table.foreign_keys.iter();
        let followed: Option<Vec<_>> = keys
            .by_ref()
            .map(|key| self.follow(schema, table, key))
            .collect();
        Passing {
            rowids: is_parent.then(Rowids::default),
            ranges_max: RANGES_MAX - self.ranges,
            keys: followed,
        }
    }

    /// Where a key stands, and its parent, if that is a rowid that was seen.
    fn follow(&self, schema: &Schema, child: &Table, key: &ForeignKey) -> Option<(Field, usize)> {
        let [(of_child, of_parent)] = &key.columns[..] else {
            return None;
        };
        let parent = schema.table(&key.parent)?;
        let alias = &parent.columns[parent.rowid_alias()?].name;
        if of_parent
            .as_ref()
            .is_some_and(|name| !name.eq_ignore_ascii_case(alias))
        {
            return None;
        }
        let name = parent.name.to_ascii_lowercase();
        let number = self.parents.iter().position(|(seen, _)| *seen == name)?;
        let mut columns = child.columns.iter();
        let at = columns.position(|column| column.name.eq_ignore_ascii_case(of_child))?;
        Some((Field::of_column(child, at)?, number))
    }

    /// A row of the table passes by.
    pub(super) fn look_at(&self, passing: &mut Passing, row: RowRef<'_>) {
        if let (Some(rowids), Some(rowid)) = (&mut passing.rowids, row.rowid) {
            rowids.push(rowid);
            if rowids.0.len() > passing.ranges_max {
                passing.rowids = None;
            }
        }
        let Some(keys) = &passing.keys else {
            return;
        };
        let holds = |(field, parent): &(Field, usize)| match field.of(row) {
            ValueRef::Null => true,
            ValueRef::Integer(rowid) => self.parents[*parent].1.contain(rowid),
            // It is made a number before it is looked up.
            _ => false,
        };
        if !keys.iter().all(holds) {
            passing.keys = None;
        }
    }

    /// The table has ended. `whole`: each of its rows was seen.
    pub(super) fn end(&mut self, table: &Table, passing: Passing, whole: bool) {
        if !whole {
            return;
        }
        if passing.keys.is_some() {
            self.hold.push(table.name.clone());
        }
        if let Some(rowids) = passing.rowids {
            self.ranges += rowids.0.len();
            self.parents.push((table.name.to_ascii_lowercase(), rowids));
        }
    }

    /// True if all keys of a table hold.
    pub(super) fn hold(&self, table: &Table) -> bool {
        self.hold.contains(&table.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rowids_are_contained_as_they_were_given() {
        let mut rowids = Rowids::default();
        let given = [i64::MIN, -3, -2, 5, 6, 7, 9, i64::MAX - 1, i64::MAX];
        for rowid in given {
            rowids.push(rowid);
        }
        assert_eq!(rowids.0.len(), 5);
        for rowid in [
            i64::MIN,
            i64::MIN + 1,
            -4,
            -3,
            -2,
            -1,
            4,
            5,
            7,
            8,
            9,
            10,
            i64::MAX,
        ] {
            assert_eq!(rowids.contain(rowid), given.contains(&rowid), "{rowid}");
        }
    }
}
