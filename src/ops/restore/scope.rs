//! Which tables and records a restore is about, and in which order they are gone through.

pub(super) mod closure;
mod declared;
pub(super) mod links;
pub(super) mod shape;

use self::links::{Links, references};
use self::shape::{Role, TableShape};
use super::basis::{Basis, Conflicts};
use super::new_file;
use super::options::Scope;
use super::report::ConflictKind;
use crate::error::{Error, SelectError};
use crate::model::import_order::import_order;
use crate::model::schema::{ObjectKind, Schema, Table, TableKind};
use crate::ops::select::nearest;
use crate::progress::Finding;
use crate::target::{KeyMap, Ordinals, Record, TargetError, full_texts_over, is_ordinary};

/// The records of one table that are restored.
pub(super) struct Chosen<'w> {
    /// `Role::Rows`: these.
    pub rows: Option<Ordinals<'w>>,
    /// Parents that are created for records which refer to them: a key of the table, by the columns'
    /// places among the mapped ones, and its values.
    pub created: Vec<(Vec<usize>, KeyMap<'w>)>,
    /// Records that are left out since what they refer to is missing.
    pub left_out: Ordinals<'w>,
    /// What is worth saying of the choice.
    pub notes: Vec<Finding>,
}

/// What part a record has in a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is restored.
    Chosen,
    /// It is inserted if it has no row; a row that it has is not its business.
    Created,
    /// None.
    Out,
}

impl Chosen<'_> {
    /// What part the record has.
    pub(super) fn part(
        &mut self,
        shape: &TableShape,
        ordinal: u64,
        record: Record<'_>,
    ) -> Result<Part, TargetError> {
        if shape.role == Role::Whole {
            return Ok(Part::Chosen);
        }
        if let Some(rows) = &mut self.rows
            && rows.has(ordinal)?
        {
            return Ok(Part::Chosen);
        }
        for (columns, keys) in &mut self.created {
            if !keys.is_empty()
                && let Some(key) = record.whole(columns)
                && keys.has(&key)?
            {
                return Ok(Part::Created);
            }
        }
        Ok(Part::Out)
    }

    /// True if no record can be in it.
    pub(super) fn is_empty(&self) -> bool {
        let rows = self.rows.as_ref().is_none_or(|rows| rows.count() == 0);
        rows && self.created.iter().all(|(_, keys)| keys.is_empty())
    }
}

/// The tables of a restore.
pub(super) struct Tables {
    /// Parents first.
    pub shapes: Vec<TableShape>,
    /// Tables that are gone through together: a circle of references, or one table alone. Positions, in
    /// order.
    pub groups: Vec<Group>,
}

/// Tables that are gone through together.
pub(super) struct Group {
    pub tables: Vec<usize>,
    /// True if they refer to themselves or to each other.
    pub is_cycle: bool,
}

/// The tables of a restore over the live ones. What stands in the way is added to `conflicts`.
///
/// Errors: `Select` for a name that the snapshot does not have.
pub(super) fn tables(
    basis: &Basis<'_>,
    conflicts: &mut Conflicts,
    findings: &mut Vec<Finding>,
) -> Result<Tables, Error> {
    let scope = &basis.options.scope;
    for name in scope.tables.iter().chain(&scope.excluded) {
        ensure_entity(basis, name)?;
    }
    for named in &scope.key_values {
        ensure_entity(basis, &named.table)?;
    }
    let mut shapes = Vec::new();
    for stored in carried(basis) {
        let role = role(scope, &stored.name);
        if let Some(there) = place(basis, stored, role, conflicts, findings) {
            let role = role.unwrap_or(Role::Known);
            shapes.push((role, stored, there));
        }
    }
    follow(basis, scope, &mut shapes);
    keep_parents(basis, &mut shapes);
    let shapes = shapes
        .into_iter()
        .map(|(role, stored, there)| TableShape::of(basis, stored, there, role))
        .collect::<Result<Vec<_>, _>>()?;
    let tables = ordered(basis, shapes);
    declared::ensure(basis, &tables.shapes)?;
    if scope.tables.is_empty() && !scope.chooses_rows() {
        findings.extend(new_file::left_out(basis.manifest));
        findings.extend(virtual_tables(basis, &tables.shapes));
    }
    Ok(tables)
}

