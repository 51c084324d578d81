//! Deltas made to do harm, in packs that are well formed under their right names: reading is an
//! error after a bounded number of reads, and what cannot be read does not count as known.

use larder::codec::zstd;
use larder::format::blob::{BlobErrorKind, BlobKind};
use larder::format::bytes::append_varint;
use larder::format::delta::{self, Kept};
use larder::format::footer::{BlobEntry, base_prefix};
use larder::format::leaf::{Leaf, LeafBuilder};
use larder::format::limits::{BLOB_BYTES_MAX, COLUMNS_MAX, LEAF_ROWS_MAX};
use larder::format::node::{Child, Node, Span};
use larder::format::pack::{self, Item};
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::Value;

use crate::forged_deltas::{Lie, READS_MAX, Scene, delta_of, id_of, leaf, whole};
use crate::forged_pack::ForgedPack;

fn node(last: i64) -> Vec<u8> {
    let child = |n: u8| Child {
        id: BlobId([n; 32]),
        rows: 1,
        bytes: 9,
        has_refs: false,
        span: Span::Rowids {
            first: i64::from(n),
            last: i64::from(n) + last,
        },
    };
    let children = (1..4).map(child).collect();
    Node { level: 1, children }.encode()
}

const OLD: &[u8] = b"an old text";
const NEW: &[u8] = b"a new text";

/// The delta by which a leaf of 50 rows becomes one of more.
fn of_leaf(base: &Leaf, result: &Leaf) -> Vec<u8> {
    let kept = [Kept {
        base: 0,
        result: 0,
        rows: 50,
    }];
    delta::encode_leaf(&[base], result, &kept, &[Some(0)])
}

fn varints(numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.iter().for_each(|n| append_varint(*n, &mut out));
    out
}

/// Kind, base, result, delta.
type Honest = (BlobKind, Vec<u8>, Vec<u8>, Vec<u8>);

/// An honest delta of each kind that has some.
fn honest() -> Vec<Honest> {
    let (a, b) = (leaf(0..50), leaf(0..51));
    let [old, new] = [0, 1].map(|last| Node::decode(&node(last)).unwrap());
    let of_node = delta::encode_node(&old, &new).unwrap();
    let patch = delta::encode_bytes(OLD, NEW, 3).unwrap();
    vec![
        (
            BlobKind::Leaf,
            a.canonical().to_vec(),
            b.canonical().to_vec(),
            of_leaf(&a, &b),
        ),
        (BlobKind::Node, node(0), node(1), of_node),
        (BlobKind::Chunk, OLD.to_vec(), NEW.to_vec(), patch.clone()),
        (BlobKind::Schema, OLD.to_vec(), NEW.to_vec(), patch),
    ]
}

/// Everything that could stand in the place of a delta.
fn nonsense(base: &[u8], result: &[u8], honest: &[u8]) -> Vec<Vec<u8>> {
    let mut lies: Vec<Vec<u8>> = vec![
        vec![0],
        vec![0xff; 40],
        result.to_vec(),
        base.to_vec(),
        [honest, &[0]].concat(),
    ];
    lies.extend((0..honest.len()).map(|cut| honest[..cut].to_vec()));
    for at in 0..honest.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut lie = honest.to_vec();
            lie[at] ^= change;
            lies.push(lie);
        }
    }
    lies
}

#[test]
fn nonsense_in_the_place_of_a_delta_is_damage() {
    for (kind, base, result, honest) in honest() {
        let base = whole(kind, &base);
        let mut scene = Scene::new();
        let good = delta_of(kind, &result, &[base.id], honest.clone());
        scene.put(&[base.clone(), good.clone()]);
        assert!(scene.read(&good, 4).unwrap() == result);
        for lie in nonsense(&base.encoded, &result, &honest) {
            let mut scene = Scene::new();
            let bad = delta_of(kind, &result, &[base.id], lie);
            scene.put(&[base.clone(), bad.clone()]);
            match scene.read(&bad, 20) {
                // A byte that means nothing was changed, if any.
                Ok(read) => assert!(read == result),
                Err(error) => {
                    let name = kind.name();
                    assert_eq!(error.why, BlobErrorKind::Damaged, "{name}: {error}");
                    assert_eq!(error.id, bad.id);
                }
            }
        }
    }
}

