//! The library's error: the only place where the errors of sibling layers meet.
//!
//! Each layer stays its own variant: a source error may be passed over by who reads, a store error
//! never is. Exit codes and advice for people are added in `cli` only.

use std::path::PathBuf;

pub use crate::format::blob::{BlobError, BlobErrorKind};
pub use crate::source::SourceError;
pub use crate::store::StoreError;
pub use crate::target::TargetError;

/// Why an operation did not do what it promises.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database that was to be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database that was to be written.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// What the caller named does not exist, or not once.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The work was asked to stop, and did before it changed anything that counts.
    #[error("stopped")]
    Cancelled,
}

/// Why an export failed. Nothing of it is visible then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Something is at the destination.
    #[error("{} exists already; nothing was written", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is a folder that holds something.
    #[error("{} is not empty; nothing was written", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// The output could not be written.
    #[error("cannot write {}: {cause}", path.display())]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Records could not be read.
    #[error("cannot read {entity}: {cause}")]
    Blob {
        /// The entity.
        entity: String,
        /// The blob, and what was found.
        #[source]
        cause: BlobError,
    },
    /// The snapshot has no such entity.
    #[error("no entity {entity:?} in {snapshot}")]
    NoEntity {
        /// The name that was asked for.
        entity: String,
        /// The snapshot's name.
        snapshot: String,
    },
    /// Manifest and schema do not fit each other.
    #[error("snapshot {snapshot}: {what}")]
    Misfit {
        /// The snapshot's name.
        snapshot: String,
        /// What does not fit.
        what: String,
    },
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// A snapshot, entity or name that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No snapshot of this word.
    #[error("no snapshot {word:?} in {store}")]
    NoSnapshot {
        /// The word that was given.
        word: String,
        /// Where the store is.
        store: String,
        /// A name or id that exists and is near.
        nearest: Option<String>,
    },
    /// The store has no snapshots at all.
    #[error("{store} has no snapshots yet")]
    Empty {
        /// Where the store is.
        store: String,
    },
    /// Several snapshots begin with this.
    #[error("{word:?} may be any of {} snapshots: {}", matches.len(), matches.join(", "))]
    Ambiguous {
        /// The word that was given.
        word: String,
        /// Short ids of the snapshots.
        matches: Vec<String>,
    },
    /// `latest` in a store of several sources, and nothing says which.
    #[error("{store} holds snapshots of {} sources: {}", sources.len(), sources.join(", "))]
    SeveralSources {
        /// Where the store is.
        store: String,
        /// The sources, by name or path.
        sources: Vec<String>,
    },
    /// No source of this name.
    #[error("no source {name:?} in {store}")]
    NoSource {
        /// The name that was given.
        name: String,
        /// Where the store is.
        store: String,
        /// The sources, by name or path.
        sources: Vec<String>,
    },
    /// A snapshot has this name already.
    #[error("a snapshot named {name:?} exists already in {store}")]
    NameTaken {
        /// The name.
        name: String,
        /// Where the store is.
        store: String,
    },
    /// A name that could not be told from an id or a path.
    #[error("{name:?} cannot be a snapshot's name: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// No entity of this name in the snapshot.
    #[error("no entity {entity:?} in snapshot {snapshot}")]
    NoEntity {
        /// The name that was given.
        entity: String,
        /// The snapshot.
        snapshot: String,
        /// An entity that exists and is near.
        nearest: Option<String>,
    },
    /// The snapshot is not of what a restore made.
    #[error("snapshot {snapshot} is not one that a restore made")]
    NotARestore {
        /// The snapshot.
        snapshot: String,
    },
    /// No restore into this database is known, or all were undone.
    #[error("nothing to undo: {store} knows of no restore into {database} that was not undone")]
    NothingToUndo {
        /// The database.
        database: String,
        /// Where the store is.
        store: String,
    },
    /// Neither of two states has this table.
    #[error("no table {table:?} in {before} or {after}")]
    NoTable {
        /// The name that was given.
        table: String,
        /// One state, by name or path.
        before: String,
        /// The other.
        after: String,
        /// A table that exists and is near.
        nearest: Option<String>,
    },
    /// A virtual table: what it shows lies in other tables.
    #[error("table {table} is virtual: it has no rows of its own to compare")]
    Virtual {
        /// The table.
        table: String,
    },
    /// A key that no row of the table can have.
    #[error("{value:?} is no key of table {table}: {}", match columns.as_slice() {
        [] => "it has no primary key".to_owned(),
        columns => format!("its key is ({}): so many values, with commas", columns.join(", ")),
    })]
    BadKey {
        /// The table.
        table: String,
        /// The key that was given.
        value: String,
        /// The columns of the primary key.
        columns: Vec<String>,
    },
    /// The snapshot has records only.
    #[error("snapshot {snapshot} holds no pages: its records alone make the database again")]
    NoPages {
        /// The snapshot.
        snapshot: String,
    },
}
