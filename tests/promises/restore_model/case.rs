//! One case: a schema, rows that both databases once had, what each did since, and what is asked for.
//! It can be made smaller, and printed so that a person can try it.

use super::draw::{self, Draw};
use super::edits::{Edit, Side, apply, draw_edit};
use super::rules;
use super::sql::{Half, script};
use super::tables::{Affinity, Database, Schema, Value};
use super::wishes::{Choice, Decision, Gap, Match, Mode, Others, Test, Wishes};

/// Takes an option back.
type Change = fn(&mut Wishes);

#[derive(Debug, Clone)]
pub struct Case {
    pub schema: Schema,
    pub ancestor: Vec<Edit>,
    pub first: Vec<Edit>,
    pub second: Vec<Edit>,
    pub wishes: Wishes,
}

impl Case {
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let mut wishes = Wishes {
            mode: draw.pick(&[Mode::Add, Mode::Add, Mode::Augment, Mode::Replace]),
            ..Wishes::default()
        };
        let chooses_rows = draw.once_in(if wishes.mode == Mode::Replace { 2 } else { 4 });
        let is_strict = wishes.mode == Mode::Replace && !chooses_rows;
        let schema = draw::schema(&mut draw, is_strict);
        let mut db = Database::empty(&schema);
        let rows = draw.below(9 * schema.tables.len() + 1);
        let ancestor = edits(&mut draw, &schema, &mut db, rows, Side::Both);
        let (mut one, mut other) = (db.clone(), db);
        let count = draw.below(18);
        let first = edits(&mut draw, &schema, &mut one, count, Side::Snapshot);
        let count = draw.below(18);
        let second = edits(&mut draw, &schema, &mut other, count, Side::Live);
        options(&mut draw, &schema, &one, chooses_rows, &mut wishes);
        decide(&mut draw, &schema, &one, &other, &mut wishes);
        Self {
            schema,
            ancestor,
            first,
            second,
            wishes,
        }
    }

    /// The database that is backed up, and the one that is restored into.
    pub fn databases(&self) -> (Database, Database) {
        let mut db = Database::empty(&self.schema);
        for edit in &self.ancestor {
            apply(&self.schema, &mut db, edit, Side::Both);
        }
        let (mut one, mut other) = (db.clone(), db);
        for edit in &self.first {
            apply(&self.schema, &mut one, edit, Side::Snapshot);
        }
        for edit in &self.second {
            apply(&self.schema, &mut other, edit, Side::Live);
        }
        (one, other)
    }

    /// The case for people.
    pub fn text(&self) -> String {
        let (snapshot, live) = self.databases();
        format!(
            "-- the snapshot\n{}\n-- the database that is restored into\n{}\n-- {}\n",
            script(&self.schema, &snapshot, Half::Snapshot),
            script(&self.schema, &live, Half::Live),
            self.wishes.text(&self.schema),
        )
    }

    /// Leaves out what can be left out while it `fails`.
    pub fn shrink(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        loop {
            let smaller = self.smaller();
            match smaller.into_iter().find(|case| fails(case)) {
                Some(case) => self = case,
                None => return self,
            }
        }
    }

    /// Every case that is smaller by one thing.
    fn smaller(&self) -> Vec<Self> {
        let mut cases = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut case = self.clone();
            change(&mut case);
            cases.push(case);
        };
        if self.ancestor.len() > 3 {
            let half = self.ancestor.len() / 2;
            with(&|case| case.ancestor.truncate(half));
            with(&|case| drop(case.ancestor.drain(..half)));
        }
        (0..self.first.len()).for_each(|n| with(&|case| drop(case.first.remove(n))));
        (0..self.second.len()).for_each(|n| with(&|case| drop(case.second.remove(n))));
        (0..self.ancestor.len()).for_each(|n| with(&|case| drop(case.ancestor.remove(n))));
        let wishes = &self.wishes;
        (0..wishes.decisions.len())
            .for_each(|n| with(&|case| drop(case.wishes.decisions.remove(n))));
        (0..wishes.keys.len()).for_each(|n| with(&|case| drop(case.wishes.keys.remove(n))));
        (0..wishes.excluded.len()).for_each(|n| with(&|case| case.wishes.excluded.truncate(n)));
        for (is_set, clear) in self.switches() {
            if is_set {
                with(&|case| clear(&mut case.wishes));
            }
        }
        for (t, table) in self.schema.tables.iter().enumerate() {
            // Decisions name references by number.
            if wishes.decisions.is_empty() {
                (0..table.references.len())
                    .for_each(|n| with(&|case| drop(case.schema.tables[t].references.remove(n))));
            }
            (0..table.unique.len())
                .filter(|&n| !self.is_used(t, n))
                .for_each(|n| {
                    with(&|case| drop(case.schema.tables[t].unique.remove(n)));
                });
        }
        cases
    }

    fn is_used(&self, t: usize, n: usize) -> bool {
        let columns = &self.schema.tables[t].unique[n].columns;
        let mut references = self
            .schema
            .tables
            .iter()
            .flat_map(|table| &table.references);
        references.any(|r| r.parent == t && r.parent_columns == *columns)
    }

    /// Options that are set, and how each is taken back.
    fn switches(&self) -> Vec<(bool, Change)> {
        let w = &self.wishes;
        vec![
            (!w.tables.is_empty() && w.filter.is_none(), |w| {
                w.tables.clear()
            }),
            (w.filter.is_some() && w.mode != Mode::Replace, |w| {
                w.filter = None
            }),
            (w.with_parents, |w| w.with_parents = false),
            (w.with_children, |w| w.with_children = false),
            (w.skip_conflicts, |w| w.skip_conflicts = false),
            (w.others.is_some(), |w| w.others = None),
            (w.deleted_only, |w| w.deleted_only = false),
            (w.force, |w| w.force = false),
            (w.matching != Match::Auto, |w| w.matching = Match::Auto),
            (w.mode == Mode::Augment, |w| w.mode = Mode::Add),
        ]
    }
}