#[test]
fn a_delta_has_the_bases_of_its_kind_or_its_pack_is_not_read() {
    let (a, b) = (leaf(0..50), leaf(0..51));
    let own = id_of(BlobKind::Leaf, b.canonical());
    let base = whole(BlobKind::Leaf, a.canonical());
    let old_node = whole(BlobKind::Node, &node(0));
    let [chunk, other] = [OLD, b"another text"].map(|text| whole(BlobKind::Chunk, text));
    let pieces = whole(BlobKind::ChunkNode, OLD);
    let two = [chunk.id, other.id];
    let cases: [(&str, BlobKind, &[BlobId]); 9] = [
        ("a leaf on none", BlobKind::Leaf, &[]),
        ("a leaf on five", BlobKind::Leaf, &[base.id; 5]),
        ("a leaf on itself", BlobKind::Leaf, &[own]),
        // Of another kind under the same id there is nothing.
        ("a leaf on a chunk", BlobKind::Leaf, &two[..1]),
        ("a node on two", BlobKind::Node, &[old_node.id; 2]),
        ("a chunk on two", BlobKind::Chunk, &two),
        ("a chunk on a leaf", BlobKind::Chunk, &[base.id]),
        ("a chunk node on one", BlobKind::ChunkNode, &[pieces.id]),
        ("a schema on none", BlobKind::Schema, &[]),
    ];
    for (what, kind, bases) in cases {
        let (canonical, delta) = match kind {
            BlobKind::Leaf => (b.canonical().to_vec(), of_leaf(&a, &b)),
            BlobKind::Node => (node(1), vec![0; 4]),
            _ => (NEW.to_vec(), delta::encode_bytes(OLD, NEW, 3).unwrap()),
        };
        let lie = delta_of(kind, &canonical, bases, delta);
        let mut scene = Scene::new();
        scene.put(&[base.clone(), chunk.clone(), other.clone(), old_node.clone()]);
        scene.put(std::slice::from_ref(&pieces));
        scene.put(std::slice::from_ref(&lie));
        scene.refused(&lie, what);
        assert!(!scene.is_known(kind, &canonical), "{what}");
        // Now it is there, whole.
        assert!(scene.read(&lie, READS_MAX).unwrap() == canonical, "{what}");
        assert!(scene.read(&base, 4).unwrap() == a.canonical(), "{what}");
    }
}

/// The footer and the frame must agree on what a delta stands on.
#[test]
fn a_frame_that_names_other_bases_than_the_footer_is_damage() {
    let text: (&[u8], &[u8]) = (b"an old text", b"a new text");
    let patch = delta::encode_bytes(text.0, text.1, 3).unwrap();
    let (base, other) = (
        whole(BlobKind::Chunk, text.0),
        whole(BlobKind::Chunk, b"another"),
    );
    let lie = delta_of(BlobKind::Chunk, text.1, &[base.id], patch);
    let mut scene = Scene::new();
    scene.put(&[base.clone(), other.clone()]);
    let mut forged = ForgedPack::of(99, []);
    let mut plain = Vec::new();
    pack::append_item(
        Item {
            kind: lie.kind,
            encoding: lie.encoding,
            bases: &[base_prefix(&other.id)],
            canonical_bytes: lie.canonical_bytes as u32,
            encoded: &lie.encoded,
        },
        &mut plain,
    );
    forged.frame(
        &plain,
        BlobEntry {
            id: lie.id,
            kind: lie.kind,
            encoding: lie.encoding,
            depth: 1,
            bases: vec![base_prefix(&base.id)],
            canonical_bytes: lie.canonical_bytes as u32,
            encoded_bytes: lie.encoded.len() as u32,
            frame: 0,
            offset: 0,
        },
    );
    forged.put(&*scene.backend);
    let error = scene.refused(&lie, "other bases");
    assert_eq!(error.why, BlobErrorKind::Damaged);
}

