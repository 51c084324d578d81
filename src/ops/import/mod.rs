//! Importing: a plain export, of larder or of its ancestor, becomes a snapshot again.
//!
//! Every file is read twice. First it is digested, counted and parsed, and nothing is made of any
//! unless all are as the manifest says. Then a database is made of the records, in a temporary
//! file, and backed up. A store sees no more of it than of any backup that may fail.

mod check;
mod database;
mod document;
mod listing;
mod long_strings;
mod made_up;
mod place;
mod schemaless;
mod unescape;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use self::database::{Plan, RECORDS_A_STEP};
use self::document::{Record, Refusal};
use self::listing::Listing;
use self::long_strings::Aside;
use self::made_up::{Fields, WrongFields};
use self::schemaless::Seen;
use crate::error::{Error, ImportError, TargetError};
pub use crate::error::{FileDamage, FileDamageKind};
use crate::format::manifest::Manifest;
use crate::model::counted::counted;
use crate::model::exported::ExportedFile;
use crate::ops::backup::{self, BackupOptions, BackupOutcome, Origin, Reading};
use crate::ops::open::{self, Store, StoreOptions, World};
use crate::ops::select::{self, SourceChoice};
use crate::progress::{Finding, Progress, Unit};

/// What to import, and under which names.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The folder or zip.
    pub export: PathBuf,
    /// Name of the snapshot; `None`: `backup_YYYYMMDD_HHMMSS` in local time, `_2` … if taken.
    pub name: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Tells sources apart in place of host and path.
    pub source_name: Option<String>,
    /// Folder for the temporary database; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
}

/// An export, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    /// The folder or zip, as it was given.
    pub path: PathBuf,
    /// Its name: that of the folder or zip.
    pub name: String,
    /// When it was made, as it says.
    pub export_date: String,
    /// The same as RFC 3339 in UTC, if it is a time.
    pub time: Option<String>,
    /// What was exported, as it says.
    pub source: String,
    /// Entity files.
    pub files: u64,
    /// Records of the entity files.
    pub records: u64,
    /// True if it has a schema: it is an export of larder.
    pub has_schema: bool,
}

/// An entity file that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Its name.
    pub file: String,
    /// Its entity.
    pub entity: String,
    /// Records it should have.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// True if it is what the manifest says.
    pub good: bool,
}

/// What was found about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportCheck {
    /// The export.
    pub export: ExportSummary,
    /// Its files, those of internal tables included.
    pub files: Vec<FileCheck>,
    /// What is wrong with them.
    pub damage: Vec<FileDamage>,
    /// Files that no manifest names.
    pub findings: Vec<Finding>,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// An export as a snapshot of a store that goes with this value.
#[derive(Debug)]
pub struct Borrowed {
    /// The store; nothing else is in it.
    pub store: Store,
    /// The snapshot.
    pub manifest: Manifest,
    // Last: the store is closed before its folder goes.
    _folder: TempDir,
}

