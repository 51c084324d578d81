//! What a restore says: its plan, or what it did and how to go back.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::restore::Mode;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::TableReport;

/// The word of a mode on the command line.
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Add => "add",
        Mode::Augment => "augment",
        Mode::Replace => "replace",
    }
}

/// The whole report.
pub fn restore(outcome: &RestoreOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let is_plan = outcome.dry_run || !outcome.conflicts.is_empty();
    if is_plan {
        out.push_str(&plan_heading(outcome, look));
    }
    if !outcome.new_file || look.verbose {
        out.push_str(&tables(&outcome.tables, look.verbose));
    }
    if is_plan && !outcome.new_file {
        out.push_str(&plan_facts(outcome));
    }
    out.push_str(&conflicts(outcome));
    if !outcome.conflicts.is_empty() {
        let all: u64 = outcome.tables.iter().map(|table| table.conflicts).sum();
        let all = all.max(outcome.conflicts.len() as u64);
        let _ = writeln!(
            out,
            "Nothing was written: {}.",
            figures::counted(all, "conflict")
        );
    } else if outcome.dry_run {
        out.push_str("Nothing was written (dry run).\n");
    } else {
        out.push_str(&done(outcome, store, look));
    }
    out
}

fn sum(outcome: &RestoreOutcome, of: impl Fn(&TableReport) -> u64) -> u64 {
    outcome.tables.iter().map(of).sum()
}

fn snapshot_words(outcome: &RestoreOutcome, look: &Look) -> String {
    format!(
        "{} (snapshot {}, {})",
        escape::shown(&outcome.snapshot.name),
        escape::shown(&outcome.snapshot.short_id),
        figures::local_time(&outcome.snapshot.time, &look.zone)
    )
}

/// `Plan: add records of … to app.db (2.6 MiB, in use by others: yes)`
fn plan_heading(outcome: &RestoreOutcome, look: &Look) -> String {
    let snapshot = snapshot_words(outcome, look);
    let target = escape::path(&outcome.target);
    if outcome.new_file {
        return format!(
            "Plan: make {target} from {snapshot}: {}, {}\n",
            figures::counted(outcome.snapshot.files, "entity file"),
            figures::counted(outcome.snapshot.records, "record")
        );
    }
    let mut facts: Vec<String> = outcome
        .target_bytes
        .map(figures::bytes)
        .into_iter()
        .collect();
    if let Some(in_use) = outcome.target_in_use {
        let word = if in_use { "yes" } else { "no" };
        facts.push(format!("in use by others: {word}"));
    }
    let facts = if facts.is_empty() {
        String::new()
    } else {
        format!(" ({})", facts.join(", "))
    };
    match outcome.mode {
        Mode::Add => format!("Plan: add records of {snapshot} to {target}{facts}\n"),
        Mode::Augment => {
            format!("Plan: add records of {snapshot} to {target}{facts}, fill what is NULL\n")
        }
        Mode::Replace => {
            format!("Plan: replace the records of {target}{facts} by those of {snapshot}\n")
        }
    }
}

/// A row per table in which something happens; the others are one line, unless `all`.
fn tables(tables: &[TableReport], all: bool) -> String {
    let is_quiet = |table: &&TableReport| {
        table.inserted + table.filled + table.skipped + table.deleted + table.conflicts == 0
    };
    let head = [
        "table", "insert", "fill", "same", "skip", "delete", "conflict",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let loud = tables.iter().filter(|table| all || !is_quiet(table));
    rows.extend(loud.map(|table| {
        let numbers = [
            table.inserted,
            table.filled,
            table.same,
            table.skipped,
            table.deleted,
            table.conflicts,
        ];
        let mut row = vec![escape::shown(&table.table).into_owned()];
        row.extend(numbers.map(|n| match n {
            0 => "–".to_owned(),
            n => figures::count(n),
        }));
        row
    }));
    let mut sides = vec![Side::Left];
    sides.resize(head.len(), Side::Right);
    let mut out = String::new();
    if rows.len() > 1 {
        out.push_str(&super::columns("  ", &sides, &rows));
    }
    let unchanged = tables.iter().filter(is_quiet).count();
    if unchanged > 0 && !all {
        let _ = writeln!(
            out,
            "  {} unchanged",
            figures::counted(unchanged as u64, "table")
        );
    }
    out
}

fn plan_facts(outcome: &RestoreOutcome) -> String {
    let target = escape::path(&outcome.target);
    let mut out = String::new();
    if outcome.mode == Mode::Replace {
        let deleted = figures::counted(sum(outcome, |table| table.deleted), "row");
        let _ = writeln!(
            out,
            "  a snapshot of {target} is taken first (tag before-restore), if it has rows; {deleted} deleted"
        );
    } else {
        out.push_str("  nothing is deleted\n");
    }
    out.push_str("  triggers do not fire; all of it is one transaction, or nothing\n");
    out
}

fn conflicts(outcome: &RestoreOutcome) -> String {
    let mut out = String::new();
    for conflict in &outcome.conflicts {
        let _ = writeln!(
            out,
            "conflict: {} {}: {}",
            escape::shown(&conflict.table),
            escape::shown(&conflict.record),
            escape::shown(&conflict.reason)
        );
    }
    let all: u64 = sum(outcome, |table| table.conflicts);
    let more = all.saturating_sub(outcome.conflicts.len() as u64);
    if more > 0 && !outcome.conflicts.is_empty() {
        let _ = writeln!(out, "  and {} more", figures::count(more));
    }
    out
}

fn done(outcome: &RestoreOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let time = figures::seconds(outcome.elapsed_ms);
    if outcome.new_file {
        let _ = writeln!(
            out,
            "Restored {} to {} in {time}: {}, {}.",
            snapshot_words(outcome, look),
            escape::path(&outcome.target),
            figures::counted(outcome.snapshot.files, "entity file"),
            figures::counted(outcome.snapshot.records, "record")
        );
    } else {
        let _ = writeln!(
            out,
            "Restored {} to {} in {time}: {}.",
            snapshot_words(outcome, look),
            escape::path(&outcome.target),
            totals(outcome)
        );
    }
    if !outcome.checked.is_empty() {
        let _ = writeln!(out, "Checked: {}.", outcome.checked.join(", "));
    }
    if let Some(safety) = &outcome.safety_snapshot {
        let words: [&OsStr; 6] = [
            "restore".as_ref(),
            safety.short_id.as_ref(),
            "--to".as_ref(),
            outcome.target.as_os_str(),
            "--mode".as_ref(),
            "replace".as_ref(),
        ];
        let tags = safety.tags.join(", ");
        let tag = if tags.is_empty() {
            String::new()
        } else {
            format!(", tag {}", escape::shown(&tags))
        };
        let _ = writeln!(
            out,
            "Go back with: {}        (snapshot {}{tag})",
            look.command(store, &words),
            escape::shown(&safety.name)
        );
    }
    out
}

/// `56 records inserted, 1 skipped`
fn totals(outcome: &RestoreOutcome) -> String {
    let mut parts = vec![format!(
        "{} inserted",
        figures::counted(sum(outcome, |table| table.inserted), "record")
    )];
    let others = [
        (sum(outcome, |table| table.filled), "filled"),
        (sum(outcome, |table| table.same), "already there"),
        (sum(outcome, |table| table.skipped), "skipped"),
        (sum(outcome, |table| table.deleted), "deleted before"),
    ];
    let others = others.iter().filter(|(n, _)| *n > 0);
    parts.extend(others.map(|(n, what)| format!("{} {what}", figures::count(*n))));
    parts.join(", ")
}
