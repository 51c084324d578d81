//! Forgotten snapshots: marked first, and deleted by a clean-up only later, so that a wrong word can
//! be taken back. Pinned ones: no rule forgets them. Rules F1 and F3: store-format.md, "Write order".

use std::collections::{BTreeMap, BTreeSet};

use super::error::StoreError;
use super::rules::Rule;
use super::{Store, register, rfc3339};
use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::format::frame::ObjectKind;
use crate::format::protocol::{ForgetFinal, ForgetMark, Pin};
use crate::format::{FormatError, name};
use crate::model::id::SnapshotId;

/// The newest mark of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which mark of it, from 1.
    pub nth: u32,
    /// What became of it; `None`: nothing yet.
    pub verdict: Option<Verdict>,
}

/// What became of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A clean-up deletes the manifest, or has.
    Delete,
    /// It was taken back.
    Undone,
}

impl From<&ForgetFinal> for Verdict {
    fn from(verdict: &ForgetFinal) -> Self {
        match verdict {
            ForgetFinal::Delete { .. } => Self::Delete,
            ForgetFinal::Undone { .. } => Self::Undone,
        }
    }
}

/// The marks of a store.
#[derive(Debug, Clone, Default)]
pub struct Forgotten {
    marks: BTreeMap<SnapshotId, Mark>,
}

impl Forgotten {
    /// Lists the marks and reads the verdicts.
    pub(super) fn read(backend: &dyn Backend, hash: StoreHash) -> Result<Self, StoreError> {
        let mut newest: BTreeMap<SnapshotId, (u32, bool)> = BTreeMap::new();
        for object in backend.list(name::FORGOTTEN)? {
            let Some((id, nth, is_final)) = name::parse_forgotten(&object.name) else {
                continue;
            };
            let entry = newest.entry(id).or_default();
            // A verdict sorts behind its mark.
            *entry = (*entry).max((nth, is_final));
        }
        let mut marks = BTreeMap::new();
        for (id, (nth, is_final)) in newest {
            let object = name::forgotten_final(&id, nth);
            let verdict = match is_final {
                true => verdict_of(backend, hash, &object)?,
                false => None,
            };
            marks.insert(id, Mark { nth, verdict });
        }
        Ok(Self { marks })
    }

    /// The newest mark of a snapshot.
    pub fn mark(&self, id: &SnapshotId) -> Option<&Mark> {
        self.marks.get(id)
    }

    /// True if the snapshot is forgotten: its newest mark was not taken back.
    pub fn contains(&self, id: &SnapshotId) -> bool {
        self.mark(id)
            .is_some_and(|mark| mark.verdict != Some(Verdict::Undone))
    }

    /// Forgotten snapshots, oldest first; of some nothing may be left but the mark.
    pub fn ids(&self) -> impl Iterator<Item = &SnapshotId> {
        self.marks.keys().filter(|id| self.contains(id))
    }
}

/// What a verdict says; `None` if it is gone. A damaged one takes nothing away: its snapshot counts as not
/// forgotten, and can be forgotten again by another mark.
pub(super) fn verdict_of(
    backend: &dyn Backend,
    hash: StoreHash,
    object: &str,
) -> Result<Option<Verdict>, StoreError> {
    match register::read(backend, hash, ObjectKind::ForgetFinal, object) {
        Err(StoreError::Damaged { .. }) => Ok(Some(Verdict::Undone)),
        said => Ok(said?.as_ref().map(|said: &ForgetFinal| Verdict::from(said))),
    }
}

impl Store {
    /// Which snapshots are forgotten.
    pub fn forgotten(&self) -> Result<Forgotten, StoreError> {
        Forgotten::read(&*self.backend, self.hash)
    }

    /// When a snapshot was forgotten, milliseconds since 1970; `None` if it is not, or if its mark does
    /// not say.
    pub fn forgotten_at(&self, id: &SnapshotId, mark: &Mark) -> Result<Option<i64>, StoreError> {
        let object = name::forgotten(id, mark.nth);
        let read: Option<ForgetMark> =
            register::read(&*self.backend, self.hash, ObjectKind::Forget, &object)?;
        let time = read.and_then(|mark| mark.time.parse::<jiff::Timestamp>().ok());
        Ok(time.map(jiff::Timestamp::as_millisecond))
    }

