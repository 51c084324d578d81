//! What an export says of itself: its manifest, read and checked before anything else is opened.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::document::ReadError;
use super::document::of_input;
use super::place::{Place, unreadable};
use crate::error::ImportError;
use crate::format::schema;
use crate::model::counted::counted;
use crate::model::exported::{
    CARRIED_VERSION, Carried, DOCUMENT_VERSION, ExportManifest, ExportedFile,
};
use crate::model::file_name::MANIFEST_FILE;
use crate::model::schema::Schema;
use crate::model::text::TextEncoding;
use crate::ops::open::World;
use crate::progress::Finding;

/// A manifest of 100,000 files, with the schema of as many tables.
const MANIFEST_BYTES_MAX: u64 = 128 << 20;
const FILES_MAX: usize = 100_000;

/// An export that was found, and its manifest.
pub(super) struct Listing {
    pub place: Place,
    pub manifest: ExportManifest,
}

impl Listing {
    /// Finds an export and reads its manifest.
    pub fn open(path: &Path, world: &World) -> Result<Self, ImportError> {
        let mut place = Place::open(path, world)?;
        let bytes = manifest_bytes(&mut place)?;
        let manifest = parse(&bytes, place.path())?;
        check(&manifest, place.path())?;
        Ok(Self { place, manifest })
    }

    /// As it was given.
    pub fn path(&self) -> PathBuf {
        self.place.path().to_owned()
    }

    /// All files that the manifest names, entity files first.
    pub fn files(&self) -> Vec<ExportedFile> {
        let internal = self.manifest.larder.iter().flat_map(|l| &l.internal);
        self.manifest
            .files
            .iter()
            .chain(internal)
            .cloned()
            .collect()
    }

    /// Records of all files; checked not to overflow.
    pub fn records(&self) -> u64 {
        self.files().iter().map(|file| file.record_count).sum()
    }

    /// How texts that are no Unicode are written.
    pub fn encoding(&self) -> TextEncoding {
        let carried = self.manifest.larder.as_ref();
        carried.map_or(TextEncoding::Utf8, |carried| carried.settings.encoding)
    }

    /// The time of the export as RFC 3339 in UTC, if what it says is one.
    pub fn time(&self) -> Option<jiff::Timestamp> {
        let date = self.manifest.export_date.as_str();
        // The ancestor writes an offset and a Z after it.
        let short = date.strip_suffix('Z').unwrap_or(date);
        date.parse().or_else(|_| short.parse()).ok()
    }

    /// Files beside it that the manifest does not name.
    pub fn others(&self) -> Result<Option<Finding>, ImportError> {
        let named: HashSet<String> = self.files().into_iter().map(|f| f.filename).collect();
        let names = self.place.names()?;
        let mut others: Vec<&String> = names
            .iter()
            .filter(|name| *name != MANIFEST_FILE && !named.contains(*name))
            .collect();
        others.sort();
        let Some(first) = others.first() else {
            return Ok(None);
        };
        let text = match others.len() {
            1 => "manifest.json does not name it; it was not read".to_owned(),
            n => format!(
                "manifest.json names neither it nor {}; they were not read",
                counted(n as u64 - 1, "other")
            ),
        };
        Ok(Some(Finding::note(first.as_str(), text)))
    }
}

fn manifest_bytes(place: &mut Place) -> Result<Vec<u8>, ImportError> {
    let path = place.path().to_owned();
    let Some(opened) = place.file(MANIFEST_FILE)? else {
        return Err(ImportError::NotAnExport {
            path,
            found: "it has no manifest.json",
        });
    };
    if opened.bytes > MANIFEST_BYTES_MAX {
        return Err(ImportError::TooMuch {
            path,
            what: "bytes of manifest.json".to_owned(),
            found: opened.bytes,
            max: MANIFEST_BYTES_MAX,
        });
    }
    let mut bytes = Vec::new();
    let read = opened
        .reader
        .take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut bytes);
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(match of_input(error) {
            ReadError::Input(cause) => unreadable(&path, cause),
            ReadError::Content(cause) => ImportError::Manifest { path, cause },
            ReadError::Other(error) => ImportError::Manifest {
                path,
                cause: error.to_string(),
            },
        }),
    }
}

/// The versions alone: the rest is read only where they are known.
#[derive(Deserialize)]
struct Versions {
    version: String,
    larder: Option<CarriedVersion>,
}

#[derive(Deserialize)]
struct CarriedVersion {
    version: u32,
}

