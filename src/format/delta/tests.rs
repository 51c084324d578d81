//! Deltas: what is encoded comes back, through chains too, and nothing else does harm.

use super::*;
use crate::codec::hash::StoreHash;
use crate::format::leaf::LeafBuilder;
use crate::format::node::{Child, Span};
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::value::Value;
use proptest::prelude::*;

/// Rows by rowid, each of as many values as the leaf has columns.
type Rows = Vec<(i64, Vec<Value>)>;

fn leaf_of(rows: &Rows, rowids: bool) -> Leaf {
    let mut builder = LeafBuilder::new(rows[0].1.len());
    for (rowid, values) in rows {
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: rowids.then_some(*rowid),
            values: &values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    Leaf::parse(canonical).unwrap()
}

/// Runs of rows with equal rowids.
fn kept(base: &Rows, result: &Rows) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for (at, (rowid, _)) in result.iter().enumerate() {
        let Ok(base) = base.binary_search_by_key(rowid, |(rowid, _)| *rowid) else {
            continue;
        };
        match kept.last_mut() {
            Some(last) if last.base + last.rows == base && last.result + last.rows == at => {
                last.rows += 1;
            }
            _ => kept.push(Kept {
                base,
                result: at,
                rows: 1,
            }),
        }
    }
    kept
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-1000_i64..1000).prop_map(Value::Integer),
        any::<f64>().prop_map(|v| Value::Real(if v.is_nan() { 0.5 } else { v })),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        (0_u8..4, 500_usize..2000).prop_map(|(n, bytes)| {
            Value::Text((0..bytes).map(|at| n ^ at.to_le_bytes()[0]).collect())
        }),
    ]
}

/// A change of a leaf.
#[derive(Debug, Clone)]
enum Edit {
    Remove(usize),
    Insert(i64, Value),
    Set(usize, usize, Value),
    AddColumn(Value, bool),
    DropColumn(usize),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<usize>().prop_map(Edit::Remove),
        (0_i64..10_000, any_value()).prop_map(|(rowid, value)| Edit::Insert(rowid, value)),
        (any::<usize>(), 0_usize..8, any_value()).prop_map(|(r, c, v)| Edit::Set(r, c, v)),
        (any::<usize>(), 0_usize..8, any_value()).prop_map(|(r, c, v)| Edit::Set(r, c, v)),
        (any_value(), any::<bool>()).prop_map(|(value, same)| Edit::AddColumn(value, same)),
        (0_usize..8).prop_map(Edit::DropColumn),
    ]
}

/// Carries an edit out; `columns` follows.
fn edit(rows: &mut Rows, columns: &mut Vec<Option<usize>>, edit: Edit) {
    match edit {
        Edit::Remove(at) if rows.len() > 1 => {
            rows.remove(at % rows.len());
        }
        Edit::Insert(rowid, value) => {
            let values = vec![value; columns.len()];
            if let Err(at) = rows.binary_search_by_key(&rowid, |(rowid, _)| *rowid) {
                rows.insert(at, (rowid, values));
            }
        }
        Edit::Set(row, column, value) if !columns.is_empty() => {
            let row = row % rows.len();
            rows[row].1[column % columns.len()] = value;
        }
        Edit::AddColumn(value, same) => {
            columns.push(None);
            for (at, (_, values)) in rows.iter_mut().enumerate() {
                let differs = !same && at % 2 == 0;
                values.push(if differs {
                    Value::Integer(1)
                } else {
                    value.clone()
                });
            }
        }
        Edit::DropColumn(at) if !columns.is_empty() => {
            let at = at % columns.len();
            columns.remove(at);
            rows.iter_mut()
                .for_each(|(_, values)| drop(values.remove(at)));
        }
        _ => {}
    }
}

fn steps() -> impl Strategy<Value = (Rows, Vec<Vec<Edit>>)> {
    let row = proptest::collection::vec(any_value(), 3..4);
    let rows = proptest::collection::btree_map(0_i64..10_000, row, 1..30);
    let edits = proptest::collection::vec(any_edit(), 0..8);
    (
        rows.prop_map(|rows| rows.into_iter().collect()),
        proptest::collection::vec(edits, 1..6),
    )
}

