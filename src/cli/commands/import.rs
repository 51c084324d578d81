//! `larder import`: takes an export into a store as a snapshot.

use std::path::PathBuf;

use crate::cli::args;
use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::render::text::backup::BackupView;
use crate::ops;
use crate::ops::import::ImportOptions;

/// Take an export, a folder or zip of JSON files, into the store as a snapshot
///
/// Reads what larder export and larder's ancestor write. Every file is checked against
/// manifest.json before anything is taken; damage is named: exit code 4. An export of larder comes
/// back exactly. One without a schema becomes a table per entity, with the fields as columns.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder import ./export
  larder import export.zip --name day-15 --source-name bakery

list, validate and restore take an export as it is, without a store.")]
pub struct ImportArgs {
    /// The folder or zip
    #[arg(value_name = "DIR|FILE.zip")]
    export: PathBuf,
    /// Name of the snapshot [default: backup_YYYYMMDD_HHMMSS in local time]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Mark the snapshot; may be given several times [default: no tags]
    #[arg(long = "tag", value_name = "TAG", value_parser = args::tag)]
    tags: Vec<String>,
    /// Name that tells this source from others [default: the host and path of the export do]
    #[arg(long, value_name = "NAME")]
    source_name: Option<String>,
}

/// Takes it.
pub fn run(args: ImportArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let place = paths::backup_store(&cx.store, &|path| cx.kind(path))?;
    // Looked at before a store is made, so that a mistyped name leaves nothing behind.
    ops::import::look(&args.export, &cx.world)?;
    let (mut store, store_created) = cx.open_for_backup(&place, DEFAULT_COMPRESSION)?;
    let options = ImportOptions {
        export: args.export,
        name: args.name,
        tags: args.tags,
        source_name: args.source_name,
        temp_dir: None,
    };
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::import::run(&mut store, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let view = BackupView {
        database: &options.export,
        store: &place.store,
        store_created,
        zip: None,
    };
    cx.show(&json::import::import(&outcome, &view), |look| {
        text::backup::import(&outcome, &view, look)
    });
    Ok(exit::of_backup(&outcome))
}
