//! How each table of the snapshot lies over the live one, and what part it has in a restore.

use super::links::references;
use crate::format::manifest::Entity;
use crate::model::schema::{ObjectKind, Schema, Table};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::options::{Match, Mode};
use crate::target::{ColumnMap, Declared, KeyName, TargetError, has_other_unique};
use crate::tree::TreeShape;

/// What part a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::restore) enum Role {
    /// All its records are restored.
    Whole,
    /// Some are.
    Rows,
    /// None is; which rows its records mean is looked up, since restored records refer to them.
    Known,
}

/// A table of the snapshot over the live one.
#[derive(Debug)]
pub(in crate::ops::restore) struct TableShape {
    /// The table in the snapshot.
    pub stored: Table,
    /// The table in the database; that of the snapshot if it is made.
    pub live: Table,
    /// One over the other.
    pub map: ColumnMap,
    /// True if the database lacks it.
    pub made: bool,
    /// Its part.
    pub role: Role,
    /// Shape of its tree.
    pub tree: TreeShape,
    /// True if all keys of the live table are keys of the stored one: records do not collide.
    pub same_keys: bool,
    /// True if its text is the snapshot's.
    pub same_text: bool,
    /// Columns of its references, declared ones too.
    pub referring: Vec<String>,
    /// True if a UNIQUE index over an expression, or a part of the rows, may be in the way of a write.
    pub has_other_unique: bool,
}

impl TableShape {
    /// The shape of a table over the live one. Errors: `Damaged`, `Busy`.
    pub(in crate::ops::restore) fn of(
        basis: &Basis<'_>,
        stored: &Table,
        there: Option<&Table>,
        role: Role,
    ) -> Result<Self, TargetError> {
        let live = there.unwrap_or(stored);
        let of_table = |name: &str| name.eq_ignore_ascii_case(&live.name);
        let renames = basis.options.renames.iter();
        let renames = renames.filter(|rename| of_table(&rename.table));
        let mut keys = basis.options.keys.iter();
        let key = keys.find(|key| of_table(&key.table));
        let key = key.iter().flat_map(|key| &key.columns).map(|column| {
            let collation = basis.live.collation(&live.name, column)?;
            Ok((column.clone(), collation))
        });
        let declared = Declared {
            renames: renames.map(|r| (r.old.clone(), r.new.clone())).collect(),
            key: key.collect::<Result<_, TargetError>>()?,
        };
        Ok(Self {
            map: ColumnMap::of(stored, live, &declared),
            made: there.is_none(),
            role,
            tree: TreeShape::of(stored, basis.schema.encoding),
            same_keys: has_keys_of(stored, live),
            referring: references(basis, live)
                .iter()
                .flat_map(|reference| &reference.key.columns)
                .map(|(column, _)| column.clone())
                .collect(),
            has_other_unique: has_other_unique(&basis.view.schema, live),
            same_text: text(basis.schema, &stored.name) == text(&basis.view.schema, &live.name),
            stored: stored.clone(),
            live: live.clone(),
        })
    }

    /// What the snapshot holds of it.
    pub(in crate::ops::restore) fn entity<'b>(&self, basis: &Basis<'b>) -> Option<&'b Entity> {
        basis.manifest.entity(&self.stored.name)
    }

    /// The type with which the live table declares a mapped column.
    pub(in crate::ops::restore) fn declared_type(&self, mapped: usize) -> &str {
        let column = self.map.columns.get(mapped);
        let column = column.and_then(|c| self.live.columns.get(c.column));
        column.map_or("", |column| column.declared_type.as_str())
    }

    /// Its records in the snapshot.
    pub(in crate::ops::restore) fn records(&self, basis: &Basis<'_>) -> u64 {
        self.entity(basis).map_or(0, |entity| entity.records)
    }

    /// True if the table is to equal the snapshot's.
    pub(in crate::ops::restore) fn is_replaced(&self, mode: Mode) -> bool {
        mode == Mode::Replace && self.role == Role::Whole
    }

    /// True if rows may break a CHECK as they did in the source.
    pub(in crate::ops::restore) fn keeps_checks_broken(&self, mode: Mode) -> bool {
        self.made || (self.same_text && self.is_replaced(mode))
    }

    /// The keys that say which row a record means: the first list, or the second if none of the
    /// first is whole.
    pub(in crate::ops::restore) fn asked(&self, matching: Match) -> (Vec<KeyName>, Vec<KeyName>) {
        let all = self.map.keys();
        let primary: Vec<KeyName> = self.map.primary.iter().map(|_| KeyName::Primary).collect();
        let not_primary: Vec<KeyName> = match self.map.declared {
            Some(_) => vec![KeyName::Declared],
            None => (0..self.map.unique.len()).map(KeyName::Unique).collect(),
        };
        match matching {
            Match::Id if !primary.is_empty() => (primary, Vec::new()),
            Match::Natural if !not_primary.is_empty() => (not_primary, primary),
            Match::Auto | Match::Id | Match::Natural => (all, Vec::new()),
        }
    }

    /// True if its primary key is only a number that tells rows apart: it may be another one. Not if it is
    /// that of a parent.
    pub(in crate::ops::restore) fn has_surrogate_id(&self) -> bool {
        let alias = self.live.rowid_alias();
        let name = alias
            .and_then(|at| self.live.columns.get(at))
            .map(|c| &c.name);
        let refers = |column: &str| name.is_some_and(|name| name.eq_ignore_ascii_case(column));
        if self.referring.iter().any(|column| refers(column)) {
            return false;
        }
        let is_alias = |at: &usize| Some(self.map.columns[*at].column) == alias;
        let primary = self.map.primary.as_ref().map(crate::target::Key::positions);
        let is_number = alias.is_some() && primary.is_some_and(|at| at.iter().all(is_alias));
        is_number && (!self.map.unique.is_empty() || self.map.declared.is_some())
    }
}

fn text<'s>(schema: &'s Schema, table: &str) -> Option<&'s str> {
    schema
        .objects_of(ObjectKind::Table)
        .find(|object| object.name.eq_ignore_ascii_case(table))
        .and_then(|object| object.sql.as_deref())
}

/// True if every key of the live table is one of the stored table, by column names and collations.
fn has_keys_of(stored: &Table, live: &Table) -> bool {
    let named = |table: &Table, key: &[crate::model::schema::KeyColumn]| {
        let name = |at: u32| {
            table
                .columns
                .get(at as usize)
                .map(|c| c.name.to_ascii_lowercase())
        };
        let mut parts: Vec<_> = key
            .iter()
            .map(|part| (name(part.column), format!("{:?}", part.collation)))
            .collect();
        parts.sort();
        parts
    };
    let stored_keys: Vec<_> = std::iter::once(&stored.primary_key)
        .chain(stored.unique_keys.iter().map(|key| &key.columns))
        .map(|key| named(stored, key))
        .collect();
    std::iter::once(&live.primary_key)
        .chain(live.unique_keys.iter().map(|key| &key.columns))
        .filter(|key| !key.is_empty())
        .all(|key| stored_keys.contains(&named(live, key)))
}
