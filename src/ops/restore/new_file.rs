//! Into a new file: the database exactly as it was, checked before it gets its name.

use std::collections::BTreeMap;

use super::content::StoredContent;
use super::{Mode, RestoreOptions, RestoreOutcome, TableReport};
use crate::error::Error;
use crate::format::blob::BlobError;
use crate::format::manifest::{Entity, Manifest};
use crate::model::schema::{Schema, Table};
use crate::ops::list::summary;
use crate::ops::open::{Store, World};
use crate::ops::stored::{read_schema, root_of};
use crate::progress::{Finding, Progress, Severity, Unit};
use crate::store::{StoreError, StoreReader};
use crate::target::{CheckLevel, Expected, ForeignKeyCheck, NewDatabase, TableWriter, TargetError};
use crate::tree::TreeShape;
use crate::tree::cursor::Cursor;

/// Rows between two looks at Ctrl-C.
const ROWS_A_STEP: u64 = 4096;

/// Builds the database beside its place and publishes it, or only says what it would hold.
pub(super) fn run(
    store: &Store,
    world: &World,
    manifest: &Manifest,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<RestoreOutcome, Error> {
    let ids = store.snapshot_names()?.ids;
    let reader = store.reader()?;
    let schema = read_schema(&reader, &manifest.schema)?;
    let mut outcome = RestoreOutcome {
        snapshot: summary(manifest, &ids),
        target: options.target.clone(),
        new_file: true,
        dry_run: options.dry_run,
        target_bytes: None,
        target_in_use: None,
        mode: Mode::Add,
        tables: manifest.entities.iter().map(report).collect(),
        conflicts: Vec::new(),
        safety_snapshot: None,
        findings: left_out(manifest),
        checked: Vec::new(),
        elapsed_ms: 0,
    };
    if !options.dry_run {
        let found = build(&reader, world, manifest, &schema, options, progress)?;
        outcome.findings.extend(found);
        outcome.checked = match options.check {
            CheckLevel::None => vec!["counts", "foreign keys"],
            CheckLevel::Quick => vec!["quick_check", "counts", "foreign keys"],
            CheckLevel::Full => vec!["integrity_check", "counts", "foreign keys"],
        };
    }
    for finding in &outcome.findings {
        progress.found(finding);
    }
    Ok(outcome)
}

fn report(entity: &Entity) -> TableReport {
    TableReport {
        table: entity.entity.clone(),
        inserted: entity.records,
        ..TableReport::default()
    }
}

/// What the backup could not carry is missing from the restored database, too.
fn left_out(manifest: &Manifest) -> Vec<Finding> {
    let is_warning = |f: &&Finding| f.severity == Severity::Warning;
    manifest
        .findings
        .iter()
        .filter(is_warning)
        .cloned()
        .collect()
}

fn build(
    reader: &StoreReader,
    world: &World,
    manifest: &Manifest,
    schema: &Schema,
    options: &RestoreOptions,
    progress: &mut dyn Progress,
) -> Result<Vec<Finding>, Error> {
    let carried = |table: &&Table| manifest.all_tables().any(|e| e.entity == table.name);
    let skipped = schema
        .tables
        .iter()
        .filter(|t| !carried(t))
        .map(|t| t.name.clone());
    let database = NewDatabase::create(
        &world.vfs,
        &options.target,
        &manifest.settings,
        schema,
        skipped,
    )?;
    let total = manifest.all_tables().map(|e| e.records).sum();
    progress.phase("Restoring", total, Unit::Records);
    for table in database.tables() {
        let Some(entity) = manifest.all_tables().find(|e| e.entity == table.name) else {
            continue;
        };
        let mut writer = database.writer(table)?;
        fill(reader, table, entity, &mut writer, progress)?;
    }
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    progress.phase("Building indexes and checking", 0, Unit::Records);
    // What is not carried was named by `left_out` already.
    let restored = database.finish(options.check, &expected(manifest, schema))?;
    let named: Vec<Finding> = left_out(manifest);
    let repeats = |f: &Finding| {
        named
            .iter()
            .any(|other| f.subject == format!("table {}", other.subject))
    };
    Ok(restored
        .findings
        .into_iter()
        .filter(|f| !repeats(f))
        .collect())
}

/// Why a row could not be written.
enum Stop {
    Blob(BlobError),
    Target(TargetError),
    Cancelled,
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

fn fill(
    reader: &StoreReader,
    table: &Table,
    entity: &Entity,
    writer: &mut TableWriter<'_>,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let shape = TreeShape::of(table);
    let root = root_of(entity);
    let mut content = StoredContent::new(reader);
    let mut untold = 0;
    let done = Cursor::new(reader, &shape, root.as_ref()).for_each(|row| {
        writer.row(row, &mut content).map_err(Stop::Target)?;
        untold += 1;
        if untold == ROWS_A_STEP {
            progress.advance(std::mem::take(&mut untold));
            if progress.cancelled() {
                return Err(Stop::Cancelled);
            }
        }
        Ok(())
    });
    progress.advance(untold);
    match done {
        Ok(()) => {}
        Err(Stop::Cancelled) => return Err(Error::Cancelled),
        Err(Stop::Blob(error)) => return Err(StoreError::from(error).into()),
        // A large value that cannot be read is the store's failure, not the target's.
        Err(Stop::Target(error)) => match content.failure() {
            Some(blob) => return Err(StoreError::from(blob).into()),
            None => return Err(error.into()),
        },
    }
    match writer.generated_differ() {
        0 => Ok(()),
        rows => Err(TargetError::Damaged {
            path: std::path::PathBuf::from(&table.name),
            lines: vec![format!(
                "{rows} rows have other generated values than were stored"
            )],
        }
        .into()),
    }
}

/// What the manifest says the database must be like.
fn expected(manifest: &Manifest, schema: &Schema) -> Expected {
    let rows = manifest
        .all_tables()
        .map(|e| (e.entity.clone(), e.records))
        .collect();
    let mut foreign_keys: BTreeMap<String, ForeignKeyCheck> = BTreeMap::new();
    for entity in &manifest.entities {
        let has_keys = schema
            .table(&entity.entity)
            .is_some_and(|t| !t.foreign_keys.is_empty());
        if has_keys {
            foreign_keys.insert(entity.entity.clone(), ForeignKeyCheck::default());
        }
    }
    for verdict in &manifest.foreign_keys {
        let check = foreign_keys.entry(verdict.table.clone()).or_default();
        if verdict.unchecked.is_some() {
            check.defect.clone_from(&verdict.unchecked);
        } else {
            check.violations.insert(verdict.id, verdict.violations);
        }
    }
    Expected { rows, foreign_keys }
}
