//! What larder promises, one module for each promise.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say when they were not run"
)]

mod format_spec;
mod independent_reader;
mod tree;
mod tree_damage;
mod tree_rows;
