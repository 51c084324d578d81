//! `larder restore`: puts a snapshot's records back.

use std::ffi::OsStr;
use std::ffi::OsString;
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
use crate::cli::paths::Place;
use crate::cli::quote;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::open::PathKind;
use crate::ops::restore::CheckLevel;
use crate::ops::restore::Form;
use crate::ops::restore::Mode;
use crate::ops::restore::RestoreOptions;
use crate::ops::restore::RestoreOutcome;
use crate::ops::select::SourceChoice;

/// Put a snapshot's records back, into a new or an existing database
///
/// A database that does not exist yet is made exactly as it was. Into one that exists records are
/// put in one transaction, or nothing is; the database may be in use. What will happen is shown
/// beforehand with --dry-run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder restore latest --to restored.db
  larder restore latest --to app.db --dry-run
  larder restore backup_20261123_211530 --to app.db --mode replace
  larder restore ./export --to restored.db
  LARDER_DATABASE=app.db larder restore ./backups/b1 --mode replace

`latest` is that of the database that is restored to, if the store has snapshots of it; else of the
only source there is, or of --source-name. A restore that stops on conflicts writes nothing and
exits with 5.")]
pub struct RestoreArgs {
    /// The snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means its latest;
    /// or an export
    #[arg(value_name = "SNAP")]
    snapshot: OsString,
    /// The database to write; absent or existing. Never the recorded source unless it is given here
    #[arg(
        long,
        value_name = "DB",
        env = "LARDER_DATABASE",
        hide_env_values = true
    )]
    to: Option<PathBuf>,
    /// What happens to rows that exist already
    #[arg(short, long, value_name = "MODE", value_enum, default_value_t)]
    mode: ModeWord,
    /// Ask about every reference that has no target (comes in a later version)
    #[arg(short, long)]
    interactive: bool,
    /// Show what would happen, write nothing [default: write]
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Restore the latest snapshot of the source of this name or path [default: see below]
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
    /// How the result is checked before it counts
    #[arg(long, value_name = "CHECK", value_enum, default_value_t)]
    check: CheckWord,
    /// What a new file is made from
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    from: FormWord,
    /// How long to wait for a database that is busy, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    deadline: u64,
}

/// What happens to rows that exist already.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum ModeWord {
    /// Leave them as they are; insert records that are missing
    #[default]
    Add,
    /// As add, and fill what is NULL in them
    Augment,
    /// Empty the tables first: afterwards they equal the snapshot
    Replace,
}

/// What a new file is made from.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum FormWord {
    /// Records; pages where the snapshot holds them because records do not make the database again
    #[default]
    Best,
    /// Records: what SQL does not make again is left out and named
    Records,
    /// The pages as they were, those of a damaged database too
    Pages,
}

/// How the result is checked.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum CheckWord {
    /// Counts and foreign keys only: SQLite itself verifies nothing
    None,
    /// And SQLite's `quick_check`
    #[default]
    Quick,
    /// And SQLite's `integrity_check`, and every record read again
    Full,
}

impl RestoreArgs {
    fn options(&self, target: PathBuf) -> RestoreOptions {
        RestoreOptions {
            target,
            mode: match self.mode {
                ModeWord::Add => Mode::Add,
                ModeWord::Augment => Mode::Augment,
                ModeWord::Replace => Mode::Replace,
            },
            dry_run: self.dry_run,
            busy_timeout: Duration::from_secs(self.deadline),
            check: match self.check {
                CheckWord::None => CheckLevel::None,
                CheckWord::Quick => CheckLevel::Quick,
                CheckWord::Full => CheckLevel::Full,
            },
            form: match self.from {
                FormWord::Best => Form::Best,
                FormWord::Records => Form::Records,
                FormWord::Pages => Form::Pages,
            },
            ..RestoreOptions::default()
        }
    }
}

