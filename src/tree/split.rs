//! Where trees are cut: pure functions of the rows themselves. store-format.md §7.3.
//!
//! Nothing here may depend on indexes, on history, or on what lies before the last boundary.

use crate::codec::hash::{SplitDigest, StoreHash, first_u64};
use crate::format::limits::{LEAF_ROWS_MAX, NODE_CHILDREN_MAX};
use crate::format::node::{
    LEAF_MAX_WEIGHT, LEAF_MIN_WEIGHT, LEAF_TARGET_WEIGHT, NODE_MIN_CHILDREN, NODE_TARGET_CHILDREN,
};

/// True if a number drawn evenly from 0..2^64 says "cut" with probability `part / whole`.
fn drawn(number: u64, part: u64, whole: u64) -> bool {
    u128::from(number) * u128::from(whole) < (u128::from(part) << 64)
}

/// The weights at which leaves end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafWeights {
    min: u64,
    target: u64,
    max: u64,
}

impl LeafWeights {
    /// Those of the format: no tree in a store has others.
    pub const FORMAT: Self = Self {
        min: LEAF_MIN_WEIGHT,
        target: LEAF_TARGET_WEIGHT,
        max: LEAF_MAX_WEIGHT,
    };

    /// Others of the same proportions, to be measured against those of the format
    /// (`benches/split.rs`).
    pub const fn of_target(target: u64) -> Self {
        Self {
            min: target / 4,
            target,
            max: target * 4,
        }
    }

    /// Decides whether a leaf ends after a row.
    ///
    /// `row_weight` is that row's weight, `leaf_weight` and `rows` count the leaf with it.
    pub fn leaf_ends(
        &self,
        digest: &SplitDigest,
        row_weight: u64,
        leaf_weight: u64,
        rows: u32,
    ) -> bool {
        if leaf_weight >= self.max || rows >= LEAF_ROWS_MAX {
            return true;
        }
        leaf_weight >= self.min && drawn(first_u64(digest), row_weight, self.target - self.min)
    }
}

/// Decides whether a node of `children` children ends after the one whose last row has `digest`.
pub fn node_ends(hash: StoreHash, level: u8, digest: &SplitDigest, children: u32) -> bool {
    if children >= NODE_CHILDREN_MAX {
        return true;
    }
    children >= NODE_MIN_CHILDREN
        && drawn(
            hash.split_at_level(level, digest),
            1,
            u64::from(NODE_TARGET_CHILDREN - NODE_MIN_CHILDREN),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_end_at_their_bounds_whatever_the_digest() {
        let never = [0xff; 32];
        let always = [0; 32];
        let leaf_ends = |digest: &SplitDigest, row_weight, leaf_weight, rows| {
            LeafWeights::FORMAT.leaf_ends(digest, row_weight, leaf_weight, rows)
        };
        assert!(leaf_ends(&never, 10, LEAF_MAX_WEIGHT, 1));
        assert!(leaf_ends(&never, 10, 0, LEAF_ROWS_MAX));
        assert!(!leaf_ends(&never, 10, LEAF_MAX_WEIGHT - 1, 1));
        assert!(!leaf_ends(&always, 10, LEAF_MIN_WEIGHT - 1, 1));
        assert!(leaf_ends(&always, 10, LEAF_MIN_WEIGHT, 1));
    }

    #[test]
    fn weights_keep_the_proportions_of_the_format() {
        assert_eq!(
            LeafWeights::of_target(LEAF_TARGET_WEIGHT),
            LeafWeights::FORMAT
        );
    }

    #[test]
    fn leaves_have_their_target_weight_on_average() {
        let hash = StoreHash::unkeyed();
        let (mut leaves, mut weight, mut rows) = (0_u64, 0, 0);
        let total = 400_000_u64;
        for row in 0..total {
            weight += 100;
            rows += 1;
            let digest = hash.split_digest(&row.to_le_bytes());
            if LeafWeights::FORMAT.leaf_ends(&digest, 100, weight, rows) {
                (leaves, weight, rows) = (leaves + 1, 0, 0);
            }
        }
        let mean = total * 100 / leaves;
        assert!(
            (LEAF_TARGET_WEIGHT * 3 / 4..LEAF_TARGET_WEIGHT * 5 / 4).contains(&mean),
            "{mean}"
        );
    }
}