fn edits(
    draw: &mut Draw,
    schema: &Schema,
    db: &mut Database,
    count: usize,
    side: Side,
) -> Vec<Edit> {
    let mut edits = Vec::new();
    for _ in 0..count {
        let edit = draw_edit(draw, schema, db, side == Side::Both);
        apply(schema, db, &edit, side);
        edits.push(edit);
    }
    edits
}

fn options(
    draw: &mut Draw,
    schema: &Schema,
    snapshot: &Database,
    chooses_rows: bool,
    w: &mut Wishes,
) {
    let tables: Vec<usize> = (0..schema.tables.len()).collect();
    w.matching = draw.pick(&[Match::Auto, Match::Auto, Match::Id, Match::Natural]);
    let t = draw.pick(&tables);
    if draw.once_in(5) {
        let columns: Vec<usize> = (0..schema.tables[t].columns.len()).collect();
        let mut key = vec![draw.pick(&columns)];
        let second = draw.pick(&columns);
        if draw.once_in(2) && !key.contains(&second) {
            key.push(second);
        }
        w.keys.push((t, key));
    }
    if draw.once_in(4) {
        w.tables = tables.iter().copied().filter(|_| draw.once_in(2)).collect();
    }
    if draw.once_in(6) {
        w.excluded.push(draw.pick(&tables));
    }
    if chooses_rows {
        choose_rows(draw, schema, snapshot, w);
    }
    let is_whole = w.replaces_tables();
    w.skip_conflicts = draw.once_in(2);
    w.deleted_only = w.mode == Mode::Add && draw.once_in(8);
    w.force = w.mode == Mode::Replace && draw.once_in(2);
    w.others = match is_whole {
        true => draw.pick(&[None, Some(Others::Create)]),
        false => draw.pick(&[
            None,
            None,
            Some(Others::Create),
            Some(Others::Skip),
            Some(Others::Null),
        ]),
    };
}

