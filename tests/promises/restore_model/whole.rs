//! The replacement of whole tables: docs/restore.md §3. Nothing is translated; afterwards the tables
//! equal the snapshot's.

use std::collections::BTreeMap;

use super::identity::{Found, identify};
use super::rules::slots;
use super::tables::{Database, Row, Schema, Table, is_whole};
use super::wishes::{Choice, Counts, Gap, Others, Outcome, Wishes};

/// Silent: which answers are possible here. The model knows `create`, into tables out of scope; any
/// other would make a table differ from the snapshot's, and is not drawn.
///
/// `None`: a row that is created refers to a record that is another row, or may be. Then it would be
/// translated, which replacements are not.
pub fn replace(
    schema: &Schema,
    snapshot: &Database,
    live: &Database,
    wishes: &Wishes,
) -> Option<Outcome> {
    let is_replaced = |t: usize| is_replaced(schema, wishes, t);
    let mut outcome = Outcome {
        counts: vec![Counts::default(); schema.tables.len()],
        after: live.clone(),
        ..Outcome::default()
    };
    let mut written = Vec::new();
    for (t, table) in schema
        .tables
        .iter()
        .enumerate()
        .filter(|(t, _)| is_replaced(*t))
    {
        let counts = &mut outcome.counts[t];
        for row in &snapshot.rows[t] {
            let there = live.rows[t].iter().find(|l| is_same_place(table, l, row));
            match there {
                Some(there) if there.values == row.values => {
                    counts.same += 1;
                    continue;
                }
                Some(_) => counts.updated += 1,
                None => counts.inserted += 1,
            }
            // Silent: a reference that the row had already is not given to it, so it is neither carried
            // nor missing.
            let is_new = |c: &usize| there.is_none_or(|l| l.values[*c] != row.values[*c]);
            let references = table.known_references();
            let new = references.filter(|(_, r)| r.columns.iter().any(is_new));
            written.extend(new.map(|(n, _)| (t, n, row.clone())));
        }
        let stays = |l: &&Row| {
            snapshot.rows[t]
                .iter()
                .any(|row| is_same_place(table, l, row))
        };
        counts.deleted = live.rows[t].iter().filter(|l| !stays(l)).count() as u64;
        outcome.after.rows[t] = snapshot.rows[t].clone();
    }
    while let Some((t, n, row)) = written.pop() {
        let at = (t, n);
        let parent = check(schema, (snapshot, live), wishes, &mut outcome, at, &row);
        if let Some((parent, row)) = parent {
            if !is_plain(schema, snapshot, live, wishes, (parent, &row)) {
                return None;
            }
            let references = schema.tables[parent].known_references();
            written.extend(references.map(|(n, _)| (parent, n, row.clone())));
        }
    }
    if !wishes.force {
        outcome.orphaned = bereaved(schema, live, &outcome.after, wishes);
    }
    outcome.after.sort(schema);
    outcome.settle(live);
    Some(outcome)
}

/// True if what a created row refers to is new, or the row with the same key.
fn is_plain(
    schema: &Schema,
    snapshot: &Database,
    live: &Database,
    wishes: &Wishes,
    (t, row): (usize, &Row),
) -> bool {
    let slots = slots(live);
    schema.tables[t].known_references().all(|(_, reference)| {
        let p = reference.parent;
        let Some(at) = snapshot.parent(schema, reference, &row.values) else {
            return true;
        };
        let (table, record) = (&schema.tables[p], &snapshot.rows[p][at].values);
        match identify(table, wishes, p, record, &slots[p]) {
            _ if is_replaced(schema, wishes, p) => true,
            Found::New => true,
            Found::Same(at) => {
                table.equal_in(&reference.parent_columns, &slots[p][at].values, record)
            }
            Found::Doubtful(_) | Found::Conflict => false,
        }
    })
}

/// True if the table is replaced, where tables are.
pub fn is_replaced(schema: &Schema, wishes: &Wishes, t: usize) -> bool {
    let is_named = wishes.tables.is_empty() || wishes.tables.contains(&t);
    t < schema.tables.len() && is_named && !wishes.excluded.contains(&t)
}

/// By rowid, or by primary key where there is none.
fn is_same_place(table: &Table, a: &Row, b: &Row) -> bool {
    match table.without_rowid {
        true => table.equal_in(&table.primary, &a.values, &b.values),
        false => a.rowid == b.rowid,
    }
}

/// Looks at a reference of a row that is written; gives the parent that is inserted for it.
fn check(
    schema: &Schema,
    (snapshot, live): (&Database, &Database),
    wishes: &Wishes,
    outcome: &mut Outcome,
    (t, n): (usize, usize),
    row: &Row,
) -> Option<(usize, Row)> {
    let reference = &schema.tables[t].references[n];
    let is_whole = is_whole(&reference.columns, &row.values);
    if !is_whole
        || outcome
            .after
            .parent(schema, reference, &row.values)
            .is_some()
    {
        return None;
    }
    let parent = snapshot.parent(schema, reference, &row.values);
    let parent = parent.map(|at| snapshot.rows[reference.parent][at].clone());
    if parent.is_none() && (reference.in_snapshot || reference.declared) {
        outcome.counts[t].carried += 1;
        return None;
    }
    let gap = Gap {
        table: t,
        reference: n,
        values: reference
            .columns
            .iter()
            .map(|&c| row.values[c].clone())
            .collect(),
    };
    let mut decisions = wishes.decisions.iter();
    let single = decisions.find(|d| schema.same_gap(&d.of, &gap));
    let creates = match single {
        Some(decision) => decision.choice == Choice::Create,
        None => wishes.others == Some(Others::Create),
    };
    let slots = slots(live);
    let is_new = |p: &Row| {
        let t = reference.parent;
        identify(&schema.tables[t], wishes, t, &p.values, &slots[t]) == Found::New
    };
    let parent =
        parent.filter(|p| creates && is_new(p) && is_free(schema, outcome, reference.parent, p));
    let Some(parent) = parent else {
        let mut known = outcome.missing.keys();
        let known = known.find(|k| schema.same_gap(k, &gap)).cloned();
        *outcome.missing.entry(known.unwrap_or(gap)).or_default() += 1;
        return None;
    };
    outcome.after.rows[reference.parent].push(parent.clone());
    outcome.counts[reference.parent].inserted += 1;
    Some((reference.parent, parent))
}

/// True if no row has a key of this one.
fn is_free(schema: &Schema, outcome: &Outcome, t: usize, row: &Row) -> bool {
    let table = &schema.tables[t];
    let keys: Vec<_> = table
        .live_unique()
        .chain([&table.primary])
        .filter(|k| !k.is_empty())
        .collect();
    !outcome.after.rows[t].iter().any(|there| {
        keys.iter()
            .any(|key| table.equal_in(key, &there.values, &row.values))
    })
}

/// Rows of tables out of scope that lose their parent.
fn bereaved(
    schema: &Schema,
    live: &Database,
    after: &Database,
    wishes: &Wishes,
) -> BTreeMap<(usize, usize), u64> {
    let mut found = BTreeMap::new();
    for (t, table) in schema.tables.iter().enumerate() {
        if is_replaced(schema, wishes, t) {
            continue;
        }
        for (n, reference) in table.known_references() {
            let loses = |row: &&Row| {
                live.parent(schema, reference, &row.values).is_some()
                    && after.parent(schema, reference, &row.values).is_none()
            };
            let count = live.rows[t].iter().filter(loses).count() as u64;
            if count > 0 {
                found.insert((t, n), count);
            }
        }
    }
    found
}
