//! What uses the space of a store, for programs.

use std::path::Path;

use super::{Document, shown, snapshot};
use crate::cli::render::figures::thousandths;
use crate::ops::stats::Figures;
use crate::ops::stats::SnapshotFigures;
use crate::ops::stats::StatsDamage;
use crate::ops::stats::StatsOutcome;
use crate::ops::stats::TableFigures;
use crate::ops::stats::TableSort;

/// The figures of a store: one document, with the snapshot that was asked for.
pub fn stats(outcome: &StatsOutcome, store: &Path) -> Document {
    let (packs, objects) = (&outcome.packs, &outcome.objects);
    let object = |(count, bytes): (u64, u64)| serde_json::json!({"count": count, "bytes": bytes});
    let r = &outcome.ratios;
    let one = outcome.one.as_ref().map(|one| {
        let mut document = held(&one.figures);
        document["reached"] = figures(one.uses.reached);
        document["bases"] = figures(one.uses.bases);
        document["shared"] = figures(one.uses.shared);
        document
    });
    let tables = outcome.tables.as_ref();
    serde_json::json!({
        "store": shown(store),
        "store_bytes": r.store_bytes,
        "redundancy_bytes": r.redundancy_bytes,
        "objects": {
            "packs": object((packs.packs, packs.bytes)),
            "manifests": object(objects.manifests),
            "protocol": object(objects.protocol),
            "parity": object(objects.parity),
            "second_copies": object(objects.seconds),
            "other": object(objects.other),
        },
        "packs": {
            "overhead_bytes": packs.overhead_bytes,
            "unreadable": packs.unreadable,
            "unreadable_bytes": packs.unreadable_bytes,
            "garbage": packs.garbage,
            "garbage_bytes": packs.garbage_bytes,
        },
        "blobs": blobs(outcome),
        "uses": {
            "reached": figures(outcome.uses.reached),
            "bases": figures(outcome.uses.bases),
            "duplicates": figures(outcome.uses.duplicates),
            "garbage": figures(outcome.uses.garbage),
        },
        "ratios": {
            "deduplication": ratio(r.held_bytes, r.distinct_bytes),
            "compression": ratio(r.distinct_bytes, r.distinct_stored_bytes),
            "together": ratio(r.source_bytes, r.store_bytes.saturating_sub(r.redundancy_bytes)),
            "held_bytes": r.held_bytes,
            "distinct_bytes": r.distinct_bytes,
            "distinct_stored_bytes": r.distinct_stored_bytes,
            "source_bytes": r.source_bytes,
        },
        "deltas": deltas(outcome),
        "snapshots": outcome.snapshots.iter().map(held).collect::<Vec<_>>(),
        "snapshot": one,
        "tables": tables.map(|tables| tables.iter().map(|t| table(t, tables)).collect::<Vec<_>>()),
        "damaged_blobs": outcome.damaged_blobs,
        "damage": outcome.damage.iter().map(damage).collect::<Vec<_>>(),
        "elapsed_ms": outcome.elapsed_ms,
    })
}

fn figures(figures: Figures) -> Document {
    serde_json::json!({
        "blobs": figures.blobs,
        "canonical_bytes": figures.canonical_bytes,
        "stored_bytes": figures.stored_bytes,
    })
}

/// A number with at most 3 decimals; null where there is nothing to divide by.
fn ratio(a: u64, b: u64) -> Option<f64> {
    let thousandths = u32::try_from(thousandths(a, b)?).unwrap_or(u32::MAX);
    Some(f64::from(thousandths) / 1000.0)
}

fn blobs(outcome: &StatsOutcome) -> Vec<Document> {
    let kind = |kind: &crate::ops::stats::KindFigures| {
        let mut document = figures(kind.figures);
        document["kind"] = kind.kind.name().into();
        document["encoding"] = if kind.delta { "delta" } else { "whole" }.into();
        document
    };
    outcome.kinds.iter().map(kind).collect()
}

fn deltas(outcome: &StatsOutcome) -> Document {
    let chains = &outcome.chains;
    serde_json::json!({
        "bases": chains.bases,
        "versions": chains.versions,
        "versions_average": ratio(chains.versions, chains.bases),
        "versions_max": chains.versions_max,
        "depth_max": chains.depth_max,
        "newest_depth_average": ratio(chains.newest_depths, chains.newest_blobs),
    })
}

fn held(of: &SnapshotFigures) -> Document {
    serde_json::json!({
        "snapshot": snapshot(&of.snapshot, None),
        "source_bytes": of.source_bytes,
        "held_bytes": of.held_bytes,
        "alone": figures(of.alone),
    })
}

fn table(table: &TableFigures, all: &[TableFigures]) -> Document {
    let stored = |table: &TableFigures| table.all().stored_bytes;
    let percent = ratio(
        stored(table).saturating_mul(100),
        all.iter().map(stored).sum(),
    );
    let sort = match table.sort {
        TableSort::Entity => "entity",
        TableSort::Internal => "internal",
        TableSort::Schema => "schema",
        TableSort::Pages => "pages",
    };
    serde_json::json!({
        "table": table.name,
        "sort": sort,
        "snapshots": table.snapshots,
        "records": table.records,
        "percent": percent,
        "all": figures(table.all()),
        "leaves": figures(table.leaves),
        "leaf_deltas": figures(table.leaf_deltas),
        "nodes": figures(table.nodes),
        "chunks": figures(table.chunks),
        "schemas": figures(table.schemas),
    })
}

fn damage(damage: &StatsDamage) -> Document {
    let affects = damage
        .affects
        .iter()
        .map(|(table, snapshots)| serde_json::json!({ "entity": table, "snapshots": snapshots }));
    serde_json::json!({
        "object": damage.object,
        "cause": damage.cause,
        "affects": affects.collect::<Vec<_>>(),
    })
}
