//! store-format.md says what the program does: constants, example bytes, and frozen results.

use std::collections::BTreeMap;

use larder::codec::erasure;
use larder::codec::hash::{self, StoreHash};
use larder::codec::zstd::WINDOW_LOG_MAX;
use larder::format::blob::{BlobKind, BlobSource, Encoding};
use larder::format::leaf::{
    self, Leaf, LeafBuilder, columns, encoded_column, hex, integers, numbers, reals, texts,
    timestamps,
};
use larder::format::node::{Child, Node, Span};
use larder::format::protocol::WriterRecord;
use larder::format::{blob, chunk, config, delta, footer, frame, limits, name, node, pack, parity};
use larder::model::id::BlobId;
use larder::model::row::RowRef;
use larder::model::value::{SPILL_BYTES_OVER, Value, ValueRef};
use larder::testkit::blobs::MapBlobs;

use super::tree_rows::{Random, Row, build, rows, shapes, spill};

const DOCUMENT: &str = include_str!("../../store-format.md");

/// Lists constants by their own names.
macro_rules! named {
    ($($module:path: $($name:ident)+;)+) => {{
        let mut out = Vec::new();
        $({ use $module::*; $(out.push((stringify!($name), ($name).to_string()));)+ })+
        out
    }};
}

/// Those that are numbers.
fn numbers() -> Vec<(&'static str, String)> {
    named! {
        limits: BLOB_BYTES_MAX CHAIN_BYTES_MAX FRAME_BYTES_MAX PACK_BYTES_MAX FOOTER_BYTES_MAX PARITY_BYTES_MAX OBJECT_BYTES_MAX
            TREE_LEVELS_MAX COLUMNS_MAX LEAF_ROWS_MAX LEAF_VALUES_MAX NODE_CHILDREN_MAX NODE_KEY_BYTES_MAX;
        config: FORMAT_VERSION FORMAT_DRAFT;
        frame: FRAME_CONTENT_BYTES;
        delta: DELTA_COLUMNS_SAME DELTA_COLUMNS_LISTED DELTA_COLUMN_KEPT DELTA_COLUMN_CONSTANT
            DELTA_COLUMN_VALUES DELTA_ROWIDS_SHIFTED DELTA_CELLS_NONE DELTA_CELLS_LISTED
            DELTA_CELLS_AGAIN DELTA_FIELD_ID DELTA_FIELD_ROWS DELTA_FIELD_BYTES DELTA_FIELD_TAIL
            DELTA_BASES_MAX DELTA_DEPTH_MAX DELTA_STEPS_MAX DELTA_VERSIONS_MAX;
        pack: PACK_HEAD_BYTES PACK_TARGET_BYTES FRAME_TARGET_BYTES;
        footer: TRAILER_BYTES FRAME_ENTRY_BYTES BLOB_ENTRY_BYTES BASE_ENTRY_BYTES;
        node: SPAN_ROWIDS SPAN_KEY SPAN_PLACE HAS_REFS KEY_CUT LEAF_TARGET_WEIGHT LEAF_MIN_WEIGHT
            LEAF_MAX_WEIGHT ROW_WEIGHT NODE_TARGET_CHILDREN NODE_MIN_CHILDREN;
        leaf::class: NULL INTEGER REAL TEXT BLOB SPILLED_TEXT SPILLED_BLOB;
        leaf: SPILLED_BYTES;
        columns: ROWIDS_NONE ROWIDS_CONSECUTIVE ROWIDS_LISTED;
        encoded_column: CLASSES_TWO CLASSES_LISTED;
        integers: WIDTH_BITS WIDTH_MAX MULTIPLES DIFFERENCES;
        reals: BITS DIGITS_MAX NUMERATOR_MAX;
        texts: TEXTS_PLAIN TEXTS_DICTIONARY TEXTS_TIMESTAMPS TEXTS_NUMBERS TEXTS_HEX;
        timestamps: TIME_DIGITS TIME_T TIME_Z TIME_OFFSET TIME_DAYS;
        numbers: NUMBER_DIGITS_MAX;
        hex: HEX_LOWER HEX_UPPER;
        parity: PARITY_HEAD_BYTES SHARD_BYTES_MIN SHARDS_MAX CHECK_BYTES PARITY_PACK_BYTES_MIN PARITY_PERCENT;
        chunk: CHUNK_MIN_BYTES CHUNK_TARGET_BYTES CHUNK_MAX_BYTES;
    }
}

