//! How long work reports what it does, and how it is asked to stop. Stands at the bottom because
//! everything may report; the library itself prints nothing.

/// Receives what long work reports. Calls come from one thread at a time.
pub trait Progress {
    /// A new phase begins, of `total` steps of `unit` (0: unknown).
    fn phase(&mut self, _name: &str, _total: u64, _unit: Unit) {}
    /// So many further steps of the phase are done.
    fn advance(&mut self, _steps: u64) {}
    /// A fact that does not fail the work: shown as a `note:` or a `warning:` line.
    fn found(&mut self, _finding: &Finding) {}
    /// True once the work should stop at the next safe place (Ctrl-C, SIGTERM).
    fn cancelled(&self) -> bool {
        false
    }
}

/// What a phase counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Records.
    Records,
    /// Blobs.
    Blobs,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fact that is carried exactly: exit code 0.
    Note,
    /// Something could not be read or carried: exit code 3.
    Warning,
}

/// A fact about the source, a store or a target that did not stop the work.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// Reports nothing and never stops.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {}
