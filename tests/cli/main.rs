//! The program as a person runs it: words, output, exit codes, JSON.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test looks at real files from outside, and stops where it cannot go on"
)]

mod backup;
mod bad_input;
mod copy;
mod diff;
mod exit_codes;
#[cfg(target_os = "linux")]
mod failing_places;
mod forget;
mod help_golden;
mod imports;
mod json_output;
mod list;
mod live_sources;
mod parity;
mod parsing;
mod paths;
#[cfg(unix)]
mod prune;
mod questions;
mod quiet;
mod render;
mod repair;
mod replace_file;
mod restore;
mod restore_damaged;
mod restore_decisions;
mod restore_flags;
mod restore_next;
mod restore_words;
mod samples;
mod show;
mod stats;
#[cfg(target_os = "linux")]
mod stopped_runs;
mod strangers;
#[cfg(unix)]
mod terminal;
mod undo;
mod validate;
mod workplace;
