//! What cannot be had from anywhere: which blobs, and which records of which snapshots hang on them.

use std::collections::HashSet;

use super::roots::Roots;
use super::search::Search;
use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::manifest::{Entity, Manifest};
use crate::ops::lost::lost_records;
use crate::ops::open::Store;
use crate::ops::stored::{decode_schema, root_of, trees};
use crate::ops::validate::{AffectedRecords, Damage, Findings, affected_records, pack_object};
use crate::progress::{Progress, Unit};
use crate::store::gc::View;
use crate::store::{StoreError, StoreReader};
use crate::tree::TreeShape;
use crate::tree::check::{self, Affected, Claim, Visitor};

/// Good places that are remembered: about 50 MiB.
const REMEMBERED_MAX: usize = 2_000_000;

/// Goes through all snapshots once more. `view` knows what was healed.
pub(super) fn of(
    store: &Store,
    roots: &Roots,
    view: &View,
    search: &Search,
    progress: &mut dyn Progress,
) -> Result<Vec<Damage>, Error> {
    progress.phase("Looking at what is lost", 0, Unit::Blobs);
    let reader = store.reader()?;
    let mut lost = Lost {
        reader: &reader,
        view,
        search,
        good: HashSet::new(),
        found: Findings::default(),
    };
    roots.each(store, |manifest| lost.snapshot(manifest, progress))?;
    Ok(lost.found.finish().0)
}

struct Lost<'a> {
    reader: &'a StoreReader,
    view: &'a View,
    search: &'a Search,
    good: HashSet<[u8; 16]>,
    found: Findings,
}

impl Lost<'_> {
    fn snapshot(&mut self, manifest: &Manifest, progress: &mut dyn Progress) -> Result<(), Error> {
        let short_id = manifest.id.short();
        let canonical = match self.search.get(BlobKind::Schema, &manifest.schema) {
            Err(error) if error.why == BlobErrorKind::Unavailable => {
                return Err(StoreError::from(error).into());
            }
            canonical => canonical,
        };
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(error) => {
                let all = AffectedRecords {
                    entity: String::new(),
                    records: manifest.records(),
                    range: "the whole snapshot".to_owned(),
                    snapshots: vec![short_id.to_owned()],
                };
                let object = self.object_of(&error)?;
                self.found.blob(&error, object, all);
                return Ok(());
            }
        };
        let Ok(schema) = decode_schema(&canonical, manifest) else {
            // Its id is right: it was written so, and is for a validation to name.
            return Ok(());
        };
        for (entity, shape) in trees(manifest, &schema) {
            let (Some(root), Some(shape)) = (root_of(entity), shape) else {
                continue;
            };
            let mut visitor = Visit {
                view: self.view,
                good: &mut self.good,
                progress: &mut *progress,
                damage: Vec::new(),
            };
            check::check(self.search, self.reader.hash(), &shape, &root, &mut visitor)
                .map_err(StoreError::from)?;
            let damage = visitor.damage;
            self.name(entity, &shape, &damage, short_id)?;
        }
        Ok(())
    }

    fn name(
        &mut self,
        entity: &Entity,
        shape: &TreeShape,
        damage: &[(BlobError, Affected)],
        short_id: &str,
    ) -> Result<(), Error> {
        for (error, affected) in damage {
            let object = self.object_of(error)?;
            let lost = lost_records(entity, Some(shape), Some(affected), error);
            let records = affected_records(lost, short_id);
            self.found.blob(error, object, records);
        }
        Ok(())
    }

    fn object_of(&self, error: &BlobError) -> Result<Option<String>, Error> {
        let packs = self.reader.packs_of(error.kind, &error.id)?;
        Ok(packs.first().map(pack_object))
    }
}

struct Visit<'a> {
    view: &'a View,
    good: &'a mut HashSet<[u8; 16]>,
    progress: &'a mut dyn Progress,
    damage: Vec<(BlobError, Affected)>,
}

impl Visitor for Visit<'_> {
    fn is_good(&mut self, claim: &Claim) -> Result<bool, BlobError> {
        if self.good.contains(&claim.half()) {
            return Ok(true);
        }
        let leads_on = claim.has_refs || !matches!(claim.kind, BlobKind::Leaf | BlobKind::Chunk);
        if leads_on {
            return Ok(false);
        }
        let lacks = self.view.lacks(claim.kind, &claim.id);
        let lacks = lacks.map_err(|error| BlobError {
            why: BlobErrorKind::Unavailable,
            kind: claim.kind,
            id: claim.id,
            cause: Box::new(error),
        })?;
        Ok(!lacks)
    }

    fn set_good(&mut self, claim: &Claim) -> Result<(), BlobError> {
        self.progress.advance(1);
        if self.good.len() < REMEMBERED_MAX {
            self.good.insert(claim.half());
        }
        Ok(())
    }

    fn damaged(&mut self, error: BlobError, affected: Affected) {
        self.damage.push((error, affected));
    }
}
