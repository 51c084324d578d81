//! The promises of larder, one module each.

#![expect(
    clippy::disallowed_methods,
    reason = "tests look at real files from outside the library"
)]

mod backend_contract;
mod layering;
mod local_writes;
mod vfs_contract;
