//! The columns and keys of a stored table over those of the live one.
//!
//! Columns are mapped by name (SQLite compares names without ASCII case), never by position. Keys
//! are the live table's: what counts as the same row is decided by the database that is written.

use crate::model::counted::counted;
use crate::model::row::{Collation, RowRef};
use crate::model::schema::{ColumnKind, KeyColumn, ObjectKind, Schema, Table, TableKind};
use crate::model::value::{LongClass, Value, ValueRef};
use crate::sqlite::SqliteError;
use crate::sqlite::quote::{NameError, ident};

/// Where a record holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The value is the rowid.
    Rowid,
    /// One of the leaf columns.
    Leaf(usize),
}

impl Slot {
    /// The value that a record has there.
    pub fn of<'a>(self, row: RowRef<'a>) -> ValueRef<'a> {
        match self {
            Self::Rowid => row.rowid.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Leaf(at) => row.values.get(at).copied().unwrap_or(ValueRef::Null),
        }
    }
}

/// A record as the live table would hold it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its rowid where that is no column; `None` where it is one, or is not carried over.
    pub rowid: Option<i64>,
    /// One value for each of [`ColumnMap::columns`].
    pub values: &'a [ValueRef<'a>],
}

impl<'a> Record<'a> {
    /// The value of a mapped column.
    pub fn value(&self, at: usize) -> ValueRef<'a> {
        self.values.get(at).copied().unwrap_or(ValueRef::Null)
    }

    /// The values of some mapped columns.
    pub fn values_of(&self, columns: &[usize]) -> Vec<Value> {
        columns
            .iter()
            .map(|at| self.value(*at).to_owned())
            .collect()
    }

    /// The values of a key or reference; `None` if one is NULL, for then it refers to nothing, or too
    /// long to be one.
    pub fn whole(&self, columns: &[usize]) -> Option<Vec<Value>> {
        let value = |at: &usize| match self.value(*at) {
            ValueRef::Null | ValueRef::Spilled(_) => None,
            value => Some(value.to_owned()),
        };
        columns.iter().map(value).collect()
    }
}

/// A column that both tables have.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// Where the record holds its value.
    pub slot: Slot,
    /// Its position in the live table.
    pub column: usize,
    /// Its name in the live table.
    pub name: String,
    /// True if it belongs to the primary key or a UNIQUE key of the live table: never filled.
    pub in_key: bool,
}

/// A key of the live table, in terms of [`ColumnMap::columns`].
#[derive(Debug, Clone)]
pub struct Key {
    /// Its columns, for people: `lang, code`.
    pub name: String,
    /// Its columns with their collations.
    pub columns: Vec<(usize, Collation)>,
}

impl Key {
    /// True if the record has no NULL in it: with one it matches nothing.
    pub fn is_whole(&self, record: Record<'_>) -> bool {
        let is_null = |(at, _): &(usize, Collation)| record.value(*at) == ValueRef::Null;
        !self.columns.iter().any(is_null)
    }

    /// Its columns' positions among the mapped ones.
    pub fn positions(&self) -> Vec<usize> {
        self.columns.iter().map(|(at, _)| *at).collect()
    }
}

/// A stored table over a live one.
#[derive(Debug, Clone)]
pub struct ColumnMap {
    /// Columns that both have, in the live table's order.
    pub columns: Vec<Mapped>,
    /// Columns that only the live table has: new rows get their defaults.
    pub added: Vec<String>,
    /// Columns that only the record has: their values cannot be restored.
    pub dropped: Vec<(String, Slot)>,
    /// True if a rowid that is no column is carried over.
    pub keeps_rowid: bool,
    /// The primary key, if the record has all its columns.
    pub primary: Option<Key>,
    /// The UNIQUE keys of which the record has all columns.
    pub unique: Vec<Key>,
    /// The key that was declared for this restore; it need not be unique.
    pub declared: Option<Key>,
}

/// What somebody says of a table beyond its schema.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Columns that have another name now: name in the snapshot, name in the database.
    pub renames: Vec<(String, String)>,
    /// Columns of the live table that tell its rows apart, and how each compares.
    pub key: Vec<(String, Collation)>,
}

