//! Stores written by earlier programs of this format are read as they were written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::env::SystemEnv;
use larder::format::config::FORMAT_DRAFT;
use larder::ops::backup::{self, BackupOptions};
use larder::ops::open::{self, StoreOptions, World};
use larder::ops::select::{self, SourceChoice};
use larder::ops::validate::{self, ValidateOptions};
use larder::progress::NoProgress;
use larder::vfs::os::OsVfs;

use crate::workshop::{Workshop, assert_equal, sql};

/// Every kind of table and value, enough rows for nodes, large values; and what happens between
/// the two snapshots.
const STATES: [(&str, &str); 2] = [
    ("first", include_str!("../golden/first.sql")),
    ("second", include_str!("../golden/second.sql")),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn world() -> World {
    World {
        env: Arc::new(SystemEnv),
        vfs: Arc::new(OsVfs),
    }
}

fn options(location: PathBuf) -> StoreOptions {
    StoreOptions {
        location,
        cache_dir: None,
        compression: 3,
    }
}

/// Writes the golden store of this draft. Only when asked to.
fn write_golden(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("golden.db");
    let mut store = open::create(&options(folder.join("store")), &world()).unwrap();
    for (name, text) in STATES {
        sql(&database, &format!("PRAGMA foreign_keys=OFF;{text}"));
        let options = BackupOptions {
            database: database.clone(),
            name: Some(name.to_owned()),
            tags: vec!["golden".to_owned()],
            source_name: Some("golden".to_owned()),
            busy_timeout: std::time::Duration::ZERO,
            temp_dir: None,
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
            fast_skip_from: None,
        };
        backup::run(&mut store, &world(), &options, &mut NoProgress).unwrap();
    }
    for empty in ["tmp", "writers"] {
        let _ = fs::remove_dir(folder.join("store").join(empty));
    }
}

#[test]
fn the_golden_stores_are_read_as_they_were_written() {
    let newest = golden().join(format!("draft-{FORMAT_DRAFT}"));
    if std::env::var_os("LARDER_WRITE_GOLDEN").is_some() {
        write_golden(&newest);
    }
    assert!(newest.exists(), "no golden store of draft {FORMAT_DRAFT}");
    let mut tested = 0;
    for entry in fs::read_dir(golden()).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            // Another draft would be refused: its store must have been replaced.
            assert_eq!(folder, newest);
            reads_as_written(&folder);
            tested += 1;
        }
    }
    assert_eq!(tested, 1);
}

fn reads_as_written(folder: &Path) {
    let store = open::open(&options(folder.join("store")), &world()).unwrap();
    let validated = validate::run(
        &store,
        &world(),
        &ValidateOptions::default(),
        &mut NoProgress,
    );
    let validated = validated.unwrap();
    assert_eq!(
        (validated.damage, validated.findings),
        (Vec::new(), Vec::new())
    );
    let mut shop = Workshop::new();
    let database = shop.path("golden.db");
    for (name, text) in STATES {
        sql(&database, &format!("PRAGMA foreign_keys=OFF;{text}"));
        shop.backup(&database);
        let (new, old) = (
            shop.manifest("latest"),
            select::one(&store, name, &SourceChoice::Any).unwrap(),
        );
        // Equal roots: the program writes today what it wrote then.
        let roots = |m: &larder::format::manifest::Manifest| {
            m.all_tables()
                .map(|e| (e.entity.clone(), e.root, e.records))
                .collect::<Vec<_>>()
        };
        assert_eq!(roots(&new), roots(&old), "{name}");
        assert_eq!(new.schema, old.schema, "{name}");
        let restored = shop.path(&format!("{name}-restored.db"));
        shop.store = open::open(&options(folder.join("store")), &world()).unwrap();
        shop.try_restore_new(&old, &restored).unwrap();
        shop.reopen();
        assert_equal(&database, &restored);
    }
}
