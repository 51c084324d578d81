//! Global flags and the list of commands. A command's own flags stand in its file in `commands`.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap::builder::Resettable;

use crate::cli::commands::backup::BackupArgs;
use crate::cli::commands::cat::CatArgs;
use crate::cli::commands::completions::CompletionsArgs;
use crate::cli::commands::copy::CopyArgs;
use crate::cli::commands::diff::DiffArgs;
use crate::cli::commands::export::ExportArgs;
use crate::cli::commands::forget::ForgetArgs;
use crate::cli::commands::import::ImportArgs;
use crate::cli::commands::init::InitArgs;
use crate::cli::commands::list::ListArgs;
use crate::cli::commands::ls::LsArgs;
use crate::cli::commands::parity::ParityArgs;
use crate::cli::commands::pin::PinArgs;
use crate::cli::commands::pin::UnpinArgs;
use crate::cli::commands::prune::PruneArgs;
use crate::cli::commands::repair::RepairArgs;
use crate::cli::commands::restore::RestoreArgs;
use crate::cli::commands::show::ShowArgs;
use crate::cli::commands::stats::StatsArgs;
use crate::cli::commands::undo::UndoArgs;
use crate::cli::commands::validate::ValidateArgs;
use crate::ops::select::AFTER_TAG;
use crate::ops::select::SAFETY_TAG;
use crate::ops::select::UNCOMMITTED_TAG;

/// Where the store is if nothing says otherwise.
pub const DEFAULT_STORE: &str = "./backups";
/// zstd level of what is written if nothing says otherwise.
pub const DEFAULT_COMPRESSION: i32 = 3;

/// Content-addressed snapshots of SQLite databases: records, not pages
#[derive(Debug, clap::Parser)]
#[command(
    name = "larder",
    version,
    after_help = AFTER_HELP,
    disable_help_subcommand = false,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
A first round:
  larder backup app.db                         takes a snapshot (makes ./backups the first time)
  larder list                                  shows the snapshots
  larder validate                              reads all of them and says whether they are whole
  larder restore latest --to restored.db       makes the database again

SNAP in other commands is one of:
  an id, or its first digits                   20261123T201530Z-9f3c
  a name                                       backup_20261123_211530
  latest, latest~N                             the newest, the Nth before it; those that a restore or an
                                               undo took (before-restore, after-restore) do not count
  a path (has a / or is a store's folder)      ./backups/backup_20261123_211530
  an export, for list, validate, restore       ./export, export.zip

Exit codes:
  0 ok  1 failed  2 usage  3 done, but something could not be read or carried  4 damage found
  5 restore stopped on conflicts, nothing written  6 source busy or changed, or time ran out
  10 no store  11 fenced by a prune  12 wrong key  130, 143 stopped by a signal";

/// Flags that every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Global {
    /// The store's folder [default: ./backups]
    #[arg(
        short,
        long,
        global = true,
        env = "LARDER_STORE",
        hide_env_values = true,
        value_name = "STORE",
        visible_alias = "repo",
        visible_short_alias = 'r',
        help_heading = "Global options"
    )]
    pub store: Option<PathBuf>,
    /// Write JSON to stdout; long commands write one document a line
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Show only what was asked for and what is wrong: no progress, no notes, no report of what was done
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub quiet: bool,
    /// Show more: unchanged entities, whole ids, causes of errors
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
    /// Show no progress
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_progress: bool,
    /// Folder of the cache [default: larder in the user's cache folder]
    #[arg(
        long,
        global = true,
        env = "LARDER_CACHE_DIR",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub cache_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make an empty store
    Init(InitArgs),
    /// Take a snapshot of a database
    Backup(BackupArgs),
    /// Show the snapshots of a store, newest first
    #[command(visible_alias = "snapshots")]
    List(ListArgs),
    /// The same as list, with exit codes 0, 1 and 2 only
    #[command(name = "backup-list")]
    BackupList(ListArgs),
    /// Read snapshots and say whether all of them is there and right
    #[command(visible_aliases = ["check", "verify"])]
    Validate(ValidateArgs),
    /// The same as validate, with exit codes 0, 1 and 2 only
    #[command(name = "backup-validate")]
    BackupValidate(ValidateArgs),
    /// Put a snapshot's records back, into a new or an existing database
    Restore(Box<RestoreArgs>),
    /// Take a restore back: the rows that it wrote, and nothing else
    Undo(UndoArgs),
    /// Show what a snapshot is made of
    Show(ShowArgs),
    /// Show the entity files of a snapshot
    Ls(LsArgs),
    /// Show what differs between two snapshots, or a snapshot and a database
    Diff(DiffArgs),
    /// Say what uses the space of a store, and what it saves
    Stats(StatsArgs),
    /// Show, add, remove or check what a store keeps to be made whole again
    Parity(ParityArgs),
    /// Delete what no snapshot needs
    Prune(PruneArgs),
    /// Heal what is damaged, from copies, parity, other stores and the databases themselves
    Repair(RepairArgs),
    /// Copy snapshots into another store, what that one lacks
    Copy(CopyArgs),
    /// Forget snapshots, by name or by rules; it can be taken back for a day
    Forget(Box<ForgetArgs>),
    /// Keep snapshots whatever the rules say
    Pin(PinArgs),
    /// Take pins away
    Unpin(UnpinArgs),
    /// Write the records of one entity to stdout
    Cat(CatArgs),
    /// Write a snapshot as a folder or zip of JSON files
    Export(ExportArgs),
    /// Take an export into the store as a snapshot
    Import(ImportArgs),
    /// Write a completion script for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// True for the names that larder's ancestor had, which exit with 0, 1 or 2 only.
    pub fn is_ancestors(&self) -> bool {
        matches!(self, Self::BackupList(_) | Self::BackupValidate(_))
    }
}

