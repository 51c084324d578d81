//! Stores and caches that are not what they should be: newer formats, read-only and full disks,
//! strangers in the folder, caches that lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::backend::memory::MemoryBackend;
use larder::backend::{Backend, BackendErrorKind};
use larder::codec::hash::{StoreHash, pack_id};
use larder::error::{Error, StoreError};
use larder::format::config::{Config, FORMAT_DRAFT, FormatMark};
use larder::format::frame::{self, ObjectKind};
use larder::format::name;
use larder::model::id::StoreId;
use larder::ops::list;
use larder::ops::open::Store;
use larder::store::Usage;
use larder::testkit::memory_vfs::MemoryVfs;
use larder::vfs::{Entry, Vfs, VfsError, VfsErrorKind, VfsFile};

use crate::forged_pack::put_bytes;
use crate::sandbox::{ROOT, Sandbox, names, snapshots};
use crate::workshop::sql;

const ROWS: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);
    INSERT INTO a VALUES(1,'one'),(2,'two');";

fn database(sandbox: &Sandbox) -> PathBuf {
    let database = sandbox.path("a.db");
    if !database.exists() {
        sql(&database, ROWS);
    }
    database
}

fn backed_up(sandbox: &Sandbox) -> Arc<MemoryBackend> {
    let backend = Arc::new(MemoryBackend::new());
    let mut store = sandbox.create(backend.clone());
    sandbox.backup(&mut store, &database(sandbox));
    backend
}

fn assert_unsupported(error: &Error, names: &str, asks: &str) {
    let unsupported = matches!(error, Error::Store(StoreError::Unsupported { .. }));
    assert!(unsupported, "{error:?}");
    let text = error.to_string();
    assert!(text.contains(names) && text.contains(asks), "{text}");
    assert_eq!(larder::cli::exit::of_error(error, None).number(), 1);
}

#[test]
fn a_store_of_another_format_is_refused_by_its_version() {
    let current = FormatMark::CURRENT;
    let cases = [
        (
            FormatMark {
                version: 1,
                ..current
            },
            vec![],
            format!("format version 1 (draft {FORMAT_DRAFT})"),
        ),
        (
            FormatMark {
                draft: FORMAT_DRAFT + 1,
                ..current
            },
            vec![],
            format!("draft {}", FORMAT_DRAFT + 1),
        ),
        (
            current,
            vec!["encryption".to_owned()],
            "\"encryption\"".to_owned(),
        ),
    ];
    for (format, features, asks) in cases {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        let config = Config {
            format,
            features,
            store_id: StoreId([7; 16]),
            created: String::new(),
        };
        let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Config, &config).unwrap();
        backend.put_new(name::CONFIG, &bytes).unwrap();
        let error = sandbox.try_open(backend).unwrap_err();
        assert_unsupported(&error.into(), "memory", &asks);
    }
}

#[test]
fn a_snapshot_that_needs_an_unknown_feature_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let backend = backed_up(&sandbox);
    let mut store = sandbox.open(backend.clone());
    let id = snapshots(&store).remove(0);
    let mut manifest = store.manifest(&id).unwrap().unwrap();
    manifest.features = vec!["time-travel".to_owned()];
    let bytes = frame::encode(StoreHash::unkeyed(), ObjectKind::Manifest, &manifest).unwrap();
    backend.put(&name::snapshot(&id), &bytes).unwrap();
    let before = names(&*backend, "");
    let refused = [
        sandbox.try_restore(&mut store, &id).map(drop),
        sandbox
            .try_backup(&mut store, &database(&sandbox))
            .map(drop),
        sandbox.try_validate(&store).map(drop),
        list::run(&store).map(drop),
    ];
    for refused in refused {
        assert_unsupported(&refused.unwrap_err(), &id.to_string(), "\"time-travel\"");
    }
    assert_eq!(names(&*backend, ""), before);
}

