//! What a manifest says of its trees, and its schema: shared by all that read snapshots.

use crate::error::Error;
use crate::format::blob::{BlobKind, BlobSource};
use crate::format::manifest::{Entity, RootRef};
use crate::format::schema;
use crate::model::id::BlobId;
use crate::model::schema::Schema;
use crate::store::StoreError;
use crate::tree::Root;

/// The tree of an entity; `None` without records.
pub fn root_of(entity: &Entity) -> Option<Root> {
    entity.root.map(|root| Root {
        id: root.id,
        level: root.level,
        rows: entity.records,
        bytes: entity.bytes,
        has_refs: root.has_refs,
        first_rowid: root.first_rowid,
    })
}

/// What stands in a manifest for a tree.
pub fn root_ref(root: &Root) -> RootRef {
    RootRef {
        id: root.id,
        level: root.level,
        first_rowid: root.first_rowid,
        has_refs: root.has_refs,
    }
}

/// Reads a schema blob.
pub fn read_schema(source: &dyn BlobSource, id: &BlobId) -> Result<Schema, Error> {
    let bytes = source.get(BlobKind::Schema, id).map_err(StoreError::from)?;
    Ok(schema::decode(&bytes).map_err(|cause| StoreError::Damaged {
        object: format!("schema {id}"),
        cause,
    })?)
}
