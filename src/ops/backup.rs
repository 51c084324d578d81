//! Takes a snapshot of a database: one consistent read, a tree a table, one commit.

mod conclude;
mod content;
mod damage;
mod fast_skip;
mod misfits;
mod naming;
mod pages;
mod parent;
mod references;
mod seen_keys;
mod tables;
mod verdicts;
mod within;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::format::blob::BlobKind;
pub use crate::format::manifest::IntegrityCheck;
use crate::format::manifest::{Changes, Entity, Manifest, Source};
use crate::model::id::SnapshotId;
use crate::ops::list::{SnapshotSummary, summary};
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress, Severity};
pub use crate::source::Reading;
use crate::source::{Capture, CaptureOptions, SourceError, recorded_path};
use crate::store::{Committed, StoreError, StoreWriter};
use conclude::{Label, Written, conclude};
use content::Content;
use fast_skip::FastSkip;
use naming::Lineage;
pub(super) use naming::{check_name, free_name};
use parent::Parent;
pub use within::{After, Deed, Taken, confirm, take_of, take_within, withdraw};

/// What to back up, and under which names.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// The database file.
    pub database: PathBuf,
    /// Name of the snapshot; `None`: `backup_YYYYMMDD_HHMMSS` in local time, `_2` … if taken.
    pub name: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Tells sources apart in place of host and path.
    pub source_name: Option<String>,
    /// How long to wait for a database that is busy.
    pub busy_timeout: Duration,
    /// Folder for private copies; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// How SQLite checks the source first; a first backup is checked quickly in any case.
    pub check_source: Option<IntegrityCheck>,
    /// Fail rather than take a snapshot that lacks something, or that holds pages.
    pub strict: bool,
    /// What the programs that use the database are asked to bear.
    pub reading: Reading,
    /// Rows of databases of so many bytes and more are not read where the pages they lie on are those of the last
    /// backup; `None`: every row is read.
    pub fast_skip_from: Option<u64>,
}

/// True if this build can tell by its pages that a table has not changed: its SQLite has `sqlite_dbpage`.
pub fn has_fast_skip() -> bool {
    crate::source::has_dbpage()
}

/// From this size on a database is worth remembering its pages.
pub const FAST_SKIP_FROM: u64 = 1 << 20;

/// An entity file of the new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityReport {
    /// The table.
    pub entity: String,
    /// Its file's name.
    pub file: String,
    /// Records.
    pub records: u64,
    /// What differs from the parent; `None` if there is no parent (of the same source), or it lacked the entity.
    pub changes: Option<Changes>,
}

/// What a backup did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOutcome {
    /// The new snapshot.
    pub snapshot: SnapshotSummary,
    /// Name of the snapshot that `changes` compare with, of the same source.
    pub parent: Option<String>,
    /// Entity files, in import order.
    pub entities: Vec<EntityReport>,
    /// Entities of the parent that are gone.
    pub dropped: Vec<String>,
    /// Pages of the database that are kept beside its records, where these do not make it again.
    pub pages: Option<u64>,
    /// The source is damaged: the snapshot holds what could be read.
    pub damaged: bool,
    /// Notes and warnings, shown already through `Progress::found`.
    pub findings: Vec<Finding>,
    /// `WAL` or `rollback journal`.
    pub journal: String,
    /// The longest time that others could not write because the database was copied; `None` if
    /// they always could, as in WAL mode.
    pub longest_lock_ms: Option<u64>,
    /// Length of the database file.
    pub source_bytes: u64,
    /// Records that were not read, since the pages they lie on are those of the last backup.
    pub skipped_records: u64,
    /// Bytes of packs and manifest that were added.
    pub stored_bytes: u64,
    /// Sum of the lengths of the store's objects afterwards.
    pub store_bytes: u64,
    /// Snapshots in the store afterwards.
    pub store_snapshots: u64,
    /// Time it took.
    pub elapsed_ms: u64,
}

/// What a database was made from, in order to be backed up: its snapshot is recorded as one of this.
#[derive(Debug, Clone)]
pub struct Origin {
    /// In place of the database's path.
    pub path: PathBuf,
    /// In place of the database's length.
    pub bytes: u64,
    /// What was found while it was made.
    pub findings: Vec<Finding>,
    /// What entities refer to, of those for which the database does not say it.
    pub dependencies: BTreeMap<String, Vec<String>>,
}