/// The whole command line, for parsing, help and completions.
pub fn command() -> clap::Command {
    past_empty_variables(Cli::command())
}

/// The command without the environment variables that are set but empty: they count as not set, where clap
/// would ask for a value.
fn past_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| match is_empty(&arg) {
            true => arg.env(Resettable::Reset),
            false => arg,
        })
        .mut_subcommands(past_empty_variables)
}

/// A whole number of seconds.
pub fn seconds(word: &str) -> Result<u64, String> {
    word.parse()
        .map_err(|_| "a whole number of seconds is expected, as 30".to_owned())
}

/// A whole number of MiB.
pub fn mebibytes(word: &str) -> Result<u64, String> {
    word.parse()
        .map_err(|_| "a whole number of MiB is expected, as 1024".to_owned())
}

/// An amount of memory: a number with K, M or G behind it, at least 1M.
pub fn memory(word: &str) -> Result<usize, String> {
    let expected = || "an amount of memory is expected, as 64M or 1G; at least 1M".to_owned();
    let word = word.trim_end_matches("iB").trim_end_matches(['B', 'b']);
    let (digits, unit) = match word.char_indices().next_back() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&word[..at], unit.to_ascii_uppercase()),
        _ => (word, ' '),
    };
    let shift = match unit {
        ' ' => 0,
        'K' => 10,
        'M' => 20,
        'G' => 30,
        _ => return Err(expected()),
    };
    let number: usize = digits.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << shift);
    bytes.filter(|bytes| *bytes >= 1 << 20).ok_or_else(expected)
}

/// A tag that a person may give: `forget --tag a,b` asks for two, `--tag ''` for none, and restores have tags of
/// their own.
pub fn tag(word: &str) -> Result<String, String> {
    let wrong = if word.trim().is_empty() {
        "a tag is a word; leave --tag out for none"
    } else if word.contains(',') {
        "a tag has no comma: say --tag once for each, as --tag a --tag b"
    } else if word.trim() != word || word.chars().any(char::is_control) {
        "a tag has no blank at its ends, and no control characters"
    } else if [SAFETY_TAG, AFTER_TAG, UNCOMMITTED_TAG].contains(&word) {
        "restores and undos give this tag, and latest passes over what has it"
    } else {
        return Ok(word.to_owned());
    };
    Err(wrong.to_owned())
}

/// A path that was given; an empty one is none.
pub fn given(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}
