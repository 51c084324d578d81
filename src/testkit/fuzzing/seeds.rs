//! What fuzzing begins with: for each target inputs that are whole, so that what is new is found behind
//! the first checks.

use super::deltas::{byte_bases, leaf_bases, node_bases, sample_leaf, sample_node};
use super::imports::exported;
use super::objects::{KINDS, text_of};
use super::packs::footer_of;
use super::scene::{folder, scene, sql};
use crate::codec::zstd;
use crate::format::blob::BlobKind;
use crate::format::chunk::{ChunkNode, Piece};
use crate::format::delta::{self, Kept};
use crate::format::footer::TRAILER_BYTES;
use crate::format::leaf::{Leaf, columns};
use crate::format::name;
use crate::format::node::Node;
use crate::model::file_name::MANIFEST_FILE;
use crate::model::id::BlobId;

/// Larger ones are not kept: fuzzing them would be slow.
const SEED_BYTES_MAX: usize = 64 << 10;

fn behind(head: &[u8], rest: &[u8]) -> Vec<u8> {
    [head, rest].concat()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Inputs of a target. It must be there.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "frame" => frames(),
        "manifest" => manifests(),
        "names" => names(),
        "footer" => footers(),
        "pack" => items(),
        "leaf" => leaf_bases().to_vec(),
        "columns" => leaf_bases().iter().map(|leaf| coded(leaf)).collect(),
        "node" => node_bases().to_vec(),
        "chunk_node" => vec![chunk_node(1), chunk_node(40)],
        "schema" => blobs(BlobKind::Schema),
        "delta_leaf" => leaf_deltas(),
        "delta_node" => node_deltas(),
        "delta_bytes" => byte_deltas(),
        "words" => texts(&[
            "latest",
            "latest~1",
            "latest~9",
            "name 1",
            "20261123T2015",
            "store/latest",
            "./a.zip",
            "orders=brand,\"my.name\"",
            "orders.customer=customers.id",
            "\"a\"\"b\".c=d",
            "orders=77",
        ]),
        "ddl" => ddl(),
        "import_document" => documents(),
        "import_manifest" => vec![exported().files[MANIFEST_FILE].clone(), plain_manifest()],
        "import_zip" => vec![exported().zip.clone()],
        "whole_store" => steps(),
        "source_database" => databases(),
        _ => panic!("no target {target}"),
    };
    seeds.retain(|seed| seed.len() <= SEED_BYTES_MAX);
    seeds
}

fn frames() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let whole = scene().objects.iter();
    for (_, object) in whole.filter(|(name, _)| !name.starts_with(name::PACKS)) {
        seeds.push(behind(&[0], object));
        seeds.extend(text_of(object).map(|(kind, text)| {
            let at = KINDS.iter().position(|k| *k == kind).unwrap();
            behind(&[u8::try_from(at).unwrap() + 18], &text)
        }));
    }
    let id = &scene().snapshots[0].0;
    let (pack, clean_up) = ("ab".repeat(32), "cd".repeat(16));
    for (kind, text) in [
        (
            20,
            format!(r#"{{"snapshot":"{id}","fenced":"2026-11-23T20:15:30.000Z"}}"#),
        ),
        (
            21,
            format!(
                r#"{{"format":{{"version":0,"draft":5}},"snapshot":"{id}","host":"h","started":"s","beat":7}}"#
            ),
        ),
        (
            22,
            format!(
                r#"{{"clean_up":"{clean_up}","condemned":["{pack}"],"host":"h","started":"s"}}"#
            ),
        ),
        (
            23,
            format!(
                r#"{{"verdict":"sealed","clean_up":"{clean_up}","dead":["{pack}"],"time":"t"}}"#
            ),
        ),
        (
            23,
            format!(r#"{{"verdict":"abort","clean_up":"{clean_up}","time":"t"}}"#),
        ),
    ] {
        let payload = zstd::compress(text.as_bytes(), 1).unwrap();
        seeds.push(behind(&[kind - 12], &payload));
        seeds.push(behind(&[kind], text.as_bytes()));
    }
    seeds
}

fn manifests() -> Vec<Vec<u8>> {
    let ids = scene().snapshots.iter().map(|(id, _)| name::snapshot(id));
    ids.map(|name| text_of(&scene().objects[&name]).unwrap().1)
        .collect()
}

fn names() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = scene().objects.keys().map(|n| n.clone().into()).collect();
    seeds.extend(
        scene()
            .snapshots
            .iter()
            .map(|(id, _)| id.to_string().into()),
    );
    seeds.push("ab".repeat(32).into());
    seeds.push(format!("gc/{}.final", "ab".repeat(16)).into());
    seeds.extend(texts(&["Order Details", "../é", "con.txt", "manifest"]));
    seeds
}

