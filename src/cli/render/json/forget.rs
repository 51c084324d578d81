//! What is forgotten, taken back and pinned, for programs.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::Document;
use super::shown;
use super::snapshot;
use crate::ops::forget::ForgetOutcome;
use crate::ops::forget::GroupReport;
use crate::ops::forget::TakenBack;
use crate::ops::list::ForgottenOutcome;
use crate::ops::list::SnapshotLine;
use crate::ops::pin::PinOutcome;
use crate::progress::Finding;

/// The fields of a snapshot; its ids alone where its manifest cannot be read.
fn line(line: &SnapshotLine) -> Document {
    match &line.summary {
        Some(summary) => json!(snapshot(summary, None)),
        None => json!({ "id": line.id, "short_id": line.short_id }),
    }
}

fn lines<'a>(all: impl IntoIterator<Item = &'a SnapshotLine>) -> Vec<Document> {
    all.into_iter().map(line).collect()
}

fn group(group: &GroupReport) -> Document {
    let kept = group.snapshots.iter().filter(|s| !s.reasons.is_empty());
    let kept = kept.map(|s| json!({ "snapshot": line(&s.snapshot), "reasons": s.reasons }));
    let forgotten = group.snapshots.iter().filter(|s| s.reasons.is_empty());
    json!({
        "of_restores": group.key.of_restores,
        "source": group.key.source,
        "host": group.key.host,
        "tags": group.key.tags,
        "kept": kept.collect::<Vec<_>>(),
        "forgotten": lines(forgotten.map(|s| &s.snapshot)),
    })
}

/// What was forgotten, or would be.
pub fn forget(outcome: &ForgetOutcome, store: &Path) -> Document {
    json!({
        "message_type": "summary",
        "store": shown(store),
        "dry_run": outcome.dry_run,
        "groups": outcome.groups.iter().map(group).collect::<Vec<_>>(),
        "forgotten": lines(&outcome.forgotten),
        "already": lines(&outcome.already),
        "left": outcome.left,
    })
}

/// What was taken back, or would be.
pub fn taken_back(outcome: &TakenBack, store: &Path) -> Document {
    json!({
        "message_type": "summary",
        "store": shown(store),
        "dry_run": outcome.dry_run,
        "taken_back": lines(&outcome.snapshots),
        "already": lines(&outcome.already),
        "left": outcome.left,
    })
}

/// What was pinned, or is no more.
pub fn pin(outcome: &PinOutcome, store: &Path) -> Document {
    let snapshots = outcome.snapshots.iter();
    let snapshots = snapshots
        .map(|(snapshot, changed)| json!({ "snapshot": line(snapshot), "changed": changed }));
    json!({
        "message_type": "summary",
        "store": shown(store),
        "pinned": !outcome.removed,
        "snapshots": snapshots.collect::<Vec<_>>(),
        "left": outcome.left,
    })
}

#[derive(Debug, Serialize)]
struct ListedStore<'a> {
    store: String,
    findings: &'a [Finding],
}

/// The forgotten snapshots of one store or several.
#[derive(Debug, Serialize)]
pub struct ForgottenDocument<'a> {
    stores: Vec<ListedStore<'a>>,
    snapshots: Vec<Document>,
}

/// The forgotten snapshots of one store or several, each with where it is.
pub fn list<'a>(
    outcomes: impl IntoIterator<Item = (&'a Path, &'a ForgottenOutcome)>,
) -> ForgottenDocument<'a> {
    let (mut stores, mut snapshots) = (Vec::new(), Vec::new());
    for (store, outcome) in outcomes {
        stores.push(ListedStore {
            store: shown(store),
            findings: &outcome.findings,
        });
        for forgotten in &outcome.snapshots {
            let mut document = line(&forgotten.snapshot);
            document["store"] = json!(shown(store));
            document["forgotten_at"] = json!(forgotten.forgotten_at);
            document["safe_until"] = json!(forgotten.safe_until);
            snapshots.push(document);
        }
    }
    ForgottenDocument { stores, snapshots }
}