/// A base of 65,536 rows, and deltas of a few bytes that would make gigabytes of it.
#[test]
fn a_short_delta_that_says_much_takes_no_memory() {
    let many = leaf(std::iter::repeat_n(7, LEAF_ROWS_MAX as usize));
    let base = whole(BlobKind::Leaf, many.canonical());
    // One value in canonical form as a column of a delta: taken from an honest one.
    let constant = {
        let kept = [Kept {
            base: 0,
            result: 0,
            rows: 2,
        }];
        let mut builder = LeafBuilder::new(2);
        for _ in 0..2 {
            let values = [Value::Integer(7), Value::Integer(9)];
            let values: Vec<_> = values.iter().map(Value::as_ref).collect();
            builder.push(RowRef {
                rowid: None,
                values: &values,
            });
        }
        let mut canonical = Vec::new();
        builder.finish(&mut canonical);
        let two = Leaf::parse(canonical).unwrap();
        let delta = delta::encode_leaf(&[&leaf([7, 7])], &two, &kept, &[Some(0), None]);
        // Rows, "listed", 2 columns, "kept" 0, then the constant, then the rest.
        let begin = 5;
        assert_eq!(delta[begin], delta::DELTA_COLUMN_CONSTANT);
        let rest = 5;
        delta[begin..delta.len() - rest].to_vec()
    };
    let columns = |rows: u64, count: u64, removed: &[u64]| {
        let mut out = varints(&[rows]);
        out.push(delta::DELTA_COLUMNS_LISTED);
        out.extend(varints(&[count]));
        (0..count).for_each(|_| out.extend_from_slice(&constant));
        out.extend(varints(removed));
        // Nothing inserted, no rowids.
        out.extend([0, 0]);
        out
    };
    let rows = u64::from(LEAF_ROWS_MAX);
    let most = u64::from(COLUMNS_MAX);
    let lies = [
        ("all rows of many columns", columns(rows, most, &[0])),
        ("all rows of some columns", columns(rows, 17, &[0])),
        // One row of many columns: what was there before must not be filled too.
        (
            "one row of many columns",
            columns(1, most, &[1, 1, rows - 1]),
        ),
        ("more rows than a leaf has", varints(&[rows + 1, 0, 0])),
        ("as many rows as can be said", varints(&[u64::MAX, 0, 0])),
        (
            "more columns than a leaf has",
            columns(1, 0, &[0])[..1].to_vec(),
        ),
        ("runs of runs", varints(&[rows, 0, u64::MAX])),
        ("a run behind the end", varints(&[rows, 0, 1, rows, 1])),
    ];
    for (what, encoded) in lies {
        let mut scene = Scene::new();
        let lie = Lie {
            canonical_bytes: BLOB_BYTES_MAX,
            ..delta_of(BlobKind::Leaf, b"nothing", &[base.id], encoded)
        };
        scene.put(&[base.clone(), lie.clone()]);
        let error = scene.refused(&lie, what);
        assert_eq!(error.why, BlobErrorKind::Damaged, "{what}: {error}");
    }
}

#[test]
fn a_patch_that_makes_more_than_was_said_is_damage() {
    let base = vec![7_u8; 1000];
    let long = vec![8_u8; 20 << 20];
    let patch = delta::encode_bytes(&base, &long, 3).unwrap();
    assert!(patch.len() < 10_000);
    for kind in [BlobKind::Chunk, BlobKind::Schema] {
        let old = whole(kind, &base);
        for said in [0, 1, 1000, long.len() as u64 - 1, long.len() as u64 + 1] {
            let mut scene = Scene::new();
            let lie = Lie {
                canonical_bytes: said,
                ..delta_of(kind, b"nothing", &[old.id], patch.clone())
            };
            scene.put(&[old.clone(), lie.clone()]);
            let error = scene.refused(&lie, "a long patch");
            assert_eq!(error.why, BlobErrorKind::Damaged, "{said}: {error}");
        }
        // A frame that asks for a window of 2 GiB, and says to be as long.
        let window: Vec<u8> = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8][..], &[0x01, 0, 0]].concat();
        let single: Vec<u8> = [
            &[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..],
            &(1_u64 << 40).to_le_bytes(),
            &[0x01, 0, 0],
        ]
        .concat();
        for patch in [window, single, zstd::compress(b"two", 3).unwrap().repeat(2)] {
            let mut scene = Scene::new();
            let lie = Lie {
                canonical_bytes: BLOB_BYTES_MAX,
                ..delta_of(kind, b"nothing", &[old.id], patch)
            };
            scene.put(&[old.clone(), lie.clone()]);
            scene.refused(&lie, "a frame that says much");
        }
    }
}
