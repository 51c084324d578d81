//! What is said of snapshots that are forgotten, taken back and pinned.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::forget;
use crate::ops::forget::ForgetOutcome;
use crate::ops::forget::GroupReport;
use crate::ops::forget::TakenBack;
use crate::ops::list::SnapshotLine;
use crate::ops::pin::PinOutcome;
use crate::ops::retention::GRACE;

/// The whole report of `forget`.
pub fn forget(outcome: &ForgetOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    for group in &outcome.groups {
        out.push_str(&report(group, look));
    }
    if outcome.groups.is_empty() {
        let verb = match outcome.dry_run {
            true => "forget",
            false => "forgotten",
        };
        out.push_str(&table(
            &[
                (verb, &outcome.forgotten),
                ("forgotten already", &outcome.already),
            ],
            look,
        ));
    }
    let forgotten = outcome.forgotten.len() as u64;
    let mut said = format!("{} ", figures::counted(forgotten, "snapshot"));
    said.push_str(match outcome.dry_run {
        true => "would be forgotten",
        false => "forgotten",
    });
    let kept = outcome.groups.iter().flat_map(|group| &group.snapshots);
    let kept = kept.filter(|s| !s.reasons.is_empty()).count() as u64;
    if !outcome.groups.is_empty() {
        let _ = write!(said, ", {} kept", figures::count(kept));
    }
    out.push_str(&said);
    out.push_str(match outcome.dry_run {
        true => ". Nothing was changed (dry run).\n",
        false => ".\n",
    });
    out.push_str(&stopped(outcome.left, "forgotten"));
    if forgotten > 0 && !outcome.dry_run {
        out.push_str(&next(outcome, store, look));
    }
    out
}

fn next(outcome: &ForgetOutcome, store: &Path, look: &Look) -> String {
    let (one, many) = ("Take it back with:", "Take one back with:");
    let id = match outcome.forgotten.as_slice() {
        [only] => only.short_id.as_str(),
        _ => "ID",
    };
    let undo = ["forget", "--undo", id].map(OsStr::new);
    format!(
        "{} {}\nFree {} space with: {}   (after {} hours; --grace 0: at once)\n",
        figures::agree(outcome.forgotten.len() as u64, one, many),
        look.command(store, &undo),
        figures::agree(outcome.forgotten.len() as u64, "its", "their"),
        look.command(store, &["prune".as_ref()]),
        GRACE.as_secs() / 3600,
    )
}

/// `5 others are as they were: it was asked to stop.`
fn stopped(left: u64, what: &str) -> String {
    match left {
        0 => String::new(),
        left => format!(
            "Stopped before {} {} {what}: the same again does the rest.\n",
            figures::counted(left, "further snapshot"),
            figures::agree(left, "was", "were"),
        ),
    }
}

fn id<'a>(line: &'a SnapshotLine, look: &Look) -> &'a str {
    match look.verbose {
        true => &line.id,
        false => &line.short_id,
    }
}

/// Name, id and date.
fn cells(line: &SnapshotLine, look: &Look) -> [String; 3] {
    let said = line.summary.as_ref();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    [
        or_dash(said.map(|s| escape::shown(&s.name).into_owned())),
        escape::shown(id(line, look)).into_owned(),
        or_dash(said.map(|s| figures::local_time(&s.time, &look.zone))),
    ]
}

/// What a policy says of a group: `app.db on host: 2 of 5 snapshots kept`, and each of them.
fn report(group: &GroupReport, look: &Look) -> String {
    let all = group.snapshots.len() as u64;
    let kept = group.snapshots.iter().filter(|s| !s.reasons.is_empty());
    let mut out = format!(
        "{}: {} of {} kept\n",
        escape::shown(&forget::title(&group.key)),
        figures::count(kept.count() as u64),
        figures::counted(all, "snapshot"),
    );
    let rows = group.snapshots.iter().map(|verdict| {
        let mut row = vec![match verdict.reasons.is_empty() {
            true => "forget".to_owned(),
            false => "keep".to_owned(),
        }];
        row.extend(cells(&verdict.snapshot, look));
        let mut why = verdict.reasons.join(", ");
        if verdict.snapshot.summary.as_ref().is_some_and(|s| s.damaged) {
            why.push_str(" (damaged source)");
        }
        row.push(escape::shown(why.trim_start()).into_owned());
        row
    });
    let head = ["", "NAME", "ID", "DATE", "KEPT AS"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(rows);
    out.push_str(&super::columns("  ", &[Side::Left; 5], &table));
    out.push('\n');
    out
}

/// Snapshots that were named, and what became of them.
fn table(parts: &[(&str, &[SnapshotLine])], look: &Look) -> String {
    let rows = parts.iter().flat_map(|(word, lines)| {
        lines.iter().map(|line| {
            let mut row = vec![(*word).to_owned()];
            row.extend(cells(line, look));
            row.extend(
                line.summary
                    .as_ref()
                    .map(|s| escape::shown(&s.source).into_owned()),
            );
            row
        })
    });
    super::columns("", &[Side::Left; 5], &rows.collect::<Vec<_>>())
}

/// The whole report of `forget --undo`.
pub fn taken_back(outcome: &TakenBack, look: &Look) -> String {
    let verb = match outcome.dry_run {
        true => "take back",
        false => "taken back",
    };
    let parts = [
        (verb, outcome.snapshots.as_slice()),
        ("not forgotten", outcome.already.as_slice()),
    ];
    let mut out = table(&parts, look);
    let snapshots = figures::counted(outcome.snapshots.len() as u64, "snapshot");
    let _ = match outcome.dry_run {
        true => writeln!(
            out,
            "{snapshots} would be taken back. Nothing was changed (dry run)."
        ),
        false => writeln!(out, "{snapshots} taken back."),
    };
    out.push_str(&stopped(outcome.left, "taken back"));
    out
}

/// The whole report of `pin` and `unpin`.
pub fn pin(outcome: &PinOutcome, look: &Look) -> String {
    let words = match outcome.removed {
        true => ["no longer pinned", "not pinned"],
        false => ["pinned", "pinned already"],
    };
    let rows = outcome.snapshots.iter().map(|(line, changed)| {
        let mut row = vec![words[usize::from(!changed)].to_owned()];
        row.extend(cells(line, look));
        row
    });
    let mut out = super::columns("", &[Side::Left; 4], &rows.collect::<Vec<_>>());
    out.push_str(&stopped(outcome.left, "done"));
    out
}
