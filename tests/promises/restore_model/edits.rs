//! What an application does to rows. An edit that the schema forbids changes nothing, so any edit
//! can be left out of a case.

use super::draw::Draw;
use super::tables::{Database, Row, Schema, Table, Value, is_whole};

/// One edit; rows are named by their place, counted round.
#[derive(Debug, Clone)]
pub enum Edit {
    Insert {
        t: usize,
        row: Row,
    },
    Delete {
        t: usize,
        at: usize,
    },
    Set {
        t: usize,
        at: usize,
        c: usize,
        to: Value,
    },
    /// Another primary key, which references follow or not.
    Move {
        t: usize,
        at: usize,
        to: Value,
        follow: bool,
    },
    Swap {
        t: usize,
        a: usize,
        b: usize,
        c: usize,
    },
}

/// Which of the two databases; before they part, neither may break a rule of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Both,
    Snapshot,
    Live,
}

pub fn draw_edit(draw: &mut Draw, schema: &Schema, db: &Database, mostly_insert: bool) -> Edit {
    let t = draw.below(schema.tables.len());
    let table = &schema.tables[t];
    let at = draw.below(8);
    let kind = if mostly_insert {
        draw.below(2)
    } else {
        draw.below(10)
    };
    match kind {
        0..=2 => Edit::Insert {
            t,
            row: row(draw, schema, db, t),
        },
        3 | 4 => Edit::Delete { t, at },
        5 if !table.primary.is_empty() => {
            let c = draw.pick(&table.primary);
            let to = draw.value(table.columns[c].affinity);
            Edit::Move {
                t,
                at,
                to,
                follow: draw.once_in(2),
            }
        }
        6 if !table.unique.is_empty() => {
            let key = draw.pick(&table.unique);
            let c = draw.pick(&key.columns);
            match draw.once_in(2) {
                true => Edit::Swap {
                    t,
                    a: at,
                    b: draw.below(8),
                    c,
                },
                false => Edit::Set {
                    t,
                    at,
                    c,
                    to: value(draw, table, c),
                },
            }
        }
        7 if !table.references.is_empty() => {
            let reference = draw.pick(&table.references);
            let c = draw.pick(&reference.columns);
            Edit::Set {
                t,
                at,
                c,
                to: value(draw, table, c),
            }
        }
        _ => {
            let c = draw.below(table.columns.len());
            Edit::Set {
                t,
                at,
                c,
                to: value(draw, table, c),
            }
        }
    }
}

fn value(draw: &mut Draw, table: &Table, c: usize) -> Value {
    let column = &table.columns[c];
    match draw.once_in(4) {
        true if !column.not_null => Value::Null,
        _ => draw.value(column.affinity),
    }
}

/// A new row: most references lead to a row that is there.
fn row(draw: &mut Draw, schema: &Schema, db: &Database, t: usize) -> Row {
    let table = &schema.tables[t];
    let mut values: Vec<Value> = (0..table.columns.len())
        .map(|c| value(draw, table, c))
        .collect();
    let free = db.largest_rowid(t) + 1;
    let rowid = if draw.once_in(3) {
        draw.number(9)
    } else {
        free
    };
    if table.has_alias() {
        values[table.primary[0]] = Value::Int(rowid);
    }
    for reference in &table.references {
        let parents = &db.rows[reference.parent];
        if parents.is_empty() || draw.once_in(4) {
            continue;
        }
        let parent = draw.pick(parents);
        for (&c, &p) in reference.columns.iter().zip(&reference.parent_columns) {
            values[c] = parent.values[p].clone();
        }
    }
    Row { rowid, values }
}

