//! The snapshots of a store, newest first.

use super::select::{newest_first, source_label};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::progress::Finding;

/// A snapshot, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// Full id.
    pub id: String,
    /// Shortest form that is unique in its store, at least the time part and 4 digits.
    pub short_id: String,
    /// Its name.
    pub name: String,
    /// RFC 3339 UTC.
    pub time: String,
    /// Entity files.
    pub files: u64,
    /// Records of all entity files.
    pub records: u64,
    /// Bytes that its backup added to the store.
    pub new_bytes: u64,
    /// Name or path of its source.
    pub source: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Its source is damaged: it holds what could be read.
    pub damaged: bool,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOutcome {
    /// Where the store is.
    pub store: String,
    /// Newest first.
    pub snapshots: Vec<SnapshotSummary>,
    /// Sum of the lengths of the store's objects.
    pub store_bytes: u64,
    /// Objects that could not be read as snapshots, and foreign files.
    pub findings: Vec<Finding>,
}

/// A snapshot as lists show it; `ids` are all those of its store, sorted.
pub fn summary(manifest: &Manifest, ids: &[SnapshotId]) -> SnapshotSummary {
    SnapshotSummary {
        id: manifest.id.to_string(),
        short_id: short_id(&manifest.id, ids),
        name: manifest.name.clone(),
        time: manifest.time.clone(),
        files: manifest.entities.len() as u64,
        records: manifest.records(),
        new_bytes: manifest.new_bytes,
        source: source_label(manifest),
        tags: manifest.tags.clone(),
        damaged: manifest.damaged,
    }
}

/// The shortest beginning of an id, at least the time and 4 digits, that no other one has.
fn short_id(id: &SnapshotId, ids: &[SnapshotId]) -> String {
    let text = id.as_str();
    let at = ids.partition_point(|other| other < id);
    let neighbours = [
        at.checked_sub(1).and_then(|before| ids.get(before)),
        ids.get(at + 1),
    ];
    let shared = |other: &SnapshotId| {
        text.bytes()
            .zip(other.as_str().bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let needed = neighbours
        .into_iter()
        .flatten()
        .filter(|n| *n != id)
        .map(shared)
        .max();
    let length = needed.map_or(0, |shared| shared + 1).max(id.short().len());
    text[..length.min(text.len())].to_owned()
}

/// Lists a store's snapshots. A damaged manifest becomes a finding.
pub fn run(store: &Store) -> Result<ListOutcome, Error> {
    let names = store.snapshot_names()?;
    let mut findings: Vec<Finding> = Vec::new();
    for name in store.foreign()? {
        findings.push(Finding::note(
            name,
            "is no object of this store; it was not read",
        ));
    }
    let mut snapshots = Vec::new();
    newest_first(
        store,
        |manifest| {
            snapshots.push(summary(&manifest, &names.ids));
            Ok(true)
        },
        |id, error| {
            findings.push(Finding::warning(
                format!("snapshot {id}"),
                error.to_string(),
            ));
            Ok(())
        },
    )?;
    Ok(ListOutcome {
        store: store.location(),
        snapshots,
        store_bytes: store.bytes()?,
        findings,
    })
}