impl Origin {
    /// Says of this what was found of the database, and what is known besides.
    fn take_place_of(&self, database: &Path, content: &mut Content) {
        let database = database.display().to_string();
        for finding in &mut content.findings {
            if finding.subject == database {
                finding.subject = self.path.display().to_string();
            }
        }
        content.findings.extend(self.findings.iter().cloned());
        for entity in &mut content.entities {
            if let Some(others) = self.dependencies.get(&entity.entity) {
                entity.dependencies.clone_from(others);
            }
        }
    }
}

/// A writer that a prune took for dead begins again so often.
const FENCED_TRIES: u32 = 3;

/// Backs up one database. On return the snapshot is durable.
///
/// Errors: `Source`, `Store`, `Select` (`NameTaken`), `Cancelled`. Nothing is visible after any.
pub fn run(
    store: &mut Store,
    world: &World,
    options: &BackupOptions,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    run_as(store, world, options, None, progress)
}

/// As [`run`], for a database that was made from something else.
pub fn run_as(
    store: &mut Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let begun = world.env.monotonic();
    let mut tries = 1;
    let mut options = options.clone();
    // What was remembered may tell that little has changed: then it is over sooner than a copy would be.
    options.reading.in_slices = options.fast_skip_from.is_some() && options.check_source.is_none();
    let mut mistrust = None;
    loop {
        match attempt(store, world, &options, origin, mistrust.as_ref(), progress) {
            // W6: packs that were uploaded are found again by deduplication.
            Err(Error::Store(StoreError::Fenced { .. })) if tries < FENCED_TRIES => tries += 1,
            // Others write more than may pile up: a copy lets go of the source sooner.
            Err(Error::Source(SourceError::WalGrew { .. })) if !options.reading.private_copy => {
                options.reading.private_copy = true;
            }
            Err(Error::Source(
                SourceError::WrittenMeanwhile { .. } | SourceError::LockTooLong { .. },
            )) if options.reading.in_slices => {
                options.reading.in_slices = false;
            }
            Err(Error::Store(error @ StoreError::WrongPages { .. })) => {
                options.fast_skip_from = None;
                let path = options.database.display().to_string();
                let text = format!("{error}, and every record was read");
                mistrust = Some(Finding::warning(path, text));
            }
            Err(error) => return Err(error),
            Ok(mut outcome) => {
                let elapsed = world.env.monotonic().saturating_sub(begun);
                outcome.elapsed_ms = whole_ms(elapsed);
                return Ok(outcome);
            }
        }
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A source that is held, and what is known before it is read.
struct Begun {
    time_ms: i64,
    lineage: Lineage,
    source: Source,
    capture: Capture,
    skip: Option<FastSkip>,
}

/// Looks for what is known of the source, and captures it.
fn begin(
    store: &Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
    progress: &mut dyn Progress,
) -> Result<Begun, Error> {
    // A name that is taken is found before anything is read.
    let time_ms = world.env.unix_ms();
    let lineage = naming::read(store, options.name.as_deref(), time_ms)?;
    let path = match origin {
        Some(origin) => origin.path.clone(),
        None => recorded_path(&options.database),
    };
    let mut source = Source {
        path: path.display().to_string(),
        name: options.source_name.clone(),
        bytes: 0,
    };
    let skip = is_large(world, options).then(|| FastSkip::begin(store, &*world.env, &source));
    let skip = skip.flatten();
    // A first backup is checked by SQLite in one go, which would keep others waiting.
    let remembers =
        lineage.knows(&world.env.host(), &source) && skip.as_ref().is_some_and(FastSkip::remembers);
    let capture_options = CaptureOptions {
        busy: options.busy_timeout,
        temp_dir: options.temp_dir.clone().unwrap_or_else(std::env::temp_dir),
        vfs: world.vfs.clone(),
        env: world.env.clone(),
        stop: progress.stop_sign(),
        reading: Reading {
            in_slices: options.reading.in_slices && remembers,
            ..options.reading.clone()
        },
    };
    // Copies of databases that killed runs have left: whether this one needs such a folder or not.
    crate::source::remove_leftovers(&capture_options.temp_dir, &*world.env);
    let capture = Capture::begin(&options.database, &capture_options)?;
    source.bytes = origin.map_or(capture.bytes(), |origin| origin.bytes);
    Ok(Begun {
        time_ms,
        lineage,
        source,
        // A damaged one is looked at whole.
        skip: skip.filter(|_| capture.damage().is_none()),
        capture,
    })
}

fn attempt(
    store: &Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
    mistrust: Option<&Finding>,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let begun = begin(store, world, options, origin, progress)?;
    let Begun {
        time_ms,
        lineage,
        source,
        capture,
        mut skip,
    } = begun;
    let snapshots = lineage.snapshots;
    let mut writer = store.writer(time_ms)?;
    let job = Job {
        store,
        world,
        options,
        capture: &capture,
    };
    let written = write(
        &job,
        &source,
        &lineage,
        skip.as_mut(),
        &mut writer,
        progress,
    );
    forget_if_wrong(skip.as_ref(), &written);
    let mut skipped_records = 0;
    let written = written.map(|mut written| {
        if let Some(origin) = origin {
            origin.take_place_of(capture.path(), &mut written.content);
        }
        skipped_records = written.content.skipped;
        written.content.findings.extend(mistrust.cloned());
        written
    });
    let label = Label {
        name: lineage.name,
        tags: options.tags.clone(),
        time_ms,
        host: world.env.host(),
        source,
        restore: None,
    };
    let done =
        written.and_then(|written| conclude(store, capture.moment(), label, written, &mut writer));
    let longest_lock_ms = capture.longest_lock().map(whole_ms);
    let done = done.and_then(|(manifest, parent)| {
        let before = job.look_back(&manifest, snapshots, progress)?;
        Ok((manifest, parent, before))
    });
    let done = done.and_then(|done| {
        // `Changed` if another file took the database's place meanwhile.
        capture.finish()?;
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(done)
    });
    let (writer, (manifest, parent, before)) = go_on(writer, done)?;
    let committed = writer.commit(&manifest)?;
    // From here on nothing may fail: the snapshot is there, whatever is said.
    store.keep_ballast();
    if let Some(skip) = skip {
        // If this is not remembered, the next backup reads every row.
        let _ = skip.remember();
    }
    let mut outcome = outcome(&manifest, parent.as_ref(), before, &committed);
    if let Some(finding) = not_copied(&manifest, &committed) {
        progress.found(&finding);
        outcome.findings.push(finding);
    }
    outcome.longest_lock_ms = longest_lock_ms;
    outcome.skipped_records = skipped_records;
    Ok(outcome)
}

/// That the store keeps copies of manifests, and has none of this one.
fn not_copied(manifest: &Manifest, committed: &Committed) -> Option<Finding> {
    let cause = committed.not_copied.as_ref()?;
    let text = format!("the snapshot is stored, a second copy of its manifest is not: {cause}");
    Some(Finding::warning(format!("snapshot {}", manifest.id), text))
}

/// Gives the writer up after an error.
fn go_on<T>(writer: StoreWriter, done: Result<T, Error>) -> Result<(StoreWriter, T), Error> {
    match done {
        Ok(done) => Ok((writer, done)),
        Err(error) => {
            // The first error says what went wrong; a record that stays is fenced by a prune.
            let _ = writer.abandon();
            Err(error)
        }
    }
}

/// What a strict backup asks: no warning.
fn ensure_all_carried(capture: &Capture, manifest: &Manifest) -> Result<(), SourceError> {
    let warnings = manifest.findings.iter();
    let what: Vec<String> = warnings
        .filter(|finding| finding.severity == Severity::Warning)
        .map(|finding| format!("{}: {}", finding.subject, finding.text))
        .collect();
    if what.is_empty() {
        return Ok(());
    }
    Err(SourceError::NotAllCarried {
        path: capture.path().to_owned(),
        what,
    })
}

/// The ids of a store's snapshots, and the one that is about to be committed.
fn ids_with(store: &Store, own: &SnapshotId) -> Result<Vec<SnapshotId>, StoreError> {
    let mut ids = store.snapshot_names()?.ids;
    let at = ids.partition_point(|id| id < own);
    ids.insert(at, own.clone());
    Ok(ids)
}

/// What a store is before the commit, for the report.
struct Before {
    ids: Vec<SnapshotId>,
    snapshots: u64,
    /// Bytes of its objects, writer records of this run apart.
    bytes: u64,
}

impl Before {
    fn read(store: &Store, own: &SnapshotId, snapshots: u64) -> Result<Self, Error> {
        let ids = ids_with(store, own)?;
        let own_record = crate::format::name::writer(own);
        let objects = store.objects()?;
        let bytes = objects
            .iter()
            .filter(|object| object.name != own_record)
            .map(|object| object.bytes)
            .sum();
        Ok(Self {
            ids,
            snapshots,
            bytes,
        })
    }
}

/// What is backed up, where to, and how.
struct Job<'a> {
    store: &'a Store,
    world: &'a World,
    options: &'a BackupOptions,
    capture: &'a Capture,
}

impl Job<'_> {
    /// Tells what was found, and reads what the store is before the commit of what was read.
    fn look_back(
        &self,
        manifest: &Manifest,
        snapshots: u64,
        progress: &mut dyn Progress,
    ) -> Result<Before, Error> {
        for finding in &manifest.findings {
            progress.found(finding);
        }
        if self.options.strict {
            ensure_all_carried(self.capture, manifest)?;
        }
        Before::read(self.store, &manifest.id, snapshots)
    }
}

