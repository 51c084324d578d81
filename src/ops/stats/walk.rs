//! Through the trees of all snapshots, telling the census what leads to what. Each blob is read at
//! most once. Memory: the children of one blob a level.

use super::{Figures, SnapshotFigures, StatsDamage, unreadable};
use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind, BlobSource};
use crate::format::manifest::{Entity, Manifest};
use crate::model::id::SnapshotId;
use crate::ops::list::summary;
use crate::ops::open::Store;
use crate::ops::select::newest_first;
use crate::ops::walk::Step;
use crate::progress::{Progress, Unit};
use crate::store::census::{Census, EntityRow, Number, TableSort};
use crate::store::{StoreError, StoreReader};

/// What a walk has come to.
pub(super) struct Walk<'a> {
    reader: &'a StoreReader,
    census: &'a Census,
    progress: &'a mut dyn Progress,
    snapshots: Vec<SnapshotFigures>,
    damage: Vec<StatsDamage>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        reader: &'a StoreReader,
        census: &'a Census,
        progress: &'a mut dyn Progress,
    ) -> Self {
        progress.phase("Walking snapshots", 0, Unit::Blobs);
        Self {
            reader,
            census,
            progress,
            snapshots: Vec::new(),
            damage: Vec::new(),
        }
    }

    /// The snapshots, newest first, and manifests that could not be read.
    pub(super) fn finish(self) -> (Vec<SnapshotFigures>, Vec<StatsDamage>) {
        (self.snapshots, self.damage)
    }

    /// Walks all snapshots of `ids`, which are sorted. Later ones may need packs that the census
    /// does not have.
    pub(super) fn all_snapshots(&mut self, store: &Store, ids: &[SnapshotId]) -> Result<(), Error> {
        let mut damage = Vec::new();
        newest_first(
            store,
            |manifest| {
                if ids.binary_search(&manifest.id).is_ok() {
                    self.snapshot(&manifest, ids)?;
                }
                Ok(true)
            },
            |id, error| {
                damage.push(unreadable(&error, format!("snapshot {id}"), id.short()));
                Ok(())
            },
        )?;
        self.damage.extend(damage);
        Ok(())
    }

    fn snapshot(&mut self, manifest: &Manifest, ids: &[SnapshotId]) -> Result<(), Error> {
        let number = self.snapshots.len() as u64;
        let schema = self.tree(Step::Schema(manifest.schema))?;
        self.census.entity(EntityRow {
            snapshot: number,
            sort: TableSort::Schema,
            name: "schema",
            records: 0,
            bytes: 0,
            root: schema,
        })?;
        let entities = manifest.entities.iter().map(|e| (TableSort::Entity, e));
        let internal = manifest.internal.iter().map(|e| (TableSort::Internal, e));
        let mut held_bytes = 0_u64;
        let pages = manifest.pages.iter().map(|e| (TableSort::Pages, e));
        for (sort, entity) in entities.chain(internal).chain(pages) {
            self.entity(number, sort, entity)?;
            held_bytes = held_bytes.saturating_add(entity.bytes);
        }
        self.snapshots.push(SnapshotFigures {
            snapshot: summary(manifest, ids),
            source_bytes: manifest.source.bytes,
            held_bytes,
            alone: Figures::default(),
        });
        Ok(())
    }

    fn entity(&mut self, snapshot: u64, sort: TableSort, entity: &Entity) -> Result<(), Error> {
        let root = match Step::root(entity) {
            Some(root) => self.tree(root)?,
            None => None,
        };
        Ok(self.census.entity(EntityRow {
            snapshot,
            sort,
            name: &entity.entity,
            records: entity.records,
            bytes: entity.bytes,
            root,
        })?)
    }

    /// Walks what is not known yet of a tree; gives its root's number, which comes first.
    fn tree(&mut self, root: Step) -> Result<Option<Number>, Error> {
        let mut number = None;
        let mut open = vec![(None, root)];
        while let Some((from, step)) = open.pop() {
            if self.progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let (kind, id) = step.blob();
            let entered = self.census.enter(kind, &id)?;
            let at = entered.number;
            number.get_or_insert(at);
            if let Some(from) = from {
                self.census.edge(from, at)?;
            }
            if !entered.first {
                continue;
            }
            self.progress.advance(1);
            if !entered.listed {
                self.census.damaged(at, NOT_LISTED)?;
                continue;
            }
            match self.below(at, &step) {
                Ok(steps) => open.extend(steps.into_iter().map(|step| (Some(at), step))),
                Err(error) if error.why == BlobErrorKind::Unavailable => {
                    return Err(StoreError::from(error).into());
                }
                Err(error) => self.census.damaged(at, &error.cause.to_string())?,
            }
        }
        Ok(number)
    }

    /// What is directly below a place. Leaves are read only where large values are said to be.
    fn below(&self, at: Number, step: &Step) -> Result<Vec<Step>, BlobError> {
        if !step.leads_on() {
            return Ok(Vec::new());
        }
        let (kind, id) = step.blob();
        let failed = |error| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id,
            cause: Box::new(error),
        };
        let below = step.below(self.reader.get(kind, &id)?)?;
        match step {
            Step::Records(place) if place.level > 0 && place.has_refs => {
                let told = self.census.above_large_values(at, place.level);
                told.map_err(failed)?;
            }
            Step::Records(place) if place.level == 0 => {
                let bytes = below.iter().map(|value| match value {
                    Step::Value(_, piece) => piece.bytes,
                    _ => 0,
                });
                let bytes = bytes.fold(0, u64::saturating_add);
                self.census.large_values(at, bytes).map_err(failed)?;
            }
            _ => {}
        }
        Ok(below)
    }
}

/// Why a blob is missing.
const NOT_LISTED: &str = "it is in no pack";
