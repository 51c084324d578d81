//! Exports that mean harm: every one is refused with the error that says why, and nothing is taken.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use larder::error::{Error, FileDamageKind, ImportError};
use sha2::{Digest, Sha256};

use super::{sample, snapshots, try_import};
use crate::workshop::Workshop;

pub fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document of records.
fn document(entity: &str, records: &str) -> String {
    format!(r#"{{"version": "1.0", "entity_type": "{entity}", "records": {records}}}"#)
}

/// The files of an export of these entities and records, manifest last.
fn files(entities: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut listed = Vec::new();
    for (n, (entity, records)) in entities.iter().enumerate() {
        let document = document(entity, records);
        let count = serde_json::from_str::<Vec<serde_json::Value>>(records).map_or(1, |r| r.len());
        listed.push(serde_json::json!({
            "filename": format!("{entity}.json"), "entity_type": entity, "record_count": count,
            "sha256": sha256(document.as_bytes()), "dependencies": [], "import_order": n + 1,
        }));
        files.push((format!("{entity}.json"), document.into_bytes()));
    }
    let manifest = serde_json::json!({
        "version": "1.0", "export_date": "2026-11-23T20:46:31", "source": "a test", "files": listed,
    });
    files.push((
        "manifest.json".to_owned(),
        manifest.to_string().into_bytes(),
    ));
    files
}

/// Writes an export as a folder.
pub fn write(folder: &Path, entities: &[(&str, &str)]) {
    std::fs::create_dir(folder).unwrap();
    for (name, bytes) in files(entities) {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn refused(shop: &mut Workshop, export: &Path) -> ImportError {
    let before = snapshots(shop);
    let error = try_import(shop, export).unwrap_err();
    assert_eq!(snapshots(shop), before);
    match error {
        Error::Import(error) => error,
        error => panic!("{error}"),
    }
}

/// What a zip of these entries is refused with.
fn zip(shop: &mut Workshop, entries: &[(&str, &[u8])]) -> ImportError {
    let path = shop.path("hostile.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in entries {
        match name.strip_prefix("link:") {
            Some(name) => writer
                .add_symlink(name, std::str::from_utf8(bytes).unwrap(), options)
                .unwrap(),
            None => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(bytes).unwrap();
            }
        }
    }
    writer.finish().unwrap();
    refused(shop, &path)
}

#[test]
fn entries_that_lead_out_of_a_zip_are_refused() {
    let shop = &mut Workshop::new();
    let good = files(&[("a", "[]")]);
    for name in [
        "../a.json",
        "/etc/passwd",
        "x/../../a",
        "a\\..\\b",
        "./a",
        "C:a",
        "link:a2.json",
    ] {
        let mut entries: Vec<(&str, &[u8])> = vec![(name, b"a.json")];
        entries.extend(
            good.iter()
                .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
        );
        let error = zip(shop, &entries);
        assert!(
            matches!(error, ImportError::UnsafeName { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn links_and_folders_are_no_files_of_an_export() {
    let (mut shop, folder) = sample();
    let file = folder.join("suppliers.json");
    let aside = shop.path("aside.json");
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &file).unwrap();
    let error = refused(&mut shop, &folder);
    assert!(matches!(error, ImportError::UnsafeName { .. }), "{error}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = refused(&mut shop, &folder);
    assert!(matches!(error, ImportError::UnsafeName { .. }), "{error}");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    // The export itself may be reached through a link.
    let link = shop.path("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    try_import(&mut shop, &link).unwrap();
}

/// A small file that unpacks to much is read as a stream, and only as far as it says that it goes.
#[test]
fn a_bomb_is_counted_and_not_kept() {
    let shop = &mut Workshop::new();
    let zeros = vec![b'0'; 64 << 20];
    let mut good = files(&[("a", "[]")]);
    good[0].1 = zeros;
    let entries: Vec<(&str, &[u8])> = good
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    let error = zip(shop, &entries);
    let ImportError::Damaged { damage, .. } = &error else {
        panic!("{error}")
    };
    assert!(matches!(damage[0].cause, FileDamageKind::Changed { .. }));
}

/// The directory of an archive says twice that the same bytes are a file.
#[test]
fn entries_that_share_their_bytes_are_refused() {
    let shop = &mut Workshop::new();
    let path = shop.path("hostile.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for name in ["manifest.json", "aaaaaaaaa.json"] {
        writer.start_file(name, options).unwrap();
        writer.write_all(b"{}").unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The second entry of the directory: its offset, at 42, becomes that of the first.
    let signature = b"PK\x01\x02";
    let places: Vec<usize> = (0..bytes.len() - 4)
        .filter(|&at| bytes[at..].starts_with(signature))
        .collect();
    bytes[places[1] + 42..places[1] + 46].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let error = refused(shop, &path);
    assert!(matches!(error, ImportError::Zip { .. }), "{error}");
}

#[test]
fn a_directory_beyond_all_measure_is_not_read() {
    let shop = &mut Workshop::new();
    let path = shop.path("hostile.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let long = "n".repeat(60_000);
    for n in 0..1_200 {
        writer.start_file(format!("{n}{long}"), options).unwrap();
    }
    writer.finish().unwrap();
    let error = refused(shop, &path);
    assert!(matches!(error, ImportError::TooMuch { .. }), "{error}");
}

/// Many small entries are read without trouble.
#[test]
fn an_archive_of_many_entries_is_read() {
    let shop = &mut Workshop::new();
    let path = shop.path("many.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files(&[("a", "[]")]) {
        writer
            .start_file(format!("folder/{name}"), options)
            .unwrap();
        writer.write_all(&bytes).unwrap();
    }
    for n in 0..5_000 {
        writer
            .start_file(format!("folder/{n}.txt"), options)
            .unwrap();
    }
    writer.finish().unwrap();
    let outcome = try_import(shop, &path).unwrap();
    let told = outcome
        .findings
        .iter()
        .any(|f| f.text.contains("4,999 others"));
    assert!(told, "{:?}", outcome.findings);
}

/// The sums are right, the records are none.
#[test]
fn what_is_no_record_is_named_with_its_number() {
    let shop = &mut Workshop::new();
    let long = "x".repeat(100_000);
    let long_name = format!("[{{\"{long}\": 1}}]");
    let long_control = format!("[{{\"a\": \"{long}\u{1}\"}}]");
    let long_pair = format!(r#"[{{"a": "{long}\ud800"}}]"#);
    let long_base64 = format!("[{{\"a\": {{\"$blob\": \"{long}?\"}}}}]");
    let unfinished = format!("[{{\"a\": \"{long}");
    let deep = format!("[{{\"a\": {}}}", "[".repeat(100_000));
    let cases = [
        ("[{}, 5]", "record 2"),
        (
            r#"[{"a": 1}, {"a": {"$blob": "?"}}]"#,
            "record 2, field \"a\"",
        ),
        ("[{\"a\": 1},", "expected value"),
        (deep.as_str(), "expected value"),
        (r#"[{"a": tru}]"#, "expected"),
        (r#"[{"a": "\ud800"}]"#, "record 1"),
        ("{}", "array of records"),
        ("[]} {", "trailing"),
        ("[], \"records\": []", "duplicate field"),
        ("[], \"version\": \"1.0\"", "two fields"),
        ("[{\"a\": \"\u{1}\"}]", "control character"),
        (long_name.as_str(), "a name of more than"),
        (long_control.as_str(), "control character"),
        (long_pair.as_str(), "an escape is cut off"),
        (long_base64.as_str(), "field \"a\""),
        (unfinished.as_str(), "EOF"),
    ];
    for (n, (records, told)) in cases.iter().enumerate() {
        let folder = shop.path(&format!("case-{n}"));
        write(&folder, &[("a", records)]);
        let error = refused(shop, &folder);
        let ImportError::Damaged { damage, .. } = &error else {
            panic!("{records:.40}: {error}")
        };
        let [one] = &damage[..] else {
            panic!("{records:.40}: {damage:?}")
        };
        let FileDamageKind::Unreadable { cause } = &one.cause else {
            panic!("{records:.40}: {damage:?}")
        };
        assert!(cause.contains(told), "{records:.40}: {cause}");
    }
}

#[test]
fn fields_that_cannot_be_columns_are_refused() {
    let shop = &mut Workshop::new();
    let many: Vec<String> = (0..2_001).map(|n| format!("\"c{n}\": 1")).collect();
    let many = format!("[{{{}}}]", many.join(", "));
    for (n, (records, wanted)) in [
        (r#"[{"a": 1, "a": 2}]"#, "two fields"),
        (r#"[{"a": 1}, {"A": 2}]"#, "two fields"),
        (many.as_str(), "2000 is the most"),
        ("[{\"a\\u0000\": 1}]", "SQL has no such name"),
    ]
    .iter()
    .enumerate()
    {
        let folder = shop.path(&format!("case-{n}"));
        write(&folder, &[("a", records)]);
        let error = refused(shop, &folder).to_string();
        assert!(error.contains(wanted), "{records:.40}: {error}");
    }
    let folder = shop.path("reserved");
    write(&folder, &[("sqlite_x", "[]")]);
    let error = refused(shop, &folder);
    assert!(matches!(error, ImportError::Refused { .. }), "{error}");
}

/// Edits of the manifest of a good export, each refused.
#[test]
fn a_manifest_is_not_believed() {
    type Edit = fn(&mut serde_json::Value);
    let (mut shop, folder) = sample();
    let path: PathBuf = folder.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let edits: [(&str, Edit); 8] = [
        ("version", |m| m["version"] = "2.0".into()),
        ("version", |m| m["larder"]["version"] = 2.into()),
        ("refused", |m| {
            m["files"][0]["filename"] = "../app.db".into()
        }),
        ("two files", |m| {
            m["files"][1]["filename"] = m["files"][0]["filename"].clone()
        }),
        ("two entities", |m| {
            m["files"][1]["entity_type"] = m["files"][0]["entity_type"].clone()
        }),
        ("the most that is read", |m| {
            m["files"][0]["record_count"] = u64::MAX.into()
        }),
        ("manifest.json is damaged", |m| {
            m["larder"]["schema"]["tables"][0]["primary_key"] =
                serde_json::json!([{"column": 99, "collation": "binary"}]);
        }),
        ("makes no database", |m| {
            m["larder"]["schema"]["objects"][0]["sql"] = "CREATE TABLE other(a)".into();
        }),
    ];
    for (told, edit) in edits {
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        edit(&mut manifest);
        std::fs::write(&path, manifest.to_string()).unwrap();
        let error = refused(&mut shop, &folder).to_string();
        assert!(error.contains(told), "{told}: {error}");
    }
}