fn choose_rows(draw: &mut Draw, schema: &Schema, snapshot: &Database, w: &mut Wishes) {
    let t = draw.below(schema.tables.len());
    let table = &schema.tables[t];
    let key = snapshot.rows[t].get(draw.below(snapshot.rows[t].len()));
    let key = key.map(|row| -> Vec<Value> {
        table
            .primary
            .iter()
            .map(|&c| row.values[c].clone())
            .collect()
    });
    match key {
        Some(key) if draw.once_in(2) && !key.is_empty() && !key.contains(&Value::Null) => {
            w.tables.clear();
            w.key_values.push((t, key));
        }
        _ if w.mode != Mode::Replace && draw.once_in(5) => {}
        _ => {
            let c = draw.below(table.columns.len());
            let affinity = draw.pick(&[table.columns[c].affinity, Affinity::None]);
            let value = draw.value(affinity);
            let test = draw.pick(&[
                Test::Equals(value.clone()),
                Test::IsNull,
                Test::Above(value),
            ]);
            w.tables = vec![t];
            w.filter = Some((c, test));
        }
    }
    w.excluded.retain(|&excluded| excluded != t);
    w.with_parents = draw.once_in(2);
    w.with_children = draw.once_in(3);
}

/// Answers for some of the values that are missing.
fn decide(draw: &mut Draw, schema: &Schema, snapshot: &Database, live: &Database, w: &mut Wishes) {
    if w.replaces_tables() || draw.once_in(2) {
        return;
    }
    let others = w.others.take();
    let missing = rules::restore(schema, snapshot, live, w)
        .map(|o| o.missing)
        .unwrap_or_default();
    w.others = others;
    for gap in missing.into_keys() {
        let choice = match draw.below(5) {
            0 => give(draw, schema, snapshot, live, &gap).or(Some(Choice::Create)),
            1 => Some(Choice::Skip),
            2 => may_be_null(schema, &gap).then_some(Choice::Null),
            3 => map(draw, schema, live, &gap).map(Choice::Map),
            _ => None,
        };
        let Some(choice) = choice else { continue };
        w.decisions.push(Decision { of: gap, choice });
    }
}

/// Silent: that of a reference of several columns those become NULL that may. The model knows all or none.
fn may_be_null(schema: &Schema, gap: &Gap) -> bool {
    let table = &schema.tables[gap.table];
    let mut columns = table.references[gap.reference].columns.iter();
    columns.all(|&c| !table.columns[c].not_null && !table.primary.contains(&c))
}

/// A row for a value that the snapshot has no record for, if one can be made that refers to nothing.
fn give(
    draw: &mut Draw,
    schema: &Schema,
    snapshot: &Database,
    live: &Database,
    gap: &Gap,
) -> Option<Choice> {
    let reference = &schema.tables[gap.table].references[gap.reference];
    let parent = &schema.tables[reference.parent];
    let mut row = vec![Value::Null; parent.columns.len()];
    for (&p, value) in reference.parent_columns.iter().zip(&gap.values) {
        row[p] = parent.columns[p].affinity.apply(value);
    }
    let referring = parent.references.iter().flat_map(|r| r.columns.clone());
    let referring: Vec<usize> = referring.collect();
    for (p, column) in parent.columns.iter().enumerate() {
        if !row[p].is_null() || (referring.contains(&p) && !column.not_null) {
            continue;
        }
        row[p] = match parent.primary.contains(&p) && parent.has_alias() {
            true => Value::Int(60 + draw.number(9)),
            // None of the few that others have.
            false => column
                .affinity
                .apply(&Value::Text(format!("{}", 70 + draw.below(9)))),
        };
    }
    // A number that SQLite gives refers to anything.
    let is_number = |p: &usize| parent.has_alias() && parent.primary.contains(p);
    let refers = referring.iter().any(|p| !row[*p].is_null() || is_number(p));
    let of_class = |p: usize| !is_number(&p) || matches!(row[p], Value::Int(_));
    if !(0..row.len()).all(of_class) {
        return None;
    }
    let mut values = vec![Value::Null; schema.tables[gap.table].columns.len()];
    for (&c, value) in reference.columns.iter().zip(&gap.values) {
        values[c] = value.clone();
    }
    let is_known = snapshot.parent(schema, reference, &values).is_some()
        || live.parent(schema, reference, &values).is_some();
    (!refers && !is_known).then_some(Choice::Give(row))
}

