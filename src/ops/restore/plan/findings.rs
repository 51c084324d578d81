//! What about a table's part of a plan is worth saying.

use crate::model::counted::{agree, counted};
use crate::model::schema::ObjectKind;
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::missing::Decision;
use crate::ops::restore::plan::Plan;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::TablePlan;
use crate::progress::Finding;
use crate::target::shown;

/// Decisions that are named.
const DECISIONS_MAX: usize = 3;

/// Decisions about what is not missing, the first of them named.
pub(in crate::ops::restore) fn unused(basis: &Basis<'_>, plan: &Plan<'_>) -> Option<Finding> {
    let unused = plan.decisions.iter().zip(&plan.used);
    let unused: Vec<&Decision> = unused
        .filter(|(_, used)| !**used)
        .map(|(decision, _)| decision)
        .collect();
    let encoding = basis.manifest.settings.encoding;
    let named = |decision: &&Decision| {
        let values = decision.values.iter().map(|value| match value {
            Value::Text(bytes) => {
                let text = encoding.decode(bytes).unwrap_or_default();
                shown(ValueRef::Text(text.as_bytes()))
            }
            other => shown(other.as_ref()),
        });
        let values: Vec<String> = values.collect();
        format!(
            "{}.{} = {}",
            decision.table,
            decision.columns.join(", "),
            values.join(", ")
        )
    };
    let mut names: Vec<String> = unused.iter().take(DECISIONS_MAX).map(named).collect();
    if names.is_empty() {
        return None;
    }
    if unused.len() > names.len() {
        names.push("…".to_owned());
    }
    let text = format!(
        "decisions about what is not missing here: {}, not needed ({})",
        unused.len(),
        names.join("; ")
    );
    Some(Finding::note("references", text))
}

/// Adds what is worth saying of one table.
pub(in crate::ops::restore) fn of_table(
    basis: &Basis<'_>,
    shapes: &[TableShape],
    shape: &TableShape,
    plan: &TablePlan<'_>,
    findings: &mut Vec<Finding>,
) {
    let (name, tally) = (&shape.live.name, &plan.tally);
    if !shape.role.is_written() && !plan.is_touched() {
        return;
    }
    // That it is made is told by itself, and that it is another table.
    if shape.made || shape.map.columns.is_empty() {
        return;
    }
    columns(shape, plan, findings);
    let doubtful = tally.report.left_out.doubtful;
    if doubtful > 0 {
        let text = format!(
            "{} {} the primary key of a row with another UNIQUE key (renamed, or an id given to another \
             thing): {} as {}",
            counted(doubtful, "record"),
            agree(doubtful, "has", "have"),
            agree(doubtful, "the row stays", "the rows stay"),
            agree(doubtful, "it is", "they are"),
        );
        findings.push(Finding::note(name, text));
    }
    if tally.twins > 0 {
        let text = format!(
            "records with a key that a record before them has, in the snapshot itself: {}. They are taken for \
             that one, and not inserted",
            tally.twins
        );
        findings.push(Finding::note(name, text));
    }
    for (parent, count) in &tally.doubtful_parents {
        let text = format!(
            "{} {} to rows of {} that may be other things now",
            counted(*count, "inserted record"),
            agree(*count, "refers", "refer"),
            shapes[*parent].live.name
        );
        findings.push(Finding::note(name, text));
    }
    if tally.report.carried > 0 {
        let text = format!(
            "{} {} no target in the snapshot either: restored as in the snapshot",
            counted(tally.report.carried, "reference"),
            agree(tally.report.carried, "has", "have")
        );
        findings.push(Finding::note(name, text));
    }
    let triggers: Vec<&str> = basis
        .view
        .schema
        .objects_of(ObjectKind::Trigger)
        .filter(|trigger| trigger.table.eq_ignore_ascii_case(name))
        .map(|trigger| trigger.name.as_str())
        .collect();
    if plan.is_touched() && !triggers.is_empty() {
        let do_not = if basis.options.fire_triggers {
            ""
        } else {
            " do not"
        };
        let text = format!("triggers{do_not} fire: {}", triggers.join(", "));
        findings.push(Finding::note(name, text));
    }
}

/// ` (email is only there: was it renamed? if so: --rename customers.mail=email)`
fn renamed(table: &str, column: &str, new: &[String]) -> String {
    let flag = |to: &str| {
        let word = format!("{}.{}={to}", written(table), written(column));
        match word.bytes().any(|byte| b"\"' ".contains(&byte)) {
            true => format!("--rename '{}'", word.replace('\'', "'\\''")),
            false => format!("--rename {word}"),
        }
    };
    match new {
        [] => String::new(),
        [one] => format!(
            " ({one} is only there: was it renamed? if so: {})",
            flag(&written(one))
        ),
        [several @ .., last] => format!(
            " ({} and {last} are only there: was it renamed to one of them? if so: {})",
            several.join(", "),
            flag("NEW")
        ),
    }
}

/// A name as it stands in an option: in quotes if it must.
fn written(name: &str) -> String {
    match name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Columns that only one side has.
fn columns(shape: &TableShape, plan: &TablePlan<'_>, findings: &mut Vec<Finding>) {
    let (name, tally) = (&shape.live.name, &plan.tally);
    let (added, inserted) = (&shape.map.added, tally.report.inserted);
    if inserted > 0 && !added.is_empty() {
        let columns = added.join(", ");
        let its = agree(added.len() as u64, "its default", "their defaults");
        let text = match plan.is_emptied {
            true => {
                let gets = agree(added.len() as u64, "gets", "get");
                let (all, them) = match inserted {
                    1 => ("its one row is".to_owned(), "it"),
                    n => (format!("all {} are", counted(n, "row")), "them"),
                };
                format!(
                    "the snapshot has no {columns}: {all} written anew; {columns} {gets} {its} in {them}"
                )
            }
            false => {
                let (new, get) = (counted(inserted, "new row"), agree(inserted, "gets", "get"));
                format!("the snapshot has no {columns}: {new} {get} {its}")
            }
        };
        findings.push(Finding::note(name, text));
    }
    for ((column, _), lost) in shape.map.dropped.iter().zip(&tally.lost) {
        if *lost > 0 {
            let text = format!(
                "the database has no column {column}: {} of it {} not restored{}",
                counted(*lost, "value"),
                agree(*lost, "is", "are"),
                renamed(name, column, &shape.map.added)
            );
            findings.push(Finding::warning(name, text));
        }
    }
}
