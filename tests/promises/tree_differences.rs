//! The rows that differ between two trees: applied to one state they give the other, whatever the
//! order of the trees, and nothing is read that both share.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use larder::format::blob::{BlobError, BlobKind, BlobSource};
use larder::format::manifest::Changes;
use larder::format::node::key_canonical;
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::{Value, ValueRef};
use larder::testkit::blobs::MapBlobs;
use larder::tree::diff::{self, Difference, Field, Matched, State};
use larder::tree::{Root, TreeShape};
use proptest::prelude::*;

use super::tree_rows::*;

/// One difference: the row before, the row after.
type Owned = (Option<Row>, Option<Row>);

fn owned(row: RowRef<'_>) -> Row {
    let values = row.values.iter().map(|value| ValueRef::to_owned(*value));
    (row.rowid, values.collect())
}

/// Remembers what was read.
struct Watched<'a> {
    blobs: &'a MapBlobs,
    read: RefCell<Vec<(BlobKind, BlobId)>>,
}

impl<'a> Watched<'a> {
    fn new(blobs: &'a MapBlobs) -> Self {
        Self {
            blobs,
            read: RefCell::default(),
        }
    }
}

impl BlobSource for Watched<'_> {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.read.borrow_mut().push((kind, *id));
        self.blobs.get(kind, id)
    }
}

fn identity(shape: &TreeShape) -> Vec<(Field, Field)> {
    let leaf = (0..shape.columns).map(|at| (Field::Leaf(at), Field::Leaf(at)));
    let alias =
        (shape.order == larder::tree::Order::RowidAlias).then_some((Field::Rowid, Field::Rowid));
    alias.into_iter().chain(leaf).collect()
}

struct Found {
    rows: Vec<Owned>,
    matched: Matched,
    changes: Changes,
}

fn differences(
    source: &dyn BlobSource,
    a: (&TreeShape, Option<&Root>),
    b: (&TreeShape, Option<&Root>),
    key: &[Field],
    columns: &[(Field, Field)],
) -> Found {
    let state = |(shape, root)| State { shape, root, key };
    let hash = larder::codec::hash::StoreHash::unkeyed();
    let mut rows = Vec::new();
    let (matched, changes) = diff::rows::<BlobError>(
        source,
        hash,
        state(a),
        state(b),
        columns,
        Some(&mut |difference| {
            rows.push(match difference {
                Difference::Added(row) => (None, Some(owned(row))),
                Difference::Removed(row) => (Some(owned(row)), None),
                Difference::Changed(old, new) => (Some(owned(old)), Some(owned(new))),
            });
            Ok(())
        }),
    )
    .unwrap();
    Found {
        rows,
        matched,
        changes,
    }
}

/// Values bit for bit; the rowid only where it is a column.
fn content(shape: &TreeShape, row: &Row) -> (Option<i64>, Vec<u8>) {
    let mut out = Vec::new();
    key_canonical(row.1.iter().map(Value::as_ref), &mut out);
    let rowid = (shape.order == larder::tree::Order::RowidAlias).then_some(row.0);
    (rowid.flatten(), out)
}

type Multiset = HashMap<(Option<i64>, Vec<u8>), i64>;

fn multiset(shape: &TreeShape, rows: &[Row]) -> Multiset {
    let mut set = Multiset::new();
    for row in rows {
        *set.entry(content(shape, row)).or_default() += 1;
    }
    set
}

/// Takes the old rows out and puts the new ones in; an old row must be there.
fn applied(shape: &TreeShape, before: &[Row], rows: &[Owned]) -> Multiset {
    let mut set = multiset(shape, before);
    for (old, _) in rows {
        if let Some(old) = old {
            let count = set
                .get_mut(&content(shape, old))
                .expect("an old row that was there");
            *count -= 1;
            assert!(*count >= 0, "a row that is removed twice");
        }
    }
    for (_, new) in rows {
        if let Some(new) = new {
            *set.entry(content(shape, new)).or_default() += 1;
        }
    }
    set.retain(|_, count| *count != 0);
    set
}