/// The key of a row that there is.
fn map(draw: &mut Draw, schema: &Schema, live: &Database, gap: &Gap) -> Option<Vec<Value>> {
    let reference = &schema.tables[gap.table].references[gap.reference];
    let rows = &live.rows[reference.parent];
    let row = rows.get(draw.below(rows.len()))?;
    let key = reference
        .parent_columns
        .iter()
        .map(|&p| row.values[p].clone());
    let key: Vec<Value> = key.collect();
    (!key.contains(&Value::Null)).then_some(key)
}

impl Wishes {
    /// As options of the command line, more or less.
    pub fn text(&self, schema: &Schema) -> String {
        let name = |t: usize| schema.tables[t].name.as_str();
        let column = |t: usize, c: usize| schema.tables[t].columns[c].name.as_str();
        let list = |values: &[Value]| -> String {
            let values: Vec<String> = values.iter().map(Value::sql).collect();
            values.join(",")
        };
        let mut words = vec![format!(
            "--mode {:?} --match {:?}",
            self.mode, self.matching
        )];
        for (t, columns) in &self.keys {
            let columns: Vec<&str> = columns.iter().map(|&c| column(*t, c)).collect();
            words.push(format!("--key {}={}", name(*t), columns.join(",")));
        }
        words.extend(self.tables.iter().map(|&t| format!("--table {}", name(t))));
        words.extend(
            self.excluded
                .iter()
                .map(|&t| format!("--exclude-table {}", name(t))),
        );
        if let (Some(filter), Some(&t)) = (self.filter_sql(schema), self.tables.first()) {
            words.push(format!("--where \"{filter}\" (of {})", name(t)));
        }
        let keys = self.key_values.iter();
        words.extend(keys.map(|(t, key)| format!("--key-value {}={}", name(*t), list(key))));
        for (t, table) in schema.tables.iter().enumerate() {
            for r in table.references.iter().filter(|r| r.declared) {
                let (c, p) = (
                    column(t, r.columns[0]),
                    column(r.parent, r.parent_columns[0]),
                );
                words.push(format!(
                    "--reference {}.{c}={}.{p}",
                    name(t),
                    name(r.parent)
                ));
            }
        }
        for (is_set, word) in [
            (self.with_parents, "--with-parents"),
            (self.with_children, "--with-children"),
            (self.skip_conflicts, "--on-conflict skip"),
            (self.deleted_only, "--deleted"),
            (self.force, "--force"),
        ] {
            words.extend(is_set.then(|| word.to_owned()));
        }
        words.extend(self.others.map(|others| format!("--on-missing {others:?}")));
        for Decision { of, choice } in &self.decisions {
            let r = &schema.tables[of.table].references[of.reference];
            let columns: Vec<&str> = r.columns.iter().map(|&c| column(of.table, c)).collect();
            let (t, columns) = (name(of.table), columns.join(","));
            words.push(format!(
                "decided: {t}.({columns}) = {} -> {choice:?}",
                list(&of.values)
            ));
        }
        words.join(" ")
    }

    pub fn filter_sql(&self, schema: &Schema) -> Option<String> {
        let (c, test) = self.filter.as_ref()?;
        let column = &schema.tables[*self.tables.first()?].columns[*c].name;
        Some(match test {
            Test::IsNull => format!("{column} IS NULL"),
            Test::Equals(value) => format!("{column} = {}", value.sql()),
            Test::Above(value) => format!("{column} > {}", value.sql()),
        })
    }
}
