//! Schemas at random: every way to tell rows apart, and every way to refer to them.

use super::tables::{Affinity, Column, Key, Reference, Schema, Table, Value};
use crate::tree_rows::Random;

/// Draws from a seed.
pub struct Draw(Random);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(Random(seed))
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end.max(1) as u64)).unwrap()
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len());
        from[at].clone()
    }

    pub fn number(&mut self, end: usize) -> i64 {
        1 + i64::try_from(self.below(end)).unwrap()
    }

    /// Few values, so that they meet.
    pub fn value(&mut self, affinity: Affinity) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        match affinity {
            Affinity::Integer => Value::Int(self.number(5)),
            Affinity::Text => text(self.pick(&["a", "b", "c", "d", "A", "1"])),
            Affinity::None if self.once_in(2) => Value::Int(self.number(4)),
            Affinity::None => text(self.pick(&["a", "b", "1", "A"])),
        }
    }
}

const AFFINITIES: [Affinity; 3] = [Affinity::Integer, Affinity::Text, Affinity::None];

fn column(name: impl Into<String>, affinity: Affinity) -> Column {
    Column {
        name: name.into(),
        affinity,
        nocase: false,
        not_null: false,
    }
}

/// How a table tells its rows apart, references apart.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    IdName,
    IdNames,
    Text,
    Pair,
    Nothing,
    Name,
    Junction,
}

const KINDS: [Kind; 10] = [
    Kind::Id,
    Kind::IdName,
    Kind::IdName,
    Kind::IdNames,
    Kind::Text,
    Kind::Pair,
    Kind::Nothing,
    Kind::Name,
    Kind::Junction,
    Kind::IdName,
];

/// `is_strict`: both databases have the same keys, so that either could hold the other's rows.
pub fn schema(draw: &mut Draw, is_strict: bool) -> Schema {
    let mut schema = Schema::default();
    let mut junctions = Vec::new();
    for n in 0..1 + draw.below(4) {
        let kind = draw.pick(&KINDS);
        let mut table = Table {
            name: format!("t{n}"),
            ..Table::default()
        };
        keys(draw, kind, &mut table);
        schema.tables.push(table);
        if matches!(kind, Kind::Junction) {
            junctions.push(n);
        }
    }
    for &t in &junctions {
        junction(draw, &mut schema, t);
    }
    for t in 0..schema.tables.len() {
        for _ in 0..draw.pick(&[0, 1, 1, 1, 2]) {
            refer(draw, &mut schema, t);
        }
        for n in 0..1 + draw.below(2) {
            let affinity = draw.pick(&AFFINITIES);
            schema.tables[t]
                .columns
                .push(column(format!("p{n}"), affinity));
        }
    }
    if !is_strict {
        differ(draw, &mut schema);
    }
    schema
}

fn keys(draw: &mut Draw, kind: Kind, table: &mut Table) {
    let mut text = |name: &str| Column {
        nocase: draw.once_in(4),
        not_null: draw.once_in(3),
        ..column(
            name,
            draw.pick(&[Affinity::Text, Affinity::Text, Affinity::None]),
        )
    };
    match kind {
        Kind::Id | Kind::IdName | Kind::IdNames => {
            table.columns.push(column("id", Affinity::Integer));
            table.primary = vec![0];
            if !matches!(kind, Kind::Id) {
                table.columns.push(text("name"));
                unique(table, vec![1]);
            }
            if matches!(kind, Kind::IdNames) {
                table.columns.push(text("code"));
                unique(table, vec![2]);
            }
        }
        Kind::Text => {
            table.columns.push(text("k"));
            table.primary = vec![0];
        }
        Kind::Pair => {
            table.columns.push(text("k"));
            table.columns.push(column("n", Affinity::Integer));
            table.primary = vec![0, 1];
        }
        Kind::Name => {
            table.columns.push(text("name"));
            unique(table, vec![0]);
        }
        Kind::Nothing | Kind::Junction => {}
    }
    table.autoincrement = table.has_alias() && draw.once_in(4);
    table.without_rowid = matches!(kind, Kind::Text | Kind::Pair) && draw.once_in(2);
    if table.without_rowid {
        table
            .primary
            .iter()
            .for_each(|&c| table.columns[c].not_null = true);
    }
}

fn unique(table: &mut Table, columns: Vec<usize>) {
    table.unique.push(Key {
        columns,
        in_snapshot: true,
        in_live: true,
        as_index: false,
    });
}

