//! Which records of a table are chosen: by expression, by primary key, and by the references from and
//! to chosen ones.

use super::basis::Basis;
use super::links::{Link, Links, Parent};
use super::options::KeyValue;
use super::records;
use super::scope::{Chosen, created_keys};
use super::shape::{Role, TableShape};
use crate::error::Error;
use crate::model::row::Collation;
use crate::model::schema::{KeyColumn, Table};
use crate::model::value::{Value, ValueRef};
use crate::progress::Progress;
use crate::target::{FilterTable, Record, TargetError, Worksheet, equal_to};

/// The chosen records of all tables. Errors: `Store`, `Target` (`BadExpression`), `Cancelled`.
pub(super) fn choose<'w>(
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
        };
        for (wanted, mapped) in created_keys(links, at) {
            let columns = &links.wanted[wanted].columns;
            one.created
                .push((mapped, sheet.key_map(&shape.live, columns)?));
        }
        if shape.role == Role::Rows {
            choose_rows(basis, shape, &mut one, progress)?;
        }
        chosen.push(one);
    }
    let scope = &basis.options.scope;
    let mut grows = scope.with_parents || scope.with_children;
    while grows {
        grows = false;
        for link in &links.all {
            if scope.with_parents {
                grows |= spread(basis, shapes, link, true, &mut chosen, sheet, progress)?;
            }
            if scope.with_children {
                grows |= spread(basis, shapes, link, false, &mut chosen, sheet, progress)?;
            }
        }
    }
    Ok(chosen)
}

/// Chooses by expression and by primary key.
fn choose_rows(
    basis: &Basis<'_>,
    shape: &TableShape,
    chosen: &mut Chosen<'_>,
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
    let (expression, parameters) = match (filter, keys.is_empty()) {
        (Some(text), true) => (text.to_owned(), Vec::new()),
        (None, true) => return Ok(()),
        (filter, false) => {
            let (keyed, parameters) = by_keys(&shape.stored, &keys)?;
            let with = filter
                .map(|text| format!(" OR ({text}\n)"))
                .unwrap_or_default();
            (format!("{keyed}{with}"), parameters)
        }
    };
    let (Some(entity), Some(rows)) = (shape.entity(basis), chosen.rows.as_mut()) else {
        return Ok(());
    };
    let place = FilterTable::new(basis.live, basis.schema, &shape.stored)?;
    let mut filter = place.filter(&shape.stored, &expression, parameters)?;
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
    )
}

/// An expression that holds for the records with these primary keys.
fn by_keys(table: &Table, keys: &[&KeyValue]) -> Result<(String, Vec<Value>), TargetError> {
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
    let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    let bad = |key: &KeyValue, reason: String| TargetError::BadExpression {
        expression: key.value.clone(),
        table: table.name.clone(),
        reason,
    };
    let (mut terms, mut parameters) = (Vec::new(), Vec::new());
    for key in keys {
        let values: Vec<&str> = match names.len() {
            0 => return Err(bad(key, "the table has no primary key".to_owned())),
            1 => vec![key.value.as_str()],
            _ => key.value.split(',').map(str::trim).collect(),
        };
        if values.len() != names.len() {
            let reason = format!(
                "its primary key has {} columns ({})",
                names.len(),
                names.join(", ")
            );
            return Err(bad(key, reason));
        }
        let term = equal_to(&parts, parameters.len() + 1);
        terms.push(
            term.ok_or_else(|| bad(key, "a column has no name that SQL can say".to_owned()))?,
        );
        let values = values
            .into_iter()
            .map(|v| Value::Text(v.as_bytes().to_vec()));
        parameters.extend(values);
    }
    Ok((terms.join(" OR "), parameters))
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
            && chosen[from.0].has(&shapes[from.0], ordinal, record)?
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
pub(super) fn each_record(
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
