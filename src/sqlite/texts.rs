//! Texts by their bytes.
//!
//! SQLite hands texts over in UTF-8. From a UTF-16 database that loses lone surrogates, so there a
//! text is asked for and bound as the blob of its bytes, beside a flag that says it is text.

use super::statement::{Row, SqliteError, Statement};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;

/// How the texts of one database are read and bound.
#[derive(Debug, Clone, Copy)]
pub struct Texts {
    as_blobs: bool,
}

impl Texts {
    /// Of a database whose texts are in `encoding`.
    pub fn of(encoding: TextEncoding) -> Self {
        Self {
            as_blobs: !encoding.is_utf8(),
        }
    }

    /// Columns of a result, and parameters of a statement, that one value takes.
    pub fn width(self) -> usize {
        1 + usize::from(self.as_blobs)
    }

    /// What stands in a SELECT for one value of a quoted column.
    pub fn value_sql(self, column: &str) -> String {
        if self.as_blobs {
            format!(
                "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"
            )
        } else {
            column.to_owned()
        }
    }

    /// What stands in a SELECT for a quoted column: [`Texts::width`] columns of its result.
    pub fn column_sql(self, column: &str) -> String {
        let value = self.value_sql(column);
        if self.as_blobs {
            format!("{value}, typeof({column}) = 'text'")
        } else {
            value
        }
    }

    /// As [`Texts::column_sql`], for RETURNING: within a CASE, SQLite gives a whole number of a REAL
    /// column there as an integer.
    pub fn returning_sql(self, column: &str) -> String {
        if self.as_blobs {
            format!(
                "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) WHEN 'real' THEN {column} * 1.0 \
                 ELSE {column} END, typeof({column}) = 'text'"
            )
        } else {
            column.to_owned()
        }
    }

    /// The value that stands from this column of a result on.
    pub fn value<'r>(self, row: Row<'r>, at: usize) -> Result<ValueRef<'r>, SqliteError> {
        let value = row.value(at)?;
        if self.as_blobs && row.value(at + 1)? == ValueRef::Integer(1) {
            return Ok(as_text(value));
        }
        Ok(value)
    }

    /// What stands among VALUES for a value: parameters from `parameter` on, [`Texts::width`] of them.
    pub fn parameter_sql(self, parameter: usize) -> String {
        if self.as_blobs {
            let flag = parameter + 1;
            format!("CASE WHEN ?{flag} THEN CAST(?{parameter} AS TEXT) ELSE ?{parameter} END")
        } else {
            format!("?{parameter}")
        }
    }

    /// Binds a value to the parameters from `parameter` on.
    pub fn bind(
        self,
        statement: &mut Statement<'_>,
        parameter: usize,
        value: ValueRef<'_>,
    ) -> Result<(), SqliteError> {
        if !self.as_blobs {
            return statement.bind(parameter, value);
        }
        let (value, is_text) = match value {
            ValueRef::Text(bytes) => (ValueRef::Blob(bytes), true),
            value => (value, false),
        };
        statement.bind(parameter, value)?;
        statement.bind(parameter + 1, ValueRef::Integer(i64::from(is_text)))
    }

    /// Binds a blob of zeros, to be filled by [`super::Connection::blob`].
    pub fn bind_zeros(
        self,
        statement: &mut Statement<'_>,
        parameter: usize,
        bytes: u64,
    ) -> Result<(), SqliteError> {
        statement.bind_zeros(parameter, bytes)?;
        if self.as_blobs {
            statement.bind(parameter + 1, ValueRef::Integer(0))?;
        }
        Ok(())
    }
}

/// A text that was asked for as a blob.
pub fn as_text(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Blob(bytes) => ValueRef::Text(bytes),
        value => value,
    }
}
