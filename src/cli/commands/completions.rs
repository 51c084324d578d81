//! `larder completions`: scripts with which a shell completes larder's words.

use clap_complete::Shell;

use crate::cli::args;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;

/// Write a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  larder completions bash > ~/.local/share/bash-completion/completions/larder"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes it.
pub fn run(args: &CompletionsArgs, cx: &mut Context<'_>) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "larder", &mut script);
    cx.streams.print(&String::from_utf8_lossy(&script));
    Ok(Code::Ok)
}
