//! A store whose world is simulated: objects in memory, a seeded clock, files that can fail. The
//! databases are real files, for SQLite reads and writes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder::backend::local::LocalBackend;
use larder::backend::{Backend, ObjectInfo};
use larder::error::Error;
use larder::model::id::SnapshotId;
use larder::ops::backup::{self, BackupOptions, BackupOutcome};
use larder::ops::open::{Store, World};
use larder::ops::prune::{self, PruneOptions, PruneOutcome};
use larder::ops::restore::{self, RestoreOptions, RestoreOutcome};
use larder::ops::validate::{self, ValidateOptions, ValidateOutcome};
use larder::progress::{NoProgress, Progress};
use larder::store::{StoreError, Usage};
use larder::testkit::seeded_env::SeededEnv;
use larder::vfs::Vfs;
use larder::vfs::os::OsVfs;

/// Where stores lie in a simulated file system.
pub const ROOT: &str = "/home/store";

/// A folder for databases, and the clock of all stores.
pub struct Sandbox {
    pub dir: tempfile::TempDir,
    pub env: Arc<SeededEnv>,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::seeded(seed())
    }

    pub fn seeded(seed: u64) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            env: Arc::new(SeededEnv::new(seed)),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn world(&self) -> World {
        World {
            env: self.env.clone(),
            vfs: Arc::new(OsVfs),
        }
    }

    pub fn create(&self, backend: Arc<dyn Backend>) -> Store {
        Store::create(backend, self.env.clone(), usage()).unwrap()
    }

    pub fn open(&self, backend: Arc<dyn Backend>) -> Store {
        self.try_open(backend).unwrap()
    }

    pub fn try_open(&self, backend: Arc<dyn Backend>) -> Result<Store, StoreError> {
        Store::open(backend, self.env.clone(), usage())
    }

    /// The backend of a folder of a simulated file system.
    pub fn folder(&self, vfs: Arc<dyn Vfs>) -> Arc<dyn Backend> {
        Arc::new(LocalBackend::new(
            vfs,
            self.env.clone(),
            PathBuf::from(ROOT),
        ))
    }

    pub fn try_backup(&self, store: &mut Store, database: &Path) -> Result<BackupOutcome, Error> {
        self.backup_with(store, database, &mut NoProgress)
    }

    pub fn backup_with(
        &self,
        store: &mut Store,
        database: &Path,
        progress: &mut dyn Progress,
    ) -> Result<BackupOutcome, Error> {
        let options = BackupOptions {
            database: database.to_owned(),
            name: None,
            tags: Vec::new(),
            source_name: Some("test".to_owned()),
            busy_timeout: Duration::from_millis(200),
            temp_dir: Some(self.dir.path().to_owned()),
            check_source: None,
            strict: false,
            reading: backup::Reading::default(),
            fast_skip_from: Some(0),
        };
        // Names tell seconds.
        self.env.advance(Duration::from_secs(1));
        backup::run(store, &self.world(), &options, progress)
    }

    pub fn backup(&self, store: &mut Store, database: &Path) -> SnapshotId {
        let outcome = self.try_backup(store, database).unwrap();
        outcome.snapshot.id.parse().unwrap()
    }

    /// Prunes at once what is forgotten.
    pub fn try_prune(&self, store: &Store) -> Result<PruneOutcome, Error> {
        let options = PruneOptions {
            grace: Duration::ZERO,
            max_wait: Duration::from_secs(5),
            ..PruneOptions::default()
        };
        prune::run(store, &self.world(), &options, &mut NoProgress)
    }

    /// Restores a snapshot; gives the bytes of the new database. Equal records, schema and settings
    /// give equal bytes: restoring is deterministic.
    pub fn try_restore(&self, store: &mut Store, id: &SnapshotId) -> Result<Vec<u8>, Error> {
        let restored = self.try_restore_by(store, id, RestoreOptions::default());
        restored.map(|(bytes, _)| bytes)
    }

    /// The same, as `options` say.
    pub fn try_restore_by(
        &self,
        store: &mut Store,
        id: &SnapshotId,
        options: RestoreOptions,
    ) -> Result<(Vec<u8>, RestoreOutcome), Error> {
        let manifest = larder::ops::select::one(
            store,
            &id.to_string(),
            &larder::ops::select::SourceChoice::Any,
        )?;
        let target = self.path("restored.db");
        let options = RestoreOptions {
            target: target.clone(),
            busy_timeout: Duration::from_millis(200),
            ..options
        };
        let restored = restore::run(
            store,
            &self.world(),
            &manifest,
            &options,
            &mut restore::NoDecider,
            &mut NoProgress,
        );
        let bytes = std::fs::read(&target);
        match restored {
            Ok(outcome) => {
                std::fs::remove_file(&target).unwrap();
                Ok((bytes.unwrap(), outcome))
            }
            Err(error) => {
                assert!(bytes.is_err(), "a failed restore left a file: {error}");
                Err(error)
            }
        }
    }

    pub fn restore(&self, store: &mut Store, id: &SnapshotId) -> Vec<u8> {
        self.try_restore(store, id).unwrap()
    }

    pub fn try_validate(&self, store: &Store) -> Result<ValidateOutcome, Error> {
        let options = ValidateOptions::default();
        validate::run(store, &self.world(), &options, &mut NoProgress)
    }

    /// Everything is whole, and there are so many snapshots.
    #[track_caller]
    pub fn assert_whole(&self, store: &Store, snapshots: usize) {
        let outcome = self.try_validate(store).unwrap();
        assert_eq!(outcome.damage, []);
        assert_eq!(outcome.snapshots.len(), snapshots);
        assert!(outcome.snapshots.iter().all(|s| s.good));
    }
}

pub fn usage() -> Usage {
    Usage {
        cache_dir: None,
        compression: 3,
        rules: larder::store::rules::Rules::default(),
    }
}

/// LARDER_TEST_SEED, else a fixed one.
pub fn seed() -> u64 {
    let given = std::env::var("LARDER_TEST_SEED").ok();
    given.map_or(20_261_123, |text| text.parse().unwrap())
}

/// LARDER_TEST_SCALE, else 1.
pub fn scale() -> usize {
    let given = std::env::var("LARDER_TEST_SCALE").ok();
    given.map_or(1, |text| text.parse().unwrap())
}

/// Names of the objects under a prefix.
pub fn names(backend: &dyn Backend, prefix: &str) -> Vec<String> {
    let listed: Vec<ObjectInfo> = backend.list(prefix).unwrap();
    listed.into_iter().map(|object| object.name).collect()
}

/// The visible snapshots.
pub fn snapshots(store: &Store) -> Vec<SnapshotId> {
    let ids = store.snapshot_names().unwrap().ids;
    let visible = |id: &SnapshotId| store.manifest(id).unwrap().is_some();
    ids.into_iter().filter(visible).collect()
}
