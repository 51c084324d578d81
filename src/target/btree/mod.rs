//! B-trees as SQLite has them in a file, written from sorted records: <https://sqlite.org/fileformat2.html>.
//!
//! Knows pages, cells and records; nothing of SQL, of schemas, or of where records come from.

mod arena;
mod batch;
mod builder;
mod durable;
mod file;
mod geometry;
mod index_size;
mod index_tree;
mod indexes;
mod key;
mod key_maker;
mod key_memory;
mod keys;
mod merge;
mod page;
mod payload;
mod record;
mod run_key;
mod run_reader;
mod runs;
mod shape;
mod sorter;
mod sorting;
mod table_tree;
mod trees;

pub use builder::{BuildError, FileBuilder, LargeRecord, Plan};
pub use file::PageFile;
pub use geometry::{Geometry, Tree};
pub use key::KeyOrder;
pub use record::RecordBuilder;
pub use shape::{Field, IndexShape, Part, TableShape};
pub use sorting::{Sorting, pool as sort_pool};
