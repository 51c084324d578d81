//! Records that contradict the database, each with its values beside the rows it collides with.

use std::fmt::Write as _;

use super::sum;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::restore::Conflict;
use crate::ops::restore::Mode;
use crate::ops::restore::OnConflict;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;

/// Conflicts that keep the restore from being written: those that are not skipped.
pub(super) fn stopping(outcome: &RestoreOutcome) -> u64 {
    sum(outcome, |table| {
        table.conflicts.saturating_sub(table.left_out.conflicting)
    })
}

/// Flags that may let it go on. Conflicts of whole tables stop it whatever is skipped.
pub(super) fn next(
    outcome: &RestoreOutcome,
    options: &RestoreOptions,
) -> Vec<(&'static str, &'static str)> {
    let mut next = Vec::new();
    if options.on_conflict == OnConflict::Stop {
        next.push(("--on-conflict skip", "leaves the records in conflict out"));
    }
    if outcome.mode == Mode::Replace && !options.force {
        let what = "lets rows of other tables lose the rows that they refer to";
        next.push(("--force", what));
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
    let mut out = format!(
        "conflict: {} {}: {}\n",
        escape::shown(&conflict.table),
        escape::shown(&conflict.record),
        escape::shown(&conflict.reason)
    );
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
