//! A reader written from store-format.md alone (`tests/format/reader.py`) reads what larder writes.
//!
//! Needs `LARDER_TEST_PYTHON`, a Python with `blake3` and `zstandard`; see docs/testing.md.

use std::path::Path;
use std::process::{Command, Output};

use larder::codec::{hash, zstd};
use larder::format::blob::{self, BlobKind, BlobSink};
use larder::format::config::{Config, FormatMark};
use larder::format::footer::{BlobEntry, Footer, FrameEntry};
use larder::format::frame::{self, ObjectKind};
use larder::format::manifest::{Entity, Manifest, RestoreMark, RootRef, Source};
use larder::format::{name, pack, schema};
use larder::model::id::{BlobId, SnapshotId, StoreId};
use larder::model::row::Collation;
use larder::model::schema::{
    Column, KeyColumn, ObjectKind as SchemaKind, Schema, SchemaObject, Settings, Table, TableKind,
};
use larder::model::text::TextEncoding;
use larder::model::value::Value;
use larder::testkit::blobs::MapBlobs;
use larder::tree::TreeShape;

use super::tree_rows::{Random, Row, build, spill};

fn python() -> Option<String> {
    let python = std::env::var("LARDER_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "LARDER_TEST_PYTHON is not set"
        );
        println!("not run: LARDER_TEST_PYTHON is not set");
    }
    python
}

fn table(name: &str, kind: TableKind, columns: &[&str], key: Option<u32>) -> Table {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        declared_type: String::new(),
        not_null: false,
        default: None,
        kind: larder::model::schema::ColumnKind::Ordinary,
    };
    let key = key.map(|column| KeyColumn {
        column,
        collation: Collation::Nocase,
        descending: true,
    });
    Table {
        name: name.to_owned(),
        kind,
        strict: false,
        shadow: false,
        autoincrement: false,
        columns: columns.iter().map(column).collect(),
        primary_key: key.into_iter().collect(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
    }
}

fn rowid_table(alias: Option<u32>) -> TableKind {
    TableKind::Rowid {
        alias,
        rowid_name: Some("rowid".to_owned()),
    }
}

/// A row that each codec of §8.5 and §8.3 has something of.
fn forms(n: i64) -> (Option<i64>, Vec<Value>) {
    let (hour, minute, second) = (n / 97 % 24, n % 60, n * 7 % 60);
    let texts = [
        format!(
            "2024-02-29T{hour:02}:{minute:02}:{second:02}.{:03}+00:00",
            n % 1000
        ),
        format!("{:04}-12-31", n * 4),
        format!("no {}{:03}.50", if n % 3 == 0 { "-" } else { "" }, n),
        format!("{:08X}-{:03X}", n * 0x1234_5678 % 0xFFFF_FFFF, n % 0xFFF),
        format!("state {}", n % 11),
    ];
    let mut values: Vec<Value> = texts.map(|text| Value::Text(text.into_bytes())).into();
    values.push(match n % 3 {
        0 => Value::Null,
        _ => Value::Integer(n % 5 * 1_000_000_007),
    });
    (Some(n), values)
}