#[test]
fn a_pack_of_another_draft_is_refused_and_a_flipped_bit_there_is_damage() {
    let sandbox = Sandbox::new();
    let backend = backed_up(&sandbox);
    let old = names(&*backend, name::PACKS).remove(0);
    let mut bytes = backend.get(&old, u64::MAX).unwrap();
    bytes[9] = 9;
    // Under its right name it is what it says.
    let foreign = put_bytes(&*backend, &bytes);
    let mut store = sandbox.open(backend.clone());
    let id = snapshots(&store).remove(0);
    let before = names(&*backend, "");
    for refused in [
        sandbox.try_restore(&mut store, &id).map(drop),
        sandbox
            .try_backup(&mut store, &database(&sandbox))
            .map(drop),
        sandbox.try_validate(&store).map(drop),
    ] {
        assert_unsupported(&refused.unwrap_err(), &foreign.to_string(), "draft 9");
    }
    assert_eq!(names(&*backend, ""), before);
    // Under another name it is damaged, and no reason to refuse the rest of the store.
    backend.delete(&name::pack(&foreign)).unwrap();
    bytes[9] = 8;
    assert_ne!(pack_id(&bytes), foreign);
    backend.put_new(&name::pack(&foreign), &bytes).unwrap();
    sandbox.restore(&mut store, &id);
    sandbox.backup(&mut store, &database(&sandbox));
    let damage = sandbox.try_validate(&store).unwrap().damage;
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].object.contains(&foreign.to_string()));
}

/// A disk on which nothing can be changed.
#[derive(Debug, Clone)]
struct ReadOnly(MemoryVfs);

fn denied<T>(op: &'static str, path: &Path) -> Result<T, VfsError> {
    Err(VfsError::new(
        VfsErrorKind::Denied,
        op,
        path,
        "read-only file system",
    ))
}

impl Vfs for ReadOnly {
    fn create_new(&self, path: &Path) -> Result<Box<dyn VfsFile>, VfsError> {
        denied("create", path)
    }
    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        denied("sync", path)
    }
    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        denied("sync", path)
    }
    fn publish_no_replace(&self, _: &Path, to: &Path) -> Result<(), VfsError> {
        denied("publish", to)
    }
    fn replace(&self, _: &Path, to: &Path) -> Result<(), VfsError> {
        denied("replace", to)
    }
    fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, VfsError> {
        self.0.read(path, bytes_max)
    }
    fn read_at(&self, path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, VfsError> {
        self.0.read_at(path, offset, bytes)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.0.list(dir)
    }
    fn list_folder(&self, dir: &Path) -> Result<Vec<Entry>, VfsError> {
        self.0.list_folder(dir)
    }
    fn entry(&self, path: &Path) -> Result<Option<Entry>, VfsError> {
        self.0.entry(path)
    }
    fn unlink(&self, path: &Path) -> Result<(), VfsError> {
        denied("remove", path)
    }
    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        match self.0.entry(path)? {
            Some(_) => Err(VfsError::new(
                VfsErrorKind::Exists,
                "create",
                path,
                "exists",
            )),
            None => denied("create folder", path),
        }
    }

    fn free_bytes(&self, _dir: &Path) -> Option<u64> {
        None
    }
}

/// A store with one snapshot in a folder in memory.
fn on_disk(sandbox: &Sandbox) -> MemoryVfs {
    let disk = MemoryVfs::new();
    disk.create_dir(Path::new("/home")).unwrap();
    let mut store = sandbox.create(sandbox.folder(Arc::new(disk.clone())));
    sandbox.backup(&mut store, &database(sandbox));
    disk
}

#[test]
fn a_read_only_store_can_be_read_and_says_why_it_cannot_be_written() {
    let sandbox = Sandbox::new();
    let disk = ReadOnly(on_disk(&sandbox));
    let mut store = sandbox.open(sandbox.folder(Arc::new(disk)));
    let id = snapshots(&store).remove(0);
    sandbox.restore(&mut store, &id);
    sandbox.assert_whole(&store, 1);
    assert_eq!(list::run(&store).unwrap().snapshots.len(), 1);
    let error = sandbox
        .try_backup(&mut store, &database(&sandbox))
        .unwrap_err();
    let Error::Store(inner) = &error else {
        panic!("{error}")
    };
    assert_eq!(inner.backend_kind(), Some(BackendErrorKind::Denied));
    assert!(
        error.to_string().contains("cannot write writers/"),
        "{error}"
    );
}

