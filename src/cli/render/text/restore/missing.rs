//! References whose target is missing, and what can be done about them.

use std::fmt::Write as _;

use super::Flag;
use super::RestoreView;
use super::flag;
use crate::cli::render::escape;
use crate::cli::render::figures;
use crate::cli::render::values;
use crate::ops::restore::Choice;
use crate::ops::restore::Missing;
use crate::ops::restore::OnMissing;
use crate::ops::restore::RestoreOutcome;

/// Missing values that are named; JSON has all of them.
const NAMED_MAX: usize = 10;

/// True if somebody decided that nothing is written.
pub(super) fn is_aborted(outcome: &RestoreOutcome) -> bool {
    let mut decisions = outcome.decisions.iter();
    decisions.any(|decision| decision.choice == Choice::Abort)
}

/// The first missing values, and how many more there are.
pub(super) fn list(outcome: &RestoreOutcome, view: &RestoreView<'_>) -> String {
    let mut out = String::new();
    let target = escape::path(&outcome.target);
    for missing in outcome.missing.iter().take(NAMED_MAX) {
        out.push_str(&one(missing, &target, view));
    }
    let more = outcome.missing.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = writeln!(out, "  and {} more", figures::count(more as u64));
    }
    out
}

fn one(missing: &Missing, target: &str, view: &RestoreView<'_>) -> String {
    let encoding = view.encoding;
    let key: Vec<String> = missing
        .values
        .iter()
        .map(|value| values::quoted(value, encoding))
        .collect();
    let mut out = format!(
        "missing: {}, {} ({}{})\n",
        values::reference(&missing.table, &missing.columns, &missing.parent, &key),
        values::why(missing, target),
        figures::counted(missing.records, "record"),
        values::examples(missing),
    );
    let _ = match &missing.record {
        Some(record) if missing.in_conflict => writeln!(
            out,
            "  its record: {} (see the conflicts)",
            values::row(record, encoding)
        ),
        Some(record) => writeln!(
            out,
            "  the snapshot has it: {}",
            values::row(record, encoding)
        ),
        None => writeln!(out, "  the snapshot does not have it either"),
    };
    if !missing.nullable && is_to_be_null(missing, view) {
        let columns: Vec<String> = missing
            .columns
            .iter()
            .map(|column| escape::shown(&format!("{}.{column}", missing.table)).into_owned())
            .collect();
        let _ = writeln!(
            out,
            "  it cannot be null: {} may not be NULL",
            columns.join(", ")
        );
    }
    out
}

/// True if it was decided that it is NULL: then somebody waits for the reason why it still is missing.
fn is_to_be_null(missing: &Missing, view: &RestoreView<'_>) -> bool {
    view.options.decisions.others == Some(OnMissing::Null)
        || view.options.decisions.single.iter().any(|decision| {
            decision.choice == Choice::Null
                && decision.columns == missing.columns
                && decision.values == missing.values
                && decision.table.eq_ignore_ascii_case(&missing.table)
        })
}

/// Flags that decide about them, and what each does: those that may help, and were not given.
pub(super) fn next(outcome: &RestoreOutcome, view: &RestoreView<'_>) -> Vec<Flag> {
    let missing = &outcome.missing;
    if missing.is_empty() {
        return Vec::new();
    }
    let scope = &view.options.scope;
    let given = view.options.decisions.others;
    let instead = match given {
        Some(OnMissing::Create) => " (instead of create)",
        Some(OnMissing::Skip) => " (instead of skip)",
        Some(OnMissing::Null) => " (instead of null)",
        None => "",
    };
    let mut next = Vec::new();
    if !view.interactive {
        let instead = match given {
            Some(_) => " (instead of --on-missing)",
            None => "",
        };
        next.push(flag(
            "-i",
            format!("asks about each missing record{instead}"),
        ));
    }
    let is_excluded = |table: &str| {
        let mut excluded = scope.excluded.iter();
        excluded.any(|name| name.eq_ignore_ascii_case(table))
    };
    let mut creatable = missing.iter().filter(|one| one.can_be_created());
    // Of all tables there is nothing to add.
    let is_chosen =
        !(scope.tables.is_empty() && scope.key_values.is_empty() && scope.excluded.is_empty());
    if is_chosen && !scope.with_parents && creatable.clone().any(|one| !is_excluded(&one.parent)) {
        let what = "restores what the records refer to as well, and what that refers to";
        next.push(flag("--with-parents", what));
    }
    if given != Some(OnMissing::Create) && creatable.next().is_some() {
        let what = format!("inserts them from the snapshot{instead}");
        next.push(flag("--on-missing create", what));
    }
    if given != Some(OnMissing::Skip) {
        let what = format!("leaves out the records that refer to them{instead}");
        next.push(flag("--on-missing skip", what));
    }
    if given != Some(OnMissing::Null) && missing.iter().any(|one| one.nullable) {
        let what = format!("lets those records refer to nothing{instead}");
        next.push(flag("--on-missing null", what));
    }
    if view.saves {
        let what = "takes the decisions, once they are filled in";
        next.push(flag("--resolve FILE", what));
    } else {
        let what = "writes them down, to be decided in the file";
        next.push(flag("--save-decisions FILE", what));
        next.push(flag("--resolve FILE", "takes the decisions of such a file"));
    }
    next
}
