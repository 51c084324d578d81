//! `larder copy`: snapshots into another store.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::args::DEFAULT_COMPRESSION;
use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::paths;
use crate::cli::paths::Place;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::cli::render::text::copy::CopyView;
use crate::ops;
use crate::ops::copy::CopyOptions;
use crate::ops::open;
use crate::ops::open::Store;
use crate::ops::select;
use crate::ops::select::SourceChoice;

/// Copy snapshots into another store, what that one lacks
///
/// Reads what the other store does not hold yet, checks each blob against its id, and writes it
/// there. A snapshot is visible there when it is complete. One that is there already is not copied
/// again. The other store is made if none is there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder copy --to /mnt/disk/backups           a second copy of everything on another disk
  larder copy latest --to /mnt/disk/backups    the newest snapshot alone
  larder restore latest --to app.db --store /mnt/disk/backups

A copy keeps name, time, tags and all that the snapshot says; it gets an id of its own, and is found by
the old one too. It is named NAME_2 where another snapshot has its name. Pins go with it.
A snapshot that cannot be read whole is named and not copied, the others are: exit code 4.
Ctrl-C stops between two blobs: the snapshots that were copied stay, the next run copies the rest.")]
pub struct CopyArgs {
    /// Snapshots of one store: ids, names, latest, latest~N, STORE/NAME; a store means all of its
    /// [default: all, but those of restores that may not have come to count (tag uncommitted)]
    #[arg(value_name = "SNAP")]
    snapshots: Vec<OsString>,
    /// The other store: a store, or a folder that is absent or empty
    #[arg(long, value_name = "STORE")]
    to: PathBuf,
    /// zstd level of what is written, 1 (fast) to 19 (small)
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = DEFAULT_COMPRESSION,
        value_parser = clap::value_parser!(i32).range(1..=19),
        allow_negative_numbers = true
    )]
    compression: i32,
}

/// Copies them.
pub fn run(args: &CopyArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    // Words are looked up before a store is made, so that a mistyped one leaves nothing behind.
    let (path, from, options) = from(args, cx)?;
    let place = paths::backup_store(&args.to, &|path| cx.kind(path))?;
    open::ensure_apart(&path, &place.store, &cx.world)?;
    let (to, created) = cx.open_for_backup(&place, args.compression)?;
    let world = cx.world.clone();
    let mut reporter = cx.reporter();
    let outcome = ops::copy::run(&from, &to, &world, &options, &mut reporter)?;
    reporter.finish(&outcome.findings);
    let view = CopyView {
        from: &path,
        to: &place.store,
        created,
    };
    cx.show_or(
        &json::copy::copy(&outcome, &view),
        |look| text::copy::copy(&outcome, &view, look),
        |look| text::copy::damage_only(&outcome, &view, look),
    );
    Ok(exit::of_copy(&outcome, cx.signals.caught()))
}

/// The store that is copied from, and which of its snapshots.
fn from(args: &CopyArgs, cx: &Context<'_>) -> Result<(PathBuf, Store, CopyOptions), Failure> {
    let mut path: Option<PathBuf> = None;
    let (mut words, mut all) = (Vec::new(), args.snapshots.is_empty());
    for word in &args.snapshots {
        let store = match cx.place(word)? {
            Place::Snapshot { store, word } => {
                words.push(word);
                store
            }
            Place::Store(store) => {
                all = true;
                store
            }
            // These open no store: it says why.
            Place::Folder { folder, .. } => folder,
            Place::Export(path) => path,
        };
        let other = path.get_or_insert_with(|| store.clone());
        if !paths::same(other, &store) {
            return Err(Failure::usage(
                "snapshots of two stores cannot be copied together",
                "Copy those of one store, then those of the other.",
            ));
        }
    }
    let path = path.unwrap_or_else(|| cx.store.clone());
    let store = cx.open(&path)?;
    let mut options = CopyOptions::default();
    if !all {
        for word in &words {
            let manifest = select::one(&store, word, &SourceChoice::Any)?;
            options.snapshots.push(manifest);
        }
    }
    Ok((path, store, options))
}
