//! Rows without a parent, before and after an undo has written: each that is there afterwards was there
//! before, or had no parent before the restore either. The plan has seen to it; this is the last look.

use std::collections::BTreeMap;

use super::Changed;
use super::plan::Plan;
use crate::model::schema::{ForeignKey, Table};
use crate::model::value::Value;
use crate::target::{
    KeyMap, LiveDatabase, LiveView, RowId, TargetError, Targets, Worksheet, is_ordinary,
    parent_columns,
};

/// Rows that are named.
const NAMED_MAX: usize = 10;

/// Rows without a parent, by table and number of the foreign key, with the values of the reference.
pub(super) type Orphans<'w> = BTreeMap<(String, u32), KeyMap<'w>>;

/// The set of one foreign key.
pub(super) fn of_key<'m, 'w>(
    orphans: &'m mut Orphans<'w>,
    sheet: &'w Worksheet,
    table: &Table,
    key: &ForeignKey,
) -> Result<&'m mut KeyMap<'w>, TargetError> {
    use std::collections::btree_map::Entry;
    match orphans.entry((table.name.clone(), key.id)) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => Ok(entry.insert(sheet.row_map(table)?)),
    }
}

/// Those that are there now, in tables whose rows or parents' rows are written.
pub(super) fn before<'w>(
    live: &LiveDatabase,
    view: &LiveView,
    sheet: &'w Worksheet,
    plan: &Plan<'_>,
) -> Result<Orphans<'w>, TargetError> {
    let mut there = Orphans::new();
    for table in affected(view, plan) {
        each(live, view, table, &|_| false, &mut |key, row, values| {
            of_key(&mut there, sheet, table, key)?.put(&row.0, 0, values)
        })?;
    }
    Ok(there)
}

/// Those that came with the undo, and should not have: the first ones.
pub(super) fn new_ones<'w>(
    live: &LiveDatabase,
    view: &LiveView,
    plan: &mut Plan<'w>,
    there: &mut Orphans<'w>,
) -> Result<Vec<Changed>, TargetError> {
    let tables = affected(view, plan);
    let (made, allowed) = (&plan.made, &mut plan.orphans);
    let is_gone = |name: &str| made.drops_table(name);
    let mut new = Vec::new();
    for table in tables.into_iter().filter(|table| !is_gone(&table.name)) {
        each(live, view, table, &is_gone, &mut |key, row, values| {
            let name = (table.name.clone(), key.id);
            for known in [there.get_mut(&name), allowed.get_mut(&name)] {
                let Some(known) = known else { continue };
                if known.get(&row.0)?.is_some_and(|it| it.values == values) {
                    return Ok(());
                }
            }
            if new.len() < NAMED_MAX {
                new.push(Changed {
                    table: table.name.clone(),
                    row: row.shown(),
                    reason: format!("it would have no row of {} to refer to", key.parent),
                    restored: Vec::new(),
                    now: Vec::new(),
                });
            }
            Ok(())
        })?;
    }
    Ok(new)
}

/// Tables with foreign keys whose rows, or whose parents' rows, are written.
fn affected<'v>(view: &'v LiveView, plan: &Plan<'_>) -> Vec<&'v Table> {
    let touched = |name: &str| {
        let mut tables = plan.tables.iter();
        tables.any(|table| table.live.name.eq_ignore_ascii_case(name))
    };
    let tables = view.schema.tables.iter().filter(|t| is_ordinary(t));
    tables
        .filter(|table| {
            let mut parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            !table.foreign_keys.is_empty() && (touched(&table.name) || parents.any(touched))
        })
        .collect()
}

/// Whom a row without a parent is given to.
type Each<'e> = &'e mut dyn FnMut(&ForeignKey, &RowId, &[Value]) -> Result<(), TargetError>;

/// Calls `each` for every row of a table that refers to a row which is not there.
fn each(
    live: &LiveDatabase,
    view: &LiveView,
    table: &Table,
    is_gone: &dyn Fn(&str) -> bool,
    each: Each<'_>,
) -> Result<(), TargetError> {
    // SQLite counts quickly; mostly there are none.
    let violated = live.foreign_keys(&table.name)?.violations;
    for key in &table.foreign_keys {
        if violated.get(&key.id).is_none_or(|rows| *rows == 0) {
            continue;
        }
        let parent = view.schema.table(&key.parent);
        let mut targets = match parent.filter(|parent| !is_gone(&parent.name)) {
            None => None,
            Some(parent) => match parent_columns(key, parent, None)? {
                Some(columns) => Some(Targets::new(live, parent, &columns)?),
                None => continue,
            },
        };
        live.each_reference(table, key, |row, values| {
            let has_parent = match &mut targets {
                Some(targets) => targets.has(&values)?,
                None => false,
            };
            match has_parent {
                true => Ok(()),
                false => each(key, row, &values),
            }
        })?;
    }
    Ok(())
}
