//! `larder backup`: takes a snapshot of each database that is named.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args;
use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths;
use crate::cli::paths::BackupPlace;
use crate::cli::render::escape;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::render::text::backup::BackupView;
use crate::ops::backup::{
    BackupOptions, BackupOutcome, FAST_SKIP_FROM, IntegrityCheck, Queue, Reading,
};
use crate::ops::export::{ExportForm, ExportOptions};
use crate::ops::open::PathKind;
use crate::ops::open::Store;
use crate::ops::select;
use crate::ops::select::SourceChoice;

/// Take a snapshot of a database
///
/// Reads every record once, in one consistent state, while other programs may go on using the
/// database; stores what the store does not hold yet. A store is made if none is there. Of several
/// databases each gets a snapshot of its own; one that cannot be read does not keep the others from it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder backup app.db
  larder backup app.db --name before-upgrade --tag release-7 --zip
  larder backup app.db users.db logs/*.db
  LARDER_DATABASE=app.db larder backup -o ./backups/b1

PATH of --output is, in this order:
  a store                      it is used
  STORE/NAME                   the snapshot is named NAME; so it is with any path that ends in
                               backup_YYYYMMDD_HHMMSS
  absent or an empty folder    a new store is made there
Any other folder is refused.")]
pub struct BackupArgs {
    /// The database files
    #[arg(value_name = "DB", env = "LARDER_DATABASE", hide_env_values = true)]
    databases: Vec<PathBuf>,
    /// Where the snapshot goes, in place of --store: a store, STORE/NAME, or a new store [default: the store]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Also write the snapshot as JSON files into STORE/NAME.zip
    #[arg(long)]
    zip: bool,
    /// Name of the snapshot [default: backup_YYYYMMDD_HHMMSS in local time]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Mark the snapshot; may be given several times [default: no tags]
    #[arg(long = "tag", value_name = "TAG", value_parser = args::tag)]
    tags: Vec<String>,
    /// Name that tells this source from others [default: the host and path of DB do]
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// zstd level of what is written, 1 (fast) to 19 (small)
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = DEFAULT_COMPRESSION,
        value_parser = clap::value_parser!(i32).range(1..=19),
        allow_negative_numbers = true
    )]
    compression: i32,
    /// Have SQLite check the database first; a first backup is checked quickly in any case
    #[arg(long, value_name = "CHECK", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "quick")]
    check_source: Option<CheckWord>,
    /// Fail, and store nothing, if anything cannot be read or carried as records
    #[arg(long)]
    strict: bool,
    /// How long to wait for a database that is busy, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
    /// Without WAL: how long other programs may be kept from writing, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    max_lock: u64,
    /// With WAL: by how much the -wal may grow while DB is read, in MiB; then a copy is read
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = args::mebibytes,
        allow_negative_numbers = true
    )]
    max_wal: u64,
    /// Read every record, also of pages that have not changed since the last backup
    #[arg(long)]
    no_fast_skip: bool,
    /// Nobody writes to DB while it is read: read-only media, or a copy. Takes no locks
    #[arg(long)]
    immutable: bool,
}

/// How SQLite checks the database.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CheckWord {
    /// `quick_check`: pages and records
    Quick,
    /// `integrity_check`: whether indexes agree as well
    Full,
}

impl CheckWord {
    fn check(self) -> IntegrityCheck {
        match self {
            Self::Quick => IntegrityCheck::QuickCheck,
            Self::Full => IntegrityCheck::IntegrityCheck,
        }
    }
}

impl BackupArgs {
    /// The databases, each once.
    fn databases(&self) -> Vec<PathBuf> {
        let mut databases: Vec<PathBuf> = Vec::new();
        for path in self.databases.iter().filter_map(|p| args::given(Some(p))) {
            if !databases.iter().any(|other| paths::same(other, &path)) {
                databases.push(path);
            }
        }
        databases
    }

    fn options(&self, database: PathBuf, name: Option<String>) -> BackupOptions {
        BackupOptions {
            database,
            name,
            tags: self.tags.clone(),
            source_name: self.source_name.clone(),
            busy_timeout: Duration::from_secs(self.deadline),
            temp_dir: None,
            check_source: self.check_source.map(CheckWord::check),
            strict: self.strict,
            reading: Reading {
                max_lock: Duration::from_secs(self.max_lock),
                max_wal_bytes: self.max_wal.saturating_mul(1 << 20),
                immutable: self.immutable,
                ..Reading::default()
            },
            fast_skip_from: (!self.no_fast_skip).then_some(FAST_SKIP_FROM),
        }
    }
}

/// Takes the snapshots, one after the other.
pub fn run(args: &BackupArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let databases = args.databases();
    if databases.is_empty() {
        return Err(no_database(cx));
    }
    let place = place(args, cx)?;
    let several = databases.len() > 1;
    if several {
        refuse_one_name(args, &place, databases.len())?;
    }
    // Looked at before a store is made, so that a mistyped name leaves nothing behind.
    let (mut there, mut code) = (Vec::new(), Code::Ok);
    for database in databases {
        match refuse_no_file(&database, cx) {
            Ok(()) => there.push(database),
            Err(failure) if several => code = code.and(cx.go_on_after(failure)?),
            Err(failure) => return Err(failure),
        }
    }
    if there.is_empty() {
        return Ok(code);
    }
    let (mut store, mut store_created) = cx.open_for_backup(&place, args.compression)?;
    let options = there
        .into_iter()
        .map(|database| args.options(database, place.name.clone()));
    let mut queue = Queue::new(options);
    while let Some(done) = take(
        args,
        &mut queue,
        (&mut store, &place),
        &mut store_created,
        cx,
    ) {
        code = code.and(match done {
            Err(failure) if several => cx.go_on_after(failure)?,
            done => done?,
        });
    }
    Ok(code)
}

fn no_database(cx: &Context<'_>) -> Failure {
    let with = cx
        .look
        .command(&cx.store, &["backup".as_ref(), "app.db".as_ref()]);
    let without = cx.look.command(&cx.store, &["backup".as_ref()]);
    Failure::usage(
        "no database to back up",
        format!(
            "Name it:            {with}\n\
             or in environment:  LARDER_DATABASE=app.db {without}"
        ),
    )
}

/// Errors: a usage error if several databases are to go under one name.
fn refuse_one_name(args: &BackupArgs, place: &BackupPlace, count: usize) -> Result<(), Failure> {
    let (what, hint) = if place.name.is_some() {
        ("snapshots", "Leave out the name, or back up one at a time.")
    } else if args.source_name.is_some() {
        (
            "databases",
            "Leave out --source-name, or back up one at a time.",
        )
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!("one name for {count} {what}"), hint))
}

/// Takes the snapshot of the queue's first database; `None` behind the last one. `store_created`: the store was made for it.
fn take(
    args: &BackupArgs,
    queue: &mut Queue,
    (store, place): (&mut Store, &BackupPlace),
    store_created: &mut bool,
    cx: &mut Context<'_>,
) -> Option<Result<Code, Failure>> {
    let database = queue.first()?.database.clone();
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = match queue.next(store, &world, &mut reporter)? {
        Ok(outcome) => outcome,
        Err(error) => return Some(Err(error.into())),
    };
    reporter.finish(&outcome.findings);
    Some(show(
        args,
        (&database, &outcome),
        (store, place),
        store_created,
        cx,
    ))
}

/// Shows what was done; writes what was asked for besides.
fn show(
    args: &BackupArgs,
    (database, outcome): (&Path, &BackupOutcome),
    (store, place): (&Store, &BackupPlace),
    store_created: &mut bool,
    cx: &mut Context<'_>,
) -> Result<Code, Failure> {
    let zip = if args.zip {
        Some(write_zip(store, &place.store, &outcome.snapshot.id, cx))
    } else {
        None
    };
    let view = BackupView {
        database,
        store: &place.store,
        store_created: std::mem::take(store_created),
        zip: zip
            .as_ref()
            .and_then(|zip| zip.as_ref().ok())
            .map(PathBuf::as_path),
    };
    // The snapshot is there also if the zip could not be written: it is reported first.
    cx.show(&json::backup(outcome, &view), |look| {
        text::backup::backup(outcome, &view, look)
    });
    zip.transpose()?;
    Ok(exit::of_backup(outcome))
}

/// The store that is used or made, and the snapshot's name.
fn place(args: &BackupArgs, cx: &Context<'_>) -> Result<BackupPlace, Failure> {
    let look = |path: &Path| cx.kind(path);
    let mut place = match args::given(args.output.as_ref()) {
        Some(path) => paths::backup_output(&path, &look)?,
        None => paths::backup_store(&cx.store, &look)?,
    };
    match (&place.name, &args.name) {
        (Some(a), Some(b)) if a != b => {
            return Err(Failure::usage(
                format!("two names for one snapshot: {a:?} by --output, {b:?} by --name"),
                "Leave out --name, or give the store alone with --output.",
            ));
        }
        (None, Some(_)) => place.name.clone_from(&args.name),
        (_, _) => {}
    }
    Ok(place)
}

fn refuse_no_file(database: &Path, cx: &Context<'_>) -> Result<(), Failure> {
    let shown = escape::path(database);
    match cx.kind(database)? {
        // That a zip is no database is said by who opens it.
        PathKind::File | PathKind::ExportZip => Ok(()),
        PathKind::Absent => Err(Failure::said(
            Code::Failed,
            format!("no database at {shown} (nothing is there)"),
            "Give the path of a database file.",
        )),
        PathKind::ExportFolder => Err(Failure::said(
            Code::Failed,
            format!("{shown} is an export, not a database"),
            format!(
                "It is taken into the store with: {}",
                cx.look
                    .command(&cx.store, &["import".as_ref(), database.as_os_str()])
            ),
        )),
        PathKind::Store | PathKind::EmptyFolder | PathKind::Folder { .. } => Err(Failure::said(
            Code::Failed,
            format!("{shown} is a folder, not a database"),
            "Give the path of a database file.",
        )),
    }
}

fn write_zip(
    store: &Store,
    path: &Path,
    id: &str,
    cx: &mut Context<'_>,
) -> Result<PathBuf, Failure> {
    let manifest = select::one(store, id, &SourceChoice::Any)?;
    let destination = path.join(format!("{}.zip", manifest.name));
    let options = ExportOptions {
        form: ExportForm::Zip,
        entities: Vec::new(),
    };
    let mut reporter = cx.reporter();
    let outcome = crate::ops::export::run(store, &manifest, &destination, &options, &mut reporter)?;
    Ok(outcome.path)
}