/// The constants of the format, as the document writes their values.
fn constants() -> BTreeMap<&'static str, String> {
    let mut all = numbers();
    all.push(("SPILL_BYTES_OVER", SPILL_BYTES_OVER.to_string()));
    all.push(("WINDOW_LOG_MAX", WINDOW_LOG_MAX.to_string()));
    all.push(("GF_POLYNOMIAL", format!("0x{:X}", erasure::POLYNOMIAL)));
    let basis = erasure::BASIS.map(|element| format!("{element:04X}"));
    all.push(("GF_BASIS", basis.join(" ")));
    all.push(("FRAME_MAGIC", format!("0x{:X}", frame::FRAME_MAGIC)));
    assert!(config::FEATURES_KNOWN.is_empty());
    all.push(("FEATURES_KNOWN", "none".to_owned()));
    let text = |bytes: &[u8]| format!("`{}`", bytes.escape_ascii()).replace("\\x00", "\\0");
    let texts: [(&str, &[u8]); 20] = [
        ("CONFIG", name::CONFIG.as_bytes()),
        ("SNAPSHOTS", name::SNAPSHOTS.as_bytes()),
        ("PACKS", name::PACKS.as_bytes()),
        ("WRITERS", name::WRITERS.as_bytes()),
        ("GC", name::GC.as_bytes()),
        ("GC_FINAL_ENDING", name::GC_FINAL_ENDING.as_bytes()),
        ("FORGOTTEN", name::FORGOTTEN.as_bytes()),
        ("DAMAGED", name::DAMAGED.as_bytes()),
        ("PINS", name::PINS.as_bytes()),
        ("PARITY", name::PARITY.as_bytes()),
        ("SECOND", name::SECOND.as_bytes()),
        ("REDUNDANCY", name::REDUNDANCY.as_bytes()),
        ("PARITY_MAGIC", &parity::PARITY_MAGIC),
        ("BALLAST", name::BALLAST.as_bytes()),
        ("FRAME_MARK", &frame::FRAME_MARK),
        ("PACK_MAGIC", &pack::PACK_MAGIC),
        ("TRAILER_MAGIC", &footer::TRAILER_MAGIC),
        ("HASH_PREFIX", &hash::HASH_PREFIX),
        ("DOMAIN_SPLIT", &[hash::DOMAIN_SPLIT]),
        ("DOMAIN_FOOTER", &[hash::DOMAIN_FOOTER]),
    ];
    all.extend(texts.map(|(name, bytes)| (name, text(bytes))));
    use frame::ObjectKind::{
        Abort, Config, Forget, ForgetFinal, Gc, GcFinal, Manifest, Pin, Redundancy, Writer,
    };
    let kinds = [
        ("Config", Config),
        ("Manifest", Manifest),
        ("Abort", Abort),
        ("Writer", Writer),
        ("Gc", Gc),
        ("GcFinal", GcFinal),
        ("Forget", Forget),
        ("ForgetFinal", ForgetFinal),
        ("Pin", Pin),
        ("Redundancy", Redundancy),
    ];
    all.extend(kinds.map(|(name, kind)| (name, text(&[kind as u8]))));
    let kinds = BlobKind::ALL.map(|kind| (kind as u8).to_string());
    let names = ["Leaf", "Node", "Chunk", "ChunkNode", "Schema"];
    all.extend(names.into_iter().zip(kinds));
    let encodings = [
        ("Plain", Encoding::Plain),
        ("Columns", Encoding::Columns),
        ("Delta", Encoding::Delta),
    ];
    all.extend(encodings.map(|(name, encoding)| (name, (encoding as u8).to_string())));
    let count = all.len();
    let all = BTreeMap::from_iter(all);
    assert_eq!(all.len(), count, "a name twice");
    all
}

