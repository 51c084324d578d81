//! What is restored into: a new database file, built beside its place and published whole.

mod check;
mod database;
mod error;
mod files;
mod schema;
mod writer;

pub use crate::sqlite::check::ForeignKeyCheck;
pub use check::{CheckLevel, Expected};
pub use database::{NewDatabase, Restored};
pub use error::TargetError;
pub use writer::{SpilledContent, TableWriter};
