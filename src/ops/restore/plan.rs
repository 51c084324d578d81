//! What a restore into an existing database will do: one value, made from reads alone, shown by a
//! dry run and carried out by `apply`. The steps stand on the worksheet; here are counts.

mod contradictions;
mod findings;
mod lost_keys;
pub(super) mod objects;
mod orphans;
pub(super) mod pass;
mod replacement;
mod write_step;

use self::pass::Pass;
use super::basis::{Basis, Conflicts};
use super::gaps::answers::{Answers, Given};
use super::gaps::candidates;
use super::gaps::{Found, Gaps};
use super::identity::keys::Keys;
use super::missing::{Decider, Decision, Missing};
use super::report::{ConflictKind, Made, Remapped};
use super::scope::closure;
use super::scope::links::Links;
use super::scope::shape::{Role, TableShape};
use super::scope::{Chosen, Group, Tables};
use super::table_plan::{TablePlan, Tally, Work, empty};
use crate::error::Error;
use crate::model::counted::{agree, counted};
use crate::model::schema::SchemaObject;
use crate::progress::{Finding, Progress, Unit};
use crate::target::{Record, TargetError, Trial, Worksheet};

/// What a restore will do.
pub(super) struct Plan<'w> {
    /// By position of the table's shape.
    pub tables: Vec<TablePlan<'w>>,
    /// Rows that are inserted beside the snapshot's records.
    pub given: Vec<Given>,
    /// Indexes, views and triggers of tables that are made.
    pub objects: Vec<SchemaObject>,
    /// What is made: tables, then the objects.
    pub made: Vec<Made>,
    /// Contradictions that do not belong to a record.
    pub conflicts: Conflicts,
    /// Missing references that nothing is decided about.
    pub missing: Vec<Missing>,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// For each decision, whether it is about something that is missing.
    pub used: Vec<bool>,
    /// The first records that have another key.
    pub remapped: Vec<Remapped>,
    /// References that follow them.
    pub followed: u64,
    /// What is worth knowing beforehand.
    pub findings: Vec<Finding>,
}

impl Plan<'_> {
    /// True if anything is written.
    pub(super) fn writes(&self) -> bool {
        let rows = self.tables.iter().any(TablePlan::is_touched);
        rows || !self.made.is_empty() || !self.given.is_empty()
    }
}

/// Makes the plan. Errors: `Store`, `Target`, `Select`, `Cancelled`.
pub(super) fn make<'p>(
    basis: &'p Basis<'p>,
    tables: &'p Tables,
    links: &'p Links,
    sheet: &'p Worksheet,
    trial: &'p Trial,
    decider: &mut dyn Decider,
    progress: &mut dyn Progress,
) -> Result<Plan<'p>, Error> {
    let shapes = &tables.shapes;
    let total = shapes.iter().map(|shape| shape.records(basis)).sum();
    progress.phase("Planning", total, Unit::Records);
    let mut planner = Planner {
        basis,
        shapes,
        groups: &tables.groups,
        links,
        sheet,
        trial,
        chosen: closure::choose(basis, shapes, links, sheet, progress)?,
        keys: Keys::new(sheet, shapes, links)?,
        answers: Answers::new(basis, sheet, shapes, links)?,
        endless: Vec::new(),
        tables: shapes
            .iter()
            .map(|_| empty(sheet))
            .collect::<Result<_, _>>()?,
    };
    let missing = loop {
        planner.go_through(progress)?;
        let found = planner.look_for_gaps(progress)?;
        if found.created {
            continue;
        }
        if planner.answers.aborted || !planner.ask(&found.missing, decider)? {
            break found;
        }
        progress.phase("Planning", total, Unit::Records);
    };
    planner.finish(missing, progress)
}

/// Rounds over a circle of tables: each brings what a record means one reference further.
const ROUNDS_MAX: u32 = 200;

struct Planner<'p> {
    basis: &'p Basis<'p>,
    shapes: &'p [TableShape],
    groups: &'p [Group],
    links: &'p Links,
    sheet: &'p Worksheet,
    trial: &'p Trial,
    chosen: Vec<Chosen<'p>>,
    keys: Keys<'p>,
    answers: Answers<'p>,
    tables: Vec<TablePlan<'p>>,
    /// Tables in which what a record means depends on itself.
    endless: Vec<usize>,
}

impl<'p> Planner<'p> {
    /// Goes through all records, parents first.
    fn go_through(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        self.answers.begin()?;
        self.endless.clear();
        for table in 0..self.shapes.len() {
            self.keys.clear(self.links, table)?;
        }
        for group in self.groups {
            for table in &group.tables {
                self.table(*table, progress)?;
            }
            // On a cycle, a record may come before the one that it refers to.
            let mut rounds = 0;
            while group.is_cycle && !self.keys.is_settled(self.links, &group.tables)? {
                rounds += 1;
                if rounds > ROUNDS_MAX {
                    self.endless.extend(group.tables.iter().copied());
                    break;
                }
                let (sheet, shapes) = (self.sheet, self.shapes);
                self.keys
                    .next_round(sheet, shapes, self.links, &group.tables)?;
                for table in &group.tables {
                    self.table(*table, progress)?;
                }
            }
            self.keys.end_rounds();
        }
        Ok(())
    }

