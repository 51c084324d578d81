//! Exporting: a snapshot as plain files that need no larder to be read.
//!
//! The form is the ancestor's: a folder, or a zip, with `manifest.json` and one JSON file for each
//! entity. An export depends on its snapshot only, so the same snapshot gives the same bytes. It
//! becomes visible complete and durable, or not at all, and replaces nothing.

mod csv;
mod entity;
mod json;
mod out;
mod text;

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use self::entity::RecordForm;
use self::entity::{record_overhead, write_records};
use self::json::Values;
pub use self::json::value_line;
use self::out::{Digested, Out};
use crate::error::{Error, ExportError, SelectError};
use crate::format::blob::{BlobError, BlobSource};
use crate::format::manifest::{Entity, Manifest};
use crate::model::exported::{
    CARRIED_VERSION, Carried, DOCUMENT_VERSION, ExportManifest, ExportedFile,
};
use crate::model::file_name::{MANIFEST_FILE, entity_file};
use crate::model::schema::{Schema, Table};
use crate::ops::open::Store;
use crate::ops::select::nearest;
use crate::ops::stored::{read_schema, root_of};
use crate::progress::{Progress, Unit};

/// What an export is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExportForm {
    /// A folder of files.
    #[default]
    Folder,
    /// One zip archive of the same files.
    Zip,
}

/// What to export.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Folder or zip.
    pub form: ExportForm,
    /// Only these entities; all if empty. Names compare without ASCII case.
    pub entities: Vec<String>,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOutcome {
    /// The folder or the archive.
    pub path: PathBuf,
    /// Number of entity files.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of all files, `manifest.json` included; in a zip before compression.
    pub bytes: u64,
}

/// Why records could not be written, before it is known of which entity and where to.
#[derive(Debug)]
enum WriteError {
    Blob(BlobError),
    Output(io::Error),
    Cancelled,
}

impl From<BlobError> for WriteError {
    fn from(cause: BlobError) -> Self {
        Self::Blob(cause)
    }
}

impl From<io::Error> for WriteError {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}

impl WriteError {
    fn at(self, entity: &Entity, path: &Path) -> ExportError {
        match self {
            Self::Blob(cause) => ExportError::Blob {
                entity: entity.entity.clone(),
                cause,
            },
            Self::Output(cause) => ExportError::Output {
                path: path.to_owned(),
                cause,
            },
            Self::Cancelled => ExportError::Cancelled,
        }
    }
}

/// Exports a snapshot of a store; see `write` for what is written.
pub fn run(
    store: &Store,
    manifest: &Manifest,
    destination: &Path,
    options: &ExportOptions,
    progress: &mut dyn Progress,
) -> Result<ExportOutcome, Error> {
    let reader = store.reader()?;
    let schema = read_schema(&reader, manifest)?;
    Ok(write(
        &reader,
        manifest,
        &schema,
        destination,
        options,
        progress,
    )?)
}

