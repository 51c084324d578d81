use super::*;
use crate::codec::hash::StoreHash;
use crate::format::blob::{BlobErrorKind, BlobKind, BlobSink};
use crate::format::config::FormatMark;
use crate::format::manifest::{RootRef, Source};
use crate::model::id::{BlobId, SnapshotId};
use crate::model::row::RowRef;
use crate::model::schema::{Column, ColumnKind, Settings, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Value, ValueRef};
use crate::progress::NoProgress;
use crate::tree::Root;
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;
use crate::tree::large;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::io::Read;

/// Blobs in memory.
#[derive(Default)]
pub(super) struct MapBlobs(pub(super) HashMap<BlobId, Vec<u8>>);

impl MapBlobs {
    pub(super) fn hash() -> StoreHash {
        StoreHash::unkeyed()
    }
}

impl BlobSource for MapBlobs {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        self.0.get(id).cloned().ok_or_else(|| BlobError {
            why: BlobErrorKind::Missing,
            kind,
            id: *id,
            cause: "not in the map".into(),
        })
    }
}

impl BlobSink for MapBlobs {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = StoreHash::unkeyed().blob_id(kind as u8, canonical);
        self.0.insert(id, canonical.to_vec());
        Ok(id)
    }
}

pub(super) fn table(name: &str, columns: &[&str], alias: Option<u32>) -> Table {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        declared_type: String::new(),
        not_null: false,
        default: None,
        kind: ColumnKind::Ordinary,
    };
    Table {
        name: name.to_owned(),
        kind: TableKind::Rowid {
            alias,
            rowid_name: Some("rowid".to_owned()),
        },
        strict: false,
        shadow: false,
        autoincrement: false,
        columns: columns.iter().map(column).collect(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
    }
}

pub(super) fn build(
    blobs: &mut MapBlobs,
    table: &Table,
    rows: &[(i64, Vec<Value>)],
) -> Option<Root> {
    let shape = TreeShape::of(table, TextEncoding::Utf8);
    let mut builder = TreeBuilder::new(&shape, StoreHash::unkeyed());
    for (rowid, values) in rows {
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let row = RowRef {
            rowid: Some(*rowid),
            values: &values,
        };
        builder.push(row, blobs).unwrap();
    }
    builder.finish(blobs).unwrap()
}

pub(super) fn records_of(document: &[u8]) -> Vec<Json> {
    let document: Json = serde_json::from_slice(document).unwrap();
    document["records"].as_array().unwrap().clone()
}

/// A snapshot of two tables, the child first: `child` (2,500 records), `Parent`, and an empty one.
struct Sample {
    blobs: MapBlobs,
    manifest: Manifest,
    schema: Schema,
}

fn entity(name: &str, root: Option<&Root>, import_order: u32, dependencies: &[&str]) -> Entity {
    Entity {
        entity: name.to_owned(),
        file: "../../trap".to_owned(),
        records: root.map_or(0, |root| root.rows),
        bytes: root.map_or(0, |root| root.bytes),
        root: root.map(|root| RootRef {
            id: root.id,
            level: root.level,
            first_rowid: root.first_rowid,
            has_refs: root.has_refs,
        }),
        import_order,
        dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        largest_value: 0,
        changes: None,
    }
}

fn sample() -> Sample {
    let mut blobs = MapBlobs::default();
    let tables = vec![
        table("child", &["id", "parent_id", "text"], Some(0)),
        table("Parent", &["id"], Some(0)),
        table("empty", &["a"], None),
    ];
    let long = "long Ä\0".repeat(20_000);
    let hash = MapBlobs::hash();
    let long = large::store(LongClass::Text, &mut long.as_bytes(), hash, &mut blobs).unwrap();
    let row = |id: i64| {
        let text = match id {
            7 => Value::Spilled(long),
            _ => Value::Text(format!("record {id} Ä\0").repeat(20).into_bytes()),
        };
        (id, vec![Value::Integer(id % 3), text])
    };
    let children: Vec<_> = (0..2500).map(row).collect();
    let child = build(&mut blobs, &tables[0], &children);
    let parents: Vec<_> = (0..3).map(|id| (id, Vec::new())).collect();
    let parent = build(&mut blobs, &tables[1], &parents);
    let manifest = Manifest {
        format: FormatMark::CURRENT,
        features: Vec::new(),
        id: SnapshotId::new(1_795_464_930, [7; 16]),
        original: None,
        name: "backup_20261123_211530".to_owned(),
        time: "2026-11-23T20:15:30Z".to_owned(),
        host: "host".to_owned(),
        tags: Vec::new(),
        parent: None,
        restore: None,
        source: Source {
            path: "/srv/shop/app.db".to_owned(),
            name: None,
            bytes: 0,
        },
        settings: Settings {
            page_size: 4096,
            encoding: TextEncoding::Utf8,
            auto_vacuum: 0,
            user_version: 0,
            application_id: 0,
            journal_mode: "wal".to_owned(),
        },
        schema: BlobId([0; 32]),
        entities: vec![
            entity("child", child.as_ref(), 2, &["Parent"]),
            entity("Parent", parent.as_ref(), 1, &[]),
            entity("empty", None, 3, &[]),
        ],
        internal: Vec::new(),
        pages: None,
        damaged: false,
        integrity: None,
        full_text: Vec::new(),
        foreign_keys: Vec::new(),
        findings: Vec::new(),
        new_bytes: 0,
    };
    let schema = Schema {
        encoding: TextEncoding::Utf8,
        objects: Vec::new(),
        tables,
    };
    Sample {
        blobs,
        manifest,
        schema,
    }
}

