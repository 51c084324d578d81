//! `larder init`: makes an empty store.

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::escape;
use crate::cli::render::json;
use crate::ops;
use crate::ops::open::PathKind;
use crate::ops::parity::Redundancy;
use crate::ops::parity::RedundancyLevel;

/// Make an empty store
///
/// The folder given with --store must be empty or absent. `backup` makes its store by itself; init
/// is for making one beforehand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  larder init --store /mnt/backups
  larder init --store /mnt/backups --redundancy full")]
pub struct InitArgs {
    /// What backups add so that a damaged store can be made whole again (`larder parity` changes it)
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    redundancy: RedundancyWord,
}

/// How much redundancy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum RedundancyWord {
    /// Nothing
    None,
    /// Parity of packs of 1 MiB and more: 3 % of them
    #[default]
    Parity,
    /// Parity, and second copies of all that is smaller
    Full,
}

impl RedundancyWord {
    fn level(self) -> RedundancyLevel {
        match self {
            Self::None => RedundancyLevel::None,
            Self::Parity => RedundancyLevel::Parity,
            Self::Full => RedundancyLevel::Full,
        }
    }
}

/// Makes the store.
pub fn run(args: &InitArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let path = cx.store.clone();
    if matches!(cx.kind(&path)?, PathKind::File | PathKind::ExportZip) {
        return Err(Failure::said(
            Code::Failed,
            format!("{} is a file, and a store is a folder", escape::path(&path)),
            "Give a folder that is empty or does not exist yet.",
        ));
    }
    let store = cx.create(&path)?;
    let redundancy = Redundancy {
        level: args.redundancy.level(),
        ..Redundancy::default()
    };
    // The default needs no saying.
    if redundancy != Redundancy::default() {
        ops::parity::choose(&store, redundancy)?;
    }
    cx.show(&json::init(&path), |_| {
        format!("store {} created\n", escape::path(&path))
    });
    Ok(Code::Ok)
}
