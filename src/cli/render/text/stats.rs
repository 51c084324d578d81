//! What uses the space of a store: of all of it, or of one snapshot.

mod parts;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use super::validate::short_ids;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::stats::OneSnapshot;
use crate::ops::stats::SnapshotFigures;
use crate::ops::stats::StatsDamage;
use crate::ops::stats::StatsOutcome;

/// Snapshots that are listed without `-v`.
const LISTED_MAX: usize = 50;
/// Snapshots that a damaged blob affects and that are named without `-v`.
const NAMED_MAX: usize = 3;

/// The whole report.
pub fn stats(outcome: &StatsOutcome, store: &Path, look: &Look) -> String {
    let mut parts = match &outcome.one {
        Some(one) => vec![parts::facts_of_snapshot(one, look), uses_of_snapshot(one)],
        None => vec![
            parts::objects(outcome),
            parts::blobs(outcome),
            parts::uses(outcome),
            parts::ratios(outcome),
            parts::chains(outcome),
            snapshots(outcome, store, look),
        ],
    };
    if let Some(tables) = &outcome.tables {
        parts.push(parts::tables(tables, outcome.one.is_none(), look.verbose));
    }
    if !outcome.damage.is_empty() {
        parts.push(damage(outcome, store, look));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// What one snapshot reaches and needs, alone or with others.
fn uses_of_snapshot(one: &OneSnapshot) -> String {
    let uses = &one.uses;
    let mut rows = vec![
        ["NEEDS", "BLOBS", "CANONICAL", "STORED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, figures) in [
        ("reached by its trees", uses.reached),
        ("bases of its deltas besides", uses.bases),
        ("of both, needed by it alone", uses.alone),
        ("of both, needed by others too", uses.shared),
    ] {
        rows.push(parts::figures_row(name, figures));
    }
    super::columns("", &parts::NAME_AND_NUMBERS[..4], &rows)
}

/// Newest first: what each holds, needs alone, and added when it was made.
fn snapshots(outcome: &StatsOutcome, store: &Path, look: &Look) -> String {
    if outcome.snapshots.is_empty() {
        return String::new();
    }
    let limit = if look.verbose { usize::MAX } else { LISTED_MAX };
    let head = ["SNAPSHOT", "DATE", "RECORDS", "HOLDS", "ALONE", "NEW"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let row = |figures: &SnapshotFigures| {
        let snapshot = &figures.snapshot;
        vec![
            escape::shown(&snapshot.name).into_owned(),
            figures::local_time(&snapshot.time, &look.zone),
            figures::count(snapshot.records),
            figures::bytes(figures.held_bytes),
            figures::bytes(figures.alone.stored_bytes),
            figures::bytes(snapshot.new_bytes),
        ]
    };
    rows.extend(outcome.snapshots.iter().take(limit).map(row));
    let sides = [
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Right,
        Side::Right,
    ];
    let mut out = super::columns("", &sides, &rows);
    let all = outcome.snapshots.len();
    if all > limit {
        let command = look.command(store, &[OsStr::new("stats"), OsStr::new("-v")]);
        let _ = writeln!(
            out,
            "the newest {limit} of {}; all of them: {command}",
            figures::counted(all as u64, "snapshot")
        );
    }
    out
}

/// What is damaged, and what now.
fn damage(outcome: &StatsOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    for damage in &outcome.damage {
        out.push_str(&damage_lines(damage, look));
    }
    let is_blob = |damage: &&StatsDamage| {
        !damage.object.starts_with("pack ") && !damage.object.starts_with("snapshot ")
    };
    let named = outcome.damage.iter().filter(is_blob).count() as u64;
    let unnamed = outcome.damaged_blobs.saturating_sub(named);
    if unnamed > 0 {
        let _ = writeln!(
            out,
            "and {}",
            figures::counted(unnamed, "further damaged blob")
        );
    }
    out.push_str(
        "What lies below damage is not known: it counts as garbage here, and may be needed.\n",
    );
    let command = look.command(store, &[OsStr::new("validate")]);
    let _ = writeln!(out, "Read all of it with: {command}");
    out
}

fn damage_lines(damage: &StatsDamage, look: &Look) -> String {
    let shown = |text: &str| {
        if look.verbose {
            escape::shown(text).into_owned()
        } else {
            short_ids(&escape::shown(text))
        }
    };
    let mut out = format!(
        "damaged: {} ({})\n",
        shown(&damage.object),
        shown(&damage.cause)
    );
    for (table, snapshots) in &damage.affects {
        let table = table.as_deref().map_or("all".into(), escape::shown);
        let named = if look.verbose { usize::MAX } else { NAMED_MAX };
        let mut ids: Vec<&str> = snapshots.iter().take(named).map(String::as_str).collect();
        if snapshots.len() > named {
            ids.push("…");
        }
        let (count, ids) = (snapshots.len() as u64, ids.join(", "));
        let count = figures::counted(count, "snapshot");
        let _ = writeln!(out, "  affects {table} of {count}: {}", escape::shown(&ids));
    }
    out
}
