//! The live rows of a table beside the records of the snapshot, where both come in one order and a row in
//! a record's place is the record's own.

use crate::error::Error;
use crate::model::row::RowRef;
use crate::ops::content::StoredContent;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::records::unreadable;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::side_by_side::{self, Beside, SharedOrder};
use crate::ops::stored::root_of;
use crate::progress::Progress;
use crate::store::StoreError;
use crate::target::{
    Field, LiveRow, LiveTable, Record, SpilledContent, TargetError, identity_places, in_utf8,
};
use crate::tree::Order;

/// The live rows of one table, in the order of its records.
pub(in crate::ops::restore) struct Rows<'r> {
    table: LiveTable<'r>,
    order: SharedOrder,
    /// What tells rows apart, among the mapped columns; empty: the rowid.
    identity: Vec<usize>,
}

/// What is met.
pub(in crate::ops::restore) enum Met<'m> {
    /// A record, its place, and the row in its place.
    Record(u64, RowRef<'m>, Option<LiveRow<'m>>),
    /// A row that no record has the place of.
    Row(LiveRow<'m>),
}

impl<'r> Rows<'r> {
    /// `None` if records and rows have no order in common.
    pub(in crate::ops::restore) fn of(
        basis: &'r Basis<'_>,
        shape: &'r TableShape,
    ) -> Result<Option<Self>, TargetError> {
        let (stored, live, map) = (&shape.stored, &shape.live, &shape.map);
        let alias = |table: &crate::model::schema::Table| {
            let column = table.columns.get(table.rowid_alias()?)?;
            Some(column.name.to_ascii_lowercase())
        };
        let is_one_place = match &shape.tree.order {
            Order::RowidAlias => alias(live).is_some() && alias(stored) == alias(live),
            Order::RowidHidden => map.keeps_rowid,
            Order::Key(_) => true,
            Order::Place => false,
        };
        let columns: Vec<usize> = map.columns.iter().map(|mapped| mapped.column).collect();
        let stored_in = basis.schema.encoding;
        let order = SharedOrder::of((stored, stored_in), (live, basis.live.encoding()), &columns);
        // Rows are given in UTF-8, and lie in another order then.
        let order =
            order.filter(|order| matches!(order, SharedOrder::Rowids) || stored_in.is_utf8());
        let identity = identity_places(live, map);
        let (Some(order), Some(identity), true) = (order, identity, is_one_place) else {
            return Ok(None);
        };
        Ok(Some(Self {
            table: LiveTable::new(basis.live, live, &columns)?,
            order,
            identity,
        }))
    }

    /// Calls `each` for every record, and for every row that is in no record's place, in order.
    pub(in crate::ops::restore) fn walk(
        &mut self,
        basis: &Basis<'_>,
        shape: &TableShape,
        progress: &mut dyn Progress,
        mut each: impl FnMut(Met<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
    ) -> Result<(), Error> {
        let root = shape.entity(basis).and_then(root_of);
        let mut content = StoredContent::new(basis.reader);
        let mut ordinal = 0;
        let walked = side_by_side::walk(
            basis.reader,
            (&shape.tree, root.as_ref()),
            &mut self.table.rows()?,
            &self.order,
            &mut content,
            progress,
            &mut |beside, content| {
                let (row, live) = match beside {
                    Beside::OnlyLive(live) => return Ok(each(Met::Row(live), content)?),
                    Beside::OnlyStored(row) => (row, None),
                    Beside::Both(row, live) => (row, Some(live)),
                };
                in_utf8(
                    basis.schema.encoding,
                    row,
                    content,
                    |cause| unreadable(&shape.stored.name, ordinal, cause),
                    |row, content| each(Met::Record(ordinal, row, live), content),
                )?;
                ordinal += 1;
                Ok(())
            },
        );
        match walked {
            // A large value that cannot be read is the store's failure, not the target's.
            Err(Error::Target(error)) => Err(match content.failure() {
                Some(blob) => StoreError::from(blob).into(),
                None => error.into(),
            }),
            walked => walked,
        }
    }
}

impl Rows<'_> {
    /// What tells rows apart, among the mapped columns; empty: the rowid.
    pub(in crate::ops::restore) fn identity(&self) -> Vec<usize> {
        self.identity.clone()
    }
}

/// True if a row has the values of a record. `fields` says of each mapped column.
pub(in crate::ops::restore) fn is_equal(
    row: &LiveRow<'_>,
    record: Record<'_>,
    content: &mut dyn SpilledContent,
    fields: &mut Vec<Field>,
) -> Result<bool, TargetError> {
    row.compare(record, content, fields)?;
    Ok(fields.iter().all(|field| *field == Field::Equal))
}
