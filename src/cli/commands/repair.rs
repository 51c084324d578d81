//! `larder repair`: heals what is damaged.

use std::path::PathBuf;
use std::time::Duration;

use super::prune::time;
use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths::Place;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::error::Error;
use crate::error::StoreError;
use crate::ops;
use crate::ops::open;
use crate::ops::repair::RepairOptions;

/// Heal what is damaged, from copies, parity, other stores and the databases themselves
///
/// Reads every pack, marks the damaged ones, and puts what snapshots need of them into new packs: from
/// other copies, from parity, from other stores, from the databases that were backed up. Every piece is
/// proven by its digest. Then the damaged packs are removed; their bytes are kept for 30 days.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder repair -n                             what is damaged, and what would heal it
  larder repair
  larder repair --from /mnt/disk/backups       with what a copy of the store has
  larder repair --source app.db                with what the database has, wherever it is now

Nothing is changed in place, and a repair that is cut off leaves the store no worse: run it again.
A database is read where a snapshot of this machine names it (not with --no-source); what it still has
unchanged heals what was lost of it. Exit code 4 if something is lost: it is named with all that hangs on it.")]
pub struct RepairArgs {
    /// Say what would be done, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Another store that may have what is missing; may be given again
    #[arg(long, value_name = "STORE")]
    from: Vec<PathBuf>,
    /// A database that may have what is missing; may be given again
    #[arg(long, value_name = "DB")]
    source: Vec<PathBuf>,
    /// Read no database that a snapshot names
    #[arg(long)]
    no_source: bool,
    /// How long to wait for backups that are at work, before damaged packs are removed
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    max_wait: Duration,
    /// The store's folder, as --store
    #[arg(value_name = "STORE")]
    place: Option<std::ffi::OsString>,
}

/// Repairs, and says what is healed and what is lost.
pub fn run(args: &RepairArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let path = match &args.place {
        None => cx.store.clone(),
        Some(word) => match cx.place(word)? {
            Place::Store(path) => path,
            _ => PathBuf::from(word),
        },
    };
    let world = cx.world.clone();
    // A store whose config is gone is none for anybody else.
    let options = cx.options(&path, DEFAULT_COMPRESSION);
    let store = match open::open_for_repair(&options, &world) {
        Ok(store) => store,
        // Whatever is there instead: it is told as ever.
        Err(_) => cx.open(&path)?,
    };
    let mut stores = Vec::new();
    for from in &args.from {
        stores.push(cx.open(from).map_err(other_store)?);
    }
    let options = RepairOptions {
        dry_run: args.dry_run,
        sources: args.source.clone(),
        no_sources: args.no_source,
        max_wait: args.max_wait,
        ..RepairOptions::default()
    };
    let mut reporter = cx.reporter();
    let outcome = ops::repair::run(&store, &stores, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let document = json::repair::repair(&outcome, &path);
    let report = |look: &_| text::repair::repair(&outcome, &path, look);
    match args.dry_run {
        true => cx.answer(&document, report),
        false => cx.show_or(&document, report, |look| {
            text::repair::lost_only(&outcome, look)
        }),
    }
    Ok(exit::of_repair(&outcome))
}

/// That there is no other store, where that is not what the command itself works on.
fn other_store(failure: Failure) -> Failure {
    let Failure::Library(Error::Store(error)) = &failure else {
        return failure;
    };
    let StoreError::NoStore { found, .. } = error else {
        return failure;
    };
    Failure::said(
        Code::NoStore,
        format!("{error} ({found})"),
        "--from names another store, which may have what is missing in this one.",
    )
}
