//! §13 What a store keeps twice, or can compute again: its setting, an object of its own because the
//! config never changes.

use serde::{Deserialize, Serialize};

use super::FormatError;
use super::parity::PARITY_PERCENT;

/// How much redundancy a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedundancyLevel {
    /// None.
    None,
    /// Parity of packs of `PARITY_PACK_BYTES_MIN` and more.
    #[default]
    Parity,
    /// Parity of these, and second copies of smaller packs, manifests and the config.
    Full,
}

impl RedundancyLevel {
    /// Its name, in the store and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Parity => "parity",
            Self::Full => "full",
        }
    }
}

/// The object `redundancy`. Absent: the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redundancy {
    /// How much.
    pub level: RedundancyLevel,
    /// Length of a sidecar in percent of its pack, 1 to 100.
    pub percent: u8,
}

impl Default for Redundancy {
    fn default() -> Self {
        Self {
            level: RedundancyLevel::default(),
            percent: PARITY_PERCENT,
        }
    }
}

impl Redundancy {
    /// Refuses a percentage that there cannot be.
    pub fn check(self) -> Result<Self, FormatError> {
        match self.percent {
            1..=100 => Ok(self),
            _ => Err(FormatError::Invalid {
                what: "the percentage of parity",
            }),
        }
    }
}
