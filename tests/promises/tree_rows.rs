//! Rows for tests of trees: made from a seed, in the order of their shape.

use larder::codec::hash::StoreHash;
use larder::format::blob::BlobSink;
use larder::model::row::{Collation, RowRef, compare_values};
use larder::model::text::TextEncoding;
use larder::model::value::{LongClass, Spilled, Value};
use larder::testkit::blobs::MapBlobs;
use larder::tree::build::TreeBuilder;
use larder::tree::{KeyPart, Order, Root, TreeShape, large};
use std::cmp::Ordering;

/// A row with its rowid.
pub type Row = (Option<i64>, Vec<Value>);

/// Numbers that look random and depend on nothing but the seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(count);
        out
    }
}

fn part(at: usize, collation: Collation, descending: bool) -> KeyPart {
    KeyPart {
        at,
        collation,
        descending,
    }
}

/// A shape of each kind of order, all with 4 columns; the key's columns are not in column order.
pub fn shapes() -> Vec<(&'static str, TreeShape)> {
    let key = Order::Key(vec![
        part(2, Collation::Nocase, false),
        part(0, Collation::Binary, true),
        part(1, Collation::Rtrim, true),
    ]);
    let orders = [
        ("alias", Order::RowidAlias),
        ("hidden", Order::RowidHidden),
        ("key", key),
        ("place", Order::Place),
    ];
    orders
        .map(|(name, order)| {
            let encoding = TextEncoding::Utf8;
            let shape = TreeShape {
                columns: 4,
                order,
                encoding,
            };
            (name, shape)
        })
        .into()
}

/// A value of any storage class, small enough to collide now and then.
fn key_value(random: &mut Random) -> Value {
    let n = i64::try_from(random.below(40)).unwrap() - 20;
    match random.below(6) {
        0 => Value::Null,
        1 => Value::Integer(n),
        2 => Value::Integer(i64::MAX - random.below(3).cast_signed()),
        #[expect(clippy::cast_precision_loss, reason = "small")]
        3 => Value::Real(n as f64 / 2.0),
        4 => Value::Real(9.2e18),
        _ => Value::Blob(random.bytes(2)),
    }
}

fn letters(random: &mut Random, count: u64) -> Vec<u8> {
    (0..count)
        .map(|_| b"aAbBcC_zZ \0"[usize::try_from(random.below(11)).unwrap()])
        .collect()
}

/// Values of a row; the last one makes rows about 300 bytes long.
pub fn values(random: &mut Random) -> Vec<Value> {
    let filler = 200 + random.below(200);
    let spaces = usize::try_from(random.below(3)).unwrap();
    let mut trimmed = letters(random, 2);
    trimmed.extend(vec![b' '; spaces]);
    let count = random.below(6);
    vec![
        key_value(random),
        Value::Text(trimmed),
        Value::Text(letters(random, count)),
        Value::Text(random.bytes(usize::try_from(filler).unwrap())),
    ]
}

/// Orders two rows of a shape as SQLite would scan them.
pub fn order(shape: &TreeShape, a: &Row, b: &Row) -> Ordering {
    match &shape.order {
        Order::Key(parts) => parts
            .iter()
            .map(|part| {
                let (a, b) = (a.1[part.at].as_ref(), b.1[part.at].as_ref());
                let order = compare_values(a, b, &part.collation, TextEncoding::Utf8).unwrap();
                if part.descending {
                    order.reverse()
                } else {
                    order
                }
            })
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal),
        Order::Place => Ordering::Equal,
        _ => a.0.cmp(&b.0),
    }
}

/// Sorts rows, and drops those whose key is there already.
pub fn arrange(shape: &TreeShape, rows: &mut Vec<Row>) {
    rows.sort_by(|a, b| order(shape, a, b));
    if shape.order != Order::Place {
        rows.dedup_by(|a, b| order(shape, a, b) == Ordering::Equal);
    }
}

/// `count` rows of a shape, in order (fewer if keys collide).
pub fn rows(shape: &TreeShape, count: usize, random: &mut Random) -> Vec<Row> {
    let mut rowid = random.below(1000).cast_signed() - 500;
    let mut rows: Vec<Row> = (0..count)
        .map(|_| {
            rowid += 1 + i64::from(random.below(10) == 0);
            (shape.has_rowids().then_some(rowid), values(random))
        })
        .collect();
    arrange(shape, &mut rows);
    rows
}

/// Builds the tree of these rows.
pub fn build(shape: &TreeShape, rows: &[Row], sink: &mut dyn BlobSink) -> Option<Root> {
    push_all(TreeBuilder::new(shape, StoreHash::unkeyed()), rows, sink)
}

/// Gives a builder these rows.
pub fn push_all(
    mut builder: TreeBuilder<'_>,
    rows: &[Row],
    sink: &mut dyn BlobSink,
) -> Option<Root> {
    for (rowid, values) in rows {
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        let row = RowRef {
            rowid: *rowid,
            values: &values,
        };
        builder.push(row, sink).unwrap();
    }
    builder.finish(sink).unwrap()
}

/// Spills bytes and returns what stands in their row.
pub fn spill(bytes: &[u8], sink: &mut MapBlobs) -> Spilled {
    let hash = sink.hash();
    large::store(LongClass::Blob, &mut &bytes[..], hash, sink).unwrap()
}