#[test]
fn strangers_in_the_folder_are_named_and_never_read_or_removed() {
    let sandbox = Sandbox::new();
    let disk = on_disk(&sandbox);
    let at = |name: &str| Path::new(ROOT).join(name);
    let strangers = [
        "notes.txt",
        "packs/README",
        "packs/ab/short",
        "packs/with space",
        "snapshots/README",
        "snapshots/20260101T000000Z-0011",
        "writers/someone",
        "gc/notes",
        "damaged/what",
        "elsewhere/config",
        "snapshots/ab/cd",
    ];
    for folder in ["packs/ab", "elsewhere", "snapshots/ab", "gc", "damaged"] {
        let _may_exist = disk.create_dir(&at(folder));
    }
    for name in strangers {
        disk.plant_file(&at(name), b"{\"not\": \"ours\"}").unwrap();
    }
    let links = ["link", "snapshots/link", "packs/link"];
    for name in links {
        disk.plant_foreign(&at(name)).unwrap();
    }
    // Exports that people look for there, and what a dead run left.
    disk.plant_file(&at("first.zip"), b"PK").unwrap();
    disk.plant_file(&at("tmp/0123"), b"half").unwrap();
    let mut store = sandbox.open(sandbox.folder(Arc::new(disk.clone())));
    let mut expected: Vec<&str> = strangers.into_iter().chain(links).collect();
    expected.sort_unstable();
    let listed = list::run(&store).unwrap();
    let subjects: Vec<&str> = listed.findings.iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(subjects, expected);
    let is_note = |f: &larder::progress::Finding| f.severity == larder::progress::Severity::Note;
    assert!(listed.findings.iter().all(is_note));
    let validated = sandbox.try_validate(&store).unwrap();
    let subjects: Vec<&str> = validated
        .findings
        .iter()
        .map(|f| f.subject.as_str())
        .collect();
    assert_eq!(subjects, expected);
    // A stranger under gc/ could be anything: it is named as what cannot be read.
    let objects: Vec<&str> = validated.damage.iter().map(|d| d.object.as_str()).collect();
    assert_eq!(objects, ["gc/notes"]);
    disk.unlink(&at("gc/notes")).unwrap();
    let id = sandbox.backup(&mut store, &database(&sandbox));
    sandbox.restore(&mut store, &id);
    for name in strangers
        .into_iter()
        .chain(links)
        .filter(|n| *n != "gc/notes")
    {
        assert!(disk.entry(&at(name)).unwrap().is_some(), "{name} is gone");
    }
}

/// What is beyond a link is not the store's: objects there do not exist.
#[test]
fn a_folder_of_the_store_that_is_a_link_is_not_entered() {
    let sandbox = Sandbox::new();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let folder = |root: &Path| -> Arc<dyn Backend> {
        let vfs = Arc::new(larder::vfs::os::OsVfs);
        let root = root.to_owned();
        Arc::new(larder::backend::local::LocalBackend::new(
            vfs,
            sandbox.env.clone(),
            root,
        ))
    };
    let mut store = sandbox.create(folder(&root));
    sandbox.backup(&mut store, &database(&sandbox));
    for linked in ["snapshots", "packs"] {
        let (aside, place) = (dir.path().join("aside"), root.join(linked));
        fs::rename(&place, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &place).unwrap();
        let mut store = sandbox.open(folder(&root));
        let error = sandbox
            .try_backup(&mut store, &database(&sandbox))
            .unwrap_err();
        assert!(error.to_string().contains("link"), "{linked}: {error}");
        fs::remove_file(&place).unwrap();
        fs::rename(&aside, &place).unwrap();
    }
    sandbox.assert_whole(&sandbox.open(folder(&root)), 1);
}

/// Does something to the cache file of a store.
type Twist = fn(&Path);

const TWISTS: [(&str, Twist); 8] = [
    ("text in its place", |file| {
        fs::write(file, "not a database").unwrap()
    }),
    ("nothing in it", |file| fs::write(file, "").unwrap()),
    ("a folder in its place", |file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    }),
    ("cut in half", |file| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("pages of garbage behind the first", |file| {
        let mut bytes = fs::read(file).unwrap();
        bytes[4096..].fill(0xa5);
        fs::write(file, bytes).unwrap();
    }),
    ("other tables", |file| {
        sql(
            file,
            "DROP TABLE blobs; CREATE TABLE blobs(x); INSERT INTO blobs VALUES(1)",
        );
    }),
    ("places that are wrong", |file| {
        sql(
            file,
            "UPDATE frames SET offset = offset + 7, plain = plain + 1; UPDATE blobs SET offset = 3, encoding = 0",
        );
    }),
    ("absurd lengths", |file| {
        sql(
            file,
            "UPDATE frames SET stored = -1, plain = 9223372036854775807; UPDATE blobs SET canonical = -1, frame = 0",
        );
    }),
];

