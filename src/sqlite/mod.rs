//! The only room that uses rusqlite: connections, statements, values and schemas of SQLite.
//!
//! Everything above speaks `model` values and [`Connection`]; no name is put into SQL except by
//! [`quote::ident`], and values are only ever bound.

mod authorize;
pub mod check;
pub mod copy;
mod hardening;
pub mod layout;
pub mod open;
pub mod pages;
pub mod quote;
pub mod record;
mod rowid_references;
pub mod schema;
pub mod source;
pub mod statement;
mod table;
pub mod texts;
pub mod transaction;
mod value;

pub use open::Connection;
pub use statement::{BlobIo, ErrorKind, Row, Rows, SqliteError, Statement};

/// Version of the SQLite that is used.
pub fn version() -> &'static str {
    rusqlite::version()
}