/// What cannot be forgotten is not used in the next attempt, and found wrong again.
fn forget_if_wrong(skip: Option<&FastSkip>, written: &Result<Written, Error>) {
    if let (Some(skip), Err(Error::Store(StoreError::WrongPages { .. }))) = (skip, written) {
        let _ = skip.forget();
    }
}

/// A small database is read sooner than what is remembered of it.
fn is_large(world: &World, options: &BackupOptions) -> bool {
    let entry = world.vfs.entry(&recorded_path(&options.database));
    let bytes = entry.ok().flatten().map_or(0, |entry| entry.bytes);
    options.fast_skip_from.is_some_and(|min| bytes >= min)
}

/// Puts the schema and every carried table, beside the parent's.
fn write(
    job: &Job<'_>,
    source: &Source,
    lineage: &Lineage,
    skip: Option<&mut FastSkip>,
    writer: &mut StoreWriter,
    progress: &mut dyn Progress,
) -> Result<Written, Error> {
    let Job {
        store,
        world,
        options,
        capture,
        ..
    } = job;
    let canonical = parent::encode_schema(capture.schema())?;
    let id = writer.hash().blob_id(BlobKind::Schema as u8, &canonical);
    let moment = capture.moment();
    let tables = moment.schema().tables.iter();
    let carried: Vec<&str> = tables
        .filter(|table| moment.carries(table) && !table.is_internal())
        .map(|table| table.name.as_str())
        .collect();
    let parent = lineage
        .basis(&world.env.host(), source, id, &carried)
        .map(|basis| Parent::open(store, writer, basis))
        .transpose()?;
    let schema = parent::put_schema(&canonical, parent.as_ref(), writer)?;
    let asked = options.check_source;
    let content = content::write(capture, asked, parent.as_ref(), skip, writer, progress)?;
    Ok(Written {
        parent,
        schema,
        content,
    })
}