pub fn apply(schema: &Schema, db: &mut Database, edit: &Edit, side: Side) {
    let mut after = db.clone();
    let place =
        |t: usize, at: usize| (!db.rows[t].is_empty()).then(|| at % db.rows[t].len().max(1));
    let put = |after: &mut Database, t: usize, at: usize, c: usize, to: &Value| {
        after.rows[t][at].values[c] = to.clone();
    };
    let touched = match edit {
        Edit::Insert { t, row } => {
            after.rows[*t].push(row.clone());
            vec![*t]
        }
        Edit::Delete { t, at } => {
            let Some(at) = place(*t, *at) else { return };
            after.rows[*t].remove(at);
            vec![]
        }
        Edit::Set { t, at, c, to } => {
            let Some(at) = place(*t, *at) else { return };
            put(&mut after, *t, at, *c, to);
            vec![*t]
        }
        Edit::Swap { t, a, b, c } => {
            let (Some(a), Some(b)) = (place(*t, *a), place(*t, *b)) else {
                return;
            };
            let (one, other) = (&db.rows[*t][a].values[*c], &db.rows[*t][b].values[*c]);
            put(&mut after, *t, a, *c, other);
            put(&mut after, *t, b, *c, one);
            vec![*t]
        }
        Edit::Move { t, at, to, follow } => {
            let Some(at) = place(*t, *at) else { return };
            let c = schema.tables[*t].primary[0];
            put(&mut after, *t, at, c, to);
            match follow {
                true => follow_key(schema, db, &mut after, *t, at, c),
                false => vec![*t],
            }
        }
    };
    touched.iter().for_each(|&t| store(schema, &mut after, t));
    if touched
        .iter()
        .all(|&t| is_allowed(&schema.tables[t], &after.rows[t], side))
    {
        after.sort(schema);
        for (t, table) in schema
            .tables
            .iter()
            .enumerate()
            .filter(|(_, t)| t.autoincrement)
        {
            debug_assert!(table.has_alias());
            after.sequence[t] = after.sequence[t].max(after.largest_rowid(t));
        }
        *db = after;
    }
}

/// Lets references follow a row whose key was changed.
fn follow_key(
    schema: &Schema,
    before: &Database,
    after: &mut Database,
    t: usize,
    at: usize,
    c: usize,
) -> Vec<usize> {
    let old = &before.rows[t][at].values;
    let new = after.rows[t][at].values[c].clone();
    let mut touched = vec![t];
    for (child, table) in schema.tables.iter().enumerate() {
        for reference in table.references.iter().filter(|r| r.parent == t) {
            let Some(nth) = reference.parent_columns.iter().position(|&p| p == c) else {
                continue;
            };
            for (r, row) in before.rows[child].iter().enumerate() {
                if schema.refers(reference, &row.values, old) {
                    after.rows[child][r].values[reference.columns[nth]] = new.clone();
                    touched.push(child);
                }
            }
        }
    }
    touched
}

/// Affinities; the rowid where it is a column.
fn store(schema: &Schema, db: &mut Database, t: usize) {
    let table = &schema.tables[t];
    for row in &mut db.rows[t] {
        row.values = table.stored(&row.values);
        if table.without_rowid {
            row.rowid = 0;
        } else if table.has_alias() {
            row.rowid = match row.values[table.primary[0]] {
                Value::Int(id) => id,
                _ => 0,
            };
        }
    }
}

fn is_allowed(table: &Table, rows: &[Row], side: Side) -> bool {
    let is_complete = |row: &Row| {
        let is_typed = !table.has_alias() || matches!(row.values[table.primary[0]], Value::Int(_));
        let mut columns = table.columns.iter().zip(&row.values);
        is_typed && columns.all(|(column, value)| !column.not_null || !value.is_null())
    };
    let mut keys: Vec<&Vec<usize>> = vec![&table.primary];
    let declared = table.unique.iter().filter(|key| match side {
        Side::Both => true,
        Side::Snapshot => key.in_snapshot,
        Side::Live => key.in_live,
    });
    keys.extend(declared.map(|key| &key.columns));
    keys.retain(|key| !key.is_empty());
    let collide = |a: &Row, b: &Row| {
        let same_rowid = !table.without_rowid && a.rowid == b.rowid;
        let same_key = |key: &&Vec<usize>| {
            is_whole(key, &a.values) && table.equal_in(key, &a.values, &b.values)
        };
        same_rowid || keys.iter().any(same_key)
    };
    rows.iter().all(is_complete)
        && rows
            .iter()
            .enumerate()
            .all(|(n, a)| rows[n + 1..].iter().all(|b| !collide(a, b)))
}
