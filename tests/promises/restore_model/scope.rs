//! Which records are restored: docs/restore.md §1.

use super::tables::{Database, Schema, Value};
use super::wishes::{Test, Wishes};

/// For each table, for each record of the snapshot: whether it is in scope.
pub type Scope = Vec<Vec<bool>>;

pub fn scope(schema: &Schema, snapshot: &Database, wishes: &Wishes) -> Scope {
    let tables = 0..schema.tables.len();
    let mut scope: Scope = tables
        .map(|t| {
            let rows = snapshot.rows[t].iter();
            rows.map(|row| is_chosen(schema, wishes, t, &row.values))
                .collect()
        })
        .collect();
    if wishes.with_children {
        close(schema, snapshot, wishes, &mut scope, false);
    }
    if wishes.with_parents {
        close(schema, snapshot, wishes, &mut scope, true);
    }
    scope
}

fn is_chosen(schema: &Schema, wishes: &Wishes, t: usize, values: &[Value]) -> bool {
    if wishes.excluded.contains(&t) {
        return false;
    }
    let mut keys = wishes
        .key_values
        .iter()
        .filter(|(of, _)| *of == t)
        .peekable();
    if keys.peek().is_some() {
        return keys.any(|(_, key)| has_key(schema, t, values, key));
    }
    // Silent: where keys are given and no table, only those records are meant.
    let is_named = match wishes.tables.is_empty() {
        true => wishes.key_values.is_empty(),
        false => wishes.tables.contains(&t),
    };
    is_named
        && wishes
            .filter
            .as_ref()
            .is_none_or(|(c, test)| passes(schema, t, *c, test, values))
}

/// The key is given as text, which is compared as a number where a row holds one.
fn has_key(schema: &Schema, t: usize, values: &[Value], key: &[Value]) -> bool {
    let table = &schema.tables[t];
    table.primary.iter().zip(key).all(|(&c, wanted)| {
        let (column, value) = (&table.columns[c], &values[c]);
        let as_text = match wanted {
            Value::Int(v) => Value::Text(v.to_string()),
            _ => wanted.clone(),
        };
        let as_number = match &as_text {
            Value::Text(text) => text.parse().map_or(Value::Null, Value::Int),
            _ => Value::Null,
        };
        column.equal(value, &as_text) || column.equal(value, &as_number)
    })
}

fn passes(schema: &Schema, t: usize, c: usize, test: &Test, values: &[Value]) -> bool {
    let (column, value) = (&schema.tables[t].columns[c], &values[c]);
    match test {
        Test::IsNull => value.is_null(),
        Test::Equals(wanted) => column.equal(value, &column.affinity.apply(wanted)),
        Test::Above(bound) => {
            !value.is_null() && column.order(value, &column.affinity.apply(bound)).is_gt()
        }
    }
}

/// Adds parents, or children, until nothing is added any more. Records of excluded tables are neither
/// added nor gone through.
fn close(
    schema: &Schema,
    snapshot: &Database,
    wishes: &Wishes,
    scope: &mut Scope,
    to_parents: bool,
) {
    loop {
        let mut added = Vec::new();
        for (t, table) in schema.tables.iter().enumerate() {
            for (_, reference) in table.known_references() {
                for (r, row) in snapshot.rows[t].iter().enumerate() {
                    // A declared reference may be to columns that are not UNIQUE: all of them count.
                    for (p, parent) in snapshot.rows[reference.parent].iter().enumerate() {
                        let (child, parent_at) = ((t, r), (reference.parent, p));
                        if schema.refers(reference, &row.values, &parent.values) {
                            added.push(match to_parents {
                                true => (child, parent_at),
                                false => (parent_at, child),
                            });
                        }
                    }
                }
            }
        }
        added.retain(|((ft, fr), (t, r))| {
            scope[*ft][*fr] && !scope[*t][*r] && !wishes.excluded.contains(t)
        });
        if added.is_empty() {
            return;
        }
        added.iter().for_each(|(_, (t, r))| scope[*t][*r] = true);
    }
}
