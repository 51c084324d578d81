//! One pass over the records of a table: what each means, and what is done with it. The steps go to the
//! worksheet; the report counts them.

use crate::error::Error;
use crate::model::row::RowRef;
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::gaps::answers::Answers;
use crate::ops::restore::identity::beside::{Met, Rows, is_equal};
use crate::ops::restore::identity::decide::Row;
use crate::ops::restore::identity::keys::{Changes, Keys, Translated, changed, stored_in};
use crate::ops::restore::identity::matcher::{Matcher, Verdict};
use crate::ops::restore::identity::new_ids::NewIds;
use crate::ops::restore::options::Mode;
use crate::ops::restore::records;
use crate::ops::restore::report::Remapped;
use crate::ops::restore::scope::links::Links;
use crate::ops::restore::scope::shape::{Role, TableShape};
use crate::ops::restore::scope::{Chosen, Part};
use crate::ops::restore::table_plan::Tally;
use crate::progress::Progress;
use crate::target::{
    Field, KeyMap, KeyName, LiveRow, Record, SpilledContent, Steps, TargetError, Trial, Tried,
    Worksheet,
};

/// Records with another key that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// A pass over the records of one table.
pub(in crate::ops::restore) struct Pass<'p, 's> {
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
pub(in crate::ops::restore) struct Tools<'t> {
    pub matcher: Matcher<'t>,
    pub new_ids: NewIds,
    pub tried: Option<Tried<'t>>,
    /// Rows that a record writes: no second one may.
    pub written: KeyMap<'t>,
    /// Whether references of the table may have to change.
    pub translates: bool,
    /// Whether it was decided what stands for some of them.
    pub decides: bool,
    pub fields: Vec<Field>,
}

impl<'p> Pass<'p, '_> {
    pub(in crate::ops::restore) fn shape(&self) -> &'p TableShape {
        &self.shapes[self.table]
    }

    /// Goes through the table's records. Errors: `Store`, `Target`, `Cancelled`.
    pub(in crate::ops::restore) fn run(
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
            None => records::for_each_in_utf8(
                basis.reader,
                (&shape.tree, basis.schema.encoding),
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
            false => trial.of(
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
        let part = self.chosen.part(self.shape(), one.ordinal, one.was)?;
        let in_scope = part == Part::Chosen;
        if self.is_met(one, record, tools, content)? {
            tally.report.same += u64::from(in_scope);
            let is = |columns: &[usize]| Ok(record.values_of(columns));
            return match translated.changes.is_empty() {
                true => Ok(()),
                false => self.keys.moved(self.links, self.table, one.was, &is),
            };
        }
        let verdict = tools.matcher.find(record, content)?;
        if verdict == Verdict::New && part != Part::Out {
            return self.new_record(one, translated, in_scope, tools, tally, content);
        }
        self.judge((one, record), verdict, in_scope, tools, tally, content)
    }

    /// A record that means no row: what was decided about its references may make it one that is there.
    fn new_record(
        &mut self,
        one: &One<'_>,
        mut translated: Translated,
        in_scope: bool,
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
            return self.insert(one, translated, in_scope, tools, tally, content);
        }
        for (at, value) in decided {
            let value = stored_in(self.shape().declared_type(at), value);
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
            Verdict::New => self.insert(one, translated, in_scope, tools, tally, content),
            verdict => self.judge((one, record), verdict, in_scope, tools, tally, content),
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
                let shape = self.shape();
                let mut asked = self.asked(record);
                // With another value in it, it was not asked whether a row has this one.
                asked.retain(|name| {
                    let columns = shape.map.key(*name).map(crate::target::Key::positions);
                    let mut columns = columns.iter().flatten();
                    columns.all(|at| one.was.value(*at).identical(record.value(*at)))
                });
                self.keys
                    .not_here(self.links, shape, self.table, one.was, &asked)
            }
            Verdict::Copy => {
                tally.report.same += u64::from(in_scope);
                // It is equal to its row, but not to what it was.
                let is = |columns: &[usize]| Ok(record.values_of(columns));
                self.keys.moved(self.links, self.table, one.was, &is)
            }
            Verdict::Row { row, other_id } => {
                tally.twins += u64::from(in_scope && matches!(row, Row::Planned(_)));
                let fields = tools.matcher.fields().to_vec();
                let settled =
                    !in_scope || self.row(one, record, &row, other_id, tools, tally, content)?;
                let at = Place {
                    row: &row,
                    fields: &fields,
                    other_id,
                };
                self.note_row(one, record, &at, (in_scope, settled), tools, tally)
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

    /// Notes the key of a record's row, for those that refer to the record: none if the record contradicts
    /// the database.
    fn note_row(
        &mut self,
        one: &One<'_>,
        record: Record<'_>,
        at: &Place<'_>,
        (in_scope, settled): (bool, bool),
        tools: &mut Tools<'_>,
        tally: &mut Tally,
    ) -> Result<(), TargetError> {
        let (row, fields) = (at.row, at.fields);
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
        match settled {
            true => self.keys.moved(self.links, self.table, one.was, &is)?,
            false => self.unsettled(one, in_scope)?,
        }
        if at.other_id && in_scope {
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
}

/// The row that a record means.
struct Place<'r> {
    row: &'r Row,
    /// How it compares with the record.
    fields: &'r [Field],
    /// It has another primary key.
    other_id: bool,
}

/// A record of the snapshot.
pub(in crate::ops::restore) struct One<'r> {
    pub ordinal: u64,
    pub row: RowRef<'r>,
    /// Its values, as they were.
    pub was: Record<'r>,
    /// The row that stands in its place in the database.
    pub beside: Option<LiveRow<'r>>,
}

/// Counts a record that has another key, and names the first ones.
pub(in crate::ops::restore) fn remapped(
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

impl Role {
    /// True if records of such a table may be written.
    pub(in crate::ops::restore) fn is_written(self) -> bool {
        self != Self::Known
    }
}
