//! What can go wrong with a store. A store error always ends what was being done.

use crate::backend::{BackendError, BackendErrorKind};
use crate::format::FormatError;
use crate::format::blob::{BlobError, BlobErrorKind};
use crate::model::id::SnapshotId;
use crate::sqlite::SqliteError;

/// A store that cannot be used, or an object of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Nothing that is a store.
    #[error("no store at {location}")]
    NoStore {
        /// Where one was looked for.
        location: String,
        /// What is there instead, for people.
        found: &'static str,
    },
    /// A store is there already.
    #[error("{location} is a store already")]
    Exists {
        /// Where.
        location: String,
    },
    /// What was to be copied from and into is one store.
    #[error("{location} is the store that is copied from, or its files are a copy of that one's")]
    Same {
        /// Where it was to be copied to.
        location: String,
    },
    /// A store was to be made within another one's folder.
    #[error("{location} is within the folder of the store {store}")]
    Within {
        /// Where it was to be.
        location: String,
        /// The store.
        store: String,
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
        /// The store, or an object in it.
        location: String,
        /// What it asks for.
        cause: FormatError,
    },
    /// The snapshot can never be committed: a prune took this writer for dead.
    #[error("snapshot {snapshot} was fenced by a prune; nothing was committed")]
    Fenced {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A forgotten snapshot that cannot be had back.
    #[error("snapshot {snapshot} was deleted by a prune")]
    Pruned {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Another prune that runs on this machine.
    #[error("another prune is at work, on {host} since {started}")]
    CleanUpAtWork {
        /// Its machine.
        host: String,
        /// When it began, RFC 3339.
        started: String,
    },
    /// A backup that a prune would have had to wait for.
    #[error("a backup is at work, on {host} since {started}; a prune cannot end beside it")]
    WriterAtWork {
        /// Its machine.
        host: String,
        /// When it began, RFC 3339.
        started: String,
    },
    /// Something that must not be removed yet.
    #[error("{object} is damaged, and can be made again of what was to be removed; nothing was")]
    StillNeeded {
        /// The damaged object.
        object: String,
    },
    /// A prune beside which another one began.
    #[error("another prune began meanwhile; this one has deleted nothing")]
    Overtaken,
    /// A backup that began so long ago that the marks protecting it may be gone (rule A5).
    #[error(
        "{what} has been at work for {days} days; it was stopped, for what protects it may be gone"
    )]
    TooOld {
        /// `the backup` or `the prune`.
        what: &'static str,
        /// Days since it began.
        days: u64,
    },
    /// An object that is damaged.
    #[error("{object} is damaged: {cause}")]
    Damaged {
        /// The object: `pack …`, `snapshot …`.
        object: String,
        /// What was found.
        cause: FormatError,
    },
    /// A blob that is missing or damaged.
    #[error(transparent)]
    Blob(BlobError),
    /// Something that should hold of what was just encoded does not: bad memory, or a bug.
    #[error("what was encoded does not decode to itself ({what}); nothing of it was stored")]
    Encoding {
        /// What was being encoded.
        what: String,
    },
    /// The place that keeps the objects.
    #[error(transparent)]
    Backend(BackendError),
    /// The cache of footers could not be used at all, not even a temporary one.
    #[error("the cache of pack footers cannot be used: {0}")]
    Cache(#[from] SqliteError),
    /// What is remembered of a database's pages says that rows have not changed which have. It was forgotten.
    #[error("what was remembered of the pages of {table} is wrong; it was forgotten")]
    WrongPages {
        /// The table.
        table: String,
    },
    /// The temporary database in which blobs are counted could not be used.
    #[error("blobs cannot be counted in a temporary file: {0}")]
    Census(SqliteError),
    /// The temporary database for what no store holds could not be used.
    #[error("what is compared cannot be kept in a temporary file: {0}")]
    Scratch(SqliteError),
}

impl StoreError {
    /// True if there was no space left for an object.
    pub fn is_no_space(&self) -> bool {
        self.backend_kind() == Some(BackendErrorKind::NoSpace)
    }

    /// True if the place of the objects was closed to us.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Backend(error) if error.kind == BackendErrorKind::Denied)
    }

    /// What a failed read of an object means: other formats and damage are told apart.
    pub(super) fn of_object(object: impl Into<String>, cause: FormatError) -> Self {
        match cause {
            FormatError::Version { .. } | FormatError::Feature { .. } => Self::Unsupported {
                location: object.into(),
                cause,
            },
            cause => Self::Damaged {
                object: object.into(),
                cause,
            },
        }
    }

    /// The kind of a backend failure; `None` for other errors.
    pub fn backend_kind(&self) -> Option<BackendErrorKind> {
        match self {
            Self::Backend(error) => Some(error.kind),
            _ => None,
        }
    }
}

impl From<BackendError> for StoreError {
    fn from(error: BackendError) -> Self {
        Self::Backend(error)
    }
}

impl From<BlobError> for StoreError {
    /// A store's own error that went through a tree comes out as it was.
    fn from(mut error: BlobError) -> Self {
        if error.why != BlobErrorKind::Unavailable {
            return Self::Blob(error);
        }
        match error.cause.downcast::<Self>() {
            Ok(own) => *own,
            Err(cause) => {
                error.cause = cause;
                Self::Blob(error)
            }
        }
    }
}
