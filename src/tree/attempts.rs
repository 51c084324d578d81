//! Whether a delta is tried for a leaf, where the parent's tree may have nothing in common with the new one: each try
//! reads an old leaf, and pairs its rows. Relies on nothing.

/// After so many in a row that came to nothing, one leaf in so many is tried.
const IN_VAIN_MAX: u32 = 16;
const TRIED_ONE_IN: u32 = 16;

/// How it went so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Leaves in a row that were stored whole.
    in_vain: u32,
}

impl Attempts {
    /// True for a leaf that is stored whole without a try.
    pub fn passes_over(&mut self) -> bool {
        let passes = self.in_vain >= IN_VAIN_MAX && !self.in_vain.is_multiple_of(TRIED_ONE_IN);
        self.in_vain = self.in_vain.wrapping_add(u32::from(passes));
        passes
    }

    /// A leaf was tried, and stored `as_delta` or not.
    pub fn made(&mut self, as_delta: bool) {
        self.in_vain = match as_delta {
            true => 0,
            false => self.in_vain.wrapping_add(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_sixteen_is_tried_until_one_is_a_delta() {
        let mut attempts = Attempts::default();
        let mut tried = Vec::new();
        for leaf in 0..100 {
            if !attempts.passes_over() {
                tried.push(leaf);
                attempts.made(leaf == 64);
            }
        }
        let expected = (0..=16).chain([32, 48]).chain(64..=81).chain([97]);
        assert_eq!(tried, expected.collect::<Vec<_>>());
    }
}