/// Writes the records of one entity, known by its name or by that of its file, to `out`.
pub fn cat(
    store: &Store,
    manifest: &Manifest,
    entity: &str,
    form: RecordForm,
    out: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<u64, Error> {
    let named = |e: &&Entity| e.entity.eq_ignore_ascii_case(entity);
    let filed = |e: &&Entity| e.file == entity;
    let found = manifest
        .all_tables()
        .find(named)
        .or_else(|| manifest.entities.iter().find(filed));
    let Some(found) = found else {
        let names = manifest
            .entities
            .iter()
            .flat_map(|e| [e.entity.as_str(), e.file.as_str()]);
        return Err(SelectError::NoEntity {
            entity: entity.to_owned(),
            snapshot: manifest.name.clone(),
            nearest: nearest(entity, names),
        }
        .into());
    };
    let reader = store.reader()?;
    let schema = read_schema(&reader, manifest)?;
    Ok(write_entity(
        &reader,
        manifest,
        &schema,
        &found.entity,
        form,
        out,
        progress,
    )?)
}

/// Writes a snapshot, or some of its entities, to `destination`: a folder that does not exist or
/// is empty, or a zip that does not exist.
///
/// Files are written in import order, `manifest.json` last. On return all is durable. Names of
/// files are made from those of entities, whatever the manifest says: a foreign store must not
/// choose where we write.
fn write(
    source: &dyn BlobSource,
    manifest: &Manifest,
    schema: &Schema,
    destination: &Path,
    options: &ExportOptions,
    progress: &mut dyn Progress,
) -> Result<ExportOutcome, ExportError> {
    let entities = chosen(manifest, options)?;
    // What is left out of a part cannot be told from what the database lacks: it is records only.
    let is_whole = options.entities.is_empty();
    let internal: Vec<&Entity> = manifest.internal.iter().filter(|_| is_whole).collect();
    ensure_own_files(manifest, entities.iter().chain(&internal).copied())?;
    let mut out = Out::create(destination, options.form, zip_time(&manifest.time))?;
    let records = entities.iter().map(|entity| entity.records).sum();
    let total = internal.iter().map(|entity| entity.records).sum::<u64>();
    progress.phase("exporting", total.saturating_add(records), Unit::Records);
    let mut writing = Writing {
        source,
        manifest,
        schema,
        destination,
        out: &mut out,
        bytes: 0,
    };
    let files = writing.files(&entities, progress)?;
    let count = files.len() as u64;
    let internal = writing.files(&internal, progress)?;
    let carried = is_whole.then(|| Carried {
        version: CARRIED_VERSION,
        settings: manifest.settings.clone(),
        schema: schema.clone(),
        internal,
        pages_left_out: manifest.pages.as_ref().map(|pages| pages.records),
        damaged: manifest.damaged,
    });
    let mut bytes = writing.bytes;
    bytes += write_manifest(manifest, files, carried, destination, &mut out)?;
    if progress.cancelled() {
        return Err(ExportError::Cancelled);
    }
    out.publish()?;
    Ok(ExportOutcome {
        path: destination.to_owned(),
        files: count,
        records,
        bytes,
    })
}

/// An export being written.
struct Writing<'a> {
    source: &'a dyn BlobSource,
    manifest: &'a Manifest,
    schema: &'a Schema,
    destination: &'a Path,
    out: &'a mut Out,
    /// Of all files so far.
    bytes: u64,
}

impl Writing<'_> {
    fn files(
        &mut self,
        entities: &[&Entity],
        progress: &mut dyn Progress,
    ) -> Result<Vec<ExportedFile>, ExportError> {
        let files = entities.iter();
        files.map(|entity| self.file(entity, progress)).collect()
    }

    /// Writes the file of one entity.
    fn file(
        &mut self,
        entity: &Entity,
        progress: &mut dyn Progress,
    ) -> Result<ExportedFile, ExportError> {
        let table = table_of(self.manifest, self.schema, entity)?;
        let filename = entity_file(&entity.entity);
        self.out.begin(&filename, may_be_large(entity, table))?;
        let mut digested = Digested::new(self.out);
        let mut buffered = BufWriter::with_capacity(64 << 10, &mut digested);
        let mut values = Values {
            source: self.source,
            encoding: self.schema.encoding,
            progress,
        };
        let root = root_of(entity);
        let form = RecordForm::Document;
        write_records(table, root.as_ref(), form, &mut values, &mut buffered)
            .and_then(|()| Ok(buffered.flush()?))
            .map_err(|error| error.at(entity, self.destination))?;
        drop(buffered);
        let (sha256, bytes) = digested.finish();
        self.out.end()?;
        self.bytes += bytes;
        Ok(ExportedFile {
            filename,
            entity_type: entity.entity.clone(),
            record_count: entity.records,
            sha256,
            dependencies: entity.dependencies.clone(),
            import_order: entity.import_order.into(),
        })
    }
}

/// Writes the records of one entity, one of SQLite's own tables included, to `out`. Returns their
/// number.
///
/// Errors of `out` have the path `-`; after an error some records are written already.
fn write_entity(
    source: &dyn BlobSource,
    manifest: &Manifest,
    schema: &Schema,
    entity: &str,
    form: RecordForm,
    out: &mut dyn Write,
    progress: &mut dyn Progress,
) -> Result<u64, ExportError> {
    let entity = manifest
        .all_tables()
        .find(|e| e.entity.eq_ignore_ascii_case(entity))
        .ok_or_else(|| no_entity(manifest, entity))?;
    let table = table_of(manifest, schema, entity)?;
    let mut values = Values {
        source,
        encoding: schema.encoding,
        progress,
    };
    let mut buffered = BufWriter::with_capacity(64 << 10, out);
    let root = root_of(entity);
    write_records(table, root.as_ref(), form, &mut values, &mut buffered)
        .and_then(|()| Ok(buffered.flush()?))
        .map_err(|error| error.at(entity, Path::new("-")))?;
    Ok(entity.records)
}

