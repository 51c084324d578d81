//! Words of the command line: which snapshot is meant, what a path is, names of tables and columns.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::scene::usage;
use crate::backend::Backend as _;
use crate::backend::memory::MemoryBackend;
use crate::cli::{names, paths};
use crate::codec::hash::StoreHash;
use crate::error::{Error, SelectError};
use crate::format::frame::{self, ObjectKind};
use crate::format::manifest::{Manifest, Source};
use crate::format::{config::FormatMark, name};
use crate::model::id::{BlobId, SnapshotId};
use crate::model::schema::Settings;
use crate::model::text::TextEncoding;
use crate::ops::open::{PathKind, Store};
use crate::ops::select::{self, SourceChoice};
use crate::testkit::seeded_env::SeededEnv;

const SNAPSHOTS: u64 = 3;

fn snapshot(number: u8) -> Manifest {
    Manifest {
        original: None,
        format: FormatMark::CURRENT,
        features: Vec::new(),
        id: SnapshotId::new(1_795_464_930 + i64::from(number / 2), [number; 16]),
        name: format!("name {number}"),
        time: format!("2026-11-23T20:15:3{number}.000Z"),
        host: "host".to_owned(),
        tags: Vec::new(),
        parent: None,
        restore: None,
        source: Source {
            path: "/a.db".to_owned(),
            name: None,
            bytes: 1,
        },
        settings: Settings {
            page_size: 4096,
            encoding: TextEncoding::Utf8,
            auto_vacuum: 0,
            user_version: 0,
            application_id: 0,
            journal_mode: "delete".to_owned(),
        },
        schema: BlobId([1; 32]),
        entities: Vec::new(),
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

/// A store that has snapshots and nothing else.
fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let backend = Arc::new(MemoryBackend::new());
        let env = Arc::new(SeededEnv::new(1));
        let store = Store::create(backend.clone(), env, usage()).unwrap();
        for number in 0..u8::try_from(SNAPSHOTS).unwrap() {
            let manifest = snapshot(number);
            let object = frame::encode(StoreHash::unkeyed(), ObjectKind::Manifest, &manifest);
            let name = name::snapshot(&manifest.id);
            backend.put_new(&name, &object.unwrap()).unwrap();
        }
        store
    })
}

/// A snapshot's word: what is found is what was asked for.
fn select(word: &str) {
    let back = match word.strip_prefix("latest") {
        Some("") => Some(Ok(0)),
        Some(rest) => rest.strip_prefix('~').map(str::parse::<u64>),
        None => None,
    };
    let found = select::one(store(), word, &SourceChoice::Any);
    match (found, back) {
        (Ok(_), Some(Ok(back))) => assert!(back < SNAPSHOTS, "{word:?}"),
        (Err(Error::Select(SelectError::TooFew { .. })), Some(Ok(back))) => {
            assert!(back >= SNAPSHOTS, "{word:?}");
        }
        (Ok(manifest), _) => {
            let is_named = manifest.name == word || manifest.id.as_str().starts_with(word);
            assert!(is_named, "{word:?} gave {}", manifest.id);
        }
        (Err(Error::Select(_)), Some(Err(_)) | None) => {}
        (Err(error), _) => panic!("{word:?}: {error}"),
    }
}

/// What a path is depends on its length here: all kinds come up.
fn look(path: &Path) -> Result<PathKind, Error> {
    Ok(match path.as_os_str().len() % 8 {
        0 => PathKind::Store,
        1 => PathKind::Absent,
        2 => PathKind::EmptyFolder,
        3 => PathKind::Folder { stores: Vec::new() },
        4 => PathKind::Folder {
            stores: vec![PathBuf::from("one"), PathBuf::from("two")],
        },
        5 => PathKind::ExportFolder,
        6 => PathKind::ExportZip,
        _ => PathKind::File,
    })
}

/// A word of the command line, as each kind of word there is.
pub fn words(data: &[u8]) {
    use std::os::unix::ffi::OsStrExt as _;
    let word = OsStr::from_bytes(data);
    let path = Path::new(word);
    let _any = paths::place(word, Path::new("store"), &look);
    let _any = (
        paths::backup_store(path, &look),
        paths::backup_output(path, &look),
    );
    let _any = paths::whole(path, &look);
    assert!(paths::same(path, path));
    let Some(word) = word.to_str() else { return };
    select(word);
    let _any = (
        names::key(word),
        names::rename(word),
        names::key_value(word),
    );
    if let Ok(table) = names::table(word) {
        assert_eq!(names::table(&names::written(&table)), Ok(table));
    }
    if let Ok(reference) = names::reference(word) {
        assert!(!reference.table.is_empty() && !reference.parent_column.is_empty());
    }
}
