//! `larder pin`, `larder unpin`: snapshots that no rule forgets.

use std::ffi::OsString;

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::pin::PinOptions;

/// Keep snapshots whatever the rules say
///
/// A pinned snapshot is not forgotten, by rules nor by name, and a prune does not delete it. `larder list` shows
/// it as pinned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder pin before-upgrade
  larder pin --remove before-upgrade")]
pub struct PinArgs {
    /// The snapshots: id, its first digits, name, latest, latest~N, STORE/NAME
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<OsString>,
    /// Take their pins away, as unpin does
    #[arg(long)]
    remove: bool,
}

/// Take pins away
///
/// The snapshots stay until a rule or somebody forgets them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  larder unpin before-upgrade")]
pub struct UnpinArgs {
    /// The snapshots: id, its first digits, name, latest, latest~N, STORE/NAME
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<OsString>,
}

/// Pins.
pub fn run(args: &PinArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    pin(&args.snapshots, args.remove, cx)
}

/// Takes pins away.
pub fn unpin(args: &UnpinArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    pin(&args.snapshots, true, cx)
}

fn pin(snapshots: &[OsString], remove: bool, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let (path, words) = cx.in_one_store(snapshots)?;
    let store = cx.open(&path)?;
    let options = PinOptions { words, remove };
    let mut reporter = cx.reporter();
    let outcome = ops::pin::run(&store, &options, &mut reporter)?;
    reporter.finish(&[]);
    cx.show(&json::forget::pin(&outcome, &path), |look| {
        text::forget::pin(&outcome, look)
    });
    Ok(exit::of_marks(outcome.left, &[], cx.signals.caught()))
}
