//! G4, G5: writers that began before a clean-up's record was there may lean on what it condemns. Each
//! is waited for, or fenced.

use std::time::Duration;

use super::CleanUp;
use crate::backend::BackendErrorKind;
use crate::format::config::FormatMark;
use crate::format::frame::ObjectKind;
use crate::format::protocol::{AbortMarker, WriterRecord};
use crate::format::{FormatError, limits, name};
use crate::model::id::SnapshotId;
use crate::store::cache::Cache;
use crate::store::error::StoreError;
use crate::store::register;
use crate::store::rules::Rule;
use crate::store::snapshots::has_second;

/// A record that has not changed for so long, by the clock of who looks at it, is a dead writer's.
pub const SILENCE_MAX: Duration = Duration::from_secs(30 * 60);

/// A writer that may be at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterAtWork {
    /// The machine it runs on, as it says.
    pub host: String,
    /// When it began, RFC 3339, as it says.
    pub started: String,
    /// The record, as it is now: one that stays the same for [`SILENCE_MAX`] is a dead writer's.
    pub record: Vec<u8>,
}

/// What a writer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterState {
    /// It has committed, or can never commit, or has given up.
    Over,
    /// Its process has ended.
    Dead,
    /// It may be at work.
    AtWork(WriterAtWork),
}

impl CleanUp<'_> {
    /// G4: the writers whose records are there. Called after [`CleanUp::condemn`].
    pub fn writers(&self) -> Result<Vec<SnapshotId>, StoreError> {
        if !self.store.rules.hold(Rule::WaitOrFence) {
            return Ok(Vec::new());
        }
        let listed = self.store.backend.list(name::WRITERS)?;
        let ids = listed.iter().filter_map(|o| name::parse_writer(&o.name));
        Ok(ids.collect())
    }

    /// G5: what a writer is about now. Errors: `Unsupported` for one of another format, beside which
    /// nothing may be cleaned up.
    pub fn writer_state(&self, id: &SnapshotId) -> Result<WriterState, StoreError> {
        let object = name::writer(id);
        let record = match self.store.backend.get(&object, limits::OBJECT_BYTES_MAX) {
            Ok(record) => record,
            Err(error) if error.kind == BackendErrorKind::NotFound => return Ok(WriterState::Over),
            Err(error) => return Err(error.into()),
        };
        if self.is_decided(id)? {
            return Ok(WriterState::Over);
        }
        let decoded: Result<WriterRecord, FormatError> =
            register::decode(self.store.hash, ObjectKind::Writer, &object, &record);
        let Ok(writer) = decoded else {
            // Damaged, another's, or half written: it changes, or is dead.
            return Ok(WriterState::AtWork(WriterAtWork {
                host: "an unknown machine".to_owned(),
                started: String::new(),
                record,
            }));
        };
        if writer.format != FormatMark::CURRENT {
            let FormatMark { version, draft } = writer.format;
            let cause = FormatError::Version { version, draft };
            return Err(StoreError::of_object(object, cause));
        }
        let process = writer.process.as_ref();
        if process.and_then(|process| self.store.env.is_running(process)) == Some(false) {
            return Ok(WriterState::Dead);
        }
        Ok(WriterState::AtWork(WriterAtWork {
            host: writer.host,
            started: writer.started,
            record,
        }))
    }

    /// True if `snapshots/S` exists, be it a manifest or an abort marker, or if it did: what is marked as
    /// forgotten, or has a second copy, was committed once, and a marker in its place would be one for nothing.
    fn is_decided(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        let object = name::snapshot(id);
        match self.store.backend.get(&object, limits::OBJECT_BYTES_MAX) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == BackendErrorKind::NotFound => {
                let marked = self.store.forgotten()?.mark(id).is_some();
                Ok(marked || has_second(&*self.store.backend, id)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// For how long this record of a writer has been seen unchanged, by this machine's own clock; what
    /// earlier runs saw is in the cache.
    pub fn silent_for(&self, id: &SnapshotId, record: &[u8]) -> Duration {
        let now = self.store.env.monotonic();
        let boot = self
            .store
            .env
            .process()
            .map_or_else(String::new, |p| p.boot);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let seen = Cache::open(self.store.cache_file().as_deref())
            .and_then(|cache| cache.see_writer(id, record, &boot, now_ms));
        // Without a cache it was seen just now, or earlier in this run.
        let since = seen.map_or(now, Duration::from_millis);
        let mut own = self.seen.borrow_mut();
        let (known, first) = own.entry(id.clone()).or_insert((Vec::new(), now));
        if known != record {
            *known = record.to_vec();
            *first = now;
        }
        now.saturating_sub(since.min(*first))
    }

    /// G5: makes sure, durably, that a writer cannot commit any more; one that has committed meanwhile
    /// is seen by the second mark.
    pub fn fence(&self, id: &SnapshotId) -> Result<(), StoreError> {
        let marker = AbortMarker {
            snapshot: id.clone(),
            fenced: self.now(),
        };
        let object = name::snapshot(id);
        let bytes = register::encode(self.store.hash, ObjectKind::Abort, &marker, &object)?;
        self.store
            .with_room(|| match self.store.backend.put_new(&object, &bytes) {
                Err(error) if error.kind == BackendErrorKind::Exists => Ok(()),
                done => Ok(done?),
            })?;
        self.barrier()
    }

    /// Takes away the record of a writer that is over: whether it has committed is decided for good.
    pub fn remove_record(&self, id: &SnapshotId) -> Result<(), StoreError> {
        self.delete(&name::writer(id))
    }
}
