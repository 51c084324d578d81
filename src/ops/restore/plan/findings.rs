//! What about a table's part of a plan is worth saying.

use crate::model::counted::{agree, counted};
use crate::model::schema::ObjectKind;
use crate::ops::restore::basis::Basis;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::restore::table_plan::TablePlan;
use crate::progress::Finding;

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
    // That it is made is told by itself.
    if shape.made {
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
                match shape.map.added.as_slice() {
                    [] => String::new(),
                    new => format!(" ({} is only there: was it renamed?)", new.join(", ")),
                }
            );
            findings.push(Finding::warning(name, text));
        }
    }
}
