//! The references between the tables of a restore: foreign keys of the live tables, and those that
//! were declared for it.

use super::shape::TableShape;
use crate::model::row::Collation;
use crate::model::schema::{ForeignKey, Table};
use crate::ops::restore::basis::Basis;
use crate::target::{TargetError, is_ordinary, parent_columns};

/// A reference from one table to a key of another.
#[derive(Debug)]
pub(in crate::ops::restore) struct Link {
    /// Position of the table that refers.
    pub child: usize,
    /// Its columns, among its mapped ones.
    pub columns: Vec<usize>,
    /// The table that is referred to.
    pub parent: Parent,
    /// The columns there, with the collations that decide.
    pub parent_columns: Vec<(usize, Collation)>,
    /// True if the snapshot's table declares the same.
    pub in_snapshot: bool,
    /// True if the snapshot has references of it without a target, or it is not known.
    pub is_violated: bool,
    /// Position among the keys that are referred to; `None` if records do not have these columns.
    pub wanted: Option<usize>,
}

/// The table that a reference refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::restore) enum Parent {
    /// One of the restore: its position.
    Planned(usize),
    /// One that only the database has: its position in the live schema.
    Live(usize),
}

/// A key of a table that records refer to.
#[derive(Debug)]
pub(in crate::ops::restore) struct Wanted {
    /// Position of the table.
    pub table: usize,
    /// Its columns.
    pub columns: Vec<(usize, Collation)>,
    /// The same among its mapped ones.
    pub mapped: Vec<usize>,
}

/// All references of a restore.
#[derive(Debug, Default)]
pub(in crate::ops::restore) struct Links {
    /// The references, by child.
    pub all: Vec<Link>,
    /// The keys that they refer to.
    pub wanted: Vec<Wanted>,
}

/// A reference as it was declared, by names.
pub(in crate::ops::restore) struct Reference {
    pub key: ForeignKey,
    /// For this restore, not by the database.
    pub declared: bool,
}

/// The references of a table, by its live text and by declaration.
pub(in crate::ops::restore) fn references(basis: &Basis<'_>, table: &Table) -> Vec<Reference> {
    let own = table.foreign_keys.iter().map(|key| Reference {
        key: key.clone(),
        declared: false,
    });
    let declared = basis.options.references.iter();
    let declared = declared.filter(|r| r.table.eq_ignore_ascii_case(&table.name));
    let declared = declared.map(|r| Reference {
        key: ForeignKey {
            id: u32::MAX,
            parent: r.parent.clone(),
            columns: vec![(r.column.clone(), Some(r.parent_column.clone()))],
            on_update: String::new(),
            on_delete: String::new(),
        },
        declared: true,
    });
    own.chain(declared).collect()
}

impl Links {
    /// Of these tables.
    pub(in crate::ops::restore) fn of(
        basis: &Basis<'_>,
        shapes: &[TableShape],
    ) -> Result<Self, TargetError> {
        let mut links = Self::default();
        for (child, shape) in shapes.iter().enumerate() {
            for reference in references(basis, &shape.live) {
                links.add(basis, shapes, child, &reference)?;
            }
        }
        Ok(links)
    }

    fn add(
        &mut self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        child: usize,
        reference: &Reference,
    ) -> Result<(), TargetError> {
        let (shape, key) = (&shapes[child], &reference.key);
        let mapped = key.columns.iter().map(|(c, _)| shape.map.position(c));
        let Some(columns) = mapped.collect::<Option<Vec<usize>>>() else {
            return Ok(());
        };
        let planned = shapes
            .iter()
            .position(|shape| shape.live.name.eq_ignore_ascii_case(&key.parent));
        let live_tables = &basis.view.schema.tables;
        let at_live = live_tables
            .iter()
            .position(|table| table.name.eq_ignore_ascii_case(&key.parent));
        let (parent, table) = match (planned, at_live) {
            (Some(at), _) => (Parent::Planned(at), &shapes[at].live),
            (None, Some(at)) if is_ordinary(&live_tables[at]) => {
                (Parent::Live(at), &live_tables[at])
            }
            _ => return Ok(()),
        };
        let declared = reference.declared.then_some(basis.live);
        let Some(parent_columns) = parent_columns(key, table, declared)? else {
            return Ok(());
        };
        let wanted = match parent {
            Parent::Planned(at) => self.wanted(&shapes[at], at, &parent_columns),
            Parent::Live(_) => None,
        };
        self.all.push(Link {
            child,
            columns,
            parent,
            parent_columns,
            in_snapshot: reference.declared || declares(&shape.stored, key),
            is_violated: reference.declared || is_violated(basis, &shape.stored),
            wanted,
        });
        Ok(())
    }

    fn wanted(
        &mut self,
        shape: &TableShape,
        table: usize,
        columns: &[(usize, Collation)],
    ) -> Option<usize> {
        let name = |column: usize| shape.live.columns.get(column).map(|c| c.name.as_str());
        let mapped = columns.iter().map(|(c, _)| shape.map.position(name(*c)?));
        let mapped = mapped.collect::<Option<Vec<usize>>>()?;
        let known = self
            .wanted
            .iter()
            .position(|w| w.table == table && w.columns == columns);
        Some(known.unwrap_or_else(|| {
            self.wanted.push(Wanted {
                table,
                columns: columns.to_vec(),
                mapped,
            });
            self.wanted.len() - 1
        }))
    }

    /// The references of one table, each with its position.
    pub(in crate::ops::restore) fn of_child(
        &self,
        child: usize,
    ) -> impl Iterator<Item = (usize, &Link)> {
        let links = self.all.iter().enumerate();
        links.filter(move |(_, link)| link.child == child)
    }

    /// The keys of one table that are referred to, each with its position.
    pub(in crate::ops::restore) fn of_parent(
        &self,
        table: usize,
    ) -> impl Iterator<Item = (usize, &Wanted)> {
        let wanted = self.wanted.iter().enumerate();
        wanted.filter(move |(_, wanted)| wanted.table == table)
    }
}

/// True if references of a stored table had no target when the snapshot was taken.
fn is_violated(basis: &Basis<'_>, stored: &Table) -> bool {
    let mut verdicts = basis.manifest.foreign_keys.iter();
    basis.manifest.damaged || verdicts.any(|verdict| verdict.table == stored.name)
}

/// True if a stored table declares the same reference.
fn declares(stored: &Table, key: &ForeignKey) -> bool {
    stored.foreign_keys.iter().any(|other| {
        let same_columns = other.columns.len() == key.columns.len()
            && other.columns.iter().zip(&key.columns).all(|(a, b)| {
                let parents = match (&a.1, &b.1) {
                    (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
                    // One of them stands for the primary key.
                    _ => true,
                };
                parents && a.0.eq_ignore_ascii_case(&b.0)
            });
        other.parent.eq_ignore_ascii_case(&key.parent) && same_columns
    })
}