#[test]
fn a_damaged_cache_costs_time_and_nothing_else() {
    for (what, twist) in TWISTS {
        let sandbox = Sandbox::new();
        let database = database(&sandbox);
        let cache_dir = sandbox.path("cache");
        fs::create_dir(&cache_dir).unwrap();
        let backend = Arc::new(MemoryBackend::new());
        let usage = || Usage {
            cache_dir: Some(cache_dir.clone()),
            compression: 3,
            rules: larder::store::rules::Rules::default(),
        };
        let mut store = Store::create(backend.clone(), sandbox.env.clone(), usage()).unwrap();
        let first = sandbox.backup(&mut store, &database);
        let whole = sandbox.restore(&mut store, &first);
        let mut files = fs::read_dir(&cache_dir)
            .unwrap()
            .map(|file| file.unwrap().path());
        let file = files
            .find(|file| file.extension().is_some_and(|end| end == "footers"))
            .unwrap();
        twist(&file);
        let open = || Store::open(backend.clone(), sandbox.env.clone(), usage()).unwrap();
        assert!(sandbox.restore(&mut open(), &first) == whole, "{what}");
        twist_again(&file, twist);
        sql(&database, "UPDATE a SET x = x || '!' WHERE id = 2");
        let outcome = sandbox.try_backup(&mut open(), &database).unwrap();
        assert_eq!(outcome.entities[0].changes.unwrap().changed, 1, "{what}");
        twist_again(&file, twist);
        let second = outcome.snapshot.id.parse().unwrap();
        sandbox.restore(&mut open(), &second);
        sandbox.assert_whole(&open(), 2);
    }
}

/// The run before may have made the file anew; a folder in its place stays.
fn twist_again(file: &Path, twist: Twist) {
    if file.is_file() {
        twist(file);
    }
}

#[test]
fn a_cache_of_another_store_is_not_believed() {
    let sandbox = Sandbox::new();
    let database = database(&sandbox);
    let cache_dir = sandbox.path("cache");
    fs::create_dir(&cache_dir).unwrap();
    let make = || {
        let backend = Arc::new(MemoryBackend::new());
        let usage = Usage {
            cache_dir: Some(cache_dir.clone()),
            compression: 3,
            rules: larder::store::rules::Rules::default(),
        };
        Store::create(backend, sandbox.env.clone(), usage).unwrap()
    };
    let mut full = make();
    sandbox.backup(&mut full, &database);
    let cache_of = |store: &Store| cache_dir.join(format!("{}.footers", store.id()));
    let mut empty = make();
    fs::copy(cache_of(&full), cache_of(&empty)).unwrap();
    let id = sandbox.backup(&mut empty, &database);
    sandbox.assert_whole(&empty, 1);
    sandbox.restore(&mut empty, &id);
}

#[test]
fn a_cache_folder_that_cannot_be_used_is_done_without() {
    let sandbox = Sandbox::new();
    let database = database(&sandbox);
    let occupied = sandbox.path("occupied");
    fs::write(&occupied, "a file").unwrap();
    for cache_dir in [
        occupied.clone(),
        occupied.join("below"),
        PathBuf::from("/proc/none/cache"),
    ] {
        let location = sandbox.path("store");
        let options = larder::ops::open::StoreOptions {
            location: location.clone(),
            cache_dir: Some(cache_dir.clone()),
            compression: 3,
        };
        let mut store = larder::ops::open::create(&options, &sandbox.world()).unwrap();
        let id = sandbox.backup(&mut store, &database);
        let mut store = larder::ops::open::open(&options, &sandbox.world()).unwrap();
        sandbox.restore(&mut store, &id);
        sandbox.assert_whole(&store, 1);
        fs::remove_dir_all(&location).unwrap();
    }
    assert_eq!(fs::read_to_string(&occupied).unwrap(), "a file");
}
