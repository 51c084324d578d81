//! `larder parity`: what a store keeps to be made whole again, adding it and taking it away.

use crate::cli::exit;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops;
use crate::ops::parity::AddOptions;

/// Show, add, remove or check what a store keeps to be made whole again
///
/// Disks lose single sectors. Beside each pack of 1 MiB and more lies a parity file of 3 % of its
/// length, from which that many bad places, or a hole of that size, are computed again. A pack
/// that is gone altogether cannot be had back by it: keep a second store for that. Smaller objects
/// have a second copy where redundancy is full.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder parity
  larder parity add --percent 5
  larder parity add --all
  larder parity check
  larder parity remove

Without a word it shows what there is. `larder init --redundancy none|parity|full` says it beforehand.
`larder validate` reads parity too; `check` computes it again from the packs.")]
pub struct ParityArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show what there is, and what lacks it
    Status,
    /// Add it where it lacks, make it again where it is damaged or of another --percent; later backups add it too
    Add(AddArgs),
    /// Take all of it away; later backups add none
    Remove,
    /// Read all of it with what it stands beside, and say whether it would help
    Check,
}

/// What is to be added.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  larder parity add --percent 5")]
struct AddArgs {
    /// Length of parity in percent of its pack, 1 to 100; what is there of another length is made again
    /// [default: as the store has it, 3 at first; what is there stays]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100), allow_negative_numbers = true)]
    percent: Option<u8>,
    /// Second copies of the config, manifests and small packs too
    #[arg(long)]
    all: bool,
}

/// Does it.
pub fn run(args: &ParityArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let path = cx.store.clone();
    let store = cx.open(&path)?;
    let world = cx.world.clone();
    match &args.action {
        None | Some(Action::Status) => {
            let outcome = ops::parity::status(&store)?;
            cx.answer(&json::parity::status(&outcome, &path), |look| {
                text::parity::status(&outcome, &path, look)
            });
            Ok(exit::of_parity_status(&outcome))
        }
        Some(Action::Add(args)) => {
            let options = AddOptions {
                full: args.all,
                percent: args.percent,
            };
            let mut reporter = cx.reporter();
            let outcome = ops::parity::add(&store, &world, &options, &mut reporter)?;
            reporter.finish(&[]);
            cx.show_or(
                &json::parity::added(&outcome, &path),
                |look| text::parity::added(&outcome, &path, look),
                |look| text::parity::damage(&outcome.damage, look),
            );
            Ok(exit::of_redundancy(&outcome.damage))
        }
        Some(Action::Remove) => {
            let mut reporter = cx.reporter();
            let outcome = ops::parity::remove(&store, &mut reporter)?;
            reporter.finish(&[]);
            cx.show(&json::parity::removed(&outcome, &path), |look| {
                text::parity::removed(&outcome, &path, look)
            });
            Ok(Code::Ok)
        }
        Some(Action::Check) => {
            let mut reporter = cx.reporter();
            let outcome = ops::parity::check(&store, &world, &mut reporter)?;
            reporter.finish(&[]);
            cx.show_or(
                &json::parity::checked(&outcome, &path),
                |look| text::parity::checked(&outcome, &path, look),
                |look| text::parity::damage(&outcome.damage, look),
            );
            Ok(exit::of_redundancy(&outcome.damage))
        }
    }
}
