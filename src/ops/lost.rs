//! Which records of a snapshot cannot be read: all of its blobs are read, and what is below one that is
//! damaged or missing is named as a validation names it.

use crate::error::{BlobError, Error, LostRecords};
use crate::format::FormatError;
use crate::format::blob::{BlobErrorKind, BlobKind};
use crate::format::manifest::Entity;
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};
use crate::ops::stored::root_of;
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader};
use crate::target::shown;
use crate::tree::check::{self, Affected, Claim, Visitor};
use crate::tree::{Order, TreeShape};

/// Records that a blob takes with it; all of the entity's without `affected`. Ids are told of trees whose
/// rowid is a column only: another one says nothing to people.
pub(crate) fn lost_records(
    entity: &Entity,
    shape: Option<&TreeShape>,
    affected: Option<&Affected>,
    error: &BlobError,
) -> LostRecords {
    let encoding = shape.map_or(TextEncoding::Utf8, |shape| shape.encoding);
    let key = |key: Option<&[Value]>| {
        let values = key?.iter().map(|value| for_people(value, encoding));
        Some(values.collect::<Vec<_>>().join(", "))
    };
    let has_ids = shape.is_some_and(|shape| shape.order == Order::RowidAlias);
    LostRecords {
        table: entity.entity.clone(),
        records: affected.map_or(entity.records, |affected| affected.rows),
        first_ordinal: affected.map_or(0, |affected| affected.first_ordinal),
        after_key: key(affected.and_then(|affected| affected.after_key.as_deref())),
        last_key: key(affected.and_then(|affected| affected.last_key.as_deref())),
        ids: affected
            .and_then(|affected| affected.rowids)
            .filter(|_| has_ids),
        blob: (error.kind.name(), error.id.to_string()),
        cause: error.cause.to_string(),
    }
}

fn for_people(value: &Value, encoding: TextEncoding) -> String {
    match value {
        Value::Text(bytes) => match encoding.decode(bytes) {
            Some(text) => shown(ValueRef::Text(text.as_bytes())),
            None => shown(value.as_ref()),
        },
        value => shown(value.as_ref()),
    }
}

/// The error of an entity whose table the schema lacks.
pub(crate) fn no_table(entity: &Entity) -> Option<BlobError> {
    let root = root_of(entity)?;
    Some(BlobError {
        why: BlobErrorKind::Damaged,
        kind: BlobKind::Schema,
        id: root.id,
        cause: Box::new(FormatError::Invalid {
            what: "a schema without the table",
        }),
    })
}

/// Reads all of these trees, and gives what cannot be read: in order, no record twice. `shape` is `None`
/// where the schema lacks the table. Progress is told in blobs.
///
/// Errors: `Store` if blobs cannot be read for other reasons than damage; `Cancelled`.
pub(crate) fn survey<'m>(
    reader: &StoreReader,
    trees: impl Iterator<Item = (&'m Entity, Option<TreeShape>)>,
    progress: &mut dyn Progress,
) -> Result<Vec<LostRecords>, Error> {
    let mut lost = Vec::new();
    for (entity, shape) in trees {
        let Some(root) = root_of(entity) else {
            continue;
        };
        let Some(shape) = shape else {
            lost.extend(no_table(entity).map(|error| lost_records(entity, None, None, &error)));
            continue;
        };
        let mut survey = Survey {
            progress,
            found: Vec::new(),
        };
        let done = check::check(reader, reader.hash(), &shape, &root, &mut survey);
        let found = survey.found;
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        done.map_err(StoreError::from)?;
        let found = found.iter();
        lost.extend(
            found
                .map(|(error, affected)| lost_records(entity, Some(&shape), Some(affected), error)),
        );
    }
    Ok(lost)
}

/// Collects what is damaged.
struct Survey<'a> {
    progress: &'a mut dyn Progress,
    found: Vec<(BlobError, Affected)>,
}

impl Visitor for Survey<'_> {
    fn is_good(&mut self, claim: &Claim) -> Result<bool, BlobError> {
        if self.progress.cancelled() {
            return Err(BlobError {
                why: BlobErrorKind::Unavailable,
                kind: claim.kind,
                id: claim.id,
                cause: "stopped".into(),
            });
        }
        Ok(false)
    }

    fn set_good(&mut self, _: &Claim) -> Result<(), BlobError> {
        self.progress.advance(1);
        Ok(())
    }

    fn damaged(&mut self, error: BlobError, affected: Affected) {
        // Of two values of one record the first is told.
        let place = |of: &Affected| (of.first_ordinal, of.rows);
        let last = self.found.last().map(|(_, last)| place(last));
        if last != Some(place(&affected)) {
            self.found.push((error, affected));
        }
    }
}