fn packs() -> impl Iterator<Item = &'static Vec<u8>> {
    let objects = scene().objects.iter();
    let packs = objects.filter(|(name, _)| name.starts_with(name::PACKS));
    packs.map(|(_, pack)| pack)
}

fn footers() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for pack in packs() {
        let footer = footer_of(pack).unwrap().unwrap();
        let frames: u32 = footer.frames.iter().map(|frame| frame.stored_bytes).sum();
        let end = pack.len() - TRAILER_BYTES;
        let stored = pack.len() - 32 - frames as usize;
        let plain = zstd::decompress_bounded(&pack[pack.len() - stored..end], 1 << 20).unwrap();
        let head = behind(&[1], &frames.to_le_bytes());
        seeds.push(behind(&head, &plain));
        seeds.push(behind(&[0], pack));
    }
    seeds
}

fn items() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = packs().map(|pack| pack[..32].to_vec()).collect();
    for pack in packs() {
        for frame in footer_of(pack).unwrap().unwrap().frames {
            let begin = usize::try_from(frame.offset).unwrap();
            let stored = &pack[begin..begin + frame.stored_bytes as usize];
            seeds.push(zstd::decompress_exact(stored, frame.plain_bytes as usize).unwrap());
        }
    }
    seeds
}

fn blobs(kind: BlobKind) -> Vec<Vec<u8>> {
    let all = scene().blobs.iter();
    let of_kind = all.filter(|(found, ..)| *found == kind);
    of_kind.map(|(.., canonical)| canonical.clone()).collect()
}

/// A leaf column by column, its length before it.
fn coded(leaf: &[u8]) -> Vec<u8> {
    let length = u32::try_from(leaf.len()).unwrap().to_le_bytes();
    let leaf = Leaf::parse(leaf.to_vec()).unwrap();
    behind(&length, &columns::encode(&leaf).bytes)
}

fn chunk_node(pieces: u8) -> Vec<u8> {
    let piece = |at| Piece {
        id: BlobId([at; 32]),
        bytes: 70_000,
    };
    let pieces = (0..pieces).map(piece).collect();
    ChunkNode { level: 1, pieces }.encode()
}

/// One step of a chain: the number of the base, those of further ones, the length, the delta.
fn chain(base: u8, more: &[u8], length: usize, delta: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_le_bytes();
    let bytes = u16::try_from(delta.len()).unwrap().to_le_bytes();
    let count = [base, u8::try_from(more.len()).unwrap()];
    [&count, more, &length, &bytes, delta].concat()
}

fn leaf_deltas() -> Vec<Vec<u8>> {
    let parse = |bytes: &[u8]| Leaf::parse(bytes.to_vec()).unwrap();
    let bases: Vec<Leaf> = leaf_bases().iter().map(|base| parse(base)).collect();
    let kept = |base, result, rows| Kept { base, result, rows };
    let same: Vec<Option<usize>> = (0..5).map(Some).collect();
    let mut seeds = Vec::new();
    let mut add =
        |base: u8, more: &[u8], result: &[u8], kept: &[Kept], columns: &[Option<usize>]| {
            let numbers = std::iter::once(&base).chain(more);
            let chosen: Vec<&Leaf> = numbers.map(|at| &bases[usize::from(*at)]).collect();
            let delta = delta::encode_leaf(&chosen, &parse(result), kept, columns);
            seeds.push(chain(base, more, result.len(), &delta));
        };
    let longer = sample_leaf(20, 1, true, 5);
    add(0, &[], &longer, &[kept(0, 0, 12)], &same);
    let shorter = sample_leaf(5, 4, true, 5);
    add(0, &[], &shorter, &[kept(3, 0, 5)], &same);
    // Rows that are kept though their values are others: changed cells and patches.
    add(
        0,
        &[],
        &sample_leaf(12, 3, true, 5),
        &[kept(0, 0, 12)],
        &same,
    );
    add(0, &[1], &longer, &[kept(0, 0, 12), kept(13, 14, 3)], &same);
    let wider = sample_leaf(40, 1, true, 3);
    add(4, &[], &wider, &[kept(0, 0, 40)], &[Some(0), None, Some(1)]);
    add(
        2,
        &[],
        &sample_leaf(7, 1, false, 2),
        &[kept(0, 0, 7)],
        &[Some(0), Some(1)],
    );
    // A second step, of what the first one made.
    let longer = parse(&longer);
    let delta = delta::encode_leaf(&[&longer], &parse(&shorter), &[kept(3, 0, 5)], &same);
    let length = u32::try_from(shorter.len()).unwrap().to_le_bytes();
    seeds.push([&seeds[0], &length[..], &delta].concat());
    seeds
}

