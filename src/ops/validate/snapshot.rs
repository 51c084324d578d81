//! One snapshot: its schema, and every table's tree down to the last value.

use std::collections::HashSet;

use super::findings::{Findings, pack_object};
use super::{AffectedRecords, EntityCheck, SnapshotCheck};
use crate::error::Error;
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind};
use crate::format::manifest::{Entity, Manifest};
use crate::model::id::SnapshotId;
use crate::model::schema::Schema;
use crate::ops::list::summary;
use crate::ops::stored::{decode_schema, root_of, trees};
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader};
use crate::tree::check::{self, Affected, Claim, Visitor};
use crate::tree::{Order, TreeShape};

/// Good blobs that are remembered, so that what snapshots share is read once: about 50 MiB, enough
/// for 250 GB of tables. Beyond it blobs are read once a snapshot.
const REMEMBERED_MAX: usize = 2_000_000;

/// Checks snapshots one after the other.
pub(super) struct Checker<'a> {
    reader: &'a StoreReader,
    quick: bool,
    good: HashSet<[u8; 16]>,
    pub(super) found: &'a mut Findings,
    progress: &'a mut dyn Progress,
    looked_up: u64,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        reader: &'a StoreReader,
        quick: bool,
        found: &'a mut Findings,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self {
            reader,
            quick,
            good: HashSet::new(),
            found,
            progress,
            looked_up: 0,
        }
    }

    /// Distinct blobs read or looked up.
    pub(super) fn blobs(&self) -> u64 {
        self.reader.blobs_read() + self.looked_up
    }

    /// Checks one snapshot.
    pub(super) fn snapshot(
        &mut self,
        manifest: &Manifest,
        ids: &[SnapshotId],
    ) -> Result<SnapshotCheck, Error> {
        let snapshot = summary(manifest, ids);
        let schema = self.schema(manifest, &snapshot.short_id)?;
        let mut good = schema.is_some();
        let mut entities = Vec::new();
        let trees: Vec<_> = match &schema {
            Some(schema) => trees(manifest, schema).collect(),
            None => manifest.all_tables().map(|entity| (entity, None)).collect(),
        };
        for (entity, shape) in trees {
            if self.progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let entity_good = match &schema {
                Some(_) => self.entity(entity, shape, &snapshot.short_id)?,
                None => false,
            };
            good &= entity_good;
            if manifest.entities.iter().any(|e| std::ptr::eq(e, entity)) {
                entities.push(EntityCheck {
                    entity: entity.entity.clone(),
                    file: entity.file.clone(),
                    records: entity.records,
                    bytes: entity.bytes,
                    good: entity_good,
                });
            }
        }
        let references = manifest
            .foreign_keys
            .iter()
            .filter(|verdict| verdict.violations > 0)
            .map(|v| (v.table.clone(), v.parent.clone(), v.violations))
            .collect();
        Ok(SnapshotCheck {
            snapshot,
            entities,
            references,
            good,
        })
    }

    fn schema(&mut self, manifest: &Manifest, short_id: &str) -> Result<Option<Schema>, Error> {
        use crate::format::blob::BlobSource;
        let read = self
            .reader
            .get(BlobKind::Schema, &manifest.schema)
            .and_then(|bytes| {
                decode_schema(&bytes, manifest).map_err(|cause| BlobError {
                    why: BlobErrorKind::Damaged,
                    kind: BlobKind::Schema,
                    id: manifest.schema,
                    cause: Box::new(cause),
                })
            });
        match read {
            Ok(schema) => Ok(Some(schema)),
            Err(error) if error.why == BlobErrorKind::Unavailable => {
                Err(StoreError::from(error).into())
            }
            Err(error) => {
                let affected = AffectedRecords {
                    entity: String::new(),
                    records: manifest.records(),
                    range: "the whole snapshot".to_owned(),
                    snapshots: vec![short_id.to_owned()],
                };
                let object = self.object_of(&error)?;
                self.found.blob(&error, object, affected);
                Ok(None)
            }
        }
    }

    /// The pack that a damaged blob lies in.
    fn object_of(&self, error: &BlobError) -> Result<Option<String>, Error> {
        let packs = self.reader.packs_of(error.kind, &error.id)?;
        Ok(packs.first().map(pack_object))
    }

    fn entity(
        &mut self,
        entity: &Entity,
        shape: Option<TreeShape>,
        short_id: &str,
    ) -> Result<bool, Error> {
        let Some(root) = root_of(entity) else {
            return Ok(true);
        };
        let Some(shape) = shape else {
            let error = BlobError {
                why: BlobErrorKind::Damaged,
                kind: BlobKind::Schema,
                id: root.id,
                cause: Box::new(FormatError::Invalid {
                    what: "a schema without the table",
                }),
            };
            let affected = affected_records(entity, false, None, short_id);
            self.found.blob(&error, None, affected);
            return Ok(false);
        };
        let mut visitor = Collect {
            reader: self.reader,
            quick: self.quick,
            good: &mut self.good,
            looked_up: &mut self.looked_up,
            progress: &mut *self.progress,
            damage: Vec::new(),
        };
        check::check(self.reader, self.reader.hash(), &shape, &root, &mut visitor)
            .map_err(StoreError::from)?;
        let damage = visitor.damage;
        let has_ids = shape.order == Order::RowidAlias;
        for (error, affected) in &damage {
            let object = self.object_of(error)?;
            let records = affected_records(entity, has_ids, Some(affected), short_id);
            self.found.blob(error, object, records);
        }
        Ok(damage.is_empty())
    }
}

