//! The rows in which the states before and after a restore differ, and those of the state before.

use super::Restored;
use crate::error::Error;
use crate::format::blob::BlobError;
use crate::format::manifest::Manifest;
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Table};
use crate::ops::content::StoredContent;
use crate::ops::stored::root_of;
use crate::store::StoreError;
use crate::target::{SpilledContent, TargetError, in_utf8};
use crate::tree::TreeShape;
use crate::tree::cursor::Cursor;
use crate::tree::diff::{Difference as Change, State, by_place};

/// Calls `each` for every row in which the states before and after the restore differ, with its place
/// among them. False if rows cannot be told apart.
pub(super) fn each_change(
    restored: &Restored<'_>,
    name: &str,
    mut each: impl FnMut(u64, Change<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<bool, Error> {
    let Some(after) = restored.after_schema.table(name) else {
        return Ok(true);
    };
    let before = restored.before_schema.table(name).unwrap_or(after);
    let shape = |table: &Table, schema: &Schema| TreeShape::of(table, schema.encoding);
    let shapes = (
        shape(before, restored.before_schema),
        shape(after, restored.after_schema),
    );
    let root = |manifest: &Manifest| manifest.entity(name).and_then(root_of);
    let roots = (root(restored.before), root(restored.after));
    let mut content = StoredContent::new(restored.reader);
    let mut place = 0;
    let compared = by_place(
        restored.reader,
        State {
            shape: &shapes.0,
            root: roots.0.as_ref(),
            key: &[],
        },
        State {
            shape: &shapes.1,
            root: roots.1.as_ref(),
            key: &[],
        },
        &mut |change| {
            in_texts(restored, name, change, place, &mut content, &mut each)
                .map_err(Stop::Target)?;
            place += 1;
            Ok::<(), Stop>(())
        },
    );
    compared.map_err(|stop| stop.told(content))
}

/// Calls `each` for every row that a table had before the restore, its texts in UTF-8.
pub(super) fn each_before(
    restored: &Restored<'_>,
    name: &str,
    mut each: impl FnMut(RowRef<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), Error> {
    let entity = restored.before.entity(name);
    let (Some(table), Some(entity)) = (restored.before_schema.table(name), entity) else {
        return Ok(());
    };
    let encoding = restored.before_schema.encoding;
    let shape = TreeShape::of(table, encoding);
    let failed = |cause| TargetError::Content {
        table: name.to_owned(),
        row: "a row before the restore".to_owned(),
        cause,
    };
    let mut content = StoredContent::new(restored.reader);
    let root = root_of(entity);
    let done = Cursor::new(restored.reader, &shape, root.as_ref()).for_each(|row| {
        in_utf8(encoding, row, &mut content, failed, &mut each).map_err(Stop::Target)
    });
    done.map_err(|stop| stop.told(content))
}

/// Calls `each` with the rows of a change, their texts in UTF-8.
fn in_texts(
    restored: &Restored<'_>,
    name: &str,
    change: Change<'_>,
    place: u64,
    content: &mut dyn SpilledContent,
    each: &mut impl FnMut(u64, Change<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    let encoding = restored.after_schema.encoding;
    let failed = |cause| TargetError::Content {
        table: name.to_owned(),
        row: format!("change {}", place + 1),
        cause,
    };
    match change {
        Change::Added(row) => in_utf8(encoding, row, content, failed, |row, content| {
            each(place, Change::Added(row), content)
        }),
        Change::Removed(row) => in_utf8(encoding, row, content, failed, |row, content| {
            each(place, Change::Removed(row), content)
        }),
        Change::Changed(was, is) => in_utf8(encoding, was, content, failed, |was, content| {
            in_utf8(encoding, is, content, failed, |is, content| {
                each(place, Change::Changed(was, is), content)
            })
        }),
    }
}

/// Why the differences ended early.
enum Stop {
    Blob(BlobError),
    Target(TargetError),
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl Stop {
    /// A large value that cannot be read is the store's failure, not the target's.
    fn told(self, content: StoredContent<'_>) -> Error {
        match self {
            Self::Blob(error) => StoreError::from(error).into(),
            Self::Target(error) => match content.failure() {
                Some(blob) => StoreError::from(blob).into(),
                None => error.into(),
            },
        }
    }
}
