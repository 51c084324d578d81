//! When a blob is stored as a delta, and when whole again. Choices of the writer (store-format.md
//! §4.3): a reader relies on the depth alone.

use super::index::Footing;
use crate::format::blob::{self, BlobKind};
use crate::format::delta::{DELTA_DEPTH_MAX, DELTA_VERSIONS_MAX};

/// True if a chain may have one more delta.
pub fn may_grow(footing: &Footing) -> bool {
    footing.depth < u32::from(DELTA_DEPTH_MAX) && footing.versions < DELTA_VERSIONS_MAX
}

/// Deltas that are applied to have a blob whose bases have this footing.
pub fn depth_above(footing: &Footing) -> u8 {
    // `may_grow` bounds it.
    u8::try_from(footing.depth + 1).unwrap_or(u8::MAX)
}

/// True if a delta of `delta_bytes` is better than storing the blob whole: it is smaller, and with
/// it the deltas of its chain stay within half of the whole copy, so that reading stays cheap.
pub fn is_worth(footing: &Footing, kind: BlobKind, canonical: &[u8], delta_bytes: usize) -> bool {
    let chain_bytes = footing.delta_bytes + delta_bytes as u64;
    if chain_bytes > footing.whole_bytes / 2 {
        return false;
    }
    // A short delta needs no comparison.
    if delta_bytes < canonical.len() / 16 {
        return true;
    }
    blob::encode(kind, canonical).is_ok_and(|(_, whole)| delta_bytes < whole.len())
}
