//! A leaf's id is that of what it holds, however it is encoded.

use larder::codec::hash::StoreHash;
use larder::format::blob::{self, BlobKind, Encoding};
use larder::format::leaf::codecs::Codecs;
use larder::format::leaf::{Leaf, LeafBuilder, columns};
use larder::model::row::RowRef;
use larder::model::value::Value;

/// A leaf that every codec finds something in.
fn leaf() -> Vec<u8> {
    let mut builder = LeafBuilder::new(6);
    for n in 0..500_i64 {
        let text = |text: String| Value::Text(text.into_bytes());
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let values = [
            text(format!("2024-01-{:02} 00:00:{:02}", n / 20 + 1, n % 60)),
            text(format!("{:08x}-{:04x}", n * 7_654_321, n * 77)),
            text(format!("order-{}", n * n)),
            text(format!("state {}", n % 7)),
            Value::Real(n as f64 / 100.0),
            if n % 3 == 0 {
                Value::Null
            } else {
                Value::Integer(1_000_000 + n * 500)
            },
        ];
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: Some(n * n),
            values: &values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    canonical
}

#[test]
fn ids_do_not_depend_on_codecs() {
    let canonical = leaf();
    let parsed = Leaf::parse(canonical.clone()).unwrap();
    let (all, plain) = (Codecs::ALL, Codecs::PLAIN);
    let mut integers = plain;
    integers.integers = all.integers;
    let choices = [
        all,
        plain,
        integers,
        Codecs {
            class_bits: true,
            ..plain
        },
        Codecs {
            decimals: true,
            ..plain
        },
        Codecs {
            dictionary: true,
            ..plain
        },
        Codecs {
            timestamps: true,
            ..plain
        },
        Codecs {
            numbers: true,
            ..plain
        },
        Codecs { hex: true, ..plain },
    ];
    let mut forms: Vec<(Encoding, Vec<u8>)> = choices
        .iter()
        .map(|codecs| {
            (
                Encoding::Columns,
                columns::encode_with(&parsed, codecs).bytes,
            )
        })
        .collect();
    forms.push((Encoding::Plain, canonical.clone()));
    let id = |bytes: &[u8]| StoreHash::unkeyed().blob_id(BlobKind::Leaf as u8, bytes);
    for (at, (encoding, encoded)) in forms.iter().enumerate() {
        let decoded = blob::decode(*encoding, encoded, canonical.len() as u64).unwrap();
        assert_eq!(id(&decoded), id(&canonical));
        // None of them is another under a second name.
        assert!(
            forms[..at].iter().all(|(_, other)| other != encoded),
            "{at}"
        );
    }
}
