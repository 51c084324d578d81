//! Which row a record means: docs/restore.md §2.

use super::tables::{Table, Value, is_whole};
use super::wishes::{Match, Wishes};

/// A row of the database as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub rowid: i64,
    pub values: Vec<Value>,
    /// The values before the plan; records are compared with these.
    pub before: Vec<Value>,
    /// False if the plan inserts it.
    pub is_live: bool,
    /// True if a record has inserted it, filled it, or given it its values.
    pub is_written: bool,
    /// True if a record without a whole key is a copy of it.
    pub is_claimed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    New,
    /// The same thing as this row, under whatever key.
    Same(usize),
    /// This row has the id, and another name.
    Doubtful(usize),
    /// Several rows.
    Conflict,
}

/// The keys that are asked of a record: the primary key if it is among them, and others.
struct Asked {
    primary: Option<Vec<usize>>,
    others: Vec<Vec<usize>>,
}

fn asked(table: &Table, wishes: &Wishes, t: usize, values: &[Value]) -> Asked {
    let whole = |columns: &Vec<usize>| is_whole(columns, values);
    let given = wishes.keys.iter().filter(|(of, _)| *of == t);
    let given: Vec<Vec<usize>> = given.map(|(_, columns)| columns.clone()).collect();
    let unique: Vec<Vec<usize>> = table.live_unique().cloned().collect();
    let primary = Some(table.primary.clone()).filter(|p| !p.is_empty() && whole(p));
    let matching = match wishes.matching {
        Match::Id if table.primary.is_empty() => Match::Auto,
        matching => matching,
    };
    match matching {
        Match::Auto => Asked {
            primary,
            others: [unique, given].concat().into_iter().filter(whole).collect(),
        },
        Match::Id => Asked {
            primary,
            others: Vec::new(),
        },
        Match::Natural => {
            let natural = if given.is_empty() { unique } else { given };
            let others: Vec<Vec<usize>> = natural.into_iter().filter(whole).collect();
            Asked {
                primary: primary.filter(|_| others.is_empty()),
                others,
            }
        }
    }
}

/// What the keys find among the rows there are, those that the plan inserts included.
pub fn identify(
    table: &Table,
    wishes: &Wishes,
    t: usize,
    values: &[Value],
    slots: &[Slot],
) -> Found {
    let asked = asked(table, wishes, t, values);
    let find = |columns: &Vec<usize>| -> Vec<usize> {
        let has = |&at: &usize| table.equal_in(columns, &slots[at].before, values);
        (0..slots.len()).filter(has).collect()
    };
    if asked.primary.is_none() && asked.others.is_empty() {
        // Silent: "a copy" is one with the same values bit by bit, and a row that the plan inserts
        // is not one, for the record that it was inserted for has claimed it.
        let is_copy = |slot: &Slot| slot.is_live && !slot.is_claimed && slot.before == values;
        let copy = slots.iter().position(is_copy);
        return copy.map_or(Found::New, Found::Same);
    }
    let by_primary = asked.primary.as_ref().map(find).unwrap_or_default();
    let by_others: Vec<usize> = asked.others.iter().flat_map(find).collect();
    let mut rows = [by_primary.clone(), by_others.clone()].concat();
    rows.sort_unstable();
    rows.dedup();
    let [x] = rows[..] else {
        return match rows.is_empty() {
            true => Found::New,
            false => Found::Conflict,
        };
    };
    let row = &slots[x].before;
    let contradicts = |key: &Vec<usize>| is_whole(key, row) && !table.equal_in(key, row, values);
    let is_contradicted = asked.others.iter().any(contradicts);
    match (by_primary.is_empty(), by_others.is_empty()) {
        (false, true) if is_contradicted => Found::Doubtful(x),
        (true, false) if is_contradicted => Found::Conflict,
        _ => Found::Same(x),
    }
}
