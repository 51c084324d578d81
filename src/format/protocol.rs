//! §12 Records of the commit and clean-up protocol: writers, clean-ups, verdicts, abort markers,
//! marks of forgotten and of pinned snapshots.
//!
//! The rules (W1 to W8, G0 to G9, F1 to F3) stand in store-format.md, "Write order".

use serde::{Deserialize, Serialize};

use super::config::{Config, FormatMark};
use super::name;
use super::redundancy::Redundancy;
use crate::model::id::{GcId, PackId, SnapshotId};
use crate::model::process::ProcessMark;

/// What stands under a name of its own: a record under another's name is damaged, however whole it is.
pub trait Record {
    /// True if it may stand under this name.
    fn is_of(&self, object: &str) -> bool;
}

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
    /// The process that writes: whoever runs beside it can see whether it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessMark>,
}

/// `gc/G`: a clean-up at work; its packs are condemned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRecord {
    /// The clean-up: G.
    pub clean_up: GcId,
    /// Packs that may be deleted: no writer leans on them from now on.
    pub condemned: Vec<PackId>,
    /// The machine it runs on, for people.
    pub host: String,
    /// When it began, RFC 3339, for people.
    pub started: String,
    /// The process: whoever comes beside it can see whether it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessMark>,
}

impl GcRecord {
    /// A record of nobody in particular that condemns these packs.
    #[cfg(feature = "testkit")]
    pub fn of(clean_up: GcId, condemned: Vec<PackId>) -> Self {
        Self {
            clean_up,
            condemned,
            host: "elsewhere".to_owned(),
            started: String::new(),
            process: None,
        }
    }
}

/// `gc/G.final`: the verdict on a clean-up; the first one written holds for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum GcFinal {
    /// These packs are dead, whether they are still there or not.
    Sealed {
        /// The clean-up: G.
        clean_up: GcId,
        /// The packs.
        dead: Vec<PackId>,
        /// When, RFC 3339; seals are kept 90 days.
        time: String,
    },
    /// The clean-up must not delete anything.
    Abort {
        /// The clean-up: G.
        clean_up: GcId,
        /// When, RFC 3339; kept 90 days.
        time: String,
    },
}

/// `snapshots/S` where a writer was fenced: S can never be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortMarker {
    /// The snapshot that will never be.
    pub snapshot: SnapshotId,
    /// When it was fenced, RFC 3339; markers are kept 90 days.
    pub fenced: String,
}

/// `forgotten/S.N`: snapshot S is on its way out (F1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetMark {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Which mark of it, from 1: N.
    pub mark: u32,
    /// When it was forgotten, RFC 3339. Its manifest is deleted some time after that.
    pub time: String,
    /// The machine on which that was asked for, for people.
    pub host: String,
}

/// `forgotten/S.N.final`: what became of the mark; the first one written holds for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum ForgetFinal {
    /// A clean-up deletes the manifest (F2).
    Delete {
        /// The snapshot: S.
        snapshot: SnapshotId,
        /// Which mark of it: N.
        mark: u32,
        /// When, RFC 3339.
        time: String,
    },
    /// The snapshot is not forgotten any more (F3).
    Undone {
        /// The snapshot: S.
        snapshot: SnapshotId,
        /// Which mark of it: N.
        mark: u32,
        /// When, RFC 3339.
        time: String,
    },
}

/// `pins/S`: snapshot S is kept whatever a rule of retention says, until the pin is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was pinned, RFC 3339.
    pub time: String,
}

impl Record for WriterRecord {
    fn is_of(&self, object: &str) -> bool {
        object == name::writer(&self.snapshot)
    }
}

impl Record for GcRecord {
    fn is_of(&self, object: &str) -> bool {
        object == name::gc(&self.clean_up)
    }
}

impl Record for GcFinal {
    fn is_of(&self, object: &str) -> bool {
        let (Self::Sealed { clean_up, .. } | Self::Abort { clean_up, .. }) = self;
        object == name::gc_final(clean_up)
    }
}

impl Record for AbortMarker {
    fn is_of(&self, object: &str) -> bool {
        object == name::snapshot(&self.snapshot)
    }
}

impl Record for ForgetMark {
    fn is_of(&self, object: &str) -> bool {
        object == name::forgotten(&self.snapshot, self.mark)
    }
}

impl Record for ForgetFinal {
    fn is_of(&self, object: &str) -> bool {
        let (Self::Delete { snapshot, mark, .. } | Self::Undone { snapshot, mark, .. }) = self;
        object == name::forgotten_final(snapshot, *mark)
    }
}

impl Record for Pin {
    fn is_of(&self, object: &str) -> bool {
        object == name::pin(&self.snapshot)
    }
}

impl Record for Config {
    fn is_of(&self, object: &str) -> bool {
        object == name::CONFIG || object == name::second(name::CONFIG)
    }
}

impl Record for Redundancy {
    fn is_of(&self, object: &str) -> bool {
        object == name::REDUNDANCY
    }
}
