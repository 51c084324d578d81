//! `larder undo`: takes a restore back.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::escape;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::open::PathKind;
use crate::ops::restore::CheckLevel;
use crate::ops::undo::UndoOptions;

/// Take a restore back: the rows that it wrote, and nothing else
///
/// What the restore inserted is deleted, what it changed gets its values again, what it deleted comes
/// back. A row that was changed since is never overwritten, nor is what came since: any row that has no
/// room for that stops the undo, unless --on-conflict skip leaves it as it is. Ids that AUTOINCREMENT
/// gave out stay given out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder undo --to app.db --dry-run
  larder undo --to app.db
  larder undo --to app.db 20261123T204411Z-0b1d

Without SNAP the last restore into the database is undone that is in effect; SNAP names another one by
the snapshot that it left (tag after-restore), an undo too: that does the restore again. One that
was killed before it was committed is passed over; one with --no-safety-snapshot is not known of.
An undo that stops on changed rows writes nothing and exits with 5.")]
pub struct UndoArgs {
    /// The snapshot that the restore left, tagged after-restore [default: that of the last restore]
    #[arg(value_name = "SNAP")]
    restore: Option<String>,
    /// The database
    #[arg(
        long,
        value_name = "DB",
        env = "LARDER_DATABASE",
        hide_env_values = true
    )]
    to: Option<PathBuf>,
    /// Show what would happen, write nothing [default: write]
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// What happens to rows that were changed since, or have no room any more
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    on_conflict: ConflictWord,
    /// Take no snapshot of the database first: the undo itself cannot be undone
    #[arg(long)]
    no_safety_snapshot: bool,
    /// How long to wait for a database that is busy, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = args::seconds,
        allow_negative_numbers = true
    )]
    deadline: u64,
}

/// What happens to rows that were changed since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum ConflictWord {
    /// Write nothing
    #[default]
    Stop,
    /// Leave them as they are, undo the rest
    Skip,
}

/// Undoes.
pub fn run(args: &UndoArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let Some(target) = args::given(args.to.as_ref()) else {
        let named = args.restore.as_deref().map(Path::new);
        let next = match named {
            Some(file) if cx.kind(file)? == PathKind::File => {
                let words = ["undo".as_ref(), "--to".as_ref(), file.as_os_str()];
                format!(
                    "{} is named with --to: {}",
                    escape::path(file),
                    cx.look.command(&cx.store, &words)
                )
            }
            _ => format!(
                "Name it: {} DB   (or in the environment: LARDER_DATABASE=DB)",
                cx.look
                    .command(&cx.store, &["undo", "--to"].map(AsRef::as_ref))
            ),
        };
        return Err(Failure::usage("no database to undo a restore of", next));
    };
    let shown = escape::path(&target);
    match cx.kind(&target)? {
        PathKind::Absent => {
            return Err(Failure::said(
                Code::Failed,
                format!("no file {shown}: there is nothing to undo in it"),
                "Name the database that was restored into, as it is now.",
            ));
        }
        PathKind::File | PathKind::ExportZip => {}
        PathKind::Store
        | PathKind::EmptyFolder
        | PathKind::Folder { .. }
        | PathKind::ExportFolder => {
            return Err(Failure::said(
                Code::Failed,
                format!("{shown} is a folder, and no database"),
                "--to names the database that was restored into; --store the store.",
            ));
        }
    }
    let path = cx.store.clone();
    let mut store = cx.open(&path)?;
    let options = UndoOptions {
        target,
        restore: args.restore.clone(),
        dry_run: args.dry_run,
        skip_conflicts: args.on_conflict == ConflictWord::Skip,
        busy_timeout: Duration::from_secs(args.deadline),
        check: CheckLevel::Quick,
        no_safety_snapshot: args.no_safety_snapshot,
    };
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::undo::run(&mut store, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let report = |look: &_| text::undo::undo(&outcome, &path, look);
    if outcome.is_stopped() || args.dry_run {
        cx.answer(&json::undo(&outcome), report);
    } else {
        cx.show(&json::undo(&outcome), report);
    }
    Ok(exit::of_undo(&outcome))
}
