//! Records whose keys hold each other: which row one of them means depends on which row it means. The
//! rules may have several answers then, or none.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Pass, Record, Target, slots};
use super::tables::{Database, Schema, Value, is_whole};
use super::wishes::{Match, Wishes};

/// True if references that are part of keys lead from a record of the snapshot back to it.
pub fn any(schema: &Schema, snapshot: &Database, wishes: &Wishes) -> bool {
    let mut clear = BTreeSet::new();
    let tables = snapshot.rows.iter().enumerate();
    let mut records = tables.flat_map(|(t, rows)| (0..rows.len()).map(move |r| (t, r)));
    records.any(|record| {
        let mut path = Vec::new();
        leads_back(schema, snapshot, wishes, record, &mut path, &mut clear)
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
    path.pop();
    clear.insert(record);
    leads
}

/// What a pass may begin with, as well as with nothing: every record is a row with keys that nobody else has.
pub fn elsewhere(schema: &Schema, snapshot: &Database, live: &Database) -> Pass {
    let mut targets = BTreeMap::new();
    for (t, table) in schema.tables.iter().enumerate() {
        for (r, row) in snapshot.rows[t].iter().enumerate() {
            let mut values = row.values.clone();
            for (c, value) in values.iter_mut().enumerate().filter(|(_, v)| !v.is_null()) {
                let number = 1_000_000 + 1000 * r + c;
                *value = Value::Int(i64::try_from(number).unwrap());
            }
            targets.insert((t, r), Target::Row(table.stored(&values)));
        }
    }
    Pass {
        slots: slots(live),
        targets,
        ..Pass::default()
    }
}

/// And this: every record is the row that is like it in a key, but for the references in it.
pub fn alike(schema: &Schema, snapshot: &Database, live: &Database, wishes: &Wishes) -> Pass {
    let mut targets = BTreeMap::new();
    for (t, table) in schema.tables.iter().enumerate() {
        let given = wishes.keys.iter().filter(|(of, _)| *of == t);
        let given = given.map(|(_, columns)| columns);
        let keys: Vec<&Vec<usize>> = table.live_unique().chain(given).collect();
        let referring: Vec<usize> = table
            .known_references()
            .flat_map(|(_, reference)| reference.columns.clone())
            .collect();
        for (r, record) in snapshot.rows[t].iter().enumerate() {
            let is_like = |values: &[Value]| {
                keys.iter().any(|key| {
                    let own = key.iter().copied().filter(|c| !referring.contains(c));
                    let own: Vec<usize> = own.collect();
                    !own.is_empty() && table.equal_in(&own, values, &record.values)
                })
            };
            let like = live.rows[t].iter().find(|row| is_like(&row.values));
            if let Some(row) = like {
                targets.insert((t, r), Target::Row(row.values.clone()));
            }
        }
    }
    Pass {
        slots: slots(live),
        targets,
        ..Pass::default()
    }
}
