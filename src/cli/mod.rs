//! The command line: words -> `Options` -> `ops` -> `Outcome` -> text or JSON -> exit code.
//!
//! Results go to stdout, progress and problems to stderr. Exit codes are decided in `exit` only,
//! advice for people is written in `hint` only, and nothing but `output` writes to the streams. Only
//! `prompt` talks with the terminal.

pub mod args;
pub mod commands;
pub mod config;
pub mod decisions;
pub mod exit;
pub mod failure;
pub mod files;
pub mod hint;
pub mod names;
pub mod open;
pub mod operand;
pub mod output;
pub mod paths;
pub mod prompt;
pub mod questions;
pub mod quote;
pub mod render;
pub mod signals;
pub mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::exit::Code;
use crate::cli::failure::Failure;
use crate::cli::open::Context;
use crate::cli::output::Streams;

/// Runs the program with these arguments, the first of which is its own name as it was called.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut streams = Streams::system();
    let code = match parse(&args) {
        Ok(cli) => run_parsed(cli, &args, &mut streams),
        Err(refusal) => refuse(&refusal, &args, &mut streams),
    };
    ExitCode::from(streams.finish(code).number())
}

/// The arguments as a command.
pub fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = args::command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

/// Arguments that are no command; also help and the version, which clap hands over the same way.
fn refuse(refusal: &clap::Error, args: &[OsString], streams: &mut Streams) -> Code {
    use clap::error::ErrorKind;
    if matches!(
        refusal.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        streams.print(&refusal.render().to_string());
        if refusal.kind() == ErrorKind::DisplayVersion {
            let has = if crate::ops::backup::has_fast_skip() {
                "yes"
            } else {
                "no"
            };
            streams.print(&format!("fast skip of unchanged pages: {has}\n"));
        }
        return Code::Ok;
    }
    let text = usage::text(refusal, args);
    if args.iter().any(|arg| arg == "--json") {
        let text = text.trim_end().strip_prefix("error: ").unwrap_or(&text);
        let (message, hint) = text.split_once("\n\n").unwrap_or((text, ""));
        streams.problem_json(&render::json::error(
            Code::Usage,
            message,
            Some(hint.trim()).filter(|hint| !hint.is_empty()),
        ));
    } else {
        streams.problem(&text);
    }
    Code::Usage
}

fn run_parsed(cli: Cli, args: &[OsString], streams: &mut Streams) -> Code {
    let ancestor = cli.command.is_ancestors();
    let program = args.first().cloned().unwrap_or_else(|| "larder".into());
    let mut cx = Context::new(cli.global, &program, streams);
    let code = match dispatch(cli.command, &mut cx) {
        Ok(code) => code,
        // A reader that has gone away, as `head` does, is no failure of ours.
        Err(_) if cx.streams.is_closed() => Code::Ok,
        // Told once, at the end.
        Err(_) if cx.streams.has_failed() => Code::Failed,
        Err(failure) => cx.tell(&failure),
    };
    if ancestor { code.for_ancestor() } else { code }
}

fn dispatch(command: Command, cx: &mut Context<'_>) -> Result<Code, Failure> {
    match command {
        Command::Init(args) => commands::init::run(&args, cx),
        Command::Backup(args) => commands::backup::run(&args, cx),
        Command::List(args) => commands::list::run(&args, cx, false),
        Command::BackupList(args) => commands::list::run(&args, cx, true),
        Command::Validate(args) | Command::BackupValidate(args) => {
            commands::validate::run(&args, cx)
        }
        Command::Restore(args) => commands::restore::run(&args, cx),
        Command::Undo(args) => commands::undo::run(&args, cx),
        Command::Show(args) => commands::show::run(&args, cx),
        Command::Ls(args) => commands::ls::run(&args, cx),
        Command::Diff(args) => commands::diff::run(args, cx),
        Command::Stats(args) => commands::stats::run(&args, cx),
        Command::Parity(args) => commands::parity::run(&args, cx),
        Command::Prune(args) => commands::prune::run(&args, cx),
        Command::Repair(args) => commands::repair::run(&args, cx),
        Command::Copy(args) => commands::copy::run(&args, cx),
        Command::Forget(args) => commands::forget::run(&args, cx),
        Command::Pin(args) => commands::pin::run(&args, cx),
        Command::Unpin(args) => commands::pin::unpin(&args, cx),
        Command::Cat(args) => commands::cat::run(&args, cx),
        Command::Export(args) => commands::export::run(&args, cx),
        Command::Import(args) => commands::import::run(args, cx),
        Command::Completions(args) => commands::completions::run(&args, cx),
    }
}
