//! One promise a file: options in, outcome out, nothing printed. Joins source, tree, store and target.

pub mod backup;
mod clean;
mod content;
pub mod copy;
pub mod diff;
pub mod export;
pub mod forget;
mod grow;
pub mod import;
pub mod list;
mod lost;
pub mod open;
pub mod parity;
pub mod pin;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod retention;
mod safety;
pub mod select;
pub mod show;
pub mod side_by_side;
pub mod stats;
pub mod stored;
pub mod undo;
pub mod validate;
mod walk;
