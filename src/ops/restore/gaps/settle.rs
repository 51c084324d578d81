//! What is decided about references without a target is done to the steps of the records: parents are
//! created, values stand in, records are left out.

use super::answers::Answer;
use super::one_step::One;
use super::suspects::Suspects;
use super::{Found, Gaps};
use crate::error::Error;
use crate::model::value::Value;
use crate::ops::restore::identity::keys::{Changes, Fate, stored_in};
use crate::ops::restore::scope::links::{Link, Links, Parent};
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::bytes;
use crate::progress::Progress;
use crate::target::{Comparer, Doing, Step, TargetError};

impl<'p> Gaps<'p, '_> {
    /// Carries out what is decided about the suspects of a table.
    pub(in crate::ops::restore) fn settle(
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
                left_out: false,
                drop: false,
                altered: false,
            };
            // With what was decided to stand for its references, a record may be a row that is there: then
            // it needs no parents.
            let mut looks_anew = false;
            for suspect in suspects.iter_mut() {
                looks_anew |= gaps.looks_anew(one, suspect)?;
            }
            if looks_anew {
                found.created = true;
                return Ok(());
            }
            // A record that is left out for one reference is not asked about the others.
            for suspect in suspects.iter_mut() {
                draft.drop |= gaps.is_left_out(one, suspect)?;
            }
            if !draft.drop {
                for suspect in suspects.iter_mut() {
                    found.created |= gaps.settle_one(one, suspect, &mut draft)?;
                }
            }
            if draft.altered {
                gaps.compare(table, &mut draft)?;
            }
            if draft.drop {
                found.dropped = true;
                found.left_out |= gaps.leave_out(table, one, step, draft.left_out)?;
            } else if draft.altered {
                let report = &mut gaps.tables[table].tally.report;
                report.bytes = report.bytes.saturating_sub(written(one, step));
                report.bytes += written(one, &draft.step);
                gaps.tables[table].steps.put(&draft.step)?;
            }
            Ok(())
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

    /// Takes what a row has already out of what is filled or updated in it.
    fn compare(&mut self, table: usize, draft: &mut Draft) -> Result<(), TargetError> {
        if !matches!(draft.step.doing, Doing::Fill | Doing::Update) {
            return Ok(());
        }
        // A replaced table equals the snapshot's, but for what was decided.
        if let Some(rows) = &self.rows {
            draft.compare(rows, &self.shapes[table])?;
        }
        draft.drop |= draft.step.columns.is_empty();
        Ok(())
    }

    /// True if a record that would be inserted is left out for one of its references.
    fn is_left_out(
        &mut self,
        one: &One<'_>,
        suspect: &mut Suspects<'p>,
    ) -> Result<bool, TargetError> {
        let is_inserted = one.step.is_some_and(|step| step.doing == Doing::Insert);
        if one.is_same {
            return Ok(false);
        }
        let key = self.reference(suspect.link, one)?;
        let Some(key) = key.filter(|_| is_inserted) else {
            return Ok(false);
        };
        if !suspect.has(&key.was)? || self.answers.is_applied(suspect.link, &key.was)? {
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
        let is_insert = draft.step.doing == Doing::Insert;
        if !suspect.has(&key.was)?
            || (is_insert && self.answers.is_applied(suspect.link, &key.was)?)
        {
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
            Answer::None => suspect.undecided(&key.was, fate)?,
            Answer::Create => match self.create(link, &key.was)? {
                true => return Ok(true),
                false => suspect.undecided(&key.was, fate)?,
            },
            Answer::Give => return Ok(true),
            Answer::Skip => draft.release(link),
            answer @ (Answer::Map(_) | Answer::Null) => {
                let primary = shapes[link.child].map.primary.as_ref();
                let primary = primary.map(crate::target::Key::positions);
                let primary = primary.unwrap_or_default();
                let fits = key.fits(link, &draft.step, &primary, &answer, &suspect.nulls);
                let is_whole = matches!(answer, Answer::Map(_));
                let changes = stand_in(link, suspect, answer);
                if changes.is_empty() || !fits {
                    suspect.undecided(&key.was, fate)?;
                } else {
                    draft.set(&changes, is_whole);
                }
            }
        }
        Ok(false)
    }

    /// Has a record that is inserted looked at anew with what is decided to stand for a reference: it may mean
    /// another row then. False for a table that equals the snapshot's, and if that was done.
    fn looks_anew(
        &mut self,
        one: &One<'_>,
        suspect: &mut Suspects<'p>,
    ) -> Result<bool, TargetError> {
        let (Some(key), Some(step)) = (self.reference(suspect.link, one)?, one.step) else {
            return Ok(false);
        };
        let link = &self.links.all[suspect.link];
        let is_replaced = self.shapes[link.child].is_replaced(self.basis.mode());
        if is_replaced || step.doing != Doing::Insert || !suspect.has(&key.was)? {
            return Ok(false);
        }
        let fate = match link.wanted {
            Some(wanted) => self.keys.fate(wanted, &key.was)?,
            None => None,
        };
        let in_snapshot = suspect.is_in_snapshot(&key.was)?;
        let is_carried = link.in_snapshot && fate.is_none() && !in_snapshot && !key.is_mixed;
        if fate == Some(Fate::Dropped) || is_carried {
            return Ok(false);
        }
        let Some(answer) = self.answers.stand_in(suspect.link, &key.was)? else {
            return Ok(false);
        };
        let changes = stand_in(link, suspect, answer);
        Ok(!changes.is_empty() && self.answers.apply(suspect.link, &key.was, &changes)?)
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

    /// Leaves a record out that was to be written: since something is missing, or since its row has all
    /// that was decided. True if it was to be inserted.
    fn leave_out(
        &mut self,
        table: usize,
        one: &One<'_>,
        step: &Step,
        is_missing: bool,
    ) -> Result<bool, TargetError> {
        let plan = &mut self.tables[table];
        plan.steps.remove(one.ordinal)?;
        let plan_contested = plan.tally.contested > 0;
        let report = &mut plan.tally.report;
        if !one.is_same {
            report.bytes = report.bytes.saturating_sub(written(one, step));
        }
        let is_insert = step.doing == Doing::Insert;
        if is_insert || is_missing {
            report.skipped += 1;
            report.left_out.missing += 1;
        } else {
            report.same += 1;
        }
        match step.doing {
            Doing::Insert => {
                report.inserted -= 1;
                let shape = &self.shapes[table];
                if let Some(at) = new_id(shape, self.links, table, step) {
                    report.remapped -= 1;
                    let was = crate::target::shown(one.was.value(at));
                    plan.tally.remapped.retain(|other| other.from != was);
                }
                self.keys.drop_record(self.links, table, one.was)?;
                return self.chosen[table].left_out.add(one.ordinal);
            }
            Doing::Fill => report.filled -= 1,
            Doing::Update | Doing::Rewrite => {
                match one.is_same {
                    true => report.same -= 1,
                    false => report.updated -= 1,
                }
                // A replaced table equals the snapshot but for what is left out.
                if is_missing
                    && self.shapes[table].is_replaced(self.basis.mode())
                    && let Some(id) = &step.id
                {
                    report.deleted += 1;
                    plan.deletions.add(id)?;
                    self.keys.drop_record(self.links, table, one.was)?;
                    self.chosen[table].left_out.add(one.ordinal)?;
                }
            }
        }
        // Then another record may write the row.
        if is_missing && plan_contested {
            return self.chosen[table].left_out.add(one.ordinal);
        }
        Ok(false)
    }
}

/// The columns of a reference with what is decided to stand in them; none if they may not be NULL.
fn stand_in(link: &Link, suspect: &Suspects<'_>, answer: Answer) -> Changes {
    match answer {
        Answer::Map(values) => link.columns.iter().copied().zip(values).collect(),
        _ => {
            let nulls = suspect.nulls.iter();
            nulls.map(|at| (*at, Value::Null)).collect()
        }
    }
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

/// A step while it is decided about its references.
struct Draft {
    step: Step,
    /// A reference of it is not written, or the record is not.
    left_out: bool,
    /// The record is left out.
    drop: bool,
    altered: bool,
}

impl Draft {
    /// Takes the columns of a reference out of what is filled or updated; an inserted record is left
    /// out.
    fn release(&mut self, link: &Link) {
        self.altered = true;
        self.left_out = true;
        match self.step.doing {
            Doing::Insert | Doing::Rewrite => self.drop = true,
            Doing::Fill | Doing::Update => self.take_out(|at| link.columns.contains(&at)),
        }
    }

    /// Sets columns of a reference; if it `is_whole`, also those in which the record equals its row.
    fn set(&mut self, changes: &[(usize, Value)], is_whole: bool) {
        self.altered = true;
        let step = &mut self.step;
        for (at, value) in changes {
            if is_whole && step.doing == Doing::Update && !step.columns.contains(at) {
                step.columns.push(*at);
            }
            step.changes.retain(|(other, _)| other != at);
            step.changes.push((*at, value.clone()));
        }
        step.columns.sort_unstable();
    }

    /// Takes out the columns in which the row has what was decided already.
    fn compare(&mut self, rows: &Comparer<'_>, shape: &TableShape) -> Result<(), TargetError> {
        let Some(id) = self.step.id.clone() else {
            return Ok(());
        };
        let decided: Vec<usize> = self.step.changes.iter().map(|(at, _)| *at).collect();
        let row = rows.values(&id, &decided)?;
        let mut equal = Vec::new();
        for ((at, value), there) in self.step.changes.iter().zip(row) {
            let value = stored_in(shape.declared_type(*at), value.clone());
            if value.as_ref().identical(there.as_ref()) {
                equal.push(*at);
            }
        }
        self.take_out(|at| equal.contains(&at));
        Ok(())
    }

    fn take_out(&mut self, is_it: impl Fn(usize) -> bool) {
        let step = &mut self.step;
        step.columns.retain(|at| !is_it(*at));
        step.changes.retain(|(at, _)| !is_it(*at));
    }
}

/// Bytes that a step writes.
fn written(one: &One<'_>, step: &Step) -> u64 {
    let size = |at: usize| {
        let change = step.changes.iter().find(|(column, _)| *column == at);
        bytes(change.map_or_else(|| one.was.value(at), |(_, value)| value.as_ref()))
    };
    match step.doing {
        Doing::Insert | Doing::Rewrite => (0..one.was.values.len()).map(size).sum(),
        Doing::Fill | Doing::Update => step.columns.iter().copied().map(size).sum(),
    }
}
