//! Bytes to bytes: hashing and bounded compression. No I/O, no knowledge of what the bytes mean.

pub mod hash;
pub mod zstd;
