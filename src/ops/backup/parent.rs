//! The parent snapshot while a backup runs: its trees are walked beside the scan, and serve as
//! bases. Nothing depends on it: where it is damaged, records are stored without it.

use crate::error::Error;
use crate::format::blob::{BlobErrorKind, BlobKind, BlobSink, BlobSource, Patch};
use crate::format::delta;
use crate::format::manifest::{Entity, Manifest};
use crate::model::id::BlobId;
use crate::model::schema::{Schema, Table};
use crate::model::text::TextEncoding;
use crate::ops::open::Store;
use crate::ops::stored::{read_schema, root_of};
use crate::store::{StoreError, StoreReader, StoreWriter};
use crate::tree::TreeShape;
use crate::tree::parent::ParentWalk;

/// zstd level of a schema's delta: it is short, and there is one of it.
const SCHEMA_LEVEL: i32 = 19;

/// The parent snapshot, opened.
pub(super) struct Parent {
    pub manifest: Manifest,
    /// `None` if its schema is damaged.
    pub schema: Option<Schema>,
    reader: StoreReader,
}

impl Parent {
    /// Opens the parent of what `writer` writes.
    pub fn open(
        store: &Store,
        writer: &mut StoreWriter,
        manifest: Manifest,
    ) -> Result<Self, Error> {
        writer.follow(&manifest.id)?;
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
            reader,
        })
    }

    /// Puts the schema of the new snapshot.
    pub fn put_schema(&self, canonical: &[u8], writer: &mut StoreWriter) -> Result<BlobId, Error> {
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
        let id = writer.replace(BlobKind::Schema, canonical, &[base], &mut patch);
        Ok(id.map_err(StoreError::from)?)
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
        Some(ParentWalk::new(
            &self.reader,
            TreeShape::of(old, encoding),
            root.as_ref(),
            columns,
        ))
    }
}
