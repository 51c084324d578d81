//! What a repair did, or would do.

use std::fmt::Write as _;
use std::path::Path;

use super::validate::damage_lines;
use super::validate::short_ids;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::repair::DamagedPack;
use crate::ops::repair::RepairOutcome;
use crate::ops::repair::Way;
use crate::ops::repair::WholeBy;

/// The whole report.
pub fn repair(outcome: &RepairOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let place = escape::path(store);
    let read = figures::counted(outcome.packs, "pack");
    if outcome.is_clean() {
        let time = figures::seconds(outcome.elapsed_ms);
        let _ = writeln!(out, "Nothing to repair in {place}: {read} read in {time}.");
        return out;
    }
    let _ = writeln!(
        out,
        "  packs      {read} read, {} damaged",
        figures::count(outcome.damaged.len() as u64)
    );
    for pack in &outcome.damaged {
        out.push_str(&damaged(pack, outcome, look));
    }
    out.push_str(&small(outcome, look));
    out.push_str(&healed(outcome));
    out.push_str(&lost_only(outcome, look));
    out.push_str(&verdict(outcome, &place));
    out
}

fn shown(text: &str, look: &Look) -> String {
    match look.verbose {
        true => escape::shown(text).into_owned(),
        false => short_ids(&escape::shown(text)),
    }
}

fn damaged(pack: &DamagedPack, outcome: &RepairOutcome, look: &Look) -> String {
    let whole_by = match pack.whole_by {
        Some(WholeBy::Parity) => "its parity makes it whole",
        Some(WholeBy::SecondCopy) => "its second copy is whole",
        Some(WholeBy::Itself) => "it can be read again",
        None => "neither parity nor a second copy makes it whole",
    };
    let fate = match (pack.removed, outcome.dry_run) {
        (true, false) => "removed",
        (true, true) => "would be removed",
        (false, _) => "kept",
    };
    format!(
        "    {} of {}: {}; {whole_by}; {fate}\n",
        shown(&pack.object, look),
        figures::bytes(pack.bytes),
        escape::shown(&pack.cause)
    )
}

/// Small objects and snapshots.
fn small(outcome: &RepairOutcome, look: &Look) -> String {
    let mut out = String::new();
    for record in &outcome.records {
        let done = record
            .done
            .unwrap_or("left as it is, for it cannot be told what it said");
        let _ = writeln!(
            out,
            "  {}: {}: {done}",
            shown(&record.object, look),
            escape::shown(&record.cause)
        );
    }
    for snapshot in &outcome.snapshots {
        let stands = match &snapshot.new_id {
            Some(id) => format!("stands again as {}", shown(id, look)),
            None => "would stand again".to_owned(),
        };
        let _ = writeln!(
            out,
            "  snapshot {} ({}): its manifest is damaged; it {stands}, from {}",
            shown(&snapshot.id, look),
            escape::shown(&snapshot.name),
            escape::shown(&snapshot.from)
        );
    }
    for object in &outcome.redundancy {
        let made = if outcome.dry_run {
            "would be made anew"
        } else {
            "made anew"
        };
        let _ = writeln!(out, "  {}: damaged; {made}", shown(object, look));
    }
    out
}

fn healed(outcome: &RepairOutcome) -> String {
    let mut out = String::new();
    for (way, blobs) in &outcome.healed {
        let from = match way {
            Way::Copy => "good copies".to_owned(),
            Way::Parity => makers_of(outcome).to_owned(),
            Way::Store(place) => format!("store {}", escape::shown(place)),
            Way::Source(path) => format!("database {}", escape::shown(path)),
        };
        let _ = writeln!(
            out,
            "  {}     {} of {} from {from}",
            if outcome.dry_run {
                "to heal"
            } else {
                "healed "
            },
            figures::counted(blobs.blobs, "blob"),
            figures::bytes(blobs.bytes)
        );
    }
    out
}

/// What made packs whole: parity, or second copies. A pack that is gone has but the latter.
fn makers_of(outcome: &RepairOutcome) -> &'static str {
    let has = |by| outcome.damaged.iter().any(|pack| pack.whole_by == Some(by));
    match (has(WholeBy::Parity), has(WholeBy::SecondCopy)) {
        (true, true) => "parity and second copies",
        (true, false) => "parity",
        (false, _) => "second copies",
    }
}

/// What is lost alone, for `--quiet`.
pub fn lost_only(outcome: &RepairOutcome, look: &Look) -> String {
    let lines = outcome.lost.iter().map(|damage| {
        let lines = damage_lines(damage, look.verbose);
        lines.replacen("damaged: ", "lost: ", 1)
    });
    lines.collect()
}

fn verdict(outcome: &RepairOutcome, place: &str) -> String {
    let time = figures::seconds(outcome.elapsed_ms);
    let healed = figures::counted(outcome.healed_in_all().blobs, "blob");
    let lost = outcome.lost.len() as u64;
    match (outcome.dry_run, outcome.is_lost()) {
        (true, false) => {
            format!("Nothing was written (dry run): all of it can be healed, {healed}.\n")
        }
        (true, true) => format!(
            "Nothing was written (dry run): {healed} can be healed, {} lost.\n",
            figures::counted(lost, "place")
        ),
        (false, false) => {
            format!("Repaired {place} in {time}: {healed} healed, nothing is lost.\n")
        }
        (false, true) => format!(
            "Repaired {place} in {time}: {healed} healed, {} lost. What is left of it is kept; \
             a store that has it (--from) or its database (--source) heals it yet.\n",
            figures::counted(lost, "place")
        ),
    }
}
