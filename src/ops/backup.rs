//! Takes a snapshot of a database: one consistent read, a tree a table, one commit.

mod begin;
mod conclude;
mod content;
mod damage;
mod fast_skip;
mod misfits;
mod naming;
mod options;
mod origin;
mod pages;
mod parent;
mod queue;
mod references;
mod report;
mod seen_keys;
mod tables;
mod verdicts;
mod within;

use std::time::Duration;

use crate::error::Error;
use crate::format::blob::BlobKind;
pub use crate::format::manifest::IntegrityCheck;
use crate::format::manifest::{Manifest, Source};
use crate::ops::open::{Store, World};
use crate::progress::{Finding, Progress, Severity};
pub use crate::source::Reading;
use crate::source::{Capture, SourceError};
use crate::store::{StoreError, StoreWriter};
use begin::{Begun, begin};
use conclude::{Label, Written, conclude};
use fast_skip::FastSkip;
use naming::Lineage;
pub(super) use naming::{check_name, free_name};
pub use options::{BackupOptions, FAST_SKIP_FROM, has_fast_skip};
pub use origin::Origin;
use parent::Parent;
pub use queue::Queue;
use queue::Turn;
pub use report::{BackupOutcome, EntityReport};
use report::{Before, not_copied, outcome};
pub use within::{After, Deed, Taken, confirm, take_of, take_within, withdraw};

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
    let mut turn = Turn::default();
    run_turn(store, world, options, origin, &mut turn, progress)
}

/// As [`run_as`], for one of several.
fn run_turn(
    store: &mut Store,
    world: &World,
    options: &BackupOptions,
    origin: Option<&Origin>,
    turn: &mut Turn<'_>,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let begun = world.env.monotonic();
    let mut tries = 1;
    let mut options = options.clone();
    // What was remembered may tell that little has changed: then it is over sooner than a copy would be.
    options.reading.in_slices = options.fast_skip_from.is_some() && options.check_source.is_none();
    let mut mistrust = None;
    loop {
        let wrong = mistrust.as_ref();
        match attempt(store, world, &options, (origin, wrong), turn, progress) {
            // W6: packs that were uploaded are found again by deduplication.
            Err(Error::Store(StoreError::Fenced { .. })) if tries < FENCED_TRIES => tries += 1,
            // Others write more than may pile up: a copy lets go of the source sooner.
            Err(Error::Source(SourceError::WalGrew { .. })) if !options.reading.private_copy => {
                options.reading.private_copy = true;
            }
            Err(Error::Source(
                SourceError::WrittenMeanwhile { .. } | SourceError::LockTooLong { .. },
            )) if turn.in_slices => {
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

fn attempt(
    store: &Store,
    world: &World,
    options: &BackupOptions,
    (origin, mistrust): (Option<&Origin>, Option<&Finding>),
    turn: &mut Turn<'_>,
    progress: &mut dyn Progress,
) -> Result<BackupOutcome, Error> {
    let begun = begin(store, world, options, origin, turn, progress)?;
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
