//! One snapshot: its schema, and every table's tree down to the last value.

use std::collections::HashSet;

use super::audit::{Audit, Hand, OfSnapshot, Reading, Rows};
use super::findings::{Findings, pack_object};
use super::{AffectedRecords, Audited, EntityCheck, NotAudited, SnapshotCheck};
use crate::error::{Error, LostRecords};
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind};
use crate::format::leaf::Leaf;
use crate::format::manifest::{Entity, Manifest};
use crate::model::id::{BlobId, PackId, SnapshotId};
use crate::model::schema::Schema;
use crate::ops::list::summary;
use crate::ops::lost::{lost_records, no_table};
use crate::ops::stored::{decode_schema, root_of, trees};
use crate::progress::Progress;
use crate::store::{StoreError, StoreReader};
use crate::tree::TreeShape;
use crate::tree::check::{self, Affected, Claim, Visitor};
use crate::tree::cursor::Place;

/// Good blobs that are remembered, so that what snapshots share is read once: about 50 MiB, enough
/// for 250 GB of tables. Beyond it blobs are read once a snapshot.
const REMEMBERED_MAX: usize = 2_000_000;

/// Leaves of the snapshots before that are at hand: what changed since stands on them.
const KEPT_LEAVES_BYTES: usize = 32 << 20;

/// Counts blobs, each once, whatever was read of it. Beyond `REMEMBERED_MAX` one counts once a snapshot.
#[derive(Default)]
struct Seen {
    halves: HashSet<[u8; 16]>,
    count: u64,
}

impl Seen {
    fn add(&mut self, id: &BlobId) {
        let mut half = [0; 16];
        half.copy_from_slice(&id.0[..16]);
        let is_new = match self.halves.len() < REMEMBERED_MAX {
            true => self.halves.insert(half),
            false => !self.halves.contains(&half),
        };
        self.count += u64::from(is_new);
    }
}

/// Which leaves and chunks are read; nodes always are.
pub(super) enum Reads {
    /// Those that have large values only, to know which these are.
    Structure,
    /// Those in these packs, too.
    Packs(HashSet<PackId>),
    /// All.
    All,
}

/// Checks snapshots one after the other.
pub(super) struct Checker<'a> {
    reader: &'a StoreReader,
    reads: Reads,
    /// Asks the records what the schema asks of them, where all of them are read.
    audit: Option<Audit>,
    good: HashSet<[u8; 16]>,
    pub(super) found: &'a mut Findings,
    progress: &'a mut dyn Progress,
    seen: Seen,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        reader: &'a StoreReader,
        reads: Reads,
        found: &'a mut Findings,
        progress: &'a mut dyn Progress,
    ) -> Result<Self, Error> {
        let audit = match reads {
            Reads::All => Some(Audit::new()?),
            Reads::Structure | Reads::Packs(_) => None,
        };
        reader.keep_leaves(KEPT_LEAVES_BYTES);
        Ok(Self {
            reader,
            reads,
            audit,
            good: HashSet::new(),
            found,
            progress,
            seen: Seen::default(),
        })
    }

    /// All snapshots are checked. Gives how many distinct blobs they need that are good, as far as they were looked at.
    pub(super) fn end(self) -> u64 {
        self.reader.keep_leaves(0);
        self.seen.count
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
        let of = match (&self.audit, &schema) {
            (Some(audit), Some(schema)) => audit.of(manifest, schema)?,
            _ => None,
        };
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
                Some(_) => self.entity(entity, shape, of.as_ref(), &snapshot.short_id)?,
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
        let audited = self.audited(of, manifest)?;
        if let Some(audited) = &audited {
            good &= self.differences(audited, manifest, &snapshot.short_id);
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
            audited,
            good,
        })
    }

    /// What was found of the constraints of a snapshot; `None` where nothing was asked.
    fn audited(
        &mut self,
        of: Option<OfSnapshot<'_>>,
        manifest: &Manifest,
    ) -> Result<Option<Audited>, Error> {
        match (&mut self.audit, of) {
            (Some(audit), Some(of)) => audit.verdicts(of, manifest).map(Some),
            (Some(_), None) if manifest.damaged => {
                let all = NotAudited {
                    table: String::new(),
                    constraint: "all".to_owned(),
                    reason: "its source was damaged".to_owned(),
                };
                Ok(Some(Audited {
                    not_audited: vec![all],
                    ..Audited::default()
                }))
            }
            _ => Ok(None),
        }
    }

    /// Names constraints that are broken otherwise than at backup time. True if there is none.
    fn differences(&mut self, audited: &Audited, manifest: &Manifest, short_id: &str) -> bool {
        let mut good = true;
        for broken in audited.broken.iter().filter(|broken| broken.differs()) {
            let entity = manifest.entity(&broken.table);
            let affected = AffectedRecords {
                entity: broken.table.clone(),
                records: entity.map_or(0, |entity| entity.records),
                range: "the whole table".to_owned(),
                snapshots: vec![short_id.to_owned()],
            };
            let object = format!("table {}", broken.table);
            self.found.difference(object, broken.to_string(), affected);
            good = false;
        }
        good
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
            Ok(schema) => {
                self.seen.add(&manifest.schema);
                Ok(Some(schema))
            }
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
        of: Option<&OfSnapshot<'_>>,
        short_id: &str,
    ) -> Result<bool, Error> {
        let reading = match (&mut self.audit, of, &shape) {
            (Some(audit), Some(of), Some(shape)) => Some((audit.begin(of, entity, shape), of)),
            _ => None,
        };
        let (mut reading, of) = reading.unzip();
        let rows = match &mut reading {
            Some(Reading::All(rows)) => Some(&mut **rows),
            _ => None,
        };
        let good = self.tree(entity, shape, rows, short_id)?;
        if let (Some(audit), Some(of), Some(reading)) = (&mut self.audit, of, reading) {
            audit.end(of, entity, reading, good, self.reader)?;
        }
        Ok(good)
    }

    fn tree(
        &mut self,
        entity: &Entity,
        shape: Option<TreeShape>,
        rows: Option<&mut Rows>,
        short_id: &str,
    ) -> Result<bool, Error> {
        let Some(root) = root_of(entity) else {
            return Ok(true);
        };
        let Some(shape) = shape else {
            let Some(error) = no_table(entity) else {
                return Ok(true);
            };
            let affected = affected_records(lost_records(entity, None, None, &error), short_id);
            self.found.blob(&error, None, affected);
            return Ok(false);
        };
        let mut collect = Collect {
            reader: self.reader,
            reads: &self.reads,
            good: &mut self.good,
            seen: &mut self.seen,
            progress: &mut *self.progress,
            damage: Vec::new(),
        };
        let reader = self.reader;
        let walk = |mut visit: Visit<'_, '_>| {
            check::check(reader, reader.hash(), &shape, &root, &mut visit)
        };
        let collected = &mut collect;
        let walked = match rows.zip(self.audit.as_ref()) {
            Some((rows, audit)) => rows.take_in(audit, root.level > 0, |hand| {
                walk(Visit {
                    collected,
                    hand: Some(hand),
                })
            }),
            None => walk(Visit {
                collected,
                hand: None,
            }),
        };
        walked.map_err(StoreError::from)?;
        let damage = collect.damage;
        for (error, affected) in &damage {
            let object = self.object_of(error)?;
            let lost = lost_records(entity, Some(&shape), Some(affected), error);
            self.found
                .blob(error, object, affected_records(lost, short_id));
        }
        Ok(damage.is_empty())
    }
}