/// The rows of the document's `| name | value | why |` tables.
fn documented() -> BTreeMap<&'static str, String> {
    let mut out = BTreeMap::new();
    let mut inside = false;
    for line in DOCUMENT.lines() {
        if line == "| name | value | why |" {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && line != "| --- | --- | --- |" {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 3, "{line}");
            let again = out.insert(cells[0].trim_matches('`'), cells[1].to_owned());
            assert_eq!(again, None, "{line}");
        }
    }
    out
}

#[test]
fn every_constant_stands_in_the_document_and_every_documented_one_in_the_program() {
    let (program, document) = (constants(), documented());
    for (name, value) in &program {
        assert_eq!(document.get(name), Some(value), "{name} in store-format.md");
    }
    for (name, value) in &document {
        assert_eq!(
            program.get(name),
            Some(value),
            "{name} in src/format (and in this test's list)"
        );
    }
}

/// The bytes behind `example NAME` in the document.
fn example(name: &str) -> Vec<u8> {
    let (_, behind) = DOCUMENT
        .split_once(&format!("    example {name}\n"))
        .unwrap();
    let lines = behind.lines().take_while(|line| line.starts_with("    "));
    let digits: String = lines.map(str::trim).collect();
    let pairs = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

type ExampleRow = (i64, [ValueRef<'static>; 3]);

/// Rows of the document's leaf.
const EXAMPLE_ROWS: [ExampleRow; 3] = [
    (
        7,
        [ValueRef::Text(b"bun"), ValueRef::Real(0.5), ValueRef::Null],
    ),
    (
        8,
        [
            ValueRef::Text(b"roll"),
            ValueRef::Real(1.25),
            ValueRef::Integer(3),
        ],
    ),
    (
        10,
        [ValueRef::Text(b"rye"), ValueRef::Real(2.0), ValueRef::Null],
    ),
];

fn example_leaf(rows: &[ExampleRow]) -> Vec<u8> {
    let mut builder = LeafBuilder::new(3);
    for (rowid, values) in rows {
        builder.push(RowRef {
            rowid: Some(*rowid),
            values,
        });
    }
    let mut canonical = Vec::new();
    builder.finish(&mut canonical);
    canonical
}

#[test]
fn the_example_leaf_is_what_the_program_writes_and_reads() {
    let canonical = example_leaf(&EXAMPLE_ROWS);
    assert_eq!(canonical, example("leaf-canonical"));
    let encoded = blob::encode(BlobKind::Leaf, &canonical).unwrap();
    assert_eq!(encoded.encoding, Encoding::Columns);
    let hex: String = encoded.bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(encoded.bytes, example("leaf-columns"), "{hex}");
    assert_eq!(
        blob::decode(encoded.encoding, &encoded.bytes, canonical.len() as u64).unwrap(),
        canonical
    );
    let leaf = Leaf::parse(canonical).unwrap();
    assert_eq!(leaf.rowid(2, Some(7)), Some(10));
    assert!(leaf.value(1, 0).identical(ValueRef::Text(b"roll")));
}

#[test]
fn the_example_delta_is_what_the_program_writes_and_reads() {
    let base = Leaf::parse(example_leaf(&EXAMPLE_ROWS)).unwrap();
    let [bun, mut roll, rye] = EXAMPLE_ROWS;
    roll.1[1] = ValueRef::Real(1.5);
    let bap = [ValueRef::Text(b"bap"), ValueRef::Real(0.75), ValueRef::Null];
    let result = Leaf::parse(example_leaf(&[bun, roll, (9, bap), rye])).unwrap();
    let kept = |base, result, rows| delta::Kept { base, result, rows };
    let kept = [kept(0, 0, 2), kept(2, 3, 1)];
    let columns = [Some(0), Some(1), Some(2)];
    let bytes = delta::encode_leaf(&[&base], &result, &kept, &columns);
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(bytes, example("leaf-delta"), "{hex}");
    let mut chain = delta::Chain::begin(BlobKind::Leaf, base.canonical().to_vec()).unwrap();
    let length = result.canonical().len() as u64;
    chain.apply(&[], &bytes, length).unwrap();
    assert_eq!(chain.finish(length).unwrap(), result.canonical());
}

#[test]
fn the_example_node_is_what_the_program_writes_and_reads() {
    let child = |id, rows, bytes, has_refs, first, last| Child {
        id: BlobId([id; 32]),
        rows,
        bytes,
        has_refs,
        span: Span::Rowids { first, last },
    };
    let leaf_bytes = example("leaf-canonical").len() as u64;
    let children = vec![
        child(0x11, 3, leaf_bytes, false, 7, 10),
        child(0x22, 400, 90_000, true, 12, 900),
    ];
    let node = Node { level: 1, children };
    assert_eq!(node.encode(), example("node"));
    assert_eq!(Node::decode(&example("node")).unwrap(), node);
}

#[test]
fn the_example_object_is_read_and_written() {
    let hash = StoreHash::unkeyed();
    let bytes = example("object");
    let read = |bytes: &[u8]| {
        frame::decode::<WriterRecord>(hash, frame::ObjectKind::Writer, bytes, "a writer").unwrap()
    };
    let writer = read(&bytes);
    assert_eq!((writer.host.as_str(), writer.beat), ("oven", 0));
    let again = frame::encode(hash, frame::ObjectKind::Writer, &writer).unwrap();
    assert_eq!((&again[..16], read(&again)), (&bytes[..16], writer));
}

/// Every section that the code cites exists.
#[test]
fn cited_sections_exist() {
    let mut files = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for cited in text.split('§').skip(1) {
            let end = cited
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(cited.len());
            let heading = format!("# §{} ", cited[..end].trim_end_matches('.'));
            assert!(
                DOCUMENT.contains(&heading),
                "{heading}in {}",
                path.display()
            );
        }
    }
}

/// Frozen results. After a deliberate change of the format (a new draft, another leaf target):
/// run `cargo test --test promises golden`, look at the difference, and put the printed lines here.
const GOLDEN: &str = "\
alias 4000 11 439a579699b40b0800bf48f0a00b2c94d0becc8a13d4d4488d0e45d5a2181b2d
hidden 4000 11 c8f1e524266e783490952ca7a8bf9c0d413796d6cfcab6ec69ff90c91655be11
key 3876 12 97f05fc4bc11f80a138d739d06c74e9f0fe6486767df76b67dec293c601d411a
place 4000 11 dcff99ac8af1f300c367e7d07ebaf25a17cc176e483276b2e913660dc0ab8717
chunk 114574 4c9bf1c9
chunk 370277 d0959743
chunk 268954 c925b6aa
chunk 377302 840d2309
chunk 317385 0e5f03c3
chunk 372033 2026f277
chunk 326445 2e87c4b6
chunk 165937 3d6a0e18
chunk 130252 de8953ec
chunk 328480 9ec91f25
chunk 328955 163d2198
chunk 45134 fd981b27
chunk node 485 8b0b88cd
root 1 8b0b88cdf340651860d5350bf12f8d5d989dbaa2b17b30aad48e6716a9d6047f";

/// A fixed table for each kind of order, and chunks of a fixed megabyte or two.
#[test]
fn golden_roots_and_cuts_have_not_moved() {
    let mut lines = Vec::new();
    for (name, shape) in shapes() {
        let mut rows: Vec<Row> = rows(&shape, 4000, &mut Random(42));
        let mut blobs = MapBlobs::new();
        let spilled = spill(&Random(43).bytes(100_000), &mut blobs);
        rows[5].1[3] = Value::Spilled(spilled);
        let root = build(&shape, &rows, &mut blobs).unwrap();
        let leaves = blobs.ids(BlobKind::Leaf).len();
        lines.push(format!("{name} {} {leaves} {}", root.rows, root.id));
        assert!(blobs.get(BlobKind::Node, &root.id).is_ok());
    }
    let mut blobs = MapBlobs::new();
    let value = spill(&Random(44).bytes(3 << 20), &mut blobs);
    for (kind, id, bytes) in &blobs.log {
        lines.push(format!("{} {bytes} {}", kind.name(), id.short()));
    }
    lines.push(format!("root {} {}", value.level, value.root));
    let found = lines.join("\n");
    assert!(found == GOLDEN, "golden results moved; found:\n{found}");
}