/// The entities to export, in import order.
fn chosen<'a>(
    manifest: &'a Manifest,
    options: &ExportOptions,
) -> Result<Vec<&'a Entity>, ExportError> {
    let same = |entity: &Entity, name: &String| entity.entity.eq_ignore_ascii_case(name);
    let mut wanted = options.entities.iter();
    if let Some(name) = wanted.find(|name| manifest.entity(name).is_none()) {
        return Err(no_entity(manifest, name));
    }
    let is_chosen = |entity: &&Entity| {
        options.entities.is_empty() || options.entities.iter().any(|name| same(entity, name))
    };
    let mut entities: Vec<&Entity> = manifest.entities.iter().filter(is_chosen).collect();
    entities.sort_by_key(|entity| entity.import_order);
    Ok(entities)
}

/// Refuses two entities with one file.
fn ensure_own_files<'a>(
    manifest: &Manifest,
    entities: impl Iterator<Item = &'a Entity>,
) -> Result<(), ExportError> {
    let mut files = HashSet::new();
    for entity in entities {
        if !files.insert(entity_file(&entity.entity).to_ascii_lowercase()) {
            let what = format!("two entities named {:?}", entity.entity);
            return Err(misfit(manifest, what));
        }
    }
    Ok(())
}

fn no_entity(manifest: &Manifest, entity: &str) -> ExportError {
    ExportError::NoEntity {
        entity: entity.to_owned(),
        snapshot: manifest.name.clone(),
    }
}

fn misfit(manifest: &Manifest, what: String) -> ExportError {
    ExportError::Misfit {
        snapshot: manifest.name.clone(),
        what,
    }
}

fn table_of<'a>(
    manifest: &Manifest,
    schema: &'a Schema,
    entity: &Entity,
) -> Result<&'a Table, ExportError> {
    schema.table(&entity.entity).ok_or_else(|| {
        let what = format!("the schema has no table {:?}", entity.entity);
        misfit(manifest, what)
    })
}

/// True if an entity's file may reach 4 GiB, where zip needs its wider fields. Most readers know
/// them, a few do not: so only where they may be needed.
fn may_be_large(entity: &Entity, table: &Table) -> bool {
    const LIMIT: u64 = 0xFFFF_FFFF;
    // One byte of text becomes six at most (`\u0000`), other values fewer.
    let values = entity.bytes.saturating_mul(6);
    let around = entity.records.saturating_mul(record_overhead(table));
    let has_large_values = entity.root.is_some_and(|root| root.has_refs);
    has_large_values || values.saturating_add(around).saturating_add(LIMIT / 1024) >= LIMIT
}

/// The snapshot's time as archives keep it; 1980 if they cannot.
fn zip_time(time: &str) -> zip::DateTime {
    let parse = || {
        let time: jiff::Timestamp = time.parse().ok()?;
        let time = jiff::tz::Offset::UTC.to_datetime(time);
        let part = |value: i8| u8::try_from(value).ok();
        zip::DateTime::from_date_and_time(
            u16::try_from(time.year()).ok()?,
            part(time.month())?,
            part(time.day())?,
            part(time.hour())?,
            part(time.minute())?,
            part(time.second())?,
        )
        .ok()
    };
    parse().unwrap_or_default()
}

fn write_manifest(
    manifest: &Manifest,
    files: Vec<ExportedFile>,
    carried: Option<Carried>,
    destination: &Path,
    out: &mut Out,
) -> Result<u64, ExportError> {
    let source = &manifest.source;
    let file_name = Path::new(&source.path).file_name();
    let file_name = file_name.and_then(|name| name.to_str());
    let content = ExportManifest {
        version: DOCUMENT_VERSION.to_owned(),
        export_date: manifest.time.clone(),
        source: source
            .name
            .as_deref()
            .or(file_name)
            .unwrap_or_default()
            .to_owned(),
        files,
        larder: carried,
    };
    let failed = |cause| ExportError::Output {
        path: destination.to_owned(),
        cause,
    };
    let content = serde_json::to_vec_pretty(&content).map_err(|cause| failed(cause.into()))?;
    out.begin(MANIFEST_FILE, false)?;
    out.write_all(&content).map_err(failed)?;
    out.end()?;
    Ok(content.len() as u64)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was written")]
mod tests;
