//! Takes away what the protocol needs no more: seals, aborts, abort markers and marks of forgotten
//! snapshots and of damaged packs, once no process can be alive that they still bind (rule A5).

use std::collections::BTreeSet;

use super::CleanUp;
use crate::backend::BackendErrorKind;
use crate::format::frame::{self, ObjectKind};
use crate::format::protocol::{AbortMarker, ForgetFinal, GcFinal};
use crate::format::{limits, name};
use crate::model::id::SnapshotId;
use crate::store::error::StoreError;
use crate::store::forgotten::{self, Verdict};
use crate::store::register;

/// Verdicts and markers are kept so long at least.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;

/// Marks of damaged packs, with the bytes that were found, are kept so long after the seal that names
/// the pack: less than the seal.
const DAMAGED_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

impl CleanUp<'_> {
    /// Deletes verdicts and markers that are older than 90 days by two clocks: this machine's, and the
    /// time of the newest snapshot. One clock that is wrong deletes nothing too early. Returns how many.
    pub fn expire(&self) -> Result<u64, StoreError> {
        let ids = crate::store::snapshots::list(&*self.store.backend)?.ids;
        let newest = ids.iter().rev().find_map(SnapshotId::unix_ms);
        let now = self.store.env.unix_ms().min(newest.unwrap_or(i64::MIN));
        let before = now.saturating_sub(KEPT_MS);
        let is_old = |time: &str| {
            let time = time.parse::<jiff::Timestamp>();
            time.is_ok_and(|time| time.as_millisecond() < before)
        };
        let expired = self.expire_damaged(now.saturating_sub(DAMAGED_KEPT_MS))?
            + self.expire_verdicts(&is_old)?
            + self.expire_markers(&ids, before, &is_old)?
            + self.expire_marks(&ids, &is_old)?;
        if expired > 0 {
            self.barrier()?;
        }
        Ok(expired)
    }

    /// Marks of damaged packs that are gone: sealed before this time (since 1970), and not brought back by
    /// a power cut. A mark whose pack no seal names stays.
    fn expire_damaged(&self, before_ms: i64) -> Result<u64, StoreError> {
        let mut marked = self.store.marked_packs()?;
        if marked.is_empty() {
            return Ok(0);
        }
        let is_old = |time: &str| {
            let time = time.parse::<jiff::Timestamp>();
            time.is_ok_and(|time| time.as_millisecond() < before_ms)
        };
        let mut expired = 0;
        for object in self.store.backend.list(name::GC)? {
            let Some((id, true)) = name::parse_gc(&object.name) else {
                continue;
            };
            let Some(GcFinal::Sealed { dead, time, .. }) = self.verdict_of(&id)? else {
                continue;
            };
            for pack in dead.iter().filter(|_| is_old(&time)) {
                if marked.remove(pack) && self.all_gone(std::slice::from_ref(pack))? {
                    self.delete(&name::damaged(pack))?;
                    expired += 1;
                }
            }
        }
        Ok(expired)
    }

    /// Marks of snapshots whose manifests are gone for good: that their deletion was decided is told by the
    /// verdicts, which stay until they expire. Returns how many.
    pub fn drop_marks(&self) -> Result<u64, StoreError> {
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let marks = backend.list(name::FORGOTTEN)?;
        let marks: BTreeSet<_> = marks
            .iter()
            .filter_map(|mark| name::parse_forgotten(&mark.name))
            .collect();
        let mut decided = Vec::new();
        for (id, nth, is_final) in &marks {
            if *is_final
                && marks.contains(&(id.clone(), *nth, false))
                && forgotten::verdict_of(backend, hash, &name::forgotten_final(id, *nth))?
                    == Some(Verdict::Delete)
            {
                decided.push((id, *nth));
            }
        }
        let there = crate::store::snapshots::list(backend)?.ids;
        decided.retain(|(id, _)| there.binary_search(id).is_err());
        if decided.is_empty() {
            return Ok(0);
        }
        // The manifests must not come back.
        self.barrier()?;
        for (id, nth) in &decided {
            self.delete(&name::forgotten(id, *nth))?;
        }
        self.barrier()?;
        Ok(decided.len() as u64)
    }

    fn expire_verdicts(&self, is_old: &dyn Fn(&str) -> bool) -> Result<u64, StoreError> {
        let mut expired = 0;
        let listed = self.store.backend.list(name::GC)?;
        for object in &listed {
            let Some((id, true)) = name::parse_gc(&object.name) else {
                continue;
            };
            // A verdict is needed as long as what it is about.
            let record = name::gc(&id);
            if listed.iter().any(|object| object.name == record) {
                continue;
            }
            let gone = match self.verdict_of(&id)? {
                Some(GcFinal::Abort { time, .. }) => is_old(&time),
                Some(GcFinal::Sealed { dead, time, .. }) => {
                    is_old(&time) && self.all_gone(&dead)?
                }
                None => false,
            };
            if gone {
                self.delete(&object.name)?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    fn all_gone(&self, packs: &[crate::model::id::PackId]) -> Result<bool, StoreError> {
        for pack in packs {
            match self.store.backend.get_range(&name::pack(pack), 0, 0) {
                Err(error) if error.kind == BackendErrorKind::NotFound => {}
                done => {
                    done?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn expire_markers(
        &self,
        ids: &[SnapshotId],
        before: i64,
        is_old: &dyn Fn(&str) -> bool,
    ) -> Result<u64, StoreError> {
        let mut expired = 0;
        for id in ids {
            // An id tells the time when its writer began, and a marker is younger: most need no look.
            if id.unix_ms().is_none_or(|time| time >= before) {
                continue;
            }
            let object = name::snapshot(id);
            let bytes = match self.store.backend.get(&object, limits::OBJECT_BYTES_MAX) {
                Err(error) if error.kind == BackendErrorKind::NotFound => continue,
                read => read?,
            };
            let Ok((ObjectKind::Abort, payload)) = frame::open(self.store.hash, &bytes) else {
                continue;
            };
            let marker = frame::content::<AbortMarker>(payload, "an abort marker");
            if marker.is_ok_and(|marker| is_old(&marker.fenced)) {
                self.delete(&object)?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// Marks of snapshots that are deleted. Until then they say that the id is not to be used again:
    /// a clean-up that sleeps might still delete it. A mark that is left goes before its verdict, for
    /// without one it would say something else.
    fn expire_marks(
        &self,
        ids: &[SnapshotId],
        is_old: &dyn Fn(&str) -> bool,
    ) -> Result<u64, StoreError> {
        let mut gone = Vec::new();
        let listed = self.store.backend.list(name::FORGOTTEN)?;
        for object in &listed {
            let Some((id, nth, true)) = name::parse_forgotten(&object.name) else {
                continue;
            };
            let (backend, hash) = (&*self.store.backend, self.store.hash);
            let kind = ObjectKind::ForgetFinal;
            let verdict: Option<ForgetFinal> = register::read(backend, hash, kind, &object.name)?;
            if let Some(ForgetFinal::Delete { time, .. }) = verdict
                && is_old(&time)
                && ids.binary_search(&id).is_err()
            {
                gone.push((id, nth));
            }
        }
        for (id, nth) in &gone {
            self.delete(&name::forgotten(id, *nth))?;
            self.delete(&name::forgotten_final(id, *nth))?;
        }
        Ok(gone.len() as u64)
    }
}
