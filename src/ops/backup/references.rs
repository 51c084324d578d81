//! Foreign keys that held in the snapshot before: whether what has changed since may have broken them.
//!
//! A key is broken by a child that came or refers elsewhere now, or by a parent that is gone or has another key.
//! Where that cannot be told from the records that differ, SQLite checks the whole table (`verdicts`).

use super::parent::Parent;
use crate::error::Error;
use crate::format::manifest::Entity;
use crate::model::fit::Affinity;
use crate::model::row::RowRef;
use crate::model::schema::{ForeignKey, Schema, Table};
use crate::model::value::ValueRef;
use crate::source::{Lookup, Moment};
use crate::tree::diff::{Difference, Field};

/// A foreign key that held.
struct Key<'a> {
    child: &'a str,
    parent: &'a str,
    child_fields: Vec<Field>,
    parent_fields: Vec<Field>,
    /// Child columns hold numbers wherever they can.
    is_numeric: bool,
    /// Finds parents of a child.
    parents: Lookup<'a>,
    /// Finds children of a parent; `None` where that takes long.
    children: Option<Lookup<'a>>,
    /// Nothing was found that may break it.
    holds: bool,
}

/// The foreign keys that held, while the differences of all tables are gone through.
pub(super) struct References<'a> {
    moment: Moment<'a>,
    keys: Vec<Key<'a>>,
}

impl<'a> References<'a> {
    /// The keys of the tables that `parent` found whole, and that are defined as they were, with their parents. None of
    /// a database that is `damaged`: rows that cannot be read are not gone.
    pub(super) fn of(
        moment: Moment<'a>,
        parent: &Parent,
        entities: &[Entity],
        damaged: bool,
    ) -> Result<Self, Error> {
        let schema = moment.schema();
        let mut keys = Vec::new();
        if damaged || parent.manifest.damaged {
            return Ok(Self { moment, keys });
        }
        for table in entities.iter().filter_map(|e| schema.table(&e.entity)) {
            let verdicts = parent.manifest.foreign_keys.iter();
            let held = parent.manifest.entity(&table.name).is_some()
                && !verdicts.clone().any(|verdict| verdict.table == table.name);
            if !held || !parent.has_same_table(schema, &table.name) {
                continue;
            }
            for key in &table.foreign_keys {
                if parent.has_same_table(schema, &key.parent) {
                    keys.extend(Key::of(moment, schema, table, key)?);
                }
            }
        }
        Ok(Self { moment, keys })
    }

    /// A record of a table differs.
    pub(super) fn differs(&mut self, table: &str, what: Difference<'_>) -> Result<(), Error> {
        self.moment.pass_slice()?;
        let (before, after) = match what {
            Difference::Added(after) => (None, Some(after)),
            Difference::Removed(before) => (Some(before), None),
            Difference::Changed(before, after) => (Some(before), Some(after)),
        };
        for key in self.keys.iter_mut().filter(|key| key.holds) {
            if let Some(after) = after.filter(|_| key.child.eq_ignore_ascii_case(table)) {
                key.holds =
                    same(&key.child_fields, before, Some(after)) || key.has_parent(after)?;
            }
            if let Some(before) = before.filter(|_| key.parent.eq_ignore_ascii_case(table)) {
                key.holds &=
                    same(&key.parent_fields, Some(before), after) || !key.may_have_child(before)?;
            }
        }
        Ok(())
    }

    /// Nothing is known of what differs in a table.
    pub(super) fn unknown(&mut self, table: &str) {
        for key in &mut self.keys {
            let is_of = |name: &str| name.eq_ignore_ascii_case(table);
            key.holds &= !is_of(key.child) && !is_of(key.parent);
        }
    }

    /// True if all keys of the table held, and still do.
    pub(super) fn hold(&self, table: &Table) -> bool {
        let keys = self.keys.iter().filter(|key| key.child == table.name);
        keys.clone().count() == table.foreign_keys.len() && keys.clone().all(|key| key.holds)
    }
}

