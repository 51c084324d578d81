//! Tables into trees, and what differs from the trees of the parent.

use super::damage;
use super::fast_skip::FastSkip;
use super::misfits::Misfits;
use super::parent::Parent;
use super::references::References;
use super::seen_keys::SeenKeys;
use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind};
use crate::format::manifest::Entity;
use crate::model::counted::{agree, counted};
use crate::model::file_name::entity_file;
use crate::model::import_order::import_order;
use crate::model::row::RowRef;
use crate::model::schema::{ColumnKind, Schema, Table, TableKind};
use crate::ops::grow::TreeSink;
use crate::ops::open::Store;
use crate::ops::stored::root_of;
use crate::progress::{Finding, Progress};
use crate::source::Moment;
use crate::store::StoreWriter;
use crate::target::FilterTable;
use crate::tree::TreeShape;
use crate::tree::build::TreeBuilder;
use crate::tree::diff::{self, Difference, Field, State};

/// The trees of a database's tables.
pub(super) struct Tables {
    /// Entity files, in import order.
    pub entities: Vec<Entity>,
    /// Tables that no person made.
    pub internal: Vec<Entity>,
    /// Values that SQL does not put back as they are, and rows that could not be read.
    pub findings: Vec<Finding>,
    /// Rows could not be read.
    pub damaged: bool,
    /// Records that were not read, since their pages had not changed.
    pub skipped: u64,
    /// Foreign keys that were seen to hold.
    pub keys: SeenKeys,
}

/// Puts every table that has records, but those of which `kept` gives the entity: that one is taken
/// as it is, and must be the parent's. With `skip`, rows are not read where their pages have not changed.
pub(super) fn write_all(
    moment: Moment<'_>,
    parent: Option<&Parent>,
    kept: &dyn Fn(&Table) -> Option<Entity>,
    skip: Option<&mut FastSkip>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<Tables, Error> {
    let schema = moment.schema();
    let mut writing = Writing {
        moment,
        parent,
        skip,
        writer,
        progress,
        findings: Vec::new(),
        damaged: false,
        skipped: 0,
        keys: SeenKeys::default(),
    };
    let mut put = |table: &Table| match kept(table) {
        Some(entity) => Ok(Entity {
            changes: None,
            ..entity
        }),
        None => writing.table(table),
    };
    let mut entities = Vec::new();
    for order in import_order(schema).tables {
        entities.push(Entity {
            import_order: order.import_order,
            dependencies: order.dependencies,
            ..put(&schema.tables[order.table])?
        });
    }
    let internal = schema.tables.iter();
    let internal = internal.filter(|table| table.is_internal() && moment.carries(table));
    let internal: Result<Vec<Entity>, Error> = internal.map(put).collect();
    Ok(Tables {
        entities,
        internal: internal?,
        findings: writing.findings,
        damaged: writing.damaged,
        skipped: writing.skipped,
        keys: writing.keys,
    })
}

/// Tables whose order cannot be checked later.
pub(super) fn unordered(schema: &Schema, entities: &[Entity]) -> Vec<Finding> {
    let shape_known = |entity: &&Entity| {
        schema.table(&entity.entity).is_some_and(|table| {
            let shape = TreeShape::of(table, schema.encoding);
            !shape.order_is_known() && matches!(shape.order, crate::tree::Order::Key(_))
        })
    };
    entities
        .iter()
        .filter(shape_known)
        .map(|entity| {
            let text = "its key has a collation that is not known here; its order is SQLite's own";
            Finding::note(entity.entity.clone(), text)
        })
        .collect()
}

/// Tables on their way into packs.
struct Writing<'a> {
    moment: Moment<'a>,
    parent: Option<&'a Parent>,
    skip: Option<&'a mut FastSkip>,
    writer: &'a mut StoreWriter,
    progress: &'a mut dyn Progress,
    findings: Vec<Finding>,
    damaged: bool,
    skipped: u64,
    keys: SeenKeys,
}

