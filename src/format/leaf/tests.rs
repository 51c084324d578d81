//! Leaves: what is encoded comes back, and nothing else is accepted.

use super::codecs::Codecs;
use super::*;
use crate::model::id::BlobId;
use crate::model::value::{LongClass, Value};
use proptest::prelude::*;

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-1000_i64..1000).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        (-10_000_i32..10_000).prop_map(|n| Value::Real(f64::from(n) / 100.0)),
        bytes().prop_map(Value::Text),
        bytes().prop_map(Value::Blob),
        (any::<bool>(), 16_385_u64.., 0_u8..4, any::<[u8; 32]>()).prop_map(
            |(text, bytes, level, root)| {
                let class = if text {
                    LongClass::Text
                } else {
                    LongClass::Blob
                };
                Value::Spilled(Spilled {
                    class,
                    bytes,
                    level,
                    root: BlobId(root),
                })
            }
        ),
    ]
}

fn build(rows: &[Vec<Value>], rowids: Option<&[i64]>) -> Vec<u8> {
    let mut builder = LeafBuilder::new(rows[0].len());
    for (at, row) in rows.iter().enumerate() {
        let values: Vec<_> = row.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: rowids.map(|r| r[at]),
            values: &values,
        });
    }
    let mut out = Vec::new();
    builder.finish(&mut out);
    out
}

proptest! {
    #[test]
    fn a_leaf_comes_back_value_for_value(
        rows in (0_usize..5).prop_flat_map(|columns| {
            proptest::collection::vec(proptest::collection::vec(any_value(), columns), 1..30)
        }),
        first in any::<i64>(),
        gaps in proptest::collection::vec(1_i64..5, 30),
        with_rowids in any::<bool>(),
    ) {
        let first = first.min(i64::MAX - 1000);
        let rowids: Vec<i64> = gaps.iter().scan(first, |at, gap| { *at += gap; Some(*at) }).collect();
        let canonical = build(&rows, with_rowids.then_some(&rowids[..]));
        let leaf = Leaf::parse(canonical.clone()).unwrap();
        prop_assert_eq!(leaf.rows(), rows.len());
        for (at, row) in rows.iter().enumerate() {
            let rowid = leaf.rowid(at, with_rowids.then_some(rowids[0]));
            prop_assert_eq!(rowid, with_rowids.then(|| rowids[at]));
            for (column, value) in row.iter().enumerate() {
                prop_assert!(leaf.value(at, column).identical(value.as_ref()));
            }
        }
        for codecs in [Codecs::ALL, Codecs::PLAIN] {
            let encoded = columns::encode_with(&leaf, &codecs).bytes;
            prop_assert_eq!(&columns::decode(&encoded, canonical.len()).unwrap(), &canonical);
        }
    }

    /// Bytes in, `Result` out: nothing panics, nothing is allocated beyond what was said.
    #[test]
    fn damaged_leaves_are_errors_or_leaves(
        rows in proptest::collection::vec(proptest::collection::vec(any_value(), 3), 1..10),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let canonical = build(&rows, None);
        let leaf = Leaf::parse(canonical.clone()).unwrap();
        let mut encoded = columns::encode(&leaf).bytes;
        for (at, byte) in &flips {
            let at = at.index(encoded.len());
            encoded[at] ^= byte;
        }
        if let Ok(decoded) = columns::decode(&encoded, canonical.len()) {
            let _ = Leaf::parse(decoded);
        }
        let mut bad = canonical;
        for (at, byte) in &flips {
            let at = at.index(bad.len());
            bad[at] ^= byte;
        }
        let _ = Leaf::parse(bad);
    }
}

#[test]
fn a_leaf_may_hold_rowids_from_end_to_end() {
    let rows = vec![vec![Value::Null], vec![Value::Null]];
    let canonical = build(&rows, Some(&[i64::MIN, i64::MAX]));
    let leaf = Leaf::parse(canonical.clone()).unwrap();
    assert_eq!(leaf.rowid(1, Some(i64::MIN)), Some(i64::MAX));
    assert_eq!(
        columns::decode(&columns::encode(&leaf).bytes, canonical.len()).unwrap(),
        canonical
    );
    // A first rowid that does not belong to it.
    assert_eq!(leaf.rowid(1, Some(0)), None);
}
