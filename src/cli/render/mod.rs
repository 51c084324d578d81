//! Outcomes as text for people or JSON for programs. Pure: what comes out is a text or a document.

pub mod escape;
pub mod figures;
pub mod json;
pub mod progress_bar;
pub mod text;
pub mod values;

use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::cli::args::DEFAULT_STORE;
use crate::cli::paths;
use crate::cli::quote;

/// How things are shown to this person.
#[derive(Debug, Clone)]
pub struct Look {
    /// Show more.
    pub verbose: bool,
    /// The zone that times are shown in.
    pub zone: TimeZone,
    /// The program as it was called, quoted for a shell.
    pub program: String,
    /// True if a command without `--store` uses `./backups`.
    pub default_store: bool,
    /// The store that is used, for commands that are suggested.
    pub store: PathBuf,
}

impl Look {
    /// As with no flags, in UTC, called as `larder`.
    pub fn for_tests() -> Self {
        Self {
            verbose: false,
            zone: TimeZone::UTC,
            program: "larder".to_owned(),
            default_store: true,
            store: DEFAULT_STORE.into(),
        }
    }

    /// A command of this program that works pasted as it stands: `--store` unless it is the
    /// default, words quoted.
    pub fn command(&self, store: &Path, words: &[&OsStr]) -> String {
        let mut line = format!("{} {}", self.program, quote::line(words.iter().copied()));
        if !(self.default_store && paths::same(store, Path::new(DEFAULT_STORE))) {
            line.push_str(" --store ");
            line.push_str(&quote::word(store.as_os_str()));
        }
        line
    }
}
