//! Records that contradict the database, each with its values beside the rows it collides with.

use std::ffi::OsStr;
use std::fmt::Write as _;

use super::Flag;
use super::flag;
use super::sum;
use crate::cli::names;
use crate::cli::quote;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::restore::Conflict;
use crate::ops::restore::ConflictKind;
use crate::ops::restore::Match;
use crate::ops::restore::OnConflict;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;

/// Conflicts that keep the restore from being written: those that are not skipped.
pub(super) fn stopping(outcome: &RestoreOutcome) -> u64 {
    sum(outcome, |table| {
        table.conflicts.saturating_sub(table.left_out.conflicting)
    })
}

/// Flags that may let it go on, and were not given: each for conflicts of its own kind.
pub(super) fn next(outcome: &RestoreOutcome, options: &RestoreOptions) -> Vec<Flag> {
    let is_there = |kind: ConflictKind| {
        let mut conflicts = outcome.conflicts.iter();
        conflicts.any(|conflict| conflict.kind == kind)
    };
    let mut next = Vec::new();
    let of_records = is_there(ConflictKind::Record) || is_there(ConflictKind::Doubtful);
    if of_records && options.on_conflict == OnConflict::Stop {
        let what = "leaves the records in conflict out";
        next.push(flag("--on-conflict skip", what));
    }
    let by_id = is_there(ConflictKind::Doubtful) || is_there(ConflictKind::Circle);
    if by_id && options.matching == Match::Auto {
        let what = "trusts the primary key alone: the row with it is the record's";
        next.push(flag("--match id", what));
    }
    if is_there(ConflictKind::Orphan) && !options.force {
        let what = "lets rows of other tables lose the rows that they refer to";
        next.push(flag("--force", what));
    }
    let in_the_way = outcome.conflicts.iter();
    let in_the_way = in_the_way.filter(|conflict| conflict.kind == ConflictKind::InTheWay);
    for conflict in in_the_way {
        let is_it = |name: &String| name.eq_ignore_ascii_case(&conflict.table);
        if options.scope.tables.iter().any(is_it) {
            continue;
        }
        let word = quote::word(OsStr::new(&*names::written(&conflict.table)));
        let what = "leaves that table out";
        next.push(flag(format!("--exclude-table {word}"), what));
    }
    next
}

/// The first conflicts, and how many more there are.
pub(super) fn list(outcome: &RestoreOutcome) -> String {
    let mut out = String::new();
    for conflict in &outcome.conflicts {
        out.push_str(&one(conflict));
    }
    let all = sum(outcome, |table| table.conflicts);
    let more = all.saturating_sub(outcome.conflicts.len() as u64);
    if more > 0 && !outcome.conflicts.is_empty() {
        let _ = writeln!(out, "  and {} more", figures::count(more));
    }
    out
}

fn one(conflict: &Conflict) -> String {
    let table = escape::shown(&conflict.table);
    let what = match conflict.kind {
        ConflictKind::InTheWay | ConflictKind::Circle => format!("table {table}"),
        ConflictKind::Record
        | ConflictKind::Doubtful
        | ConflictKind::Orphan
        | ConflictKind::Refused => format!("{table} {}", escape::shown(&conflict.record)),
    };
    let reason = escape::shown(&conflict.reason);
    let mut out = format!("conflict: {what}: {reason}\n");
    let rows = conflict.rows.iter().map(|row| ("row in the database", row));
    for (what, values) in std::iter::once(("record of the snapshot", &conflict.values)).chain(rows)
    {
        if !values.is_empty() {
            let values = values.join(", ");
            let _ = writeln!(
                out,
                "  {:<23} {}",
                format!("{what}:"),
                escape::shown(&values)
            );
        }
    }
    out
}
