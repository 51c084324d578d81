//! The program as a person runs it: words, output, exit codes, JSON.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test looks at real files from outside, and stops where it cannot go on"
)]

mod backup;
mod bad_input;
mod diff;
mod exit_codes;
mod help_golden;
mod imports;
mod json_output;
mod list;
mod live_sources;
mod parsing;
mod paths;
mod render;
mod restore;
mod samples;
mod show;
mod stats;
mod validate;
mod workplace;