    /// F1: forgets a snapshot, durably. `false`: it is forgotten already.
    pub fn forget(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        self.forget_knowing(&self.forgotten()?, id)
    }

    /// As [`Store::forget`], by marks that were read before: for many snapshots in turn.
    pub fn forget_knowing(
        &self,
        forgotten: &Forgotten,
        id: &SnapshotId,
    ) -> Result<bool, StoreError> {
        let nth = match forgotten.mark(id) {
            None => 1,
            Some(mark) if mark.verdict == Some(Verdict::Undone) => {
                // Nobody forgets so often: such a mark was made to do harm.
                let object = || name::forgotten(id, mark.nth);
                let what = "the number of a mark";
                let wrong = || StoreError::of_object(object(), FormatError::Invalid { what });
                mark.nth.checked_add(1).ok_or_else(wrong)?
            }
            Some(_) => return Ok(false),
        };
        let mark = ForgetMark {
            snapshot: id.clone(),
            mark: nth,
            time: rfc3339(self.env.unix_ms()),
            host: self.env.host(),
        };
        let object = name::forgotten(id, nth);
        let (backend, kind) = (&*self.backend, ObjectKind::Forget);
        let before =
            self.with_some_room(|| register::decide(backend, self.hash, kind, &object, &mark))?;
        match before {
            None => Ok(true),
            // Somebody forgot it meanwhile: unless that was taken back since, it is forgotten.
            Some(_) => match self.forgotten()? {
                now if now.contains(id) => Ok(false),
                now => self.forget_knowing(&now, id),
            },
        }
    }

    /// F3: takes that back, durably. `false`: it is not forgotten. Errors: `Pruned` if a clean-up came
    /// first.
    pub fn unforget(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        let forgotten = self.forgotten()?;
        let Some(mark) = forgotten.mark(id) else {
            return Ok(false);
        };
        let undone = ForgetFinal::Undone {
            snapshot: id.clone(),
            mark: mark.nth,
            time: rfc3339(self.env.unix_ms()),
        };
        let said = match mark.verdict {
            Some(Verdict::Undone) => return Ok(false),
            Some(Verdict::Delete) if self.rules.hold(Rule::UndoBeforeDelete) => Verdict::Delete,
            Some(Verdict::Delete) => Verdict::Undone,
            None if !self.rules.hold(Rule::UndoRegistered) => {
                self.backend.delete(&name::forgotten(id, mark.nth))?;
                Verdict::Undone
            }
            None => {
                let object = name::forgotten_final(id, mark.nth);
                let kind = ObjectKind::ForgetFinal;
                let said = register::decide(&*self.backend, self.hash, kind, &object, &undone)?;
                Verdict::from(said.as_ref().unwrap_or(&undone))
            }
        };
        match said {
            Verdict::Undone => Ok(true),
            Verdict::Delete => Err(StoreError::Pruned {
                snapshot: id.clone(),
            }),
        }
    }

    /// Which snapshots are pinned.
    pub fn pins(&self) -> Result<BTreeSet<SnapshotId>, StoreError> {
        let names = self.backend.list(name::PINS)?;
        let id = |name: &str| name.strip_prefix(name::PINS)?.parse().ok();
        Ok(names.iter().filter_map(|pin| id(&pin.name)).collect())
    }

    /// Pins a snapshot, durably. `false`: it is pinned already.
    pub fn pin(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        if self.pins()?.contains(id) {
            return Ok(false);
        }
        let pin = Pin {
            snapshot: id.clone(),
            time: rfc3339(self.env.unix_ms()),
        };
        let object = name::pin(id);
        let before = register::decide(&*self.backend, self.hash, ObjectKind::Pin, &object, &pin)?;
        Ok(before.is_none())
    }

    /// Takes a pin away, durably. `false`: there is none.
    pub fn unpin(&self, id: &SnapshotId) -> Result<bool, StoreError> {
        match self.backend.delete(&name::pin(id)) {
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(false),
            done => {
                done?;
                self.backend.barrier()?;
                Ok(true)
            }
        }
    }
}
