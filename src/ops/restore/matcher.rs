//! The decisions for the records of one table: looks up what each means in the live table, and
//! decides. Used to plan, and again to carry the plan out.

use super::Mode;
use super::decide::{Identity, RowAction, decide, identify};
use crate::model::row::RowRef;
use crate::model::schema::Table;
use crate::target::{
    ColumnMap, Copies, Field, LiveDatabase, Lookup, RowId, SpilledContent, TargetError,
};

/// A decision with what it was made from.
pub(super) struct Decision {
    /// What happens.
    pub action: RowAction,
    /// The row that the record means.
    pub id: Option<RowId>,
}

/// Decides for the records of one table.
pub(super) struct Matcher<'d> {
    live: &'d LiveDatabase,
    table: &'d Table,
    map: &'d ColumnMap,
    mode: Mode,
    lookup: Lookup<'d>,
    /// Rows without a key, counted when the first such record comes.
    copies: Option<Copies>,
    fields: Vec<Field>,
}

impl<'d> Matcher<'d> {
    /// For one live table. `count_copies`: rows without a key are counted now, before any is
    /// written.
    pub(super) fn new(
        live: &'d LiveDatabase,
        table: &'d Table,
        map: &'d ColumnMap,
        mode: Mode,
        count_copies: bool,
    ) -> Result<Self, TargetError> {
        let copies = match count_copies {
            true => Some(Copies::of(live, table, map)?),
            false => None,
        };
        Ok(Self {
            live,
            table,
            map,
            mode,
            lookup: Lookup::new(live, table, map)?,
            copies,
            fields: Vec::new(),
        })
    }

    /// Decides for the next record.
    pub(super) fn decide(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Decision, TargetError> {
        self.fields.clear();
        let matches = self.lookup.find(row, content)?;
        if matches.without_key() {
            return self.whole_row(row, content);
        }
        let decided = |action, id| Ok(Decision { action, id });
        match identify(&matches, self.map) {
            Identity::New => decided(RowAction::Insert, None),
            Identity::Several(why) => decided(RowAction::Conflict(why), None),
            Identity::Row {
                id,
                other_id,
                missing,
            } => {
                self.lookup.compare(&id, row, content, &mut self.fields)?;
                let action = decide(self.map, &self.fields, other_id, &missing, self.mode);
                decided(action, Some(id))
            }
        }
    }

    /// A record that no key tells from others: it is there if a copy is left that no other claimed.
    fn whole_row(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Decision, TargetError> {
        let copies = match &mut self.copies {
            Some(copies) => copies,
            empty => empty.insert(Copies::of(self.live, self.table, self.map)?),
        };
        let is_there = copies.take(self.live, self.table, self.map, row, content)?;
        Ok(Decision {
            action: if is_there {
                RowAction::Same
            } else {
                RowAction::Insert
            },
            id: None,
        })
    }

    /// What the row of the last decision has beside the record; empty if there was none.
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// True once a record without a key came.
    pub(super) fn counted_copies(&self) -> bool {
        self.copies.is_some()
    }
}
