//! A plan is carried out in one transaction, checked, and kept, so that it can be undone: or nothing is.

use super::apply;
use super::verify;
use crate::error::Error;
use crate::ops::backup::Deed;
use crate::ops::list::SnapshotSummary;
use crate::ops::open::{Store, World};
use crate::ops::restore::basis::{Basis, Conflicts};
use crate::ops::restore::plan::Plan;
use crate::ops::restore::report::ConflictKind;
use crate::ops::restore::scope::shape::TableShape;
use crate::ops::safety::{self, Before};
use crate::progress::{Finding, Progress, Unit};
use crate::target::TargetError;

/// Keeps what a restore makes of the database, so that it can be undone.
pub(in crate::ops::restore) struct Keeper<'k> {
    pub store: &'k Store,
    pub world: &'k World,
    /// The safety snapshot; `None`: there is none, and nothing is kept.
    pub before: Option<&'k Before>,
}

/// What came of a transaction that was begun.
#[derive(Default)]
pub(in crate::ops::restore) struct Done {
    pub conflicts: Conflicts,
    pub findings: Vec<Finding>,
    pub after: Option<SnapshotSummary>,
}

/// Writes, checks and commits. `None`: the database is no longer what the plan saw. With conflicts
/// that only showed when it was written, or after an error, everything is taken back.
pub(in crate::ops::restore) fn write(
    basis: &Basis<'_>,
    keeper: &Keeper<'_>,
    shapes: &[TableShape],
    plan: &Plan<'_>,
    progress: &mut dyn Progress,
) -> Result<Option<Done>, Error> {
    let live = basis.live;
    if basis.view.schema.objects.is_empty() {
        live.set_before_pages(&basis.manifest.settings)?;
    }
    if !live.begin_write(basis.view)? {
        return Ok(None);
    }
    let mut done = Done::default();
    match carry_out(basis, keeper, shapes, plan, &mut done, progress) {
        Ok(()) if done.conflicts.is_empty() => {
            done.after = safety::commit(
                keeper.store,
                keeper.world,
                live,
                keeper.before,
                Deed::Restore(basis.manifest.id.clone()),
                &changed(basis, shapes, plan),
                progress,
            )?;
            Ok(Some(done))
        }
        Ok(()) => {
            live.roll_back();
            Ok(Some(done))
        }
        // A record that the database refuses contradicts it, though the plan could not see that.
        Err(Error::Target(TargetError::Constraint { table, row, cause })) => {
            live.roll_back();
            done.conflicts
                .note(ConflictKind::Refused, &table, row, cause.message);
            Ok(Some(done))
        }
        Err(error) => {
            live.roll_back();
            Err(error)
        }
    }
}

fn carry_out(
    basis: &Basis<'_>,
    keeper: &Keeper<'_>,
    shapes: &[TableShape],
    plan: &Plan<'_>,
    done: &mut Done,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let saved = keeper.before.map(|before| &before.manifest);
    let before = verify::Before::of(basis, shapes, plan, saved)?;
    done.findings = apply::run(basis, shapes, plan, progress)?;
    progress.phase("Checking", 0, Unit::Records);
    let (conflicts, findings) = (&mut done.conflicts, &mut done.findings);
    before.compare(basis, shapes, plan, conflicts, findings)?;
    verify::integrity(basis, basis.options.check, findings)?;
    Ok(())
}

/// Tables whose rows were written, or may have been.
fn changed(basis: &Basis<'_>, shapes: &[TableShape], plan: &Plan<'_>) -> Vec<String> {
    if basis.options.fire_triggers {
        let tables = basis.view.schema.tables.iter();
        return tables.map(|table| table.name.clone()).collect();
    }
    let touched = shapes.iter().zip(&plan.tables);
    let touched = touched.filter(|(_, table)| table.is_touched());
    let given = plan.given.iter().map(|given| given.table.clone());
    let names = touched.map(|(shape, _)| shape.live.name.clone());
    names.chain(given).collect()
}
