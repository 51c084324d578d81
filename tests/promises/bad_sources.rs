//! Sources that cannot be backed up: each is told by what it is, and leaves nothing in the store.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use larder::backend::Backend;
use larder::backend::memory::MemoryBackend;
use larder::cli::exit;
use larder::error::{Error, SourceError};

use crate::sandbox::{Sandbox, names, snapshots};
use crate::workshop::{bakery, sql};

struct Scene {
    sandbox: Sandbox,
    backend: Arc<MemoryBackend>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let backend = Arc::new(MemoryBackend::new());
        sandbox.create(backend.clone());
        Self { sandbox, backend }
    }

    /// Fails, and leaves the store as it was but for packs. Gives exit code and message.
    fn refused(&self, database: &Path) -> (u8, String, Error) {
        let mut store = self.sandbox.open(self.backend.clone());
        let error = self.sandbox.try_backup(&mut store, database).unwrap_err();
        assert_eq!(snapshots(&store), [], "{error}");
        assert_eq!(names(&*self.backend, "writers/"), [""; 0], "{error}");
        let text = error.to_string();
        let name = database.file_name().unwrap().to_string_lossy();
        assert!(text.contains(&*name), "{text}");
        let code = exit::of_error(&error, None).number();
        (code, text, error)
    }
}

#[test]
fn what_is_no_database_is_told_by_what_it_is() {
    let scene = Scene::new();
    let path = |name: &str| scene.sandbox.path(name);
    fs::write(
        path("notes.txt"),
        "dear diary, today I wrote a backup program",
    )
    .unwrap();
    fs::write(path("random.bin"), [0x9c; 4096]).unwrap();
    fs::write(path("short"), "SQLite").unwrap();
    fs::create_dir(path("folder")).unwrap();
    std::os::unix::fs::symlink(path("nowhere"), path("link")).unwrap();
    for (name, said) in [
        ("notes.txt", "begins with \"dear diary"),
        ("random.bin", "as an encrypted database may"),
        ("short", "begins with \"SQLite\""),
        ("folder", "it is a directory"),
        ("missing.db", "no database at"),
        ("link", "no database at"),
    ] {
        let (code, text, error) = scene.refused(&path(name));
        assert!(text.contains(said), "{name}: {text}");
        assert!(matches!(error, Error::Source(_)), "{name}: {error:?}");
        assert_eq!(code, 1, "{name}");
    }
    assert_eq!(scene.backend.list("packs/").unwrap(), []);
}

/// Cut anywhere: kept as far as it goes, flagged and said so; or refused.
#[test]
fn a_truncated_database_is_never_backed_up_as_if_it_were_whole() {
    let whole = fs::read(bakery()).unwrap();
    let mut kept = 0;
    for twentieth in 1..20 {
        let scene = Scene::new();
        let cut = scene.sandbox.path("cut.db");
        fs::write(&cut, &whole[..whole.len() * twentieth / 20]).unwrap();
        let mut store = scene.sandbox.open(scene.backend.clone());
        let outcome = scene.sandbox.try_backup(&mut store, &cut).unwrap();
        assert!(outcome.damaged, "{twentieth}");
        assert_eq!(exit::of_backup(&outcome).number(), 3, "{twentieth}");
        kept += outcome.snapshot.records;
    }
    assert!(kept > 1_000, "{kept} records in all");
}

#[test]
fn a_locked_database_is_busy_and_not_waited_for_longer_than_told() {
    for journal in ["DELETE", "WAL"] {
        let scene = Scene::new();
        let locked = scene.sandbox.path("locked.db");
        sql(
            &locked,
            &format!("PRAGMA journal_mode={journal}; CREATE TABLE t(a); INSERT INTO t VALUES(1)"),
        );
        let other = rusqlite::Connection::open(&locked).unwrap();
        other
            .execute_batch(
                "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO t VALUES(2)",
            )
            .unwrap();
        let (code, text, error) = scene.refused(&locked);
        assert!(
            matches!(error, Error::Source(SourceError::Busy { .. })),
            "{journal}: {error}"
        );
        assert_eq!(code, 6, "{journal}: {text}");
        other.execute_batch("COMMIT").unwrap();
        other.close().unwrap();
        let mut store = scene.sandbox.open(scene.backend.clone());
        scene.sandbox.backup(&mut store, &locked);
    }
}
