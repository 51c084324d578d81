//! Small objects of the protocol that cannot be read, and stop everybody: each gets the content that is
//! safe whatever it said, or is left and named. Why each is safe: docs/decisions/013-repair.md.

use serde::de::DeserializeOwned;

use crate::backend::{Backend, BackendErrorKind};
use crate::codec::hash::StoreHash;
use crate::format::config::Config;
use crate::format::frame::ObjectKind;
use crate::format::name;
use crate::format::protocol::{ForgetFinal, ForgetMark, GcFinal, GcRecord, Record};
use crate::format::redundancy::Redundancy;
use crate::model::id::GcId;
use crate::store::error::StoreError;
use crate::store::snapshots::has_second;
use crate::store::{Store, register, rfc3339};

/// An object that could not be read, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealedRecord {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What was done, or would be; `None`: nothing can be, and it stays.
    pub done: Option<&'static str>,
}

/// As [`register::read`]. A bad sector is damage like any other, if it is bad twice.
fn read_twice<T: DeserializeOwned + Record>(
    backend: &dyn Backend,
    hash: StoreHash,
    kind: ObjectKind,
    object: &str,
) -> Result<Option<T>, StoreError> {
    match register::read(backend, hash, kind, object) {
        Err(error) if error.backend_kind() == Some(BackendErrorKind::Other) => {
            register::read(backend, hash, kind, object)
        }
        read => read,
    }
}

/// Writes where that is asked for.
struct Records<'s> {
    store: &'s Store,
    write: bool,
    healed: Vec<HealedRecord>,
}

impl Store {
    /// Heals the config, if it cannot be read: from its second copy, or as this store was opened. Durable
    /// on return.
    pub fn heal_config(&self, write: bool) -> Result<Option<HealedRecord>, StoreError> {
        let (backend, hash) = (&*self.backend, self.hash);
        let read: Result<Option<Config>, StoreError> =
            read_twice(backend, hash, ObjectKind::Config, name::CONFIG);
        let cause = match read {
            Ok(Some(_)) => return Ok(None),
            Ok(None) => "it is gone".to_owned(),
            Err(StoreError::Damaged { cause, .. }) => cause.to_string(),
            Err(StoreError::Backend(error)) if error.kind == BackendErrorKind::Other => {
                error.to_string()
            }
            Err(error) => return Err(error),
        };
        let second: Result<Option<Config>, StoreError> = register::read(
            backend,
            hash,
            ObjectKind::Config,
            &name::second(name::CONFIG),
        );
        let done = match second {
            Ok(Some(second)) if second == self.config => "written again from its second copy",
            _ => "made anew; the store has another id now, and nothing else of it is new",
        };
        if write {
            let bytes = register::encode(hash, ObjectKind::Config, &self.config, name::CONFIG)?;
            backend.put(name::CONFIG, &bytes)?;
            backend.barrier()?;
        }
        let object = name::CONFIG.to_owned();
        let done = Some(done);
        Ok(Some(HealedRecord {
            object,
            cause,
            done,
        }))
    }

    /// Heals records under `gc/` and `forgotten/`, and the setting of redundancy; `write`: else it is
    /// only said what would be done. Durable on return.
    pub fn heal_records(&self, write: bool) -> Result<Vec<HealedRecord>, StoreError> {
        let mut records = Records {
            store: self,
            write,
            healed: Vec::new(),
        };
        records.clean_ups()?;
        records.forgotten()?;
        records.redundancy()?;
        if write && !records.healed.is_empty() {
            self.backend.barrier()?;
        }
        Ok(records.healed)
    }
}