fn edited(shape: &TreeShape, rows: &[Row], rarely: u64, random: &mut Random) -> Vec<Row> {
    let mut out = Vec::new();
    for row in rows {
        let mut row = row.clone();
        match random.below(rarely * 4) {
            0 => continue,
            1 => row.1[3] = Value::Integer(random.next().cast_signed()),
            2 => out.push((row.0.map(|r| r + 100_000), values(random))),
            3 => out.push((row.0.map(|r| r + 200_000), row.1.clone())),
            _ => {}
        }
        out.push(row);
    }
    arrange(shape, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every kind of order, both ways; the counts are those of `count`.
    #[test]
    fn the_differences_applied_to_one_state_give_the_other(
        seed in any::<u64>(), at in 0_usize..4, count in 0_usize..2500, rarely in 1_u64..400,
    ) {
        let (_, shape) = shapes().swap_remove(at);
        let mut random = Random(seed);
        let before = rows(&shape, count, &mut random);
        let after = edited(&shape, &before, rarely, &mut random);
        let mut blobs = MapBlobs::new();
        let (a, b) = (build(&shape, &before, &mut blobs), build(&shape, &after, &mut blobs));
        for (from, to, from_rows, to_rows) in [(&a, &b, &before, &after), (&b, &a, &after, &before)] {
            let (from, to) = ((&shape, from.as_ref()), (&shape, to.as_ref()));
            let found = differences(&blobs, from, to, &[], &identity(&shape));
            prop_assert_eq!(applied(&shape, from_rows, &found.rows), multiset(&shape, to_rows));
            let state = |(shape, root)| State { shape, root, key: &[] };
            let counted = diff::count(&blobs, blobs.hash(), state(from), state(to)).unwrap();
            prop_assert_eq!(found.changes, counted);
            let kinds = |of: fn(&Owned) -> bool| found.rows.iter().filter(|row| of(row)).count() as u64;
            prop_assert_eq!(kinds(|row| row.0.is_none()), counted.added);
            prop_assert_eq!(kinds(|row| row.1.is_none()), counted.removed);
        }
    }

    /// A table whose primary key is no rowid and whose rowids were all given anew: rows are the same
    /// by that key.
    #[test]
    fn rows_of_one_primary_key_are_one_row_wherever_they_lie(
        seed in any::<u64>(), count in 0_i64..1500, rarely in 2_u64..200,
    ) {
        let (_, shape) = shapes().swap_remove(1);
        let mut random = Random(seed);
        let row = |random: &mut Random, name: i64| {
            let mut row = values(random);
            row[1] = Value::Text(format!("name {name}").into_bytes());
            row
        };
        let before: Vec<Row> = (0..count).map(|n| (Some(n), row(&mut random, n))).collect();
        let mut after: Vec<Vec<Value>> = Vec::new();
        let (mut added, mut changed, mut removed) = (0_u64, 0_u64, 0_u64);
        for (at, (_, old)) in (0..).zip(&before) {
            match random.below(rarely) {
                0 => removed += 1,
                1 => {
                    changed += 1;
                    let mut new = old.clone();
                    new[3] = Value::Integer(at);
                    after.push(new);
                }
                _ => after.push(old.clone()),
            }
            if random.below(rarely) == 0 {
                added += 1;
                after.push(row(&mut random, 100_000 + at));
            }
        }
        // In another order altogether.
        for at in (1..after.len()).rev() {
            after.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
        }
        let after: Vec<Row> = (7..).zip(after).map(|(rowid, row)| (Some(rowid), row)).collect();
        let mut blobs = MapBlobs::new();
        let (a, b) = (build(&shape, &before, &mut blobs), build(&shape, &after, &mut blobs));
        let sides = ((&shape, a.as_ref()), (&shape, b.as_ref()));
        let found = differences(&blobs, sides.0, sides.1, &[Field::Leaf(1)], &identity(&shape));
        prop_assert_eq!(found.changes, Changes { added, changed, removed });
        prop_assert_eq!(found.matched, Matched::ByContentAndKey);
        prop_assert_eq!(applied(&shape, &before, &found.rows), multiset(&shape, &after));
        for (old, new) in &found.rows {
            if let (Some(old), Some(new)) = (old, new) {
                prop_assert_eq!(&old.1[1], &new.1[1]);
            }
        }
    }
}

/// Two equal states are told from their roots; of two that differ in a row, the leaf with that row
/// is read and hardly another.
#[test]
fn what_both_share_is_not_read() {
    for (name, shape) in shapes() {
        let before = rows(&shape, 20_000, &mut Random(1));
        let mut after = before.clone();
        after[before.len() / 2].1[3] = Value::Null;
        let mut blobs = MapBlobs::new();
        let (a, b) = (
            build(&shape, &before, &mut blobs),
            build(&shape, &after, &mut blobs),
        );
        let columns = identity(&shape);
        let watched = Watched::new(&blobs);
        let side = (&shape, a.as_ref());
        let same = differences(&watched, side, side, &[], &columns);
        assert!(same.rows.is_empty() && same.changes.is_empty(), "{name}");
        assert_eq!(watched.read.borrow().len(), 0, "{name}");
        differences(&watched, side, (&shape, b.as_ref()), &[], &columns);
        let read = watched.read.borrow();
        let leaves: HashSet<_> = read
            .iter()
            .filter(|(kind, _)| *kind == BlobKind::Leaf)
            .collect();
        assert!(
            (1..=4).contains(&leaves.len()),
            "{name}: {} leaves",
            leaves.len()
        );
    }
}

/// A column that was moved, and one that only one state has: by name they are compared, by place
/// every row would differ.
#[test]
fn columns_are_compared_by_what_they_are_mapped_to() {
    for (name, shape) in shapes() {
        if name == "key" {
            continue;
        }
        let before = rows(&shape, 3000, &mut Random(2));
        let wide = TreeShape {
            columns: 5,
            ..shape.clone()
        };
        // 3, 0, a new one, 1, 2.
        let after: Vec<Row> = before
            .iter()
            .map(|(rowid, row)| {
                let new = Value::Integer(7);
                let order = [
                    row[3].clone(),
                    row[0].clone(),
                    new,
                    row[1].clone(),
                    row[2].clone(),
                ];
                (*rowid, order.into())
            })
            .collect();
        let mut edited = after.clone();
        edited[1500].1[1] = Value::Text(b"another".to_vec());
        let mut blobs = MapBlobs::new();
        let a = build(&shape, &before, &mut blobs);
        let (b, c) = (
            build(&wide, &after, &mut blobs),
            build(&wide, &edited, &mut blobs),
        );
        let places = [(0, 1), (1, 3), (2, 4), (3, 0)];
        let mut columns: Vec<_> = places.map(|(a, b)| (Field::Leaf(a), Field::Leaf(b))).into();
        if name == "alias" {
            columns.push((Field::Rowid, Field::Rowid));
        }
        let found = |root: &Option<Root>| {
            differences(
                &blobs,
                (&shape, a.as_ref()),
                (&wide, root.as_ref()),
                &[],
                &columns,
            )
        };
        assert!(found(&b).rows.is_empty(), "{name}");
        let rows = found(&c).rows;
        assert_eq!(rows.len(), if name == "alias" { 1 } else { 2 }, "{name}");
        assert!(
            rows.iter()
                .any(|(_, new)| *new == Some(edited[1500].clone())),
            "{name}"
        );
    }
}

/// Two columns that changed places: equal leaves are not equal rows.
#[test]
fn equal_leaves_under_other_columns_are_read() {
    let (_, shape) = shapes().swap_remove(0);
    let rows = rows(&shape, 100, &mut Random(3));
    let mut blobs = MapBlobs::new();
    let a = build(&shape, &rows, &mut blobs);
    let mut columns = identity(&shape);
    columns[2].1 = Field::Leaf(2);
    columns[3].1 = Field::Leaf(1);
    let side = (&shape, a.as_ref());
    let found = differences(&blobs, side, side, &[], &columns);
    let differing = rows.iter().filter(|(_, row)| row[1] != row[2]).count();
    assert_eq!(found.changes.changed, differing as u64);
    assert!(differing > 50);
}

/// References of spilled key parts say nothing of the order of the keys.
#[test]
fn rows_of_spilled_keys_are_merged_in_the_order_of_their_content() {
    use larder::model::row::Collation;
    use larder::model::text::TextEncoding;
    use larder::tree::{KeyPart, Order};

    // They are equal for a while, and over 1 MiB long.
    let key = |n: u8| [&[7; 1_200_000][..], &[n], &[9; 300_000][..]].concat();
    for descending in [false, true] {
        let shape = TreeShape {
            columns: 2,
            order: Order::Key(vec![KeyPart {
                at: 0,
                collation: Collation::Binary,
                descending,
            }]),
            encoding: TextEncoding::Utf8,
        };
        let mut blobs = MapBlobs::new();
        let mut all: Vec<u8> = (0..12).collect();
        if descending {
            all.reverse();
        }
        let row = |n: u8, value: i64, blobs: &mut MapBlobs| {
            let spilled = spill(&key(n), blobs);
            (None, vec![Value::Spilled(spilled), Value::Integer(value)])
        };
        let before: Vec<Row> = all.iter().map(|n| row(*n, 0, &mut blobs)).collect();
        // One is gone, one has another value, and a short key is there as well.
        let mut after: Vec<Row> = all
            .iter()
            .filter(|n| **n != 4)
            .map(|n| row(*n, i64::from(*n == 7), &mut blobs))
            .collect();
        let short = (None, vec![Value::Blob(vec![7; 100]), Value::Integer(5)]);
        let at = if descending { after.len() } else { 0 };
        after.insert(at, short.clone());
        let roots = (
            build(&shape, &before, &mut blobs),
            build(&shape, &after, &mut blobs),
        );
        let found = differences(
            &blobs,
            (&shape, roots.0.as_ref()),
            (&shape, roots.1.as_ref()),
            &[],
            &identity(&shape),
        );
        assert_eq!(found.matched, Matched::ByKey);
        let mut wanted = vec![
            (None, Some(short)),
            (Some(row(4, 0, &mut blobs)), None),
            (Some(row(7, 0, &mut blobs)), Some(row(7, 1, &mut blobs))),
        ];
        if descending {
            wanted.reverse();
        }
        assert_eq!(found.rows, wanted);
    }
}
