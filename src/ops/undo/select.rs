//! Which restore is undone.

use super::UndoOptions;
use crate::error::{Error, SelectError};
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::ops::select::{self, SourceChoice, newest_first};
use crate::source::recorded_path;

/// The snapshot of what the restore made, and the one before it.
///
/// Errors: `Select` if there is no such restore, `Store`.
pub(super) fn restore(store: &Store, options: &UndoOptions) -> Result<(Manifest, Manifest), Error> {
    let after = match &options.restore {
        Some(word) => select::one(store, word, &SourceChoice::Any)?,
        None => last(store, options)?,
    };
    let Some(mark) = &after.restore else {
        return Err(SelectError::NotARestore {
            snapshot: after.name.clone(),
        }
        .into());
    };
    let before = store.manifest(&mark.before)?;
    let before = before.ok_or_else(|| SelectError::NoSnapshot {
        word: mark.before.to_string(),
        store: store.location(),
        nearest: None,
    })?;
    Ok((after, before))
}

/// The last restore into the database that was not undone.
fn last(store: &Store, options: &UndoOptions) -> Result<Manifest, Error> {
    let path = recorded_path(&options.target);
    let path = path.to_string_lossy();
    let (mut found, mut undone) = (None, Vec::<SnapshotId>::new());
    newest_first(
        store,
        |manifest| {
            let Some(mark) = manifest
                .restore
                .as_ref()
                .filter(|_| manifest.source.path == path)
            else {
                return Ok(true);
            };
            match &mark.undoes {
                Some(other) => undone.push(other.clone()),
                None if undone.contains(&manifest.id) => {}
                None => {
                    found = Some(manifest);
                    return Ok(false);
                }
            }
            Ok(true)
        },
        |_, error| Err(error.into()),
    )?;
    found.ok_or_else(|| {
        SelectError::NothingToUndo {
            database: options.target.display().to_string(),
            store: store.location(),
        }
        .into()
    })
}
