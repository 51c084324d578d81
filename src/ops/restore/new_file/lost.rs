//! A damaged snapshot: what of it is lost is found before anything is made, so that the new file lacks
//! exactly what is told.

use std::collections::BTreeSet;

use super::is_from_pages;
use crate::error::{BlobErrorKind, Error, LostRecords, NotWhole, NotWholePart};
use crate::format::manifest::{Entity, Manifest};
use crate::model::counted::counted;
use crate::model::schema::Schema;
use crate::ops::lost::survey;
use crate::ops::restore::records::Records;
use crate::ops::restore::{Form, RestoreOptions};
use crate::ops::stored::{read_schema, trees};
use crate::progress::{Finding, Progress, Unit};
use crate::store::{StoreError, StoreReader};
use crate::tree::holes::Holes;

/// What of a snapshot's records cannot be had.
#[derive(Debug, Default)]
pub(in crate::ops::restore) struct Lost {
    pub records: Vec<LostRecords>,
}

impl Lost {
    /// The records of a table that are passed over.
    pub fn holes(&self, table: &str) -> Holes {
        let of_table = self.records.iter().filter(|lost| lost.table == table);
        Holes::of(of_table.map(|lost| (lost.first_ordinal, lost.records)))
    }

    /// Tables that lack records.
    pub fn tables(&self) -> BTreeSet<&str> {
        self.records
            .iter()
            .map(|lost| lost.table.as_str())
            .collect()
    }

    /// Every range that is lost, as a warning.
    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        self.records.iter().map(|lost| {
            let (kind, id) = &lost.blob;
            let count = match lost.records {
                1 => String::new(),
                n => format!(" ({})", counted(n, "record")),
            };
            let text = format!(
                "{}{count} cannot be restored: {kind} {id}: {}",
                lost.range(),
                lost.cause
            );
            Finding::warning(format!("table {}", lost.table), text)
        })
    }
}

/// What a restore with `allow_damaged` is made from, and what it lacks.
///
/// Pages are all or nothing: where some are lost and nobody asked for pages, records are taken.
pub(super) fn find(
    basis: &Records<'_>,
    schema: &Schema,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<(bool, Lost, Option<Finding>), Error> {
    let Records {
        reader, manifest, ..
    } = basis;
    let mut note = None;
    if is_from_pages(manifest, options)? {
        let pages = of_pages(reader, manifest, schema, progress)?;
        if pages.is_empty() {
            return Ok((true, Lost::default(), None));
        }
        if options.form == Form::Pages {
            return Err(not_whole(
                manifest,
                options,
                true,
                NotWholePart::Pages(pages),
            ));
        }
        let lost = pages.iter().map(|lost| lost.records).sum();
        let text = format!(
            "{} of it cannot be read: it is made from its records",
            counted(lost, "page")
        );
        note = Some(Finding::note(options.target.display().to_string(), text));
    }
    let records = of_tables(reader, manifest, schema, progress)?;
    Ok((false, Lost { records }, note))
}

/// An error of a restore that damage of the snapshot caused, with all that is damaged of it. Any other
/// error as it is.
pub(in crate::ops::restore) fn explained(
    error: Error,
    basis: &Records<'_>,
    options: &RestoreOptions,
    exists: bool,
    progress: &mut dyn Progress,
) -> Error {
    if !is_damage(&error) {
        return error;
    }
    let is_built = !exists || options.whole_file;
    let part = match part(basis, options, is_built, progress) {
        Ok(Some(part)) => part,
        Err(Error::Cancelled) => return Error::Cancelled,
        // It is not the snapshot's.
        Ok(None) | Err(_) => return error,
    };
    not_whole(basis.manifest, options, !exists, part)
}

fn part(
    basis: &Records<'_>,
    options: &RestoreOptions,
    is_built: bool,
    progress: &mut dyn Progress,
) -> Result<Option<NotWholePart>, Error> {
    let Records {
        reader, manifest, ..
    } = basis;
    let schema = match read_schema(reader, manifest) {
        Ok(schema) => schema,
        Err(error) if is_damage(&error) => {
            return Ok(Some(NotWholePart::Schema(error.to_string())));
        }
        Err(error) => return Err(error),
    };
    if is_built && is_from_pages(manifest, options)? {
        let pages = of_pages(reader, manifest, &schema, progress)?;
        return Ok(Some(NotWholePart::Pages(pages)).filter(has_lost));
    }
    let records = of_tables(reader, manifest, &schema, progress)?;
    Ok(Some(NotWholePart::Records(records)).filter(has_lost))
}

fn has_lost(part: &NotWholePart) -> bool {
    match part {
        NotWholePart::Schema(_) => true,
        NotWholePart::Records(lost) | NotWholePart::Pages(lost) => !lost.is_empty(),
    }
}

fn is_damage(error: &Error) -> bool {
    match error {
        Error::Store(StoreError::Blob(blob)) => blob.why != BlobErrorKind::Unavailable,
        Error::Store(StoreError::Damaged { .. }) => true,
        _ => false,
    }
}

fn not_whole(
    manifest: &Manifest,
    options: &RestoreOptions,
    new_file: bool,
    lost: NotWholePart,
) -> Error {
    Error::NotWhole(Box::new(NotWhole {
        snapshot: manifest.name.clone(),
        target: new_file.then(|| options.target.clone()),
        records: manifest.all_tables().map(|entity| entity.records).sum(),
        lost,
    }))
}

fn of_tables(
    reader: &StoreReader,
    manifest: &Manifest,
    schema: &Schema,
    progress: &mut dyn Progress,
) -> Result<Vec<LostRecords>, Error> {
    look(progress);
    let is_table = |entity: &Entity| !is_pages(manifest, entity);
    let tables = trees(manifest, schema).filter(|(entity, _)| is_table(entity));
    survey(reader, tables, progress)
}

fn of_pages(
    reader: &StoreReader,
    manifest: &Manifest,
    schema: &Schema,
    progress: &mut dyn Progress,
) -> Result<Vec<LostRecords>, Error> {
    look(progress);
    let pages = trees(manifest, schema).filter(|(entity, _)| is_pages(manifest, entity));
    survey(reader, pages, progress)
}

fn is_pages(manifest: &Manifest, entity: &Entity) -> bool {
    let mut pages = manifest.pages.iter();
    pages.any(|pages| std::ptr::eq(pages, entity))
}

fn look(progress: &mut dyn Progress) {
    progress.phase("Looking for what is damaged", 0, Unit::Blobs);
}
