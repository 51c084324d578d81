//! References of the records to be written whose target is missing: found, decided about, and carried
//! through to what refers to records that are left out. The rules: docs/restore.md §4.

use super::answers::{Answer, Answers};
use super::basis::Basis;
use super::keys::{Fate, Keys, changed};
use super::links::{Link, Links, Parent};
use super::missing::Missing;
use super::plan::{TablePlan, Work};
use super::scope::Chosen;
use super::shape::{Role, TableShape};
use super::suspects::Suspects;
use super::{closure, records};
use crate::error::Error;
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{Comparer, Doing, KeyMap, Record, Step, TargetError, Targets, Worksheet};

/// Looks for gaps in one plan.
pub(super) struct Gaps<'p, 's> {
    pub basis: &'p Basis<'p>,
    pub shapes: &'p [TableShape],
    pub links: &'p Links,
    pub sheet: &'p Worksheet,
    pub tables: &'s mut [TablePlan<'p>],
    pub keys: &'s mut Keys<'p>,
    pub chosen: &'s mut [Chosen<'p>],
    pub answers: &'s mut Answers<'p>,
    /// Keys of the records that are inserted, by link; `None`: not gathered yet.
    pub planned: Vec<Option<KeyMap<'p>>>,
    /// Rows of the table that is looked at, where some of their columns are written.
    pub rows: Option<Comparer<'p>>,
}

/// What one look at a table came to.
#[derive(Default)]
pub(super) struct Found {
    /// Missing values that nothing is decided about.
    pub missing: Vec<Missing>,
    /// How many more of them there are.
    pub more: u64,
    /// True if records were left out: what refers to them must be looked at.
    pub dropped: bool,
    /// True if parents are to be created: all is to be planned anew.
    pub created: bool,
    /// True if records were left out that were to be inserted: others may have been taken for them.
    pub left_out: bool,
}