impl ColumnMap {
    /// Maps a stored table to the live one of its name.
    pub fn of(stored: &Table, live: &Table, declared: &Declared) -> Self {
        let fields = fields(stored, &declared.renames);
        let slot_of = |name: &str| {
            let named = |(field, _): &&(String, Slot)| field.eq_ignore_ascii_case(name);
            fields.iter().find(named).map(|(_, slot)| *slot)
        };
        let keys = live.unique_keys.iter().map(|key| &key.columns);
        let key_columns: Vec<u32> = keys
            .chain([&live.primary_key])
            .flatten()
            .map(|key| key.column)
            .collect();
        let (mut columns, mut added) = (Vec::new(), Vec::new());
        for (at, column) in live.columns.iter().enumerate() {
            match (column.kind, slot_of(&column.name)) {
                (ColumnKind::Ordinary, Some(slot)) => columns.push(Mapped {
                    slot,
                    column: at,
                    name: column.name.clone(),
                    in_key: key_columns.contains(&(u32::try_from(at).unwrap_or(u32::MAX))),
                }),
                (ColumnKind::Ordinary, None) => added.push(column.name.clone()),
                // SQLite computes it.
                _ => {}
            }
        }
        let dropped = fields
            .iter()
            .filter(|(name, _)| live.column_at(name).is_none())
            .cloned()
            .collect();
        let declared: Option<Vec<_>> = declared
            .key
            .iter()
            .map(|(name, collation)| {
                let is_it = |column: &Mapped| column.name.eq_ignore_ascii_case(name);
                Some((columns.iter().position(is_it)?, collation.clone()))
            })
            .collect();
        let declared = declared.map(|parts| named_key(parts, &columns));
        let in_declared = |at: &usize| {
            let key = declared.iter().flatten();
            key.flat_map(|key| &key.columns).any(|(c, _)| c == at)
        };
        let keyed: Vec<usize> = (0..columns.len()).filter(in_declared).collect();
        for at in keyed {
            columns[at].in_key = true;
        }
        let key = |key: &[KeyColumn]| mapped_key(key, &columns);
        let (primary, unique) = (
            key(&live.primary_key),
            live.unique_keys
                .iter()
                .filter_map(|unique| key(&unique.columns))
                .collect(),
        );
        Self {
            columns,
            added,
            dropped,
            keeps_rowid: has_free_rowid(stored) && has_free_rowid(live),
            primary,
            unique,
            declared: declared.flatten(),
        }
    }

    /// A record's values, in the order of the mapped columns.
    pub fn values<'a>(&'a self, row: RowRef<'a>) -> impl Iterator<Item = ValueRef<'a>> {
        self.columns.iter().map(move |column| column.slot.of(row))
    }

    /// The rowid that a record carries over, where it is no column.
    pub fn rowid(&self, row: RowRef<'_>) -> Option<i64> {
        row.rowid.filter(|_| self.keeps_rowid)
    }

    /// True if no key can tell one record from another: the rows are a multiset.
    pub fn is_keyless(&self) -> bool {
        self.primary.is_none() && self.unique.is_empty() && self.declared.is_none()
    }

    /// Position among the mapped columns of a live column's name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// A record's values for people: `column value`, cut short.
    pub fn describe(&self, record: Record<'_>) -> Vec<String> {
        let named = self.columns.iter().zip(record.values);
        let shown = named.map(|(column, value)| format!("{} {}", column.name, shown(*value)));
        shown.collect()
    }