fn outcome(
    manifest: &Manifest,
    parent: Option<&Manifest>,
    before: Before,
    committed: &Committed,
) -> BackupOutcome {
    let entities = manifest
        .entities
        .iter()
        .map(|entity| EntityReport {
            entity: entity.entity.clone(),
            file: entity.file.clone(),
            records: entity.records,
            changes: parent
                .and_then(|parent| parent.entity(&entity.entity))
                .map(|_| entity.changes.unwrap_or_default()),
        })
        .collect();
    let dropped = parent.map_or_else(Vec::new, |parent| {
        let gone = |e: &&Entity| manifest.entity(&e.entity).is_none();
        parent
            .entities
            .iter()
            .filter(gone)
            .map(|e| e.entity.clone())
            .collect()
    });
    let is_wal = manifest.settings.journal_mode == "wal";
    BackupOutcome {
        snapshot: summary(manifest, &before.ids),
        parent: parent.map(|parent| parent.name.clone()),
        entities,
        dropped,
        pages: manifest.pages.as_ref().map(|pages| pages.records),
        damaged: manifest.damaged,
        findings: manifest.findings.clone(),
        journal: if is_wal { "WAL" } else { "rollback journal" }.to_owned(),
        longest_lock_ms: None,
        skipped_records: 0,
        source_bytes: manifest.source.bytes,
        stored_bytes: committed.pack_bytes + committed.manifest_bytes,
        store_bytes: before.bytes + committed.manifest_bytes + committed.second_bytes,
        store_snapshots: before.snapshots + 1,
        elapsed_ms: 0,
    }
}
