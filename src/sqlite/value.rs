//! rusqlite's values to the model's and back; nowhere else.
//!
//! Text is bytes both ways: what SQLite holds may contain NUL and need not be UTF-8.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef as SqlRef};

use crate::model::value::ValueRef;

/// The model's view of a value of the current row.
pub(super) fn from_sql(value: SqlRef<'_>) -> ValueRef<'_> {
    match value {
        SqlRef::Null => ValueRef::Null,
        SqlRef::Integer(v) => ValueRef::Integer(v),
        SqlRef::Real(v) => ValueRef::Real(v),
        SqlRef::Text(v) => ValueRef::Text(v),
        SqlRef::Blob(v) => ValueRef::Blob(v),
    }
}

/// A value to bind. A spilled value has no bytes here: binding it is refused.
pub(super) struct Bound<'a>(pub ValueRef<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self.0 {
            ValueRef::Null => SqlRef::Null,
            ValueRef::Integer(v) => SqlRef::Integer(v),
            ValueRef::Real(v) => SqlRef::Real(v),
            ValueRef::Text(v) => SqlRef::Text(v),
            ValueRef::Blob(v) => SqlRef::Blob(v),
            ValueRef::Spilled(_) => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    "a spilled value cannot be bound: its content is needed".into(),
                ));
            }
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}
