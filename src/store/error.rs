//! What can go wrong with a store.
use crate::format::FormatError;
use crate::model::id::SnapshotId;
use crate::backend::BackendError;
/// A store that cannot be used, or an object of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing that is a store.
    #[error("no store at {location}")]
    NoStore {
        /// Where one was looked for.
        location: String,
        /// What is there instead, for people: "nothing is there", "the folder is empty".
        found: &'static str,
    },
    /// A store is there already.
    #[error("{location} is a store already")]
    Exists {
        /// Where.
        location: String,
    },
    /// A folder with other things in it.
    #[error("{location} is not empty and not a store")]
    NotEmpty {
        /// Where.
        location: String,
    },
    /// Written by another version, or needing a feature this one lacks.
    #[error("{location} cannot be used by this larder: {cause}")]
    Unsupported {
        /// Where.
        location: String,
        /// What it asks for.
        cause: FormatError,
    },
    /// The snapshot can never be committed: a prune took this writer for dead, several times.
    #[error("snapshot {snapshot} was fenced by a prune; nothing was committed")]
    Fenced {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// An object that is damaged.
    #[error("{object} is damaged: {cause}")]
    Damaged {
        /// The object: `pack …`, `snapshot …`.
        object: String,
        /// What was found.
        cause: String,
    },
    /// A blob that is missing or damaged.
    #[error("{0}")]
    Blob(#[from] crate::format::blob::BlobError),
    /// The place that keeps the objects.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The cache of footers could not be used at all.
    #[error("the cache in {folder} cannot be used: {cause}")]
    Cache {
        /// The cache's folder.
        folder: String,
        /// What went wrong.
        cause: String,
    },
}
