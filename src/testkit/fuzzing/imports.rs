//! Exports that are imported: a document of records, a manifest, a zip archive. What passes its checks
//! becomes a snapshot that is whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use super::input::Input;
use super::scene::{backup, folder, sql, usage, world};
use crate::backend::memory::MemoryBackend;
use crate::error::{Error, FileDamageKind};
use crate::model::file_name::MANIFEST_FILE;
use crate::ops::export::{self, ExportForm, ExportOptions};
use crate::ops::import::{self, ExportCheck, ImportOptions};
use crate::ops::open::Store;
use crate::ops::select::{self, SourceChoice};
use crate::ops::validate::{self, ValidateOptions};
use crate::progress::NoProgress;

/// An export of a small database.
pub(super) struct Exported {
    /// Its files in a folder.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The same as an archive.
    pub(super) zip: Vec<u8>,
}

const DATABASE: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, n);
     INSERT INTO a VALUES(1, 'one', 1.5), (2, NULL, x'00ff'), (9, 'ä', 1e999);
     CREATE TABLE b(k TEXT PRIMARY KEY, a REFERENCES a) WITHOUT ROWID; INSERT INTO b VALUES('x', 1);
     CREATE INDEX i ON a(x); CREATE VIEW w AS SELECT x FROM a;";

fn build() -> Exported {
    let folder = folder();
    let (world, env) = world();
    let database = folder.path().join("a.db");
    sql(&database, DATABASE);
    let mut store = Store::create(Arc::new(MemoryBackend::new()), env, usage()).unwrap();
    let id = backup(&mut store, &world, &database, folder.path()).unwrap();
    let manifest = store.manifest(&id).unwrap().unwrap();
    let export = |form, name: &str| {
        let options = ExportOptions {
            form,
            entities: Vec::new(),
        };
        let path = folder.path().join(name);
        export::run(&store, &manifest, &path, &options, &mut NoProgress).unwrap();
        path
    };
    let plain = export(ExportForm::Folder, "export");
    let files = std::fs::read_dir(plain).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    });
    Exported {
        files: files.collect(),
        zip: std::fs::read(export(ExportForm::Zip, "export.zip")).unwrap(),
    }
}

/// The export, made at the first call.
pub(super) fn exported() -> &'static Exported {
    static EXPORTED: OnceLock<Exported> = OnceLock::new();
    EXPORTED.get_or_init(build)
}

/// Validates an export.
fn check(path: &Path) -> Option<ExportCheck> {
    let (world, _) = world();
    let _any = import::look(path, &world);
    import::validate(path, &world, &mut NoProgress).ok()
}

/// Imports an export that was found good, into a store of its own, and looks at what became of it.
/// True if it was taken.
fn import(path: &Path, folder: &Path) -> bool {
    let (world, env) = world();
    let mut store = Store::create(Arc::new(MemoryBackend::new()), env, usage()).unwrap();
    let options = ImportOptions {
        export: path.to_owned(),
        source_name: Some("fuzz".to_owned()),
        temp_dir: Some(folder.to_owned()),
        ..ImportOptions::default()
    };
    match import::run(&mut store, &world, &options, &mut NoProgress) {
        Ok(_) => {}
        Err(error @ (Error::Store(_) | Error::Safety(_))) => panic!("{error}"),
        Err(_) => return false,
    }
    assert!(select::one(&store, "latest", &SourceChoice::Any).is_ok());
    let options = ValidateOptions::default();
    let outcome = validate::run(&store, &world, &options, &mut NoProgress).unwrap();
    assert_eq!(outcome.damage, []);
    true
}

/// A folder of these files is validated, and imported if it is good.
fn try_import(files: &[(&str, &[u8])]) -> bool {
    let folder = folder();
    let path = folder.path().join("export");
    std::fs::create_dir(&path).unwrap();
    for (name, bytes) in files {
        std::fs::write(path.join(name), bytes).unwrap();
    }
    check(&path).is_some_and(|check| check.damage.is_empty()) && import(&path, folder.path())
}

/// The manifest of an export of this one document of table `a`.
fn manifest_of(document: &[u8], records: u64, with_schema: bool, encoding: u8) -> Vec<u8> {
    let text = &exported().files[MANIFEST_FILE];
    let mut manifest: serde_json::Value = serde_json::from_slice(text).unwrap();
    let digits = Sha256::digest(document);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    let files = manifest["files"].as_array_mut().unwrap();
    files.retain(|file| file["entity_type"] == "a");
    files[0]["sha256"] = digits.into();
    files[0]["record_count"] = records.into();
    if with_schema {
        let encoding = ["UTF-8", "UTF-16le", "UTF-16be"][usize::from(encoding) % 3];
        manifest["larder"]["settings"]["encoding"] = encoding.into();
        manifest["larder"]["schema"]["encoding"] = encoding.into();
    } else {
        manifest.as_object_mut().unwrap().remove("larder");
    }
    manifest.to_string().into_bytes()
}

/// The document of one table: with a schema or without, its digest and count right.
pub fn import_document(data: &[u8]) {
    let _any = takes_document(data);
}

pub(super) fn takes_document(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let how = input.u8();
    let document = input.rest();
    let manifest = |records| manifest_of(document, records, how & 1 == 1, how >> 1);
    let folder = folder();
    std::fs::write(folder.path().join("a.json"), document).unwrap();
    std::fs::write(folder.path().join(MANIFEST_FILE), manifest(0)).unwrap();
    let Some(check) = check(folder.path()) else {
        return false;
    };
    let mut records = 0;
    for damage in check.damage {
        match damage.cause {
            FileDamageKind::Count { found, .. } => records = found,
            FileDamageKind::Unreadable { .. } => return false,
            cause => panic!("{cause:?}"),
        }
    }
    try_import(&[("a.json", document), (MANIFEST_FILE, &manifest(records))])
}

/// The manifest of an export, beside files that are whole.
pub fn import_manifest(data: &[u8]) {
    let _any = takes_manifest(data);
}

pub(super) fn takes_manifest(data: &[u8]) -> bool {
    let files = exported().files.iter();
    let mut files: Vec<(&str, &[u8])> = files.map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    files.retain(|(name, _)| *name != MANIFEST_FILE);
    files.push((MANIFEST_FILE, data));
    try_import(&files)
}

/// A zip archive.
pub fn import_zip(data: &[u8]) {
    let _any = takes_zip(data);
}

pub(super) fn takes_zip(data: &[u8]) -> bool {
    let folder = folder();
    let path = folder.path().join("export.zip");
    std::fs::write(&path, data).unwrap();
    check(&path).is_some_and(|check| check.damage.is_empty()) && import(&path, folder.path())
}
