//! Deltas made to do harm, in packs that are well formed under their right names: reading is an
//! error after a bounded number of reads, and what cannot be read does not count as known.

use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::codec::hash::StoreHash;
use larder::codec::zstd;
use larder::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSink, BlobSource, Encoding};
use larder::format::bytes::append_varint;
use larder::format::delta::{self, DELTA_DEPTH_MAX, Kept};
use larder::format::footer::{BlobEntry, base_prefix};
use larder::format::leaf::{Leaf, LeafBuilder};
use larder::format::limits::{BLOB_BYTES_MAX, COLUMNS_MAX, LEAF_ROWS_MAX};
use larder::format::node::{Child, Node, Span};
use larder::format::pack::{self, Item};
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::Value;
use larder::ops::open::Store;
use larder::testkit::fault_backend::FaultBackend;

use crate::forged_pack::ForgedPack;
use crate::sandbox::Sandbox;

/// Reads until a blob is given up: all deltas of a chain, then 512 copies, these once more with the
/// stored footers, and all that again after the packs were listed anew.
const READS_MAX: usize = 2 * (128 + 2 * 512) + 200;

/// A blob as it is to lie in a pack, its id included.
#[derive(Clone)]
struct Lie {
    id: BlobId,
    kind: BlobKind,
    encoding: Encoding,
    bases: Vec<BlobId>,
    canonical_bytes: u64,
    encoded: Vec<u8>,
}

fn id_of(kind: BlobKind, canonical: &[u8]) -> BlobId {
    StoreHash::unkeyed().blob_id(kind as u8, canonical)
}

fn whole(kind: BlobKind, canonical: &[u8]) -> Lie {
    Lie {
        id: id_of(kind, canonical),
        kind,
        encoding: Encoding::Plain,
        bases: Vec::new(),
        canonical_bytes: canonical.len() as u64,
        encoded: canonical.to_vec(),
    }
}

/// A delta that says to be `result`.
fn delta_of(kind: BlobKind, result: &[u8], bases: &[BlobId], encoded: Vec<u8>) -> Lie {
    Lie {
        id: id_of(kind, result),
        kind,
        encoding: Encoding::Delta,
        bases: bases.to_vec(),
        canonical_bytes: result.len() as u64,
        encoded,
    }
}

struct Scene {
    _sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
    calls: FaultBackend,
    store: Store,
    packs: u8,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let calls = FaultBackend::new(backend.clone());
        let store = sandbox.create(Arc::new(calls.clone()));
        Self {
            _sandbox: sandbox,
            backend,
            calls,
            store,
            packs: 0,
        }
    }

    /// One pack, one frame a blob.
    fn put(&mut self, lies: &[Lie]) {
        self.packs += 1;
        let mut forged = ForgedPack::of(self.packs, []);
        for lie in lies {
            let bases: Vec<_> = lie.bases.iter().map(base_prefix).collect();
            // As `pack::append_item`, which makes no item that is wrong.
            let mut plain = vec![lie.kind as u8, lie.encoding as u8];
            if lie.encoding == Encoding::Delta {
                plain.push(bases.len() as u8);
                plain.extend(bases.as_flattened());
            }
            plain.extend((lie.canonical_bytes as u32).to_le_bytes());
            plain.extend((lie.encoded.len() as u32).to_le_bytes());
            plain.extend(&lie.encoded);
            let entry = BlobEntry {
                id: lie.id,
                kind: lie.kind,
                encoding: lie.encoding,
                depth: u8::from(lie.encoding == Encoding::Delta),
                bases,
                canonical_bytes: lie.canonical_bytes as u32,
                encoded_bytes: lie.encoded.len() as u32,
                frame: 0,
                offset: 0,
            };
            forged.frame(&plain, entry);
        }
        forged.put(&*self.backend);
    }

    /// Reads a blob with a new reader, in no more than so many reads of objects.
    #[track_caller]
    fn read(&self, lie: &Lie, reads_max: usize) -> Result<Vec<u8>, BlobError> {
        let reader = self.store.reader().unwrap();
        self.calls.reset();
        let read = reader.get(lie.kind, &lie.id);
        assert!(
            self.calls.count() <= reads_max,
            "{} reads",
            self.calls.count()
        );
        read
    }

    /// It cannot be had, and everybody knows: it is stored again.
    #[track_caller]
    fn refused(&self, lie: &Lie, what: &str) -> BlobError {
        let Err(error) = self.read(lie, READS_MAX) else {
            panic!("{what}: it was read");
        };
        assert_ne!(error.why, BlobErrorKind::Unavailable, "{what}: {error}");
        error
    }

    /// Whether a writer takes this blob for known.
    fn is_known(&self, kind: BlobKind, canonical: &[u8]) -> bool {
        let mut writer = self.store.writer(0).unwrap();
        writer.put(kind, canonical).unwrap();
        let bytes = writer.flush().unwrap();
        writer.abandon().unwrap();
        bytes == 0
    }
}

