//! When a blob is stored as a delta, and when whole again. Choices of the writer (store-format.md
//! §4.3): a reader relies on the depth alone.

use super::usable::Footing;
use crate::format::blob::{self, BlobKind};
use crate::format::delta::{DELTA_DEPTH_MAX, DELTA_STEPS_MAX, DELTA_VERSIONS_MAX};

/// What may be read to have a blob, as a multiple of its whole form.
const READ_SHARE: u64 = 8;
/// Copies looked at for one blob, bases included, by whoever reads it or asks whether it is usable:
/// some of each on the longest chain. A hostile store may offer any number of ways.
pub const TRIES_MAX: u32 = 4 * DELTA_STEPS_MAX;

/// True if a chain may have one more delta.
pub fn may_grow(footing: &Footing) -> bool {
    footing.depth < u32::from(DELTA_DEPTH_MAX)
        && footing.deltas < DELTA_STEPS_MAX
        && footing.versions < DELTA_VERSIONS_MAX
}

/// The depth of a blob whose bases have this footing.
pub fn depth_above(footing: &Footing) -> u8 {
    // `may_grow` bounds it.
    u8::try_from(footing.depth + 1).unwrap_or(u8::MAX)
}

/// True if a delta of `delta_bytes` is better than storing the blob whole: it is smaller, and what
/// is read to have the blob stays within [`READ_SHARE`] of its whole form.
pub fn is_worth(footing: &Footing, kind: BlobKind, canonical: &[u8], delta_bytes: usize) -> bool {
    let delta_bytes = delta_bytes as u64;
    let chain_bytes = footing.delta_bytes + delta_bytes;
    // Short deltas need no comparison.
    if delta_bytes < canonical.len() as u64 / 16 && chain_bytes <= footing.whole_bytes / 2 {
        return true;
    }
    blob::encode(kind, canonical).is_ok_and(|whole| {
        let whole = whole.bytes.len() as u64;
        delta_bytes < whole && footing.whole_bytes + chain_bytes <= READ_SHARE * whole
    })
}
