//! What happens where more differs than is held.

use super::*;
use crate::model::text::TextEncoding;
use crate::testkit::blobs::MapBlobs;
use crate::tree::build::TreeBuilder;

fn build(shape: &TreeShape, rows: impl Iterator<Item = i64>, blobs: &mut MapBlobs) -> Option<Root> {
    let mut builder = TreeBuilder::new(shape, blobs.hash());
    let filler = [b'x'; 200];
    for (rowid, value) in (0..).zip(rows) {
        let values = [ValueRef::Integer(value), ValueRef::Text(&filler)];
        let row = RowRef {
            rowid: Some(rowid),
            values: &values,
        };
        builder.push(row, blobs).unwrap();
    }
    builder.finish(blobs).unwrap()
}

/// Rows that lie too far apart are called removed and added, never lost: applied to one state the
/// differences still give the other, and it is said that they were found in parts.
#[test]
fn more_differences_than_are_held_are_given_in_parts() {
    let shape = TreeShape {
        columns: 2,
        order: Order::RowidHidden,
        encoding: TextEncoding::Utf8,
    };
    let mut blobs = MapBlobs::new();
    // All of it in another order, and 100 rows more.
    let before = build(&shape, 0..5000, &mut blobs);
    let after = build(&shape, (0..5100).rev(), &mut blobs);
    for (held_max, wanted) in [(100, Matched::InParts), (10_000, Matched::ByContent)] {
        let state = |root| State {
            shape: &shape,
            root,
            key: &[],
        };
        let mut counts = std::collections::BTreeMap::<i64, i64>::new();
        let mut each = |difference: Difference<'_>| {
            let (row, sign) = match difference {
                Difference::Added(row) => (row, 1),
                Difference::Removed(row) => (row, -1),
                Difference::Changed(..) => panic!("no key names these rows"),
            };
            let ValueRef::Integer(value) = row.values[0] else {
                panic!("{row:?}");
            };
            *counts.entry(value).or_default() += sign;
            Ok::<_, BlobError>(())
        };
        let columns = [(Field::Leaf(0), Field::Leaf(0))];
        let mut pair = Pair::new(
            &blobs,
            state(before.as_ref()),
            state(after.as_ref()),
            Columns::Pairs(&columns),
            Some(&mut each),
        );
        pair.held_max = held_max;
        assert_eq!(pair.run(blobs.hash()).unwrap(), wanted);
        let changes = pair.changes;
        assert_eq!(changes.added - changes.removed, 100);
        assert_eq!(changes.removed > 0, wanted == Matched::InParts);
        counts.retain(|_, count| *count != 0);
        assert!(counts.into_iter().eq((5000..5100).map(|value| (value, 1))));
    }
}