proptest! {
    #[test]
    fn leaves_come_back_through_chains((mut rows, steps) in steps(), rowids in any::<bool>()) {
        let first = leaf_of(&rows, rowids);
        let mut chain = Chain::begin(BlobKind::Leaf, first.canonical().to_vec()).unwrap();
        let mut base = (first, rows.clone());
        for step in steps {
            let mut columns: Vec<Option<usize>> = (0..base.0.columns()).map(Some).collect();
            step.into_iter().for_each(|change| edit(&mut rows, &mut columns, change));
            let result = leaf_of(&rows, rowids);
            let delta = encode_leaf(&[&base.0], &result, &kept(&base.1, &rows), &columns);
            let bytes = result.canonical().len() as u64;
            chain.apply(&[], &delta, bytes).unwrap();
            let mut one = Chain::begin(BlobKind::Leaf, base.0.canonical().to_vec()).unwrap();
            one.apply(&[], &delta, bytes).unwrap();
            prop_assert_eq!(one.finish(bytes).unwrap(), result.canonical());
            base = (result, rows.clone());
        }
        prop_assert_eq!(chain.finish(base.0.canonical().len() as u64).unwrap(), base.0.canonical());
    }

    #[test]
    fn hostile_deltas_are_errors_or_other_leaves(
        (rows, steps) in steps(),
        flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let base = leaf_of(&rows, true);
        let mut after = rows.clone();
        let mut columns: Vec<Option<usize>> = (0..base.columns()).map(Some).collect();
        steps.into_iter().flatten().for_each(|change| edit(&mut after, &mut columns, change));
        let result = leaf_of(&after, true);
        let mut delta = encode_leaf(&[&base], &result, &kept(&rows, &after), &columns);
        for (at, byte) in flips {
            let at = at % delta.len();
            delta[at] = byte;
        }
        for delta in [&delta, &noise] {
            let mut chain = Chain::begin(BlobKind::Leaf, base.canonical().to_vec()).unwrap();
            let bytes = result.canonical().len() as u64;
            // What comes out may be no leaf; it is as long as was said.
            let made = chain.apply(&[], delta, bytes).and_then(|()| chain.finish(bytes));
            prop_assert!(made.is_err() || made.is_ok_and(|leaf| leaf.len() as u64 == bytes));
        }
    }

    #[test]
    fn merged_leaves_come_back((mut rows, steps) in steps(), cuts in proptest::collection::btree_set(1_usize..30, 0..3), rowids in any::<bool>()) {
        let mut parts = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().filter(|cut| *cut < rows.len()).chain([rows.len()]) {
            parts.push(leaf_of(&rows[from..cut].to_vec(), rowids));
            from = cut;
        }
        let borders: Vec<usize> = parts.iter().scan(0, |at, part| { *at += part.rows(); Some(*at) }).collect();
        let before = rows.clone();
        let mut columns: Vec<Option<usize>> = (0..parts[0].columns()).map(Some).collect();
        steps.into_iter().flatten().for_each(|change| edit(&mut rows, &mut columns, change));
        let result = leaf_of(&rows, rowids);
        let kept: Vec<Kept> = kept(&before, &rows).into_iter().flat_map(|run| {
            (0..run.rows).map(move |at| Kept { base: run.base + at, result: run.result + at, rows: 1 })
        }).fold(Vec::new(), |mut runs: Vec<Kept>, one| {
            match runs.last_mut() {
                Some(last) if last.base + last.rows == one.base
                    && last.result + last.rows == one.result
                    && !borders.contains(&one.base) => last.rows += 1,
                _ => runs.push(one),
            }
            runs
        });
        let leaves: Vec<&Leaf> = parts.iter().collect();
        let delta = encode_leaf(&leaves, &result, &kept, &columns);
        let more: Vec<Vec<u8>> = parts[1..].iter().map(|part| part.canonical().to_vec()).collect();
        let mut chain = Chain::begin(BlobKind::Leaf, parts[0].canonical().to_vec()).unwrap();
        chain.apply(&more, &delta, result.canonical().len() as u64).unwrap();
        prop_assert_eq!(chain.finish(result.canonical().len() as u64).unwrap(), result.canonical());
    }

    #[test]
    fn nodes_come_back(
        base in proptest::collection::vec((0_u8..40, 1_u64..4), 1..40),
        result in proptest::collection::vec((0_u8..40, 1_u64..4), 1..40),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let node = |children: &[(u8, u64)]| Node {
            level: 1,
            children: children
                .iter()
                .map(|(n, rows)| Child {
                    id: BlobId([*n; 32]),
                    rows: *rows,
                    bytes: *rows * 100,
                    has_refs: *rows == 2,
                    span: Span::Rowids { first: 0, last: i64::from(*n) / 2 },
                })
                .collect(),
        };
        let (before, after) = (node(&base), node(&result));
        let delta = encode_node(&before, &after).unwrap();
        let mut chain = Chain::begin(BlobKind::Node, before.encode()).unwrap();
        chain.apply(&[], &delta, after.encode().len() as u64).unwrap();
        prop_assert_eq!(chain.finish(after.encode().len() as u64).unwrap(), after.encode());
        let mut chain = Chain::begin(BlobKind::Node, before.encode()).unwrap();
        let _ = chain.apply(&[], &noise, 1000);
    }
}

