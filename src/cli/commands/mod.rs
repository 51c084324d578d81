//! One file per command: its flags, and the short way from them to `ops` and back.

pub mod backup;
pub mod cat;
pub mod completions;
pub mod copy;
pub mod diff;
pub mod export;
pub mod forget;
pub mod import;
pub mod init;
pub mod list;
pub mod ls;
pub mod parity;
pub mod pin;
pub mod prune;
pub mod repair;
pub mod restore;
pub mod show;
pub mod stats;
pub mod undo;
pub mod validate;