/// The snapshot's tables that hold records.
fn carried<'b>(basis: &Basis<'b>) -> impl Iterator<Item = &'b Table> {
    let (manifest, schema) = (basis.manifest, basis.schema);
    let entities = manifest.entities.iter();
    entities.filter_map(move |entity| schema.table(&entity.entity))
}

pub(super) fn ensure_entity(basis: &Basis<'_>, name: &str) -> Result<(), SelectError> {
    let names: Vec<&str> = carried(basis).map(|table| table.name.as_str()).collect();
    match names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        true => Ok(()),
        false => Err(SelectError::NoEntity {
            entity: name.to_owned(),
            snapshot: basis.manifest.name.clone(),
            nearest: nearest(name, names.into_iter()),
        }),
    }
}

/// The part of a table by its name alone; `None`: it is not asked for.
fn role(scope: &Scope, name: &str) -> Option<Role> {
    let is_it = |other: &String| other.eq_ignore_ascii_case(name);
    let mut keys = scope.key_values.iter();
    let by_key = keys.any(|named| is_it(&named.table));
    let is_named = scope.tables.iter().any(is_it);
    let all = scope.tables.is_empty() && scope.key_values.is_empty();
    if scope.excluded.iter().any(is_it) || !(is_named || by_key || all) {
        return None;
    }
    match by_key || (is_named && scope.filter.is_some()) {
        true => Some(Role::Rows),
        false => Some(Role::Whole),
    }
}

/// The live table of a stored one: `Some(None)` if there is none, `None` if it is left alone.
fn place<'b>(
    basis: &Basis<'b>,
    stored: &Table,
    role: Option<Role>,
    conflicts: &mut Conflicts,
    findings: &mut Vec<Finding>,
) -> Option<Option<&'b Table>> {
    let live = &basis.view.schema;
    let there = live.table(&stored.name);
    if let Some(other) = there.filter(|table| !is_ordinary(table)) {
        if role.is_some() {
            let kind = match other.kind {
                TableKind::Virtual => "a virtual table",
                _ => "a table of a virtual table",
            };
            let text = format!("it is {kind} in the database: left as it is");
            findings.push(Finding::warning(stored.name.clone(), text));
        }
        return None;
    }
    let mut objects = live.objects.iter();
    let in_the_way = objects.find(|o| {
        matches!(o.kind, ObjectKind::View | ObjectKind::Index)
            && o.name.eq_ignore_ascii_case(&stored.name)
    });
    if let (None, Some(object), Some(_)) = (there, in_the_way, role) {
        let kind = match object.kind {
            ObjectKind::View => "a view",
            _ => "an index",
        };
        let reason = format!("the database has {kind} of this name, so it cannot be made");
        conflicts.note(
            ConflictKind::InTheWay,
            &stored.name,
            "the table".to_owned(),
            reason,
        );
    }
    Some(there)
}

type Placed<'b> = (Role, &'b Table, Option<&'b Table>);

/// Tables that are reached by `--with-parents` and `--with-children`: some of their rows may be.
fn follow(basis: &Basis<'_>, scope: &Scope, shapes: &mut [Placed<'_>]) {
    let excluded = |name: &str| {
        let mut names = scope.excluded.iter();
        names.any(|other| other.eq_ignore_ascii_case(name))
    };
    loop {
        let mut reached = Vec::new();
        for (at, (role, stored, there)) in shapes.iter().enumerate() {
            for reference in references(basis, there.unwrap_or(stored)) {
                let parent = &reference.key.parent;
                let parent = shapes
                    .iter()
                    .position(|(_, table, _)| table.name.eq_ignore_ascii_case(parent));
                let Some(parent) = parent else { continue };
                if scope.with_parents && role.is_written() {
                    reached.push(parent);
                }
                if scope.with_children && shapes[parent].0.is_written() {
                    reached.push(at);
                }
            }
        }
        reached.retain(|at| shapes[*at].0 == Role::Known && !excluded(&shapes[*at].1.name));
        if reached.is_empty() {
            return;
        }
        for at in reached {
            shapes[at].0 = Role::Rows;
        }
    }
}

