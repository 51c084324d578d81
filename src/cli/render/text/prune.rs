//! What a prune did, or would do.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::prune::PruneOutcome;
use crate::ops::prune::Waiting;

/// The whole report.
pub fn prune(outcome: &PruneOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let _ = write!(out, "{}", snapshots(outcome, store, look));
    let _ = write!(out, "{}", packs(outcome));
    if outcome.resolved > 0 {
        let _ = writeln!(
            out,
            "  ended what {} cut off before",
            figures::counted(outcome.resolved, "prune")
        );
    }
    for id in &outcome.fenced {
        let _ = writeln!(
            out,
            "  the backup of snapshot {} was cut off; it can never be completed",
            short(id, look)
        );
    }
    let place = escape::path(store);
    let (before, after) = outcome.store_bytes;
    if outcome.dry_run {
        let _ = writeln!(
            out,
            "Nothing was deleted (dry run): about {} of {} would be freed.",
            figures::bytes(outcome.frees),
            figures::bytes(before)
        );
    } else {
        let _ = writeln!(
            out,
            "Pruned {place} in {}: {}.",
            figures::seconds(outcome.elapsed_ms),
            change(before, after)
        );
    }
    out
}

/// The short form of a snapshot's id.
fn short<'a>(id: &'a str, look: &Look) -> &'a str {
    match look.verbose {
        true => id,
        false => id.get(..21).unwrap_or(id),
    }
}

fn change(before: u64, after: u64) -> String {
    if before == after {
        return format!("nothing to free, it has {}", figures::bytes(after));
    }
    let (verb, by) = match before.checked_sub(after) {
        Some(freed) => ("freed", freed),
        None => ("grew by", after - before),
    };
    format!(
        "{verb} {}, it has {} now",
        figures::bytes(by),
        figures::bytes(after)
    )
}

fn snapshots(outcome: &PruneOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "  snapshots  {} kept, {} deleted",
        outcome.snapshots - outcome.waiting_snapshots.len() as u64,
        outcome.deleted_snapshots.len()
    );
    let waiting = &outcome.waiting_snapshots;
    if waiting.is_empty() {
        out.push('\n');
        return out;
    }
    let _ = writeln!(out, ", {} forgotten", waiting.len());
    for Waiting { id, until } in waiting {
        let until = match until {
            Some(until) => format!("stays until {}", figures::local_time(until, &look.zone)),
            None => "is pinned".to_owned(),
        };
        let _ = writeln!(out, "    {} {until}", short(id, look));
    }
    let words = |words: &[&str]| {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        look.command(store, &words)
    };
    let _ = writeln!(
        out,
        "    take one back with: {}\n    delete them now with: {}",
        words(&["forget", "--undo", &waiting[0].id]),
        words(&["prune", "--grace", "0"])
    );
    out
}

fn packs(outcome: &PruneOutcome) -> String {
    let shown = |packs: crate::ops::prune::Packs| {
        format!(
            "{} of {}",
            figures::counted(packs.packs, "pack"),
            figures::bytes(packs.bytes)
        )
    };
    let mut out = String::new();
    let dead = match outcome.dead.packs {
        0 => "something in each is needed".to_owned(),
        _ => format!("nothing in {} is needed", shown(outcome.dead)),
    };
    let _ = match outcome.packs_before.packs {
        0 => writeln!(out, "  packs      none"),
        _ => writeln!(out, "  packs      {}: {dead}", shown(outcome.packs_before)),
    };
    if outcome.repacked.packs > 0 && outcome.dry_run {
        let _ = writeln!(
            out,
            "             {} would be copied into new ones",
            shown(outcome.repacked)
        );
    } else if outcome.repacked.packs > 0 {
        let _ = writeln!(
            out,
            "             {} copied into {}",
            shown(outcome.repacked),
            shown(outcome.new)
        );
    }
    if outcome.orphans.objects > 0 {
        let _ = writeln!(
            out,
            "             parity and second copies of what was gone already: {} of {} {}",
            figures::counted(outcome.orphans.objects, "object"),
            figures::bytes(outcome.orphans.bytes),
            match outcome.dry_run {
                true => "would be deleted",
                false => "deleted",
            }
        );
    }
    if outcome.unused_bytes > 0 {
        let _ = writeln!(
            out,
            "             {} that nothing needs stay for now, beside what is needed",
            figures::bytes(outcome.unused_bytes)
        );
    }
    out
}