/// Takes an export into a store. On return the snapshot is durable.
///
/// Errors: `Import`, `Target` (the temporary database), and those of a backup. Nothing is visible
/// in the store after any.
pub fn run(
    store: &mut Store,
    world: &World,
    options: &ImportOptions,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let begun = world.env.monotonic();
    let mut listing = Listing::open(&options.export, world)?;
    let scratch = scratch(options.temp_dir.as_deref(), world)?;
    let checked = check(&mut listing, progress)?;
    if !checked.damage.is_empty() {
        return Err(Error::Import(ImportError::Damaged {
            path: listing.path(),
            damage: checked.damage,
        }));
    }
    let mut findings = told(&listing);
    findings.extend(listing.others()?);
    let plan = match &listing.manifest.larder {
        Some(carried) => Plan {
            schema: carried.schema.clone(),
            settings: carried.settings.clone(),
            made_up: false,
            lenient: carried.pages_left_out.is_some(),
        },
        None => {
            findings.extend(schemaless::notes(&listing, &checked.seen));
            schemaless::plan(&mut listing, &checked.seen, scratch.path(), world)?
        }
    };
    let database = scratch.path().join("import.db");
    findings.extend(database::make(
        &mut listing,
        &plan,
        &database,
        world,
        progress,
    )?);
    let origin = Origin {
        path: listing.place.resolved().to_owned(),
        bytes: checked.files.iter().map(|file| file.bytes).sum(),
        findings,
        dependencies: match plan.made_up {
            true => schemaless::dependencies(&listing.manifest.files),
            false => BTreeMap::new(),
        },
    };
    let options = BackupOptions {
        database,
        name: options.name.clone(),
        tags: options.tags.clone(),
        source_name: options.source_name.clone(),
        busy_timeout: Duration::ZERO,
        temp_dir: Some(scratch.path().to_owned()),
        check_source: None,
        strict: false,
        reading: Reading::default(),
        fast_skip_from: None,
    };
    let mut outcome = backup::run_as(store, world, &options, Some(&origin), progress)?;
    let elapsed = world.env.monotonic().saturating_sub(begun);
    outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

/// What the manifest of an export says. Reads nothing else.
pub fn look(path: &Path, world: &World) -> Result<ExportSummary, Error> {
    Ok(summary(&Listing::open(path, world)?))
}

/// Reads every file of an export. Damage is in the outcome; an error means that it could not be
/// looked for.
pub fn validate(
    path: &Path,
    world: &World,
    progress: &mut dyn Progress,
) -> Result<ExportCheck, Error> {
    let begun = world.env.monotonic();
    let mut listing = Listing::open(path, world)?;
    let checked = check(&mut listing, progress)?;
    let findings: Vec<Finding> = listing.others()?.into_iter().collect();
    for finding in &findings {
        progress.found(finding);
    }
    let elapsed = world.env.monotonic().saturating_sub(begun);
    Ok(ExportCheck {
        export: summary(&listing),
        files: checked.files,
        damage: checked.damage,
        findings,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Takes an export into a temporary store, from which it can be restored.
pub fn borrow(
    path: &Path,
    world: &World,
    temp_dir: Option<&Path>,
    progress: &mut dyn Progress,
) -> Result<Borrowed, Error> {
    let folder = scratch(temp_dir, world)?;
    let place = StoreOptions {
        location: folder.path().join("store"),
        cache_dir: None,
        // It is read once.
        compression: 1,
    };
    let mut store = open::create(&place, world)?;
    let options = ImportOptions {
        export: path.to_owned(),
        name: Some(name_of(path)).filter(|name| backup::check_name(name).is_ok()),
        temp_dir: Some(folder.path().to_owned()),
        ..ImportOptions::default()
    };
    let taken = run(&mut store, world, &options, progress)?;
    let manifest = select::one(&store, &taken.snapshot.id, &SourceChoice::Any)?;
    Ok(Borrowed {
        store,
        manifest,
        _folder: folder,
    })
}

fn scratch(temp_dir: Option<&Path>, world: &World) -> Result<TempDir, Error> {
    let place = temp_dir.map_or_else(std::env::temp_dir, Path::to_owned);
    let folder = crate::source::scratch_folder(&place, &*world.env);
    folder.map_err(|cause| {
        Error::Target(TargetError::File {
            op: "make a folder in",
            path: place,
            cause,
        })
    })
}

/// The name of the folder or zip.
fn name_of(path: &Path) -> String {
    let resolved = crate::source::recorded_path(path);
    let name = resolved
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}

fn summary(listing: &Listing) -> ExportSummary {
    let files = &listing.manifest.files;
    ExportSummary {
        path: listing.path(),
        name: name_of(listing.place.path()),
        export_date: listing.manifest.export_date.clone(),
        time: listing.time().map(|time| format!("{time:.3}")),
        source: listing.manifest.source.clone(),
        files: files.len() as u64,
        records: files.iter().map(|file| file.record_count).sum(),
        has_schema: listing.manifest.larder.is_some(),
    }
}

/// What the export says of itself, and what it says that it lacks.
fn told(listing: &Listing) -> Vec<Finding> {
    let place = listing.place.resolved().display().to_string();
    let manifest = &listing.manifest;
    let date = match (listing.time(), manifest.export_date.as_str()) {
        (Some(time), _) => format!("{time:.0}"),
        (None, "") => "at a time that it does not say".to_owned(),
        (None, date) => date.to_owned(),
    };
    let text = match manifest.source.as_str() {
        "" => format!("an export, made {date}"),
        source => format!("an export of {source}, made {date}"),
    };
    let mut told = vec![Finding::note(place.clone(), text)];
    if manifest.larder.as_ref().is_some_and(|c| c.damaged) {
        let text = "the database that was exported was damaged: this is what could be read of it";
        told.push(Finding::warning(place.clone(), text));
    }
    let left_out = manifest.larder.as_ref().and_then(|c| c.pages_left_out);
    told.extend(left_out.map(|pages| {
        let text = format!(
            "its snapshot has {} of the database beside the records, for these do not make it \
             again; an export has none",
            counted(pages, "page")
        );
        Finding::warning(place, text)
    }));
    told
}

/// What reading all files has shown.
struct Checked {
    files: Vec<FileCheck>,
    damage: Vec<FileDamage>,
    seen: Seen,
}

/// Reads every file to its end.
fn check(listing: &mut Listing, progress: &mut dyn Progress) -> Result<Checked, Error> {
    let encoding = listing.encoding();
    let has_schema = listing.manifest.larder.is_some();
    let mut checked = Checked {
        files: Vec::new(),
        damage: Vec::new(),
        seen: Vec::new(),
    };
    let path = listing.path();
    progress.phase("Checking", listing.records(), Unit::Records);
    for file in listing.files() {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let mut fields = Fields::default();
        let wrong = |fields| wrong_fields(&path, &file, fields);
        let mut each = |number: u64, record: &mut Record, _: &Aside| {
            if number.is_multiple_of(RECORDS_A_STEP) {
                progress.advance(RECORDS_A_STEP);
                if progress.cancelled() {
                    return Err(Refusal::Error(Error::Cancelled));
                }
            }
            match has_schema {
                true => Ok(()),
                false => fields.look_at(record, number, &wrong),
            }
        };
        let looked = check::file(&mut listing.place, &file, encoding, &mut each)?;
        checked.files.push(FileCheck {
            file: file.filename.clone(),
            entity: file.entity_type.clone(),
            records: file.record_count,
            bytes: looked.bytes,
            good: looked.damage.is_empty(),
        });
        checked.damage.extend(looked.damage);
        checked.seen.push(fields);
    }
    Ok(checked)
}

fn wrong_fields(path: &Path, file: &ExportedFile, wrong: WrongFields) -> ImportError {
    match wrong {
        WrongFields::Twice(name) => ImportError::Duplicate {
            path: path.to_owned(),
            what: "fields of a record, case apart,",
            name: format!("{}.{name}", file.entity_type),
        },
        WrongFields::TooMany(max) => ImportError::TooMuch {
            path: path.to_owned(),
            what: format!("fields of {}", file.entity_type),
            found: max + 1,
            max,
        },
    }
}
