//! The snapshots of a store, newest first.

use super::retention::GRACE;
use super::select::{newest_first, source_label};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::id::SnapshotId;
use crate::ops::open::Store;
use crate::progress::Finding;
use crate::store::{SnapshotNames, StoreError, rfc3339};

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
    /// Whether it is pinned; `None`: that was not looked up.
    pub pinned: Option<bool>,
}

/// A snapshot by its id, and what its manifest says if that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotLine {
    /// Full id.
    pub id: String,
    /// Shortest form that is unique in its store, at least the time part and 4 digits.
    pub short_id: String,
    /// As lists show it; `None`: its manifest cannot be read, or is gone.
    pub summary: Option<SnapshotSummary>,
}

/// A forgotten snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotLine,
    /// When it was forgotten, RFC 3339 UTC; `None`: its mark does not say.
    pub forgotten_at: Option<String>,
    /// Until when it can be taken back for certain, RFC 3339 UTC; `None`: it cannot, a clean-up is deleting it,
    /// or its mark does not say.
    pub safe_until: Option<String>,
}

/// The forgotten snapshots of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenOutcome {
    /// Where the store is.
    pub store: String,
    /// Newest first.
    pub snapshots: Vec<ForgottenSnapshot>,
    /// Those whose manifests cannot be read.
    pub findings: Vec<Finding>,
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
    /// How many further ones are forgotten, and not deleted yet.
    pub forgotten: u64,
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
        pinned: None,
    }
}

/// A snapshot by its id, its manifest if it can be read; `ids` are all those of its store, sorted.
pub fn line(id: &SnapshotId, manifest: Option<&Manifest>, ids: &[SnapshotId]) -> SnapshotLine {
    SnapshotLine {
        id: id.to_string(),
        short_id: short_id(id, ids),
        summary: manifest.map(|manifest| summary(manifest, ids)),
    }
}

/// Newest first, as `newest_first` has them: within a second by the times that the manifests say.
pub(in crate::ops) fn newest_line_first(a: &SnapshotLine, b: &SnapshotLine) -> std::cmp::Ordering {
    let key = |line: &SnapshotLine| {
        let time = line.summary.as_ref().map(|summary| summary.time.clone());
        let second = line.id.get(..16).map(str::to_owned);
        (second, time, line.id.clone())
    };
    key(b).cmp(&key(a))
}

/// All snapshots there are, forgotten ones too, oldest first: among these a short id is unique.
pub fn all_ids(names: &SnapshotNames) -> Vec<SnapshotId> {
    let mut ids = [names.ids.as_slice(), names.forgotten.as_slice()].concat();
    ids.sort_unstable();
    ids
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
    let (ids, pins) = (all_ids(&names), store.pins()?);
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
            snapshots.push(SnapshotSummary {
                pinned: Some(pins.contains(&manifest.id)),
                ..summary(&manifest, &ids)
            });
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
        forgotten: names.forgotten.len() as u64,
        findings,
    })
}

/// Lists the forgotten snapshots of a store that are not deleted yet. A damaged manifest becomes a finding.
pub fn forgotten(store: &Store) -> Result<ForgottenOutcome, Error> {
    let names = store.snapshot_names()?;
    let (marks, ids) = (store.forgotten()?, all_ids(&names));
    let (mut snapshots, mut findings) = (Vec::new(), Vec::new());
    for id in &names.forgotten {
        let Some(mark) = marks.mark(id) else { continue };
        let manifest = match store.manifest(id) {
            // Deleted meanwhile.
            Ok(None) => continue,
            Ok(manifest) => manifest,
            Err(error @ StoreError::Damaged { .. }) => {
                let subject = format!("snapshot {id}");
                findings.push(Finding::warning(subject, error.to_string()));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let at = store.forgotten_at(id, mark)?;
        let grace_ms = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
        let until = at.map(|at| at.saturating_add(grace_ms));
        snapshots.push(ForgottenSnapshot {
            snapshot: line(id, manifest.as_ref(), &ids),
            forgotten_at: at.map(rfc3339),
            safe_until: until.filter(|_| mark.verdict.is_none()).map(rfc3339),
        });
    }
    snapshots.sort_by(|a: &ForgottenSnapshot, b| newest_line_first(&a.snapshot, &b.snapshot));
    Ok(ForgottenOutcome {
        store: store.location(),
        snapshots,
        findings,
    })
}