    fn table(&mut self, at: usize, progress: &mut dyn Progress) -> Result<(), Error> {
        let (basis, shape) = (self.basis, &self.shapes[at]);
        if shape.is_replaced(basis.mode()) {
            let (chosen, keys, links) = (&mut self.chosen[at], &mut self.keys, self.links);
            let mut left_out = |ordinal: u64, record: Record<'_>| {
                chosen.left_out.add(ordinal)?;
                keys.drop_record(links, at, record)
            };
            let (sheet, trial) = (self.sheet, self.trial);
            let plan = replacement::plan(basis, sheet, trial, shape, &mut left_out, progress)?;
            self.tables[at] = plan;
            return Ok(());
        }
        if shape.role == Role::Known && !self.must_be_known(at) {
            return Ok(());
        }
        if self.is_inserted_whole(at)? {
            let plan = &mut self.tables[at];
            plan.work = Work::All;
            plan.tally = Tally::default();
            let report = &mut plan.tally.report;
            report.table.clone_from(&shape.live.name);
            report.inserted = shape.records(basis);
            report.bytes = shape.entity(basis).map_or(0, |entity| entity.bytes);
            return Ok(());
        }
        self.pass(at, progress)
    }

    fn pass(&mut self, at: usize, progress: &mut dyn Progress) -> Result<(), Error> {
        let plan = &mut self.tables[at];
        plan.work = Work::Steps;
        let tally = Pass {
            basis: self.basis,
            shapes: self.shapes,
            links: self.links,
            sheet: self.sheet,
            table: at,
            chosen: &mut self.chosen[at],
            keys: &mut self.keys,
            answers: &mut self.answers,
            steps: &mut plan.steps,
        }
        .run(self.trial, progress)?;
        plan.tally = tally;
        Ok(())
    }

    /// True if it matters which rows the records of a table mean that is not restored: some may have
    /// another key there, or are created.
    fn must_be_known(&self, at: usize) -> bool {
        let keys = self.shapes[at].map.keys().len();
        let moves = self.keys.may_translate(self.links, at);
        !self.chosen[at].is_empty() || (!self.shapes[at].made && (keys > 1 || moves))
    }

    /// True if all records of a table are inserted as they are: there is no row that any could mean, and
    /// nothing that they refer to has another key.
    fn is_inserted_whole(&self, at: usize) -> Result<bool, Error> {
        let (basis, shape) = (self.basis, &self.shapes[at]);
        let is_plain = shape.role == Role::Whole
            && shape.map.dropped.is_empty()
            && shape.map.declared.is_none()
            && shape.same_keys
            && !self.keys.may_translate(self.links, at)
            && !self.answers.may_change(self.links, at);
        if !is_plain || (!shape.made && basis.live.has_rows(&shape.live.name)?) {
            return Ok(false);
        }
        let mode = basis.mode();
        let is_tried = !shape.made
            && self
                .trial
                .of(
                    &basis.view.schema,
                    &shape.live,
                    &shape.map,
                    basis.schema,
                    shape.keeps_checks_broken(mode),
                )?
                .is_some();
        Ok(!is_tried)
    }

    /// Looks for references without a target until nothing more is left out.
    fn look_for_gaps(&mut self, progress: &mut dyn Progress) -> Result<Found, Error> {
        let mut left_out = false;
        loop {
            self.put_into_steps(progress)?;
            let mut round = Found::default();
            let mut gaps = Gaps {
                basis: self.basis,
                shapes: self.shapes,
                links: self.links,
                sheet: self.sheet,
                tables: &mut self.tables,
                keys: &mut self.keys,
                chosen: &mut self.chosen,
                answers: &mut self.answers,
                planned: self.links.all.iter().map(|_| None).collect(),
                rows: None,
            };
            for table in 0..self.shapes.len() {
                let found = gaps.check(table, progress)?;
                round.dropped |= found.dropped;
                round.created |= found.created;
                left_out |= found.left_out;
                round.more += found.more;
                round.missing.extend(found.missing);
            }
            if round.created {
                // What was left out may have what it needs then.
                for chosen in &mut self.chosen {
                    if chosen.left_out.count() > 0 {
                        chosen.left_out = self.sheet.ordinals()?;
                    }
                }
                return Ok(round);
            }
            if !round.dropped {
                round.created = left_out;
                return Ok(round);
            }
        }
    }

    /// Tables that are inserted whole need steps once some of their references may have no target.
    fn put_into_steps(&mut self, progress: &mut dyn Progress) -> Result<(), Error> {
        for at in 0..self.shapes.len() {
            if self.tables[at].work != Work::All {
                continue;
            }
            let gaps = Gaps {
                basis: self.basis,
                shapes: self.shapes,
                links: self.links,
                sheet: self.sheet,
                tables: &mut self.tables,
                keys: &mut self.keys,
                chosen: &mut self.chosen,
                answers: &mut self.answers,
                planned: Vec::new(),
                rows: None,
            };
            let mut links = self.links.of_child(at);
            if !links.any(|(_, link)| gaps.is_due(link)) {
                continue;
            }
            match self.shapes[at].is_replaced(self.basis.mode()) {
                true => replacement::into_steps(
                    self.basis,
                    &self.shapes[at],
                    &mut self.tables[at],
                    progress,
                )?,
                false => self.pass(at, progress)?,
            }
        }
        Ok(())
    }

    /// Asks about missing values; true if something was answered.
    fn ask(&mut self, missing: &[Missing], decider: &mut dyn Decider) -> Result<bool, Error> {
        let mut answered = false;
        for one in missing {
            answered |= self.ask_about(one, decider)?;
            if self.answers.aborted {
                return Ok(false);
            }
        }
        Ok(answered)
    }

    /// Asks about one missing value, again if the answer cannot be carried out.
    fn ask_about(&mut self, one: &Missing, decider: &mut dyn Decider) -> Result<bool, Error> {
        loop {
            let mut rows = candidates::of(self.basis, one);
            let Some(choice) = decider.decide(one, &mut rows)? else {
                return Ok(false);
            };
            let decision = Decision {
                table: one.table.clone(),
                columns: one.columns.clone(),
                parent: one.parent.clone(),
                values: one.values.clone(),
                choice,
            };
            let (basis, shapes, links) = (self.basis, self.shapes, self.links);
            match self.answers.add(basis, shapes, links, decision) {
                Ok(()) => {
                    self.answers.use_last();
                    return Ok(true);
                }
                Err(Error::Target(TargetError::BadDecision { reason, .. }))
                    if decider.refused(&reason) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Contradictions that are those of whole tables.
    fn of_tables(&self) -> Conflicts {
        let (basis, shapes) = (self.basis, self.shapes);
        let mut conflicts = Conflicts::default();
        for at in &self.endless {
            let reason = "which rows its records mean depends on themselves";
            let table = &shapes[*at].live.name;
            conflicts.note(
                ConflictKind::Circle,
                table,
                "records".to_owned(),
                reason.to_owned(),
            );
        }
        let is_other = |shape: &&TableShape| {
            shape.role.is_written() && shape.map.columns.is_empty() && shape.records(basis) > 0
        };
        for shape in shapes.iter().filter(is_other) {
            let reason = "it has no column that the snapshot's table has: it is another table";
            conflicts.note(
                ConflictKind::InTheWay,
                &shape.live.name,
                "the table".to_owned(),
                reason.to_owned(),
            );
        }
        conflicts
    }

    /// Rows that would lose their parents: conflicts, or where that is forced, warnings.
    fn orphans(
        &mut self,
        conflicts: &mut Conflicts,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Finding>, Error> {
        let (basis, shapes) = (self.basis, self.shapes);
        let options = basis.options;
        let mut found = Conflicts::default();
        let (tables, chosen) = (&self.tables, &mut self.chosen);
        let into = match options.force {
            true => &mut found,
            false => conflicts,
        };
        orphans::find(basis, shapes, tables, chosen, self.sheet, into, progress)?;
        let forced = found.counts.iter().map(|(table, count)| {
            let rows = counted(*count, "row");
            let text = format!(
                "{rows} {} what {} to: forced",
                agree(*count, "loses", "lose"),
                agree(*count, "it refers", "they refer")
            );
            Finding::warning(table, text)
        });
        Ok(forced.collect())
    }

    fn finish(mut self, found: Found, progress: &mut dyn Progress) -> Result<Plan<'p>, Error> {
        let (basis, shapes) = (self.basis, self.shapes);
        let mut conflicts = self.of_tables();
        let forced = self.orphans(&mut conflicts, progress)?;
        let (objects, not_made) = objects::of_made(basis, shapes, &self.tables);
        let mut plan = Plan {
            made: objects::made(shapes, &self.tables, &objects),
            objects,
            tables: self.tables,
            given: self.answers.given,
            conflicts,
            missing: found.missing,
            decisions: self.answers.decisions,
            used: self.answers.used,
            remapped: Vec::new(),
            followed: 0,
            findings: not_made,
        };
        plan.findings.extend(forced);
        if found.more > 0 {
            let more = counted(found.more, "more missing value");
            let text = format!("{more} {} not listed", agree(found.more, "is", "are"));
            plan.findings.push(Finding::note("references", text));
        }
        plan.findings.extend(findings::unused(basis, &plan));
        for chosen in &mut self.chosen {
            plan.findings.append(&mut chosen.notes);
        }
        for (shape, table) in shapes.iter().zip(&mut plan.tables) {
            let given = plan.given.iter().filter(|g| g.table == shape.live.name);
            table.given = given.count() as u64;
            table.tally.report.inserted += table.given;
            table.tally.report.table.clone_from(&shape.live.name);
            plan.followed += table.tally.followed;
            plan.remapped.append(&mut table.tally.remapped);
            // Tables that are only looked into are no part of the report.
            if !shape.role.is_written() && !table.is_touched() && table.tally.conflicts.is_empty() {
                table.tally.report.table.clear();
            }
            findings::of_table(basis, shapes, shape, table, &mut plan.findings);
        }
        Ok(plan)
    }
}
