//! Cleaning up beside backups, without a lock: the steps of one clean-up, G0 to G9 and F2.
//!
//! Rules and their reasons: store-format.md, "Write order". Who runs a clean-up calls the steps in
//! their order and marks between them what snapshots need ([`View`]); nothing is deleted but by a
//! seal that every other process can see, and only registers that are created once decide.

mod expire;
mod repack;
mod view;
mod writers;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use super::census::Lacking;
pub use repack::Repacked;
pub use view::{PackUses, View};
pub use writers::{SILENCE_MAX, WriterAtWork, WriterState};

use super::commit::AGE_MAX;
use super::error::StoreError;
use super::forgotten::Verdict;
use super::pack_builder::FinishedPack;
use super::redundancy::{Original, drop_beside};
use super::rules::Rule;
use super::usable::Excluded;
use super::{Store, register, rfc3339};
use crate::backend::BackendErrorKind;
use crate::env::random_16;
use crate::format::frame::ObjectKind;
use crate::format::name;
use crate::format::protocol::{ForgetFinal, GcFinal, GcRecord};
use crate::model::id::{GcId, PackId, SnapshotId};

/// One clean-up at work.
#[derive(Debug)]
pub struct CleanUp<'s> {
    store: &'s Store,
    id: GcId,
    started: Duration,
    /// D: what its record condemns; `None` while there is no record.
    condemned: Option<BTreeSet<PackId>>,
    /// D′: what its seal says is dead.
    sealed: BTreeSet<PackId>,
    /// Records of writers as they were first seen in this run.
    seen: RefCell<BTreeMap<SnapshotId, (Vec<u8>, Duration)>>,
    /// Packs that are known to be damaged, and not marked.
    distrusted: BTreeSet<PackId>,
    /// Packs that a broken rule has not published yet.
    unpublished: Vec<FinishedPack>,
}

impl Store {
    /// Begins a clean-up. Nothing is written yet.
    pub fn clean_up(&self) -> CleanUp<'_> {
        CleanUp {
            store: self,
            id: GcId(random_16(&*self.env)),
            started: self.env.monotonic(),
            condemned: None,
            sealed: BTreeSet::new(),
            seen: RefCell::default(),
            distrusted: BTreeSet::new(),
            unpublished: Vec::new(),
        }
    }
}

/// Objects that were deleted, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A clean-up that another one found.
struct Other {
    id: GcId,
    record: GcRecord,
}

