//! A new file from records, by SQL: INSERT, then CREATE INDEX.

use super::{Making, expected};
use crate::error::Error;
use crate::format::manifest::Entity;
use crate::model::counted::{agree, counted};
use crate::ops::restore::records;
use crate::progress::{Progress, Unit};
use crate::store::StoreReader;
use crate::target::{Completed, NewDatabase, TableWriter, TargetError};
use crate::tree::TreeShape;
use crate::tree::holes::Holes;

/// Inserts every record, and checks what comes of them.
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
    let database = NewDatabase::create(
        &world.vfs,
        *place,
        &manifest.settings,
        schema,
        basis.skipped(),
        // What it cannot make is kept as pages.
        manifest.pages.is_some(),
    )?;
    progress.phase("Restoring", basis.records(), Unit::Records);
    for table in database.tables() {
        let Some(entity) = manifest.all_tables().find(|e| e.entity == table.name) else {
            continue;
        };
        let mut writer = database.writer(table)?;
        let shape = TreeShape::of(table, schema.encoding);
        let holes = lost.holes(&table.name);
        fill(reader, (&shape, entity, &holes), &mut writer, progress)?;
        basis.ensure_count(entity, writer.count())?;
    }
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    progress.phase("Building indexes and checking", 0, Unit::Records);
    Ok(database.complete(options.check, &expected(manifest, schema, lost))?)
}

fn fill(
    reader: &StoreReader,
    (shape, entity, holes): (&TreeShape, &Entity, &Holes),
    writer: &mut TableWriter<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    records::for_each_outside(reader, shape, entity, holes, progress, |_, row, content| {
        writer.row(row, content)
    })?;
    match writer.generated_differ() {
        0 => Ok(()),
        rows => Err(TargetError::Damaged {
            path: std::path::PathBuf::from(&entity.entity),
            lines: vec![format!(
                "{} {} other generated values than were stored",
                counted(rows, "row"),
                agree(rows, "has", "have")
            )],
        }
        .into()),
    }
}
