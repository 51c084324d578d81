//! One pass over the records of a table: what each means, and what is done with it. The steps go to the
//! worksheet; the report counts them.

use std::collections::BTreeMap;

use super::answers::Answers;
use super::basis::{Basis, Conflicts};
use super::beside::{Met, Rows, is_equal};
use super::decide::{Row, RowAction, decide};
use super::keys::{Changes, Keys, Translated, changed};
use super::links::Links;
use super::matcher::{Matcher, Verdict};
use super::new_ids::NewIds;
use super::options::{Mode, OnConflict};
use super::records;
use super::report::{Conflict, Remapped, TableReport};
use super::scope::Chosen;
use super::shape::{Role, TableShape};
use crate::error::Error;
use crate::model::row::RowRef;
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{
    Doing, Field, KeyMap, KeyName, LiveRow, LiveWriter, Record, SpilledContent, Step, Steps,
    TargetError, Trial, Worksheet,
};

/// Records with another key that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// What a pass finds out about a table.
#[derive(Default)]
pub(super) struct Tally {
    /// Counts.
    pub report: TableReport,
    /// Contradictions.
    pub conflicts: Conflicts,
    /// The first records that have another key.
    pub remapped: Vec<Remapped>,
    /// References of inserted records that changed.
    pub followed: u64,
    /// Inserted records that refer to doubtful rows, by the parent's position.
    pub doubtful_parents: BTreeMap<usize, u64>,
    /// For each column of `map.dropped` the values that cannot be restored.
    pub lost: Vec<u64>,
    /// The largest rowid among the records.
    pub rowid_max: i64,
}

/// A pass over the records of one table.
pub(super) struct Pass<'p, 's> {
    pub basis: &'p Basis<'p>,
    pub shapes: &'p [TableShape],
    pub links: &'p Links,
    pub sheet: &'p Worksheet,
    /// Position of the table.
    pub table: usize,
    /// The records in its scope.
    pub chosen: &'s mut Chosen<'p>,
    /// What became of the keys that are referred to.
    pub keys: &'s mut Keys<'p>,
    /// What was decided to stand for references.
    pub answers: &'s mut Answers<'p>,
    /// Where the steps go.
    pub steps: &'s mut Steps<'p>,
}

/// What the pass works with, for one table.
struct Tools<'t> {
    matcher: Matcher<'t>,
    new_ids: NewIds,
    tried: Option<LiveWriter<'t>>,
    /// Rows that a record writes: no second one may.
    written: KeyMap<'t>,
    /// Whether references of the table may have to change.
    translates: bool,
    /// Whether it was decided what stands for some of them.
    decides: bool,
    fields: Vec<Field>,
}

