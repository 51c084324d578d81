//! References of the records to be written whose target is missing: found, decided about, and carried
//! through to what refers to records that are left out. The rules: docs/restore.md §4.

pub(super) mod answers;
pub(super) mod candidates;
pub(super) mod decision;
pub(super) mod one_step;
mod settle;
pub mod similar;
pub(super) mod suspects;

use self::answers::{Answers, parent_table};
use self::one_step::{One, Reference, key_of_row, untouched};
use self::suspects::Suspects;
use super::basis::Basis;
use super::identity::keys::{Fate, Keys, changed, stored_in};
use super::missing::Missing;
use super::records;
use super::scope::Chosen;
use super::scope::closure;
use super::scope::links::{Link, Links, Parent};
use super::scope::shape::{Role, TableShape};
use super::table_plan::{TablePlan, Work};
use crate::error::Error;
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{
    Comparer, Doing, KeyMap, Record, TargetError, Targets, Worksheet, identity_places,
};

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
    pub planned: Vec<Option<Gathered<'p>>>,
    /// Rows of the table that is looked at, where some of their columns are written.
    pub rows: Option<Comparer<'p>>,
}

/// Keys of a parent, for one link.
pub(super) struct Gathered<'p> {
    /// Those that rows get.
    gained: KeyMap<'p>,
    /// Those that overwritten rows had.
    had: KeyMap<'p>,
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
        if self.loses_parents(link) {
            return true;
        }
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

    /// True if rows of a replaced table, which are as they are to be, may refer to records that are left out.
    fn loses_parents(&self, link: &Link) -> bool {
        let is_replaced = self.shapes[link.child].is_replaced(self.basis.mode());
        is_replaced && link.wanted.is_some_and(|at| self.keys.has_dropped(at))
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
        let mut gained = self.sheet.key_map(&shape.live, &link.parent_columns)?;
        let mut had = self.sheet.key_map(&shape.live, &link.parent_columns)?;
        let rows = match shape.made {
            true => None,
            false => Some(Comparer::new(self.basis.live, &shape.live, &shape.map)?),
        };
        let plan = &self.tables[parent];
        let left_out = &mut self.chosen[parent].left_out;
        let mut steps = plan.steps.read()?;
        let all = plan.work == Work::All;
        closure::each_record(self.basis, shape, progress, |ordinal, record| {
            let step = match all {
                true => None,
                false => steps.of(ordinal)?,
            };
            let stays = is_replaced && !left_out.has(ordinal)?;
            let writes = all || step.is_some() || stays;
            let changes = step.as_ref().map(|step| step.changes.as_slice());
            let values = changed(record.values, changes.unwrap_or_default());
            let now = Record {
                rowid: record.rowid,
                values: &values,
            };
            let key = match &step {
                // A row gets values, but keeps its primary key.
                Some(step) if step.doing != Doing::Insert && !is_replaced => {
                    if let (Some(rows), Some(id)) = (&rows, &step.id)
                        && step.columns.iter().any(|at| mapped.contains(at))
                    {
                        had.add(&rows.values(id, mapped)?, 0)?;
                    }
                    key_of_row(rows.as_ref(), step, now, mapped)?
                }
                _ => now.whole(mapped),
            };
            match key.filter(|_| writes) {
                Some(key) => gained.add(&key, 0),
                None => Ok(()),
            }
        })?;
        self.planned[link_at] = Some(Gathered { gained, had });
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
                let is_present = match one.is_same {
                    true => !gaps.is_left_out_for(*at, &key.was)?,
                    false => gaps.is_present(*at, &key, looks[n].as_mut())?,
                };
                if !is_present {
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
    pub(super) fn reference(
        &self,
        link_at: usize,
        one: &One<'_>,
    ) -> Result<Option<Reference>, TargetError> {
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

    /// True if the record with this key is left out.
    fn is_left_out_for(&mut self, link_at: usize, key: &[Value]) -> Result<bool, TargetError> {
        match self.links.all[link_at].wanted {
            Some(wanted) => Ok(self.keys.fate(wanted, key)? == Some(Fate::Dropped)),
            None => Ok(false),
        }
    }

    /// The values of a reference as the parent's columns would store them: so SQLite compares them.
    fn as_parent(&self, link: &Link, values: &[Value]) -> Vec<Value> {
        let parent = parent_table(self.basis, self.shapes, link);
        let values = link.parent_columns.iter().zip(values);
        let stored = values.map(|((at, _), value)| {
            let column = parent.columns.get(*at);
            let declared = column.map_or("", |column| column.declared_type.as_str());
            stored_in(declared, value.clone())
        });
        stored.collect()
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
        // A column of another type may not hold the key that the reference was to follow.
        if let (Some(wanted), Some(Fate::Moved)) = (link.wanted, fate)
            && !self.keys.is_followed(
                self.links,
                wanted,
                &key.was,
                &self.as_parent(link, &key.now),
            )?
            && !self.answers.is_applied(link_at, &key.was)?
        {
            return Ok(false);
        }
        let planned = &mut self.planned[link_at];
        let (mut is_gained, mut is_lost) = (false, false);
        if let Some(planned) = planned {
            is_gained = planned.gained.has(&key.now)?;
            is_lost = planned.had.has(&key.now)?;
        }
        if is_gained {
            return Ok(true);
        }
        if let Some(targets) = targets.filter(|_| !is_lost)
            && targets.has(&key.now)?
        {
            return Ok(true);
        }
        Ok(self.answers.gives(self.basis, self.shapes, link, &key.now))
    }

    /// Calls `each` for every record with its step.
    pub(super) fn each_step(
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
        let mut links = self.links.of_child(table);
        let with_same = links.any(|(_, link)| self.loses_parents(link));
        let identity = identity_places(&shape.live, &shape.map).filter(|_| with_same);
        let this = self;
        records::for_each_in_utf8(
            basis.reader,
            (&shape.tree, basis.schema.encoding),
            entity,
            progress,
            |ordinal, row, _| {
                let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
                let step = steps.of(ordinal)?;
                let is_same = step.is_none();
                let as_it_is = match (&step, &identity) {
                    (None, Some(identity)) if !this.chosen[table].left_out.has(ordinal)? => {
                        Some(untouched(ordinal, row.rowid, &values, identity))
                    }
                    _ => None,
                };
                let Some(step) = step.or(as_it_is) else {
                    return Ok(());
                };
                let one = One {
                    ordinal,
                    was: Record {
                        rowid: shape.map.rowid(row),
                        values: &values,
                    },
                    step: Some(&step),
                    is_same,
                };
                each(this, &one)
            },
        )
    }
}
