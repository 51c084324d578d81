//! §2 The store's config: format version, required features, and the store's name.

use serde::{Deserialize, Serialize};

use super::FormatError;
use crate::model::id::StoreId;

/// Format version; 0 until the format is frozen.
pub const FORMAT_VERSION: u32 = 0;
/// The same in the one byte that every object's head has for it.
pub const FORMAT_VERSION_BYTE: u8 = 0;
/// Draft of version 0. Every change of the format raises it; other drafts are refused.
pub const FORMAT_DRAFT: u32 = 7;
/// The same in the one byte that a pack's head has for it.
pub const FORMAT_DRAFT_BYTE: u8 = 7;
const _: () = assert!(
    FORMAT_VERSION_BYTE as u32 == FORMAT_VERSION && FORMAT_DRAFT_BYTE as u32 == FORMAT_DRAFT
);
/// Features a store may require and this program has.
pub const FEATURES_KNOWN: [&str; 0] = [];

/// The format that an object was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatMark {
    /// Format version.
    pub version: u32,
    /// Draft of version 0.
    pub draft: u32,
}

impl FormatMark {
    /// The format that this program writes.
    pub const CURRENT: Self = Self {
        version: FORMAT_VERSION,
        draft: FORMAT_DRAFT,
    };

    /// Refuses another format, and features that this program lacks.
    pub fn check(self, features: &[String]) -> Result<(), FormatError> {
        if self != Self::CURRENT {
            return Err(FormatError::Version {
                version: self.version,
                draft: self.draft,
            });
        }
        match features
            .iter()
            .find(|f| !FEATURES_KNOWN.contains(&f.as_str()))
        {
            Some(feature) => Err(FormatError::Feature {
                feature: feature.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// The object `config`. Made once, with the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The format of the store.
    pub format: FormatMark,
    /// Features that a program must have to use the store at all.
    #[serde(default)]
    pub features: Vec<String>,
    /// The store's name.
    pub store_id: StoreId,
    /// When it was made, RFC 3339.
    pub created: String,
}
