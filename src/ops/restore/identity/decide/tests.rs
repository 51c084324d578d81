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
        declared: None,
    }
}

fn row(id: i64) -> Row {
    Row::Live(RowId(vec![Value::Integer(id)]))
}

/// What the primary key finds, and the UNIQUE keys that are whole.
fn found(primary: &[i64], unique: &[&[i64]]) -> Vec<Found> {
    let rows = |ids: &[i64]| ids.iter().map(|id| row(*id)).collect();
    let primary = Found {
        key: KeyName::Primary,
        rows: rows(primary),
    };
    let unique = unique.iter().enumerate().map(|(at, ids)| Found {
        key: KeyName::Unique(at),
        rows: rows(ids),
    });
    std::iter::once(primary).chain(unique).collect()
}

/// The table of which rows are the same thing, line by line.
#[test]
fn a_row_is_the_same_by_its_keys() {
    let (id, code, mail) = (KeyName::Primary, KeyName::Unique(0), KeyName::Unique(1));
    let same = |at, keys: &[KeyName], missing: &[KeyName]| Identity::Same {
        row: row(at),
        by_primary: keys.contains(&id),
        keys: keys.to_vec(),
        missing: missing.to_vec(),
    };
    assert_eq!(identify(&found(&[], &[])), Identity::New);
    assert_eq!(identify(&found(&[], &[&[]])), Identity::New);
    assert_eq!(identify(&found(&[1], &[])), same(1, &[id], &[]));
    assert_eq!(identify(&found(&[1], &[&[1]])), same(1, &[id, code], &[]));
    assert_eq!(identify(&found(&[], &[&[2]])), same(2, &[code], &[]));
    // Whether the other key says something against it, the row's values tell.
    assert_eq!(
        identify(&found(&[], &[&[2], &[]])),
        same(2, &[code], &[mail])
    );
    // One UNIQUE key confirms the row, another has changed.
    assert_eq!(
        identify(&found(&[1], &[&[1], &[]])),
        same(1, &[id, code], &[])
    );
    assert_eq!(
        identify(&found(&[1], &[&[]])),
        Identity::Doubtful {
            row: row(1),
            missing: vec![KeyName::Unique(0)]
        }
    );
    for several in [
        found(&[1], &[&[2]]),
        found(&[], &[&[1], &[2]]),
        found(&[], &[&[1, 2]]),
    ] {
        assert!(
            matches!(identify(&several), Identity::Several { .. }),
            "{several:?}"
        );
    }
}

/// A NULL in the row's key says nothing against it.
#[test]
fn a_key_that_is_null_in_the_row_does_not_contradict() {
    use Field::{Differs, Empty, Equal};
    let missing = [KeyName::Unique(0)];
    assert!(contradicts(&map(), &missing, &[Equal, Differs, Equal]));
    assert!(!contradicts(&map(), &missing, &[Equal, Empty, Differs]));
}

/// What each mode does with a row that is there.
#[test]
fn a_mode_decides_what_a_difference_means() {
    use Field::{Differs, Empty, Equal};
    let decide =
        |fields: [Field; 3], other_id, mode| decide(&map(), &fields, other_id, mode, false);
    for mode in [Mode::Add, Mode::Augment, Mode::Replace] {
        assert_eq!(decide([Equal; 3], false, mode), RowAction::Same);
        // Under another id, the id does not count.
        assert_eq!(decide([Differs, Equal, Equal], true, mode), RowAction::Same);
    }
    let differs = [Equal, Equal, Differs];
    assert_eq!(decide(differs, false, Mode::Add), RowAction::Skip);
    assert_eq!(decide(differs, false, Mode::Augment), RowAction::Skip);
    assert_eq!(
        decide(differs, false, Mode::Replace),
        RowAction::Update(vec![2])
    );
    let empty = [Equal, Empty, Empty];
    assert_eq!(decide(empty, false, Mode::Add), RowAction::Skip);
    // Never a key.
    assert_eq!(
        decide(empty, false, Mode::Augment),
        RowAction::Fill(vec![2])
    );
    assert_eq!(
        decide(empty, false, Mode::Replace),
        RowAction::Update(vec![1, 2])
    );
    let only_key = [Equal, Empty, Equal];
    assert_eq!(decide(only_key, false, Mode::Augment), RowAction::Skip);
    assert_eq!(
        super::decide(&map(), &empty, false, Mode::Augment, true),
        RowAction::Skip
    );
}
