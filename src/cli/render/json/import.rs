//! Exports that are read, for programs: taken into a store, listed, validated.

use super::Document;
use crate::cli::render::text::backup::BackupView;
use crate::ops::backup::BackupOutcome;
use crate::ops::import::ExportCheck;
use crate::ops::import::ExportSummary;
use crate::ops::import::FileDamage;
use crate::ops::import::FileDamageKind;

/// The summary of an import: that of a backup, where it makes sense.
pub fn import(outcome: &BackupOutcome, view: &BackupView<'_>) -> Document {
    let entities = outcome.entities.iter().map(|entity| {
        serde_json::json!({
            "entity": entity.entity, "file": entity.file, "records": entity.records,
            "changes": super::changes(entity.changes),
        })
    });
    serde_json::json!({
        "message_type": "summary",
        "export": super::shown(view.database),
        "snapshot": super::snapshot(&outcome.snapshot, None),
        "store": super::shown(view.store),
        "store_created": view.store_created,
        "parent": outcome.parent,
        "entities": entities.collect::<Vec<_>>(),
        "dropped": outcome.dropped,
        "source_bytes": outcome.source_bytes,
        "stored_bytes": outcome.stored_bytes,
        "store_bytes": outcome.store_bytes,
        "store_snapshots": outcome.store_snapshots,
        "elapsed_ms": outcome.elapsed_ms,
    })
}

fn export(summary: &ExportSummary) -> Document {
    serde_json::json!({
        "export": super::shown(&summary.path),
        "name": summary.name,
        "time": summary.time,
        "export_date": summary.export_date,
        "source": summary.source,
        "files": summary.files,
        "records": summary.records,
        "has_schema": summary.has_schema,
    })
}

/// An export in the place of a store: no snapshots, and what its manifest says.
pub fn list(summary: &ExportSummary) -> Document {
    serde_json::json!({ "stores": [], "snapshots": [], "exports": [export(summary)] })
}

/// The summary of the validation of an export.
pub fn validate(check: &ExportCheck) -> Document {
    let files = check.files.iter().map(|file| {
        serde_json::json!({
            "file": file.file, "entity": file.entity, "records": file.records,
            "bytes": file.bytes, "good": file.good,
        })
    });
    serde_json::json!({
        "message_type": "summary",
        "export": export(&check.export),
        "good": check.damage.is_empty(),
        "files": files.collect::<Vec<_>>(),
        "damage": check.damage.iter().map(damage).collect::<Vec<_>>(),
        "elapsed_ms": check.elapsed_ms,
    })
}

fn damage(damage: &FileDamage) -> Document {
    let (kind, recorded, found) = match &damage.cause {
        FileDamageKind::Missing => ("missing", None, None),
        FileDamageKind::Changed { found, recorded } => (
            "changed",
            Some(recorded.clone().into()),
            Some(found.clone().into()),
        ),
        FileDamageKind::Count { found, recorded } => (
            "count",
            Some(Document::from(*recorded)),
            Some(Document::from(*found)),
        ),
        FileDamageKind::Unreadable { .. } => ("unreadable", None, None),
    };
    serde_json::json!({
        "file": damage.file,
        "entity": damage.entity,
        "kind": kind,
        "cause": damage.cause.to_string(),
        "recorded": recorded,
        "found": found,
    })
}
