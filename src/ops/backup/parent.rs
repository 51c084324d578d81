//! The parent snapshot while a backup runs: its trees are walked beside the scan, and serve as
//! bases. Nothing depends on it: where it is damaged, records are stored without it. Where the source has
//! no snapshot yet, one of another source serves as well; but nothing is said of that one.

use crate::error::Error;
use crate::format::blob::{BlobErrorKind, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::manifest::{Entity, Manifest};
use crate::format::{delta, schema};
use crate::model::id::BlobId;
use crate::model::schema::{ObjectKind, Schema, Table};
use crate::model::text::TextEncoding;
use crate::ops::backup::naming::Basis;
use crate::ops::open::Store;
use crate::ops::stored::{read_schema, root_of};
use crate::store::{StoreError, StoreReader, StoreWriter};
use crate::tree::TreeShape;
use crate::tree::parent::ParentWalk;

/// zstd level of a schema's delta: it is short, and there is one of it.
const SCHEMA_LEVEL: i32 = 19;

/// The canonical form of a schema.
pub(super) fn encode_schema(schema: &Schema) -> Result<Vec<u8>, StoreError> {
    schema::encode(schema).map_err(|e| StoreError::Encoding {
        what: format!("the schema: {e}"),
    })
}

/// Puts the schema of a new snapshot.
pub(super) fn put_schema(
    canonical: &[u8],
    parent: Option<&Parent>,
    writer: &mut StoreWriter,
) -> Result<BlobId, Error> {
    match parent {
        Some(parent) => parent.put_schema(canonical, writer),
        None => Ok(writer
            .put(BlobKind::Schema, canonical)
            .map_err(StoreError::from)?),
    }
}

/// The parent snapshot, opened.
pub(super) struct Parent {
    pub manifest: Manifest,
    /// `None` if its schema is damaged.
    pub schema: Option<Schema>,
    /// Each of its blobs is known to be there.
    pub is_complete: bool,
    /// It is of the same source, so that the new snapshot is compared with it.
    pub is_of_source: bool,
    reader: StoreReader,
}

impl Parent {
    /// Opens the parent of what `writer` writes.
    pub fn open(store: &Store, writer: &mut StoreWriter, basis: Basis) -> Result<Self, Error> {
        let Basis {
            manifest,
            is_of_source,
        } = basis;
        let is_complete = writer.follow(&manifest.id)?;
        let reader = store.reader()?;
        let schema = match read_schema(&reader, &manifest) {
            Err(Error::Store(StoreError::Damaged { .. })) => None,
            Err(Error::Store(StoreError::Blob(error)))
                if error.why != BlobErrorKind::Unavailable =>
            {
                None
            }
            schema => Some(schema?),
        };
        Ok(Self {
            manifest,
            schema,
            is_complete,
            is_of_source,
            reader,
        })
    }

    /// Puts the schema of the new snapshot, on that of this one.
    fn put_schema(&self, canonical: &[u8], writer: &mut StoreWriter) -> Result<BlobId, Error> {
        let base = self.manifest.schema;
        let mut patch = || {
            if self.schema.is_none() {
                return Ok(None);
            }
            let base = self.reader.get(BlobKind::Schema, &base)?;
            let delta = delta::encode_bytes(&base, canonical, SCHEMA_LEVEL).ok();
            Ok(delta.map(|delta| Patch {
                bases: vec![base],
                delta,
            }))
        };
        let replaced = writer.replace(BlobKind::Schema, canonical, &[base], &mut patch);
        Ok(replaced.map_err(StoreError::from)?.id)
    }

    /// The parent's entity of this name, SQLite's own tables included, its table,
    /// and how its texts are written.
    pub fn entity(&self, name: &str) -> Option<(&Entity, &Table, TextEncoding)> {
        let of_name = |e: &&Entity| e.entity.eq_ignore_ascii_case(name);
        let manifest = &self.manifest;
        let entity = manifest
            .entity(name)
            .or_else(|| manifest.internal.iter().find(of_name))?;
        let schema = self.schema.as_ref()?;
        Some((entity, schema.table(&entity.entity)?, schema.encoding))
    }

    /// True if the parent has this table, and it is defined as in `schema`.
    pub fn has_same_table(&self, schema: &Schema, name: &str) -> bool {
        // Not all is in the table's model: what its generated columns hold is in its text.
        let text = |schema: &Schema| {
            let mut texts = schema.objects_of(ObjectKind::Table);
            let object = texts.find(|object| object.name.eq_ignore_ascii_case(name));
            object.and_then(|object| object.sql.clone())
        };
        let before = self.schema.as_ref();
        before.is_some_and(|before| {
            before.encoding == schema.encoding
                && before
                    .table(name)
                    .is_some_and(|table| schema.table(name) == Some(table))
                && text(before) == text(schema)
        })
    }

    /// Begins to walk the pages that the parent holds.
    pub fn walk_pages(&self) -> Option<ParentWalk<'_>> {
        let root = root_of(self.manifest.pages.as_ref()?);
        let shape = TreeShape::pages();
        Some(ParentWalk::new(
            &self.reader,
            shape,
            root.as_ref(),
            vec![Some(0)],
        ))
    }

    /// Begins to walk the tree that the parent has of this table.
    pub fn walk(&self, table: &Table) -> Option<ParentWalk<'_>> {
        let (entity, old, encoding) = self.entity(&table.name)?;
        let name = |table: &Table, at: usize| table.columns[at].name.to_ascii_lowercase();
        let old_names: Vec<String> = old.leaf_columns().map(|at| name(old, at)).collect();
        let columns = table
            .leaf_columns()
            .map(|at| old_names.iter().position(|old| *old == name(table, at)))
            .collect();
        let root = root_of(entity);
        let shape = TreeShape::of(old, encoding);
        let walk = ParentWalk::new(&self.reader, shape, root.as_ref(), columns);
        Some(match self.is_of_source {
            true => walk,
            false => walk.of_another_source(),
        })
    }
}
