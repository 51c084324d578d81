//! What is backed up: one consistent read of a database that may be in use.

mod capture;
mod check_beside;
mod error;
mod file_system;
mod files;
mod leaf_pages;
mod long_values;
mod lookup;
mod moment;
mod opening;
mod order;
mod pages;
mod patience;
mod private_copy;
mod salvage;
mod scan;
mod scratch_folder;
mod slices;
mod table;
mod uncommitted;
mod wal_growth;

pub use crate::sqlite::check::ForeignKeyCheck;
pub use crate::sqlite::check::IntegrityAnswer;
pub use crate::sqlite::pages::has_dbpage;
pub use crate::sqlite::schema::Unreadable;
pub use capture::{Capture, CaptureOptions, Reading};
pub use check_beside::CheckBeside;
pub use error::SourceError;
pub use files::recorded_path;
pub use leaf_pages::{LeafPages, WalkError};
pub use lookup::Lookup;
pub use moment::Moment;
pub use pages::pages;
pub use scratch_folder::{remove_leftovers, scratch_folder};
pub use table::{Gap, LargeValue, RowSink, RowsError, Scanned, rows, rows_behind};
pub use uncommitted::Uncommitted;
