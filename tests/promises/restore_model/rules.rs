//! The rules of docs/restore.md for all but the replacement of whole tables, as plainly as they can
//! be written: every record is looked at in turn, and all of it again and again, until a pass gives
//! what the pass before gave. What a record refers to may be decided after it (in a cycle, or within
//! its table); a pass takes that from the pass before.

use std::collections::{BTreeMap, BTreeSet};

use super::cycles;
use super::identity::{Found, Slot, identify};
use super::scope::{Scope, scope};
use super::tables::{Database, Row, Schema, Value, is_whole};
use super::whole;
use super::wishes::{Counts, Gap, Mode, Outcome, Wishes};

/// More passes than any chain of references is long.
const PASSES_MAX: usize = 60;

/// A record of the snapshot: table and place.
pub type Record = (usize, usize);

/// What it means to refer to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To refer to this row.
    Row(Vec<Value>),
    /// To keep the value: the row with that key was renamed, or is another thing.
    Doubtful,
    /// A conflict that stops the restore: what refers to it is not looked at.
    Stopped,
    /// To be left out too.
    LeftOut,
    /// To refer to nothing: the record contradicts the database, or is nowhere and out of scope.
    Nothing,
}

/// What became of the references of a record that is to be written.
pub struct Resolved {
    pub values: Vec<Value>,
    pub carried: u64,
    /// References whose records are left out.
    pub left_out: Vec<usize>,
    /// Columns of references for which a row was named.
    pub mapped: Vec<usize>,
    /// Parents that are inserted for it.
    pub created: Vec<Record>,
    /// And rows that were given, with their tables.
    pub given: Vec<(usize, Vec<Value>)>,
    /// What nothing was decided about.
    pub open: Vec<Gap>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pass {
    pub slots: Vec<Vec<Slot>>,
    pub targets: BTreeMap<Record, Target>,
    /// Records out of scope that are inserted because others refer to them.
    pub created: BTreeSet<Record>,
    pub counts: Vec<Counts>,
    pub missing: BTreeMap<Gap, u64>,
}

/// What a restore does. `None` if the rules do not say: where keys hold each other in a cycle, or lead to
/// no end.
pub fn restore(
    schema: &Schema,
    snapshot: &Database,
    live: &Database,
    wishes: &Wishes,
) -> Option<Outcome> {
    if wishes.replaces_tables() {
        return whole::replace(schema, snapshot, live, wishes);
    }
    let scope = scope(schema, snapshot, wishes);
    let planner = Planner {
        schema,
        snapshot,
        live,
        wishes,
        scope: &scope,
        before: None,
        now: Pass::default(),
    };
    let pass = planner.last_pass()?;
    if cycles::any(schema, snapshot, wishes, &pass) {
        return None;
    }
    Some(outcome(schema, live, wishes, pass))
}

fn outcome(schema: &Schema, live: &Database, wishes: &Wishes, pass: Pass) -> Outcome {
    let rows = |slots: &Vec<Slot>| -> Vec<Row> {
        let row = |slot: &Slot| Row {
            rowid: slot.rowid,
            values: slot.values.clone(),
        };
        slots.iter().map(row).collect()
    };
    let mut after = Database {
        rows: pass.slots.iter().map(rows).collect(),
        sequence: live.sequence.clone(),
    };
    after.sort(schema);
    let mut outcome = Outcome {
        counts: pass.counts,
        missing: pass.missing,
        after,
        ..Outcome::default()
    };
    // Silent: what a chosen row's new values take from rows that nobody asked about. As with whole
    // tables, these block.
    if !wishes.force {
        outcome.orphaned = bereaved(schema, live, &pass.slots);
    }
    outcome.settle(live);
    outcome
}

/// Rows whose reference the plan does not write, and that lose their parent.
fn bereaved(
    schema: &Schema,
    live: &Database,
    slots: &[Vec<Slot>],
) -> BTreeMap<(usize, usize), u64> {
    let mut found = BTreeMap::new();
    for (t, table) in schema.tables.iter().enumerate() {
        for (n, reference) in table.known_references() {
            let has_parent = |values: &[Value]| {
                let mut parents = slots[reference.parent].iter();
                parents.any(|p| schema.refers(reference, values, &p.values))
            };
            let refers_anew = |slot: &Slot| {
                let mut columns = reference.columns.iter();
                !slot.is_live || columns.any(|&c| slot.values[c] != slot.before[c])
            };
            let loses = |slot: &&Slot| {
                !refers_anew(slot)
                    && live.parent(schema, reference, &slot.values).is_some()
                    && !has_parent(&slot.values)
            };
            let count = slots[t].iter().filter(loses).count() as u64;
            if count > 0 {
                found.insert((t, n), count);
            }
        }
    }
    found
}

/// The rows as they are.
pub fn slots(live: &Database) -> Vec<Vec<Slot>> {
    let slot = |row: &Row| Slot {
        rowid: row.rowid,
        values: row.values.clone(),
        before: row.values.clone(),
        is_live: true,
        is_written: false,
        is_claimed: false,
    };
    let tables = live.rows.iter();
    tables.map(|rows| rows.iter().map(slot).collect()).collect()
}

pub fn inserted(rowid: i64, values: &[Value]) -> Slot {
    Slot {
        rowid,
        values: values.to_vec(),
        before: values.to_vec(),
        is_live: false,
        is_written: true,
        is_claimed: true,
    }
}

pub struct Planner<'a> {
    pub schema: &'a Schema,
    pub snapshot: &'a Database,
    pub live: &'a Database,
    pub wishes: &'a Wishes,
    pub scope: &'a Scope,
    pub before: Option<&'a Pass>,
    pub now: Pass,
}

