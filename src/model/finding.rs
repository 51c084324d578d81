//! Facts that do not stop the work: shown as `note:` and `warning:` lines, kept in manifests.

use serde::{Deserialize, Serialize};

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fact that is carried exactly: exit code 0.
    Note,
    /// Something could not be read or carried: exit code 3.
    Warning,
}

/// A fact about the source, a store or a target that did not stop the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How serious it is.
    pub severity: Severity,
    /// The thing it is about: a table, a file.
    pub subject: String,
    /// What was found, for a person: lower case, no full stop.
    pub text: String,
}

impl Finding {
    /// A fact that is carried exactly.
    pub fn note(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            subject: subject.into(),
            text: text.into(),
        }
    }

    /// Something that could not be read or carried.
    pub fn warning(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            subject: subject.into(),
            text: text.into(),
        }
    }
}
