//! `larder init`: makes an empty store.

use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::render::escape;
use crate::cli::render::json;

/// Make an empty store
///
/// The folder given with --store must be empty or absent. `backup` makes its store by itself; init
/// is for making one beforehand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  larder init --store /mnt/backups")]
pub struct InitArgs {}

/// Makes the store.
pub fn run(_args: &InitArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let store = cx.store.clone();
    cx.create(&store)?;
    cx.show(&json::init(&store), |_| {
        format!("store {} created\n", escape::path(&store))
    });
    Ok(Code::Ok)
}
