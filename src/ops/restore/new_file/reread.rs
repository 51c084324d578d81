//! The full check of a new file: every record is read again, and every root must be the snapshot's.

use super::Making;
use crate::codec::hash::StoreHash;
use crate::error::Error;
use crate::format::blob::{BlobError, BlobKind, BlobSink};
use crate::format::manifest::Entity;
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::ops::grow::TreeSink;
use crate::progress::{Progress, Unit};
use crate::source::{Capture, rows};
use crate::target::{Completed, TargetError};
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;

/// Computes ids, keeps nothing.
struct Ids(StoreHash);

impl BlobSink for Ids {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        Ok(self.0.blob_id(kind as u8, canonical))
    }
}

/// Reads the tables of a complete database and compares their roots.
///
/// Errors: `Target` (`Damaged`) with the tables that differ.
pub(in crate::ops::restore) fn roots(
    basis: &Making<'_>,
    completed: &Completed,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let manifest = basis.manifest;
    let total = manifest.all_tables().map(|e| e.records).sum();
    progress.phase("Reading every record again", total, Unit::Records);
    let capture = Capture::of_complete(completed.path(), &basis.world.vfs)?;
    let hash = basis.reader.hash();
    let mut lines = Vec::new();
    // A table that lacks records cannot have the snapshot's root: its records are counted.
    let lacking = basis.lost.tables();
    let is_whole = |entity: &&Entity| !lacking.contains(entity.entity.as_str());
    for entity in manifest.all_tables().filter(is_whole) {
        let Some(table) = capture.schema().table(&entity.entity) else {
            lines.push(format!("table {} is missing", entity.entity));
            continue;
        };
        let shape = TreeShape::of(table, capture.schema().encoding);
        let mut ids = Ids(hash);
        let mut look_at = |_: RowRef<'_>| true;
        let builder = TreeBuilder::new(&shape, hash);
        let mut sink = TreeSink::new(builder, &mut ids, progress, &mut look_at);
        let scanned = rows(capture.moment(), table, &mut sink);
        let grown = sink.end(scanned, completed.path())?.entity();
        if grown.root != entity.root {
            lines.push(format!("table {} holds other records", entity.entity));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    Err(TargetError::Damaged {
        path: basis.options.target.clone(),
        lines,
    }
    .into())
}
