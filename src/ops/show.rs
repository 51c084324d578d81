//! What a snapshot is made of: its manifest, and every blob of it.

use std::collections::HashSet;

use super::select::newest_first;
use super::stored::{read_schema, root_of, trees};
use crate::error::Error;
use crate::format::FormatError;
use crate::format::blob::BlobKind;
use crate::format::chunk::Piece;
pub use crate::format::manifest::{Changes, Entity, ForeignKeyVerdict, Manifest};
use crate::model::id::BlobId;
use crate::ops::open::Store;
use crate::store::{StoreError, StoreReader};
use crate::tree::cursor::Place;
use crate::tree::large;

/// A blob of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobLine {
    /// `leaf`, `node`, `chunk`, `chunk node` or `schema`.
    pub kind: &'static str,
    /// Its id, 64 hex digits.
    pub id: String,
    /// The entity it belongs to; empty for the schema.
    pub entity: String,
    /// The pack it is in.
    pub pack: String,
    /// Bytes of the canonical form.
    pub plain_bytes: u64,
    /// Its share of the bytes of its frame in the pack.
    pub stored_bytes: u64,
    /// False if another snapshot that is older reaches it too.
    pub new: bool,
}

/// Every blob that a snapshot reaches, each once, in import order.
///
/// Whether a blob is new is told by the older snapshots of the store: those whose roots differ are
/// walked too, so this reads much; it is for looking at one snapshot closely.
pub fn blobs(store: &Store, manifest: &Manifest) -> Result<Vec<BlobLine>, Error> {
    let mut older = Vec::new();
    newest_first(
        store,
        |other| {
            // As snapshots are listed: of one second, the time decides, not the random bits.
            if (&other.time, &other.id) < (&manifest.time, &manifest.id) {
                older.push(other);
            }
            Ok(true)
        },
        |_, _| Ok(()),
    )?;
    let reader = store.reader()?;
    let mut known = HashSet::new();
    for other in &older {
        walk(&reader, other, &mut |_, kind, id| {
            // A subtree that was walked for one snapshot need not be for the next.
            Ok(known.insert((kind, *id)))
        })?;
    }
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    walk(&reader, manifest, &mut |entity, kind, id| {
        if !seen.insert((kind, *id)) {
            return Ok(false);
        }
        let stored = reader.stored(kind, id)?;
        let (pack, plain_bytes, stored_bytes) = stored.map_or_else(
            || (String::new(), 0, 0),
            |(pack, plain, stored)| (pack.to_string(), plain, stored),
        );
        lines.push(BlobLine {
            kind: kind.name(),
            id: id.to_string(),
            entity: entity.to_owned(),
            pack,
            plain_bytes,
            stored_bytes,
            new: !known.contains(&(kind, *id)),
        });
        Ok(true)
    })?;
    Ok(lines)
}

/// Calls `enter` for every blob of a snapshot, parents first; it says whether to go below.
fn walk(
    reader: &StoreReader,
    manifest: &Manifest,
    enter: &mut dyn FnMut(&str, BlobKind, &BlobId) -> Result<bool, StoreError>,
) -> Result<(), Error> {
    enter("", BlobKind::Schema, &manifest.schema)?;
    let schema = read_schema(reader, manifest)?;
    for (entity, shape) in trees(manifest, &schema) {
        let Some(root) = root_of(entity) else {
            continue;
        };
        let shape = shape.ok_or_else(|| StoreError::Damaged {
            object: format!("schema {}", manifest.schema),
            cause: FormatError::Invalid {
                what: "a schema without the table",
            },
        })?;
        let mut open = vec![Place::root(&root)];
        while let Some(place) = open.pop() {
            if !enter(&entity.entity, place.kind(), &place.id)? {
                continue;
            }
            if place.level > 0 {
                let children = place.children(reader).map_err(StoreError::from)?;
                open.extend(children.into_iter().rev());
            } else if place.has_refs {
                let leaf = place.leaf(&shape, reader).map_err(StoreError::from)?;
                for value in leaf.spilled() {
                    let mut below = |kind, piece: &Piece| {
                        let id = &piece.id;
                        enter(&entity.entity, kind, id).map_err(|error| {
                            crate::format::blob::BlobError {
                                why: crate::format::blob::BlobErrorKind::Unavailable,
                                kind,
                                id: *id,
                                cause: Box::new(error),
                            }
                        })
                    };
                    large::walk(reader, &value, &mut below, &mut |_| Ok(()))
                        .map_err(StoreError::from)?;
                }
            }
        }
    }
    Ok(())
}
