//! How long work reports what it does, and how it is asked to stop. Stands at the bottom because
//! everything may report; the library itself prints nothing.

use std::fmt;
use std::sync::Arc;

pub use crate::model::finding::{Finding, Severity};

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
    /// The same question, to be asked where no `Progress` is at hand: within a statement of SQLite.
    fn stop_sign(&self) -> StopSign {
        StopSign::default()
    }
}

/// Says from any thread whether the work should stop. The default one never does.
#[derive(Clone, Default)]
pub struct StopSign(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl StopSign {
    /// Set whenever this says so.
    pub fn new(is_set: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_set)))
    }

    /// True once the work should stop.
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|is_set| is_set())
    }
}

impl fmt::Debug for StopSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopSign").field(&self.is_set()).finish()
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

/// Reports nothing and never stops.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {}
