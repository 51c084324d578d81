//! What is written of a record: into the row that it means, or as a new row.

use super::pass::{One, Pass, Tools, remapped};
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::identity::decide::{Row, RowAction, decide};
use crate::ops::restore::identity::keys::{Changes, Translated, changed};
use crate::ops::restore::table_plan::{Tally, bytes};
use crate::target::{
    Doing, KeyName, Record, Refusal, RowId, SpilledContent, Step, TargetError, Tried,
};

impl Pass<'_, '_> {
    /// A record whose row is there. False if it contradicts the database.
    #[expect(clippy::too_many_arguments, reason = "one call, in one place")]
    pub(in crate::ops::restore) fn row(
        &mut self,
        one: &One<'_>,
        record: Record<'_>,
        row: &Row,
        other_id: bool,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        let (basis, shape) = (self.basis, self.shape());
        let deleted_only = basis.options.deleted_only;
        let fields = tools.matcher.fields();
        let action = decide(&shape.map, fields, other_id, basis.mode(), deleted_only);
        let (doing, columns) = match action {
            RowAction::Same => {
                tally.report.same += 1;
                return Ok(true);
            }
            RowAction::Skip => {
                self.leave(true, tally);
                return Ok(true);
            }
            RowAction::Fill(columns) => (Doing::Fill, columns),
            RowAction::Update(columns) => (Doing::Update, columns),
        };
        if self.chosen.left_out.has(one.ordinal)? {
            tally.report.skipped += 1;
            tally.report.left_out.missing += 1;
            return Ok(true);
        }
        if is_written(row, tools)? {
            let reason = "its row is written by another record already".to_owned();
            tally.contested += 1;
            self.conflict(record, std::slice::from_ref(row), reason, tools, tally)?;
            return Ok(false);
        }
        let Row::Live(id) = row else {
            return Ok(true);
        };
        if doing == Doing::Update
            && let Some((name, rows)) =
                self.taken_by_another(record, row, &columns, tools, content)?
        {
            let reason = format!("its key {} is taken by another row", self.names(&[name]));
            self.conflict(record, &rows, reason, tools, tally)?;
            return Ok(false);
        }
        if let Some(refusal) = self.refusal(record, id, &columns, tools, content)? {
            let mut rows: Vec<Row> = refusal.rows.into_iter().map(Row::Live).collect();
            rows.insert(0, row.clone());
            self.conflict(record, &rows, refusal.reason, tools, tally)?;
            return Ok(false);
        }
        if doing == Doing::Update {
            tools.matcher.updates(id, record)?;
        }
        tools
            .written
            .add(&id.0, i64::from(doing == Doing::Update))?;
        match doing {
            Doing::Fill => tally.report.filled += 1,
            _ => tally.report.updated += 1,
        }
        let size = |at: &usize| bytes(record.value(*at));
        tally.report.bytes += columns.iter().map(size).sum::<u64>();
        let changes = difference(one.was, record)
            .into_iter()
            .filter(|(at, _)| columns.contains(at))
            .collect();
        self.steps.put(&Step {
            ordinal: one.ordinal,
            doing,
            id: Some(id.clone()),
            columns,
            changes,
        })?;
        Ok(true)
    }

