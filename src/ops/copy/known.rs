//! What the store that is copied to holds: which snapshots are copies of which, and names that are taken.
//!
//! Memory: a name and two ids a snapshot.

use std::collections::{HashMap, HashSet};

use crate::error::Error;
use crate::format::manifest::{Manifest, RestoreMark};
use crate::model::id::SnapshotId;
use crate::ops::backup::free_name;
use crate::ops::open::Store;
use crate::ops::select::newest_first;
use crate::progress::Finding;
use crate::store::StoreWriter;

/// The snapshots of a store.
#[derive(Debug)]
pub(super) struct Known {
    /// Ids by the id under which the snapshot was first committed anywhere.
    by_first: HashMap<SnapshotId, SnapshotId>,
    names: HashSet<String>,
    /// Sorted; abort markers among them.
    ids: Vec<SnapshotId>,
    /// Visible ones, damaged ones included.
    snapshots: u64,
}

impl Known {
    /// Reads the manifests, one at a time. One that is damaged becomes a finding: a copy of the same
    /// snapshot is not recognised in it.
    pub fn read(store: &Store, findings: &mut Vec<Finding>) -> Result<Self, Error> {
        let ids = store.snapshot_names()?.ids;
        let (mut by_first, mut names) = (HashMap::new(), HashSet::new());
        let (mut good, mut damaged) = (0, 0);
        newest_first(
            store,
            |manifest| {
                good += 1;
                by_first.insert(manifest.first_id().clone(), manifest.id);
                names.insert(manifest.name);
                Ok(true)
            },
            |id, error| {
                damaged += 1;
                let text = format!("{error}; what it is a copy of is not known");
                findings.push(Finding::warning(format!("snapshot {id}"), text));
                Ok(())
            },
        )?;
        Ok(Self {
            by_first,
            names,
            ids,
            snapshots: good + damaged,
        })
    }

    /// The snapshot that is this one, in the store that is copied to.
    pub fn copy_of(&self, manifest: &Manifest) -> Option<&SnapshotId> {
        self.by_first.get(manifest.first_id())
    }

    /// All ids, sorted.
    pub fn ids(&self) -> &[SnapshotId] {
        &self.ids
    }

    /// How many snapshots there are.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// What the manifest of a copy says: all that the snapshot's own does, but ids, a name that is taken,
    /// and what was added to the store.
    pub fn manifest_of_copy(
        &self,
        manifest: &Manifest,
        writer: &StoreWriter,
        new_bytes: u64,
    ) -> Manifest {
        Manifest {
            id: writer.snapshot().clone(),
            original: Some(manifest.first_id().clone()),
            name: free_name(&manifest.name, &self.names),
            parent: manifest.parent.as_ref().map(|id| self.here(id)),
            restore: manifest.restore.as_ref().map(|mark| RestoreMark {
                before: self.here(&mark.before),
                of: mark.of.as_ref().map(|id| self.here(id)),
                undoes: mark.undoes.as_ref().map(|id| self.here(id)),
                changed: mark.changed.clone(),
            }),
            new_bytes,
            ..manifest.clone()
        }
    }

    /// The id that a snapshot has here. One that is not here keeps its own: it may have been deleted, too.
    fn here(&self, id: &SnapshotId) -> SnapshotId {
        self.by_first.get(id).unwrap_or(id).clone()
    }

    /// Makes a copy known that was committed.
    pub fn add(&mut self, copy: &Manifest) {
        self.by_first
            .insert(copy.first_id().clone(), copy.id.clone());
        self.names.insert(copy.name.clone());
        let at = self.ids.partition_point(|id| *id < copy.id);
        self.ids.insert(at, copy.id.clone());
        self.snapshots += 1;
    }
}
