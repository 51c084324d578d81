//! A new file from records, whose trees larder writes itself.

use super::{Making, expected};
use crate::error::Error;
use crate::ops::restore::records;
use crate::progress::{Progress, Unit};
use crate::target::{BuiltDatabase, Completed};
use crate::tree::TreeShape;

/// Hands every record to the builder, and checks what comes of them.
///
/// Errors: `NeedsSql` where that cannot be done.
pub(super) fn build(basis: &Making<'_>, progress: &mut dyn Progress) -> Result<Completed, Error> {
    let Making {
        reader,
        world,
        manifest,
        schema,
        options,
        lost,
        place,
    } = basis;
    let mut database = BuiltDatabase::create(
        &world.vfs,
        *place,
        &manifest.settings,
        schema,
        basis.skipped(),
        (options.sort_bytes, progress.stop_sign()),
    )?;
    progress.phase("Restoring", basis.records(), Unit::Records);
    for at in 0.. {
        let Some(mut writer) = database.writer(at) else {
            break;
        };
        let table = writer.table();
        if let Some(entity) = manifest.all_tables().find(|e| e.entity == table.name) {
            let shape = TreeShape::of(table, schema.encoding);
            let holes = lost.holes(&table.name);
            let (shape, holes) = (&shape, &holes);
            records::for_each_outside(
                reader,
                shape,
                entity,
                holes,
                progress,
                |_, row, content| writer.row(row, content),
            )?;
        }
        writer.end()?;
    }
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    progress.phase("Building indexes and checking", 0, Unit::Records);
    let written = database.write_indexes();
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    written?;
    Ok(database.complete(options.check, &expected(manifest, schema, lost))?)
}
