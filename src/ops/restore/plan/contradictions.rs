//! Records that contradict the database: reported, and left out.

use super::pass::{One, Pass, Tools};
use crate::ops::restore::identity::decide::Row;
use crate::ops::restore::options::{Mode, OnConflict};
use crate::ops::restore::report::{Conflict, ConflictKind};
use crate::ops::restore::table_plan::Tally;
use crate::target::{KeyName, Record, TargetError};

impl Pass<'_, '_> {
    /// A record whose keys do not say which row it is.
    pub(in crate::ops::restore) fn contradicted(
        &mut self,
        one: &One<'_>,
        record: Record<'_>,
        (rows, reason): (&[Row], String),
        in_scope: bool,
        tools: &Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        self.unsettled(one, in_scope)?;
        match in_scope {
            true => self.conflict(record, rows, reason, tools, tally),
            false => Ok(()),
        }
    }

    pub(in crate::ops::restore) fn doubtful(
        &mut self,
        record: Record<'_>,
        row: &Row,
        missing: &[KeyName],
        tools: &mut Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        let options = self.basis.options;
        if options.mode == Mode::Add || options.deleted_only {
            tally.report.skipped += 1;
            tally.report.left_out.doubtful += 1;
            return Ok(());
        }
        let reason = format!(
            "the row with its primary key has another {}: it was renamed, or its id was given to another thing",
            self.names(missing)
        );
        let rows = std::slice::from_ref(row);
        self.conflict_of(ConflictKind::Doubtful, record, rows, reason, tools, tally)
    }

    pub(in crate::ops::restore) fn several(&self, keys: &[KeyName], rows: &[Row]) -> String {
        match keys {
            [_] => format!("its key ({}) is that of several rows", self.names(keys)),
            _ => format!(
                "its keys ({}) are those of {} different rows",
                self.names(keys),
                rows.len()
            ),
        }
    }

    /// Keys for people: their columns.
    pub(in crate::ops::restore) fn names(&self, keys: &[KeyName]) -> String {
        let name = |key: &KeyName| self.shape().map.key(*key).map_or("", |key| &key.name);
        keys.iter().map(name).collect::<Vec<&str>>().join("; ")
    }

    /// Notes that it is not known which row a record is: nothing may refer to it. Where its conflict is
    /// told, and stops all, that would only be said twice.
    pub(in crate::ops::restore) fn unsettled(
        &mut self,
        one: &One<'_>,
        in_scope: bool,
    ) -> Result<(), TargetError> {
        let options = self.basis.options;
        let is_skipped = options.on_conflict == OnConflict::Skip || options.deleted_only;
        match is_skipped || !in_scope {
            true => self.keys.absent(self.links, self.table, one.was),
            false => self.keys.unsettled(self.links, self.table, one.was),
        }
    }

    /// A record is left as its row is.
    pub(in crate::ops::restore) fn leave(&self, in_scope: bool, tally: &mut Tally) {
        tally.report.skipped += u64::from(in_scope);
        tally.report.left_out.differing += u64::from(in_scope);
    }

    pub(in crate::ops::restore) fn conflict(
        &self,
        record: Record<'_>,
        rows: &[Row],
        reason: String,
        tools: &Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        self.conflict_of(ConflictKind::Record, record, rows, reason, tools, tally)
    }

    fn conflict_of(
        &self,
        kind: ConflictKind,
        record: Record<'_>,
        rows: &[Row],
        reason: String,
        tools: &Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        let shape = self.shape();
        if self.basis.options.deleted_only && !rows.is_empty() {
            self.leave(true, tally);
            return Ok(());
        }
        tally.report.conflicts += 1;
        if self.basis.options.on_conflict == OnConflict::Skip {
            tally.report.skipped += 1;
            tally.report.left_out.conflicting += 1;
        }
        let (mut values, mut described) = (Vec::new(), Vec::new());
        if tally.conflicts.has_room() {
            described = tools.matcher.describe(rows)?;
            values = shape.map.describe(record);
        }
        tally.conflicts.add(Conflict {
            kind,
            table: shape.live.name.clone(),
            record: shape.map.name_of(record),
            reason,
            values,
            rows: described,
        });
        Ok(())
    }
}
