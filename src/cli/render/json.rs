//! Outcomes for programs. The shapes are documented in `docs/scripting.md` and differ from what is
//! stored, so that the two can change apart. Bytes are integers, times RFC 3339 in UTC.

pub mod copy;
pub mod diff;
pub mod forget;
pub mod import;
pub mod parity;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod stats;
pub mod validate;

use std::path::Path;

use serde::Serialize;

use crate::cli::exit::Code;
use crate::cli::render::text::backup::BackupView;
use crate::ops::backup::BackupOutcome;
use crate::ops::export::ExportOutcome;
use crate::ops::list::ListOutcome;
use crate::ops::list::SnapshotSummary;
use crate::ops::show::BlobLine;
use crate::ops::show::Changes;
use crate::ops::show::Entity;
use crate::ops::show::Manifest;
use crate::ops::undo::UndoOutcome;
use crate::progress::Finding;

/// A document. The fields are listed in `docs/scripting.md`.
pub type Document = serde_json::Value;

/// Why nothing was done, for stderr.
#[derive(Debug, Serialize)]
pub struct ErrorDocument<'a> {
    message_type: &'static str,
    code: u8,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Why nothing was done, for stderr.
pub fn error<'a>(code: Code, message: &'a str, hint: Option<&'a str>) -> ErrorDocument<'a> {
    ErrorDocument {
        message_type: "error",
        code: code.number(),
        message,
        hint,
    }
}

/// A finding, as a line of a long command.
#[derive(Debug, Serialize)]
pub struct FindingDocument<'a> {
    message_type: &'static str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// A finding, as a line of a long command.
pub fn finding(finding: &Finding) -> FindingDocument<'_> {
    FindingDocument {
        message_type: "finding",
        finding,
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[derive(Debug, Serialize)]
struct SnapshotDocument<'a> {
    id: &'a str,
    short_id: &'a str,
    name: &'a str,
    time: &'a str,
    files: u64,
    records: u64,
    new_bytes: u64,
    source: &'a str,
    tags: &'a [String],
    damaged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
}

fn snapshot<'a>(summary: &'a SnapshotSummary, store: Option<&Path>) -> SnapshotDocument<'a> {
    SnapshotDocument {
        id: &summary.id,
        short_id: &summary.short_id,
        name: &summary.name,
        time: &summary.time,
        files: summary.files,
        records: summary.records,
        new_bytes: summary.new_bytes,
        source: &summary.source,
        tags: &summary.tags,
        damaged: summary.damaged,
        pinned: summary.pinned,
        store: store.map(shown),
    }
}

#[derive(Debug, Serialize)]
struct ChangesDocument {
    added: u64,
    changed: u64,
    removed: u64,
}

fn changes(changes: Option<Changes>) -> Option<ChangesDocument> {
    changes.map(|changes| ChangesDocument {
        added: changes.added,
        changed: changes.changed,
        removed: changes.removed,
    })
}

/// A store that was made.
pub fn init(store: &Path) -> impl Serialize + use<> {
    #[derive(Serialize)]
    struct Made {
        store: String,
        created: bool,
    }
    Made {
        store: shown(store),
        created: true,
    }
}

#[derive(Debug, Serialize)]
struct BackedUpEntity<'a> {
    entity: &'a str,
    file: &'a str,
    records: u64,
    changes: Option<ChangesDocument>,
}

/// The summary of a backup.
#[derive(Debug, Serialize)]
pub struct BackupDocument<'a> {
    message_type: &'static str,
    snapshot: SnapshotDocument<'a>,
    store: String,
    store_created: bool,
    parent: Option<&'a str>,
    entities: Vec<BackedUpEntity<'a>>,
    dropped: &'a [String],
    pages: Option<u64>,
    damaged: bool,
    journal: &'a str,
    longest_lock_ms: Option<u64>,
    skipped_records: u64,
    source_bytes: u64,
    stored_bytes: u64,
    store_bytes: u64,
    store_snapshots: u64,
    zip: Option<String>,
    elapsed_ms: u64,
}

/// The summary of a backup.
pub fn backup<'a>(outcome: &'a BackupOutcome, view: &BackupView<'_>) -> BackupDocument<'a> {
    let entities = outcome.entities.iter().map(|entity| BackedUpEntity {
        entity: &entity.entity,
        file: &entity.file,
        records: entity.records,
        changes: changes(entity.changes),
    });
    BackupDocument {
        message_type: "summary",
        snapshot: snapshot(&outcome.snapshot, None),
        store: shown(view.store),
        store_created: view.store_created,
        parent: outcome.parent.as_deref(),
        entities: entities.collect(),
        dropped: &outcome.dropped,
        pages: outcome.pages,
        damaged: outcome.damaged,
        journal: &outcome.journal,
        longest_lock_ms: outcome.longest_lock_ms,
        skipped_records: outcome.skipped_records,
        source_bytes: outcome.source_bytes,
        stored_bytes: outcome.stored_bytes,
        store_bytes: outcome.store_bytes,
        store_snapshots: outcome.store_snapshots,
        zip: view.zip.map(shown),
        elapsed_ms: outcome.elapsed_ms,
    }
}

#[derive(Debug, Serialize)]
struct ListedStore<'a> {
    store: String,
    bytes: u64,
    forgotten: u64,
    findings: &'a [Finding],
}

