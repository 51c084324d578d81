//! What is restored into: a new database file, built beside its place and published whole; or a
//! database that exists, written in one transaction.

mod check;
mod columns;
mod compare;
mod copies;
mod database;
mod error;
mod files;
mod filter;
mod full_text;
mod image;
mod key_map;
mod live;
mod live_rows;
mod live_writer;
mod lookup;
mod packed;
mod parents;
mod rehearsal;
mod schema;
mod trial;
mod worksheet;
mod writer;

pub use crate::sqlite::check::ForeignKeyCheck;
pub use check::{CheckLevel, Expected, of_module, of_values};
pub use columns::{ColumnMap, Declared, Key, Mapped, Record, Slot, has_other_unique, shown};
pub use compare::{Comparer, Field};
pub use copies::Copies;
pub use database::{Completed, NewDatabase, Restored};
pub use error::TargetError;
pub use files::is_present;
pub use filter::{Filter, FilterTable, equal_to};
pub use full_text::full_texts_over;
pub use image::DatabaseImage;
pub use key_map::{Entry, KeyMap};
pub use live::{Header, LiveDatabase, LiveView, is_ordinary};
pub use live_rows::{FAST_BYTES_MAX, LiveRow, LiveRows, LiveTable, LiveValue};
pub use live_writer::{Deleter, LiveWriter};
pub use lookup::identity_places;
pub use lookup::{KeyName, Lookup, RowId};
pub use parents::{Targets, parent_columns};
pub use rehearsal::{Unmade, rehearse};
pub use trial::Trial;
pub use worksheet::{Doing, Ordinals, RowList, Step, StepReader, Steps, Worksheet};
pub use writer::{SpilledContent, TableWriter};
