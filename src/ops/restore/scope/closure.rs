//! Which records of a table are chosen: by expression, by primary key, and by the references from and
//! to chosen ones.

use super::links::{Link, Links, Parent};
use super::shape::{Role, TableShape};
use super::{Chosen, Part, created_keys};
use crate::error::{Error, SelectError};
use crate::model::row::Collation;
use crate::model::schema::{KeyColumn, Table};
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::options::{KeyValue, Scope};
use crate::ops::restore::records;
use crate::progress::{Finding, Progress};
use crate::target::{FilterTable, Ordinals, Record, TargetError, Worksheet, equal_to};

/// The chosen records of all tables. Errors: `Store`, `Target` (`BadExpression`), `Cancelled`.
pub(in crate::ops::restore) fn choose<'w>(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    links: &Links,
    sheet: &'w Worksheet,
    progress: &mut dyn Progress,
) -> Result<Vec<Chosen<'w>>, Error> {
    let mut chosen = Vec::new();
    for (at, shape) in shapes.iter().enumerate() {
        let mut one = Chosen {
            rows: match shape.role {
                Role::Rows => Some(sheet.ordinals()?),
                Role::Whole | Role::Known => None,
            },
            created: Vec::new(),
            left_out: sheet.ordinals()?,
            notes: Vec::new(),
        };
        for (wanted, mapped) in created_keys(links, at) {
            let columns = &links.wanted[wanted].columns;
            one.created
                .push((mapped, sheet.key_map(&shape.live, columns)?));
        }
        if shape.role == Role::Rows {
            choose_rows(basis, shape, sheet, &mut one, progress)?;
        }
        chosen.push(one);
    }
    let scope = &basis.options.scope;
    // What refers to a parent that comes along is not asked for: that would be everything in the end.
    for (wanted, to_parents) in [(scope.with_children, false), (scope.with_parents, true)] {
        let mut grows = wanted;
        while grows {
            grows = false;
            for link in &links.all {
                grows |= spread(
                    basis,
                    shapes,
                    link,
                    to_parents,
                    &mut chosen,
                    sheet,
                    progress,
                )?;
            }
        }
    }
    for (at, shape) in shapes.iter().enumerate() {
        note_no_references(scope, links, (at, shape), &mut chosen[at]);
    }
    Ok(chosen)
}

/// A table that was named, of which no reference says what belongs to it.
fn note_no_references(
    scope: &Scope,
    links: &Links,
    (at, shape): (usize, &TableShape),
    chosen: &mut Chosen<'_>,
) {
    let is_it = |name: &String| name.eq_ignore_ascii_case(&shape.stored.name);
    let is_named =
        scope.tables.iter().any(is_it) || scope.key_values.iter().any(|key| is_it(&key.table));
    let has_children = links
        .all
        .iter()
        .any(|link| link.parent == Parent::Planned(at));
    let has_parents = links.of_child(at).next().is_some();
    for (wanted, has, option, what) in [
        (
            scope.with_children,
            has_children,
            "--with-children",
            "refers to it",
        ),
        (
            scope.with_parents,
            has_parents,
            "--with-parents",
            "it refers to",
        ),
    ] {
        if is_named && wanted && !has {
            let text = format!(
                "{option} adds nothing: no foreign key and no --reference says what {what}"
            );
            chosen.notes.push(Finding::note(&shape.live.name, text));
        }
    }
}

/// Chooses by expression and by primary key.
fn choose_rows<'w>(
    basis: &Basis<'_>,
    shape: &TableShape,
    sheet: &'w Worksheet,
    chosen: &mut Chosen<'w>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let scope = &basis.options.scope;
    let is_it = |name: &str| name.eq_ignore_ascii_case(&shape.stored.name);
    let keys: Vec<&KeyValue> = scope
        .key_values
        .iter()
        .filter(|k| is_it(&k.table))
        .collect();
    let is_named = scope.tables.iter().any(|name| is_it(name));
    let filter = scope.filter.as_deref().filter(|_| is_named);
    if filter.is_none() && keys.is_empty() {
        return Ok(());
    }
    if let Some(text) = filter {
        // By itself: joined with the keys, a bracket that it lacks may be found elsewhere.
        let place = FilterTable::new(basis.live.path(), basis.schema, &shape.stored)?;
        place.filter(&shape.stored, text, Vec::new())?;
    }
    let mut terms = Vec::new();
    let mut parameters = Vec::new();
    for key in &keys {
        terms.push(by_key(&shape.stored, key, &mut parameters)?);
    }
    // Behind the keys, for it may end in a comment.
    terms.extend(filter.map(|text| format!("({text}\n)")));
    let select = |terms: &[String], parameters: Vec<Value>, progress: &mut dyn Progress| {
        let (text, rows) = (terms.join(" OR "), sheet.ordinals()?);
        select(basis, shape, &text, parameters, rows, progress)
    };
    let rows = select(&terms, parameters, progress)?;
    if rows.count() == 0 && keys.is_empty() {
        let text = "the snapshot has no record of which --where is true";
        chosen.notes.push(Finding::note(&shape.live.name, text));
    }
    if filter.is_some() || rows.count() < keys.len() as u64 {
        let mut absent = Vec::new();
        for key in &keys {
            let mut parameters = Vec::new();
            let term = by_key(&shape.stored, key, &mut parameters)?;
            if select(&[term], parameters, progress)?.count() == 0 {
                absent.push(key.value.clone());
            }
        }
        if !absent.is_empty() && absent.len() == keys.len() {
            return Err(SelectError::NoRecord {
                table: shape.stored.name.clone(),
                keys: absent,
                snapshot: basis.manifest.name.clone(),
            }
            .into());
        }
        for key in absent {
            let text = format!("the snapshot has no record with the key {key}");
            chosen.notes.push(Finding::warning(&shape.live.name, text));
        }
    }
    chosen.rows = Some(rows);
    Ok(())
}

