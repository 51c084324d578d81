//! What is said of a copy into another store.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::copy::Copied;
use crate::ops::copy::CopyOutcome;
use crate::ops::copy::NotCopied;

/// What the outcome itself does not know.
#[derive(Debug, Clone, Copy)]
pub struct CopyView<'a> {
    /// The store that was copied from, as it was given.
    pub from: &'a Path,
    /// The store that was copied to, as it was given.
    pub to: &'a Path,
    /// True if that one was made for this copy.
    pub created: bool,
}

/// The whole report, a line per snapshot that was copied.
pub fn copy(outcome: &CopyOutcome, view: &CopyView<'_>, look: &Look) -> String {
    let mut out = String::new();
    let (from, to) = (escape::path(view.from), escape::path(view.to));
    if view.created {
        let _ = writeln!(out, "store {to} created");
    }
    let _ = writeln!(out, "Copying {from} to {to}");
    out.push_str(&rows(&outcome.copied, look));
    if outcome.uncommitted > 0 {
        let _ = writeln!(
            out,
            "  {} left out: of restores that may not have come to count (tag uncommitted)",
            figures::counted(outcome.uncommitted, "snapshot"),
        );
    }
    out.push_str(&damage_only(outcome, view, look));
    let copied = figures::counted(outcome.copied.len() as u64, "snapshot");
    let time = figures::seconds(outcome.elapsed_ms);
    let _ = match (outcome.stopped, outcome.copied.is_empty()) {
        (true, _) => writeln!(
            out,
            "Stopped after {copied} in {time}; what was copied stays, the rest is copied by the next run."
        ),
        (false, true) if outcome.not_copied.is_empty() => writeln!(out, "Nothing new in {time}."),
        (false, _) => writeln!(out, "Copied {copied} in {time}."),
    };
    if !outcome.present.is_empty() {
        let count = outcome.present.len() as u64;
        let _ = writeln!(
            out,
            "  {} {} there already",
            figures::counted(count, "snapshot"),
            figures::agree(count, "was", "were")
        );
    }
    let _ = writeln!(
        out,
        "  stored {} new (store: {} for {})",
        figures::bytes(outcome.stored_bytes),
        figures::bytes(outcome.store_bytes),
        figures::counted(outcome.store_snapshots, "snapshot")
    );
    out
}

fn rows(copied: &[Copied], look: &Look) -> String {
    let row = |copied: &Copied| {
        let snapshot = &copied.snapshot;
        let id = match look.verbose {
            true => &snapshot.id,
            false => &snapshot.short_id,
        };
        let renamed = copied.renamed.as_ref().map_or_else(String::new, |name| {
            format!("(was {}: that name is taken)", escape::shown(name))
        });
        vec![
            escape::shown(&snapshot.name).into_owned(),
            id.clone(),
            figures::local_time(&snapshot.time, &look.zone),
            figures::counted(snapshot.records, "record"),
            figures::bytes(snapshot.new_bytes),
            renamed,
        ]
    };
    let rows: Vec<Vec<String>> = copied.iter().map(row).collect();
    let sides = [
        Side::Left,
        Side::Left,
        Side::Left,
        Side::Right,
        Side::Right,
        Side::Left,
    ];
    super::columns("  ", &sides, &rows)
}

/// What could not be copied, also for `--quiet`.
pub fn damage_only(outcome: &CopyOutcome, view: &CopyView<'_>, look: &Look) -> String {
    let mut out: String = outcome.not_copied.iter().map(lost).collect();
    if !out.is_empty() {
        let validate = look.command(view.from, &[OsStr::new("validate")]);
        let _ = writeln!(out, "  what is affected, and what is not, says: {validate}");
    }
    out
}

fn lost(lost: &NotCopied) -> String {
    let name = lost
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!(" ({})", escape::shown(name)));
    let table = lost
        .table
        .as_ref()
        .map_or_else(String::new, |table| format!("{}: ", escape::shown(table)));
    format!(
        "not copied: {}{name}: {table}{}: {}\n",
        lost.short_id,
        lost.object,
        escape::shown(&lost.cause)
    )
}
