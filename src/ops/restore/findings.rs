//! What about a table's part of a plan is worth saying.

use super::basis::Basis;
use super::plan::TablePlan;
use super::shape::TableShape;
use crate::model::schema::ObjectKind;
use crate::progress::Finding;

/// Adds what is worth saying of one table.
pub(super) fn of_table(
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
    if shape.made {
        findings.push(Finding::note(name, "the database lacks it: it is made"));
        return;
    }
    if tally.report.inserted > 0 && !shape.map.added.is_empty() {
        let text = format!(
            "the snapshot has no {}: new rows get the default",
            shape.map.added.join(", ")
        );
        findings.push(Finding::note(name, text));
    }
    for ((column, _), lost) in shape.map.dropped.iter().zip(&tally.lost) {
        if *lost > 0 {
            let text =
                format!("the database has no column {column}: {lost} values are not restored");
            findings.push(Finding::warning(name, text));
        }
    }
    let doubtful = tally.report.left_out.doubtful;
    if doubtful > 0 {
        let text = format!(
            "{doubtful} records have the primary key of a row with another UNIQUE key (renamed, or an id \
             given to another thing): the rows stay as they are"
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
            "{count} inserted records refer to rows of {} that may be other things now",
            shapes[*parent].live.name
        );
        findings.push(Finding::note(name, text));
    }
    if tally.report.carried > 0 {
        let text = format!(
            "{} references have no target in the snapshot either: they are restored as they are",
            tally.report.carried
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
