//! The columns of a table in two states, by their names.

use crate::model::schema::Table;
use crate::tree::diff::Field;

/// A stored column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedField {
    pub name: String,
    pub field: Field,
    /// True if it belongs to the primary key.
    pub in_key: bool,
}

/// The stored columns of a table, in its order.
pub(super) fn of_table(table: &Table) -> Vec<NamedField> {
    let (alias, leaf) = (
        table.rowid_alias(),
        table.leaf_columns().collect::<Vec<_>>(),
    );
    let columns = table.columns.iter().enumerate();
    let stored = columns.filter_map(|(at, column)| {
        let field = match alias == Some(at) {
            true => Field::Rowid,
            false => Field::Leaf(leaf.binary_search(&at).ok()?),
        };
        Some(NamedField {
            name: column.name.clone(),
            field,
            in_key: table
                .primary_key
                .iter()
                .any(|key| key.column as usize == at),
        })
    });
    stored.collect()
}

/// The places of a table's primary key among its stored columns, in the key's order.
pub(super) fn key_of(table: &Table, fields: &[NamedField]) -> Vec<usize> {
    let place = |column: u32| {
        let name = &table.columns.get(column as usize)?.name;
        fields.iter().position(|field| field.name == *name)
    };
    let key: Option<Vec<usize>> = table.primary_key.iter().map(|k| place(k.column)).collect();
    key.unwrap_or_default()
}

/// Which columns are compared.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    /// Places of columns that both states have, in the later state's order.
    pub both: Vec<(usize, usize)>,
    /// Names of columns that only the earlier state has.
    pub dropped: Vec<String>,
    /// Names of columns that only the later state has.
    pub added: Vec<String>,
}

impl Mapping {
    /// Maps by name; SQLite compares names without ASCII case.
    pub(super) fn of(before: &[NamedField], after: &[NamedField]) -> Self {
        let mut mapping = Self::default();
        let place = |fields: &[NamedField], name: &str| {
            let mut names = fields.iter();
            names.position(|field| field.name.eq_ignore_ascii_case(name))
        };
        for (at, field) in after.iter().enumerate() {
            match place(before, &field.name) {
                Some(old) => mapping.both.push((old, at)),
                None => mapping.added.push(field.name.clone()),
            }
        }
        let gone = before
            .iter()
            .filter(|field| place(after, &field.name).is_none());
        mapping.dropped = gone.map(|field| field.name.clone()).collect();
        mapping
    }

    /// The key by which rows are the same where their trees do not say so: both states' primary key
    /// has the same columns. In the order of the earlier one.
    pub(super) fn shared_key(&self, before: &[usize], after: &[usize]) -> Vec<(usize, usize)> {
        let other = |old: &usize| {
            self.both
                .iter()
                .find(|(a, b)| a == old && after.contains(b))
        };
        let shared: Option<Vec<_>> = before.iter().map(|old| other(old).copied()).collect();
        shared
            .filter(|shared| shared.len() == after.len())
            .unwrap_or_default()
    }
}
