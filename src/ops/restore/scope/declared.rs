//! What was declared for a restore beside the schema: keys, references, renamed columns. They must name
//! what exists.

use super::ensure_entity;
use super::shape::TableShape;
use crate::error::Error;
use crate::model::schema::Table;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::options::Rename;
use crate::target::TargetError;

/// What was declared or renamed must name columns that exist.
pub(in crate::ops::restore) fn ensure(
    basis: &Basis<'_>,
    shapes: &[TableShape],
) -> Result<(), Error> {
    let ensure_column = |named: &str, table: &Table, column: &str| match table.column_at(column) {
        Some(_) => Ok(()),
        None => Err(Error::from(TargetError::NoColumn {
            named: named.to_owned(),
            table: table.name.clone(),
            column: column.to_owned(),
            columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        })),
    };
    let live = |name: &str| {
        let mut shapes = shapes.iter();
        shapes.find(|shape| shape.live.name.eq_ignore_ascii_case(name))
    };
    for key in &basis.options.keys {
        ensure_entity(basis, &key.table)?;
        for column in live(&key.table).map_or(&[][..], |_| &key.columns) {
            if let Some(shape) = live(&key.table) {
                ensure_column("a declared key", &shape.live, column)?;
            }
        }
    }
    for reference in &basis.options.references {
        ensure_entity(basis, &reference.table)?;
        ensure_entity(basis, &reference.parent)?;
        if let Some(shape) = live(&reference.table) {
            ensure_column("a declared reference", &shape.live, &reference.column)?;
        }
        if let Some(shape) = live(&reference.parent) {
            ensure_column(
                "a declared reference",
                &shape.live,
                &reference.parent_column,
            )?;
        }
    }
    for rename in &basis.options.renames {
        ensure_entity(basis, &rename.table)?;
        if let Some(shape) = live(&rename.table) {
            ensure_renamed(rename, &rename.old, &shape.stored, "the snapshot")?;
            ensure_renamed(rename, &rename.new, &shape.live, "the database")?;
            one_to_one(rename, &basis.options.renames, shape)?;
        }
    }
    Ok(())
}

fn ensure_renamed(
    rename: &Rename,
    column: &str,
    table: &Table,
    place: &'static str,
) -> Result<(), TargetError> {
    match table.column_at(column) {
        Some(_) => Ok(()),
        None => Err(TargetError::NoRenamed {
            rename: format!("{}.{}={}", rename.table, rename.old, rename.new),
            table: table.name.clone(),
            column: column.to_owned(),
            place,
            columns: table.columns.iter().map(|c| c.name.clone()).collect(),
        }),
    }
}

/// Each column has its values from one column of the record.
fn one_to_one(rename: &Rename, all: &[Rename], shape: &TableShape) -> Result<(), TargetError> {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let of_table: Vec<&Rename> = all
        .iter()
        .filter(|r| same(&r.table, &rename.table))
        .collect();
    let refused = |reason: String| {
        Err(TargetError::BadRename {
            table: rename.table.clone(),
            old: rename.old.clone(),
            new: rename.new.clone(),
            reason,
        })
    };
    for other in of_table.iter().filter(|other| ***other != *rename) {
        if same(&other.old, &rename.old) {
            return refused(format!("{} is also to be {}", rename.old, other.new));
        }
        if same(&other.new, &rename.new) {
            return refused(format!("{} is to be {} too", other.old, rename.new));
        }
    }
    let is_renamed = of_table.iter().any(|other| same(&other.old, &rename.new));
    match shape.stored.column_at(&rename.new) {
        Some(_) if !is_renamed => refused(format!(
            "the snapshot's table has a column {} itself",
            rename.new
        )),
        _ => Ok(()),
    }
}
