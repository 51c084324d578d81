//! Which snapshot a word means: id, unique prefix, name, `latest`, `latest~N`.

use std::path::PathBuf;

use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ops::open::Store;

/// Which source `latest` is about, in a store of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceChoice {
    /// Any: the newest of all.
    #[default]
    Any,
    /// The source of this name (`--source-name`), or whose recorded path this is.
    Named(String),
    /// The source whose path is this one; else the only source there is; else an error.
    Of(PathBuf),
    /// The only source there is; else an error that lists them.
    Single,
}

/// The snapshot that `word` means. Errors: `Select`, `Store`.
pub fn one(store: &Store, word: &str, source: &SourceChoice) -> Result<Manifest, Error> { todo!() }