fn node_deltas() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, (count, span)) in [(8, 0), (7, 1), (3, 2), (4, 0)].into_iter().enumerate() {
        let base = Node::decode(&node_bases()[at]).unwrap();
        let result = sample_node(count, span);
        let mut node = Node::decode(&result).unwrap();
        node.children[0].rows += 9;
        node.children.swap_remove(1);
        let delta = delta::encode_node(&base, &node).unwrap();
        let number = u8::try_from(at).unwrap();
        seeds.push(chain(number, &[], node.encode().len(), &delta));
    }
    seeds
}

fn byte_deltas() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (at, base) in (0_u8..).zip(byte_bases()) {
        let result = [b"first", &base[base.len() / 3..], b"last"].concat();
        let delta = delta::encode_bytes(base, &result, 3).unwrap();
        seeds.push(chain(at, &[], result.len(), &delta));
    }
    seeds
}

fn ddl() -> Vec<Vec<u8>> {
    let create = [
        "CREATE TABLE u(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE COLLATE NOCASE DEFAULT (1 + 2), c AS (a || b) STORED CHECK (c > 0), FOREIGN KEY (b) REFERENCES t(x) ON DELETE CASCADE) STRICT",
        "CREATE TABLE u(a, b, PRIMARY KEY (a, b DESC)) WITHOUT ROWID",
        "CREATE UNIQUE INDEX i ON t(x COLLATE RTRIM DESC, length(y)) WHERE id > 3",
        "CREATE VIEW v(a, b) AS WITH c AS (SELECT 1) SELECT x, y FROM t, c ORDER BY 1",
        "CREATE TRIGGER g AFTER UPDATE OF x ON t WHEN new.x > 1 BEGIN DELETE FROM t; INSERT INTO t VALUES(1, 2, 3); SELECT RAISE(ABORT, 'no'); END",
        "CREATE VIRTUAL TABLE u USING fts5(x)",
        "CREATE TABLE u AS SELECT * FROM t",
        "CREATE TEMP TABLE u(a); DROP TABLE t",
        "ATTACH 'x' AS y",
        "PRAGMA writable_schema=1",
        "VACUUM INTO 'x'",
    ];
    let filter = [
        "id = ?1 AND x LIKE 'a%' OR y IS NOT NULL",
        "x IN (SELECT x FROM t WHERE id BETWEEN 1 AND 9)",
        "1) OR (1",
        "1; DELETE FROM t",
        "EXISTS (WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r)",
    ];
    let quote = ["plain", "a\"b", "a.b c'[]`--/*", "ä\n;"];
    let all = [(0, &create[..]), (1, &filter[..]), (2, &quote[..])];
    let behind_number = |(how, texts): (u8, &[&str])| -> Vec<Vec<u8>> {
        let seeds = texts.iter().map(|text| behind(&[how], text.as_bytes()));
        seeds.collect()
    };
    all.into_iter().flat_map(behind_number).collect()
}

