//! A new file from the pages that a snapshot holds.

use super::{Making, expected};
use crate::error::Error;
use crate::ops::restore::records;
use crate::progress::{Progress, Unit};
use crate::target::{Completed, DatabaseImage, Expected};
use crate::tree::TreeShape;

/// Writes the pages one after the other, and checks what they make.
pub(in crate::ops::restore) fn build(
    basis: &Making<'_>,
    progress: &mut dyn Progress,
) -> Result<Completed, Error> {
    let Making {
        reader,
        world,
        manifest,
        schema,
        options,
        lost,
        place,
    } = basis;
    let mut image = DatabaseImage::create(&world.vfs, *place, &manifest.settings)?;
    if let Some(pages) = &manifest.pages {
        progress.phase("Restoring pages", pages.records, Unit::Records);
        let shape = TreeShape::pages();
        records::for_each(reader, &shape, pages, progress, |_, row, content| {
            image.page(row, content)
        })?;
    }
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    progress.phase("Checking", 0, Unit::Records);
    let expected = Expected {
        with_damage: manifest.damaged,
        ..expected(manifest, schema, lost)
    };
    Ok(image.complete(options.check, schema, &expected)?)
}
