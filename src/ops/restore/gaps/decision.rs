//! Whether a decision about a missing reference can be carried out. One that cannot is refused before
//! anything is planned.

use super::answers::{named, parent_table};
use super::suspects::{nulls, required};
use crate::error::Error;
use crate::model::counted::counted;
use crate::model::schema::{ColumnKind, Table};
use crate::model::value::Value;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::missing::{Choice, Decision};
use crate::ops::restore::scope::links::{Link, Links, Reference, references};
use crate::ops::restore::scope::shape::TableShape;
use crate::target::{TargetError, Targets, parent_columns};

/// The links that a decision is about: none, if its table is not among those of this restore.
///
/// Errors: `BadDecision`.
pub(in crate::ops::restore) fn links_of(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    links: &Links,
    decision: &Decision,
) -> Result<Vec<usize>, Error> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let meant = |link: &Link| {
        let child = &shapes[link.child];
        let names = link.columns.iter().map(|at| &child.map.columns[*at].name);
        same(&child.live.name, &decision.table)
            && same(&parent_table(basis, shapes, link).name, &decision.parent)
            && link.columns.len() == decision.columns.len()
            && names.zip(&decision.columns).all(|(a, b)| same(a, b))
    };
    let all = links.all.iter().enumerate();
    let found: Vec<usize> = all
        .filter(|(_, link)| meant(link))
        .map(|(at, _)| at)
        .collect();
    if found.is_empty() {
        return match why_none(basis, shapes, decision) {
            Some(reason) => Err(refused(decision, reason)),
            None => Ok(found),
        };
    }
    for at in &found {
        let link = &links.all[*at];
        if decision.values.len() != link.columns.len() {
            let reason = format!(
                "its value has {}, the reference {}",
                counted(decision.values.len() as u64, "part"),
                counted(link.columns.len() as u64, "column"),
            );
            return Err(refused(decision, reason));
        }
        let parent = parent_table(basis, shapes, link);
        match &decision.choice {
            Choice::Map(to) => {
                let mut targets = Targets::new(basis.live, parent, &link.parent_columns)?;
                if to.len() != link.columns.len() || !targets.has(to)? {
                    let reason = format!(
                        "it maps to a row of {} that does not exist: {}",
                        parent.name,
                        named(to)
                    );
                    return Err(refused(decision, reason));
                }
            }
            Choice::Create(row) if !row.is_empty() => {
                let mut targets = Targets::new(basis.live, parent, &link.parent_columns)?;
                // Where the row is there already, nothing is missing.
                if targets.has(&decision.values)? {
                    continue;
                }
                if let Some(reason) = why_not(basis, shapes, link, &decision.values, row)? {
                    return Err(refused(decision, reason));
                }
            }
            Choice::Null if nulls(&shapes[link.child], link).is_empty() => {
                return Err(refused(decision, "it may not be NULL".to_owned()));
            }
            Choice::Create(_) | Choice::Skip | Choice::Null | Choice::Abort => {}
        }
    }
    Ok(found)
}

fn refused(decision: &Decision, reason: String) -> Error {
    TargetError::BadDecision {
        table: decision.table.clone(),
        columns: decision.columns.clone(),
        value: named(&decision.values),
        reason,
    }
    .into()
}

/// Why no reference is meant by a decision; `None` if it is about a table that is not restored.
fn why_none(basis: &Basis<'_>, shapes: &[TableShape], decision: &Decision) -> Option<String> {
    let is_known =
        |name: &str| basis.schema.table(name).is_some() || basis.view.schema.table(name).is_some();
    for name in [&decision.table, &decision.parent] {
        if !is_known(name) {
            return Some(format!(
                "there is no table {name}, in the snapshot or in the database"
            ));
        }
    }
    let mut shapes = shapes.iter();
    let is_it = |shape: &TableShape| shape.live.name.eq_ignore_ascii_case(&decision.table);
    shapes.any(is_it).then(|| {
        format!(
            "no reference of its columns ({}) leads to {}",
            decision.columns.join(", "),
            decision.parent
        )
    })
}

