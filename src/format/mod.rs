//! Structs to bytes and back: one file per section of store-format.md. No I/O.

pub mod blob;