#[test]
fn a_few_changed_cells_cost_a_few_bytes() {
    let row = |n: i64| {
        (
            n,
            vec![
                Value::Text(format!("name {n}").into()),
                Value::Integer(n * 7),
            ],
        )
    };
    let before: Rows = (0..2000).map(row).collect();
    let mut after = before.clone();
    after[700].1[1] = Value::Integer(1);
    after[900].1[1] = Value::Integer(2);
    let (base, result) = (leaf_of(&before, true), leaf_of(&after, true));
    let delta = encode_leaf(
        &[&base],
        &result,
        &kept(&before, &after),
        &[Some(0), Some(1)],
    );
    assert!(delta.len() < 40, "{}", delta.len());
}

#[test]
fn a_new_column_of_one_value_costs_bytes_and_not_the_table() {
    let before: Rows = (0..2000)
        .map(|n| (n, vec![Value::Integer(n * 7)]))
        .collect();
    let mut after = before.clone();
    for (_, values) in &mut after {
        values.push(Value::Text(b"unknown".to_vec()));
    }
    let (base, result) = (leaf_of(&before, true), leaf_of(&after, true));
    let delta = encode_leaf(&[&base], &result, &kept(&before, &after), &[Some(0), None]);
    assert!(delta.len() < 60, "{}", delta.len());
}

#[test]
fn a_long_text_that_changes_a_little_is_a_patch() {
    let text: Vec<u8> = (0..4000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(16_000)
        .collect();
    let mut changed = text.clone();
    changed.splice(8000..8004, *b"other words");
    let rows = |text: &[u8]| vec![(1, vec![Value::Text(text.to_vec())])];
    let (before, after) = (rows(&text), rows(&changed));
    let (base, result) = (leaf_of(&before, true), leaf_of(&after, true));
    let delta = encode_leaf(&[&base], &result, &kept(&before, &after), &[Some(0)]);
    assert!(delta.len() < 100, "{}", delta.len());
    let mut chain = Chain::begin(BlobKind::Leaf, base.canonical().to_vec()).unwrap();
    chain
        .apply(&[], &delta, result.canonical().len() as u64)
        .unwrap();
    assert_eq!(
        chain.finish(result.canonical().len() as u64).unwrap(),
        result.canonical()
    );
}

#[test]
fn schemas_and_chunks_are_patches() {
    let (base, result) = (vec![7; 5000], [vec![7; 5000], vec![8; 30]].concat());
    let delta = encode_bytes(&base, &result, 3).unwrap();
    for kind in [BlobKind::Chunk, BlobKind::Schema] {
        let mut chain = Chain::begin(kind, base.clone()).unwrap();
        chain.apply(&[], &delta, result.len() as u64).unwrap();
        assert_eq!(
            StoreHash::unkeyed().blob_id(kind as u8, &chain.finish(result.len() as u64).unwrap()),
            StoreHash::unkeyed().blob_id(kind as u8, &result)
        );
    }
    let mut chain = Chain::begin(BlobKind::Chunk, base).unwrap();
    assert!(
        chain.apply(&[], &delta, 5000).is_err(),
        "longer than was said"
    );
}

/// What a whole node may not say, a delta must not make of one.
#[test]
fn a_delta_that_makes_no_node_is_refused() {
    let base = Node {
        level: 1,
        children: vec![Child {
            id: BlobId([7; 32]),
            rows: 5,
            bytes: 500,
            has_refs: false,
            span: Span::Place,
        }],
    };
    let apply = |delta: &[u8]| {
        let mut chain = Chain::begin(BlobKind::Node, base.encode()).unwrap();
        chain.apply(&[], delta, base.encode().len() as u64)
    };
    // No run removed or inserted, one changed child, the first: another number of rows.
    let rows = |rows| [1, 0, 0, 1, 0, DELTA_FIELD_ROWS, rows];
    assert_eq!(apply(&rows(6)), Ok(()));
    assert!(apply(&rows(0)).is_err(), "a child without rows");
    let no_children = [0, 1, 0, 1, 0, 0];
    assert!(apply(&no_children).is_err(), "a node without children");
}
