//! Records whose keys hold each other: which row one of them means depends on which row it means. The
//! rules may have several answers then, or none; they say one thing only if each is the row with its own key.

use std::collections::BTreeSet;

use super::rules::{Pass, Record, Target};
use super::tables::{Database, Schema, is_whole};
use super::wishes::{Match, Wishes};

/// True if references that are part of keys lead from a record of the snapshot back to it, which is not the
/// row with its own key.
pub fn any(schema: &Schema, snapshot: &Database, wishes: &Wishes, pass: &Pass) -> bool {
    let mut clear = BTreeSet::new();
    let tables = snapshot.rows.iter().enumerate();
    let mut records = tables.flat_map(|(t, rows)| (0..rows.len()).map(move |r| (t, r)));
    records.any(|record| {
        let mut path = Vec::new();
        leads_back(schema, snapshot, wishes, record, &mut path, &mut clear)
            && path
                .iter()
                .any(|one| !is_itself(schema, snapshot, *one, pass))
    })
}

fn is_itself(schema: &Schema, snapshot: &Database, (t, r): Record, pass: &Pass) -> bool {
    let Some(Target::Row(row)) = pass.targets.get(&(t, r)) else {
        return false;
    };
    let tables = schema.tables.iter();
    let mut referring = tables.flat_map(|table| table.known_references());
    referring.all(|(_, reference)| {
        let columns = &reference.parent_columns;
        let values = &snapshot.rows[t][r].values;
        reference.parent != t
            || !is_whole(columns, values)
            || schema.tables[t].equal_in(columns, row, values)
    })
}

fn leads_back(
    schema: &Schema,
    snapshot: &Database,
    wishes: &Wishes,
    record: Record,
    path: &mut Vec<Record>,
    clear: &mut BTreeSet<Record>,
) -> bool {
    if path.contains(&record) {
        return true;
    }
    if clear.contains(&record) {
        return false;
    }
    path.push(record);
    let (t, r) = record;
    let table = &schema.tables[t];
    let values = &snapshot.rows[t][r].values;
    let given = wishes.keys.iter().filter(|(of, _)| *of == t);
    let mut keys: Vec<&Vec<usize>> = given.map(|(_, columns)| columns).collect();
    keys.push(&table.primary);
    if wishes.matching != Match::Id {
        keys.extend(table.live_unique());
    }
    keys.retain(|key| is_whole(key, values));
    let leads = table.known_references().any(|(_, reference)| {
        let in_key = reference
            .columns
            .iter()
            .any(|c| keys.iter().any(|key| key.contains(c)));
        let parent = snapshot.parent(schema, reference, values);
        match parent.filter(|_| in_key) {
            Some(at) => {
                let parent = (reference.parent, at);
                leads_back(schema, snapshot, wishes, parent, path, clear)
            }
            None => false,
        }
    });
    if !leads {
        path.pop();
        clear.insert(record);
    }
    leads
}
