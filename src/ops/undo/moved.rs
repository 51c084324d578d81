//! Rows that are not where the restore left them, in tables whose rows are known by a rowid that is no
//! column: VACUUM numbers these anew. A row that was deleted is undone; one that only moved is not.

use super::changes::{each_before, each_change};
use super::look::Looks;
use super::plan::TablePlan;
use super::{Changed, Restored};
use crate::error::Error;
use crate::target::{ColumnMap, Copies, Ordinals, TargetError};
use crate::tree::diff::Difference as Change;

/// Names a row, if there are not too many: asks for what is told of it.
type Name<'n> = &'n mut dyn FnMut(Describe<'_>) -> Result<(), TargetError>;
type Describe<'d> = &'d dyn Fn() -> Result<Changed, TargetError>;

/// Why such a row stays.
const REASON: &str = "it has another rowid now, as VACUUM gives it: it cannot be told from others";

/// Looks for rows of the same values as those that are `missing`, by the places of their differences, and
/// takes them for these: they stay.
pub(super) fn keep(
    restored: &Restored<'_>,
    table: &mut TablePlan<'_>,
    map: &ColumnMap,
    looks: &mut Looks<'_>,
    missing: &mut Ordinals<'_>,
    name: Name<'_>,
) -> Result<(), Error> {
    if missing.count() == 0 {
        return Ok(());
    }
    let (live, stored) = (&table.live, table.live.name.as_str());
    let mut copies = Copies::of(restored.live, live, map)?;
    // What is in its place is no other row.
    each_before(restored, stored, |row, content| {
        if looks.is_in_place(row, content)? {
            looks.with_record(row, |record| {
                copies.take(restored.live, live, map, record, content)
            })?;
        }
        Ok(())
    })?;
    let mut deletions = table.deletions.read()?;
    let mut steps = table.steps.read()?;
    each_change(restored, stored, |place, change, content| {
        let is_in_place = deletions.of(place)?.is_some() | steps.of(place)?.is_some();
        if let Change::Added(made) | Change::Changed(_, made) = change
            && is_in_place
        {
            looks.with_record(made, |record| {
                copies.take(restored.live, live, map, record, content)
            })?;
        }
        Ok(())
    })?;
    let report = &mut table.report;
    each_change(restored, stored, |place, change, content| {
        let Change::Added(made) = change else {
            return Ok(());
        };
        if !missing.has(place)? {
            return Ok(());
        }
        let moved = looks.with_record(made, |record| {
            copies.take(restored.live, live, map, record, content)
        })?;
        if moved {
            report.already = report.already.saturating_sub(1);
            report.conflicts += 1;
            name(&|| looks.describe(change, REASON, None))?;
        }
        Ok(())
    })?;
    Ok(())
}
