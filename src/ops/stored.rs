//! What a manifest says of its trees, and its schema: shared by all that read snapshots.

use crate::error::Error;
use crate::format::blob::{BlobKind, BlobSource};
use crate::format::manifest::{Entity, Manifest, RootRef};
use crate::format::{FormatError, schema};
use crate::model::schema::Schema;
use crate::store::StoreError;
use crate::tree::{Root, TreeShape};

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

/// Every tree of a snapshot with its shape: those of its tables, and that of the database's pages.
/// `None` where the schema lacks the table.
pub fn trees<'m>(
    manifest: &'m Manifest,
    schema: &'m Schema,
) -> impl Iterator<Item = (&'m Entity, Option<TreeShape>)> {
    let of_table = |entity: &'m Entity| {
        let table = schema.table(&entity.entity);
        let shape = table.map(|table| TreeShape::of(table, schema.encoding));
        (entity, shape)
    };
    let pages = manifest.pages.iter();
    let tables = manifest.all_tables().map(of_table);
    tables.chain(pages.map(|pages| (pages, Some(TreeShape::pages()))))
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

/// Reads a snapshot's schema.
pub fn read_schema(source: &dyn BlobSource, manifest: &Manifest) -> Result<Schema, Error> {
    let id = &manifest.schema;
    let bytes = source.get(BlobKind::Schema, id).map_err(StoreError::from)?;
    let schema = decode_schema(&bytes, manifest).map_err(|cause| StoreError::Damaged {
        object: format!("schema {id}"),
        cause,
    })?;
    Ok(schema)
}

/// The schema of a blob, which must agree with the manifest that names it.
pub fn decode_schema(bytes: &[u8], manifest: &Manifest) -> Result<Schema, FormatError> {
    let schema = schema::decode(bytes)?;
    if schema.encoding != manifest.settings.encoding {
        return Err(FormatError::Invalid {
            what: "the text encoding of a schema",
        });
    }
    Ok(schema)
}
