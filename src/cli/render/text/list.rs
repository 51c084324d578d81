//! What a list of snapshots says.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::list::ForgottenOutcome;
use crate::ops::list::ForgottenSnapshot;
use crate::ops::list::ListOutcome;
use crate::ops::list::SnapshotSummary;
use crate::ops::select::AFTER_TAG;
use crate::ops::select::SAFETY_TAG;

/// The snapshots of one store, and what they take together.
pub fn list(outcome: &ListOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    if !outcome.snapshots.is_empty() {
        let head = [
            "NAME", "ID", "DATE", "FILES", "RECORDS", "NEW", "SOURCE", "",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(outcome.snapshots.iter().map(|s| row(s, look)));
        let sides = [
            Side::Left,
            Side::Left,
            Side::Left,
            Side::Right,
            Side::Right,
            Side::Right,
            Side::Left,
            Side::Left,
        ];
        out.push_str(&super::columns("", &sides, &rows));
    }
    let _ = writeln!(
        out,
        "{}, {} in {}",
        figures::counted(outcome.snapshots.len() as u64, "snapshot"),
        figures::bytes(outcome.store_bytes),
        escape::path(store)
    );
    let of_restores = outcome
        .snapshots
        .iter()
        .filter(|s| is_of_restore(s))
        .count() as u64;
    if of_restores > 0 {
        let _ = writeln!(
            out,
            "{} of them {}",
            figures::count(of_restores),
            figures::agree(
                of_restores,
                "was taken by a restore or an undo: latest passes over it",
                "were taken by restores and undos: latest passes over them"
            )
        );
    }
    if outcome.snapshots.is_empty() && outcome.forgotten == 0 {
        let words = ["backup", "DB"].map(OsStr::new);
        let _ = writeln!(out, "Take one with: {}", look.command(store, &words));
    }
    if outcome.forgotten > 0 {
        let more = match outcome.snapshots.is_empty() {
            true => "",
            false => "more ",
        };
        let _ = writeln!(
            out,
            "{} {more}{}: {}",
            figures::count(outcome.forgotten),
            figures::agree(outcome.forgotten, "is forgotten", "are forgotten"),
            look.command(store, &["list", "--forgotten"].map(OsStr::new))
        );
    }
    out
}

/// The forgotten snapshots of one store, and until when they can be taken back for certain.
pub fn forgotten(outcome: &ForgottenOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    if !outcome.snapshots.is_empty() {
        let head = ["NAME", "ID", "DATE", "FORGOTTEN", "SAFE UNTIL", "SOURCE"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(outcome.snapshots.iter().map(|s| forgotten_row(s, look)));
        out.push_str(&super::columns("", &[Side::Left; 6], &rows));
    }
    let _ = writeln!(
        out,
        "{} forgotten in {}",
        figures::counted(outcome.snapshots.len() as u64, "snapshot"),
        escape::path(store)
    );
    if outcome.snapshots.iter().any(|s| s.safe_until.is_some()) {
        let words = ["forget", "--undo"].map(OsStr::new);
        let _ = writeln!(
            out,
            "Take one back with: {} ID",
            look.command(store, &words)
        );
    }
    out
}

fn forgotten_row(forgotten: &ForgottenSnapshot, look: &Look) -> Vec<String> {
    let snapshot = &forgotten.snapshot;
    let said = snapshot.summary.as_ref();
    let time = |time: &str| figures::local_time(time, &look.zone);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let id = match look.verbose {
        true => &snapshot.id,
        false => &snapshot.short_id,
    };
    vec![
        or_dash(said.map(|s| escape::shown(&s.name).into_owned())),
        escape::shown(id).into_owned(),
        or_dash(said.map(|s| time(&s.time))),
        or_dash(forgotten.forgotten_at.as_deref().map(time)),
        or_dash(forgotten.safe_until.as_deref().map(time)),
        or_dash(said.map(|s| escape::shown(&s.source).into_owned())),
    ]
}

fn is_of_restore(snapshot: &SnapshotSummary) -> bool {
    let mut tags = snapshot.tags.iter();
    tags.any(|tag| [SAFETY_TAG, AFTER_TAG].contains(&tag.as_str()))
}

fn row(snapshot: &SnapshotSummary, look: &Look) -> Vec<String> {
    let id = if look.verbose {
        &snapshot.id
    } else {
        &snapshot.short_id
    };
    let mut tags: Vec<String> = snapshot.tags.iter().map(|t| format!("tag:{t}")).collect();
    if snapshot.pinned == Some(true) {
        tags.push("pinned".to_owned());
    }
    if snapshot.damaged {
        tags.push("(damaged source)".to_owned());
    }
    vec![
        escape::shown(&snapshot.name).into_owned(),
        escape::shown(id).into_owned(),
        figures::local_time(&snapshot.time, &look.zone),
        figures::count(snapshot.files),
        figures::count(snapshot.records),
        figures::bytes(snapshot.new_bytes),
        escape::shown(&snapshot.source).into_owned(),
        escape::shown(&tags.join(" ")).into_owned(),
    ]
}
