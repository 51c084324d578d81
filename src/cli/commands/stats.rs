//! `larder stats`: what uses the space of a store, and what it saves.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths::Place;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::open::Store;
use crate::ops::select::SourceChoice;
use crate::ops::stats::StatsOptions;

/// Say what uses the space of a store, and what it saves
///
/// For the store: its objects, the blobs in its packs by kind, which of them snapshots need, how
/// much smaller deduplication and compression make it, and a line per snapshot. For one snapshot:
/// what it reaches, and what of that it needs alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder stats
  larder stats --by-table
  larder stats latest --by-table --json

HOLDS is what a snapshot is made of, each record and large value in full; ALONE, the stored bytes
that no other snapshot needs; NEW, what its backup added to the store. CANONICAL bytes are those
before compression, STORED ones those in the packs.
Deduplication: what all snapshots hold, over the same with each leaf and chunk counted once.
Compression: the latter, over what is stored of it. Together: the database files of all snapshots,
over the whole store but parity and second copies.
A leaf that was merged from several may be a delta on several whole blobs: it counts on each.
Nodes are read, most records are not: `larder validate` reads everything.")]
pub struct StatsArgs {
    /// One snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means all of
    /// its [default: all of the store]
    #[arg(value_name = "SNAP")]
    snapshot: Option<OsString>,
    /// Table by table too, what takes most space first; what several tables share counts under the
    /// first of them by name [default: no tables]
    #[arg(long)]
    by_table: bool,
}

/// Counts, and shows it.
pub fn run(args: &StatsArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let (path, store, snapshot) = place(args, cx)?;
    let options = StatsOptions {
        snapshot,
        by_table: args.by_table,
    };
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::stats::run(&store, &world, &options, &mut reporter)?;
    reporter.finish(&[]);
    cx.answer(&json::stats::stats(&outcome, &path), |look| {
        text::stats::stats(&outcome, &path, look)
    });
    Ok(exit::of_stats(&outcome))
}

/// The store, and the snapshot if one is named.
fn place(
    args: &StatsArgs,
    cx: &Context<'_>,
) -> Result<(PathBuf, Store, Option<ops::show::Manifest>), Failure> {
    let Some(word) = &args.snapshot else {
        let path = cx.store.clone();
        let store = cx.open(&path)?;
        return Ok((path, store, None));
    };
    if let Place::Store(path) = cx.place(word)? {
        let store = cx.open(&path)?;
        return Ok((path, store, None));
    }
    let selected = cx.one(word, &SourceChoice::Any)?;
    Ok((selected.path, selected.store, Some(selected.manifest)))
}
