//! Prepared reads and writes, incremental blobs, and SQLite's result codes as kinds.

use std::io::{self, Read, Write};

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;

use super::quote::NameError;
use super::value::{Bound, from_sql};
use crate::model::value::ValueRef;

/// What kind of failure a result code means; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Another connection holds a lock.
    Busy,
    /// The database is malformed.
    Corrupt,
    /// The database or its journal cannot be written.
    ReadOnly,
    /// No space left.
    Full,
    /// A constraint was violated.
    Constraint,
    /// A value or row is over the connection's length limit.
    TooBig,
    /// The file is not a database, or is encrypted.
    NotADatabase,
    /// The file, its journal or its shared memory cannot be opened.
    CannotOpen,
    /// Interrupted.
    Interrupted,
    /// Refused by the authorizer.
    Refused,
    /// Reading or writing failed in the system.
    Io,
    /// Anything else, text that is no valid SQL included.
    Other,
}

/// What SQLite answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", code_suffix(*code))]
pub struct SqliteError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// SQLite's extended result code; 0 where the failure is not SQLite's.
    pub code: i32,
    /// SQLite's own text.
    pub message: String,
}

fn code_suffix(code: i32) -> String {
    match code {
        0 => String::new(),
        code => format!(" (SQLite code {code})"),
    }
}

impl SqliteError {
    /// A failure that SQLite did not report itself.
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Other,
            code: 0,
            message: message.into(),
        }
    }
}

impl SqliteError {
    /// Something of a database cannot be had as it should.
    pub fn damaged(message: &str) -> Self {
        Self {
            kind: ErrorKind::Corrupt,
            code: 0,
            message: message.to_owned(),
        }
    }

    /// A row that a scan gave is not found by its rowid: the table's tree is out of order.
    pub fn vanished(rowid: i64) -> Self {
        Self {
            kind: ErrorKind::Corrupt,
            code: 0,
            message: format!("row {rowid} is out of order"),
        }
    }

    /// A row of a WITHOUT ROWID table whose key does not follow the one before.
    pub fn out_of_order() -> Self {
        Self {
            kind: ErrorKind::Corrupt,
            code: 0,
            message: "a row is out of order".to_owned(),
        }
    }

    /// True if what was asked for is damaged, or cannot be read from its disk: other rows may be had.
    pub fn is_damage(&self) -> bool {
        // SQLITE_IOERR_READ, SHORT_READ, DATA and CORRUPTFS.
        let of_reading = matches!(self.code, 266 | 522 | 8202 | 8458);
        self.kind == ErrorKind::Corrupt || (self.kind == ErrorKind::Io && of_reading)
    }

    /// True if SQLite can make nothing of a text here: it does not parse, or names what is not known.
    /// (SQLITE_ERROR with its extended codes, and what larder itself says of a text.)
    pub fn is_of_text(&self) -> bool {
        self.kind == ErrorKind::Other && matches!(self.code & 0xff, 0 | 1)
    }

    /// A statement that was to write one row wrote none, or others.
    pub fn not_one(rows: u64) -> Self {
        let message = match rows {
            0 => "a trigger keeps the row from being written".to_owned(),
            rows => format!("{rows} rows cannot be told apart"),
        };
        Self {
            kind: ErrorKind::Constraint,
            code: 0,
            message,
        }
    }

    /// A text that a UTF-16 database cannot hold as it is.
    pub fn not_unicode(column: &str) -> Self {
        Self {
            kind: ErrorKind::Constraint,
            code: 0,
            message: format!(
                "its {column} is not valid Unicode: a database in UTF-16 cannot hold it"
            ),
        }
    }

    /// A WITHOUT ROWID table whose primary key is not listed.
    pub fn without_key(table: &str) -> Self {
        Self::other(format!(
            "table {table} has neither a rowid nor a primary key"
        ))
    }

    /// Something that was done on another thread did not come to its end.
    pub fn ended(what: &str) -> Self {
        Self::other(format!("{what} ended before its end"))
    }

    /// A value that could not be read piece by piece to its end.
    pub fn unreadable(column: &str, rowid: i64, cause: &str) -> Self {
        Self {
            kind: ErrorKind::Corrupt,
            code: 0,
            message: format!("column {column} of row {rowid}: {cause}"),
        }
    }
}

impl From<NameError> for SqliteError {
    fn from(error: NameError) -> Self {
        Self::other(error.to_string())
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let (cause, message) = match &error {
            rusqlite::Error::SqliteFailure(cause, message) => (cause, message.clone()),
            rusqlite::Error::SqlInputError {
                error: cause, msg, ..
            } => (cause, Some(msg.clone())),
            _ => return Self::other(error.to_string()),
        };
        let kind = match cause.code {
            Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => {
                ErrorKind::Busy
            }
            Code::DatabaseCorrupt => ErrorKind::Corrupt,
            Code::ReadOnly => ErrorKind::ReadOnly,
            Code::DiskFull => ErrorKind::Full,
            Code::ConstraintViolation => ErrorKind::Constraint,
            Code::TooBig => ErrorKind::TooBig,
            Code::NotADatabase => ErrorKind::NotADatabase,
            Code::CannotOpen => ErrorKind::CannotOpen,
            Code::OperationInterrupted => ErrorKind::Interrupted,
            Code::AuthorizationForStatementDenied => ErrorKind::Refused,
            Code::SystemIoFailure => ErrorKind::Io,
            _ => ErrorKind::Other,
        };
        Self {
            kind,
            code: cause.extended_code,
            message: message.unwrap_or_else(|| cause.to_string()),
        }
    }
}