/// Of the tables that are not restored, keeps those that restored ones refer to, directly or through
/// others.
fn keep_parents(basis: &Basis<'_>, shapes: &mut Vec<Placed<'_>>) {
    let mut kept: Vec<bool> = shapes.iter().map(|(role, ..)| role.is_written()).collect();
    loop {
        let before = kept.clone();
        for (at, (_, stored, there)) in shapes.iter().enumerate() {
            if !before[at] {
                continue;
            }
            for reference in references(basis, there.unwrap_or(stored)) {
                for (parent, (_, table, _)) in shapes.iter().enumerate() {
                    kept[parent] |= table.name.eq_ignore_ascii_case(&reference.key.parent);
                }
            }
        }
        if kept == before {
            break;
        }
    }
    let mut kept = kept.into_iter();
    shapes.retain(|_| kept.next().unwrap_or(true));
}

/// Puts parents before those that refer to them.
fn ordered(basis: &Basis<'_>, shapes: Vec<TableShape>) -> Tables {
    let tables = shapes.iter().map(|shape| {
        let references = references(basis, &shape.live);
        Table {
            foreign_keys: references.into_iter().map(|r| r.key).collect(),
            ..shape.live.clone()
        }
    });
    let order = import_order(&Schema {
        tables: tables.collect(),
        ..Schema::default()
    });
    let place = |table: usize| order.tables.iter().position(|o| o.table == table);
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = vec![false; order.tables.len()];
    for (at, table) in order.tables.iter().enumerate() {
        if seen[at] {
            continue;
        }
        let cycle = order.cycles.iter().find(|c| c.contains(&table.table));
        let mut tables: Vec<usize> = match cycle {
            Some(cycle) => cycle.iter().filter_map(|t| place(*t)).collect(),
            None => vec![at],
        };
        tables.sort_unstable();
        for at in &tables {
            seen[*at] = true;
        }
        groups.push(Group {
            is_cycle: tables.len() > 1 || table.refers_to_itself,
            tables,
        });
    }
    let mut slots: Vec<Option<TableShape>> = shapes.into_iter().map(Some).collect();
    let shapes = order.tables.iter();
    let shapes = shapes.filter_map(|o| slots.get_mut(o.table).and_then(Option::take));
    Tables {
        shapes: shapes.collect(),
        groups,
    }
}

/// Virtual tables, which only a new file gets back: here their modules would have to be asked. A full-text
/// index over a table of the database is built anew from it.
fn virtual_tables<'b>(basis: &Basis<'b>, shapes: &[TableShape]) -> impl Iterator<Item = Finding> {
    let names: Vec<String> = shapes.iter().map(|s| s.live.name.clone()).collect();
    let built_anew = full_texts_over(&basis.view.schema, &names);
    let tables = basis.schema.tables.iter();
    let is_left =
        move |table: &&Table| table.kind == TableKind::Virtual && !built_anew.contains(&table.name);
    tables.filter(is_left).map(|table| {
        let text = "a virtual table: its content is not restored into an existing database";
        Finding::warning(table.name.clone(), text)
    })
}

/// The keys of a table by which parents may be created.
pub(super) fn created_keys(links: &Links, table: usize) -> Vec<(usize, Vec<usize>)> {
    let of = links.of_parent(table);
    of.map(|(at, wanted)| (at, wanted.mapped.clone())).collect()
}
