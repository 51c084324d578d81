//! What can go wrong while a database is written.

use std::path::{Path, PathBuf};

use crate::model::counted::{agree, counted};
use crate::sqlite::{ErrorKind, SqliteError};

/// A database that could not be written. Whatever happened, the place meant for it is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A file stands where the database, or its `-wal`, `-shm` or `-journal`, would be.
    #[error("{path} exists already")]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The folder of the database is missing.
    #[error("no folder {path}")]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Not permitted.
    #[error("no permission to write {path}: {cause}")]
    Denied {
        /// The file or folder.
        path: PathBuf,
        /// What the system or SQLite said.
        cause: String,
    },
    /// Not a SQLite database, or an encrypted one.
    #[error("{path} is not a SQLite database")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// Locked by others for longer than the wait allowed.
    #[error("{path} is busy: {cause}")]
    Busy {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        cause: SqliteError,
    },
    /// The database and the snapshot carry different application ids.
    #[error("{path} has application id {live}, the snapshot has {stored}")]
    OtherApplication {
        /// The database.
        path: PathBuf,
        /// Its id.
        live: i32,
        /// The snapshot's.
        stored: i32,
    },
    /// The whole database would be replaced, and tables of it would be gone for good.
    #[error("{path} has {} that the snapshot lacks: {}", agree(tables.len() as u64, "a table", "tables"), tables.join(", "))]
    LosesTables {
        /// The database.
        path: PathBuf,
        /// The tables.
        tables: Vec<String>,
    },
    /// The whole database would be replaced, and its pages are of another form, which SQLite cannot change
    /// under those who have it open.
    #[error("{path} has {what} {live}, the snapshot has {stored}")]
    OtherForm {
        /// The database.
        path: PathBuf,
        /// What is another one: `page size`.
        what: &'static str,
        /// The database's.
        live: String,
        /// The snapshot's.
        stored: String,
    },
    /// Carrying out the plan did not come to what the plan says.
    #[error("table {table}: {done} {what} where the plan says {planned} (a bug)")]
    PlanDiffers {
        /// The table.
        table: String,
        /// What was counted: `rows inserted`.
        what: &'static str,
        /// What the plan says.
        planned: u64,
        /// What was done.
        done: u64,
    },
    /// No space left.
    #[error("no space left to write {path}")]
    NoSpace {
        /// The database.
        path: PathBuf,
    },
    /// A setting or an object that this SQLite cannot make.
    #[error("{path} cannot be made: {what}")]
    Unsupported {
        /// The database.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// What is to be written cannot fit.
    #[error(
        "too little space beside {path}: {needed} bytes are to be written, and {free} are free"
    )]
    LittleSpace {
        /// The database.
        path: PathBuf,
        /// Bytes of values that are to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The key of a row is longer than 1 MiB.
    #[error("{path}: a row of table {table} has a key over 1 MiB, too long to be compared")]
    LongKey {
        /// The database.
        path: PathBuf,
        /// The table.
        table: String,
    },
    /// An expression that SQLite cannot evaluate.
    #[error("SQLite cannot evaluate {expression:?} over table {table}: {reason}")]
    BadExpression {
        /// The expression.
        expression: String,
        /// The table.
        table: String,
        /// What SQLite said.
        reason: String,
    },
    /// A decision about a missing reference that cannot be carried out.
    #[error("the decision about {table}.{} = {value} cannot be carried out: {reason}", columns.join(", "))]
    BadDecision {
        /// The table that refers.
        table: String,
        /// Its columns.
        columns: Vec<String>,
        /// The missing value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Renamed columns of which it is not clear what goes where.
    #[error("--rename {table}.{old}={new}: {reason}")]
    BadRename {
        /// The table.
        table: String,
        /// The column in the snapshot.
        old: String,
        /// The column in the database.
        new: String,
        /// What is unclear.
        reason: String,
    },
    /// A renamed column that one side does not have.
    #[error("--rename {rename}: in {place} {table} has no column {column:?}")]
    NoRenamed {
        /// As it was given: `table.old=new`.
        rename: String,
        /// The table.
        table: String,
        /// Which of the two is not there.
        column: String,
        /// Where: `the snapshot`, `the database`.
        place: &'static str,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A column, key or table that is named and does not exist.
    #[error("{named}: {table} has no column {column:?}")]
    NoColumn {
        /// The option or line that names it.
        named: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A row that its table refuses.
    #[error("table {table} refuses {row}: {cause}")]
    Constraint {
        /// The table.
        table: String,
        /// Which row: `row 17`, `record 3`.
        row: String,
        /// What SQLite said, the constraint in it.
        cause: SqliteError,
    },
    /// A row that does not have the columns of its table.
    #[error("table {table}: {row} has {} where {wanted} {} due", counted(*found as u64, "value"), agree(*wanted as u64, "is", "are"))]
    RowShape {
        /// The table.
        table: String,
        /// Which row.
        row: String,
        /// Values that the table stores.
        wanted: usize,
        /// Values that were given.
        found: usize,
    },
    /// The content of a large value could not be had.
    #[error("table {table}: a large value of {row} cannot be had: {cause}")]
    Content {
        /// The table.
        table: String,
        /// Which row.
        row: String,
        /// Why; a store's error stands inside.
        cause: std::io::Error,
    },
    /// What was made is not what was asked for.
    #[error("the schema of {path} came out different: {what}")]
    SchemaDiffers {
        /// The database.
        path: PathBuf,
        /// The object.
        what: String,
    },
    /// Trees are not written here for rows like these: SQLite makes the database from them, by SQL.
    #[error("table {table} must be made by SQL: {reason}")]
    NeedsSql {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// A table does not hold as many rows as it should.
    #[error("table {table} holds {} where {wanted} {} due", counted(*found, "row"), agree(*wanted, "is", "are"))]
    Count {
        /// The table.
        table: String,
        /// Rows that are due.
        wanted: u64,
        /// Rows that are there.
        found: u64,
    },
    /// SQLite's own check found damage.
    #[error("{path} is damaged: {}", lines.join("; "))]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the check said.
        lines: Vec<String>,
    },
    /// Any other answer of SQLite.
    #[error("cannot write {path}{}: {cause}", in_place(place))]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Table or object; empty if none.
        place: String,
        /// What SQLite said.
        cause: SqliteError,
    },
    /// Any other failure of the file system.
    #[error("cannot {op} {path}: {cause}")]
    File {
        /// The operation, a verb.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

fn in_place(place: &str) -> String {
    match place {
        "" => String::new(),
        place => format!(" ({place})"),
    }
}

impl TargetError {
    /// SQLite's answer about the database, and about an object of it.
    pub(super) fn of(path: &Path, place: &str, cause: SqliteError) -> Self {
        let path = path.to_owned();
        match cause.kind {
            ErrorKind::Full => Self::NoSpace { path },
            ErrorKind::Busy => Self::Busy { path, cause },
            ErrorKind::NotADatabase => Self::NotADatabase { path },
            ErrorKind::Corrupt => Self::Damaged {
                path,
                lines: vec![cause.to_string()],
            },
            ErrorKind::ReadOnly | ErrorKind::CannotOpen => Self::Denied {
                path,
                cause: cause.to_string(),
            },
            _ => Self::Sqlite {
                path,
                place: place.to_owned(),
                cause,
            },
        }
    }

    /// The file system's answer about a file.
    pub(super) fn file(op: &'static str, path: &Path, cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let path = path.to_owned();
        match cause.kind() {
            Io::AlreadyExists => Self::Exists { path },
            Io::StorageFull | Io::QuotaExceeded => Self::NoSpace { path },
            Io::PermissionDenied | Io::ReadOnlyFilesystem => Self::Denied {
                path,
                cause: cause.to_string(),
            },
            _ => Self::File { op, path, cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever may write everything, as in many tests, never sees this happen.
    #[test]
    fn what_may_not_be_written_is_told_apart_from_what_is_broken() {
        let of = |kind| {
            let cause = SqliteError {
                kind,
                code: 0,
                message: "said".to_owned(),
            };
            TargetError::of(Path::new("app.db"), "", cause)
        };
        for kind in [ErrorKind::ReadOnly, ErrorKind::CannotOpen] {
            let error = of(kind);
            assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
            assert_eq!(error.to_string(), "no permission to write app.db: said");
        }
        assert!(matches!(
            of(ErrorKind::Corrupt),
            TargetError::Damaged { .. }
        ));
        assert!(matches!(of(ErrorKind::Full), TargetError::NoSpace { .. }));
        let refused = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
        let refused = TargetError::file("write", Path::new("app.db"), refused);
        assert!(matches!(refused, TargetError::Denied { .. }), "{refused:?}");
    }
}