/// Why a row of given values cannot be a parent.
fn why_not(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    link: &Link,
    values: &[Value],
    row: &[(String, Value)],
) -> Result<Option<String>, Error> {
    let parent = parent_table(basis, shapes, link);
    let (name, mut known, mut empty) = (&parent.name, Vec::new(), Vec::new());
    known.extend(link.parent_columns.iter().map(|(at, _)| *at));
    for (column, value) in row {
        let Some(at) = parent.column_at(column) else {
            return Ok(Some(format!("{name} has no column {column:?}")));
        };
        if parent.columns[at].kind != ColumnKind::Ordinary {
            return Ok(Some(format!(
                "{name}.{column} is computed: it takes no value"
            )));
        }
        if known.contains(&at) {
            return Ok(Some(format!(
                "{name}.{column} is given already: each column has one value, and those that are referred \
                 to have the missing one"
            )));
        }
        known.push(at);
        if *value == Value::Null {
            empty.push(at);
        }
    }
    let alias = parent.rowid_alias();
    let mut keyed = link.parent_columns.iter().zip(values);
    if let Some((_, value)) = keyed.find(|((at, _), _)| Some(*at) == alias)
        && !is_integer(value)
    {
        let column = alias.map_or("", |at| &parent.columns[at].name);
        let value = named(std::slice::from_ref(value));
        return Ok(Some(format!(
            "{name}.{column} is an integer: it cannot be {value}"
        )));
    }
    if let Some(reason) = taken(basis, parent, link, values, row)? {
        return Ok(Some(reason));
    }
    let mut needed = required(parent, &known);
    let referring = references(basis, parent);
    let is_given = |at: &usize| known.contains(at) && !empty.contains(at);
    let alias = alias.filter(|at| !is_given(at));
    if let Some(alias) = alias.map(|at| &parent.columns[at].name) {
        // A number that SQLite gives would refer to anything.
        let mut columns = referring.iter().flat_map(|one| &one.key.columns);
        if columns.any(|(column, _)| column.eq_ignore_ascii_case(alias)) {
            needed.push(alias.clone());
        }
    }
    if !needed.is_empty() {
        let needed = needed.join(", ");
        return Ok(Some(format!("a row of {name} needs a value for {needed}")));
    }
    leads_nowhere(basis, &referring, row)
}

/// The UNIQUE key of a row of given values that another row has.
fn taken(
    basis: &Basis<'_>,
    parent: &Table,
    link: &Link,
    values: &[Value],
    row: &[(String, Value)],
) -> Result<Option<String>, Error> {
    let value_of = |at: usize| {
        let mut keyed = link.parent_columns.iter().zip(values);
        let of_key = keyed.find(|((column, _), _)| *column == at);
        let mut given = row.iter();
        let is_it = |(name, _): &&(String, Value)| parent.column_at(name) == Some(at);
        let value = of_key
            .map(|(_, v)| v.clone())
            .or_else(|| given.find(is_it).map(|(_, v)| v.clone()));
        value.filter(|value| *value != Value::Null)
    };
    let is_known = basis.view.schema.table(&parent.name).is_some();
    let unique = parent.unique_keys.iter().map(|key| &key.columns);
    let keys = unique.chain([&parent.primary_key]);
    for key in keys.filter(|key| is_known && !key.is_empty()) {
        let columns = key.iter().map(|part| part.column as usize);
        let Some(wanted) = columns.clone().map(value_of).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let parts = key.iter().map(|part| part.collation.clone());
        let places: Vec<_> = columns.clone().zip(parts).collect();
        if Targets::new(basis.live, parent, &places)?.has(&wanted)? {
            let names: Vec<&str> = columns.map(|at| parent.columns[at].name.as_str()).collect();
            return Ok(Some(format!(
                "another row of {} has {} {}",
                parent.name,
                names.join(", "),
                named(&wanted)
            )));
        }
    }
    Ok(None)
}

/// The reference of a row of given values that leads nowhere.
fn leads_nowhere(
    basis: &Basis<'_>,
    referring: &[Reference],
    row: &[(String, Value)],
) -> Result<Option<String>, Error> {
    for reference in referring {
        let key = &reference.key;
        let value = |(column, _): &(String, Option<String>)| {
            let mut row = row.iter();
            let value = row.find(|(other, _)| other.eq_ignore_ascii_case(column));
            value.map(|(_, v)| v.clone()).filter(|v| *v != Value::Null)
        };
        let Some(values) = key.columns.iter().map(value).collect::<Option<Vec<_>>>() else {
            continue;
        };
        // What is restored along with it is not there yet: it cannot be told whether it will be.
        let Some(to) = basis.view.schema.table(&key.parent) else {
            continue;
        };
        let declared = reference.declared.then_some(basis.live);
        if let Some(columns) = parent_columns(key, to, declared)?
            && !Targets::new(basis.live, to, &columns)?.has(&values)?
        {
            return Ok(Some(format!(
                "its row refers to {} {}, which does not exist",
                to.name,
                named(&values)
            )));
        }
    }
    Ok(None)
}

/// True if SQLite takes a value for a rowid (SQLite's documentation, "CREATE TABLE", section 5).
fn is_integer(value: &Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Text(bytes) => {
            let text = std::str::from_utf8(bytes).ok();
            text.is_some_and(|text| text.trim().parse::<i64>().is_ok())
        }
        _ => false,
    }
}
