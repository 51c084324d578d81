//! What a copy into another store did, as JSON.

use super::Document;
use super::snapshot;
use crate::cli::render::text::copy::CopyView;
use crate::ops::copy::CopyOutcome;

/// The summary of a copy.
pub fn copy(outcome: &CopyOutcome, view: &CopyView<'_>) -> Document {
    let copied = outcome.copied.iter().map(|copied| {
        serde_json::json!({
            "snapshot": snapshot(&copied.snapshot, None),
            "from": copied.from,
            "renamed": copied.renamed,
        })
    });
    let present = outcome
        .present
        .iter()
        .map(|present| serde_json::json!({ "from": present.from, "id": present.id }));
    let not_copied = outcome.not_copied.iter().map(|lost| {
        serde_json::json!({
            "id": lost.id, "short_id": lost.short_id, "name": lost.name, "table": lost.table,
            "object": lost.object, "cause": lost.cause,
        })
    });
    serde_json::json!({
        "message_type": "summary",
        "from": super::shown(view.from),
        "store": super::shown(view.to),
        "store_created": view.created,
        "copied": copied.collect::<Vec<_>>(),
        "present": present.collect::<Vec<_>>(),
        "not_copied": not_copied.collect::<Vec<_>>(),
        "uncommitted": outcome.uncommitted,
        "stopped": outcome.stopped,
        "blobs_read": outcome.blobs_read,
        "stored_bytes": outcome.stored_bytes,
        "store_bytes": outcome.store_bytes,
        "store_snapshots": outcome.store_snapshots,
        "elapsed_ms": outcome.elapsed_ms,
    })
}