/// True if a row is there before and after, with the same values in these places.
fn same(fields: &[Field], before: Option<RowRef<'_>>, after: Option<RowRef<'_>>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return false;
    };
    let mut fields = fields.iter();
    fields.all(|field| field.of(before).identical(field.of(after)))
}

impl<'a> Key<'a> {
    /// `None` if it cannot be followed here.
    fn of(
        moment: Moment<'a>,
        schema: &'a Schema,
        child: &'a Table,
        key: &'a ForeignKey,
    ) -> Result<Option<Self>, Error> {
        let Some(parent) = schema.table(&key.parent) else {
            return Ok(None);
        };
        let (mut child_at, mut parent_at) = (Vec::new(), Vec::new());
        for (n, (of_child, of_parent)) in key.columns.iter().enumerate() {
            child_at.extend(column(child, of_child));
            parent_at.extend(match of_parent {
                Some(name) => column(parent, name),
                None => primary_key(parent).get(n).copied(),
            });
        }
        let fields = |table: &Table, columns: &[usize]| -> Vec<Field> {
            let fields = columns.iter().map(|at| Field::of_column(table, *at));
            fields.flatten().collect()
        };
        let (child_fields, parent_fields) = (fields(child, &child_at), fields(parent, &parent_at));
        let is_complete = |fields: &[Field]| fields.len() == key.columns.len();
        if !is_complete(&child_fields) || !is_complete(&parent_fields) {
            return Ok(None);
        }
        let is_number = |at: &usize| {
            matches!(
                Affinity::of(&child.columns[*at].declared_type, child.strict),
                Affinity::Integer | Affinity::Numeric
            )
        };
        let Some(parents) = lookup(moment, parent, &parent_at)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            child: &child.name,
            parent: &parent.name,
            child_fields,
            parent_fields,
            is_numeric: child_at.iter().all(is_number),
            parents,
            children: lookup(moment, child, &child_at)?,
            holds: true,
        }))
    }

    fn has_parent(&mut self, child: RowRef<'_>) -> Result<bool, Error> {
        let values = || self.child_fields.iter().map(|field| field.of(child));
        if values().any(|value| value == ValueRef::Null) {
            return Ok(true);
        }
        // A long value is not at hand.
        let is_long = |value: ValueRef<'_>| matches!(value, ValueRef::Spilled(_));
        Ok(!values().any(is_long) && self.parents.finds(values())?)
    }

    /// Whether a child refers to what this parent was; true where that cannot be told.
    fn may_have_child(&mut self, parent: RowRef<'_>) -> Result<bool, Error> {
        let values = || self.parent_fields.iter().map(|field| field.of(parent));
        if values().any(|value| value == ValueRef::Null) {
            return Ok(false);
        }
        // Children are found as their own columns compare, which is as the parent's do for whole numbers alone.
        let is_whole = |value: ValueRef<'_>| matches!(value, ValueRef::Integer(_));
        match &mut self.children {
            Some(children) if self.is_numeric && values().all(is_whole) => {
                Ok(children.finds(values())?)
            }
            _ => Ok(true),
        }
    }
}

fn lookup<'a>(
    moment: Moment<'a>,
    table: &Table,
    columns: &[usize],
) -> Result<Option<Lookup<'a>>, Error> {
    let names: Vec<&str> = columns
        .iter()
        .map(|at| table.columns[*at].name.as_str())
        .collect();
    Ok(Lookup::new(moment, &table.name, &names)?)
}

fn column(table: &Table, name: &str) -> Option<usize> {
    let mut columns = table.columns.iter();
    columns.position(|column| column.name.eq_ignore_ascii_case(name))
}

/// The columns of the primary key, the rowid alias included.
fn primary_key(table: &Table) -> Vec<usize> {
    match table.rowid_alias() {
        Some(alias) => vec![alias],
        None => table
            .primary_key
            .iter()
            .map(|key| key.column as usize)
            .collect(),
    }
}
