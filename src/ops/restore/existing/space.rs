//! Whether what a plan writes has room beside the database. Only what cannot fit at all is refused: how
//! much SQLite will need for it is not known before.

use crate::ops::restore::basis::Basis;
use crate::ops::restore::plan::Plan;
use crate::target::TargetError;
use crate::vfs::{Vfs, folder_of};

/// What is lacking; `None`: nothing that is known of.
///
/// Errors: `Damaged`.
pub(in crate::ops::restore) fn lacking(
    vfs: &dyn Vfs,
    basis: &Basis<'_>,
    plan: &Plan<'_>,
) -> Result<Option<TargetError>, TargetError> {
    let path = basis.live.path();
    let needed: u64 = plan.tables.iter().map(|t| t.tally.report.bytes).sum();
    let Some(free) = vfs.free_bytes(folder_of(path)) else {
        return Ok(None);
    };
    if needed <= free || needed <= free.saturating_add(basis.live.unused_bytes()?) {
        return Ok(None);
    }
    Ok(Some(TargetError::LittleSpace {
        path: path.to_owned(),
        needed,
        free,
    }))
}
