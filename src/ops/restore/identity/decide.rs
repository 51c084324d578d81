//! Which row a record means, and what happens to it then. Pure; the rules: docs/restore.md §2 and §3.

use crate::ops::restore::options::Mode;
use crate::target::{ColumnMap, Field, KeyName, RowId};

/// A row as the plan sees it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) enum Row {
    /// One of the database.
    Live(RowId),
    /// One that the plan inserts: the place of its record.
    Planned(u64),
}

/// What one key of a record finds.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) struct Found {
    /// The key, whole in the record.
    pub key: KeyName,
    /// The rows, two at most.
    pub rows: Vec<Row>,
}

/// The row that a record means.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) enum Identity {
    /// None.
    New,
    /// This one.
    Same {
        /// The row.
        row: Row,
        /// True if the primary key finds it.
        by_primary: bool,
        /// The keys that find it.
        keys: Vec<KeyName>,
        /// UNIQUE keys that find no row; where the primary key is confirmed by another, none.
        missing: Vec<KeyName>,
    },
    /// The row with its primary key, whose other keys say that it may be another thing.
    Doubtful {
        /// The row.
        row: Row,
        /// The keys that find no row.
        missing: Vec<KeyName>,
    },
    /// Several.
    Several {
        /// The rows.
        rows: Vec<Row>,
        /// The keys that find them.
        keys: Vec<KeyName>,
    },
}

/// Which row a record means, by what its keys found.
pub(in crate::ops::restore) fn identify(found: &[Found]) -> Identity {
    let (mut rows, mut keys): (Vec<Row>, Vec<KeyName>) = (Vec::new(), Vec::new());
    for one in found {
        for row in &one.rows {
            if !rows.contains(row) {
                rows.push(row.clone());
            }
        }
        if !one.rows.is_empty() {
            keys.push(one.key);
        }
    }
    let by_primary = keys.contains(&KeyName::Primary);
    match rows.as_slice() {
        [] => Identity::New,
        [row] => {
            let others = found.iter().filter(|one| one.key != KeyName::Primary);
            let missing: Vec<KeyName> = others
                .filter(|one| one.rows.is_empty())
                .map(|one| one.key)
                .collect();
            let row = row.clone();
            match (by_primary, missing.is_empty()) {
                (true, false) if keys.len() == 1 => Identity::Doubtful { row, missing },
                // With the primary key, one that confirms the row outweighs one that does not.
                (true, _) => Identity::Same {
                    row,
                    by_primary,
                    keys,
                    missing: Vec::new(),
                },
                (false, _) => Identity::Same {
                    row,
                    by_primary,
                    keys,
                    missing,
                },
            }
        }
        _ => Identity::Several { rows, keys },
    }
}

/// True if a key that finds no row speaks against a row that other keys find: NULL in the row's key
/// says nothing. `fields` compares the row with the record.
pub(in crate::ops::restore) fn contradicts(
    map: &ColumnMap,
    missing: &[KeyName],
    fields: &[Field],
) -> bool {
    missing.iter().any(|name| {
        map.key(*name).is_some_and(|key| {
            let mut columns = key.columns.iter();
            !columns.any(|(at, _)| fields.get(*at) == Some(&Field::Empty))
        })
    })
}

/// What becomes of a record whose row is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::restore) enum RowAction {
    /// Its row has equal values.
    Same,
    /// Its row has other values, which stay.
    Skip,
    /// These mapped columns of its row, NULL there, get its values.
    Fill(Vec<usize>),
    /// These mapped columns of its row get its values.
    Update(Vec<usize>),
}

/// What becomes of a record whose row is there. `fields` compares the row with it; the primary key does
/// not count with `other_id`, nor where it is not written.
pub(in crate::ops::restore) fn decide(
    map: &ColumnMap,
    fields: &[Field],
    other_id: bool,
    mode: Mode,
    deleted_only: bool,
) -> RowAction {
    let leaves_key = other_id || mode == Mode::Replace;
    let primary = map.primary.as_ref().filter(|_| leaves_key);
    let counts = |at: &usize| !primary.is_some_and(|key| key.columns.iter().any(|(c, _)| c == at));
    let differing = |at: &usize| fields.get(*at).is_some_and(|field| *field != Field::Equal);
    let different: Vec<usize> = (0..fields.len())
        .filter(|at| counts(at) && differing(at))
        .collect();
    if different.is_empty() {
        return RowAction::Same;
    }
    match mode {
        _ if deleted_only => RowAction::Skip,
        Mode::Add => RowAction::Skip,
        Mode::Augment => {
            let fillable = |at: &usize| {
                fields.get(*at) == Some(&Field::Empty)
                    && map.columns.get(*at).is_some_and(|column| !column.in_key)
            };
            match different.into_iter().filter(fillable).collect::<Vec<_>>() {
                none if none.is_empty() => RowAction::Skip,
                columns => RowAction::Fill(columns),
            }
        }
        Mode::Replace => RowAction::Update(different),
    }
}

#[cfg(test)]
mod tests;
