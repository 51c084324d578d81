//! What differs between two states, for people: a line for each table and each row.

use std::fmt::Write as _;

use super::values;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::json::diff::kind_word;
use crate::model::value::ValueRef;
use crate::ops::diff::{Cell, Change, DiffOutcome, DiffRow, Matched, TableDiff};

/// `orders: 2 added, 1 changed, 1 removed`, and what was not compared.
pub fn table(table: &TableDiff, before: &str, after: &str) -> String {
    let mut out = format!("{}: ", escape::shown(&table.table));
    let changes = table.changes;
    let (before, after) = (escape::shown(before), escape::shown(after));
    let parts = [
        (changes.added, "added"),
        (changes.changed, "changed"),
        (changes.removed, "removed"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, word)| format!("{} {word}", figures::count(*count)))
        .collect();
    match table.only_in {
        Some(Change::Removed) => {
            let rows = figures::counted(changes.removed, "row");
            let _ = write!(out, "only in {before}, {rows}");
        }
        Some(_) => {
            let rows = figures::counted(changes.added, "row");
            let _ = write!(out, "only in {after}, {rows}");
        }
        None if parts.is_empty() => out.push_str("no row differs"),
        None => out.push_str(&parts.join(", ")),
    }
    out.push_str(match table.matched {
        Some(Matched::ByContent) => " (no primary key: whole rows are compared)",
        Some(Matched::InParts) => {
            " (compared in parts: rows that lie elsewhere now may count as removed and added)"
        }
        Some(Matched::NotAtAll) => " (no column in common)",
        Some(Matched::ByKey | Matched::ByContentAndKey) | None => "",
    });
    out.push('\n');
    for (columns, place) in [
        (&table.columns_dropped, &before),
        (&table.columns_added, &after),
    ] {
        for column in columns {
            let column = escape::shown(column);
            let _ = writeln!(out, "  column {column}: only in {place}, not compared");
        }
    }
    out
}

/// `  + id 77: customer_id 12, total 9.5`
pub fn row(row: &DiffRow<'_>) -> String {
    let (before, after) = row.encodings;
    let (sign, encoding) = match row.change {
        Change::Added => ('+', after),
        Change::Changed => ('~', before),
        Change::Removed => ('-', before),
    };
    let named = |name: &str, value: ValueRef<'_>| {
        let value = values::shown(value, encoding);
        format!("{} {value}", escape::shown(name))
    };
    let key: Vec<String> = row.key.iter().map(|(name, v)| named(name, *v)).collect();
    let cell = |cell: &Cell<'_>| match (cell.before, cell.after) {
        (Some(was), Some(is)) => {
            let (was, is) = values::shown_apart((was, before), (is, after));
            Some(format!("{} {was} -> {is}", escape::shown(cell.column)))
        }
        (Some(value), None) | (None, Some(value)) => {
            let told = !cell.in_key && value != ValueRef::Null;
            told.then(|| named(cell.column, value))
        }
        (None, None) => None,
    };
    let cells: Vec<String> = row.cells.iter().filter_map(cell).collect();
    let between = match row.change {
        Change::Changed => "; ",
        Change::Added | Change::Removed => ", ",
    };
    let (key, cells) = (key.join(", "), cells.join(between));
    match (key.as_str(), cells.as_str()) {
        ("", "") => format!("  {sign} (all columns are NULL)\n"),
        (key, "") => format!("  {sign} {key}\n"),
        ("", cells) => format!("  {sign} {cells}\n"),
        (key, cells) => format!("  {sign} {key}: {cells}\n"),
    }
}

/// What stands behind the tables: other differences, and totals.
pub fn end(outcome: &DiffOutcome, before: &str, after: &str) -> String {
    let mut out = String::new();
    let (before, after) = (escape::shown(before), escape::shown(after));
    for object in &outcome.objects {
        let told = match object.change {
            Change::Added => format!("only in {after}"),
            Change::Removed => format!("only in {before}"),
            Change::Changed => "its text differs".to_owned(),
        };
        let (kind, name) = (kind_word(object.kind), escape::shown(&object.name));
        let _ = writeln!(out, "{kind} {name}: {told}");
    }
    for setting in &outcome.settings {
        let (name, was, is) = (setting.name, &setting.before, &setting.after);
        let _ = writeln!(out, "setting {name}: {was} -> {is}");
    }
    if !outcome.internal.is_empty() {
        let names = outcome.internal.iter().map(|name| escape::shown(name));
        let names = names.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            out,
            "not compared, but not the same: {names} (name it with --table)"
        );
    }
    for (table, key) in &outcome.absent {
        let (table, key) = (escape::shown(table), escape::shown(key));
        let _ = writeln!(
            out,
            "{table}: neither {before} nor {after} has a row with the key {key}"
        );
    }
    let differing = outcome.tables.iter().filter(|table| table.differs());
    let differing = differing.count() as u64;
    let same = outcome.tables.len() as u64 - differing;
    let others = (outcome.objects.len() + outcome.settings.len()) as u64;
    let others = match others {
        0 => String::new(),
        count => format!(
            "; {} in schema and settings",
            figures::counted(count, "difference")
        ),
    };
    let _ = match (differing, same) {
        (0, _) if others.is_empty() => {
            writeln!(out, "No differences; {}", tables_same(same))
        }
        (1, _) => writeln!(out, "1 table differs, {}{others}", same_word(same)),
        (count, _) => {
            let count = figures::counted(count, "table");
            writeln!(out, "{count} differ, {}{others}", same_word(same))
        }
    };
    out
}

fn same_word(count: u64) -> String {
    match count {
        0 => "none is the same".to_owned(),
        1 => "1 is the same".to_owned(),
        count => format!("{} are the same", figures::count(count)),
    }
}

fn tables_same(count: u64) -> String {
    match count {
        1 => "1 table is the same".to_owned(),
        count => format!("{} are the same", figures::counted(count, "table")),
    }
}
