//! References of records that are written: docs/restore.md §2 (they follow) and §4 (they lead nowhere).

use super::identity::Slot;
use super::rules::{Planner, Record, Resolved, Target, inserted};
use super::tables::{Reference, Value, is_whole};
use super::wishes::{Choice, Gap, Mode, Others};

/// How a reference of a record stands that is to be written.
enum Aim {
    Good,
    Carried,
    LeftOut,
    /// With the record of the snapshot that could be created.
    Missing(Option<Record>),
}

impl Planner<'_> {
    /// What became of a record, in this pass or the one before; nothing is known in the first.
    pub fn target(&self, record: Record) -> Option<&Target> {
        let before = self.before.and_then(|b| b.targets.get(&record));
        self.now.targets.get(&record).or(before)
    }

    /// The record of the snapshot that a record of the snapshot refers to.
    fn parent_of(&self, record: Record, reference: &Reference) -> Option<Record> {
        let values = &self.snapshot.rows[record.0][record.1].values;
        let at = self.snapshot.parent(self.schema, reference, values);
        at.map(|at| (reference.parent, at))
    }

    /// The record's values, its references following what its parents turned out to be.
    pub fn translated(&self, record: Record) -> Vec<Value> {
        let table = &self.schema.tables[record.0];
        let mut values = self.snapshot.rows[record.0][record.1].values.clone();
        for (_, reference) in table.known_references() {
            let Some(parent) = self.parent_of(record, reference) else {
                continue;
            };
            let Some(Target::Row(row)) = self.target(parent) else {
                continue;
            };
            // Silent: a row without that key cannot be referred to; the value stays.
            if is_whole(&reference.parent_columns, row) {
                self.point(&mut values, reference, parent, row);
            }
        }
        table.stored(&values)
    }

    /// Makes the reference follow, where the row's key is another one than the record's.
    fn point(&self, values: &mut [Value], reference: &Reference, parent: Record, row: &[Value]) {
        let table = &self.schema.tables[reference.parent];
        let record = &self.snapshot.rows[parent.0][parent.1].values;
        if !table.equal_in(&reference.parent_columns, record, row) {
            for (&c, &p) in reference.columns.iter().zip(&reference.parent_columns) {
                values[c] = row[p].clone();
            }
        }
    }

    /// How a reference of the record stands in `after`, the row that is to be written.
    fn aim(&self, record: Record, reference: &Reference, values: &[Value], after: &[Value]) -> Aim {
        if !is_whole(&reference.columns, after) {
            return Aim::Good;
        }
        let is_there = || match self.before {
            Some(before) => before.slots[reference.parent]
                .iter()
                .any(|slot| self.schema.refers(reference, after, &slot.values)),
            None => true,
        };
        let is_mixed = reference.columns.iter().any(|&c| after[c] != values[c]);
        if is_mixed {
            // Silent: a row and a record have each a part of it. It must lead somewhere.
            return if is_there() {
                Aim::Good
            } else {
                Aim::Missing(None)
            };
        }
        match self.parent_of(record, reference) {
            Some(parent) => match self.target(parent) {
                None | Some(Target::Stopped) => Aim::Good,
                // That row may be overwritten by another record.
                Some(Target::Row(row))
                    if self.schema.refers(reference, after, row) && is_there() =>
                {
                    Aim::Good
                }
                // Silent: a row that lacks the key is none to refer to, whatever other row has it.
                Some(Target::Doubtful) if is_there() => Aim::Good,
                Some(Target::LeftOut) => Aim::LeftOut,
                Some(_) => Aim::Missing(Some(parent)),
            },
            None if is_there() => Aim::Good,
            // Silent: the same for a reference that is declared as an option.
            None if reference.in_snapshot || reference.declared => Aim::Carried,
            None => Aim::Missing(None),
        }
    }

    /// Looks at the references of the columns that are to be written, and does what was decided.
    pub fn resolved(
        &self,
        record: Record,
        values: &[Value],
        after: &[Value],
        columns: &[usize],
    ) -> Resolved {
        let mut resolved = Resolved {
            values: after.to_vec(),
            carried: 0,
            left_out: Vec::new(),
            mapped: Vec::new(),
            created: Vec::new(),
            given: Vec::new(),
            open: Vec::new(),
        };
        let schema = self.schema;
        for (n, reference) in schema.tables[record.0].known_references() {
            if !reference.columns.iter().any(|c| columns.contains(c)) {
                continue;
            }
            resolved
                .created
                .extend(self.created_parent(record, reference));
            if let Some(row) = self.given_parent(record, n, reference, (values, after)) {
                resolved.given.push((reference.parent, row));
                continue;
            }
            match self.aim(record, reference, values, after) {
                Aim::Good => {}
                Aim::Carried => resolved.carried += 1,
                Aim::LeftOut => resolved.left_out.push(n),
                Aim::Missing(parent) => {
                    let gap = self.gap(record, n, reference, (values, after));
                    let choice = self.decided(&gap, reference, parent);
                    // Silent: a row that is filled keeps what it has of the reference, and may not refer
                    // to another row then; one that is overwritten gets all of it but its primary key.
                    let primary = &schema.tables[record.0].primary;
                    let overwrites =
                        |c: &usize| self.wishes.mode == Mode::Replace && !primary.contains(c);
                    let keeps = |(c, v): (&usize, &Value)| {
                        columns.contains(c) || overwrites(c) || after[*c] == *v
                    };
                    let choice = choice.filter(|choice| match choice {
                        Choice::Map(key) => reference.columns.iter().zip(key).all(keeps),
                        _ => true,
                    });
                    match choice {
                        None => resolved.open.push(gap),
                        Some(Choice::Skip) => resolved.left_out.push(n),
                        Some(Choice::Give(_)) => resolved.open.push(gap),
                        Some(Choice::Create) => resolved.created.extend(parent),
                        Some(Choice::Map(key)) => {
                            let pairs = reference.columns.iter().zip(key);
                            pairs.for_each(|(&c, v)| resolved.values[c] = v);
                            resolved.mapped.extend(&reference.columns);
                        }
                        Some(Choice::Null) => {
                            let of = reference.columns.iter();
                            of.for_each(|&c| resolved.values[c] = Value::Null);
                        }
                    }
                }
            }
        }
        resolved.values = schema.tables[record.0].stored(&resolved.values);
        resolved
    }

    /// The record is written: what it needs is needed.
    pub fn need(&mut self, resolved: &Resolved) {
        self.now.created.extend(&resolved.created);
        for (t, values) in &resolved.given {
            let table = &self.schema.tables[*t];
            let keys = || table.live_unique().chain([&table.primary]);
            let is_there = |slot: &Slot| {
                let mut keys = keys().filter(|key| !key.is_empty());
                slot.values == *values || keys.any(|key| table.equal_in(key, &slot.values, values))
            };
            if self.now.slots[*t].iter().any(is_there) {
                continue;
            }
            let rowid = match (
                table.has_alias(),
                table.primary.first().map(|&c| &values[c]),
            ) {
                (true, Some(Value::Int(id))) => *id,
                _ if table.without_rowid => 0,
                _ => self.next_id(*t),
            };
            self.now.counts[*t].inserted += 1;
            self.now.slots[*t].push(inserted(rowid, values));
        }
        for gap in &resolved.open {
            // Silent: values are distinct that no row of the parent could both be meant by.
            let mut known = self.now.missing.keys();
            let known = known.find(|k| self.schema.same_gap(k, gap)).cloned();
            let known = known.unwrap_or_else(|| gap.clone());
            *self.now.missing.entry(known).or_default() += 1;
        }
    }

    /// Silent: it is told by the value that the snapshot has, unless part of it is the row's.
    fn gap(
        &self,
        record: Record,
        n: usize,
        reference: &Reference,
        (values, after): (&[Value], &[Value]),
    ) -> Gap {
        let is_mixed = reference.columns.iter().any(|&c| after[c] != values[c]);
        let was = &self.snapshot.rows[record.0][record.1].values;
        let told = if is_mixed { after } else { was };
        Gap {
            table: record.0,
            reference: n,
            values: reference.columns.iter().map(|&c| told[c].clone()).collect(),
        }
    }

    /// The parent that is inserted only because of records like this one: still needed.
    fn created_parent(&self, record: Record, reference: &Reference) -> Option<Record> {
        let before = self.before?;
        let parent = self.parent_of(record, reference)?;
        before.created.contains(&parent).then_some(parent)
    }

    /// The row that was given for a reference which neither database has a parent for.
    fn given_parent(
        &self,
        record: Record,
        n: usize,
        reference: &Reference,
        (values, after): (&[Value], &[Value]),
    ) -> Option<Vec<Value>> {
        let gap = self.gap(record, n, reference, (values, after));
        let mut decisions = self.wishes.decisions.iter();
        let decision = decisions.find(|d| self.schema.same_gap(&d.of, &gap))?;
        let Choice::Give(row) = &decision.choice else {
            return None;
        };
        let is_nowhere = self.parent_of(record, reference).is_none()
            && self.live.parent(self.schema, reference, after).is_none();
        is_nowhere.then(|| row.clone())
    }

    /// What is decided, if it can be done.
    fn decided(&self, gap: &Gap, reference: &Reference, parent: Option<Record>) -> Option<Choice> {
        let columns = &self.schema.tables[gap.table].columns;
        let may_be_null = reference.columns.iter().all(|&c| {
            let of_key = self.schema.tables[gap.table].primary.contains(&c);
            !columns[c].not_null && !of_key
        });
        let mut decisions = self.wishes.decisions.iter();
        let single = decisions.find(|d| self.schema.same_gap(&d.of, gap));
        let choice = match (single, self.wishes.others) {
            (Some(decision), _) => decision.choice.clone(),
            (None, Some(Others::Create)) => Choice::Create,
            (None, Some(Others::Skip)) => Choice::Skip,
            (None, Some(Others::Null)) => Choice::Null,
            (None, None) => return None,
        };
        match choice {
            // A record that contradicts the database is a conflict then, and this is missing still.
            Choice::Create => parent
                .filter(|&p| self.can_be_created(p))
                .map(|_| Choice::Create),
            Choice::Null => may_be_null.then_some(Choice::Null),
            choice => Some(choice),
        }
    }

    fn can_be_created(&self, record: Record) -> bool {
        let was_tried = self.before.is_some_and(|b| b.created.contains(&record));
        !self.scope[record.0][record.1] && !was_tried
    }
}
