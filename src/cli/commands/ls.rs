//! `larder ls`: the entity files of a snapshot.

use std::ffi::OsString;

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::json;
use crate::cli::render::text;
use crate::ops::select::SourceChoice;

/// Show the entity files of a snapshot
///
/// One a line, in import order: records, bytes, exported name, and the name of its table.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  larder ls latest")]
pub struct LsArgs {
    /// The snapshot: id, its first digits, name, latest, latest~N, STORE/NAME; a store means its latest
    #[arg(value_name = "SNAP")]
    snapshot: OsString,
}

/// Shows them.
pub fn run(args: &LsArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let selected = cx.one(&args.snapshot, &SourceChoice::Any)?;
    cx.answer(&json::ls(&selected.manifest), |_| {
        text::show::ls(&selected.manifest)
    });
    Ok(Code::Ok)
}
