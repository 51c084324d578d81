//! The promises of larder, one module each.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests look at real files from outside the library, and fail by panicking"
)]

mod backend_contract;
mod layering;
mod local_writes;
mod vfs_contract;