    /// A record's name for people: its key's columns and values.
    pub fn name_of(&self, record: Record<'_>) -> String {
        let whole = |key: &&Key| key.is_whole(record);
        let key = self.primary.iter().chain(&self.unique).find(whole);
        match (key, record.rowid) {
            (Some(key), _) => {
                let part = |(at, _): &(usize, Collation)| {
                    let column = &self.columns[*at];
                    format!("{} {}", column.name, shown(record.value(*at)))
                };
                let parts: Vec<String> = key.columns.iter().map(part).collect();
                parts.join(", ")
            }
            (None, Some(rowid)) => format!("row {rowid}"),
            (None, None) => {
                let values = record.values.iter().take(4).map(|value| shown(*value));
                format!("({})", values.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// True if SQLite computes one of the columns of a key.
pub(super) fn is_computed(table: &Table, key: &[KeyColumn]) -> bool {
    key.iter().any(|part| {
        let column = table.columns.get(part.column as usize);
        column.is_some_and(|column| column.kind != ColumnKind::Ordinary)
    })
}

/// True if a UNIQUE index over an expression, over a part of the rows or over computed columns may be in the
/// way of a write: no key of a record says so.
pub fn has_other_unique(schema: &Schema, live: &Table) -> bool {
    let is_key = |name: &str| live.unique_keys.iter().any(|key| key.index == name);
    let mut keys = live.unique_keys.iter();
    if keys.any(|key| is_computed(live, &key.columns)) {
        return true;
    }
    let mut indexes = schema.objects_of(ObjectKind::Index);
    indexes.any(|index| {
        let text = index
            .sql
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        index.table.eq_ignore_ascii_case(&live.name)
            && text.starts_with("create unique")
            && !is_key(&index.name)
    })
}

/// Names and places of what a record holds, stored generated columns left out.
fn fields(stored: &Table, renames: &[(String, String)]) -> Vec<(String, Slot)> {
    let renamed = |name: &str| {
        let is_it = |(old, _): &&(String, String)| old.eq_ignore_ascii_case(name);
        let found = renames.iter().find(is_it);
        found.map_or_else(|| name.to_owned(), |(_, new)| new.clone())
    };
    let alias = stored.rowid_alias().map(|at| (at, Slot::Rowid));
    let leaf = stored.leaf_columns().enumerate();
    alias
        .into_iter()
        .chain(leaf.map(|(at, column)| (column, Slot::Leaf(at))))
        .filter(|(column, _)| stored.columns[*column].kind == ColumnKind::Ordinary)
        .map(|(column, slot)| (renamed(&stored.columns[column].name), slot))
        .collect()
}

fn mapped_key(key: &[KeyColumn], columns: &[Mapped]) -> Option<Key> {
    let part = |key: &KeyColumn| {
        let at = columns
            .iter()
            .position(|column| column.column == key.column as usize)?;
        Some((at, key.collation.clone()))
    };
    let parts: Option<Vec<_>> = key.iter().map(part).collect();
    named_key(parts?, columns)
}

fn named_key(parts: Vec<(usize, Collation)>, columns: &[Mapped]) -> Option<Key> {
    if parts.is_empty() {
        return None;
    }
    let names: Vec<&str> = parts
        .iter()
        .map(|(at, _)| columns[*at].name.as_str())
        .collect();
    Some(Key {
        name: names.join(", "),
        columns: parts,
    })
}

/// True for a rowid table whose rowid is no column and has a name.
fn has_free_rowid(table: &Table) -> bool {
    matches!(
        &table.kind,
        TableKind::Rowid {
            alias: None,
            rowid_name: Some(_)
        }
    )
}

/// The columns whose values tell a table's rows apart.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) columns: Vec<String>,
    /// How each of them is compared: a key may do so in another way than its columns.
    collations: Vec<Collation>,
    pub(super) is_rowid: bool,
}

impl Identity {
    pub(super) fn of(table: &Table) -> Self {
        if let (true, Some(rowid)) = (
            table.kind != TableKind::WithoutRowid,
            table.rowid_column().map(str::to_owned),
        ) {
            return Self {
                columns: vec![rowid],
                collations: vec![Collation::Binary],
                is_rowid: true,
            };
        }
        // Where the names of the rowid are hidden, a key in which no row has NULL, else all columns.
        let unique = table.unique_keys.iter().map(|key| &key.columns);
        let mut keys = std::iter::once(&table.primary_key).chain(unique);
        let is_whole = |key: &&Vec<KeyColumn>| {
            let column = |part: &KeyColumn| table.columns.get(part.column as usize);
            let not_null = |part: &KeyColumn| column(part).is_some_and(|c| c.not_null);
            !key.is_empty() && (table.kind == TableKind::WithoutRowid || key.iter().all(not_null))
        };
        let (columns, collations) = match keys.find(is_whole) {
            Some(key) => key
                .iter()
                .map(|part| {
                    let name = &table.columns[part.column as usize].name;
                    (name.clone(), part.collation.clone())
                })
                .unzip(),
            None => {
                let stored = table.columns.iter();
                let stored = stored.filter(|c| c.kind == ColumnKind::Ordinary);
                stored.map(|c| (c.name.clone(), Collation::Binary)).unzip()
            }
        };
        Self {
            columns,
            collations,
            is_rowid: false,
        }
    }

    /// `main."table" WHERE …`, its parameters from 1 on.
    pub(super) fn place(&self, table: &Table) -> Result<String, SqliteError> {
        Ok(format!(
            "main.{} WHERE {}",
            ident(&table.name)?,
            self.terms(1)?
        ))
    }

    /// The condition that a row is the one, its parameters from `first` on.
    pub(super) fn terms(&self, first: usize) -> Result<String, SqliteError> {
        let mut terms = Vec::new();
        for (at, (column, collation)) in self.columns.iter().zip(&self.collations).enumerate() {
            let (column, parameter) = (ident(column)?, first + at);
            terms.push(match self.is_rowid {
                true => format!("{column} IS ?{parameter}"),
                false => {
                    let collation = ident(collation_name(collation))?;
                    format!("{column} IS ?{parameter} COLLATE {collation}")
                }
            });
        }
        Ok(terms.join(" AND "))
    }
}

/// A value for people, cut short.
pub fn shown(value: ValueRef<'_>) -> String {
    const CHARS_MAX: usize = 40;
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(v) => v.to_string(),
        ValueRef::Real(v) => v.to_string(),
        ValueRef::Text(v) => {
            let text = String::from_utf8_lossy(v);
            let mut cut: String = text.chars().take(CHARS_MAX).collect();
            if cut.len() < text.len() {
                cut.push('…');
            }
            format!("{cut:?}")
        }
        ValueRef::Blob(v) => format!("a blob of {}", counted(v.len() as u64, "byte")),
        ValueRef::Spilled(s) => {
            let class = match s.class {
                LongClass::Text => "text",
                LongClass::Blob => "blob",
            };
            format!("a {class} of {}", counted(s.bytes, "byte"))
        }
    }
}

/// `"a" = ?1 COLLATE "NOCASE"`: the comparison of a key's own index, so that SQLite can use it.
pub(super) fn equals(
    name: &str,
    parameter: usize,
    collation: &Collation,
) -> Result<String, NameError> {
    Ok(format!(
        "{} = ?{parameter} COLLATE {}",
        ident(name)?,
        ident(collation_name(collation))?
    ))
}

/// SQLite's name of a collation.
pub(super) fn collation_name(collation: &Collation) -> &str {
    match collation {
        Collation::Binary => "BINARY",
        Collation::Nocase => "NOCASE",
        Collation::Rtrim => "RTRIM",
        Collation::Unknown(name) => name,
    }
}