/// A primary key made of two references, if there is something to refer to.
fn junction(draw: &mut Draw, schema: &mut Schema, t: usize) {
    let mut key = Vec::new();
    for _ in 0..2 {
        key.extend(refer(draw, schema, t).unwrap_or_default());
    }
    let table = &mut schema.tables[t];
    key.iter().for_each(|&c| table.columns[c].not_null = true);
    // A single whole number would be a rowid by another name.
    if key.len() > 1 {
        table.primary = key;
        table.without_rowid = draw.once_in(2);
    }
}

const ACTIONS: [&str; 4] = [
    "",
    " ON DELETE CASCADE",
    " ON DELETE SET NULL",
    " ON UPDATE CASCADE",
];

/// Adds a reference to a table that can be referred to, itself perhaps; gives the columns.
fn refer(draw: &mut Draw, schema: &mut Schema, t: usize) -> Option<Vec<usize>> {
    let parent = draw.below(schema.tables.len());
    let to = &schema.tables[parent];
    let mut keys: Vec<Vec<usize>> = to.unique.iter().map(|key| key.columns.clone()).collect();
    keys.extend((!to.primary.is_empty()).then(|| to.primary.clone()));
    if keys.is_empty() {
        return None;
    }
    let parent_columns = draw.pick(&keys);
    let affinities: Vec<Affinity> = parent_columns
        .iter()
        .map(|&p| to.columns[p].affinity)
        .collect();
    let table = &mut schema.tables[t];
    let number = table.references.len();
    let (is_odd, not_null) = (draw.once_in(10), draw.once_in(4));
    // Its own primary key may be a reference, as in a table that is a part of another.
    let is_part = table.has_alias() && parent != t;
    let is_key = is_part && parent_columns.len() == 1 && draw.once_in(5);
    let mut columns = Vec::new();
    for (n, affinity) in affinities.into_iter().enumerate() {
        if is_key && affinity == Affinity::Integer {
            columns.push(table.primary[0]);
            continue;
        }
        columns.push(table.columns.len());
        table.columns.push(Column {
            not_null,
            ..column(
                format!(
                    "r{number}{}",
                    ["a", "b", "c", "d", "e", "f", "g", "h"][n % 8]
                ),
                if is_odd {
                    draw.pick(&AFFINITIES)
                } else {
                    affinity
                },
            )
        });
    }
    table.references.push(Reference {
        columns: columns.clone(),
        parent,
        parent_columns,
        in_snapshot: true,
        in_live: true,
        declared: false,
        action: draw.pick(&ACTIONS),
    });
    // A name that is one within its parent.
    let own = (0..table.columns.len()).find(|c| table.columns[*c].name == "name");
    if draw.once_in(3) {
        let named = own.unwrap_or(table.columns.len());
        if named == table.columns.len() {
            table.columns.push(column("name", Affinity::Text));
        }
        unique(table, [columns.clone(), vec![named]].concat());
        let tables = schema.tables.iter();
        let mut used = tables.flat_map(|table| &table.references);
        let is_used = used.any(|r| r.parent == t && r.parent_columns == [named]);
        if !is_used && draw.once_in(2) {
            let unique = &mut schema.tables[t].unique;
            unique.retain(|key| key.columns != [named]);
        }
    }
    Some(columns)
}

/// Keys and references that only one of the two databases has, or that are an option.
fn differ(draw: &mut Draw, schema: &mut Schema) {
    let used: Vec<(usize, Vec<usize>)> = schema
        .tables
        .iter()
        .flat_map(|t| {
            t.references
                .iter()
                .map(|r| (r.parent, r.parent_columns.clone()))
        })
        .collect();
    for (t, table) in schema.tables.iter_mut().enumerate() {
        for key in &mut table.unique {
            let is_used = used.contains(&(t, key.columns.clone()));
            key.as_index = draw.once_in(4);
            match draw.below(12) {
                0 if !is_used => key.in_snapshot = false,
                1 if !is_used => key.in_live = false,
                _ => {}
            }
        }
        for reference in &mut table.references {
            match draw.below(14) {
                0 => reference.in_snapshot = false,
                1 => reference.in_live = false,
                2 if reference.columns.len() == 1 => {
                    (reference.in_snapshot, reference.in_live) = (false, false);
                    reference.declared = true;
                }
                _ => {}
            }
        }
    }
}
