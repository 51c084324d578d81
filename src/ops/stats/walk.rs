//! Through the trees of all snapshots, telling the census what leads to what. Each blob is read at
//! most once. Memory: the children of one blob a level.

use super::{Figures, SnapshotFigures, StatsDamage, unreadable};
use crate::error::Error;
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::chunk::Piece;
use crate::format::leaf::Leaf;
use crate::format::manifest::{Entity, Manifest};
use crate::model::id::SnapshotId;
use crate::ops::list::summary;
use crate::ops::open::Store;
use crate::ops::select::newest_first;
use crate::ops::stored::root_of;
use crate::progress::{Progress, Unit};
use crate::store::census::{Census, EntityRow, Number, TableSort};
use crate::store::{StoreError, StoreReader};
use crate::tree::cursor::Place;
use crate::tree::large;

/// What a walk has come to.
pub(super) struct Walk<'a> {
    reader: &'a StoreReader,
    census: &'a Census,
    progress: &'a mut dyn Progress,
    snapshots: Vec<SnapshotFigures>,
    damage: Vec<StatsDamage>,
}

/// A place to go to: in a record tree, or in the chunk tree of a large value.
enum Step {
    Records(Place),
    Value(u8, Piece),
}

impl Step {
    fn blob(&self) -> (BlobKind, crate::model::id::BlobId) {
        match self {
            Self::Records(place) => (place.kind(), place.id),
            Self::Value(0, piece) => (BlobKind::Chunk, piece.id),
            Self::Value(_, piece) => (BlobKind::ChunkNode, piece.id),
        }
    }
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
        let schema = self.census.enter(BlobKind::Schema, &manifest.schema)?;
        if schema.first && !schema.listed {
            self.census.damaged(schema.number, NOT_LISTED)?;
        }
        self.census.entity(EntityRow {
            snapshot: number,
            sort: TableSort::Schema,
            name: "schema",
            records: 0,
            bytes: 0,
            root: Some(schema.number),
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
        let root = match root_of(entity) {
            Some(root) => self.tree(Place::root(&root))?,
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
    fn tree(&mut self, root: Place) -> Result<Option<Number>, Error> {
        let mut number = None;
        let mut open = vec![(None, Step::Records(root))];
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
        let (kind, id) = step.blob();
        let failed = |error| BlobError {
            why: BlobErrorKind::Unavailable,
            kind,
            id,
            cause: Box::new(error),
        };
        match step {
            Step::Value(level, piece) => {
                let pieces = large::pieces(self.reader, *level, piece)?;
                let steps = pieces
                    .into_iter()
                    .map(|(level, piece)| Step::Value(level, piece));
                Ok(steps.collect())
            }
            Step::Records(place) if place.level > 0 => {
                let children = place.children(self.reader)?;
                if place.has_refs {
                    let told = self.census.above_large_values(at, place.level);
                    told.map_err(failed)?;
                }
                let child = |child| {
                    // Keys may be long, and are not needed here.
                    Step::Records(Place {
                        span: None,
                        ..child
                    })
                };
                Ok(children.into_iter().map(child).collect())
            }
            Step::Records(place) if place.has_refs => {
                let wrong = |cause: FormatError| BlobError {
                    why: BlobErrorKind::Damaged,
                    kind,
                    id,
                    cause: Box::new(cause),
                };
                let leaf = Leaf::parse(self.reader.get(kind, &place.id)?).map_err(wrong)?;
                let values: Vec<_> = leaf.spilled().collect();
                let bytes = values
                    .iter()
                    .map(|value| value.bytes)
                    .fold(0, u64::saturating_add);
                self.census.large_values(at, bytes).map_err(failed)?;
                let step = |value: crate::model::value::Spilled| {
                    let (id, bytes) = (value.root, value.bytes);
                    Step::Value(value.level, Piece { id, bytes })
                };
                Ok(values.into_iter().map(step).collect())
            }
            Step::Records(_) => Ok(Vec::new()),
        }
    }
}

/// Why a blob is missing.
const NOT_LISTED: &str = "it is in no pack";
