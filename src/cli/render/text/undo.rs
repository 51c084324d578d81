//! What an undo says: what it takes back, or what stands in the way.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use super::Side;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::ops::undo::Changed;
use crate::ops::undo::UndoOutcome;

/// The whole report.
pub fn undo(outcome: &UndoOutcome, store: &Path, look: &Look) -> String {
    let mut out = String::new();
    let target = escape::path(&outcome.target);
    let _ = writeln!(
        out,
        "{} the {} into {target} of {} (snapshots {} to {})",
        if outcome.dry_run || outcome.is_stopped() {
            "Plan: undo"
        } else {
            "Undoing"
        },
        if outcome.redoes {
            "undo of a restore"
        } else {
            "restore"
        },
        figures::local_time(&outcome.after.time, &look.zone),
        escape::shown(&outcome.before.short_id),
        escape::shown(&outcome.after.short_id),
    );
    out.push_str(&tables(outcome));
    for name in &outcome.dropped {
        let _ = writeln!(
            out,
            "  {} was made by the restore: it is dropped",
            escape::shown(name)
        );
    }
    for name in &outcome.made_again {
        let _ = writeln!(
            out,
            "  {} went with the restore: it comes back",
            escape::shown(name)
        );
    }
    for changed in &outcome.changed {
        out.push_str(&row(changed));
    }
    let more = outcome
        .staying()
        .saturating_sub(outcome.changed.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "  and {} more", figures::count(more));
    }
    out.push_str(&last(outcome, store, look));
    out
}

fn tables(outcome: &UndoOutcome) -> String {
    let head = [
        "table",
        "delete",
        "insert",
        "put back",
        "as before",
        "changed since",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for table in &outcome.tables {
        let numbers = [
            table.deleted,
            table.inserted,
            table.updated,
            table.already,
            table.conflicts,
        ];
        let mut row = vec![escape::shown(&table.table).into_owned()];
        row.extend(numbers.map(|n| match n {
            0 => "–".to_owned(),
            n => figures::count(n),
        }));
        rows.push(row);
    }
    if rows.len() == 1 {
        return String::new();
    }
    let mut sides = vec![Side::Left];
    sides.resize(head.len(), Side::Right);
    super::columns("  ", &sides, &rows)
}

fn row(changed: &Changed) -> String {
    let mut out = format!(
        "changed: {} {}: {}\n",
        escape::shown(&changed.table),
        escape::shown(&changed.row),
        escape::shown(&changed.reason)
    );
    for (what, values) in [("as restored", &changed.restored), ("now", &changed.now)] {
        // What is as it was restored stays for what refers to it.
        if !values.is_empty() && changed.restored != changed.now {
            let values = values.join(", ");
            let _ = writeln!(out, "  {what}: {}", escape::shown(&values));
        }
    }
    out
}

fn last(outcome: &UndoOutcome, store: &Path, look: &Look) -> String {
    if outcome.is_stopped() {
        let mut again: Vec<&OsStr> = vec!["undo".as_ref()];
        again.extend(outcome.named.as_ref().map(AsRef::<OsStr>::as_ref));
        again.extend(["--to".as_ref(), outcome.target.as_os_str()]);
        again.extend(["--on-conflict", "skip"].map(AsRef::<OsStr>::as_ref));
        return format!(
            "Nothing was written: rows were changed since the restore, and they are never overwritten.\n\
             To undo the rest: {}\n",
            look.command(store, &again)
        );
    }
    if outcome.is_empty() {
        return format!(
            "Nothing to do: everything is as before the restore.\n{}",
            earlier(outcome, store, look)
        );
    }
    if outcome.is_idle() {
        return nothing(outcome, store, look);
    }
    if outcome.dry_run {
        return "Nothing was written (dry run).\n".to_owned();
    }
    let sum = |of: fn(&crate::ops::undo::UndoReport) -> u64| -> u64 {
        outcome.tables.iter().map(of).sum()
    };
    let mut out = format!(
        "Undone in {}: {} deleted, {} inserted again, {} put back.\n",
        figures::seconds(outcome.elapsed_ms),
        figures::counted(sum(|t| t.deleted), "row"),
        figures::count(sum(|t| t.inserted)),
        figures::count(sum(|t| t.updated)),
    );
    out.push_str(&staying(outcome));
    if let Some(after) = &outcome.after_snapshot {
        let words: [&OsStr; 4] = [
            "undo".as_ref(),
            after.short_id.as_ref(),
            "--to".as_ref(),
            outcome.target.as_os_str(),
        ];
        let _ = writeln!(
            out,
            "To {}: {}",
            match outcome.redoes {
                true => "take the restore back again",
                false => "do the restore again",
            },
            look.command(store, &words)
        );
    }
    out
}

/// What is left of the restore cannot be undone.
fn nothing(outcome: &UndoOutcome, store: &Path, look: &Look) -> String {
    format!(
        "Nothing was written: what is left of the restore stays as it is.\n{}{}",
        staying(outcome),
        earlier(outcome, store, look)
    )
}

fn earlier(outcome: &UndoOutcome, store: &Path, look: &Look) -> String {
    let words: [&OsStr; 4] = [
        "undo".as_ref(),
        "--to".as_ref(),
        outcome.target.as_os_str(),
        "SNAP".as_ref(),
    ];
    format!(
        "An earlier restore is undone by the snapshot that it left: {}\n",
        look.command(store, &words)
    )
}

/// How many rows and tables stay, which is wanted.
fn staying(outcome: &UndoOutcome) -> String {
    let rows = outcome.staying() - outcome.lost;
    let counts = [(rows, "row"), (outcome.lost, "table")];
    let told = counts.iter().filter(|(n, _)| *n > 0);
    let told: Vec<String> = told.map(|(n, noun)| figures::counted(*n, noun)).collect();
    match told.is_empty() {
        true => String::new(),
        false => format!("Not undone: {}, see above.\n", told.join(" and ")),
    }
}
