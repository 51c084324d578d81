//! What is restored into: a new database file, built beside its place and published whole; or a
//! database that exists, written in one transaction.

mod check;
mod columns;
mod copies;
mod database;
mod error;
mod files;
mod image;
mod live;
mod live_writer;
mod lookup;
mod rehearsal;
mod schema;
mod trial;
mod writer;

pub use crate::sqlite::check::ForeignKeyCheck;
pub use check::{CheckLevel, Expected, of_module, of_values};
pub use columns::{ColumnMap, Key, Mapped, Slot};
pub use copies::Copies;
pub use database::{Completed, NewDatabase, Restored};
pub use error::TargetError;
pub use files::is_present;
pub use image::DatabaseImage;
pub use live::{Header, LiveDatabase, LiveView, is_ordinary};
pub use live_writer::LiveWriter;
pub use lookup::{Field, Lookup, Matches, RowId};
pub use rehearsal::{Unmade, rehearse};
pub use trial::{KeySet, Targets, Trial, parent_columns};
pub use writer::{SpilledContent, TableWriter};