impl Sample {
    fn export(&self, to: &Path, form: ExportForm) -> Result<ExportOutcome, ExportError> {
        self.export_with(to, form, &mut NoProgress)
    }

    fn export_with(
        &self,
        to: &Path,
        form: ExportForm,
        progress: &mut dyn Progress,
    ) -> Result<ExportOutcome, ExportError> {
        let options = ExportOptions {
            form,
            entities: Vec::new(),
        };
        write(
            &self.blobs,
            &self.manifest,
            &self.schema,
            to,
            &options,
            progress,
        )
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn sha256_hex(bytes: &[u8]) -> String {
    let mut sink = io::sink();
    let mut digested = Digested::new(&mut sink);
    digested.write_all(bytes).unwrap();
    digested.finish().0
}

/// Checks the files of an export against its manifest, whatever they lie in.
fn check_files(read: &mut dyn FnMut(&str) -> Vec<u8>, outcome: &ExportOutcome) {
    let manifest = read("manifest.json");
    assert!(manifest.starts_with(b"{\n  \"version\": \"1.0\",\n  \"export_date\": \"2026-11-23T"));
    assert!(manifest.ends_with(b"  }\n}"), "no newline at the end");
    let mut bytes = manifest.len() as u64;
    let manifest: Json = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["source"], "app.db");
    assert_eq!(manifest["larder"]["version"], 1);
    assert_eq!(manifest["larder"]["schema"]["tables"][0]["name"], "child");
    assert_eq!(manifest["larder"]["settings"]["page_size"], 4096);
    let files = manifest["files"].as_array().unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|f| f["filename"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Parent.json", "child.json", "empty.json"]);
    assert_eq!(files[1]["dependencies"], serde_json::json!(["Parent"]));
    let mut records = 0;
    for (file, order) in files.iter().zip(1_u64..) {
        let content = read(file["filename"].as_str().unwrap());
        assert_eq!(file["import_order"], order);
        assert_eq!(file["sha256"], sha256_hex(&content));
        assert_eq!(file["record_count"], records_of(&content).len() as u64);
        bytes += content.len() as u64;
        records += records_of(&content).len() as u64;
    }
    assert_eq!(
        (outcome.files, outcome.records, outcome.bytes),
        (3, records, bytes)
    );
    assert_eq!(records, 2503);
}

#[test]
fn the_digest_is_sha_256() {
    assert_eq!(
        sha256_hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_folder_holds_what_its_manifest_says() {
    let dir = tempfile::tempdir().unwrap();
    let existing = dir.path().join("empty");
    std::fs::create_dir(&existing).unwrap();
    for to in [dir.path().join("new"), existing] {
        let outcome = sample().export(&to, ExportForm::Folder).unwrap();
        assert_eq!(outcome.path, to);
        let expected = ["Parent.json", "child.json", "empty.json", "manifest.json"];
        assert_eq!(names_in(&to), expected);
        check_files(&mut |name| std::fs::read(to.join(name)).unwrap(), &outcome);
    }
    assert_eq!(
        names_in(dir.path()),
        ["empty", "new"],
        "nothing is left beside"
    );
}

#[test]
fn a_zip_holds_the_same_and_is_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1.zip"), dir.path().join("2.zip"));
    let outcome = sample().export(&one, ExportForm::Zip).unwrap();
    sample().export(&two, ExportForm::Zip).unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    assert_eq!(names_in(dir.path()), ["1.zip", "2.zip"]);
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&one).unwrap()).unwrap();
    assert_eq!(archive.len(), 4);
    let mut read = |name: &str| {
        let mut file = archive.by_name(name).unwrap();
        assert_eq!(file.compression(), zip::CompressionMethod::Deflated);
        assert_eq!(
            file.last_modified().unwrap().to_string(),
            "2026-11-23 20:15:30"
        );
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        content
    };
    check_files(&mut read, &outcome);
    assert!(std::fs::metadata(&one).unwrap().len() < outcome.bytes / 4);
}

#[test]
fn what_exists_is_refused_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("mine"), "mine").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for (to, form) in [
        (&file, ExportForm::Zip),
        (&file, ExportForm::Folder),
        (&full, ExportForm::Zip),
        (&link, ExportForm::Zip),
    ] {
        let result = sample().export(to, form);
        assert!(
            matches!(&result, Err(ExportError::Exists { path }) if path == to),
            "{result:?}"
        );
    }
    let result = sample().export(&full, ExportForm::Folder);
    assert!(matches!(result, Err(ExportError::NotEmpty { path }) if path == full));
    let missing = dir.path().join("no/such/out.zip");
    let result = sample().export(&missing, ExportForm::Zip);
    assert!(
        matches!(result, Err(ExportError::Output { .. })),
        "{result:?}"
    );
    assert_eq!(names_in(dir.path()), ["file", "full", "link"]);
    assert_eq!(names_in(&full), ["mine"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

/// Puts something at the destination while the export is being written.
struct Intruder(PathBuf);

impl Progress for Intruder {
    fn advance(&mut self, _: u64) {
        std::fs::write(&self.0, "theirs").unwrap();
    }
}

#[test]
fn what_appears_meanwhile_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    for form in [ExportForm::Zip, ExportForm::Folder] {
        let result = sample().export_with(&to, form, &mut Intruder(to.clone()));
        assert!(
            matches!(result, Err(ExportError::Exists { .. })),
            "{result:?}"
        );
        assert_eq!(std::fs::read(&to).unwrap(), b"theirs");
        std::fs::remove_file(&to).unwrap();
        assert!(names_in(dir.path()).is_empty());
    }
    std::fs::create_dir(&to).unwrap();
    let result = sample().export_with(
        &to,
        ExportForm::Folder,
        &mut Intruder(to.join("child.json")),
    );
    assert!(
        matches!(result, Err(ExportError::Exists { .. })),
        "{result:?}"
    );
    assert_eq!(
        names_in(&to),
        ["child.json"],
        "what was moved before is taken back"
    );
    assert_eq!(std::fs::read(to.join("child.json")).unwrap(), b"theirs");
}

/// Asks to stop once so many questions were asked.
struct StopAt(std::cell::Cell<u32>);

impl Progress for StopAt {
    fn cancelled(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    for form in [ExportForm::Zip, ExportForm::Folder] {
        let mut at = 0;
        while let Err(error) = sample().export_with(&to, form, &mut StopAt(at.into())) {
            assert!(matches!(error, ExportError::Cancelled), "{error}");
            assert!(names_in(dir.path()).is_empty());
            at += 1;
        }
        assert!(at > 3, "asked {at} times");
        std::fs::remove_dir_all(&to)
            .or_else(|_| std::fs::remove_file(&to))
            .unwrap();
    }
}

#[test]
fn damage_names_the_entity_and_the_blob() {
    let mut sample = sample();
    let id = sample.manifest.entities[0].root.unwrap().id;
    sample.blobs.0.remove(&id);
    let dir = tempfile::tempdir().unwrap();
    let result = sample.export(&dir.path().join("out.zip"), ExportForm::Zip);
    let Err(ExportError::Blob { entity, cause }) = result else {
        panic!("{result:?}");
    };
    assert_eq!((entity.as_str(), cause.id), ("child", id));
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn some_entities_can_be_chosen() {
    let sample = sample();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let export = |name: &str| {
        let options = ExportOptions {
            form: ExportForm::Folder,
            entities: vec![name.to_owned()],
        };
        write(
            &sample.blobs,
            &sample.manifest,
            &sample.schema,
            &to,
            &options,
            &mut NoProgress,
        )
    };
    assert!(matches!(export("gone"), Err(ExportError::NoEntity { .. })));
    assert_eq!(export("PARENT").unwrap().files, 1);
    assert_eq!(names_in(&to), ["Parent.json", "manifest.json"]);
}

#[test]
fn cat_writes_one_entity_and_export_the_same_document() {
    let sample = sample();
    let text = |name: &str, form| {
        let mut out = Vec::new();
        let count = write_entity(
            &sample.blobs,
            &sample.manifest,
            &sample.schema,
            name,
            form,
            &mut out,
            &mut NoProgress,
        );
        count.map(|count| (count, out))
    };
    let (count, lines) = text("CHILD", RecordForm::Lines).unwrap();
    assert_eq!((count, lines.split(|b| *b == b'\n').count()), (2500, 2501));
    let (_, document) = text("child", RecordForm::Document).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    sample.export(&to, ExportForm::Folder).unwrap();
    assert_eq!(std::fs::read(to.join("child.json")).unwrap(), document);
    let (_, csv) = text("parent", RecordForm::Csv).unwrap();
    assert_eq!(csv, b"id\r\n0\r\n1\r\n2\r\n");
    assert!(matches!(
        text("gone", RecordForm::Csv),
        Err(ExportError::NoEntity { .. })
    ));
}

#[test]
fn only_files_that_may_need_it_are_written_as_large_in_a_zip() {
    let table = table("t", &["a"], None);
    let mut entity = entity("t", None, 1, &[]);
    (entity.records, entity.bytes) = (1_000_000, 100_000_000);
    assert!(!may_be_large(&entity, &table));
    entity.bytes = 800_000_000;
    assert!(may_be_large(&entity, &table));
    entity.bytes = 0;
    entity.records = 1_000_000_000;
    assert!(may_be_large(&entity, &table), "names of columns count");
}