fn affected_records(
    entity: &Entity,
    has_ids: bool,
    affected: Option<&Affected>,
    short_id: &str,
) -> AffectedRecords {
    let records = affected.map_or(entity.records, |affected| affected.rows);
    let first = affected.map_or(0, |affected| affected.first_ordinal);
    let range = match affected
        .and_then(|affected| affected.rowids)
        .filter(|_| has_ids)
    {
        Some((first, last)) => format!("records with id {first} to {last}"),
        None => format!(
            "records {} to {}",
            first.saturating_add(1),
            first.saturating_add(records)
        ),
    };
    AffectedRecords {
        entity: entity.entity.clone(),
        records,
        range,
        snapshots: vec![short_id.to_owned()],
    }
}

/// Remembers what is good, and collects what is not.
struct Collect<'a> {
    reader: &'a StoreReader,
    quick: bool,
    good: &'a mut HashSet<[u8; 16]>,
    looked_up: &'a mut u64,
    progress: &'a mut dyn Progress,
    damage: Vec<(BlobError, Affected)>,
}

/// Half a digest is enough to know a claim again.
fn half(claim: &Claim) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&claim.digest[..16]);
    half
}

impl Visitor for Collect<'_> {
    fn is_good(&mut self, claim: &Claim) -> Result<bool, BlobError> {
        if self.good.contains(&half(claim)) {
            return Ok(true);
        }
        let Claim {
            kind, id, has_refs, ..
        } = claim;
        // Structure only: leaves and chunks must be there, they are not read.
        if self.quick && !has_refs && matches!(kind, BlobKind::Leaf | BlobKind::Chunk) {
            let usable = self.reader.usable(*kind, id).map_err(|error| BlobError {
                why: BlobErrorKind::Unavailable,
                kind: *kind,
                id: *id,
                cause: Box::new(error),
            })?;
            *self.looked_up += 1;
            return Ok(usable);
        }
        Ok(false)
    }

    fn set_good(&mut self, claim: &Claim) -> Result<(), BlobError> {
        self.progress.advance(1);
        if self.good.len() < REMEMBERED_MAX {
            self.good.insert(half(claim));
        }
        Ok(())
    }

    fn damaged(&mut self, error: BlobError, affected: Affected) {
        self.damage.push((error, affected));
    }
}
