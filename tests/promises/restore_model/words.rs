//! Schemas, rows and results in few words, for the cases that are written by hand.
//!
//! A schema has a table a line: `t id:pk name:text,unique p:->t.id`, after the columns `pk(a,b)`,
//! `unique(a,b)`, `ref(a,b)->t(c,d)`, `without_rowid`, `auto`. Rows: `t: 1 a - | 2 b 'x`, where `-` is
//! NULL and `'` begins a text. `->?t.id` is a reference that is declared as an option, `->!t.id` a foreign
//! key that the snapshot's table lacks.

use super::tables::{Affinity, Column, Database, Key, Reference, Row, Schema, Table, Value};
use super::wishes::{Counts, Outcome};

/// Reads a schema.
pub fn schema(text: &str) -> Schema {
    let mut schema = Schema::default();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    for line in &lines {
        let mut words = line.split_whitespace();
        let mut table = Table {
            name: words.next().unwrap().to_owned(),
            ..Table::default()
        };
        words.for_each(|word| columns_and_keys(&mut table, word));
        schema.tables.push(table);
    }
    // References need all tables.
    for (t, line) in lines.iter().enumerate() {
        for word in line.split_whitespace().skip(1) {
            references(&mut schema, t, word);
        }
    }
    schema
}

fn columns_and_keys(table: &mut Table, word: &str) {
    let unique = |columns: Vec<usize>| Key {
        columns,
        in_snapshot: true,
        in_live: true,
        as_index: false,
    };
    if let Some(list) = inside(word, "pk(") {
        table.primary = list.iter().map(|name| place(table, name)).collect();
    } else if let Some(list) = inside(word, "unique(") {
        let columns = list.iter().map(|name| place(table, name)).collect();
        table.unique.push(unique(columns));
    } else if word == "without_rowid" {
        table.without_rowid = true;
        table
            .primary
            .iter()
            .for_each(|&c| table.columns[c].not_null = true);
    } else if word == "auto" {
        table.autoincrement = true;
    } else if !word.starts_with("ref(") {
        let (name, about) = word.split_once(':').unwrap_or((word, ""));
        let is = |what: &str| about.split(',').any(|part| part == what);
        let at = table.columns.len();
        let affinity = match (is("text"), is("int") || is("pk")) {
            (true, _) => Affinity::Text,
            (false, true) => Affinity::Integer,
            (false, false) => Affinity::None,
        };
        table.columns.push(Column {
            name: name.to_owned(),
            affinity,
            nocase: is("nocase"),
            not_null: is("notnull"),
        });
        if is("pk") {
            table.primary = vec![at];
        }
        if is("unique") {
            table.unique.push(unique(vec![at]));
        }
    }
}

fn references(schema: &mut Schema, t: usize, word: &str) {
    let (columns, to) = match (word.split_once("->"), word.split_once(':')) {
        (Some((from, to)), _) if from.starts_with("ref(") => (inside(from, "ref(").unwrap(), to),
        (_, Some((name, about))) => {
            let Some(to) = about.split(',').find_map(|part| part.strip_prefix("->")) else {
                return;
            };
            (vec![name], to)
        }
        _ => return,
    };
    let (declared, live_only) = (to.starts_with('?'), to.starts_with('!'));
    let to = to.trim_start_matches(['?', '!']);
    let (parent, names) = match to.split_once('(') {
        Some((parent, _)) => (parent, inside(to, &format!("{parent}(")).unwrap()),
        None => {
            let (parent, column) = to.split_once('.').unwrap();
            (parent, vec![column])
        }
    };
    let parent = table(schema, parent);
    let reference = Reference {
        columns: columns
            .iter()
            .map(|name| place(&schema.tables[t], name))
            .collect(),
        parent,
        parent_columns: names
            .iter()
            .map(|name| place(&schema.tables[parent], name))
            .collect(),
        in_snapshot: !declared && !live_only,
        in_live: !declared,
        declared,
        action: "",
    };
    schema.tables[t].references.push(reference);
}

fn inside<'a>(word: &'a str, before: &str) -> Option<Vec<&'a str>> {
    let list = word.strip_prefix(before)?.strip_suffix(')')?;
    Some(list.split(',').collect())
}

/// The table of this name.
pub fn table(schema: &Schema, name: &str) -> usize {
    schema
        .tables
        .iter()
        .position(|t| t.name == name)
        .unwrap_or_else(|| panic!("table {name}"))
}

/// The column of this name.
pub fn place(table: &Table, name: &str) -> usize {
    table
        .columns
        .iter()
        .position(|c| c.name == name)
        .unwrap_or_else(|| panic!("column {name}"))
}

pub fn value(word: &str) -> Value {
    match word.parse() {
        _ if word == "-" => Value::Null,
        Ok(number) => Value::Int(number),
        Err(_) => Value::Text(word.trim_start_matches('\'').to_owned()),
    }
}

/// Reads rows.
pub fn rows(schema: &Schema, text: &str) -> Database {
    let mut db = Database::empty(schema);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, rows) = line.split_once(':').unwrap();
        let t = table(schema, name);
        let shape = &schema.tables[t];
        for row in rows.split('|') {
            let values: Vec<Value> = row.split_whitespace().map(value).collect();
            assert_eq!(values.len(), shape.columns.len(), "{line}");
            let values = shape.stored(&values);
            let rowid = match (
                shape.has_alias(),
                shape.primary.first().map(|&c| &values[c]),
            ) {
                (true, Some(Value::Int(id))) => *id,
                _ if shape.without_rowid => 0,
                _ => db.largest_rowid(t) + 1,
            };
            db.rows[t].push(Row { rowid, values });
        }
        if shape.autoincrement {
            db.sequence[t] = db.largest_rowid(t);
        }
    }
    db.sort(schema);
    db
}

/// Counts of the tables that have any, as `t: inserted 1 same 2`, and what is missing.
pub fn told(schema: &Schema, outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, counts) in schema.tables.iter().zip(&outcome.counts) {
        if *counts != Counts::default() {
            lines.push(format!("{}: {}", table.name, counted(counts)));
        }
    }
    for (gap, records) in &outcome.missing {
        let table = &schema.tables[gap.table];
        let columns = table.references[gap.reference].columns.iter();
        let columns: Vec<&str> = columns.map(|&c| table.columns[c].name.as_str()).collect();
        let values: Vec<String> = gap.values.iter().map(Value::sql).collect();
        let (columns, values) = (columns.join(","), values.join(","));
        lines.push(format!(
            "missing {}.{columns}={values} x{records}",
            table.name
        ));
    }
    lines.extend(outcome.stopped.then(|| "stopped".to_owned()));
    lines
}

fn counted(counts: &Counts) -> String {
    let all = [
        ("inserted", counts.inserted),
        ("filled", counts.filled),
        ("updated", counts.updated),
        ("same", counts.same),
        ("differing", counts.differing),
        ("doubtful", counts.doubtful),
        ("missing", counts.missing),
        ("conflicting", counts.conflicting),
        ("deleted", counts.deleted),
        ("remapped", counts.remapped),
        ("carried", counts.carried),
        ("conflicts", counts.conflicts),
    ];
    let some = all.iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = some
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    words.join(" ")
}
