//! larder keeps content-addressed snapshots of SQLite databases: records, not pages.
//!
//! Layers, each of which uses only those to its right (`tests/promises/layering.rs` holds the rule):
//! `ops` (one promise a file) → `source`, `target`, `tree`, `store` → `format`, `codec`, `sqlite`,
//! `backend`, `vfs` → `model`. The command line is the binary's own layer, `cli`.

pub mod backend;
pub mod cli;
pub mod codec;
pub mod env;
pub mod error;

pub mod format;
pub mod model;
pub mod ops;
pub mod progress;
pub mod source;
pub mod sqlite;
pub mod store;
pub mod target;
pub mod tree;
pub mod vfs;

#[cfg(feature = "testkit")]
pub mod testkit;
