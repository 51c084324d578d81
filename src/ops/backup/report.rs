//! What a backup did, for who asked for it.

use crate::error::Error;
use crate::format::manifest::{Changes, Entity, Manifest};
use crate::model::id::SnapshotId;
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::Store;
use crate::progress::Finding;
use crate::store::{Committed, StoreError};

/// An entity file of the new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// The table.
    pub entity: String,
    /// Its file's name.
    pub file: String,
    /// Records.
    pub records: u64,
    /// What differs from the parent; `None` if there is no parent (of the same source), or it lacked the entity.
    pub changes: Option<Changes>,
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOutcome {
    /// The new snapshot.
    pub snapshot: SnapshotSummary,
    /// Name of the snapshot that `changes` compare with, of the same source.
    pub parent: Option<String>,
    /// Entity files, in import order.
    pub entities: Vec<EntityReport>,
    /// Entities of the parent that are gone.
    pub dropped: Vec<String>,
    /// Pages of the database that are kept beside its records, where these do not make it again.
    pub pages: Option<u64>,
    /// The source is damaged: the snapshot holds what could be read.
    pub damaged: bool,
    /// Notes and warnings, shown already through `Progress::found`.
    pub findings: Vec<Finding>,
    /// `WAL` or `rollback journal`.
    pub journal: String,
    /// The longest time that others could not write because the database was copied; `None` if
    /// they always could, as in WAL mode.
    pub longest_lock_ms: Option<u64>,
    /// Length of the database file.
    pub source_bytes: u64,
    /// Records that were not read, since the pages they lie on are those of the last backup.
    pub skipped_records: u64,
    /// Bytes of packs and manifest that were added.
    pub stored_bytes: u64,
    /// Sum of the lengths of the store's objects afterwards.
    pub store_bytes: u64,
    /// Snapshots in the store afterwards.
    pub store_snapshots: u64,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// That the store keeps copies of manifests, and has none of this one.
pub(super) fn not_copied(manifest: &Manifest, committed: &Committed) -> Option<Finding> {
    let cause = committed.not_copied.as_ref()?;
    let text = format!("the snapshot is stored, a second copy of its manifest is not: {cause}");
    Some(Finding::warning(format!("snapshot {}", manifest.id), text))
}

/// The ids of a store's snapshots, and the one that is about to be committed.
pub(super) fn ids_with(store: &Store, own: &SnapshotId) -> Result<Vec<SnapshotId>, StoreError> {
    let mut ids = store.snapshot_names()?.ids;
    let at = ids.partition_point(|id| id < own);
    ids.insert(at, own.clone());
    Ok(ids)
}

/// What a store is before the commit, for the report.
pub(super) struct Before {
    ids: Vec<SnapshotId>,
    snapshots: u64,
    /// Bytes of its objects, writer records of this run apart.
    bytes: u64,
}

impl Before {
    pub(super) fn read(store: &Store, own: &SnapshotId, snapshots: u64) -> Result<Self, Error> {
        let ids = ids_with(store, own)?;
        let own_record = crate::format::name::writer(own);
        let objects = store.objects()?;
        let bytes = objects
            .iter()
            .filter(|object| object.name != own_record)
            .map(|object| object.bytes)
            .sum();
        Ok(Self {
            ids,
            snapshots,
            bytes,
        })
    }
}

/// What is said of a snapshot that is there.
pub(super) fn outcome(
    manifest: &Manifest,
    parent: Option<&Manifest>,
    before: Before,
    committed: &Committed,
) -> BackupOutcome {
    let entities = manifest
        .entities
        .iter()
        .map(|entity| EntityReport {
            entity: entity.entity.clone(),
            file: entity.file.clone(),
            records: entity.records,
            changes: parent
                .and_then(|parent| parent.entity(&entity.entity))
                .map(|_| entity.changes.unwrap_or_default()),
        })
        .collect();
    let dropped = parent.map_or_else(Vec::new, |parent| {
        let gone = |e: &&Entity| manifest.entity(&e.entity).is_none();
        parent
            .entities
            .iter()
            .filter(gone)
            .map(|e| e.entity.clone())
            .collect()
    });
    let is_wal = manifest.settings.journal_mode == "wal";
    BackupOutcome {
        snapshot: summary(manifest, &before.ids),
        parent: parent.map(|parent| parent.name.clone()),
        entities,
        dropped,
        pages: manifest.pages.as_ref().map(|pages| pages.records),
        damaged: manifest.damaged,
        findings: manifest.findings.clone(),
        journal: if is_wal { "WAL" } else { "rollback journal" }.to_owned(),
        longest_lock_ms: None,
        skipped_records: 0,
        source_bytes: manifest.source.bytes,
        stored_bytes: committed.pack_bytes + committed.manifest_bytes,
        store_bytes: before.bytes + committed.manifest_bytes + committed.second_bytes,
        store_snapshots: before.snapshots + 1,
        elapsed_ms: 0,
    }
}