impl<'p> Gaps<'p, '_> {
    /// True if references by this link may have no target.
    pub(super) fn is_due(&self, link: &Link) -> bool {
        let table = &self.tables[link.child];
        if !table.writes() {
            return false;
        }
        let Parent::Planned(parent) = link.parent else {
            return true;
        };
        let whole = self.shapes[parent].role == Role::Whole;
        let gaps = link.wanted.is_none_or(|at| self.keys.has_gaps(at));
        // Part of a reference may be the row's.
        let report = &table.tally.report;
        let gaps = gaps || (link.columns.len() > 1 && report.filled + report.updated > 0);
        !whole || !link.in_snapshot || link.is_violated || gaps
    }

    /// Looks at the references of one table. Its records must be on the worksheet, step by step.
    pub(super) fn check(
        &mut self,
        table: usize,
        progress: &mut dyn Progress,
    ) -> Result<Found, Error> {
        let due: Vec<usize> = self
            .links
            .of_child(table)
            .filter(|(_, link)| self.is_due(link))
            .map(|(at, _)| at)
            .collect();
        let mut found = Found::default();
        self.tables[table].tally.report.carried = 0;
        if due.is_empty() {
            return Ok(found);
        }
        for at in &due {
            self.gather(*at, progress)?;
        }
        let shape = &self.shapes[table];
        self.rows = match shape.made {
            true => None,
            false => Some(Comparer::new(self.basis.live, &shape.live, &shape.map)?),
        };
        let mut suspects = self.suspects(table, &due, progress)?;
        if suspects.iter().all(Suspects::is_empty) {
            return Ok(found);
        }
        for one in &mut suspects {
            one.look_in_snapshot(self.basis, self.shapes, self.links, progress)?;
        }
        self.settle(table, &mut suspects, &mut found, progress)?;
        for one in suspects {
            found.more += one.more();
            found
                .missing
                .extend(one.missing(self.basis, self.shapes, self.links));
        }
        Ok(found)
    }

    /// Gathers the keys that a link's parent gets, if it gets any.
    fn gather(&mut self, link_at: usize, progress: &mut dyn Progress) -> Result<(), Error> {
        let link = &self.links.all[link_at];
        let (Parent::Planned(parent), Some(wanted)) = (link.parent, link.wanted) else {
            return Ok(());
        };
        let is_replaced = self.shapes[parent].is_replaced(self.basis.mode());
        let has_new = self.tables[parent].writes() || is_replaced;
        if self.planned[link_at].is_some() || !has_new {
            return Ok(());
        }
        let (shape, mapped) = (&self.shapes[parent], &self.links.wanted[wanted].mapped);
        let mut keys = self.sheet.key_map(&shape.live, &link.parent_columns)?;
        let rows = match shape.made {
            true => None,
            false => Some(Comparer::new(self.basis.live, &shape.live, &shape.map)?),
        };
        let plan = &self.tables[parent];
        let mut steps = plan.steps.read()?;
        let all = plan.work == Work::All;
        closure::each_record(self.basis, shape, progress, |ordinal, record| {
            let step = match all {
                true => None,
                false => steps.of(ordinal)?,
            };
            let writes = all || step.is_some() || is_replaced;
            let changes = step.as_ref().map(|step| step.changes.as_slice());
            let values = changed(record.values, changes.unwrap_or_default());
            let now = Record {
                rowid: record.rowid,
                values: &values,
            };
            let key = match &step {
                // A row gets values, but keeps its primary key.
                Some(step) if step.doing != Doing::Insert && !is_replaced => {
                    key_of_row(rows.as_ref(), step, now, mapped)?
                }
                _ => now.whole(mapped),
            };
            match key.filter(|_| writes) {
                Some(key) => keys.add(&key, 0),
                None => Ok(()),
            }
        })?;
        self.planned[link_at] = Some(keys);
        Ok(())
    }

    /// The values of references that have no target.
    fn suspects(
        &mut self,
        table: usize,
        due: &[usize],
        progress: &mut dyn Progress,
    ) -> Result<Vec<Suspects<'p>>, Error> {
        let mut suspects = Vec::new();
        for at in due {
            suspects.push(Suspects::new(
                self.sheet,
                self.shapes,
                self.links,
                self.basis,
                *at,
            )?);
        }
        let mut looks = Vec::new();
        for at in due {
            looks.push(self.targets(&self.links.all[*at])?);
        }
        self.each_step(table, progress, |gaps, one| {
            for (n, at) in due.iter().enumerate() {
                let Some(key) = gaps.reference(*at, one)? else {
                    continue;
                };
                if !gaps.is_present(*at, &key, looks[n].as_mut())? {
                    let shape = &gaps.shapes[table];
                    suspects[n].add(&key.was, || shape.map.name_of(one.was))?;
                }
            }
            Ok(())
        })?;
        Ok(suspects)
    }

    /// Looks up the rows that a link's parent keeps; `None` if it keeps none.
    fn targets(&self, link: &Link) -> Result<Option<Targets<'p>>, Error> {
        let live = self.basis.live;
        let table = match link.parent {
            Parent::Live(at) => &self.basis.view.schema.tables[at],
            Parent::Planned(at) => {
                let shape = &self.shapes[at];
                if shape.made || shape.is_replaced(self.basis.mode()) {
                    return Ok(None);
                }
                &shape.live
            }
        };
        Ok(Some(Targets::new(live, table, &link.parent_columns)?))
    }

    /// The value by which a record to be written refers to something; `None` if it does not.
    fn reference(&self, link_at: usize, one: &One<'_>) -> Result<Option<Reference>, TargetError> {
        let link = &self.links.all[link_at];
        let Some(step) = one.step else {
            return Ok(None);
        };
        let writes = match step.doing {
            Doing::Insert => true,
            Doing::Fill | Doing::Update | Doing::Rewrite => {
                link.columns.iter().any(|at| step.columns.contains(at))
            }
        };
        let values = changed(one.was.values, &step.changes);
        let now = Record {
            rowid: one.was.rowid,
            values: &values,
        };
        if !writes {
            return Ok(None);
        }
        // What is not written keeps the row's value.
        let is_part = link.columns.iter().any(|at| !step.columns.contains(at));
        if is_part && matches!(step.doing, Doing::Fill | Doing::Update) {
            let key = key_of_row(self.rows.as_ref(), step, now, &link.columns)?;
            // What is not written may be equal to the record's.
            if key.is_none() || key != now.whole(&link.columns) {
                return Ok(key.map(|key| Reference {
                    was: key.clone(),
                    now: key,
                    is_mixed: true,
                }));
            }
        }
        let now = now.whole(&link.columns);
        Ok(now.map(|now| Reference {
            was: one.was.whole(&link.columns).unwrap_or_else(|| now.clone()),
            now,
            is_mixed: false,
        }))
    }

    fn is_present(
        &mut self,
        link_at: usize,
        key: &Reference,
        targets: Option<&mut Targets<'p>>,
    ) -> Result<bool, TargetError> {
        let link = &self.links.all[link_at];
        let fate = match link.wanted {
            Some(wanted) => self.keys.fate(wanted, &key.was)?,
            None => None,
        };
        if fate == Some(Fate::Unsettled) {
            return Ok(true);
        }
        let was_moved = key.was != key.now;
        // A table that equals the snapshot's refers as it did.
        let is_replaced = self.shapes[link.child].is_replaced(self.basis.mode());
        let fate = fate.filter(|fate| !is_replaced || *fate == Fate::Dropped);
        if !was_moved && matches!(fate, Some(Fate::Absent | Fate::Dropped)) {
            return Ok(false);
        }
        if let Some(targets) = targets
            && targets.has(&key.now)?
        {
            return Ok(true);
        }
        if let Some(planned) = &mut self.planned[link_at]
            && planned.has(&key.now)?
        {
            return Ok(true);
        }
        Ok(self.answers.gives(self.basis, self.shapes, link, &key.now))
    }

    /// Carries out what is decided about the suspects of a table.
    fn settle(
        &mut self,
        table: usize,
        suspects: &mut [Suspects<'p>],
        found: &mut Found,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        self.each_step(table, progress, |gaps, one| {
            let Some(step) = one.step else { return Ok(()) };
            let mut draft = Draft {
                step: step.clone(),
                drop: false,
                altered: false,
            };
            // A record that is left out for one reference is not asked about the others.
            for suspect in suspects.iter_mut() {
                draft.drop |= gaps.is_left_out(one, suspect)?;
            }
            if !draft.drop {
                for suspect in suspects.iter_mut() {
                    found.created |= gaps.settle_one(one, suspect, &mut draft)?;
                }
            }
            match (draft.drop, draft.altered) {
                (true, _) => {
                    found.dropped = true;
                    found.left_out |= gaps.leave_out(table, one, &draft.step)?;
                    Ok(())
                }
                (false, true) => gaps.tables[table].steps.put(&draft.step),
                (false, false) => Ok(()),
            }
        })?;
        if found.dropped {
            // What the table gets is no longer what was gathered.
            for (at, link) in self.links.all.iter().enumerate() {
                if link.parent == Parent::Planned(table) {
                    self.planned[at] = None;
                }
            }
        }
        Ok(())
    }

    /// True if a record that would be inserted is left out for one of its references.
    fn is_left_out(
        &mut self,
        one: &One<'_>,
        suspect: &mut Suspects<'p>,
    ) -> Result<bool, TargetError> {
        let is_inserted = one.step.is_some_and(|step| step.doing == Doing::Insert);
        let key = self.reference(suspect.link, one)?;
        let Some(key) = key.filter(|key| is_inserted && key.was == key.now) else {
            return Ok(false);
        };
        if !suspect.has(&key.was)? {
            return Ok(false);
        }
        let link = &self.links.all[suspect.link];
        let fate = match link.wanted {
            Some(wanted) => self.keys.fate(wanted, &key.was)?,
            None => None,
        };
        let in_snapshot = suspect.is_in_snapshot(&key.was)?;
        if fate == Some(Fate::Dropped) {
            return Ok(true);
        }
        let is_carried = link.in_snapshot && fate.is_none() && !in_snapshot;
        Ok(!is_carried && self.answers.skips(suspect.link, &key.was)?)
    }

    /// Carries out what is decided about one reference of a record. True if a parent is to be created.
    fn settle_one(
        &mut self,
        one: &One<'_>,
        suspect: &mut Suspects<'p>,
        draft: &mut Draft,
    ) -> Result<bool, TargetError> {
        let Some(key) = self.reference(suspect.link, one)? else {
            return Ok(false);
        };
        if !suspect.has(&key.was)? || key.was != key.now {
            return Ok(false);
        }
        let (basis, shapes, links) = (self.basis, self.shapes, self.links);
        let link = &links.all[suspect.link];
        let fate = match link.wanted {
            Some(wanted) => self.keys.fate(wanted, &key.was)?,
            None => None,
        };
        let in_snapshot = suspect.is_in_snapshot(&key.was)?;
        if fate == Some(Fate::Dropped) {
            draft.release(link);
            return Ok(false);
        }
        if link.in_snapshot && fate.is_none() && !in_snapshot && !key.is_mixed {
            self.tables[link.child].tally.report.carried += 1;
            return Ok(false);
        }
        let answers = &mut self.answers;
        match answers.of(basis, shapes, links, suspect.link, &key.was, in_snapshot)? {
            Answer::None => suspect.undecided(&key.was)?,
            Answer::Create => match self.create(link, &key.was)? {
                true => return Ok(true),
                false => suspect.undecided(&key.was)?,
            },
            Answer::Give => return Ok(true),
            Answer::Null if suspect.nulls.is_empty() => suspect.undecided(&key.was)?,
            Answer::Map(values) => {
                let changes: Vec<_> = link.columns.iter().copied().zip(values.clone()).collect();
                if self.looks_anew(suspect.link, &key, draft.step.doing, &changes)? {
                    return Ok(true);
                }
                draft.set(link, &values);
            }
            Answer::Null => {
                let nulls = suspect.nulls.iter();
                let changes: Vec<_> = nulls.map(|at| (*at, Value::Null)).collect();
                if self.looks_anew(suspect.link, &key, draft.step.doing, &changes)? {
                    return Ok(true);
                }
                draft.set_null(&suspect.nulls);
            }
            Answer::Skip => draft.release(link),
        }
        Ok(false)
    }

    /// Has records looked at anew with what was decided to stand for a reference: they may mean other rows
    /// then. False for a table that equals the snapshot's, and if that was done.
    fn looks_anew(
        &mut self,
        link_at: usize,
        key: &Reference,
        doing: Doing,
        changes: &[(usize, Value)],
    ) -> Result<bool, TargetError> {
        let link = &self.links.all[link_at];
        let is_replaced = self.shapes[link.child].is_replaced(self.basis.mode());
        if is_replaced || doing != Doing::Insert {
            return Ok(false);
        }
        self.answers.apply(link_at, &key.was, changes)
    }

    /// Puts a parent in the scope. False if it is there already, and still missing.
    fn create(&mut self, link: &Link, key: &[Value]) -> Result<bool, TargetError> {
        let (Parent::Planned(parent), Some(wanted)) = (link.parent, link.wanted) else {
            return Ok(false);
        };
        let mapped = &self.links.wanted[wanted].mapped;
        for (columns, keys) in &mut self.chosen[parent].created {
            if columns == mapped {
                if keys.has(key)? {
                    return self.answers.is_new(wanted, key);
                }
                keys.add(key, 0)?;
                self.answers.note_new(wanted, key)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves a record out that was to be written. True if it was to be inserted.
    fn leave_out(&mut self, table: usize, one: &One<'_>, step: &Step) -> Result<bool, TargetError> {
        let plan = &mut self.tables[table];
        plan.steps.remove(one.ordinal)?;
        let report = &mut plan.tally.report;
        report.skipped += 1;
        report.left_out.missing += 1;
        let size = |at: usize| super::pass::bytes(one.was.value(at));
        match step.doing {
            Doing::Insert => {
                report.inserted -= 1;
                let shape = &self.shapes[table];
                if let Some(at) = new_id(shape, self.links, table, step) {
                    report.remapped -= 1;
                    let was = crate::target::shown(one.was.value(at));
                    plan.tally.remapped.retain(|other| other.from != was);
                }
                let report = &mut plan.tally.report;
                let all = (0..one.was.values.len()).map(size).sum();
                report.bytes = report.bytes.saturating_sub(all);
                self.keys.drop_record(self.links, table, one.was)?;
                return self.chosen[table].left_out.add(one.ordinal);
            }
            Doing::Fill => report.filled -= 1,
            Doing::Update | Doing::Rewrite => {
                report.updated -= 1;
                // A replaced table equals the snapshot but for what is left out.
                if self.shapes[table].is_replaced(self.basis.mode())
                    && let Some(id) = &step.id
                {
                    report.deleted += 1;
                    plan.deletions.add(id)?;
                    self.keys.drop_record(self.links, table, one.was)?;
                }
            }
        }
        Ok(false)
    }

    /// Calls `each` for every record with its step.
    fn each_step(
        &mut self,
        table: usize,
        progress: &mut dyn Progress,
        mut each: impl FnMut(&mut Self, &One<'_>) -> Result<(), TargetError>,
    ) -> Result<(), Error> {
        let shape = &self.shapes[table];
        let Some(entity) = shape.entity(self.basis) else {
            return Ok(());
        };
        let mut steps = self.tables[table].steps.read()?;
        let basis = self.basis;
        records::for_each(
            basis.reader,
            &shape.tree,
            entity,
            progress,
            |ordinal, row, _| {
                let Some(step) = steps.of(ordinal)? else {
                    return Ok(());
                };
                let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
                let one = One {
                    ordinal,
                    was: Record {
                        rowid: shape.map.rowid(row),
                        values: &values,
                    },
                    step: Some(&step),
                };
                each(self, &one)
            },
        )
    }
}

/// The key that a row has once a step is carried out; `None` if one of its columns is NULL then.
fn key_of_row(
    rows: Option<&Comparer<'_>>,
    step: &Step,
    now: Record<'_>,
    columns: &[usize],
) -> Result<Option<Vec<Value>>, TargetError> {
    let (Some(rows), Some(id)) = (rows, &step.id) else {
        return Ok(now.whole(columns));
    };
    let mut values = rows.values(id, columns)?;
    for (value, at) in values.iter_mut().zip(columns) {
        if step.columns.contains(at) {
            *value = now.value(*at).to_owned();
        }
    }
    Ok((!values.contains(&Value::Null)).then_some(values))
}

/// The column of a surrogate id that a step gives a new one.
fn new_id(shape: &TableShape, links: &Links, table: usize, step: &Step) -> Option<usize> {
    let primary = shape.map.primary.as_ref()?.positions();
    let [at] = primary.as_slice() else {
        return None;
    };
    let is_reference = links
        .of_child(table)
        .any(|(_, link)| link.columns.contains(at));
    let is_changed = step.changes.iter().any(|(column, _)| column == at);
    (shape.has_surrogate_id() && is_changed && !is_reference).then_some(*at)
}

/// A record with its step.
struct One<'r> {
    ordinal: u64,
    was: Record<'r>,
    step: Option<&'r Step>,
}

/// The value of a reference.
struct Reference {
    /// In the snapshot.
    was: Vec<Value>,
    /// As it will be written.
    now: Vec<Value>,
    /// Part of it is the row's, part the record's.
    is_mixed: bool,
}

/// A step while it is decided about its references.
struct Draft {
    step: Step,
    /// The record is left out.
    drop: bool,
    altered: bool,
}

impl Draft {
    /// Takes the columns of a reference out of what is filled or updated; an inserted record is left
    /// out.
    fn release(&mut self, link: &Link) {
        self.altered = true;
        match self.step.doing {
            Doing::Insert | Doing::Rewrite => self.drop = true,
            Doing::Fill | Doing::Update => {
                let step = &mut self.step;
                step.columns.retain(|at| !link.columns.contains(at));
                step.changes.retain(|(at, _)| !link.columns.contains(at));
                self.drop |= step.columns.is_empty();
            }
        }
    }

    /// Sets the columns of a reference.
    fn set(&mut self, link: &Link, values: &[Value]) {
        self.altered = true;
        for (at, value) in link.columns.iter().zip(values) {
            self.step.changes.retain(|(other, _)| other != at);
            self.step.changes.push((*at, value.clone()));
        }
    }

    /// Sets these columns to NULL; a row that is there keeps what it has in them.
    fn set_null(&mut self, columns: &[usize]) {
        self.altered = true;
        let step = &mut self.step;
        step.changes.retain(|(at, _)| !columns.contains(at));
        match step.doing {
            Doing::Insert | Doing::Rewrite => {
                let nulls = columns.iter().map(|at| (*at, Value::Null));
                step.changes.extend(nulls);
            }
            Doing::Fill | Doing::Update => {
                step.columns.retain(|at| !columns.contains(at));
                self.drop |= step.columns.is_empty();
            }
        }
    }
}
