//! One promise per file: options in, outcome out, no printing.

pub mod export;
