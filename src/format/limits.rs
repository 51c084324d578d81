//! Every bound that a reader enforces, with its reason. Checked before arithmetic or allocation.

/// Canonical form of one blob: a leaf closes at 4 targets, but one row may be 2,000 columns of 16 KiB.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;
/// Encoded bytes of all deltas of one chain.
pub const CHAIN_BYTES_MAX: u64 = BLOB_BYTES_MAX;
/// Plain text of one frame: one blob of the largest size and its head.
pub const FRAME_BYTES_MAX: u64 = BLOB_BYTES_MAX + 1024;
/// One pack: the size target, one blob over it, and its footer.
pub const PACK_BYTES_MAX: u64 = 256 << 20;
/// Footer of one pack, plain: 16 MiB of the smallest blobs.
pub const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// A sidecar of parity: at most as long as the largest pack.
pub const PARITY_BYTES_MAX: u64 = PACK_BYTES_MAX;
/// Any other object, stored or plain: a manifest of 100,000 tables.
pub const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// Levels of a tree above its leaves: 16 children or more a node, so 2^64 leaves.
pub const TREE_LEVELS_MAX: u8 = 16;
/// Columns of a leaf: SQLite's own limit.
pub const COLUMNS_MAX: u16 = 32_767;
/// Rows of a leaf.
pub const LEAF_ROWS_MAX: u32 = 65_536;
/// Values of a leaf, rows times columns: each weighs at least 1, so a leaf of 4 targets and one row
/// more has fewer.
pub const LEAF_VALUES_MAX: u64 = 1 << 20;
/// Children of a node.
pub const NODE_CHILDREN_MAX: u32 = 1_024;
/// A key in a node: longer ones stand there as their beginning, length and digest.
pub const NODE_KEY_BYTES_MAX: usize = 1_024;