impl<'p> Pass<'p, '_> {
    fn shape(&self) -> &'p TableShape {
        &self.shapes[self.table]
    }

    /// Goes through the table's records. Errors: `Store`, `Target`, `Cancelled`.
    pub(super) fn run(
        &mut self,
        trial: &'p Trial,
        progress: &mut dyn Progress,
    ) -> Result<Tally, Error> {
        let (basis, shape) = (self.basis, self.shape());
        self.steps.clear()?;
        self.keys.clear(self.links, self.table)?;
        let mut tally = Tally {
            lost: vec![0; shape.map.dropped.len()],
            ..Tally::default()
        };
        tally.report.table.clone_from(&shape.live.name);
        let Some(entity) = shape.entity(basis) else {
            return Ok(tally);
        };
        let has_rows = !shape.made && basis.live.has_rows(&shape.live.name)?;
        let mut tools = self.tools(trial, has_rows)?;
        // Most records are where they were: their rows are met on the way, not looked up.
        let has_keys = !shape.map.is_keyless() && shape.map.declared.is_none();
        let rows = match has_rows && has_keys {
            true => Rows::of(basis, shape)?,
            false => None,
        };
        let mut each = |ordinal: u64,
                        row: RowRef<'_>,
                        live: Option<LiveRow<'_>>,
                        content: &mut dyn SpilledContent| {
            let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
            let one = One {
                ordinal,
                row,
                was: Record {
                    rowid: shape.map.rowid(row),
                    values: &values,
                },
                beside: live,
            };
            self.record(&one, &mut tools, &mut tally, content)
        };
        match rows {
            Some(mut rows) => rows.walk(basis, shape, progress, |met, content| match met {
                Met::Row(_) => Ok(()),
                Met::Record(ordinal, row, live) => each(ordinal, row, live, content),
            })?,
            None => records::for_each(
                basis.reader,
                &shape.tree,
                entity,
                progress,
                |ordinal, row, content| each(ordinal, row, None, content),
            )?,
        }
        Ok(tally)
    }

    fn tools(&self, trial: &'p Trial, has_rows: bool) -> Result<Tools<'p>, Error> {
        let (basis, shape) = (self.basis, self.shape());
        let translates = self.keys.may_translate(self.links, self.table);
        let decides = self.answers.may_change(self.links, self.table);
        let may_collide = !shape.same_keys || shape.map.declared.is_some() || translates || decides;
        let tried = match shape.made {
            true => None,
            false => trial.writer(
                &basis.view.schema,
                &shape.live,
                &shape.map,
                basis.schema,
                shape.keeps_checks_broken(basis.mode()),
            )?,
        };
        Ok(Tools {
            matcher: Matcher::new(basis, self.sheet, shape, has_rows, may_collide)?,
            new_ids: NewIds::of(basis, shape)?,
            tried,
            written: self.sheet.row_map(&shape.live)?,
            translates,
            decides,
            fields: Vec::new(),
        })
    }

    fn record(
        &mut self,
        one: &One<'_>,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        let translated = match tools.translates {
            true => self
                .keys
                .translate(self.links, self.shape(), self.table, one.was)?,
            false => Translated::default(),
        };
        let values = changed(one.was.values, &translated.changes);
        let record = Record {
            rowid: one.was.rowid,
            values: &values,
        };
        let in_scope = self.chosen.has(self.shape(), one.ordinal, one.was)?;
        if self.is_met(one, record, tools, content)? {
            tally.report.same += u64::from(in_scope);
            let is = |columns: &[usize]| {
                Ok(columns
                    .iter()
                    .map(|at| record.value(*at).to_owned())
                    .collect())
            };
            return match translated.changes.is_empty() {
                true => Ok(()),
                false => self
                    .keys
                    .moved(self.basis, self.links, self.table, one.was, &is),
            };
        }
        let verdict = tools.matcher.find(record, content)?;
        if verdict == Verdict::New && in_scope {
            return self.new_record(one, translated, tools, tally, content);
        }
        self.judge((one, record), verdict, in_scope, tools, tally, content)
    }

    /// A record that means no row: what was decided about its references may make it one that is there.
    fn new_record(
        &mut self,
        one: &One<'_>,
        mut translated: Translated,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        if self.chosen.left_out.has(one.ordinal)? {
            tally.report.skipped += 1;
            tally.report.left_out.missing += 1;
            return self.keys.drop_record(self.links, self.table, one.was);
        }
        let decided = match tools.decides {
            true => self.answers.changes(self.links, self.table, one.was)?,
            false => Changes::new(),
        };
        if decided.is_empty() {
            return self.insert(one, translated, tools, tally, content);
        }
        for (at, value) in decided {
            translated.changes.retain(|(other, _)| *other != at);
            translated.changes.push((at, value));
        }
        let changes = translated.changes.clone();
        let values = changed(one.was.values, &changes);
        let record = Record {
            rowid: one.was.rowid,
            values: &values,
        };
        match tools.matcher.find(record, content)? {
            Verdict::New => self.insert(one, translated, tools, tally, content),
            verdict => self.judge((one, record), verdict, true, tools, tally, content),
        }
    }

    /// Does what a verdict asks for.
    fn judge(
        &mut self,
        (one, record): (&One<'_>, Record<'_>),
        verdict: Verdict,
        in_scope: bool,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        match verdict {
            Verdict::New => {
                let asked = self.asked(record);
                let shape = self.shape();
                self.keys
                    .not_here(self.links, shape, self.table, one.was, &asked)
            }
            Verdict::Copy => {
                tally.report.same += u64::from(in_scope);
                Ok(())
            }
            Verdict::Row { row, other_id } => {
                self.note_row(one, record, &row, other_id, in_scope, tools, tally)?;
                match in_scope {
                    true => self.row(one, record, &row, other_id, tools, tally, content),
                    false => Ok(()),
                }
            }
            Verdict::Doubtful { row, missing } => {
                self.keys
                    .doubtful(self.links, self.shape(), self.table, one.was)?;
                match in_scope {
                    true => self.doubtful(record, &row, &missing, tools, tally),
                    false => Ok(()),
                }
            }
            Verdict::Disputed { row, keys, missing } => {
                let (by, other) = (self.names(&keys), self.names(&missing));
                let reason = format!("its key ({by}) is that of a row with another {other}");
                let rows = std::slice::from_ref(&row);
                self.contradicted(one, record, (rows, reason), in_scope, tools, tally)
            }
            Verdict::Several { rows, keys } => {
                let reason = self.several(&keys, &rows);
                self.contradicted(one, record, (&rows, reason), in_scope, tools, tally)
            }
        }
    }

    /// A record whose keys do not say which row it is.
    fn contradicted(
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

    /// True if the row beside a record is equal to it: then each of its keys finds that row.
    fn is_met(
        &self,
        one: &One<'_>,
        record: Record<'_>,
        tools: &mut Tools<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<bool, TargetError> {
        let Some(live) = one.beside else {
            return Ok(false);
        };
        let map = &self.shape().map;
        let is_whole = |name: &KeyName| map.key(*name).is_some_and(|key| key.is_whole(record));
        if !map.keys().iter().any(is_whole) {
            return Ok(false);
        }
        is_equal(&live, record, content, &mut tools.fields)
    }

    /// Notes the key of a record's row, for those that refer to the record.
    #[expect(clippy::too_many_arguments, reason = "one call, in one place")]
    fn note_row(
        &mut self,
        one: &One<'_>,
        record: Record<'_>,
        row: &Row,
        other_id: bool,
        in_scope: bool,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        let fields = tools.matcher.fields().to_vec();
        let planned = match row {
            Row::Planned(ordinal) => tools.matcher.planned_values(*ordinal, record)?,
            Row::Live(_) => Vec::new(),
        };
        let matcher = &tools.matcher;
        // A row that is overwritten has the record's values afterwards, but for its primary key.
        let options = self.basis.options;
        let overwrites = in_scope && options.mode == Mode::Replace && !options.deleted_only;
        let primary = self.shape().map.primary.as_ref();
        let primary = primary.map(crate::target::Key::positions);
        let primary = primary.unwrap_or_default();
        let in_primary = |at: &usize| primary.contains(at);
        let is = |columns: &[usize]| -> Result<Vec<Value>, TargetError> {
            match row {
                Row::Planned(_) => Ok(columns
                    .iter()
                    .map(|at| planned.get(*at).cloned().unwrap_or(Value::Null))
                    .collect()),
                Row::Live(id) => {
                    let equal = |at: &usize| {
                        fields.get(*at) == Some(&Field::Equal) || (overwrites && !in_primary(at))
                    };
                    match columns.iter().all(equal) {
                        true => Ok(columns
                            .iter()
                            .map(|at| record.value(*at).to_owned())
                            .collect()),
                        false => {
                            let mut values = matcher.values(id, columns)?;
                            for (value, at) in values.iter_mut().zip(columns) {
                                if overwrites && !in_primary(at) {
                                    *value = record.value(*at).to_owned();
                                }
                            }
                            Ok(values)
                        }
                    }
                }
            }
        };
        self.keys
            .moved(self.basis, self.links, self.table, one.was, &is)?;
        if other_id && in_scope {
            let shape = self.shape();
            let primary = shape.map.primary.as_ref();
            let at = primary
                .map(crate::target::Key::positions)
                .unwrap_or_default();
            let now = is(&at)?;
            remapped(shape, record, &at, &now, tally);
        }
        Ok(())
    }

    /// A record whose row is there.
    #[expect(clippy::too_many_arguments, reason = "one call, in one place")]
    fn row(
        &mut self,
        one: &One<'_>,
        record: Record<'_>,
        row: &Row,
        other_id: bool,
        tools: &mut Tools<'_>,
        tally: &mut Tally,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        let (basis, shape) = (self.basis, self.shape());
        let deleted_only = basis.options.deleted_only;
        let fields = tools.matcher.fields();
        let action = decide(&shape.map, fields, other_id, basis.mode(), deleted_only);
        let (doing, columns) = match action {
            RowAction::Same => {
                tally.report.same += 1;
                return Ok(());
            }
            RowAction::Skip => {
                self.leave(true, tally);
                return Ok(());
            }
            RowAction::Fill(columns) => (Doing::Fill, columns),
            RowAction::Update(columns) => (Doing::Update, columns),
        };
        let is_written = match row {
            Row::Planned(_) => true,
            Row::Live(id) => tools.written.has(&id.0)?,
        };
        if is_written {
            let reason = "its row is written by another record already".to_owned();
            return self.conflict(record, std::slice::from_ref(row), reason, tools, tally);
        }
        let Row::Live(id) = row else { return Ok(()) };
        if doing == Doing::Update
            && let Some((name, rows)) =
                self.taken_by_another(record, row, &columns, tools, content)?
        {
            let reason = format!("its key {} is taken by another row", self.names(&[name]));
            self.unsettled(one, true)?;
            return self.conflict(record, &rows, reason, tools, tally);
        }
        tools.written.add(&id.0, 0)?;
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
        })
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
            if !rows.is_empty() {
                return Ok(Some((name, rows)));
            }
        }
        Ok(None)
    }

    /// A record that has no row.
    fn insert(
        &mut self,
        one: &One<'_>,
        translated: Translated,
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
                        self.unsettled(one, true)?;
                        return self.conflict(record, &[], reason, tools, tally);
                    }
                },
                Taken::Key(name, rows) => {
                    let key = shape.map.key(name).map_or("", |key| &key.name);
                    let reason = format!("its key {key} is taken by another row");
                    self.unsettled(one, true)?;
                    return self.conflict(record, &rows, reason, tools, tally);
                }
            }
        }
        let values = changed(one.was.values, &changes);
        let record = Record {
            rowid: one.was.rowid,
            values: &values,
        };
        if let Some(why) = refusal(tools.tried.as_mut(), record, content)? {
            self.unsettled(one, true)?;
            return self.conflict(record, &[], why, tools, tally);
        }
        tools.matcher.inserts(one.ordinal, record)?;
        let is = |columns: &[usize]| {
            Ok(columns
                .iter()
                .map(|at| record.value(*at).to_owned())
                .collect())
        };
        self.keys
            .moved(self.basis, self.links, self.table, one.was, &is)?;
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
    fn asked(&self, record: Record<'_>) -> Vec<KeyName> {
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
            if name == KeyName::Declared || asked.contains(&name) || changes {
                continue;
            }
            let rows = tools.matcher.rows(name, record, content)?;
            if rows.is_empty() {
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

    fn doubtful(
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
        self.conflict(record, std::slice::from_ref(row), reason, tools, tally)
    }

    fn several(&self, keys: &[KeyName], rows: &[Row]) -> String {
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
    fn names(&self, keys: &[KeyName]) -> String {
        let name = |key: &KeyName| self.shape().map.key(*key).map_or("", |key| &key.name);
        keys.iter().map(name).collect::<Vec<&str>>().join("; ")
    }

    /// Notes that it is not known which row a record is: nothing may refer to it. Where its conflict is
    /// told, and stops all, that would only be said twice.
    fn unsettled(&mut self, one: &One<'_>, in_scope: bool) -> Result<(), TargetError> {
        let options = self.basis.options;
        let is_skipped = options.on_conflict == OnConflict::Skip || options.deleted_only;
        match is_skipped || !in_scope {
            true => self.keys.absent(self.links, self.table, one.was),
            false => self.keys.unsettled(self.links, self.table, one.was),
        }
    }

    /// A record is left as its row is.
    fn leave(&self, in_scope: bool, tally: &mut Tally) {
        tally.report.skipped += u64::from(in_scope);
        tally.report.left_out.differing += u64::from(in_scope);
    }

    fn conflict(
        &self,
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
            table: shape.live.name.clone(),
            record: shape.map.name_of(record),
            reason,
            values,
            rows: described,
        });
        Ok(())
    }
}