/// The records for which an expression holds.
fn select<'w>(
    basis: &Basis<'_>,
    shape: &TableShape,
    expression: &str,
    parameters: Vec<Value>,
    mut rows: Ordinals<'w>,
    progress: &mut dyn Progress,
) -> Result<Ordinals<'w>, Error> {
    let Some(entity) = shape.entity(basis) else {
        return Ok(rows);
    };
    let place = FilterTable::new(basis.live.path(), basis.schema, &shape.stored)?;
    let mut filter = place.filter(&shape.stored, expression, parameters)?;
    records::for_each_in_utf8(
        basis.reader,
        (&shape.tree, basis.schema.encoding),
        entity,
        progress,
        |ordinal, row, content| {
            if filter.holds(row, content)? {
                rows.add(ordinal)?;
            }
            Ok(())
        },
    )?;
    Ok(rows)
}

/// An expression that holds for the record with this primary key. Its parameters are added.
fn by_key(table: &Table, key: &KeyValue, parameters: &mut Vec<Value>) -> Result<String, Error> {
    let parts: Vec<(&str, Option<&Collation>)> =
        match (table.primary_key.is_empty(), table.rowid_name()) {
            (true, Some(rowid)) => vec![(rowid, None)],
            _ => {
                let columns = table.primary_key.iter();
                let column = |key: &KeyColumn| table.columns.get(key.column as usize);
                let part = |key| Some((column(key)?.name.as_str(), Some(&key.collation)));
                columns.filter_map(part).collect()
            }
        };
    let values: Vec<&str> = match parts.len() {
        1 => vec![key.value.as_str()],
        _ => key.value.split(',').map(str::trim).collect(),
    };
    if values.len() != parts.len() {
        return Err(SelectError::BadKey {
            table: table.name.clone(),
            value: key.value.clone(),
            columns: parts.iter().map(|(name, _)| (*name).to_owned()).collect(),
        }
        .into());
    }
    let term = equal_to(&parts, parameters.len() + 1);
    let term = term.ok_or_else(|| TargetError::BadExpression {
        expression: key.value.clone(),
        table: table.name.clone(),
        reason: "a column has no name that SQL can say".to_owned(),
    })?;
    let values = values.into_iter();
    parameters.extend(values.map(|v| Value::Text(v.as_bytes().to_vec())));
    Ok(term)
}

/// Chooses the records that chosen ones refer to (`to_parents`), or that refer to them. True if that
/// chose any.
fn spread(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    link: &Link,
    to_parents: bool,
    chosen: &mut [Chosen<'_>],
    sheet: &Worksheet,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let (Parent::Planned(parent), Some(_)) = (link.parent, link.wanted) else {
        return Ok(false);
    };
    let mapped: Option<Vec<usize>> = link
        .parent_columns
        .iter()
        .map(|(column, _)| {
            let name = &shapes[parent].live.columns.get(*column)?.name;
            shapes[parent].map.position(name)
        })
        .collect();
    let Some(mapped) = mapped else {
        return Ok(false);
    };
    let child = (link.child, link.columns.as_slice());
    let parent = (parent, mapped.as_slice());
    let (from, to) = if to_parents {
        (child, parent)
    } else {
        (parent, child)
    };
    if shapes[to.0].role != Role::Rows || !shapes[from.0].role.is_written() {
        return Ok(false);
    }
    let mut keys = sheet.key_map(&shapes[parent.0].live, &link.parent_columns)?;
    each_record(basis, &shapes[from.0], progress, |ordinal, record| {
        if let Some(key) = record.whole(from.1)
            && chosen[from.0].part(&shapes[from.0], ordinal, record)? == Part::Chosen
        {
            keys.add(&key, 0)?;
        }
        Ok(())
    })?;
    let mut grew = false;
    if !keys.is_empty() {
        each_record(basis, &shapes[to.0], progress, |ordinal, record| {
            if let Some(key) = record.whole(to.1)
                && keys.has(&key)?
                && let Some(rows) = &mut chosen[to.0].rows
            {
                grew |= rows.add(ordinal)?;
            }
            Ok(())
        })?;
        keys.clear()?;
    }
    Ok(grew)
}

/// Calls `each` for every record of a table as the live table would hold it.
pub(in crate::ops::restore) fn each_record(
    basis: &Basis<'_>,
    shape: &TableShape,
    progress: &mut dyn Progress,
    mut each: impl FnMut(u64, Record<'_>) -> Result<(), TargetError>,
) -> Result<(), Error> {
    let Some(entity) = shape.entity(basis) else {
        return Ok(());
    };
    records::for_each_in_utf8(
        basis.reader,
        (&shape.tree, basis.schema.encoding),
        entity,
        progress,
        |ordinal, row, _| {
            let values: Vec<ValueRef<'_>> = shape.map.values(row).collect();
            each(
                ordinal,
                Record {
                    rowid: shape.map.rowid(row),
                    values: &values,
                },
            )
        },
    )
}
