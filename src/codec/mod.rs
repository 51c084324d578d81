//! Bytes to bytes: hashing, bounded compression, parity. No I/O, no knowledge of what the bytes mean.

pub mod erasure;
pub mod hash;
pub mod zstd;
