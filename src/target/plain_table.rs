//! A table for records that have no schema: their fields as columns, a key if they have one.

use crate::model::row::Collation;
use crate::model::schema::{
    Column, ColumnKind, KeyColumn, ObjectKind, SchemaObject, Table, TableKind,
};
use crate::sqlite::quote::{NameError, ident};

/// A column of a plain table: its name and declared type, empty if none.
pub type PlainColumn = (String, &'static str);

/// The table, and its entry in the schema. `key`: the column that is its primary key.
///
/// Errors: a name that SQL cannot hold. Names that differ in ASCII case only are SQLite's to refuse.
pub fn plain_table(
    name: &str,
    columns: &[PlainColumn],
    key: Option<usize>,
) -> Result<(SchemaObject, Table), NameError> {
    let mut terms = Vec::with_capacity(columns.len());
    for (at, (column, kind)) in columns.iter().enumerate() {
        let mut term = ident(column)?;
        if !kind.is_empty() {
            term = format!("{term} {kind}");
        }
        if key == Some(at) {
            term.push_str(" PRIMARY KEY NOT NULL");
        }
        terms.push(format!("  {term}"));
    }
    let sql = format!("CREATE TABLE {}(\n{}\n)", ident(name)?, terms.join(",\n"));
    let object = SchemaObject {
        kind: ObjectKind::Table,
        name: name.to_owned(),
        table: name.to_owned(),
        sql: Some(sql),
    };
    let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let alias = key.filter(|&at| columns.get(at).is_some_and(|(_, kind)| *kind == "INTEGER"));
    let is_taken = |name: &&str| columns.iter().any(|(c, _)| c.eq_ignore_ascii_case(name));
    let mut names = ["rowid", "_rowid_", "oid"].into_iter();
    let key_column = |at: usize| KeyColumn {
        column: position(at),
        collation: Collation::Binary,
        descending: false,
    };
    let column = |(at, (name, kind)): (usize, &PlainColumn)| Column {
        name: name.clone(),
        declared_type: (*kind).to_owned(),
        not_null: key == Some(at),
        default: None,
        kind: ColumnKind::Ordinary,
    };
    let table = Table {
        name: name.to_owned(),
        kind: TableKind::Rowid {
            alias: alias.map(position),
            rowid_name: names.find(|name| !is_taken(name)).map(str::to_owned),
        },
        strict: false,
        shadow: false,
        autoincrement: false,
        columns: columns.iter().enumerate().map(column).collect(),
        primary_key: key.map(key_column).into_iter().collect(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
    };
    Ok((object, table))
}
