//! Rows that had no parent before the restore: they may be without one again.

use super::changes::each_before;
use super::obstacles::Obstacles;
use super::values::{child_places, id_of, places, whole};
use crate::error::Error;
use crate::model::row::Collation;
use crate::model::schema::{ForeignKey, Table};
use crate::target::{ColumnMap, Declared, KeyMap, identity_places};

impl<'w> Obstacles<'_, 'w> {
    /// True if rows may have had no parent before the restore.
    pub(super) fn had_orphans(&self, child: &Table, key: &ForeignKey) -> bool {
        let Some(before) = self.restored.before_schema.table(&child.name) else {
            return false;
        };
        let mut keys = before.foreign_keys.iter();
        let Some(same) = keys.find(|k| k.parent == key.parent && k.columns == key.columns) else {
            return true;
        };
        let verdicts = &self.restored.before.foreign_keys;
        let of_child = verdicts.iter().filter(|v| v.table == before.name);
        of_child
            .into_iter()
            .any(|v| v.unchecked.is_some() || (v.id == same.id && v.violations > 0))
    }

    /// Those of the rows that refer to the same now as before the restore, when it was not there.
    pub(super) fn unchanged_orphans(
        &self,
        child: &Table,
        key: &ForeignKey,
        candidates: &mut KeyMap<'w>,
        found: &mut KeyMap<'w>,
    ) -> Result<(), Error> {
        let stored = self.restored.before_schema.table(&child.name);
        let Some(stored) = stored.filter(|_| !candidates.is_empty()) else {
            return Ok(());
        };
        let map = ColumnMap::of(stored, child, &Declared::default());
        let (Some(identity), Some(own)) = (identity_places(child, &map), child_places(&map, key))
        else {
            return Ok(());
        };
        each_before(self.restored, &stored.name, |row, _| {
            let (Some(id), Some(values)) = (id_of(&map, row, &identity), whole(&map, row, &own))
            else {
                return Ok(());
            };
            match candidates.get(&id.0)? {
                Some(entry) if entry.values == values => found.add(&id.0, 0),
                _ => Ok(()),
            }
        })
    }

    /// Which of the keys that are asked for the parent had before the restore.
    pub(super) fn parents_before(
        &self,
        parent: Option<&Table>,
        columns: &[(usize, Collation)],
        asked: &mut KeyMap<'w>,
        had: &mut KeyMap<'w>,
    ) -> Result<(), Error> {
        let Some(parent) = parent.filter(|_| !asked.is_empty()) else {
            return Ok(());
        };
        let Some(stored) = self.restored.before_schema.table(&parent.name) else {
            return Ok(());
        };
        let map = ColumnMap::of(stored, parent, &Declared::default());
        let Some(key) = places(parent, &map, columns) else {
            return Ok(());
        };
        each_before(self.restored, &stored.name, |row, _| {
            match whole(&map, row, &key) {
                Some(values) if asked.has(&values)? => had.add(&values, 0),
                _ => Ok(()),
            }
        })
    }
}