fn documents() -> Vec<Vec<u8>> {
    let whole = &exported().files["a.json"];
    let odd = r#"{"version": "1.0", "entity_type": "a", "records": [{"id": 1, "x": {"$text": "//8="}, "n": {"$real": "-Infinity"}},
        {"n": {"$blob": "AAE="}, "x": "\ud83d\ude00 \u0000", "id": 7}, {"id": -9, "x": "", "n": 1e-7}]}"#;
    let wide = r#"{"version": "1.0", "entity_type": "a", "records": [{"id": 1, "x": {"$text": "ANg=", "$encoding": "UTF-16le"}, "n": null}]}"#;
    let long = format!(
        r#"{{"version": "1.0", "entity_type": "a", "records": [{{"id": 1, "x": "{}", "n": {{"$blob": "{}"}}}}]}}"#,
        "long ä ".repeat(1200),
        "AAEC".repeat(6000),
    );
    let plain = r#"{"version": "1.0", "entity_type": "a", "records": [{"id": 1, "b": true, "c": [1, {"d": null}]}, {"e": 1.5}]}"#;
    let mut seeds: Vec<Vec<u8>> = (0..6).map(|how| behind(&[how], whole)).collect();
    let others = [(1, odd), (3, wide), (1, &long), (0, plain), (0, &long)];
    seeds.extend(others.map(|(how, text)| behind(&[how], text.as_bytes())));
    seeds
}

/// A manifest as the ancestor writes it: without a schema.
fn plain_manifest() -> Vec<u8> {
    let text = &exported().files[MANIFEST_FILE];
    let mut manifest: serde_json::Value = serde_json::from_slice(text).unwrap();
    manifest.as_object_mut().unwrap().remove("larder");
    manifest.to_string().into_bytes()
}

/// One step of each kind with each object, and a forgery of each blob.
fn steps() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![7]];
    let objects = u8::try_from(scene().objects.len()).unwrap();
    for how in 0..14 {
        for object in 0..objects {
            // What is done; the step; the object; where, or another one; what stands there then.
            seeds.push(vec![
                how << 2 | 3,
                how,
                object,
                40,
                object,
                0,
                0,
                2,
                3,
                1,
                2,
                3,
            ]);
        }
    }
    for blob in 0..u8::try_from(scene().blobs.len()).unwrap() {
        // Which blob; one change: where, how many bytes, which; the pack; the snapshot; its id.
        seeds.push(vec![
            10,
            0,
            blob,
            0,
            0,
            0,
            0,
            9,
            blob,
            0,
            0,
            1,
            1,
            7,
            1,
            blob % 3,
            blob,
        ]);
    }
    seeds
}

/// Databases with pages of 512 bytes: plain, with keys, of other encodings, with a write-ahead log.
fn databases() -> Vec<Vec<u8>> {
    let folder = folder();
    let small = "CREATE TABLE a(id INTEGER PRIMARY KEY, x UNIQUE); INSERT INTO a VALUES(1,'one'),(2,x'00'),(5,2.5);
        CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO b VALUES('x', 1), ('y', NULL);";
    let odd = "CREATE TABLE c(a, b AS (a || 1), c AS (a + 1) STORED); INSERT INTO c(a) VALUES(1),('z');
        CREATE VIEW w AS SELECT * FROM c; CREATE TRIGGER g AFTER INSERT ON c BEGIN SELECT 1; END;
        CREATE TABLE large(v); INSERT INTO large VALUES(printf('%.3000c', 'x'));
        CREATE TABLE d(x INTEGER PRIMARY KEY AUTOINCREMENT, a REFERENCES d); INSERT INTO d VALUES(7, 7);
        CREATE INDEX i ON c(a, b) WHERE a > 0;";
    let full_text = "CREATE VIRTUAL TABLE f USING fts5(t); INSERT INTO f VALUES('some words');";
    let mut seeds = Vec::new();
    for (at, (settings, text)) in [
        ("", small),
        ("", odd),
        ("PRAGMA encoding='UTF-16le';", small),
        ("PRAGMA auto_vacuum=2;", odd),
        ("", full_text),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{at}.db"));
        sql(&path, &format!("PRAGMA page_size=512; {settings} {text}"));
        seeds.push(behind(&[0], &std::fs::read(path).unwrap()));
    }
    let path = folder.path().join("wal.db");
    sql(
        &path,
        &format!("PRAGMA page_size=512; PRAGMA journal_mode=wal; {small}"),
    );
    let open = rusqlite::Connection::open(&path).unwrap();
    open.execute_batch("PRAGMA wal_autocheckpoint=0; INSERT INTO a VALUES(6, 'six')")
        .unwrap();
    let database = std::fs::read(&path).unwrap();
    let length = u16::try_from(database.len()).unwrap().to_le_bytes();
    let log = std::fs::read(folder.path().join("wal.db-wal")).unwrap();
    seeds.push([&[1], &length[..], &database, &log].concat());
    seeds
}
