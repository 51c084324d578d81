//! The drill: every snapshot is restored into a scratch file, SQLite checks it whole, and every record
//! of it is read again and compared with the stored trees. The scratch file never gets a name that
//! stays. What comes of it is a receipt.

use std::path::Path;

use super::AffectedRecords;
use super::findings::Findings;
use crate::error::{Error, StoreError};
use crate::model::id::SnapshotId;
use crate::ops::open::{Store, World};
use crate::ops::restore::{Tried, try_out};
use crate::progress::{Finding, Progress};
use crate::store::rfc3339;

/// What was restored for trial, where, when and by what: a document that can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Id of the store.
    pub store_id: String,
    /// When it began, RFC 3339 in UTC.
    pub time: String,
    /// Name of the machine.
    pub host: String,
    /// Version of larder.
    pub larder: &'static str,
    /// Version of SQLite.
    pub sqlite: &'static str,
    /// The snapshots, newest first.
    pub snapshots: Vec<Drilled>,
}

/// A snapshot that was restored for trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// BLAKE3 of its manifest as it is stored, in hex.
    pub manifest_digest: String,
    /// Entities of the snapshot; SQLite's own tables, and those behind virtual ones, are restored and compared too.
    pub entities: u64,
    /// Records of the entities.
    pub records: u64,
    /// Length of the database that was made.
    pub bytes: u64,
    /// Time it took, from the first record to the last comparison.
    pub elapsed_ms: u64,
    /// What was checked of it.
    pub checked: Vec<&'static str>,
    /// What is not exactly as it was, as the backup told already, and the like.
    pub findings: Vec<Finding>,
    /// Why it could not be restored; `None`: it was, exactly.
    pub failure: Option<String>,
}

/// Restores snapshots for trial, one after the other, in this folder. One that cannot be restored is
/// damage; it is an error if the trial could not be made, as for want of space.
pub(super) fn run(
    store: &Store,
    world: &World,
    snapshots: &[SnapshotId],
    folder: &Path,
    found: &mut Findings,
    progress: &mut dyn Progress,
) -> Result<Receipt, Error> {
    let mut receipt = Receipt {
        store_id: store.id().to_string(),
        time: rfc3339(world.env.unix_ms()),
        host: world.env.host(),
        larder: env!("CARGO_PKG_VERSION"),
        sqlite: crate::target::sqlite_version(),
        snapshots: Vec::new(),
    };
    for id in snapshots {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        // Forgotten meanwhile.
        let Some(manifest) = store.manifest(id)? else {
            continue;
        };
        let Some(manifest_digest) = store.manifest_digest(id)? else {
            continue;
        };
        let begun = world.env.monotonic();
        let tried = match try_out(store, world, &manifest, folder, progress) {
            Err(error) if is_of_snapshot(&error) => Err(error.to_string()),
            tried => Ok(tried?),
        };
        let elapsed = world.env.monotonic().saturating_sub(begun);
        let (tried, failure) = match tried {
            Ok(tried) => (tried, None),
            Err(failure) => (Tried::default(), Some(failure)),
        };
        if let Some(failure) = &failure {
            let affected = AffectedRecords {
                entity: String::new(),
                records: manifest.records(),
                range: "the whole snapshot".to_owned(),
                snapshots: vec![id.short().to_owned()],
            };
            let cause = format!("it cannot be restored: {failure}");
            found.difference(format!("snapshot {id}"), cause, affected);
        }
        receipt.snapshots.push(Drilled {
            id: id.to_string(),
            name: manifest.name.clone(),
            manifest_digest,
            entities: manifest.entities.len() as u64,
            records: manifest.records(),
            bytes: tried.bytes,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            checked: tried.checked,
            findings: tried.findings,
            failure,
        });
    }
    Ok(receipt)
}

/// True for a failure that is the snapshot's own: others say nothing of it.
fn is_of_snapshot(error: &Error) -> bool {
    use crate::error::TargetError as T;
    match error {
        Error::Store(error) => {
            matches!(
                error,
                StoreError::Blob(blob) if blob.why != crate::error::BlobErrorKind::Unavailable
            ) || matches!(error, StoreError::Damaged { .. })
        }
        Error::Target(T::Sqlite { cause, .. }) => cause.is_of_text(),
        Error::Target(error) => matches!(
            error,
            T::Damaged { .. }
                | T::Count { .. }
                | T::Constraint { .. }
                | T::RowShape { .. }
                | T::SchemaDiffers { .. }
                | T::Unsupported { .. }
        ),
        _ => false,
    }
}