/// The snapshots of one store or several.
#[derive(Debug, Serialize)]
pub struct ListDocument<'a> {
    stores: Vec<ListedStore<'a>>,
    snapshots: Vec<SnapshotDocument<'a>>,
}

/// The snapshots of one store or several, each with where it is.
pub fn list<'a>(
    outcomes: impl IntoIterator<Item = (&'a Path, &'a ListOutcome)>,
) -> ListDocument<'a> {
    let mut document = ListDocument {
        stores: Vec::new(),
        snapshots: Vec::new(),
    };
    for (store, outcome) in outcomes {
        document.stores.push(ListedStore {
            store: shown(store),
            bytes: outcome.store_bytes,
            forgotten: outcome.forgotten,
            findings: &outcome.findings,
        });
        let snapshots = outcome.snapshots.iter();
        document
            .snapshots
            .extend(snapshots.map(|summary| snapshot(summary, Some(store))));
    }
    document
}

/// The summary of an undo, or of its plan.
pub fn undo(outcome: &UndoOutcome) -> Document {
    let tables = outcome.tables.iter().map(|table| {
        serde_json::json!({
            "table": table.table, "deleted": table.deleted, "inserted": table.inserted,
            "updated": table.updated, "already": table.already, "conflicts": table.conflicts,
        })
    });
    let changed = outcome.changed.iter().map(|row| {
        serde_json::json!({
            "table": row.table, "row": row.row, "reason": row.reason,
            "restored": row.restored, "now": row.now,
        })
    });
    serde_json::json!({
        "message_type": "summary",
        "target": shown(&outcome.target),
        "before": snapshot(&outcome.before, None),
        "after": snapshot(&outcome.after, None),
        "dry_run": outcome.dry_run,
        "written": !outcome.dry_run && !outcome.is_stopped() && !outcome.is_idle(),
        "tables": tables.collect::<Vec<_>>(),
        "dropped": outcome.dropped,
        "made_again": outcome.made_again,
        "made_again": outcome.made_again,
        "kept": outcome.kept,
        "not_undone": outcome.staying(),
        "changed": changed.collect::<Vec<_>>(),
        "safety_snapshot": outcome.safety_snapshot.as_ref().map(|s| snapshot(s, None)),
        "after_snapshot": outcome.after_snapshot.as_ref().map(|s| snapshot(s, None)),
        "elapsed_ms": outcome.elapsed_ms,
    })
}

fn entity(entity: &Entity) -> Document {
    serde_json::json!({
        "entity": entity.entity,
        "file": entity.file,
        "records": entity.records,
        "bytes": entity.bytes,
        "root": entity.root.map(|root| root.id.to_string()),
        "level": entity.root.map(|root| root.level),
        "import_order": entity.import_order,
        "dependencies": entity.dependencies,
        "changes": changes(entity.changes),
    })
}

fn pages(pages: &Entity) -> Document {
    serde_json::json!({
        "pages": pages.records,
        "bytes": pages.bytes,
        "root": pages.root.map(|root| root.id.to_string()),
        "level": pages.root.map(|root| root.level),
    })
}

/// A snapshot's manifest; with its blobs if they were asked for.
pub fn show(manifest: &Manifest, blobs: Option<&[BlobLine]>) -> Document {
    let foreign_keys = manifest.foreign_keys.iter().map(|key| {
        serde_json::json!({
            "table": key.table, "parent": key.parent, "missing": key.violations,
            "unchecked": key.unchecked,
        })
    });
    let blob = |line: &BlobLine| {
        serde_json::json!({
            "kind": line.kind, "id": line.id, "entity": line.entity, "pack": line.pack,
            "plain_bytes": line.plain_bytes, "stored_bytes": line.stored_bytes, "new": line.new,
        })
    };
    let mut document = serde_json::json!({
        "id": manifest.id,
        "original": manifest.original,
        "name": manifest.name,
        "time": manifest.time,
        "host": manifest.host,
        "source": {
            "path": manifest.source.path, "name": manifest.source.name,
            "bytes": manifest.source.bytes,
        },
        "tags": manifest.tags,
        "parent": manifest.parent,
        "restore": manifest.restore,
        "schema": manifest.schema,
        "records": manifest.records(),
        "new_bytes": manifest.new_bytes,
        "entities": manifest.entities.iter().map(entity).collect::<Vec<_>>(),
        "internal": manifest.internal.iter().map(entity).collect::<Vec<_>>(),
        "pages": manifest.pages.as_ref().map(pages),
        "damaged": manifest.damaged,
        "integrity": manifest.integrity.as_ref().map(|integrity| serde_json::json!({
            "check": integrity.check.name(), "complaints": integrity.complaints,
        })),
        "foreign_keys": foreign_keys.collect::<Vec<_>>(),
        "findings": manifest.findings,
    });
    if let Some(blobs) = blobs {
        document["blobs"] = blobs.iter().map(blob).collect();
    }
    document
}

/// A snapshot's entity files.
pub fn ls(manifest: &Manifest) -> Document {
    serde_json::json!({
        "id": manifest.id,
        "name": manifest.name,
        "entities": manifest.entities.iter().map(entity).collect::<Vec<_>>(),
    })
}

/// What an export wrote.
pub fn export(outcome: &ExportOutcome, manifest: &Manifest) -> Document {
    serde_json::json!({
        "message_type": "summary",
        "id": manifest.id,
        "name": manifest.name,
        "path": shown(&outcome.path),
        "files": outcome.files,
        "records": outcome.records,
        "bytes": outcome.bytes,
    })
}