/// Five tables: rowid alias, hidden rowid, WITHOUT ROWID, and one without rows.
fn tables(blobs: &mut MapBlobs) -> Vec<(&'static str, Table, Vec<Row>)> {
    let large = spill(&Random(31).bytes(6 << 20), blobs);
    let people = (0..5000_i64).map(|n| {
        let note = match n % 50 {
            0 if n % 2500 == 0 => Value::Spilled(large),
            1 => Value::Text(vec![b'a', 0, 0xFF]),
            2 => Value::Blob(vec![0xFF; 40]),
            3 => Value::Integer(i64::MIN + n),
            _ => Value::Text(format!("note {n} ").repeat(5).into_bytes()),
        };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let price = n as f64 / 100.0;
        (Some(n * 7 - 9000), vec![Value::Real(price), note])
    });
    let log = (1..40_i64).map(|n| {
        let real = [-0.0, 1e300, f64::INFINITY, 0.1][usize::try_from(n % 4).unwrap()];
        (Some(n), vec![Value::Real(real), Value::Null])
    });
    let keys = (0..900).rev().map(|n| {
        let key = Value::Text(format!("Key{n:04}").into_bytes());
        (None, vec![Value::Integer(n), key])
    });
    vec![
        (
            "CREATE TABLE people(id INTEGER PRIMARY KEY, price, note)",
            table(
                "people",
                rowid_table(Some(0)),
                &["id", "price", "note"],
                None,
            ),
            people.collect(),
        ),
        (
            "CREATE TABLE log(a, b)",
            table("log", rowid_table(None), &["a", "b"], None),
            log.collect(),
        ),
        (
            "CREATE TABLE keys(v, k TEXT COLLATE NOCASE, PRIMARY KEY(k DESC)) WITHOUT ROWID",
            table("keys", TableKind::WithoutRowid, &["v", "k"], Some(1)),
            keys.collect(),
        ),
        (
            "CREATE TABLE forms(time, day, code, id, status, n)",
            table(
                "forms",
                rowid_table(None),
                &["time", "day", "code", "id", "status", "n"],
                None,
            ),
            (1..2000_i64).map(forms).collect(),
        ),
        (
            "CREATE TABLE empty(x)",
            table("empty", rowid_table(None), &["x"], None),
            Vec::new(),
        ),
    ]
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// One pack of all blobs, small ones together in frames.
fn put_pack(folder: &Path, blobs: &MapBlobs) {
    let mut out = pack::encode_head([9; 16]).to_vec();
    let mut footer = Footer::default();
    let mut plain = Vec::new();
    let mut close = |plain: &mut Vec<u8>, footer: &mut Footer| {
        let stored = zstd::compress(plain, 3).unwrap();
        footer.frames.push(FrameEntry {
            offset: out.len() as u64,
            stored_bytes: u32::try_from(stored.len()).unwrap(),
            plain_bytes: u32::try_from(plain.len()).unwrap(),
        });
        out.extend_from_slice(&stored);
        plain.clear();
    };
    for (kind, id, canonical) in blobs.iter() {
        let encoded = blob::encode(kind, canonical).unwrap();
        let (encoding, encoded) = (encoded.encoding, encoded.bytes);
        if !plain.is_empty() && plain.len() + encoded.len() > pack::FRAME_TARGET_BYTES {
            close(&mut plain, &mut footer);
        }
        footer.blobs.push(BlobEntry {
            id,
            kind,
            encoding,
            depth: 0,
            bases: Vec::new(),
            canonical_bytes: u32::try_from(canonical.len()).unwrap(),
            encoded_bytes: u32::try_from(encoded.len()).unwrap(),
            frame: u32::try_from(footer.frames.len()).unwrap(),
            offset: u32::try_from(plain.len()).unwrap(),
        });
        let item = pack::Item {
            kind,
            encoding,
            bases: &[],
            canonical_bytes: u32::try_from(canonical.len()).unwrap(),
            encoded: &encoded,
        };
        pack::append_item(item, &mut plain);
    }
    close(&mut plain, &mut footer);
    out.extend_from_slice(&footer.encode(blobs.hash()).unwrap());
    put(folder, &name::pack(&hash::pack_id(&out)), &out);
}

fn manifest(id: SnapshotId, schema: BlobId, entities: Vec<Entity>) -> Manifest {
    Manifest {
        format: FormatMark::CURRENT,
        features: Vec::new(),
        id,
        original: None,
        name: "first".to_owned(),
        time: "2026-11-23T20:15:30Z".to_owned(),
        host: "oven".to_owned(),
        tags: Vec::new(),
        parent: None,
        restore: Some(RestoreMark {
            before: SnapshotId::new(1_795_464_900, [5; 16]),
            of: Some(SnapshotId::new(1_795_460_000, [6; 16])),
            undoes: None,
            changed: vec!["people".to_owned()],
        }),
        source: Source {
            path: "/shop.db".to_owned(),
            name: None,
            bytes: 1,
        },
        settings: Settings {
            page_size: 4096,
            encoding: TextEncoding::Utf8,
            auto_vacuum: 0,
            user_version: 7,
            application_id: 0,
            journal_mode: "delete".to_owned(),
        },
        schema,
        entities,
        internal: Vec::new(),
        pages: None,
        damaged: false,
        integrity: None,
        full_text: Vec::new(),
        foreign_keys: Vec::new(),
        findings: Vec::new(),
        new_bytes: 0,
    }
}

/// A store of one snapshot. Returns the number of its records.
fn put_store(folder: &Path) -> u64 {
    let mut blobs = MapBlobs::new();
    let hash = blobs.hash();
    let (mut schema, mut entities) = (Schema::default(), Vec::new());
    for (sql, table, rows) in tables(&mut blobs) {
        let root = build(
            &TreeShape::of(&table, TextEncoding::Utf8),
            &rows,
            &mut blobs,
        );
        entities.push(Entity {
            entity: table.name.clone(),
            file: format!("{}.json", table.name),
            records: rows.len() as u64,
            bytes: root.as_ref().map_or(0, |root| root.bytes),
            root: root.map(|root| RootRef {
                id: root.id,
                level: root.level,
                first_rowid: root.first_rowid,
                has_refs: root.has_refs,
            }),
            import_order: 0,
            dependencies: Vec::new(),
            largest_value: 0,
            changes: None,
        });
        schema.objects.push(SchemaObject {
            kind: SchemaKind::Table,
            name: table.name.clone(),
            table: table.name.clone(),
            sql: Some(sql.to_owned()),
        });
        schema.tables.push(table);
    }
    let records = entities.iter().map(|entity| entity.records).sum();
    let schema = blobs
        .put(BlobKind::Schema, &schema::encode(&schema).unwrap())
        .unwrap();
    put_pack(folder, &blobs);
    let id = SnapshotId::new(1_795_464_930, [7; 16]);
    let manifest = manifest(id.clone(), schema, entities);
    let config = Config {
        format: FormatMark::CURRENT,
        features: Vec::new(),
        store_id: StoreId([3; 16]),
        created: "2026-11-23T20:15:30Z".to_owned(),
    };
    put(
        folder,
        name::CONFIG,
        &frame::encode(hash, ObjectKind::Config, &config).unwrap(),
    );
    let bytes = frame::encode(hash, ObjectKind::Manifest, &manifest).unwrap();
    put(folder, &name::snapshot(&id), &bytes);
    records
}

fn read(python: &str, script: &str, arguments: &[&Path]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/format")
        .join(script);
    let run = Command::new(python)
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output();
    run.unwrap()
}

#[test]
fn a_reader_made_from_the_document_alone_reads_a_snapshot() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let records = put_store(folder.path());
    let out = read(&python, "reader.py", &[folder.path()]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count() as u64, records);
    let first: serde_json::Value = serde_json::from_str(text.lines().nth(4).unwrap()).unwrap();
    let record = serde_json::json!({"price": 0.04, "note": "note 4 ".repeat(5), "id": -8972});
    assert_eq!(
        first,
        serde_json::json!({"entity": "people", "rowid": -8972, "record": record})
    );
    let database = folder.path().join("out.db");
    let out = read(&python, "rebuild.py", &[folder.path(), &database]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let database = rusqlite::Connection::open(database).unwrap();
    let query = "SELECT (SELECT count(*) FROM people), (SELECT max(length(note)) FROM people), \
                 (SELECT k FROM keys LIMIT 1), (SELECT hex(note) FROM people LIMIT 1 OFFSET 1)";
    let found: (i64, i64, String, String) = database
        .query_row(query, [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        })
        .unwrap();
    let wanted = (5000, 6 << 20, "Key0899".to_owned(), "6100FF".to_owned());
    assert_eq!(found, wanted);
}

#[test]
fn that_reader_names_damage() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    put_store(folder.path());
    let packs: Vec<_> = walkdir::WalkDir::new(folder.path().join("packs"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .collect();
    let mut bytes = std::fs::read(packs[0].path()).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(packs[0].path(), bytes).unwrap();
    let out = read(&python, "reader.py", &[folder.path()]);
    assert_eq!(out.status.code(), Some(1));
    let error = String::from_utf8(out.stderr).unwrap();
    assert!(
        error.contains(&packs[0].file_name().to_string_lossy().into_owned()),
        "{error}"
    );
}