/// A record of the snapshot.
struct One<'r> {
    ordinal: u64,
    row: RowRef<'r>,
    /// Its values, as they were.
    was: Record<'r>,
    /// The row that stands in its place in the database.
    beside: Option<LiveRow<'r>>,
}

/// Whether a new record's keys are taken.
enum Taken {
    No,
    /// Its surrogate id, in this mapped column.
    Id(usize),
    Key(KeyName, Vec<Row>),
}

/// Counts a record that has another key, and names the first ones.
fn remapped(
    shape: &TableShape,
    record: Record<'_>,
    columns: &[usize],
    now: &[Value],
    tally: &mut Tally,
) {
    tally.report.remapped += 1;
    if tally.remapped.len() < NAMED_MAX {
        let was = columns
            .iter()
            .map(|at| crate::target::shown(record.value(*at)));
        let is = now.iter().map(|value| crate::target::shown(value.as_ref()));
        tally.remapped.push(Remapped {
            table: shape.live.name.clone(),
            from: was.collect::<Vec<_>>().join(", "),
            to: is.collect::<Vec<_>>().join(", "),
        });
    }
}

/// Where a record's values are not the snapshot's.
fn difference(was: Record<'_>, now: Record<'_>) -> Changes {
    let values = was.values.iter().zip(now.values).enumerate();
    let changed = values.filter(|(_, (a, b))| !a.identical(**b));
    changed
        .map(|(at, (_, b))| (at, ValueRef::to_owned(*b)))
        .collect()
}

/// Bytes of a value.
pub(super) fn bytes(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64,
        ValueRef::Spilled(long) => long.bytes,
    }
}

/// Why the live table would refuse a record; `None` if it would not, or that was not to be tried.
fn refusal(
    tried: Option<&mut LiveWriter<'_>>,
    record: Record<'_>,
    content: &mut dyn SpilledContent,
) -> Result<Option<String>, TargetError> {
    match tried.map(|writer| writer.insert(record, content)) {
        None | Some(Ok(())) => Ok(None),
        Some(Err(TargetError::Constraint { cause, .. })) => Ok(Some(cause.message)),
        Some(Err(error)) => Err(error),
    }
}

impl Role {
    /// True if records of such a table may be written.
    pub(super) fn is_written(self) -> bool {
        self != Self::Known
    }
}