/// A prepared statement. Parameters are numbered from 1.
#[derive(Debug)]
pub struct Statement<'c>(pub(super) rusqlite::Statement<'c>);

impl Statement<'_> {
    /// Binds a value, its bytes unchanged. A spilled value is refused.
    pub fn bind(&mut self, parameter: usize, value: ValueRef<'_>) -> Result<(), SqliteError> {
        Ok(self.0.raw_bind_parameter(parameter, Bound(value))?)
    }

    /// Binds a blob of zeros, to be filled by [`super::Connection::blob`].
    pub fn bind_zeros(&mut self, parameter: usize, bytes: u64) -> Result<(), SqliteError> {
        let zeros = rusqlite::blob::ZeroBlob(bytes);
        Ok(self.0.raw_bind_parameter(parameter, zeros)?)
    }

    /// Runs a statement that gives no rows, and makes it ready to run again.
    pub fn run(&mut self) -> Result<(), SqliteError> {
        self.0.raw_execute()?;
        Ok(())
    }

    /// Runs the statement; its rows are asked for one by one.
    pub fn rows(&mut self) -> Rows<'_> {
        Rows(self.0.raw_query())
    }

    /// True if the statement writes nothing.
    pub fn is_readonly(&self) -> bool {
        self.0.readonly()
    }
}

/// The rows of a running statement.
pub struct Rows<'s>(rusqlite::Rows<'s>);

impl Rows<'_> {
    /// The next row, valid until this is called again.
    #[expect(clippy::should_implement_trait, reason = "a row borrows the statement")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>, SqliteError> {
        Ok(self.0.next()?.map(Row))
    }

    /// Goes to the next row; false behind the last one. For callers that look at a row while they
    /// hold more than its statement: [`Rows::row`].
    pub fn step(&mut self) -> Result<bool, SqliteError> {
        self.0.advance()?;
        Ok(self.0.get().is_some())
    }

    /// The row that [`Rows::step`] went to.
    pub fn row(&self) -> Option<Row<'_>> {
        self.0.get().map(Row)
    }
}

/// The current row of a statement. Columns are numbered from 0.
#[derive(Clone, Copy)]
pub struct Row<'r>(pub(super) &'r rusqlite::Row<'r>);

impl<'r> Row<'r> {
    /// A value, bytes as they are.
    pub fn value(&self, column: usize) -> Result<ValueRef<'r>, SqliteError> {
        Ok(from_sql(self.0.get_ref(column)?))
    }

    /// An integer; NULL and anything else is an error.
    pub fn integer(&self, column: usize) -> Result<i64, SqliteError> {
        match self.value(column)? {
            ValueRef::Integer(v) => Ok(v),
            other => Err(SqliteError::other(format!(
                "expected an integer, found {other:?}"
            ))),
        }
    }

    /// The bytes of a text or blob; `None` for anything else.
    pub fn bytes(&self, column: usize) -> Result<Option<&'r [u8]>, SqliteError> {
        Ok(match self.value(column)? {
            ValueRef::Text(v) | ValueRef::Blob(v) => Some(v),
            _ => None,
        })
    }

    /// A text; `None` for NULL and other classes. Not UTF-8 is an error.
    pub fn text(&self, column: usize) -> Result<Option<String>, SqliteError> {
        let Some(bytes) = self.bytes(column)? else {
            return Ok(None);
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(SqliteError::other(format!(
                "text is not UTF-8: {:?}",
                String::from_utf8_lossy(bytes)
            ))),
        }
    }
}

/// A text or blob of one row, read or written piece by piece.
pub struct BlobIo<'c>(pub(super) rusqlite::blob::Blob<'c>);

impl BlobIo<'_> {
    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

impl Read for BlobIo<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for BlobIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLITE_BUSY, BUSY_RECOVERY, BUSY_SNAPSHOT, LOCKED, LOCKED_SHAREDCACHE, PROTOCOL.
    #[test]
    fn every_answer_that_a_lock_is_not_free_is_busy() {
        for code in [5, 261, 517, 6, 262, 15] {
            let cause = rusqlite::ffi::Error::new(code);
            let error = SqliteError::from(rusqlite::Error::SqliteFailure(cause, None));
            assert_eq!((error.kind, error.code), (ErrorKind::Busy, code));
        }
    }

    /// What fails for want of memory, or is refused, says nothing of the text that was run.
    #[test]
    fn only_an_answer_about_a_text_is_of_the_text() {
        // SQLITE_ERROR, ERROR_MISSING_COLLSEQ, ERROR_RETRY; INTERNAL, NOMEM, AUTH, CORRUPT, IOERR.
        for (code, of_text) in [
            (1, true),
            (257, true),
            (513, true),
            (2, false),
            (7, false),
            (23, false),
            (11, false),
            (10, false),
        ] {
            let cause = rusqlite::ffi::Error::new(code);
            let error = SqliteError::from(rusqlite::Error::SqliteFailure(cause, None));
            assert_eq!(error.is_of_text(), of_text, "{code}");
        }
    }
}
