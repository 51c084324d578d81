//! What is said of arguments that are no command: clap's words, an example where something is lacking, and where
//! the command's own help is.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::cli::args;
use crate::cli::quote;

/// The last line of what clap says.
const POINTER: &str = "For more information, try '--help'.";

/// What a person is told.
pub fn text(refusal: &clap::Error, args: &[OsString]) -> String {
    if refusal.kind() == ErrorKind::MissingSubcommand {
        return args::command().render_help().to_string();
    }
    let said = refusal.render().to_string();
    // A flag that does not exist is no value that somebody wanted to pass.
    let is_noise = |line: &&str| line.starts_with("  tip: to pass '");
    let mut lines: Vec<&str> = said.lines().filter(|line| !is_noise(line)).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    let (command, names) = meant(args);
    let program = args
        .first()
        .map_or("larder".to_owned(), |word| quote::word(word));
    let mut words = vec![program.clone()];
    words.extend(names);
    let mut pointer = format!("Options and examples: {} --help", words.join(" "));
    if refusal.kind() == ErrorKind::MissingRequiredArgument
        && let Some(example) = example(&command)
    {
        pointer = format!("As in: {program}{example}\n{pointer}");
    }
    let mut text = lines.join("\n").replace(POINTER, &pointer);
    text.push('\n');
    text
}

/// The command that was meant, as far as it can be told, and the names that lead to it.
fn meant(args: &[OsString]) -> (clap::Command, Vec<String>) {
    let mut command = args::command();
    let mut names = Vec::new();
    let lenient = command.clone().ignore_errors(true);
    let matches = lenient.try_get_matches_from(args).ok();
    let mut next = matches.as_ref().and_then(|matches| matches.subcommand());
    while let Some((name, below)) = next {
        let Some(found) = command.find_subcommand(name).cloned() else {
            break;
        };
        command = found;
        names.push(name.to_owned());
        next = below.subcommand();
    }
    (command, names)
}

/// The first example of a command's help, without the program: ` show latest`.
fn example(command: &clap::Command) -> Option<String> {
    let help = command.get_after_help()?.to_string();
    let line = help
        .lines()
        .find_map(|line| line.strip_prefix("  larder"))?;
    // Behind some of them stands what they are for.
    let words = line.trim_start().split("   ").next()?;
    Some(format!(" {}", words.trim_end()))
}
