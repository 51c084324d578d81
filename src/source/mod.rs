//! What is backed up: one consistent read of a database that may be in use.

mod capture;
mod carried;
mod error;
mod files;
mod table;

pub use crate::sqlite::check::ForeignKeyCheck;
pub use capture::{Capture, CaptureOptions};
pub use carried::NotCarried;
pub use error::SourceError;
pub use files::recorded_path;
pub use table::{LargeValue, RowSink, RowsError, rows};
