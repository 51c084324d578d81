//! What a repair did, for programs.

use std::path::Path;

use super::Document;
use super::shown;
use super::validate::damage;
use crate::ops::repair::Blobs;
use crate::ops::repair::RepairOutcome;
use crate::ops::repair::Way;

/// One document.
pub fn repair(outcome: &RepairOutcome, store: &Path) -> Document {
    let damaged = outcome.damaged.iter().map(|pack| {
        serde_json::json!({
            "object": pack.object, "bytes": pack.bytes, "cause": pack.cause,
            "rebuildable": pack.whole_by.is_some(), "marked": pack.marked, "removed": pack.removed,
        })
    });
    let healed = outcome.healed.iter().map(|(way, Blobs { blobs, bytes })| {
        let (way, from) = words(way);
        serde_json::json!({ "way": way, "from": from, "blobs": blobs, "bytes": bytes })
    });
    let snapshots = outcome.snapshots.iter().map(|snapshot| {
        serde_json::json!({
            "id": snapshot.id, "name": snapshot.name, "new_id": snapshot.new_id,
            "from": snapshot.from,
        })
    });
    let records = outcome.records.iter().map(|record| {
        serde_json::json!({
            "object": record.object, "cause": record.cause, "done": record.done,
        })
    });
    serde_json::json!({
        "message_type": "summary",
        "store": shown(store),
        "dry_run": outcome.dry_run,
        "clean": outcome.is_clean(),
        "packs": outcome.packs,
        "damaged": damaged.collect::<Vec<_>>(),
        "healed": healed.collect::<Vec<_>>(),
        "snapshots": snapshots.collect::<Vec<_>>(),
        "records": records.collect::<Vec<_>>(),
        "redundancy": outcome.redundancy,
        "new_packs": { "count": outcome.new_packs.0, "bytes": outcome.new_packs.1 },
        "removed": { "count": outcome.removed.0, "bytes": outcome.removed.1 },
        "fenced": outcome.fenced,
        "lost": outcome.lost.iter().map(damage).collect::<Vec<_>>(),
        "elapsed_ms": outcome.elapsed_ms,
    })
}

/// A way, and what it leads to.
fn words(way: &Way) -> (&'static str, Option<&str>) {
    match way {
        Way::Copy => ("copy", None),
        Way::Parity => ("parity", None),
        Way::Store(place) => ("store", Some(place)),
        Way::Source(path) => ("source", Some(path)),
    }
}
