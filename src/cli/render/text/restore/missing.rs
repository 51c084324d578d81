//! References whose target is missing, and what can be done about them.

use std::fmt::Write as _;

use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::values;
use crate::model::text::TextEncoding;
use crate::ops::restore::Choice;
use crate::ops::restore::Missing;
use crate::ops::restore::RestoreOutcome;

/// Missing values that are named; JSON has all of them.
const NAMED_MAX: usize = 10;

/// True if somebody decided that nothing is written.
pub(super) fn is_aborted(outcome: &RestoreOutcome) -> bool {
    let mut decisions = outcome.decisions.iter();
    decisions.any(|decision| decision.choice == Choice::Abort)
}

/// The first missing values, and how many more there are.
pub(super) fn list(outcome: &RestoreOutcome, encoding: TextEncoding) -> String {
    let mut out = String::new();
    if is_aborted(outcome) {
        return out;
    }
    let target = escape::path(&outcome.target);
    for missing in outcome.missing.iter().take(NAMED_MAX) {
        out.push_str(&one(missing, &target, encoding));
    }
    let more = outcome.missing.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = writeln!(out, "  and {} more", figures::count(more as u64));
    }
    out
}

fn one(missing: &Missing, target: &str, encoding: TextEncoding) -> String {
    let key: Vec<String> = missing
        .values
        .iter()
        .map(|value| values::quoted(value, encoding))
        .collect();
    let mut out = format!(
        "missing: {}, which {target} does not have ({}{})\n",
        values::reference(&missing.table, &missing.columns, &missing.parent, &key),
        figures::counted(missing.records, "record"),
        values::examples(missing),
    );
    let _ = match &missing.record {
        Some(record) => writeln!(
            out,
            "  the snapshot has it: {}",
            values::row(record, encoding)
        ),
        None => writeln!(out, "  the snapshot does not have it either"),
    };
    out
}

/// Flags that decide about them, and what each does.
pub(super) fn next(outcome: &RestoreOutcome) -> Vec<(&'static str, &'static str)> {
    let missing = &outcome.missing;
    if missing.is_empty() {
        return Vec::new();
    }
    let mut next = vec![("-i", "asks about each missing record")];
    if missing.iter().any(|one| one.record.is_some()) {
        next.push(("--on-missing create", "inserts them from the snapshot"));
    }
    next.push((
        "--on-missing skip",
        "leaves out the records that refer to them",
    ));
    if missing.iter().any(|one| one.nullable) {
        next.push(("--on-missing null", "lets those records refer to nothing"));
    }
    next.push((
        "--save-decisions FILE",
        "writes them down, to be decided in the file",
    ));
    next.push(("--resolve FILE", "takes the decisions of such a file"));
    next
}
