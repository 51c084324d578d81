//! What rows refer to, and what tells them apart, in terms of the live tables.

use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ForeignKey, Table};
use crate::model::value::{Value, ValueRef};
use crate::target::{ColumnMap, Doing, Record, RowId};
use crate::tree::diff::Difference as Change;

/// A row that gets a reference, with its values.
pub(super) fn refers<'r>(
    map: &ColumnMap,
    own: &[usize],
    change: Change<'r>,
    doing: Doing,
    columns: &[usize],
) -> Option<(RowRef<'r>, Vec<Value>)> {
    let (Change::Removed(was) | Change::Changed(was, _)) = change else {
        return None;
    };
    let is_whole = matches!(doing, Doing::Insert | Doing::Rewrite);
    let gets_it = is_whole || columns.iter().any(|at| own.contains(at));
    let values = whole(map, was, own).filter(|_| gets_it)?;
    Some((was, values))
}

/// Where the columns of a reference stand among the mapped ones of the table that has it.
pub(super) fn child_places(map: &ColumnMap, key: &ForeignKey) -> Option<Vec<usize>> {
    let columns = key.columns.iter();
    columns.map(|(column, _)| map.position(column)).collect()
}

/// Where columns of a live table stand among the mapped ones.
pub(super) fn places(
    table: &Table,
    map: &ColumnMap,
    columns: &[(usize, Collation)],
) -> Option<Vec<usize>> {
    let place = |(column, _): &(usize, Collation)| map.position(&table.columns.get(*column)?.name);
    columns.iter().map(place).collect()
}

/// Values of a row; `None` if one is NULL or too long to be referred to.
pub(super) fn whole(map: &ColumnMap, row: RowRef<'_>, columns: &[usize]) -> Option<Vec<Value>> {
    let values: Vec<ValueRef<'_>> = map.values(row).collect();
    let record = Record {
        rowid: map.rowid(row),
        values: &values,
    };
    record.whole(columns)
}

/// What tells a row from others in the live table.
pub(super) fn id_of(map: &ColumnMap, row: RowRef<'_>, identity: &[usize]) -> Option<RowId> {
    match identity.is_empty() {
        true => row.rowid.map(|rowid| RowId(vec![Value::Integer(rowid)])),
        false => whole(map, row, identity).map(RowId),
    }
}
