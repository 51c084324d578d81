//! Which codecs an encoder may choose from: all of them, but for tests and measurements.

use super::integers;

/// The codecs that an encoder may use beside the plain ones. Decoding does not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Codecs {
    /// Classes of two kinds as bits.
    pub class_bits: bool,
    /// Ways of writing integers.
    pub integers: integers::Allowed,
    /// Reals as decimals.
    pub decimals: bool,
    /// Texts as numbers of a dictionary's entries.
    pub dictionary: bool,
    /// Texts that are timestamps.
    pub timestamps: bool,
    /// Texts that are decimal numbers.
    pub numbers: bool,
    /// Texts of hexadecimal digits.
    pub hex: bool,
}

impl Codecs {
    /// All codecs: what packs are written with.
    pub const ALL: Self = Self::of(true);
    /// Nothing but the plain ones.
    pub const PLAIN: Self = Self::of(false);

    const fn of(on: bool) -> Self {
        Self {
            class_bits: on,
            integers: integers::Allowed {
                differences: on,
                multiples: on,
            },
            decimals: on,
            dictionary: on,
            timestamps: on,
            numbers: on,
            hex: on,
        }
    }
}
