//! The records of a snapshot's table, in order, with a look at Ctrl-C now and then.

use crate::error::Error;
use crate::format::blob::BlobError;
use crate::format::manifest::{Entity, Manifest};
use crate::model::row::RowRef;
use crate::model::text::TextEncoding;
use crate::ops::content::StoredContent;
use crate::ops::list::SnapshotSummary;
use crate::ops::stored::root_of;
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader};
use crate::target::{SpilledContent, TargetError, in_utf8};
use crate::tree::TreeShape;
use crate::tree::cursor::Cursor;
use crate::tree::holes::Holes;

/// What is restored: a snapshot, and where its records are read.
pub(super) struct Records<'r> {
    pub reader: StoreReader,
    pub manifest: &'r Manifest,
    pub summary: SnapshotSummary,
}

/// Records between two looks at Ctrl-C.
const RECORDS_A_STEP: u64 = 4096;

/// Why the records ended early.
enum Stop {
    Blob(BlobError),
    Target(TargetError),
    Cancelled,
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

/// As [`for_each`], the texts in UTF-8: those of the snapshot are in `encoding`.
pub(super) fn for_each_in_utf8(
    reader: &StoreReader,
    (shape, encoding): (&TreeShape, TextEncoding),
    entity: &Entity,
    progress: &mut dyn Progress,
    mut each: impl FnMut(u64, RowRef<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), Error> {
    for_each(reader, shape, entity, progress, |place, row, content| {
        in_utf8(
            encoding,
            row,
            content,
            |cause| unreadable(&entity.entity, place, cause),
            |row, content| each(place, row, content),
        )
    })
}

/// The error for a long text of a record that cannot be read.
pub(super) fn unreadable(table: &str, place: u64, cause: std::io::Error) -> TargetError {
    TargetError::Content {
        table: table.to_owned(),
        row: format!("record {}", place + 1),
        cause,
    }
}

/// Calls `each` for every record with its place, from 0. Memory: one leaf of the tree.
pub(super) fn for_each(
    reader: &StoreReader,
    shape: &TreeShape,
    entity: &Entity,
    progress: &mut dyn Progress,
    each: impl FnMut(u64, RowRef<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), Error> {
    for_each_outside(reader, shape, entity, &Holes::default(), progress, each)
}

/// The same, but for the records in `holes`.
pub(super) fn for_each_outside(
    reader: &StoreReader,
    shape: &TreeShape,
    entity: &Entity,
    holes: &Holes,
    progress: &mut dyn Progress,
    mut each: impl FnMut(u64, RowRef<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), Error> {
    let root = root_of(entity);
    let mut content = StoredContent::new(reader);
    let mut untold = 0;
    let mut cursor = Cursor::new(reader, shape, root.as_ref());
    let done = cursor.for_each_outside(holes, |place, row| {
        each(place, row, &mut content).map_err(Stop::Target)?;
        untold += 1;
        if untold == RECORDS_A_STEP {
            progress.advance(std::mem::take(&mut untold));
            if progress.cancelled() {
                return Err(Stop::Cancelled);
            }
        }
        Ok(())
    });
    progress.advance(untold);
    match done {
        Ok(()) => Ok(()),
        Err(Stop::Cancelled) => Err(Error::Cancelled),
        Err(Stop::Blob(error)) => Err(StoreError::from(error).into()),
        // A large value that cannot be read is the store's failure, not the target's.
        Err(Stop::Target(error)) => match content.failure() {
            Some(blob) => Err(StoreError::from(blob).into()),
            None => Err(error.into()),
        },
    }
}
