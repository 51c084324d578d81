//! §4.3 Deltas: the numbers of their grammar, fixed before the first one is written.
//!
//! This draft neither writes nor reads deltas; `blob::decode` refuses them.

/// A column of the base, kept.
pub const DELTA_COLUMN_KEPT: u8 = 0;
/// A new column of one value in every row.
pub const DELTA_COLUMN_CONSTANT: u8 = 1;
/// A new column, given in full.
pub const DELTA_COLUMN_VALUES: u8 = 2;
/// Rowid mode beside those of whole leaves: the base's offsets, shifted.
pub const DELTA_ROWIDS_SHIFTED: u8 = 3;
/// A changed child has another id.
pub const DELTA_FIELD_ID: u8 = 1;
/// A changed child has another number of rows.
pub const DELTA_FIELD_ROWS: u8 = 2;
/// A changed child has another length.
pub const DELTA_FIELD_BYTES: u8 = 4;
/// A changed child has other flags or another span.
pub const DELTA_FIELD_TAIL: u8 = 8;
/// Deltas between a blob and its whole copy.
pub const DELTA_DEPTH_MAX: u8 = 32;
/// Blobs that one whole copy serves, directly or through chains.
pub const DELTA_VERSIONS_MAX: u32 = 64;