/// A leaf of one column.
fn leaf(numbers: impl IntoIterator<Item = i64>) -> Leaf {
    let mut builder = LeafBuilder::new(1);
    for number in numbers {
        let values = [Value::Integer(number)];
        let values: Vec<_> = values.iter().map(Value::as_ref).collect();
        builder.push(RowRef {
            rowid: None,
            values: &values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    Leaf::parse(canonical).unwrap()
}

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

fn varints(numbers: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    numbers.iter().for_each(|n| append_varint(*n, &mut out));
    out
}

#[test]
fn nonsense_in_the_place_of_a_delta_is_damage() {
    let (a, b) = (leaf(0..50), leaf(0..51));
    let honest = delta::encode_leaf(
        &[&a],
        &b,
        &[Kept {
            base: 0,
            result: 0,
            rows: 50,
        }],
        &[Some(0)],
    );
    let patch = delta::encode_bytes(b"an old text", b"a new text", 3).unwrap();
    let of_node = delta::encode_node(
        &Node::decode(&node(0)).unwrap(),
        &Node::decode(&node(1)).unwrap(),
    )
    .unwrap();
    let kinds = [
        (
            BlobKind::Leaf,
            a.canonical().to_vec(),
            b.canonical().to_vec(),
            honest,
        ),
        (BlobKind::Node, node(0), node(1), of_node),
        (
            BlobKind::Chunk,
            b"an old text".to_vec(),
            b"a new text".to_vec(),
            patch.clone(),
        ),
        (
            BlobKind::Schema,
            b"an old text".to_vec(),
            b"a new text".to_vec(),
            patch,
        ),
    ];
    for (kind, base, result, honest) in kinds {
        let base = whole(kind, &base);
        let mut lies: Vec<Vec<u8>> = vec![
            Vec::new(),
            vec![0],
            vec![0xff; 40],
            result.clone(),
            base.encoded.clone(),
            [honest.clone(), vec![0]].concat(),
        ];
        lies.extend((0..honest.len()).map(|cut| honest[..cut].to_vec()));
        for at in 0..honest.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut lie = honest.clone();
                lie[at] ^= change;
                lies.push(lie);
            }
        }
        let mut scene = Scene::new();
        let good = delta_of(kind, &result, &[base.id], honest.clone());
        scene.put(&[base.clone(), good.clone()]);
        assert!(scene.read(&good, 4).unwrap() == result);
        for lie in lies {
            let mut scene = Scene::new();
            let bad = delta_of(kind, &result, &[base.id], lie.clone());
            scene.put(&[base.clone(), bad.clone()]);
            match scene.read(&bad, 20) {
                // A byte that means nothing was changed, if any.
                Ok(read) => assert!(read == result),
                Err(error) => {
                    assert_eq!(
                        error.why,
                        BlobErrorKind::Damaged,
                        "{}: {error}",
                        kind.name()
                    );
                    assert_eq!(error.id, bad.id);
                }
            }
        }
    }
}

#[test]
fn a_delta_has_the_bases_of_its_kind_or_its_pack_is_not_read() {
    let (a, b) = (leaf(0..50), leaf(0..51));
    let text: (&[u8], &[u8]) = (b"an old text", b"a new text");
    let patch = delta::encode_bytes(text.0, text.1, 3).unwrap();
    let kept = [Kept {
        base: 0,
        result: 0,
        rows: 50,
    }];
    let of_leaf = delta::encode_leaf(&[&a], &b, &kept, &[Some(0)]);
    let base = whole(BlobKind::Leaf, a.canonical());
    let chunk = whole(BlobKind::Chunk, text.0);
    let other = whole(BlobKind::Chunk, b"another text");
    let old_node = whole(BlobKind::Node, &node(0));
    let pieces = whole(BlobKind::ChunkNode, text.0);
    let cases = [
        (
            "a leaf on none",
            delta_of(BlobKind::Leaf, b.canonical(), &[], of_leaf.clone()),
        ),
        (
            "a leaf on five",
            delta_of(
                BlobKind::Leaf,
                b.canonical(),
                &[base.id; 5],
                of_leaf.clone(),
            ),
        ),
        (
            "a node on two",
            delta_of(BlobKind::Node, &node(1), &[old_node.id; 2], vec![0; 4]),
        ),
        (
            "a chunk on two",
            delta_of(
                BlobKind::Chunk,
                text.1,
                &[chunk.id, other.id],
                patch.clone(),
            ),
        ),
        (
            "a chunk node as a delta",
            delta_of(BlobKind::ChunkNode, text.1, &[pieces.id], patch.clone()),
        ),
        (
            "a schema on none",
            delta_of(BlobKind::Schema, text.1, &[], patch.clone()),
        ),
        (
            "a leaf on itself",
            delta_of(
                BlobKind::Leaf,
                b.canonical(),
                &[id_of(BlobKind::Leaf, b.canonical())],
                of_leaf.clone(),
            ),
        ),
        // Of another kind under the same id there is nothing.
        (
            "a leaf on a chunk",
            delta_of(BlobKind::Leaf, b.canonical(), &[chunk.id], of_leaf),
        ),
        (
            "a chunk on a leaf",
            delta_of(BlobKind::Chunk, text.1, &[base.id], patch),
        ),
    ];
    for (what, lie) in cases {
        let mut scene = Scene::new();
        scene.put(&[base.clone(), chunk.clone(), other.clone(), old_node.clone()]);
        scene.put(&[pieces.clone()]);
        scene.put(std::slice::from_ref(&lie));
        scene.refused(&lie, what);
        let canonical = match lie.kind {
            BlobKind::Leaf => b.canonical().to_vec(),
            BlobKind::Node => node(1),
            _ => text.1.to_vec(),
        };
        assert!(!scene.is_known(lie.kind, &canonical), "{what}");
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

/// Chunks that are deltas in circles, of every length, beside whole blobs that stay readable.
#[test]
fn circles_of_deltas_end() {
    let text = |n: usize| format!("text number {n}").into_bytes();
    let id = |n| id_of(BlobKind::Chunk, &text(n));
    for length in [1, 2, 3, 31, 32, 33, 100] {
        let mut scene = Scene::new();
        let circle: Vec<Lie> = (0..length)
            .map(|n| {
                let base = (n + 1) % length;
                let patch = delta::encode_bytes(&text(base), &text(n), 3).unwrap();
                delta_of(BlobKind::Chunk, &text(n), &[id(base)], patch)
            })
            .collect();
        scene.put(&circle);
        scene.refused(&circle[0], "a circle");
        assert!(!scene.is_known(BlobKind::Chunk, &text(0)));
        // Stored again, it is a whole copy on which others stand.
        assert!(scene.read(&circle[0], READS_MAX).unwrap() == text(0));
        let last = &circle[length - 1];
        assert!(
            scene.read(last, READS_MAX).unwrap() == text(length - 1),
            "{length}"
        );
    }
}

/// Every one of 40 blobs is a delta on every other: more ways than can ever be tried.
#[test]
fn a_thicket_of_deltas_ends() {
    let text = |n: usize| format!("text number {n}").into_bytes();
    let id = |n| id_of(BlobKind::Chunk, &text(n));
    let mut scene = Scene::new();
    let mut lies = Vec::new();
    for n in 0..40 {
        for base in (0..40).filter(|base| *base != n) {
            let patch = delta::encode_bytes(&text(base), &text(n), 3).unwrap();
            lies.push(delta_of(BlobKind::Chunk, &text(n), &[id(base)], patch));
        }
    }
    scene.put(&lies);
    scene.refused(&lies[0], "a thicket");
    assert!(!scene.is_known(BlobKind::Chunk, &text(0)));
    assert!(scene.read(&lies[0], READS_MAX).unwrap() == text(0));
}

#[test]
fn a_chain_is_as_deep_as_it_may_be_and_no_deeper() {
    let text = |n: u8| format!("text number {n}").into_bytes();
    let mut scene = Scene::new();
    let mut lies = vec![whole(BlobKind::Chunk, &text(0))];
    for n in 1..=DELTA_DEPTH_MAX + 1 {
        let patch = delta::encode_bytes(&text(n - 1), &text(n), 3).unwrap();
        let base = id_of(BlobKind::Chunk, &text(n - 1));
        lies.push(delta_of(BlobKind::Chunk, &text(n), &[base], patch));
    }
    scene.put(&lies);
    let deepest = &lies[usize::from(DELTA_DEPTH_MAX)];
    assert!(scene.read(deepest, 40).unwrap() == text(DELTA_DEPTH_MAX));
    let beyond = &lies[usize::from(DELTA_DEPTH_MAX) + 1];
    scene.refused(beyond, "33 deltas");
    assert!(!scene.is_known(BlobKind::Chunk, &text(DELTA_DEPTH_MAX + 1)));
}

/// Two leaves a level, each a good delta on both below: 2^30 ways down.
#[test]
fn a_ladder_of_bases_ends() {
    const LEVELS: i64 = 30;
    let pair = |level: i64| [leaf([level * 2, 1]), leaf([level * 2 + 1, 1])];
    let mut scene = Scene::new();
    let mut lies: Vec<Lie> = pair(0)
        .iter()
        .map(|leaf| whole(BlobKind::Leaf, leaf.canonical()))
        .collect();
    for level in 1..LEVELS {
        let below = pair(level - 1);
        let bases = below
            .each_ref()
            .map(|leaf| id_of(BlobKind::Leaf, leaf.canonical()));
        for leaf in pair(level) {
            let kept = [Kept {
                base: 0,
                result: 0,
                rows: 2,
            }];
            let delta = delta::encode_leaf(&[&below[0], &below[1]], &leaf, &kept, &[Some(0)]);
            lies.push(delta_of(BlobKind::Leaf, leaf.canonical(), &bases, delta));
        }
    }
    scene.put(&lies);
    // Low on the ladder it is a good one: 2 + 4 + 8 deltas.
    assert!(scene.read(&lies[6], 40).unwrap() == pair(3)[0].canonical());
    assert!(scene.is_known(BlobKind::Leaf, pair(3)[0].canonical()));
    let top = lies.last().unwrap();
    scene.refused(top, "a ladder");
    // What a reader gives up is not known to a writer.
    let canonical = pair(LEVELS - 1)[1].canonical().to_vec();
    assert!(!scene.is_known(BlobKind::Leaf, &canonical));
    assert!(scene.read(top, READS_MAX).unwrap() == canonical);
}
