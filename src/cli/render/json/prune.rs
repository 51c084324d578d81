//! What a prune did, for programs.

use std::path::Path;

use super::{Document, shown};
use crate::ops::prune::Packs;
use crate::ops::prune::PruneOutcome;

/// One document.
pub fn prune(outcome: &PruneOutcome, store: &Path) -> Document {
    let packs = |packs: Packs| serde_json::json!({"count": packs.packs, "bytes": packs.bytes});
    let waiting: Vec<Document> = outcome
        .waiting_snapshots
        .iter()
        .map(|w| serde_json::json!({"id": w.id, "until": w.until}))
        .collect();
    serde_json::json!({
        "message_type": "summary",
        "store": shown(store),
        "dry_run": outcome.dry_run,
        "deleted_snapshots": outcome.deleted_snapshots,
        "waiting_snapshots": waiting,
        "snapshots": outcome.snapshots,
        "resolved": outcome.resolved,
        "damaged": outcome.damaged,
        "fenced": outcome.fenced,
        "packs": {
            "before": packs(outcome.packs_before),
            "dead": packs(outcome.dead),
            "repacked": packs(outcome.repacked),
            "new": packs(outcome.new),
            "deleted": packs(outcome.deleted),
            "unused_bytes": outcome.unused_bytes,
            "frees_bytes": outcome.frees,
        },
        "orphans": {"count": outcome.orphans.objects, "bytes": outcome.orphans.bytes},
        "store_bytes_before": outcome.store_bytes.0,
        "store_bytes": outcome.store_bytes.1,
        "elapsed_ms": outcome.elapsed_ms,
    })
}
