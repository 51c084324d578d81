//! The summary of a validation, for programs: docs/scripting.md.

use std::path::Path;

use super::Document;
use super::shown;
use super::snapshot;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::ops::validate::Audited;
use crate::ops::validate::Damage;
use crate::ops::validate::Level;
use crate::ops::validate::SnapshotCheck;
use crate::ops::validate::ValidateOutcome;
use crate::ops::validate::drill::Drilled;
use crate::ops::validate::drill::Receipt;

/// The summary of a validation.
pub fn validate(outcome: &ValidateOutcome, store: &Path) -> Document {
    let level = match outcome.level {
        Level::Quick => "quick",
        Level::Subset(_) => "subset",
        Level::All => "all",
    };
    serde_json::json!({
        "message_type": "summary",
        "store": shown(store),
        "good": exit::of_validate(outcome) != Code::Damaged,
        "level": level,
        "quick": outcome.level == Level::Quick,
        "packs": outcome.packs,
        "packs_good": outcome.packs_good,
        "packs_with_parity": outcome.packs_with_parity,
        "packs_with_second_copy": outcome.packs_with_second,
        "pack_bytes": outcome.pack_bytes,
        "read": {
            "packs": outcome.packs_read.packs,
            "bytes": outcome.packs_read.bytes,
            "oldest": outcome.packs_read.oldest,
        },
        "blobs": outcome.blobs,
        "snapshots": outcome.snapshots.iter().map(checked).collect::<Vec<_>>(),
        "damage": outcome.damage.iter().map(damage).collect::<Vec<_>>(),
        "receipt": outcome.drill.as_ref().map(receipt),
        "elapsed_ms": outcome.elapsed_ms,
    })
}

fn checked(check: &SnapshotCheck) -> Document {
    let references = check.references.iter().map(|(child, parent, missing)| {
        serde_json::json!({ "table": child, "parent": parent, "missing": missing })
    });
    let entities = check.entities.iter().map(|entity| {
        serde_json::json!({
            "entity": entity.entity, "file": entity.file, "records": entity.records,
            "bytes": entity.bytes, "good": entity.good,
        })
    });
    serde_json::json!({
        "snapshot": snapshot(&check.snapshot, None),
        "good": check.good,
        "entities": entities.collect::<Vec<_>>(),
        "references": references.collect::<Vec<_>>(),
        "audit": check.audited.as_ref().map(audit),
    })
}

fn audit(audited: &Audited) -> Document {
    let broken = audited.broken.iter().map(|broken| {
        serde_json::json!({
            "table": broken.table, "constraint": broken.constraint, "found": broken.found,
            "recorded": broken.recorded,
        })
    });
    let not_audited = audited.not_audited.iter().map(|skipped| {
        serde_json::json!({
            "table": Some(&skipped.table).filter(|table| !table.is_empty()),
            "constraint": skipped.constraint, "reason": skipped.reason,
        })
    });
    serde_json::json!({
        "constraints": audited.constraints,
        "broken": broken.collect::<Vec<_>>(),
        "not_audited": not_audited.collect::<Vec<_>>(),
    })
}

/// Damage, and what hangs on it.
pub(super) fn damage(damage: &Damage) -> Document {
    let affects = damage.affects.iter().map(|affected| {
        serde_json::json!({
            "entity": Some(&affected.entity).filter(|name| !name.is_empty()),
            "records": Some(affected.records).filter(|n| *n > 0),
            "range": affected.range,
            "snapshots": affected.snapshots,
        })
    });
    serde_json::json!({
        "object": damage.object,
        "blob": damage.blob.as_ref().map(|(_, id)| id),
        "blob_kind": damage.blob.as_ref().map(|(kind, _)| kind),
        "cause": damage.cause,
        "affects": affects.collect::<Vec<_>>(),
    })
}

/// A document that can be kept.
fn receipt(receipt: &Receipt) -> Document {
    let drilled = |drilled: &Drilled| {
        serde_json::json!({
            "id": drilled.id,
            "name": drilled.name,
            "manifest_digest": drilled.manifest_digest,
            "restored": drilled.failure.is_none(),
            "failure": drilled.failure,
            "tables": drilled.entities,
            "records": drilled.records,
            "bytes": drilled.bytes,
            "checked": drilled.checked,
            "findings": drilled.findings,
            "elapsed_ms": drilled.elapsed_ms,
        })
    };
    serde_json::json!({
        "store_id": receipt.store_id,
        "time": receipt.time,
        "host": receipt.host,
        "larder": receipt.larder,
        "sqlite": receipt.sqlite,
        "snapshots": receipt.snapshots.iter().map(drilled).collect::<Vec<_>>(),
    })
}
