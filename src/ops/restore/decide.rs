//! What happens to one record, given the rows that it could mean. Pure: the plan and its execution
//! decide by the same functions. The rules: which rows are the same thing, and what a mode does.

use super::Mode;
use crate::target::{ColumnMap, Field, Matches, RowId};

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowAction {
    /// It is inserted.
    Insert,
    /// These mapped columns of its row, NULL there, get its values.
    Fill(Vec<usize>),
    /// Its row is there with equal values.
    Same,
    /// Its row is there with other values, which stay.
    Skip(Skip),
    /// It contradicts the database.
    Conflict(String),
}

/// Why a record is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// The row has other values.
    Differs,
    /// The row's UNIQUE keys are others: it was renamed, or its id was given to another thing.
    Doubtful,
    /// The row has another primary key.
    OtherId,
}

/// The row that a record means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Identity {
    /// None.
    New,
    /// This one.
    Row {
        /// The row.
        id: RowId,
        /// True if it was found by a UNIQUE key, though there is a primary key.
        other_id: bool,
        /// UNIQUE keys of the record that no row has.
        missing: Vec<usize>,
    },
    /// Several: which keys find which.
    Several(String),
}

/// Which row a record means, by what its keys found.
pub(super) fn identify(matches: &Matches, map: &ColumnMap) -> Identity {
    let mut rows: Vec<(&RowId, &str)> = Vec::new();
    let primary = matches.by_primary.iter();
    let by_primary = primary.map(|id| (id, map.primary.as_ref().map_or("", |key| &key.name)));
    let by_unique = matches.by_unique.iter().filter_map(|(key, id)| {
        let name = map.unique.get(*key).map_or("", |key| &key.name);
        id.as_ref().map(|id| (id, name))
    });
    for (id, name) in by_primary.chain(by_unique) {
        if !rows.iter().any(|(other, _)| *other == id) {
            rows.push((id, name));
        }
    }
    match rows.as_slice() {
        [] => Identity::New,
        [(id, _)] => {
            let missing = matches.by_unique.iter().filter(|(_, id)| id.is_none());
            Identity::Row {
                id: (*id).clone(),
                other_id: matches.has_primary && matches.by_primary.is_none(),
                missing: missing.map(|(key, _)| *key).collect(),
            }
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| *name).collect();
            Identity::Several(format!(
                "its keys ({}) are those of {} different rows",
                names.join("; "),
                several.len()
            ))
        }
    }
}

/// What becomes of a record whose row was found. `fields` compares the row with it.
pub(super) fn decide(
    map: &ColumnMap,
    fields: &[Field],
    other_id: bool,
    missing: &[usize],
    mode: Mode,
) -> RowAction {
    if fields.iter().all(|field| *field == Field::Equal) {
        return RowAction::Same;
    }
    // A key that is NULL in the row says nothing against it.
    let contradicts = |key: &&usize| {
        map.unique.get(**key).is_some_and(|key| {
            let mut columns = key.columns.iter();
            !columns.any(|(at, _)| fields.get(*at) == Some(&Field::Empty))
        })
    };
    // Where the row was found by a UNIQUE key, another one cannot make it doubtful.
    let by_primary = !other_id && map.primary.is_some();
    let doubt = missing.iter().find(contradicts).filter(|_| by_primary);
    if let Some(key) = doubt {
        return match mode {
            Mode::Augment => {
                let name = map.unique.get(*key).map_or("", |key| &key.name);
                RowAction::Conflict(format!(
                    "the row with its primary key has another {name}: it was renamed, or its id was given to another thing"
                ))
            }
            _ => RowAction::Skip(Skip::Doubtful),
        };
    }
    let fillable: Vec<usize> = match mode {
        Mode::Augment => map
            .columns
            .iter()
            .zip(fields)
            .enumerate()
            .filter(|(_, (column, field))| **field == Field::Empty && !column.in_key)
            .map(|(at, _)| at)
            .collect(),
        _ => Vec::new(),
    };
    match (fillable.is_empty(), other_id) {
        (false, _) => RowAction::Fill(fillable),
        (true, true) => RowAction::Skip(Skip::OtherId),
        (true, false) => RowAction::Skip(Skip::Differs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::row::Collation;
    use crate::model::value::Value;
    use crate::target::{Key, Mapped, Slot};

    /// Columns id (primary key), code (UNIQUE), name.
    fn map() -> ColumnMap {
        let column = |at: usize, name: &str| Mapped {
            slot: Slot::Leaf(at),
            column: at,
            name: name.to_owned(),
            in_key: at < 2,
        };
        let key = |at: usize, name: &str| Key {
            name: name.to_owned(),
            columns: vec![(at, Collation::Binary)],
        };
        ColumnMap {
            columns: vec![column(0, "id"), column(1, "code"), column(2, "name")],
            added: Vec::new(),
            dropped: Vec::new(),
            keeps_rowid: false,
            primary: Some(key(0, "id")),
            unique: vec![key(1, "code")],
        }
    }

    fn row(id: i64) -> RowId {
        RowId(vec![Value::Integer(id)])
    }

    fn matches(primary: Option<i64>, unique: Option<Option<i64>>) -> Matches {
        Matches {
            has_primary: true,
            by_primary: primary.map(row),
            by_unique: unique.into_iter().map(|id| (0, id.map(row))).collect(),
        }
    }

    /// The table of which rows are the same thing, line by line.
    #[test]
    fn a_row_is_the_same_by_its_keys() {
        let identify = |primary, unique| identify(&matches(primary, unique), &map());
        let one = |id, other_id, missing: &[usize]| Identity::Row {
            id: row(id),
            other_id,
            missing: missing.to_vec(),
        };
        assert_eq!(identify(None, None), Identity::New);
        assert_eq!(identify(None, Some(None)), Identity::New);
        assert_eq!(identify(Some(1), None), one(1, false, &[]));
        assert_eq!(identify(Some(1), Some(Some(1))), one(1, false, &[]));
        assert_eq!(identify(Some(1), Some(None)), one(1, false, &[0]));
        assert_eq!(identify(None, Some(Some(2))), one(2, true, &[]));
        let several = identify(Some(1), Some(Some(2)));
        assert!(
            matches!(&several, Identity::Several(why) if why.contains("id; code")),
            "{several:?}"
        );
    }

    /// `add` leaves rows as they are; `augment` fills NULLs, never in a key.
    #[test]
    fn a_mode_decides_what_a_difference_means() {
        use Field::{Differs, Empty, Equal};
        let decide = |fields: [Field; 3], missing: &[usize], mode| {
            decide(&map(), &fields, false, missing, mode)
        };
        for mode in [Mode::Add, Mode::Augment] {
            assert_eq!(decide([Equal; 3], &[], mode), RowAction::Same);
            let differs = decide([Equal, Equal, Differs], &[], mode);
            assert_eq!(differs, RowAction::Skip(Skip::Differs));
            let null_key = decide([Equal, Empty, Differs], &[0], mode);
            assert_eq!(null_key, RowAction::Skip(Skip::Differs));
        }
        let empty = [Equal, Empty, Empty];
        assert_eq!(
            decide(empty, &[0], Mode::Add),
            RowAction::Skip(Skip::Differs)
        );
        assert_eq!(decide(empty, &[0], Mode::Augment), RowAction::Fill(vec![2]));
        let renamed = [Equal, Differs, Empty];
        assert_eq!(
            decide(renamed, &[0], Mode::Add),
            RowAction::Skip(Skip::Doubtful)
        );
        assert!(matches!(
            decide(renamed, &[0], Mode::Augment),
            RowAction::Conflict(_)
        ));
    }
}