fn parse(bytes: &[u8], path: &Path) -> Result<ExportManifest, ImportError> {
    let damaged = |error: serde_json::Error| ImportError::Manifest {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    let versions: Versions = serde_json::from_slice(bytes).map_err(damaged)?;
    let unknown = |what, version| ImportError::Version {
        path: path.to_owned(),
        what,
        version,
    };
    if versions.version != DOCUMENT_VERSION {
        return Err(unknown("manifest.json", versions.version));
    }
    match versions.larder {
        Some(larder) if larder.version != CARRIED_VERSION => {
            let version = larder.version.to_string();
            Err(unknown(
                "what stands under \"larder\" in manifest.json",
                version,
            ))
        }
        _ => serde_json::from_slice(bytes).map_err(damaged),
    }
}

fn check(manifest: &ExportManifest, path: &Path) -> Result<(), ImportError> {
    let internal = manifest.larder.iter().flat_map(|larder| &larder.internal);
    let files: Vec<&ExportedFile> = manifest.files.iter().chain(internal).collect();
    if files.len() > FILES_MAX {
        return Err(ImportError::TooMuch {
            path: path.to_owned(),
            what: "files in manifest.json".to_owned(),
            found: files.len() as u64,
            max: FILES_MAX as u64,
        });
    }
    let (mut names, mut entities) = (HashSet::new(), HashSet::new());
    let mut records = 0_u64;
    for file in files {
        if let Some(reason) = bad_name(&file.filename) {
            return Err(ImportError::UnsafeName {
                path: path.to_owned(),
                name: file.filename.clone(),
                reason,
            });
        }
        let duplicate = |what, name: &str| ImportError::Duplicate {
            path: path.to_owned(),
            what,
            name: name.to_owned(),
        };
        if !names.insert(file.filename.as_str()) {
            return Err(duplicate("files", &file.filename));
        }
        // As SQLite compares names of tables.
        if !entities.insert(file.entity_type.to_ascii_lowercase()) {
            return Err(duplicate("entities", &file.entity_type));
        }
        records = match records.checked_add(file.record_count) {
            // A rowid must be left for each.
            Some(sum) if i64::try_from(sum).is_ok() => sum,
            _ => {
                return Err(ImportError::TooMuch {
                    path: path.to_owned(),
                    what: format!("records, with those of {}", file.entity_type),
                    found: file.record_count,
                    max: i64::MAX.unsigned_abs(),
                });
            }
        };
    }
    match &manifest.larder {
        Some(carried) => check_carried(carried, path),
        None => Ok(()),
    }
}

/// The schema must be one, and have a table for every file of its own.
fn check_carried(carried: &Carried, path: &Path) -> Result<(), ImportError> {
    let damaged = |cause: String| ImportError::Manifest {
        path: path.to_owned(),
        cause,
    };
    // Read as from a store, where positions of columns are checked.
    let checked = schema::encode(&carried.schema).and_then(|bytes| schema::decode(&bytes));
    let schema: Schema = checked.map_err(|error| damaged(error.to_string()))?;
    if schema.encoding != carried.settings.encoding {
        return Err(damaged(
            "its schema and settings have two encodings".to_owned(),
        ));
    }
    Ok(())
}

/// Why a name is none of a file in the folder itself.
fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
        Some("a file lies in the folder itself")
    } else if name == MANIFEST_FILE {
        Some("the manifest holds no records")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Result<ExportManifest, ImportError> {
        let path = Path::new("x");
        let manifest = parse(text.as_bytes(), path)?;
        check(&manifest, path).map(|()| manifest)
    }

    fn files(files: &str) -> Result<ExportManifest, ImportError> {
        manifest(&format!("{{\"version\": \"1.0\", \"files\": [{files}]}}"))
    }

    fn file(name: &str, entity: &str, records: u64) -> String {
        format!(
            "{{\"filename\": {name:?}, \"entity_type\": {entity:?}, \"record_count\": {records}, \
             \"sha256\": \"\"}}"
        )
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "../a.json",
            "/etc/passwd",
            "a/b.json",
            "a\\b",
            "..",
            ".",
            "",
            "c:a",
        ] {
            let read = files(&file(name, "a", 1));
            assert!(
                matches!(read, Err(ImportError::UnsafeName { .. })),
                "{name}: {read:?}"
            );
        }
        assert!(files(&file("a.json", "a", 1)).is_ok());
        assert!(files(&file("manifest.json", "a", 1)).is_err());
    }

    #[test]
    fn two_of_one_name_and_counts_beyond_all_measure_are_refused() {
        let two = |a: (&str, &str, u64), b: (&str, &str, u64)| {
            files(&format!("{},{}", file(a.0, a.1, a.2), file(b.0, b.1, b.2)))
        };
        let read = two(("a", "a", 1), ("a", "b", 1));
        assert!(matches!(
            read,
            Err(ImportError::Duplicate { what: "files", .. })
        ));
        let read = two(("a", "a", 1), ("b", "A", 1));
        assert!(matches!(
            read,
            Err(ImportError::Duplicate {
                what: "entities",
                ..
            })
        ));
        let read = two(("a", "a", u64::MAX), ("b", "b", 1));
        assert!(matches!(read, Err(ImportError::TooMuch { .. })));
        assert!(two(("a", "a", 1), ("b", "b", 1)).is_ok());
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let read = manifest("{\"version\": \"2.0\"}");
        assert!(matches!(read, Err(ImportError::Version { .. })));
        let read = manifest("{\"version\": \"1.0\", \"files\": [], \"larder\": {\"version\": 9}}");
        assert!(matches!(read, Err(ImportError::Version { .. })));
        for text in [
            "",
            "{",
            "[]",
            "{\"version\": \"1.0\"}",
            "{\"version\": 1.0}",
        ] {
            assert!(
                matches!(manifest(text), Err(ImportError::Manifest { .. })),
                "{text}"
            );
        }
    }
}
