//! What the live row says where the states before and after a restore differ.

use super::Changed;
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Table, TableKind};
use crate::model::value::{Value, ValueRef};
use crate::target::{
    ColumnMap, Comparer, Doing, Field, KeyName, LiveDatabase, Lookup, Record, RowId,
    SpilledContent, Step, TargetError, has_other_unique,
};
use crate::tree::diff::Difference as Change;

/// What a look at the live row says.
pub(super) enum Look {
    /// It is as before the restore.
    Already,
    /// It is not where the restore left it, but may have moved.
    Missing,
    /// It is deleted: a step that has nothing to write.
    Delete(Step),
    /// It is written.
    Step(Step),
    /// It was changed since.
    Changed {
        /// How.
        reason: &'static str,
        /// The row; `None`: it is gone.
        id: Option<RowId>,
    },
}

/// Looks at rows of one table.
pub(super) struct Looks<'l> {
    table: &'l Table,
    map: &'l ColumnMap,
    lookup: Lookup<'l>,
    comparer: Comparer<'l>,
    /// A row whose values change is deleted first: a UNIQUE index may be in the way.
    rewrites: bool,
    fields: Vec<Field>,
}

impl<'l> Looks<'l> {
    /// Prepares to look at the rows of a table.
    pub(super) fn new(
        live: &'l LiveDatabase,
        schema: &Schema,
        table: &'l Table,
        map: &'l ColumnMap,
    ) -> Result<Self, TargetError> {
        Ok(Self {
            table,
            map,
            lookup: Lookup::new(live, table, map)?,
            comparer: Comparer::new(live, table, map)?,
            rewrites: has_other_unique(schema, table),
            fields: Vec::new(),
        })
    }

    /// Looks at the row of a difference, which has this place among those of its table.
    pub(super) fn at(
        &mut self,
        place: u64,
        change: Change<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Look, TargetError> {
        match change {
            Change::Added(made) => match self.row(made, content)? {
                None if self.map.keeps_rowid => Ok(Look::Missing),
                None => Ok(Look::Already),
                Some(id) if self.is_equal(&id, made, content)? => {
                    let step = step(place, Doing::Rewrite, Some(id), Vec::new());
                    Ok(Look::Delete(step))
                }
                Some(id) => Ok(Look::Changed {
                    reason: "it was changed since it was restored",
                    id: Some(id),
                }),
            },
            Change::Removed(was) => match self.row(was, content)? {
                None => Ok(Look::Step(step(place, Doing::Insert, None, Vec::new()))),
                Some(id) if self.is_equal(&id, was, content)? => Ok(Look::Already),
                Some(id) => Ok(Look::Changed {
                    reason: "another row has its place now",
                    id: Some(id),
                }),
            },
            Change::Changed(was, made) => {
                let Some(id) = self.row(made, content)? else {
                    return Ok(Look::Changed {
                        reason: "it was deleted since",
                        id: None,
                    });
                };
                if self.is_equal(&id, made, content)? {
                    return Ok(Look::Step(self.back(place, id, was, made)));
                }
                match self.is_equal(&id, was, content)? {
                    true => Ok(Look::Already),
                    false => Ok(Look::Changed {
                        reason: "it was changed since it was restored",
                        id: Some(id),
                    }),
                }
            }
        }
    }

    /// A step that gives a row its earlier values.
    fn back(&self, place: u64, id: RowId, was: RowRef<'_>, made: RowRef<'_>) -> Step {
        let values = self.map.values(was).zip(self.map.values(made)).enumerate();
        let columns: Vec<usize> = values
            .filter(|(_, (was, made))| !was.identical(*made))
            .map(|(at, _)| at)
            .collect();
        let in_key = |at: &usize| self.map.columns[*at].in_key;
        let doing = match self.rewrites || columns.iter().any(in_key) {
            true => Doing::Rewrite,
            false => Doing::Update,
        };
        step(place, doing, Some(id), columns)
    }

    /// The live row in the place of a record: of its rowid, or of its key.
    fn row(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<RowId>, TargetError> {
        if let (true, Some(rowid)) = (self.table.kind != TableKind::WithoutRowid, row.rowid) {
            let id = RowId(vec![Value::Integer(rowid)]);
            return Ok(self.comparer.is_there(&id)?.then_some(id));
        }
        let values: Vec<ValueRef<'_>> = self.map.values(row).collect();
        let record = Record {
            rowid: None,
            values: &values,
        };
        let mut found = self.lookup.find(KeyName::Primary, record, content)?;
        Ok(found.pop())
    }

    /// A row of the table that has a key of the record, which it would get, and does not yield it.
    pub(super) fn in_the_way(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
        yields: &mut dyn FnMut(&RowId) -> Result<bool, TargetError>,
    ) -> Result<Option<(String, RowId)>, TargetError> {
        for name in self.map.keys() {
            for id in self.lookup.find(name, record, content)? {
                if !yields(&id)? {
                    let key = self.map.key(name).map_or("", |key| key.name.as_str());
                    return Ok(Some((format!("another row has its {key} now"), id)));
                }
            }
        }
        Ok(None)
    }

    /// True if the live row in the place of this one has its values.
    pub(super) fn is_in_place(
        &mut self,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        match self.row(row, content)? {
            Some(id) => self.is_equal(&id, row, content),
            None => Ok(false),
        }
    }

    /// Calls `with` with a row as the live table would hold it.
    pub(super) fn with_record<R>(&self, row: RowRef<'_>, with: impl FnOnce(Record<'_>) -> R) -> R {
        let values: Vec<ValueRef<'_>> = self.map.values(row).collect();
        with(Record {
            rowid: self.map.rowid(row),
            values: &values,
        })
    }

    fn is_equal(
        &mut self,
        id: &RowId,
        row: RowRef<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        let values: Vec<ValueRef<'_>> = self.map.values(row).collect();
        let record = Record {
            rowid: self.map.rowid(row),
            values: &values,
        };
        self.comparer
            .compare(id, record, content, &mut self.fields)?;
        Ok(self.fields.iter().all(|field| *field == Field::Equal))
    }

    /// A row that was changed since, for people.
    pub(super) fn describe(
        &self,
        change: Change<'_>,
        reason: &str,
        id: Option<&RowId>,
    ) -> Result<Changed, TargetError> {
        let (row, made) = match change {
            Change::Added(made) | Change::Changed(_, made) => (made, Some(made)),
            Change::Removed(was) => (was, None),
        };
        let values: Vec<ValueRef<'_>> = self.map.values(row).collect();
        let record = Record {
            rowid: self.map.rowid(row),
            values: &values,
        };
        Ok(Changed {
            table: self.table.name.clone(),
            row: self.map.name_of(record),
            reason: reason.to_owned(),
            restored: made.map_or_else(Vec::new, |_| self.map.describe(record)),
            now: match id {
                Some(id) => self.lookup.describe(id)?,
                None => Vec::new(),
            },
        })
    }
}

fn step(place: u64, doing: Doing, id: Option<RowId>, columns: Vec<usize>) -> Step {
    Step {
        ordinal: place,
        doing,
        id,
        columns,
        changes: Vec::new(),
    }
}