impl Planner<'_> {
    /// The pass that gives what the one before gave.
    fn last_pass(&self) -> Option<Pass> {
        let mut before: Option<Pass> = None;
        for _ in 0..PASSES_MAX {
            let planner = Planner {
                before: before.as_ref(),
                now: Pass::default(),
                ..*self
            };
            let now = planner.pass();
            if before.as_ref() == Some(&now) {
                return Some(now);
            }
            before = Some(now);
        }
        None
    }

    fn pass(mut self) -> Pass {
        self.now.slots = slots(self.live);
        self.now.counts = vec![Counts::default(); self.schema.tables.len()];
        for t in self.schema.parents_first() {
            for r in 0..self.snapshot.rows[t].len() {
                let target = self.record((t, r));
                self.now.targets.insert((t, r), target);
            }
        }
        self.now
    }

    fn record(&mut self, record: Record) -> Target {
        let (t, _) = record;
        let values = self.translated(record);
        let found = self.found(t, &values);
        match found {
            Found::New if self.in_scope(record) => self.new_record(record, values),
            Found::New => Target::Nothing,
            found => self.known_record(record, &values, &found),
        }
    }

    /// Chosen, or to be created for a record that is.
    fn in_scope(&self, record: Record) -> bool {
        let is_created = self.before.is_some_and(|b| b.created.contains(&record));
        self.scope[record.0][record.1] || is_created
    }

    pub fn found(&self, t: usize, values: &[Value]) -> Found {
        identify(
            &self.schema.tables[t],
            self.wishes,
            t,
            values,
            &self.now.slots[t],
        )
    }

    fn known_record(&mut self, record: Record, values: &[Value], found: &Found) -> Target {
        let (t, r) = record;
        // One that is created means a row that is not its business.
        if !self.scope[t][r] {
            // Silent: a record out of scope that contradicts the database. It is not known which row
            // it is, so nothing may be hung on one of them.
            return match found {
                Found::Same(at) => Target::Row(self.now.slots[t][*at].values.clone()),
                Found::Doubtful(_) => Target::Doubtful,
                Found::New | Found::Conflict => Target::Nothing,
            };
        }
        match *found {
            Found::Same(at) => self.same(record, values, at),
            Found::Doubtful(_) => self.doubtful(t),
            Found::New | Found::Conflict => self.conflict(t),
        }
    }

    // Verdicts.

    fn conflict(&mut self, t: usize) -> Target {
        let counts = &mut self.now.counts[t];
        if self.wishes.deleted_only {
            counts.differing += 1;
            return Target::Nothing;
        }
        counts.conflicts += 1;
        counts.conflicting += u64::from(self.wishes.skip_conflicts);
        match self.wishes.skip_conflicts {
            true => Target::Nothing,
            false => Target::Stopped,
        }
    }

    fn no_place(&mut self, (t, r): Record) -> Target {
        match self.scope[t][r] {
            true => self.conflict(t),
            false => Target::Nothing,
        }
    }

    fn doubtful(&mut self, t: usize) -> Target {
        if self.wishes.mode == Mode::Add || self.wishes.deleted_only {
            self.now.counts[t].doubtful += 1;
        } else {
            self.conflict(t);
        }
        // Silent: where a doubtful record counts as a conflict, what refers to it keeps its value too.
        Target::Doubtful
    }

    fn same(&mut self, record: Record, values: &[Value], at: usize) -> Target {
        let (t, _) = record;
        let table = &self.schema.tables[t];
        // Silent: a row that another record fills or overwrites is compared as it was.
        let row = self.now.slots[t][at].before.clone();
        let key = &table.primary;
        let is_elsewhere = is_whole(key, values) && !table.equal_in(key, values, &row);
        self.now.counts[t].remapped += u64::from(is_elsewhere);
        // Silent: a replacement does not compare what it does not write.
        let leaves_key = is_elsewhere || self.wishes.mode == Mode::Replace;
        let is_compared = |c: &usize| !(leaves_key && key.contains(c));
        let mut compared = (0..row.len()).filter(is_compared);
        if compared.all(|c| row[c] == values[c]) {
            self.now.counts[t].same += 1;
            self.now.slots[t][at].is_claimed = true;
            return Target::Row(self.now.slots[t][at].values.clone());
        }
        let columns = match self.wishes.mode {
            _ if self.wishes.deleted_only => Vec::new(),
            Mode::Add => Vec::new(),
            Mode::Augment => self.to_fill(t, &row, values),
            Mode::Replace => {
                let differs = |&c: &usize| row[c] != values[c] && !key.contains(&c);
                (0..row.len()).filter(differs).collect()
            }
        };
        if columns.is_empty() {
            self.now.counts[t].differing += 1;
            return Target::Row(self.now.slots[t][at].values.clone());
        }
        if self.now.slots[t][at].is_written {
            return self.conflict(t);
        }
        self.write(record, values, at, columns)
    }

    /// Columns that are NULL in the row and not in the record, but for those of a key.
    fn to_fill(&self, t: usize, row: &[Value], values: &[Value]) -> Vec<usize> {
        let table = &self.schema.tables[t];
        let given = self.wishes.keys.iter().filter(|(of, _)| *of == t);
        let given = given.map(|(_, columns)| columns);
        let mut keys: Vec<&Vec<usize>> = table.live_unique().chain(given).collect();
        keys.push(&table.primary);
        let is_of_key = |c: usize| keys.iter().any(|key| key.contains(&c));
        let is_filled = |&c: &usize| row[c].is_null() && !values[c].is_null() && !is_of_key(c);
        (0..row.len()).filter(is_filled).collect()
    }

    /// Gives a row the record's values in these columns, but for references that lead nowhere.
    fn write(
        &mut self,
        record: Record,
        values: &[Value],
        at: usize,
        mut columns: Vec<usize>,
    ) -> Target {
        let (t, _) = record;
        let row = self.now.slots[t][at].values.clone();
        let mut after = row.clone();
        columns.iter().for_each(|&c| after[c] = values[c].clone());
        let resolved = self.resolved(record, values, &after, &columns);
        for &n in &resolved.left_out {
            let of_reference = &self.schema.tables[t].references[n].columns;
            columns.retain(|c| !of_reference.contains(c));
        }
        if self.wishes.mode == Mode::Replace {
            let primary = &self.schema.tables[t].primary;
            let mapped = resolved.mapped.iter().filter(|c| !primary.contains(c));
            columns.extend(mapped);
        }
        let mut after = row.clone();
        columns
            .iter()
            .for_each(|&c| after[c] = resolved.values[c].clone());
        if after == row {
            match resolved.left_out.is_empty() {
                // The row has what was decided.
                true => self.now.counts[t].same += 1,
                false => self.now.counts[t].missing += 1,
            }
            return Target::Row(row);
        }
        if self.takes_a_key(t, at, &after) {
            return self.conflict(t);
        }
        self.need(&resolved);
        let counts = &mut self.now.counts[t];
        counts.carried += resolved.carried;
        match self.wishes.mode {
            Mode::Augment => counts.filled += 1,
            _ => counts.updated += 1,
        }
        let slot = &mut self.now.slots[t][at];
        slot.values = after.clone();
        slot.is_written = true;
        Target::Row(after)
    }

    /// True if another row has one of the UNIQUE keys already.
    fn takes_a_key(&self, t: usize, at: usize, values: &[Value]) -> bool {
        let table = &self.schema.tables[t];
        let mut others = self.now.slots[t]
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != at);
        others.any(|(_, slot)| {
            table
                .live_unique()
                .any(|key| table.equal_in(key, &slot.values, values))
        })
    }

    fn new_record(&mut self, record: Record, values: Vec<Value>) -> Target {
        let (t, _) = record;
        // Silent: a record that contradicts the database is asked for no parents; one that is created
        // contradicts nothing.
        if self.placed(t, &values).is_none() {
            return self.no_place(record);
        }
        let all: Vec<usize> = (0..values.len()).collect();
        let resolved = self.resolved(record, &values, &values, &all);
        if resolved.values != values {
            // A decision has changed the record: it is looked for again.
            let found = self.found(t, &resolved.values);
            if found != Found::New {
                return self.known_record(record, &resolved.values, &found);
            }
        }
        if !resolved.left_out.is_empty() {
            self.now.counts[t].missing += 1;
            return Target::LeftOut;
        }
        self.insert(record, resolved)
    }

    /// The values as they can be inserted, with another id if theirs is taken; `None` if another key is.
    fn placed(&self, t: usize, values: &[Value]) -> Option<Vec<Value>> {
        let table = &self.schema.tables[t];
        let is_taken = |key: &Vec<usize>, values: &[Value]| {
            !key.is_empty()
                && self.now.slots[t].iter().any(|slot| {
                    // Silent: a key that the plan takes from a row is taken still.
                    table.equal_in(key, &slot.before, values)
                        || table.equal_in(key, &slot.values, values)
                })
        };
        let is_declared = self.wishes.keys.iter().any(|(of, _)| *of == t);
        let refers = table.known_references().any(|(_, r)| {
            table
                .primary
                .first()
                .is_some_and(|id| r.columns.contains(id))
        });
        let is_surrogate =
            table.has_alias() && !refers && (table.live_unique().next().is_some() || is_declared);
        let mut values = values.to_vec();
        if is_surrogate && is_taken(&table.primary, &values) {
            values[table.primary[0]] = Value::Int(self.next_id(t));
        }
        let mut keys = table.live_unique().chain([&table.primary]);
        (!keys.any(|key| is_taken(key, &values))).then_some(values)
    }

    fn insert(&mut self, record: Record, resolved: Resolved) -> Target {
        let (t, r) = record;
        let table = &self.schema.tables[t];
        let Some(values) = self.placed(t, &resolved.values) else {
            return self.no_place(record);
        };
        self.now.counts[t].remapped += u64::from(values != resolved.values);
        let rowid = match (
            table.has_alias(),
            &values.get(table.primary.first().map_or(0, |&c| c)),
        ) {
            (true, Some(Value::Int(id))) => *id,
            _ if table.without_rowid => 0,
            _ => self.free_rowid(t, self.snapshot.rows[t][r].rowid),
        };
        self.need(&resolved);
        self.now.counts[t].inserted += 1;
        self.now.counts[t].carried += resolved.carried;
        self.now.slots[t].push(inserted(rowid, &values));
        Target::Row(values)
    }

    /// Behind all ids of the live table, of the snapshot's, and of `sqlite_sequence`.
    pub fn next_id(&self, t: usize) -> i64 {
        let inserted = self.now.slots[t].iter().map(|slot| slot.rowid).max();
        let known = [
            self.live.largest_rowid(t),
            self.snapshot.largest_rowid(t),
            // Silent whose: both databases'.
            self.live.sequence[t],
            self.snapshot.sequence[t],
            inserted.unwrap_or(0),
        ];
        known.into_iter().max().unwrap_or(0) + 1
    }

    /// A rowid that is no column: kept if free. Which one SQLite gives else is not looked at.
    fn free_rowid(&self, t: usize, wanted: i64) -> i64 {
        let is_taken = self.now.slots[t].iter().any(|slot| slot.rowid == wanted);
        if is_taken { self.next_id(t) } else { wanted }
    }
}
