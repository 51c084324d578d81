//! Structs to bytes and back: one file per section of store-format.md. No I/O.
//!
//! Decoding takes bytes and gives a `Result`: every length is checked against `limits` and against
//! the bytes that are there before it is believed.

pub mod blob;
pub mod bytes;
pub mod chunk;
pub mod config;
pub mod delta;
pub mod footer;
pub mod frame;
pub mod leaf;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod node;
pub mod pack;
pub mod parity;
pub mod protocol;
pub mod redundancy;
pub mod schema;

use crate::codec::zstd::ZstdError;

/// Stored bytes that are not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes end before the structure does.
    #[error("{what} is cut short")]
    Truncated {
        /// The structure.
        what: &'static str,
    },
    /// A value that the format does not allow there.
    #[error("{what} is not valid")]
    Invalid {
        /// The field or rule.
        what: &'static str,
    },
    /// A length or count over its limit.
    #[error("{what} is {value}, more than the {max} allowed")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its size.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// Content whose digest is another.
    #[error("{what} does not match its digest")]
    Digest {
        /// The structure.
        what: &'static str,
    },
    /// A format this program does not know.
    #[error(
        "format version {version} (draft {draft}); this larder reads version {} (draft {})",
        config::FORMAT_VERSION,
        config::FORMAT_DRAFT
    )]
    Version {
        /// Version found.
        version: u32,
        /// Draft found.
        draft: u32,
    },
    /// A feature this program does not know.
    #[error("required feature {feature:?} is not known to this larder")]
    Feature {
        /// The feature's name.
        feature: String,
    },
    /// Compressed bytes that do not decode.
    #[error(transparent)]
    Compression(#[from] ZstdError),
    /// JSON that does not parse or lacks fields.
    #[error("{what}: {cause}")]
    Json {
        /// The structure.
        what: &'static str,
        /// What the parser says.
        cause: String,
    },
}
