//! `writers/S`: the mark by which a prune knows that a backup is at work. store-format.md §12.

use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::rules::{Rule, Rules};
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::env::{Env, random_16};
use crate::format::config::FormatMark;
use crate::format::frame::{self, ObjectKind};
use crate::format::name;
use crate::format::protocol::WriterRecord;
use crate::model::id::SnapshotId;

/// A writer refreshes its record so often; a prune takes one for dead after 30 min without change.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// The record of this process's writer.
#[derive(Debug)]
pub struct WriterMark {
    backend: Arc<dyn Backend>,
    env: Arc<dyn Env>,
    hash: StoreHash,
    record: WriterRecord,
    refreshed: Duration,
}

impl std::fmt::Debug for dyn Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

impl WriterMark {
    /// W1: creates the record of a new snapshot, durably. `time_ms`: the time in its id.
    pub fn create(
        backend: Arc<dyn Backend>,
        env: Arc<dyn Env>,
        hash: StoreHash,
        time_ms: i64,
        rules: Rules,
    ) -> Result<Self, StoreError> {
        let snapshot = SnapshotId::new(time_ms.div_euclid(1000), random_16(&*env));
        let record = WriterRecord {
            format: FormatMark::CURRENT,
            snapshot,
            host: env.host(),
            started: super::rfc3339(env.unix_ms()),
            beat: 0,
            process: env.process(),
        };
        let refreshed = env.monotonic();
        let mark = Self {
            backend,
            env,
            hash,
            record,
            refreshed,
        };
        if !rules.hold(Rule::WriterRecord) {
            return Ok(mark);
        }
        let bytes = mark.encode()?;
        let put = mark.backend.put_new(&name::writer(mark.snapshot()), &bytes);
        match put.and_then(|()| mark.backend.barrier()) {
            Ok(()) => Ok(mark),
            Err(error) => {
                // It may be there all the same.
                let _ = mark.remove();
                Err(error.into())
            }
        }
    }

    /// The snapshot that may be committed.
    pub fn snapshot(&self) -> &SnapshotId {
        &self.record.snapshot
    }

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        frame::encode(self.hash, ObjectKind::Writer, &self.record).map_err(|e| {
            StoreError::Encoding {
                what: format!("a writer record: {e}"),
            }
        })
    }

    /// Refreshes the record if that is due.
    pub fn refresh_if_due(&mut self) -> Result<(), StoreError> {
        let now = self.env.monotonic();
        if now.saturating_sub(self.refreshed) >= REFRESH {
            self.record.beat += 1;
            self.backend
                .put(&name::writer(&self.record.snapshot), &self.encode()?)?;
            self.refreshed = now;
        }
        Ok(())
    }

    /// True while the record is there, as it was put last or not.
    pub fn is_there(&self) -> Result<bool, StoreError> {
        let object = name::writer(&self.record.snapshot);
        match self
            .backend
            .get(&object, crate::format::limits::OBJECT_BYTES_MAX)
        {
            Ok(_) => Ok(true),
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// W7: takes the record away. One that a prune removed already is no error.
    pub fn remove(self) -> Result<(), StoreError> {
        match self.backend.delete(&name::writer(&self.record.snapshot)) {
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }
}
