//! One table through the pragmas: columns, rowid, keys and references.

use std::collections::BTreeMap;

use super::open::Connection;
use super::quote::ident;
use super::statement::SqliteError;
use crate::model::row::Collation;
use crate::model::schema::{
    Column, ColumnKind, ForeignKey, KeyColumn, SchemaObject, Table, TableKind, UniqueKey, Words,
};

/// What `PRAGMA table_list` says of a table.
pub(super) struct Listed {
    kind: String,
    without_rowid: bool,
    strict: bool,
}

/// Reads `PRAGMA table_list` for the main database, by name.
pub(super) fn read_kinds(db: &Connection) -> Result<BTreeMap<String, Listed>, SqliteError> {
    let mut kinds = BTreeMap::new();
    db.for_each("PRAGMA main.table_list", &[], |row| {
        // A name that is not UTF-8 belongs to an object that is listed as unreadable.
        if let Ok(Some(name)) = row.text(1) {
            let listed = Listed {
                kind: row.text(2)?.unwrap_or_default(),
                without_rowid: row.integer(4)? != 0,
                strict: row.integer(5)? != 0,
            };
            kinds.insert(name, listed);
        }
        Ok(())
    })?;
    Ok(kinds)
}

/// Reads one table. A virtual table gets no columns if its module is missing.
pub(super) fn read_table(
    db: &Connection,
    object: &SchemaObject,
    kinds: &BTreeMap<String, Listed>,
) -> Result<Table, SqliteError> {
    let listed = kinds.get(&object.name);
    let kind_name = listed.map_or("table", |l| l.kind.as_str());
    let mut table = Table {
        name: object.name.clone(),
        kind: TableKind::WithoutRowid,
        shadow: kind_name == "shadow",
        strict: listed.is_some_and(|l| l.strict),
        autoincrement: object.sql.as_deref().is_some_and(says_autoincrement),
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
    };
    if kind_name == "virtual" {
        table.kind = TableKind::Virtual;
        table.autoincrement = false;
        table.columns = read_columns(db, &object.name)
            .map(|(c, _)| c)
            .unwrap_or_default();
        return Ok(table);
    }
    let (columns, key) = read_columns(db, &object.name)?;
    table.columns = columns;
    let has_key_index = read_keys(db, &mut table)?;
    if listed.is_none_or(|l| !l.without_rowid) {
        // INTEGER PRIMARY KEY is the rowid exactly if no index of its own stands for it.
        let alias = match key.as_slice() {
            [only] if !has_key_index => Some(*only),
            _ => None,
        };
        let rowid_name = free_rowid_name(&table.columns);
        table.kind = TableKind::Rowid { alias, rowid_name };
    }
    if !has_key_index {
        table.primary_key = key.iter().map(|&column| binary(column)).collect();
    }
    table.foreign_keys = read_foreign_keys(db, &object.name)?;
    Ok(table)
}

fn binary(column: u32) -> KeyColumn {
    KeyColumn {
        column,
        collation: Collation::Binary,
        descending: false,
    }
}

/// The first name of the rowid that no column hides.
fn free_rowid_name(columns: &[Column]) -> Option<String> {
    ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| !columns.iter().any(|c| c.name.eq_ignore_ascii_case(name)))
        .map(str::to_owned)
}

fn position(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

/// Columns, and the positions of those in the primary key, in its order.
fn read_columns(db: &Connection, table: &str) -> Result<(Vec<Column>, Vec<u32>), SqliteError> {
    let mut columns = Vec::new();
    let mut key = BTreeMap::new();
    db.for_each(
        &format!("PRAGMA main.table_xinfo({})", ident(table)?),
        &[],
        |row| {
            let at = row.integer(0)?;
            let in_key = row.integer(5)?;
            if let (1.., Some(at)) = (in_key, position(at)) {
                key.insert(in_key, at);
            }
            columns.push(Column {
                name: row.text(1)?.unwrap_or_default(),
                declared_type: row.text(2)?.unwrap_or_default(),
                not_null: row.integer(3)? != 0,
                default: row.text(4)?,
                kind: match row.integer(6)? {
                    0 => ColumnKind::Ordinary,
                    2 => ColumnKind::GeneratedVirtual,
                    3 => ColumnKind::GeneratedStored,
                    _ => ColumnKind::Hidden,
                },
            });
            Ok(())
        },
    )?;
    Ok((columns, key.into_values().collect()))
}

/// Fills the primary key and the unique keys from the indexes. True if the primary key has one.
fn read_keys(db: &Connection, table: &mut Table) -> Result<bool, SqliteError> {
    let mut indexes = Vec::new();
    db.for_each(
        &format!("PRAGMA main.index_list({})", ident(&table.name)?),
        &[],
        |row| {
            if let Ok(Some(name)) = row.text(1) {
                let unique = row.integer(2)? != 0;
                let origin = row.text(3)?.unwrap_or_default();
                let partial = row.integer(4)? != 0;
                indexes.push((name, unique, origin, partial));
            }
            Ok(())
        },
    )?;
    // The order of the list changes with VACUUM.
    indexes.sort();
    let mut has_key_index = false;
    for (name, unique, origin, partial) in indexes {
        if origin == "pk" {
            has_key_index = true;
            table.primary_key = read_index(db, &name)?.unwrap_or_default();
        } else if unique && !partial {
            // An index on an expression is no key of columns.
            if let Some(columns) = read_index(db, &name)? {
                table.unique_keys.push(UniqueKey {
                    index: name,
                    columns,
                });
            }
        }
    }
    Ok(has_key_index)
}

/// The key columns of an index; `None` if one of them is an expression.
fn read_index(db: &Connection, index: &str) -> Result<Option<Vec<KeyColumn>>, SqliteError> {
    let mut columns = Some(Vec::new());
    db.for_each(
        &format!("PRAGMA main.index_xinfo({})", ident(index)?),
        &[],
        |row| {
            if row.integer(5)? == 0 {
                return Ok(());
            }
            match (position(row.integer(1)?), &mut columns) {
                (Some(column), Some(columns)) => columns.push(KeyColumn {
                    column,
                    collation: Collation::by_name(&row.text(4)?.unwrap_or_default()),
                    descending: row.integer(3)? != 0,
                }),
                _ => columns = None,
            }
            Ok(())
        },
    )?;
    Ok(columns)
}

fn read_foreign_keys(db: &Connection, table: &str) -> Result<Vec<ForeignKey>, SqliteError> {
    let mut keys: Vec<ForeignKey> = Vec::new();
    db.for_each(
        &format!("PRAGMA main.foreign_key_list({})", ident(table)?),
        &[],
        |row| {
            let id = u32::try_from(row.integer(0)?)
                .map_err(|_| SqliteError::other("a foreign key has a negative number"))?;
            let columns = (row.text(3)?.unwrap_or_default(), row.text(4)?);
            match keys.last_mut().filter(|key| key.id == id) {
                Some(key) => key.columns.push(columns),
                None => keys.push(ForeignKey {
                    id,
                    parent: row.text(2)?.unwrap_or_default(),
                    columns: vec![columns],
                    on_update: row.text(5)?.unwrap_or_default(),
                    on_delete: row.text(6)?.unwrap_or_default(),
                }),
            }
            Ok(())
        },
    )?;
    Ok(keys)
}

/// True if the keyword AUTOINCREMENT stands in a CREATE TABLE text outside quotes and comments.
/// No pragma tells it; the word cannot be a name without quotes.
fn says_autoincrement(sql: &str) -> bool {
    Words(sql.as_bytes()).any(|word| word.eq_ignore_ascii_case(b"autoincrement"))
}
