//! The library's error: the only place where the errors of sibling layers meet.
//!
//! Each layer stays its own variant: a source error may be passed over by who reads, a store error
//! never is. Exit codes and advice for people are added in `cli` only.

mod lost;

use std::path::PathBuf;

pub use self::lost::{LostRecords, NotWhole, NotWholePart};
use crate::model::counted::{agree, count, counted};

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
    /// An export that was to be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// What the caller named does not exist, or not once.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The snapshot of a database that is to be changed could not be written; the database is as it was.
    #[error("the safety snapshot cannot be taken: {0}")]
    Safety(#[source] StoreError),
    /// Something of a snapshot that was to be restored is damaged or missing.
    #[error("{0}")]
    NotWhole(Box<NotWhole>),
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

/// What [`ImportError::NotAnExport`] finds where a database was given.
pub const A_DATABASE: &str = "it is a database";

/// What [`ImportError::NotAnExport`] finds where a store was given.
pub const A_STORE: &str = "it is a store";

/// Why an export could not be read. Nothing of it is in a store then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Neither a folder nor a zip with a `manifest.json` in it.
    #[error("{} is not an export ({found})", path.display())]
    NotAnExport {
        /// What was given.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A zip archive that cannot be read as one.
    #[error("{} cannot be read as a zip archive: {cause}", path.display())]
    Zip {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Written by something newer, or something else.
    #[error("{}: {what} is of version {version}, which is not known here", path.display())]
    Version {
        /// The export.
        path: PathBuf,
        /// `manifest.json`, or what in it.
        what: &'static str,
        /// The version.
        version: String,
    },
    /// `manifest.json` does not say what a manifest must.
    #[error("{}: manifest.json is damaged: {cause}", path.display())]
    Manifest {
        /// The export.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A name that leads out of the export, or to something that is no file.
    #[error("{}: {name:?} is refused: {reason}", path.display())]
    UnsafeName {
        /// The export.
        path: PathBuf,
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// Two things of one name.
    #[error("{}: two {what} are named {name:?}", path.display())]
    Duplicate {
        /// The export.
        path: PathBuf,
        /// `files`, `entities`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More than there may be of something.
    #[error("{}: {what}: {found}, and {max} is the most that is read", path.display())]
    TooMuch {
        /// The export.
        path: PathBuf,
        /// What there is too much of.
        what: String,
        /// How much of it.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// Files are not as `manifest.json` says.
    #[error("{} is damaged: {}", path.display(), first_of(damage))]
    Damaged {
        /// The export.
        path: PathBuf,
        /// What is wrong, file by file; not empty.
        damage: Vec<FileDamage>,
    },
    /// The records do not make a database.
    #[error("{} makes no database: {cause}", path.display())]
    Refused {
        /// The export.
        path: PathBuf,
        /// What SQLite said, the table in it.
        #[source]
        cause: Box<TargetError>,
    },
    /// A file that cannot be read.
    #[error("cannot {op} {}: {cause}", path.display())]
    Input {
        /// The operation, a verb.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// A file of an export that is not as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDamage {
    /// Its name.
    pub file: String,
    /// Its entity.
    pub entity: String,
    /// What is wrong.
    pub cause: FileDamageKind,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileDamageKind {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// Its bytes are others than were recorded.
    #[error("its SHA-256 is {found}, and manifest.json says {recorded}")]
    Changed {
        /// The sum of its bytes.
        found: String,
        /// The sum in the manifest.
        recorded: String,
    },
    /// It holds more or fewer records than were recorded.
    #[error("it holds {}, and manifest.json says {recorded}", counted(*found, "record"))]
    Count {
        /// Records in it.
        found: u64,
        /// Records by the manifest.
        recorded: u64,
    },
    /// It does not hold records.
    #[error("it cannot be read: {cause}")]
    Unreadable {
        /// Why, with the record.
        cause: String,
    },
}

fn first_of(damage: &[FileDamage]) -> String {
    let Some(first) = damage.first() else {
        return "unknown (a bug)".to_owned();
    };
    let more = match damage.len() - 1 {
        0 => String::new(),
        n => format!(" (and {})", counted(n as u64, "more complaint")),
    };
    format!("{}: {}{more}", first.file, first.cause)
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
    /// The snapshot is forgotten.
    #[error("snapshot {snapshot} is forgotten{}", match deleted {
        true => ", and a clean-up has deleted it",
        false => "",
    })]
    Forgotten {
        /// Its full id.
        snapshot: String,
        /// Where the store is.
        store: String,
        /// A clean-up has deleted it, or does: it cannot be taken back.
        deleted: bool,
    },
    /// No forgotten snapshot of this word.
    #[error("no forgotten snapshot {word:?} in {store}")]
    NoForgotten {
        /// The word that was given.
        word: String,
        /// Where the store is.
        store: String,
        /// A name or id that exists and is near.
        nearest: Option<String>,
    },
    /// The snapshot is pinned: it cannot be forgotten.
    #[error("snapshot {snapshot} is pinned")]
    Pinned {
        /// Its id.
        snapshot: String,
        /// Where the store is.
        store: String,
    },
    /// It is not known yet whether what the snapshot holds came to count: it cannot be forgotten.
    #[error(
        "snapshot {snapshot} is uncommitted: it is not known yet whether the restore that it is of was committed"
    )]
    Unsettled {
        /// Its id.
        snapshot: String,
    },
    /// The rules would forget a group of snapshots as a whole.
    #[error("the rules would {} of {group}", match snapshots {
        1 => "forget the only snapshot".to_owned(),
        n => format!("keep none of the {} snapshots", count(*n)),
    })]
    KeepsNothing {
        /// What the snapshots of the group have in common.
        group: String,
        /// How many they are.
        snapshots: u64,
    },
    /// `latest~N` of fewer snapshots.
    #[error("no snapshot {word:?} in {store}: {}", few(*count, source_label.as_deref()))]
    TooFew {
        /// The word that was given.
        word: String,
        /// Where the store is.
        store: String,
        /// The source that `latest` is about; `None`: any.
        source_label: Option<String>,
        /// Snapshots of it that `latest` knows.
        count: u64,
        /// Those that restores and undos took.
        passed_over: u64,
    },
    /// The store has no snapshots, or all of them are forgotten.
    #[error("{store} has no snapshots{}", match forgotten {
        0 => " yet".to_owned(),
        1 => ": the only one is forgotten".to_owned(),
        n => format!(": all {} are forgotten", count(*n)),
    })]
    Empty {
        /// Where the store is.
        store: String,
        /// How many are forgotten, and not deleted yet.
        forgotten: u64,
    },
    /// No snapshot has these tags.
    #[error("no snapshot in {store} {}", match tags.as_slice() {
        [] => "is without tags".to_owned(),
        [tag] => format!("has the tag {tag:?}"),
        tags => format!("has all of the tags {}", tags.join(", ")),
    })]
    NoTag {
        /// The tags that were given together; none: those without tags were meant.
        tags: Vec<String>,
        /// Where the store is.
        store: String,
        /// The tags that snapshots have.
        known: Vec<String>,
    },
    /// No snapshot was made by this machine.
    #[error("no snapshot in {store} was made by host {host:?}")]
    NoHost {
        /// The name that was given.
        host: String,
        /// Where the store is.
        store: String,
        /// The machines that made snapshots.
        known: Vec<String>,
    },
    /// Each filter fits some snapshots, and no snapshot is fit by all.
    #[error("no snapshot in {store} is of all that --tag, --host and --source say together")]
    NoneFits {
        /// Where the store is.
        store: String,
    },
    /// Several snapshots begin with this.
    #[error("{word:?} may be any of {} snapshots: {}", matches.len(), some_of(matches))]
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
    /// The last restore into this database that is in effect, or undo of one, is forgotten: no other is taken
    /// for it.
    #[error("the last restore into {database} is forgotten{}: snapshot {snapshot}", match deleted {
        true => ", and a clean-up is deleting it",
        false => "",
    })]
    LastForgotten {
        /// The snapshot that it left, by its full id.
        snapshot: String,
        /// The database.
        database: String,
        /// Where the store is.
        store: String,
        /// A clean-up deletes it: it cannot be taken back.
        deleted: bool,
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
        // A key of one column is never divided: there are several.
        columns => format!(
            "its key is ({}): {} values with commas between, not {}",
            columns.join(", "),
            columns.len(),
            value.split(',').count(),
        ),
    })]
    BadKey {
        /// The table.
        table: String,
        /// The key that was given.
        value: String,
        /// The columns of the primary key.
        columns: Vec<String>,
    },
    /// None of the keys that were named is one of a record.
    #[error("table {table} of snapshot {snapshot} has no record with the key {}", keys.join(" or "))]
    NoRecord {
        /// The table.
        table: String,
        /// The keys.
        keys: Vec<String>,
        /// The snapshot.
        snapshot: String,
    },
    /// What is left of a damaged snapshot goes into a new file only.
    #[error("what is left of a damaged snapshot goes into a new file, and {} exists", database.display())]
    NewFileOnly {
        /// The database.
        database: PathBuf,
    },
    /// The snapshot has records only.
    #[error("snapshot {snapshot} holds no pages: its records alone make the database again")]
    NoPages {
        /// The snapshot.
        snapshot: String,
    },
}

/// The first of a list that may be long.
fn some_of(words: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = words.get(..SHOWN).unwrap_or(words).join(", ");
    match words.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {}", counted(more as u64, "other")),
    }
}

/// `there is only 1 snapshot of app.db`
fn few(count: u64, source: Option<&str>) -> String {
    let of = source.map_or(String::new(), |source| format!(" of {source}"));
    match count {
        0 => format!("there is no snapshot{of}"),
        n => format!(
            "there {} only {}{of}",
            agree(n, "is", "are"),
            counted(n, "snapshot")
        ),
    }
}