/// Restores.
pub fn run(args: &RestoreArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    if args.interactive {
        return Err(Failure::usage(
            "interactive restore comes in a later version of larder",
            "Leave out --interactive; --dry-run shows what would happen.",
        ));
    }
    let Some(target) = args::given(args.to.as_ref()) else {
        return Err(no_target(args, cx));
    };
    let source = match &args.source_name {
        Some(name) => SourceChoice::Named(name.clone()),
        None => SourceChoice::Of(target.clone()),
    };
    let options = args.options(target);
    let (outcome, store) = match cx.place(&args.snapshot)? {
        Place::Export(path) => (from_export(&path, &options, cx)?, cx.store.clone()),
        Place::Snapshot { .. } | Place::Store(_) | Place::Folder { .. } => {
            let mut selected = cx.one(&args.snapshot, &source)?;
            let world = cx.world.clone();
            let mut reporter = cx.reporter();
            let outcome = ops::restore::run(
                &mut selected.store,
                &world,
                &selected.manifest,
                &options,
                &mut ops::restore::NoDecider,
                &mut reporter,
            )?;
            reporter.finish(&outcome.findings);
            (outcome, selected.path)
        }
    };
    let conflicts = !outcome.conflicts.is_empty();
    let report = |look: &_| text::restore::restore(&outcome, &store, look);
    if conflicts || args.dry_run {
        cx.answer(&json::restore(&outcome), report);
    } else {
        cx.show(&json::restore(&outcome), report);
    }
    Ok(exit::of_restore(&outcome))
}

/// Restores an export as it is: as a snapshot in a store of its own, which goes again.
fn from_export(
    export: &Path,
    options: &RestoreOptions,
    cx: &mut Context<'_>,
) -> Result<RestoreOutcome, Failure> {
    // What a database loses is saved in the store that is named, made if it is not there.
    let is_there = cx.kind(&options.target)? != PathKind::Absent;
    let path = cx.store.clone();
    let mut keep = match is_there && !options.dry_run {
        true => {
            let place = paths::backup_store(&path, &|path| cx.kind(path))?;
            Some(cx.open_for_backup(&place, DEFAULT_COMPRESSION)?.0)
        }
        false => None,
    };
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let mut borrowed = ops::import::borrow(export, &world, None, &mut reporter)?;
    let decider = &mut ops::restore::NoDecider;
    let outcome = match &mut keep {
        Some(keep) => {
            let (store, manifest) = (&borrowed.store, &borrowed.manifest);
            ops::restore::run_from(
                store,
                manifest,
                keep,
                &world,
                options,
                decider,
                &mut reporter,
            )?
        }
        None => {
            let (store, manifest) = (&mut borrowed.store, &borrowed.manifest);
            ops::restore::run(store, &world, manifest, options, decider, &mut reporter)?
        }
    };
    reporter.finish(&outcome.findings);
    Ok(outcome)
}

/// No database to write to. The recorded source is suggested, and never written unasked.
fn no_target(args: &RestoreArgs, cx: &Context<'_>) -> Failure {
    let source = match &args.source_name {
        Some(name) => SourceChoice::Named(name.clone()),
        None => SourceChoice::Any,
    };
    let word = args.snapshot.as_os_str();
    let with = [
        "restore".as_ref(),
        word,
        "--to".as_ref(),
        "restored.db".as_ref(),
    ];
    let with = cx.look.command(&cx.store, &with);
    let without = cx.look.command(&cx.store, &["restore".as_ref(), word]);
    let mut next = format!(
        "Name it:            {with}\n\
         or in environment:  LARDER_DATABASE=restored.db {without}"
    );
    // A suggestion only: where it cannot be made, the message stands without it.
    if let Ok(selected) = cx.one(&args.snapshot, &source) {
        let recorded = OsStr::new(&selected.manifest.source.path);
        next.push_str("\nIt is a snapshot of: ");
        next.push_str(&quote::word(recorded));
        next.push_str("  (to restore there: --to ");
        next.push_str(&quote::word(recorded));
        next.push(')');
    }
    Failure::usage("no database to restore to", next)
}