impl Records<'_> {
    /// The cause if an object is there and cannot be read.
    fn damage<T: DeserializeOwned + Record>(
        &self,
        kind: ObjectKind,
        object: &str,
    ) -> Result<Option<String>, StoreError> {
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        match read_twice::<T>(backend, hash, kind, object) {
            Ok(_) => Ok(None),
            Err(StoreError::Damaged { cause, .. }) => Ok(Some(cause.to_string())),
            Err(StoreError::Backend(error)) if error.kind == BackendErrorKind::Other => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    fn note(&mut self, object: String, cause: String, done: Option<&'static str>) {
        self.healed.push(HealedRecord {
            object,
            cause,
            done,
        });
    }

    fn put<T: serde::Serialize>(
        &self,
        kind: ObjectKind,
        object: &str,
        content: &T,
    ) -> Result<(), StoreError> {
        if !self.write {
            return Ok(());
        }
        let bytes = register::encode(self.store.hash, kind, content, object)?;
        Ok(self.store.backend.put(object, &bytes)?)
    }

    fn delete(&self, object: &str) -> Result<(), StoreError> {
        if !self.write {
            return Ok(());
        }
        match self.store.backend.delete(object) {
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }

    fn now(&self) -> String {
        rfc3339(self.store.env.unix_ms())
    }

    fn abort(&self, id: &GcId) -> GcFinal {
        GcFinal::Abort {
            clean_up: *id,
            time: self.now(),
        }
    }

    fn clean_ups(&mut self) -> Result<(), StoreError> {
        let listed = self.store.backend.list(name::GC)?;
        let there = |object: &str| listed.iter().any(|info| info.name == object);
        for object in &listed {
            match name::parse_gc(&object.name) {
                Some((id, false)) => self.record(&id)?,
                Some((id, true)) if !there(&name::gc(&id)) => self.verdict_alone(&id)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A verdict whose record is gone: all that it sealed was deleted before, or nothing was sealed.
    fn verdict_alone(&mut self, id: &GcId) -> Result<(), StoreError> {
        let object = name::gc_final(id);
        if let Some(cause) = self.damage::<GcFinal>(ObjectKind::GcFinal, &object)? {
            let abort = self.abort(id);
            self.put(ObjectKind::GcFinal, &object, &abort)?;
            let done = "replaced by the verdict that nothing is deleted";
            self.note(object, cause, Some(done));
        }
        Ok(())
    }

    fn record(&mut self, id: &GcId) -> Result<(), StoreError> {
        let (object, verdict) = (name::gc(id), name::gc_final(id));
        let record = self.damage::<GcRecord>(ObjectKind::Gc, &object)?;
        let of_verdict = self.damage::<GcFinal>(ObjectKind::GcFinal, &verdict)?;
        match (record, of_verdict) {
            (None, None) => {}
            (None, Some(cause)) => {
                self.settle(id)?;
                let done = "what it may delete was marked, and that clean-up was ended";
                self.note(verdict, cause, Some(done));
            }
            // What it may have sealed may be half deleted, and nothing says what that is.
            (Some(cause), Some(of_verdict)) => {
                let advice = "; which packs it may delete is not known: `larder copy` this store to another \
                              place, and go on with that one";
                self.note(object, cause + advice, None);
                self.note(verdict, of_verdict, None);
            }
            (Some(cause), None) => {
                self.end_of(id)?;
                let done = "that clean-up was ended";
                self.note(object, cause, Some(done));
            }
        }
        Ok(())
    }

    /// Ends a clean-up whose verdict cannot be read. Whoever has read it may still delete what it sealed, which
    /// is some of what the record condemns: from now on nobody leans on any of that, for it counts as damaged.
    /// So nothing needs what may be deleted, and all else of it can be healed as ever.
    fn settle(&self, id: &GcId) -> Result<(), StoreError> {
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let record: Option<GcRecord> =
            register::read(backend, hash, ObjectKind::Gc, &name::gc(id))?;
        if !self.write {
            return Ok(());
        }
        for pack in record.iter().flat_map(|record| &record.condemned) {
            // Nothing is wrong with its bytes: the name says it all.
            let marked =
                self.store
                    .with_room(|| match backend.put_new(&name::damaged(pack), &[]) {
                        Err(error) if error.kind == BackendErrorKind::Exists => Ok(()),
                        done => Ok(done?),
                    });
            marked?;
        }
        backend.barrier()?;
        self.put(ObjectKind::GcFinal, &name::gc_final(id), &self.abort(id))?;
        backend.barrier()?;
        self.delete(&name::gc(id))
    }

    /// Ends a clean-up whose record cannot be read, as G0 does: its verdict says what it may delete.
    fn end_of(&self, id: &GcId) -> Result<(), StoreError> {
        if !self.write {
            return Ok(());
        }
        let (backend, hash) = (&*self.store.backend, self.store.hash);
        let object = name::gc_final(id);
        let abort = self.abort(id);
        let said = register::decide(backend, hash, ObjectKind::GcFinal, &object, &abort)?;
        if let Some(GcFinal::Sealed { dead, .. }) = said {
            for pack in &dead {
                self.delete(&name::parity(pack))?;
                self.delete(&name::second(&name::pack(pack)))?;
                self.delete(&name::pack(pack))?;
            }
            backend.barrier()?;
        }
        self.delete(&name::gc(id))
    }

    fn forgotten(&mut self) -> Result<(), StoreError> {
        let snapshots = self.store.backend.list(name::SNAPSHOTS)?;
        for object in self.store.backend.list(name::FORGOTTEN)? {
            let Some((id, mark, is_final)) = name::parse_forgotten(&object.name) else {
                continue;
            };
            let object = object.name;
            let time = self.now();
            if is_final {
                let Some(cause) = self.damage::<ForgetFinal>(ObjectKind::ForgetFinal, &object)?
                else {
                    continue;
                };
                // A manifest that was lost can be had again.
                let manifest = name::snapshot(&id);
                let is_there = snapshots.iter().any(|info| info.name == manifest)
                    || has_second(&*self.store.backend, &id)?;
                let snapshot = id;
                let (verdict, done) = match is_there {
                    true => (
                        ForgetFinal::Undone {
                            snapshot,
                            mark,
                            time,
                        },
                        "the snapshot is there, and is not forgotten",
                    ),
                    false => (
                        ForgetFinal::Delete {
                            snapshot,
                            mark,
                            time,
                        },
                        "the snapshot is deleted",
                    ),
                };
                self.put(ObjectKind::ForgetFinal, &object, &verdict)?;
                self.note(object, cause, Some(done));
            } else if let Some(cause) = self.damage::<ForgetMark>(ObjectKind::Forget, &object)? {
                let host = self.store.env.host();
                let mark = ForgetMark {
                    snapshot: id,
                    mark,
                    time,
                    host,
                };
                self.put(ObjectKind::Forget, &object, &mark)?;
                self.note(object, cause, Some("made anew; it counts from now"));
            }
        }
        Ok(())
    }

    fn redundancy(&mut self) -> Result<(), StoreError> {
        if let Err(StoreError::Damaged { object, cause }) = self.store.redundancy() {
            self.put(
                ObjectKind::Redundancy,
                name::REDUNDANCY,
                &Redundancy::default(),
            )?;
            let done = "set to parity of 3 %, as in a new store";
            self.note(object, cause.to_string(), Some(done));
        }
        Ok(())
    }
}