/// What a validation says of records that cannot be read.
pub(in crate::ops) fn affected_records(lost: LostRecords, short_id: &str) -> AffectedRecords {
    AffectedRecords {
        range: lost.range(),
        entity: lost.table,
        records: lost.records,
        snapshots: vec![short_id.to_owned()],
    }
}

/// Remembers what is good, and collects what is not.
struct Collect<'a> {
    reader: &'a StoreReader,
    reads: &'a Reads,
    good: &'a mut HashSet<[u8; 16]>,
    seen: &'a mut Seen,
    progress: &'a mut dyn Progress,
    damage: Vec<(BlobError, Affected)>,
}

/// Goes through one tree for it.
struct Visit<'v, 'a> {
    collected: &'v mut Collect<'a>,
    /// Wants every leaf of the tree: nothing of it is passed over then.
    hand: Option<Hand<'v>>,
}

impl Visitor for Visit<'_, '_> {
    fn is_good(&mut self, claim: &Claim) -> Result<bool, BlobError> {
        let Claim {
            kind, id, has_refs, ..
        } = claim;
        let of_rows = matches!(kind, BlobKind::Leaf | BlobKind::Node);
        if self.hand.is_some() && of_rows {
            return Ok(false);
        }
        if self.collected.good.contains(&claim.half()) {
            return Ok(true);
        }
        // Leaves and chunks must be there at least.
        if !matches!(self.collected.reads, Reads::All)
            && !has_refs
            && matches!(kind, BlobKind::Leaf | BlobKind::Chunk)
            && !self.collected.is_to_be_read(*kind, id)?
        {
            let usable = self.collected.reader.usable(*kind, id);
            let usable = usable.map_err(|error| unavailable(*kind, id, error))?;
            if usable {
                self.collected.seen.add(id);
            }
            return Ok(usable);
        }
        Ok(false)
    }

    fn reads_all(&self) -> bool {
        matches!(self.collected.reads, Reads::All)
    }

    fn set_good(&mut self, claim: &Claim) -> Result<(), BlobError> {
        self.collected.progress.advance(1);
        self.collected.seen.add(&claim.id);
        if self.collected.good.len() < REMEMBERED_MAX {
            self.collected.good.insert(claim.half());
        }
        Ok(())
    }

    fn leaf(&mut self, place: &Place, leaf: Leaf) {
        if let Some(hand) = &mut self.hand {
            hand(place, leaf);
        }
    }

    fn damaged(&mut self, error: BlobError, affected: Affected) {
        self.collected.damage.push((error, affected));
    }
}

impl Collect<'_> {
    /// True if a copy of this leaf or chunk lies in a pack that is read.
    fn is_to_be_read(&self, kind: BlobKind, id: &BlobId) -> Result<bool, BlobError> {
        let Reads::Packs(packs) = self.reads else {
            return Ok(false);
        };
        let of = self.reader.packs_of(kind, id);
        let of = of.map_err(|error| unavailable(kind, id, error))?;
        Ok(of.iter().any(|pack| packs.contains(pack)))
    }
}

fn unavailable(kind: BlobKind, id: &BlobId, error: StoreError) -> BlobError {
    BlobError {
        why: BlobErrorKind::Unavailable,
        kind,
        id: *id,
        cause: Box::new(error),
    }
}