impl Writing<'_> {
    fn table(&mut self, table: &Table) -> Result<Entity, Error> {
        let moment = self.moment;
        let encoding = moment.schema().encoding;
        let shape = TreeShape::of(table, encoding);
        let mut builder = TreeBuilder::new(&shape, self.writer.hash());
        if let Some(walk) = self.parent.and_then(|parent| parent.walk(table)) {
            builder = builder.beside(walk);
        }
        let mut misfits = Misfits::of(table, encoding);
        // A table that cannot be made here is known by the rehearsal.
        let place = FilterTable::new(moment.path(), moment.schema(), table).ok();
        let place = place.as_ref().filter(|_| has_stored_columns(table));
        let computed = place.map(|place| place.computed(table, encoding));
        let mut computed = computed.transpose()?.flatten();
        let mut failed = None;
        let mut passing = self.keys.begin(moment.schema(), table);
        let keys = &self.keys;
        let mut look_at = |row: RowRef<'_>| {
            keys.look_at(&mut passing, row);
            if let (Some(computed), None) = (&mut computed, &failed) {
                failed = computed.look_at(row).err();
            }
            misfits.look_at(row)
        };
        let skip = self
            .skip
            .as_deref_mut()
            .filter(|_| !has_stored_columns(table));
        let mut borders = skip.and_then(|skip| skip.table(moment, table));
        let mut sink = TreeSink::new(builder, self.writer, self.progress, &mut look_at);
        if let Some(borders) = &mut borders {
            sink = sink.asking(borders);
        }
        let taken = sink.take(moment, table);
        let grown = sink.end(taken, moment.path())?;
        let whole = grown.scanned.gap_count == 0;
        if let Some(borders) = borders {
            borders.end(whole);
        }
        self.keys.end(table, passing, whole && grown.skipped == 0);
        self.skipped += grown.skipped;
        self.findings.extend(misfits.findings(table));
        if let Some(error) = failed {
            return Err(error.into());
        }
        let differ = computed.map_or(0, |computed| computed.differ());
        self.findings.extend(computed_otherwise(table, differ));
        if let Some(finding) = damage::of_scan(table, &grown.scanned) {
            self.findings.push(finding);
            self.damaged = true;
        }
        Ok(Entity {
            entity: table.name.clone(),
            file: entity_file(&table.name),
            ..grown.entity()
        })
    }
}

/// That so many rows have stored columns which are not what they would be now.
fn computed_otherwise(table: &Table, differ: u64) -> Option<Finding> {
    if differ == 0 {
        return None;
    }
    let records = counted(differ, "record");
    let text = format!(
        "{records} {} stored columns that are computed otherwise here (by another version of SQLite, or a function of the application)",
        agree(differ, "has", "have")
    );
    Some(Finding::warning(table.name.clone(), text))
}

/// They are compared with what they would be now, row by row: so each row is read.
fn has_stored_columns(table: &Table) -> bool {
    table
        .columns
        .iter()
        .any(|c| c.kind == ColumnKind::GeneratedStored)
}

/// Leaf columns of a primary key by which the tree is not ordered: that of a rowid table.
fn key_in_leaf(table: &Table) -> Vec<Field> {
    if !matches!(table.kind, TableKind::Rowid { alias: None, .. }) {
        return Vec::new();
    }
    let place = |column: u32| {
        table
            .leaf_columns()
            .position(|at| u32::try_from(at).is_ok_and(|at| at == column))
    };
    let places: Option<Vec<usize>> = table.primary_key.iter().map(|k| place(k.column)).collect();
    let places = places.unwrap_or_default();
    places.into_iter().map(Field::Leaf).collect()
}

/// Leaves that are kept while differences are counted: some of the largest.
const KEPT_BYTES: usize = 1 << 20;

/// Fills in, for every entity that the parent has too and whose root differs, how many records do; each is shown to
/// `references`.
pub(super) fn count_changes(
    store: &Store,
    schema: &Schema,
    parent: &Parent,
    entities: &mut [Entity],
    references: &mut References<'_>,
) -> Result<(), Error> {
    let differs = |entity: &Entity| {
        parent
            .manifest
            .entity(&entity.entity)
            .is_some_and(|before| before.root != entity.root)
    };
    if !entities.iter().any(differs) {
        return Ok(());
    }
    let reader = store.reader()?;
    // A leaf that is a delta on the one before it is read right behind that.
    reader.keep_leaves(KEPT_BYTES);
    for entity in entities.iter_mut().filter(|entity| differs(entity)) {
        let before = parent.entity(&entity.entity);
        let (Some((before, old, encoding)), Some(new)) = (before, schema.table(&entity.entity))
        else {
            references.unknown(&entity.entity);
            continue;
        };
        let (old_key, new_key) = (key_in_leaf(old), key_in_leaf(new));
        let old = TreeShape::of(old, encoding);
        let new = TreeShape::of(new, schema.encoding);
        let (before_root, after_root) = (root_of(before), root_of(entity));
        let mut each = |difference: Difference<'_>| {
            let shown = references.differs(&entity.entity, difference);
            shown.map_err(CountError::References)
        };
        let counted = diff::count_each(
            &reader,
            reader.hash(),
            State {
                shape: &old,
                root: before_root.as_ref(),
                key: &old_key,
            },
            State {
                shape: &new,
                root: after_root.as_ref(),
                key: &new_key,
            },
            Some(&mut each),
        );
        entity.changes = match counted {
            Ok((changes, shown)) => {
                if !shown {
                    references.unknown(&entity.entity);
                }
                (!changes.is_empty()).then_some(changes)
            }
            Err(CountError::References(error)) => return Err(error),
            Err(CountError::Blob(error)) if error.why == BlobErrorKind::Unavailable => {
                return Err(Error::Store(error.into()));
            }
            // Damage in the parent must not stop a backup: nothing depends on the report.
            Err(CountError::Blob(_)) => {
                references.unknown(&entity.entity);
                None
            }
        };
    }
    Ok(())
}

/// Why differences were not counted to their end.
enum CountError {
    Blob(BlobError),
    References(Error),
}

impl From<BlobError> for CountError {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}