impl CleanUp<'_> {
    /// Other clean-ups whose records are there.
    fn others(&self) -> Result<Vec<Other>, StoreError> {
        let mut others = Vec::new();
        for object in self.store.backend.list(name::GC)? {
            let Some((id, false)) = name::parse_gc(&object.name) else {
                continue;
            };
            if id == self.id {
                continue;
            }
            let (backend, hash) = (&*self.store.backend, self.store.hash);
            if let Some(record) = register::read(backend, hash, ObjectKind::Gc, &object.name)? {
                others.push(Other { id, record });
            }
        }
        Ok(others)
    }

    fn verdict_of(&self, id: &GcId) -> Result<Option<GcFinal>, StoreError> {
        let object = name::gc_final(id);
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        register::read(backend, hash, ObjectKind::GcFinal, &object)
    }

    fn now(&self) -> String {
        rfc3339(self.store.env.unix_ms())
    }

    /// Deletes an object; one that is gone already is no error.
    fn delete(&self, object: &str) -> Result<(), StoreError> {
        match self.store.backend.delete(object) {
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }

    /// Deletes a pack, and before it what stands beside it. Should only the pack's deletion survive a
    /// power cut, the next clean-up finds an orphan.
    fn delete_pack(&self, pack: &PackId) -> Result<(), StoreError> {
        let object = name::pack(pack);
        self.delete(&name::parity(pack))?;
        self.delete(&name::second(&object))?;
        self.delete(&object)
    }

    /// Deletes sidecars and second copies of what is gone, durably: a writer that was cut off leaves
    /// none, but a deletion that was may, and so may who adds parity meanwhile.
    pub fn delete_orphans(&self) -> Result<Deleted, StoreError> {
        let mut deleted = Deleted::default();
        for redundant in self.store.redundants()? {
            if redundant.is_orphan {
                self.store.delete_redundant(&redundant)?;
                deleted.objects += 1;
                deleted.bytes = deleted.bytes.saturating_add(redundant.bytes);
            }
        }
        if deleted.objects > 0 {
            self.barrier()?;
        }
        Ok(deleted)
    }

    fn barrier(&self) -> Result<(), StoreError> {
        Ok(self.store.backend.barrier()?)
    }

    /// A clean-up older than this must not go on: what fenced it may be gone (rule A5).
    fn check_age(&self) -> Result<(), StoreError> {
        let age = self.store.env.monotonic().saturating_sub(self.started);
        if age > AGE_MAX {
            return Err(StoreError::TooOld {
                what: "the prune",
                days: age.as_secs() / (24 * 3600),
            });
        }
        Ok(())
    }

    /// G0: ends what other clean-ups have left: fences those without a verdict, deletes what the sealed
    /// ones would have. Returns how many there were.
    ///
    /// Errors: `CleanUpAtWork` if one of them is a process that runs.
    pub fn resolve(&self) -> Result<u64, StoreError> {
        let others = self.others()?;
        for Other { id, record } in &others {
            let running = record
                .process
                .as_ref()
                .and_then(|process| self.store.env.is_running(process));
            let verdict = match self.verdict_of(id)? {
                Some(verdict) => verdict,
                None if running == Some(true) => {
                    return Err(StoreError::CleanUpAtWork {
                        host: record.host.clone(),
                        started: record.started.clone(),
                    });
                }
                None => self.abort_of(id)?,
            };
            match verdict {
                GcFinal::Sealed { dead, .. } => {
                    for pack in &dead {
                        self.delete_pack(pack)?;
                    }
                    self.barrier()?;
                }
                GcFinal::Abort { .. } if !self.store.rules.hold(Rule::AbortStays) => {
                    self.delete(&name::gc_final(id))?;
                }
                GcFinal::Abort { .. } => {}
            }
            self.delete(&name::gc(id))?;
        }
        self.barrier()?;
        Ok(others.len() as u64)
    }

    /// Decides that a clean-up must not delete anything, unless it is sealed; gives what holds.
    fn abort_of(&self, id: &GcId) -> Result<GcFinal, StoreError> {
        let abort = GcFinal::Abort {
            clean_up: *id,
            time: self.now(),
        };
        if !self.store.rules.hold(Rule::Seal) {
            return Ok(abort);
        }
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let object = name::gc_final(id);
        let kind = ObjectKind::GcFinal;
        let said = self
            .store
            .with_room(|| register::decide(backend, hash, kind, &object, &abort))?;
        Ok(said.unwrap_or(abort))
    }

    /// Forgotten snapshots that may go: unpinned, and forgotten before `before_ms` (since 1970); one
    /// whose deletion was decided before goes in any case.
    pub fn expired(&self, before_ms: i64) -> Result<Vec<SnapshotId>, StoreError> {
        let forgotten = self.store.forgotten()?;
        let names = super::snapshots::list(&*self.store.backend)?;
        let pins = self.store.pins()?;
        let mut expired = Vec::new();
        for id in names.ids {
            let Some(mark) = forgotten.mark(&id).filter(|_| forgotten.contains(&id)) else {
                continue;
            };
            let goes = mark.verdict == Some(Verdict::Delete)
                || !pins.contains(&id)
                    && self
                        .store
                        .forgotten_at(&id, mark)?
                        .is_some_and(|time| time <= before_ms);
            if goes {
                expired.push(id);
            }
        }
        Ok(expired)
    }

    /// F2: deletes a forgotten manifest, unless an undo came first. Returns whether it is gone; the next
    /// barrier makes it durable. Errors: `TooOld`.
    pub fn delete_forgotten(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        self.check_age()?;
        let rules = self.store.rules;
        let forgotten = self.store.forgotten()?;
        let Some(mark) = forgotten.mark(id).filter(|_| forgotten.contains(id)) else {
            return Ok(false);
        };
        if mark.verdict.is_none() && rules.hold(Rule::DeleteRegistered) {
            let delete = ForgetFinal::Delete {
                snapshot: id.clone(),
                mark: mark.nth,
                time: self.now(),
            };
            let object = name::forgotten_final(id, mark.nth);
            let (backend, hash) = (&*self.store.backend, self.store.hash);
            let kind = ObjectKind::ForgetFinal;
            let said = self
                .store
                .with_room(|| register::decide(backend, hash, kind, &object, &delete))?;
            if said.is_some_and(|said| Verdict::from(&said) == Verdict::Undone) {
                return Ok(false);
            }
        }
        drop_beside(&*self.store.backend, &Original::Snapshot(id.clone()))?;
        self.delete(&name::snapshot(id))?;
        Ok(true)
    }

    /// G1, G6: the names under `snapshots/`, and those of manifests that were lost. Each that is a manifest is
    /// a root, forgotten or not.
    pub fn roots(&self) -> Result<Vec<SnapshotId>, StoreError> {
        let mut ids = self.store.lost_manifests()?;
        ids.extend(super::snapshots::list(&*self.store.backend)?.ids);
        ids.sort_unstable();
        ids.dedup();
        if !self.store.rules.hold(Rule::ForgottenAreRoots) {
            let forgotten = self.store.forgotten()?;
            ids.retain(|id| !forgotten.contains(id));
        }
        Ok(ids)
    }

    /// G3: condemns packs, durably. `false`: another clean-up goes on, and this one must end.
    pub fn condemn(&mut self, packs: BTreeSet<PackId>) -> Result<bool, StoreError> {
        // Of two that come at once one goes on, if the other has its record already.
        if self.store.rules.hold(Rule::BackOff) && !self.others()?.is_empty() {
            return Ok(false);
        }
        let record = GcRecord {
            clean_up: self.id,
            condemned: packs.iter().copied().collect(),
            host: self.store.env.host(),
            started: self.now(),
            process: self.store.env.process(),
        };
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let object = name::gc(&self.id);
        let kind = ObjectKind::Gc;
        self.store
            .with_room(|| register::decide(backend, hash, kind, &object, &record))?;
        self.condemned = Some(packs);
        Ok(!self.store.rules.hold(Rule::BackOff) || self.is_first()?)
    }

    /// Of clean-ups whose records are there at once the one with the smallest id goes on: it takes from each
    /// other one what that needs to seal, as G0 does. One that is sealed already was first.
    fn is_first(&self) -> Result<bool, StoreError> {
        let others = self.others()?;
        if others.iter().any(|other| other.id < self.id) {
            return Ok(false);
        }
        for other in &others {
            if let GcFinal::Sealed { .. } = self.abort_of(&other.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// G6: D′, what of the condemned packs holds nothing that `view` keeps.
    pub fn without_homes(&self, view: &View) -> Result<BTreeSet<PackId>, StoreError> {
        let mut sealed = self.condemned.clone().unwrap_or_default();
        for pack in view.homes(&sealed)? {
            sealed.remove(&pack);
        }
        Ok(sealed)
    }

    /// G7: seals the list, durably. From here on these packs are dead for everybody. `false`: this
    /// clean-up was fenced, and must end. Errors: `TooOld`.
    pub fn seal(&mut self, dead: BTreeSet<PackId>) -> Result<bool, StoreError> {
        self.check_age()?;
        let rules = self.store.rules;
        if !rules.hold(Rule::RecordLast) {
            self.delete(&name::gc(&self.id))?;
        }
        if rules.hold(Rule::Seal) && rules.hold(Rule::RecordLast) {
            let seal = GcFinal::Sealed {
                clean_up: self.id,
                dead: dead.iter().copied().collect(),
                time: self.now(),
            };
            let (backend, hash) = (&*self.store.backend, self.store.hash);
            let object = name::gc_final(&self.id);
            let kind = ObjectKind::GcFinal;
            let said = self
                .store
                .with_room(|| register::decide(backend, hash, kind, &object, &seal))?;
            if said.is_some() {
                return Ok(false);
            }
        } else if rules.hold(Rule::RecordLast) && self.verdict_of(&self.id)?.is_some() {
            return Ok(false);
        }
        self.sealed = dead;
        Ok(true)
    }

    /// G8: deletes one pack of the sealed list; `None` once all are gone. Errors: `TooOld`.
    pub fn delete_next(&mut self) -> Result<Option<PackId>, StoreError> {
        self.check_age()?;
        let Some(pack) = self.sealed.pop_first() else {
            return Ok(None);
        };
        self.delete_pack(&pack)?;
        Ok(Some(pack))
    }

    /// G9: takes the record away; the seal stays. Sealed packs that are left are deleted by the next
    /// clean-up, which needs the record for that: then it stays too.
    pub fn end(mut self) -> Result<(), StoreError> {
        // The packs must be gone before the record is.
        self.barrier()?;
        for pack in std::mem::take(&mut self.unpublished) {
            self.store
                .backend
                .put_new(&name::pack(&pack.id), &pack.bytes)?;
        }
        if self.condemned.is_some() && self.sealed.is_empty() {
            self.delete(&name::gc(&self.id))?;
            self.barrier()?;
        }
        Ok(())
    }

    /// From now on these packs count as damaged too, though they are not marked: of what others have a
    /// copy of, nothing in them is kept.
    pub fn distrust(&mut self, packs: &BTreeSet<PackId>) {
        self.distrusted.extend(packs);
    }

    /// The writers as they are before there is a record: only where a rule is broken.
    pub fn writers_before_record(&self) -> Result<Option<Vec<SnapshotId>>, StoreError> {
        match self.store.rules.hold(Rule::WritersAfterRecord) {
            true => Ok(None),
            false => self.writers().map(Some),
        }
    }

    /// Ends without deleting: its record gets its verdict first, for others may rely on what it
    /// condemned as soon as the record is gone.
    pub fn abort(self) -> Result<(), StoreError> {
        if self.condemned.is_none() {
            return Ok(());
        }
        if let GcFinal::Abort { .. } = self.abort_of(&self.id)? {
            self.delete(&name::gc(&self.id))?;
            self.barrier()?;
        }
        Ok(())
    }

    /// Deletes what seals name and what is still there: a power cut may have brought it back. Returns
    /// how many packs.
    pub fn delete_dead(&self) -> Result<u64, StoreError> {
        let excluded = self.excluded()?;
        let mut deleted = 0;
        for object in self.store.backend.list(name::PACKS)? {
            let dead = name::parse_pack(&object.name).filter(|id| excluded.dead.contains(id));
            if let Some(pack) = dead {
                self.delete_pack(&pack)?;
                deleted += 1;
            }
        }
        self.barrier()?;
        Ok(deleted)
    }

    /// What is being written now, or was left by processes that died while they wrote.
    pub fn unfinished(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.store.backend.unfinished()?)
    }

    /// Takes away what a process that died has left unfinished: of what was so at the beginning of this
    /// run what still is, if no writer is at work. Returns how many files. One that somebody is writing all
    /// the same costs him a second try.
    pub fn remove_unfinished(&self, before: &[String]) -> Result<u64, StoreError> {
        let now = self.unfinished()?;
        let mut removed = 0;
        for name in now.iter().filter(|name| before.contains(*name)) {
            for id in self.writers()? {
                if matches!(self.writer_state(&id)?, WriterState::AtWork(_)) {
                    return Ok(removed);
                }
            }
            self.store.backend.remove_unfinished(name)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// What other clean-ups have condemned, and what is dead or damaged. An object under `gc/` that
    /// cannot be read stops a clean-up, as it stops a writer.
    fn excluded(&self) -> Result<Excluded, StoreError> {
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let mut excluded = Excluded::read_but(backend, hash, Some(&self.id))?;
        excluded.damaged.extend(&self.distrusted);
        match excluded.unreadable.first() {
            Some((object, cause)) => Err(StoreError::of_object(object.clone(), cause.clone())),
            None => Ok(excluded),
        }
    }
}