    /// The other row that has a UNIQUE key which an update would give to this one.
    fn taken_by_another(
        &self,
        record: Record<'_>,
        row: &Row,
        columns: &[usize],
        tools: &mut Tools<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<(KeyName, Vec<Row>)>, TargetError> {
        let map = &self.shape().map;
        for at in 0..map.unique.len() {
            let name = KeyName::Unique(at);
            let is_written = map.unique[at]
                .columns
                .iter()
                .any(|(c, _)| columns.contains(c));
            if !is_written {
                continue;
            }
            let mut rows = tools.matcher.rows(name, record, content)?;
            rows.retain(|other| other != row);
            let mut taken = tools.matcher.is_gained(name, record)?;
            for other in &rows {
                // What an overwritten row had is free.
                taken |= match other {
                    Row::Live(id) => tools.written.get(&id.0)?.is_none_or(|e| e.mark == 0),
                    Row::Planned(_) => true,
                };
            }
            if taken {
                return Ok(Some((name, rows)));
            }
        }
        Ok(None)
    }

    /// Why a row would not take these columns of a record.
    fn refusal(
        &self,
        record: Record<'_>,
        id: &RowId,
        columns: &[usize],
        tools: &mut Tools<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<Refusal>, TargetError> {
        let Some(tried) = &mut tools.tried else {
            return Ok(None);
        };
        let all: Vec<usize> = (0..record.values.len()).collect();
        let there = tools.matcher.values(id, &all)?;
        let value = |at: &usize| match columns.contains(at) {
            true => record.value(*at),
            false => there[*at].as_ref(),
        };
        let values: Vec<ValueRef<'_>> = all.iter().map(value).collect();
        let now = Record {
            rowid: record.rowid,
            values: &values,
        };
        tried.insert_beside(self.basis.live, now, &mut |row| Ok(row == id), content)
    }

    /// Why the table would refuse a record that has no row.
    fn refused(
        &self,
        tried: &mut Tried<'_>,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Option<Refusal>, TargetError> {
        tried.insert_beside(self.basis.live, record, &mut |_| Ok(false), content)
    }

    /// A record that has no row. One that is only created for others (not `in_scope`) contradicts nothing: it
    /// is not there then.
    pub(in crate::ops::restore) fn insert(
        &mut self,
        one: &One<'_>,
        translated: Translated,
        in_scope: bool,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        let shape = self.shape();
        let mut changes = translated.changes;
        {
            let values = changed(one.was.values, &changes);
            let record = Record {
                rowid: one.was.rowid,
                values: &values,
            };
            match self.taken(record, tools, content)? {
                Taken::No => {}
                Taken::Id(at) => match tools.new_ids.take() {
                    Some(id) => {
                        let now = [Value::Integer(id)];
                        remapped(shape, record, &[at], &now, tally);
                        let mut with = changes.clone();
                        with.retain(|(column, _)| *column != at);
                        with.push((at, Value::Integer(id)));
                        changes = with;
                    }
                    None => {
                        let reason = "its id is taken, and there is none left".to_owned();
                        let why = (&[][..], reason);
                        return self.contradicted(one, record, why, in_scope, tools, tally);
                    }
                },
                Taken::Key(name, rows) => {
                    let key = shape.map.key(name).map_or("", |key| &key.name);
                    let reason = format!("its key {key} is taken by another row");
                    let why = (&rows[..], reason);
                    return self.contradicted(one, record, why, in_scope, tools, tally);
                }
            }
        }
        let values = changed(one.was.values, &changes);
        let record = Record {
            rowid: one.was.rowid,
            values: &values,
        };
        if let Some(tried) = &mut tools.tried
            && let Some(refusal) = self.refused(tried, record, content)?
        {
            let rows: Vec<Row> = refusal.rows.into_iter().map(Row::Live).collect();
            let why = (&rows[..], refusal.reason);
            return self.contradicted(one, record, why, in_scope, tools, tally);
        }
        tools.matcher.inserts(one.ordinal, record)?;
        let is = |columns: &[usize]| Ok(record.values_of(columns));
        self.keys.moved(self.links, self.table, one.was, &is)?;
        tally.report.inserted += 1;
        tally.report.bytes += values.iter().map(|value| bytes(*value)).sum::<u64>();
        tally.followed += translated.followed;
        for parent in translated.doubtful {
            *tally.doubtful_parents.entry(parent).or_default() += 1;
        }
        for (lost, (_, slot)) in tally.lost.iter_mut().zip(&shape.map.dropped) {
            *lost += u64::from(slot.of(one.row) != ValueRef::Null);
        }
        tally.rowid_max = tally.rowid_max.max(one.row.rowid.unwrap_or(0));
        self.steps.put(&Step {
            ordinal: one.ordinal,
            doing: Doing::Insert,
            id: None,
            columns: Vec::new(),
            changes,
        })
    }

    /// The keys that said which row a record means.
    pub(in crate::ops::restore) fn asked(&self, record: Record<'_>) -> Vec<KeyName> {
        let shape = self.shape();
        let (first, second) = shape.asked(self.basis.options.matching);
        let is_whole = |name: &KeyName| {
            let key = shape.map.key(*name);
            key.is_some_and(|key| key.is_whole(record))
        };
        let asked = match first.iter().any(is_whole) {
            true => first,
            false => second,
        };
        asked.into_iter().filter(is_whole).collect()
    }

    /// Whether a key of a record that has no row is taken all the same: by keys that were not asked.
    fn taken(
        &mut self,
        record: Record<'_>,
        tools: &mut Tools<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Taken, TargetError> {
        let shape = self.shape();
        let asked = self.asked(record);
        let mut taken = Taken::No;
        for name in shape.map.keys() {
            // A key that holds an id which changes is a new one.
            let key = shape.map.key(name);
            let changes = key.is_some_and(|key| match &taken {
                Taken::Id(id) => key.columns.iter().any(|(at, _)| at == id),
                _ => false,
            });
            // The declared key need not be unique.
            if name == KeyName::Declared || changes {
                continue;
            }
            let is_gained = tools.matcher.is_gained(name, record)?;
            let rows = match asked.contains(&name) {
                true => Vec::new(),
                false => tools.matcher.rows(name, record, content)?,
            };
            if rows.is_empty() && !is_gained {
                continue;
            }
            if name == KeyName::Primary && shape.has_surrogate_id() {
                let primary = shape.map.primary.as_ref();
                let at = primary.and_then(|key| key.positions().first().copied());
                taken = at.map_or(Taken::No, Taken::Id);
                continue;
            }
            return Ok(Taken::Key(name, rows));
        }
        Ok(taken)
    }
}

/// Whether a new record's keys are taken.
enum Taken {
    No,
    /// Its surrogate id, in this mapped column.
    Id(usize),
    Key(KeyName, Vec<Row>),
}

/// Where a record's values are not the snapshot's.
/// True if another record writes the row.
fn is_written(row: &Row, tools: &mut Tools<'_>) -> Result<bool, TargetError> {
    match row {
        Row::Planned(_) => Ok(true),
        Row::Live(id) => tools.written.has(&id.0),
    }
}

fn difference(was: Record<'_>, now: Record<'_>) -> Changes {
    let values = was.values.iter().zip(now.values).enumerate();
    let changed = values.filter(|(_, (a, b))| !a.identical(**b));
    changed
        .map(|(at, (_, b))| (at, ValueRef::to_owned(*b)))
        .collect()
}
