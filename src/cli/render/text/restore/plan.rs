//! The plan of a restore: a row per table, then facts, one a line. What was done is shown the same
//! way.

use std::fmt::Write as _;

use super::RestoreView;
use super::lost;
use super::snapshot_words;
use super::sum;
use crate::cli::render::Look;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::text::Side;
use crate::cli::render::text::columns;
use crate::model::schema::ObjectKind;
use crate::ops::restore::Choice;
use crate::ops::restore::Mode;
use crate::ops::restore::Remapped;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::TableReport;

/// Ids of one table that are named.
const IDS_MAX: usize = 3;

/// `Plan: add records of … to app.db (2.6 MiB)`
pub(super) fn heading(outcome: &RestoreOutcome, view: &RestoreView<'_>, look: &Look) -> String {
    let snapshot = snapshot_words(outcome, view, look);
    let target = escape::path(&outcome.target);
    if outcome.new_file {
        return format!(
            "Plan: make {target} from {snapshot}: {}\n",
            lost::what(outcome)
        );
    }
    let facts = outcome
        .target_bytes
        .map(|bytes| format!(" ({})", figures::bytes(bytes)))
        .unwrap_or_default();
    if outcome.whole_file {
        return format!("Plan: replace all of {target}{facts} by {snapshot}\n");
    }
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

/// Numbers of a table, by the heads of their columns; those that are there only if they are needed.
fn numbers(table: &TableReport) -> [(&'static str, u64, bool); 7] {
    [
        ("insert", table.inserted, true),
        ("fill", table.filled, true),
        ("update", table.updated, false),
        ("same", table.same, true),
        ("skip", table.skipped, true),
        ("delete", table.deleted, false),
        ("conflict", table.conflicts, true),
    ]
}

fn is_quiet(table: &TableReport) -> bool {
    let loud = [
        table.inserted,
        table.filled,
        table.updated,
        table.skipped,
        table.deleted,
        table.conflicts,
    ];
    loud.iter().all(|n| *n == 0)
}

/// A row per table in which something happens; the others are one line, unless `all`.
pub(super) fn tables(tables: &[TableReport], all: bool) -> String {
    let shown: Vec<&TableReport> = tables.iter().filter(|t| all || !is_quiet(t)).collect();
    let all_numbers: Vec<_> = shown.iter().map(|table| numbers(table)).collect();
    let is_needed = |at: usize| {
        let mut rows = all_numbers.iter();
        rows.any(|row| row[at].1 > 0 || row[at].2)
    };
    let needed: Vec<usize> = (0..7).filter(|at| is_needed(*at)).collect();
    let mut rows = Vec::new();
    for (table, numbers) in shown.iter().zip(&all_numbers) {
        if rows.is_empty() {
            let heads = needed.iter().map(|at| numbers[*at].0.to_owned());
            rows.push(std::iter::once("table".to_owned()).chain(heads).collect());
        }
        let mut row = vec![escape::shown(&table.table).into_owned()];
        row.extend(needed.iter().map(|at| match numbers[*at].1 {
            0 => "–".to_owned(),
            n => figures::count(n),
        }));
        row.push(left_out(table));
        rows.push(row);
    }
    let mut sides = vec![Side::Left];
    sides.resize(needed.len() + 1, Side::Right);
    sides.push(Side::Left);
    let mut out = columns("  ", &sides, &rows);
    let unchanged = tables.iter().filter(|table| is_quiet(table)).count();
    if unchanged > 0 && !all {
        let unchanged = figures::counted(unchanged as u64, "table");
        let _ = writeln!(out, "  {unchanged} unchanged");
    }
    if tables.iter().any(|table| table.left_out.doubtful > 0) {
        out.push_str(
            "  doubtful: the row with the record's id has another key now; it was renamed, or is another thing\n",
        );
    }
    out
}

/// `made: table a, indexes a_x, a_y`
pub(super) fn made(outcome: &RestoreOutcome) -> String {
    let kinds = [
        (ObjectKind::Table, "table", "tables"),
        (ObjectKind::Index, "index", "indexes"),
        (ObjectKind::View, "view", "views"),
        (ObjectKind::Trigger, "trigger", "triggers"),
    ];
    let mut parts = Vec::new();
    for (kind, one, many) in kinds {
        let of_kind = outcome.made.iter().filter(|made| made.kind == kind);
        let names: Vec<_> = of_kind.map(|made| escape::shown(&made.name)).collect();
        if !names.is_empty() {
            let noun = figures::agree(names.len() as u64, one, many);
            parts.push(format!("{noun} {}", names.join(", ")));
        }
    }
    if parts.is_empty() {
        return String::new();
    }
    let not_yet = match outcome.dry_run || outcome.is_stopped() {
        true if outcome.whole_file => "the database lacks, and gets",
        true => "to be made, the database lacks them",
        false => "made",
    };
    format!("  {not_yet}: {}\n", parts.join("; "))
}

/// Why records of a table are skipped.
fn left_out(table: &TableReport) -> String {
    let why = &table.left_out;
    let reasons = [
        (why.differing, "with other values"),
        (why.doubtful, "doubtful"),
        (why.missing, "refer to what is missing"),
        (why.conflicting, "in conflict"),
    ];
    let reasons = reasons.iter().filter(|(n, _)| *n > 0);
    let reasons: Vec<String> = reasons
        .map(|(n, what)| format!("{} {what}", figures::count(*n)))
        .collect();
    match reasons[..] {
        [] => String::new(),
        _ => format!("skip: {}", reasons.join(", ")),
    }
}

/// What becomes of references, if there is anything to say.
pub(super) fn references(outcome: &RestoreOutcome) -> String {
    let mut parts = Vec::new();
    for table in outcome.tables.iter().filter(|table| table.remapped > 0) {
        let name = escape::shown(&table.table);
        let ids = new_ids(&table.table, table.remapped, &outcome.remapped);
        let has = figures::agree(table.remapped, "has another id", "have other ids");
        parts.push(format!(
            "{} of {name} {has} in {}{ids}",
            figures::count(table.remapped),
            escape::path(&outcome.target)
        ));
    }
    if outcome.references_followed > 0 {
        let followed = figures::counted(outcome.references_followed, "reference");
        let follow = figures::agree(outcome.references_followed, "follows", "follow");
        parts.push(format!("{followed} {follow}"));
    }
    let mut out = String::new();
    let is_plan = outcome.dry_run || outcome.is_stopped();
    let resolved = match (is_plan, outcome.missing.is_empty()) {
        (true, true) => Some("all resolved".to_owned()),
        (true, false) => {
            let missing = figures::counted(outcome.missing.len() as u64, "missing record");
            Some(format!("{missing}, see below"))
        }
        (false, _) => None,
    };
    let parts = parts.join(", ");
    let line: Vec<String> = resolved
        .into_iter()
        .chain(Some(parts).filter(|p| !p.is_empty()))
        .collect();
    if !line.is_empty() {
        let _ = writeln!(out, "  references: {}", line.join("; "));
    }
    let carried: Vec<String> = outcome
        .tables
        .iter()
        .filter(|table| table.carried > 0)
        .map(|table| {
            format!(
                "{} {}",
                escape::shown(&table.table),
                figures::count(table.carried)
            )
        })
        .collect();
    if !carried.is_empty() {
        let _ = writeln!(
            out,
            "  references without a target in the snapshot too, kept as they are: {}",
            carried.join(", ")
        );
    }
    let decided = decided(outcome);
    if !decided.is_empty() {
        let _ = writeln!(out, "  missing records that were decided about: {decided}");
    }
    out
}

/// ` (77 -> 91, 78 -> 92, …)`
fn new_ids(table: &str, count: u64, remapped: &[Remapped]) -> String {
    let of_table = remapped.iter().filter(|one| one.table == table);
    let mut ids: Vec<String> = of_table
        .take(IDS_MAX)
        .map(|one| format!("{} -> {}", escape::shown(&one.from), escape::shown(&one.to)))
        .collect();
    if ids.is_empty() {
        return String::new();
    }
    if ids.len() as u64 != count {
        ids.push("…".to_owned());
    }
    format!(" ({})", ids.join(", "))
}

/// `2 created, 1 mapped`
fn decided(outcome: &RestoreOutcome) -> String {
    let count = |is_it: fn(&Choice) -> bool| {
        let decisions = outcome.decisions.iter();
        decisions.filter(|decision| is_it(&decision.choice)).count() as u64
    };
    let counts = [
        (
            count(|choice| matches!(choice, Choice::Create(_))),
            "created",
        ),
        (count(|choice| matches!(choice, Choice::Map(_))), "mapped"),
        (count(|choice| matches!(choice, Choice::Skip)), "skipped"),
        (
            count(|choice| matches!(choice, Choice::Null)),
            "set to NULL",
        ),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0);
    let counts = counts.map(|(n, what)| format!("{} {what}", figures::count(*n)));
    counts.collect::<Vec<_>>().join(", ")
}

/// What holds for the whole plan.
pub(super) fn facts(outcome: &RestoreOutcome, view: &RestoreView<'_>) -> String {
    let options = view.options;
    let target = escape::path(&outcome.target);
    let mut out = String::new();
    let bytes = sum(outcome, |table| table.bytes);
    if bytes > 0 {
        let _ = writeln!(out, "  {} of values are written", figures::bytes(bytes));
    }
    let safety = if options.no_safety_snapshot {
        "no safety snapshot is taken: it cannot be undone".to_owned()
    } else if view.makes_store {
        let store = escape::path(view.store);
        format!("a safety snapshot of {target} goes to a new store {store} first")
    } else {
        format!("a safety snapshot of {target} is taken first")
    };
    if outcome.whole_file {
        let _ = writeln!(out, "  {safety}; all that is in it now goes");
        out.push_str(
            "  it is made anew beside it, checked, and written over it in one transaction, or nothing is\n",
        );
        return out;
    }
    let triggers = if options.fire_triggers {
        format!("the triggers of {target} fire")
    } else {
        "triggers do not fire".to_owned()
    };
    let deleted = match sum(outcome, |table| table.deleted) {
        0 => "nothing is deleted".to_owned(),
        n => {
            let are = figures::agree(n, "is", "are");
            format!("{} {are} deleted", figures::counted(n, "row"))
        }
    };
    let _ = writeln!(out, "  {safety}; {triggers}; {deleted}");
    out.push_str("  all of it is one transaction, or nothing\n");
    out
}
