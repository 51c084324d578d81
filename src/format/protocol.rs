//! §12 Records of the commit and clean-up protocol: writers, clean-ups, verdicts, abort markers.
//!
//! The rules (W1 to W7, G0 to G9) stand in store-format.md, "Write order".

use serde::{Deserialize, Serialize};

use super::config::FormatMark;
use crate::model::id::{PackId, SnapshotId};

/// `writers/S`: a backup at work on snapshot S. Refreshed by overwriting, deleted at its end (W7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterRecord {
    /// The format that the writer writes: programs of another one must not clean up beside it.
    pub format: FormatMark,
    /// The snapshot it will commit.
    pub snapshot: SnapshotId,
    /// The machine it runs on, for people.
    pub host: String,
    /// When it began, RFC 3339, for people.
    pub started: String,
    /// Counts refreshes: a record that stops changing belongs to a dead writer.
    pub beat: u64,
}

/// `gc/G`: a clean-up at work; its packs are condemned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRecord {
    /// Packs that may be deleted: no writer leans on them from now on.
    pub condemned: Vec<PackId>,
}

/// `gc/G.final`: the verdict on a clean-up; the first one written holds for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum GcFinal {
    /// These packs are dead, whether they are still there or not.
    Sealed {
        /// The packs.
        dead: Vec<PackId>,
    },
    /// The clean-up must not delete anything.
    Abort,
}

/// `snapshots/S` where a writer was fenced: S can never be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortMarker {
    /// The snapshot that will never be.
    pub snapshot: SnapshotId,
    /// When it was fenced, RFC 3339; markers are kept 90 days.
    pub fenced: String,
}
