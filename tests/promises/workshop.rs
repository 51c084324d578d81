//! What the promises are tried on: stores and databases in a temporary folder, the real databases,
//! and the script that compares two databases.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use larder::env::SystemEnv;
use larder::error::Error;
use larder::format::manifest::Manifest;
use larder::ops::backup::{self, BackupOptions, BackupOutcome};
use larder::ops::open::{self, Store, StoreOptions, World};
use larder::ops::restore::{self, Form, Mode, RestoreOptions, RestoreOutcome};
use larder::ops::select::{self, SourceChoice};
use larder::ops::validate::{self, ValidateOptions, ValidateOutcome};
use larder::progress::NoProgress;
use larder::target::CheckLevel;
use larder::vfs::os::OsVfs;

/// A folder with a store, and room for databases.
pub struct Workshop {
    pub dir: tempfile::TempDir,
    pub world: World,
    pub store: Store,
}

impl Workshop {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World {
            env: Arc::new(SystemEnv),
            vfs: Arc::new(OsVfs),
        };
        let store = open::create(&store_options(dir.path()), &world).unwrap();
        Self { dir, world, store }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens the store again, as the next run would.
    pub fn reopen(&mut self) {
        self.store = open::open(&store_options(self.dir.path()), &self.world).unwrap();
    }

    pub fn backup(&mut self, database: &Path) -> BackupOutcome {
        self.try_backup(database).unwrap()
    }

    pub fn try_backup(&mut self, database: &Path) -> Result<BackupOutcome, Error> {
        let options = self.backup_options(database);
        backup::run(&mut self.store, &self.world, &options, &mut NoProgress)
    }

    pub fn try_backup_strictly(&mut self, database: &Path) -> Result<BackupOutcome, Error> {
        let options = BackupOptions {
            strict: true,
            ..self.backup_options(database)
        };
        backup::run(&mut self.store, &self.world, &options, &mut NoProgress)
    }

    pub fn backup_options(&self, database: &Path) -> BackupOptions {
        BackupOptions {
            database: database.to_owned(),
            name: None,
            tags: Vec::new(),
            source_name: Some("test".to_owned()),
            busy_timeout: Duration::from_millis(200),
            temp_dir: Some(self.dir.path().to_owned()),
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
            fast_skip_from: None,
        }
    }

    pub fn manifest(&self, word: &str) -> Manifest {
        select::one(&self.store, word, &SourceChoice::Any).unwrap()
    }

    pub fn restore_new(&mut self, word: &str, target: &Path) -> RestoreOutcome {
        let manifest = self.manifest(word);
        self.try_restore_new(&manifest, target).unwrap()
    }

    pub fn try_restore_new(
        &mut self,
        manifest: &Manifest,
        target: &Path,
    ) -> Result<RestoreOutcome, Error> {
        let options = restore_options(target);
        let world = &self.world;
        restore::run(
            &mut self.store,
            world,
            manifest,
            &options,
            &mut restore::NoDecider,
            &mut NoProgress,
        )
    }

    pub fn try_restore_form(
        &mut self,
        word: &str,
        target: &Path,
        form: Form,
    ) -> Result<RestoreOutcome, Error> {
        let manifest = self.manifest(word);
        let options = RestoreOptions {
            form,
            ..restore_options(target)
        };
        let world = &self.world;
        restore::run(
            &mut self.store,
            world,
            &manifest,
            &options,
            &mut restore::NoDecider,
            &mut NoProgress,
        )
    }

    pub fn validate(&self) -> ValidateOutcome {
        let options = ValidateOptions::default();
        validate::run(&self.store, &self.world, &options, &mut NoProgress).unwrap()
    }
}

pub fn restore_options(target: &Path) -> RestoreOptions {
    RestoreOptions {
        target: target.to_owned(),
        mode: Mode::Add,
        dry_run: false,
        busy_timeout: Duration::from_millis(200),
        check: CheckLevel::Quick,
        form: Form::Best,
        ..RestoreOptions::default()
    }
}

fn store_options(dir: &Path) -> StoreOptions {
    StoreOptions {
        location: dir.join("store"),
        cache_dir: Some(dir.join("cache")),
        compression: 3,
    }
}

/// The folder of the real databases; `None`, with a line that says so, where there is none.
pub fn real_databases() -> Option<PathBuf> {
    let found = std::env::var_os("LARDER_TEST_DATA").map(PathBuf::from);
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must have the real databases"
        );
        println!("not run: LARDER_TEST_DATA is not set");
    }
    found
}

/// The Python that has apsw; `None`, with a line that says what is not done, where there is none.
pub fn python(undone: &str) -> Option<OsString> {
    let found = std::env::var_os("LARDER_TEST_PYTHON");
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must have LARDER_TEST_PYTHON"
        );
        println!("{undone}: LARDER_TEST_PYTHON is not set");
    }
    found
}

/// Copies a database with its -wal or -journal: opening it may change it.
pub fn copy_database(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    for end in ["-wal", "-journal"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        if beside(from).exists() {
            fs::copy(beside(from), beside(to)).unwrap();
        }
    }
}

/// What `dbdiff.py` says of two databases, nothing if they are the same, pages apart. `ignored`:
/// its words, with commas. `None`, said aloud, where there is no Python for it.
pub fn differences(a: &Path, b: &Path, ignored: &str) -> Option<String> {
    let python = python("not compared by dbdiff")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/dbdiff.py");
    let mut command = Command::new(python);
    command.arg(script).args([a, b]);
    if !ignored.is_empty() {
        command.args(["--ignore", ignored]);
    }
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    Some(match out.status.code() {
        Some(0) => String::new(),
        code => format!("exit {code:?}: {text}"),
    })
}

/// Fails unless the two databases are the same, pages apart.
pub fn assert_equal(a: &Path, b: &Path) {
    let told = differences(a, b, "").unwrap_or_default();
    assert!(
        told.is_empty(),
        "{} and {} differ: {told}",
        a.display(),
        b.display()
    );
}

/// The example database that every checkout has.
pub fn bakery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bakery.db")
}

/// Runs SQL on a database, made if absent.
pub fn sql(path: &Path, text: &str) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(text).unwrap();
    db.close().unwrap();
}
