//! Simulated seams and generators, for tests and benches only.

pub mod blobs;
