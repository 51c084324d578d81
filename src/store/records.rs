//! The records that no reader of a snapshot needs: of writers, of forgotten and of pinned snapshots. A
//! damaged one takes nothing away, but whoever looks after a store should know of it.

use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::{Store, register};
use crate::format::frame::ObjectKind;
use crate::format::protocol::{ForgetFinal, ForgetMark, Pin, WriterRecord};
use crate::format::{FormatError, name};

impl Store {
    /// Records of writers, forgotten and pinned snapshots that are not what they should be, or that
    /// speak of another snapshot than their name does; and why. Errors: `Backend`, `Unsupported` for one of
    /// another format.
    pub fn damaged_records(&self) -> Result<Vec<(String, FormatError)>, StoreError> {
        let mut damaged = Vec::new();
        let mut found = Vec::new();
        for prefix in [name::WRITERS, name::FORGOTTEN, name::PINS] {
            found.extend(self.backend.list(prefix)?);
        }
        for object in found {
            match self.check_record(&object.name) {
                Ok(()) => {}
                Err(StoreError::Damaged { cause, .. }) => damaged.push((object.name, cause)),
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }

    fn check_record(&self, object: &str) -> Result<(), StoreError> {
        let (of, says) = if let Some(id) = name::parse_writer(object) {
            let record: Option<WriterRecord> = self.record(object, ObjectKind::Writer)?;
            (id, record.map(|record| record.snapshot))
        } else if let Some(id) = name::parse_pin(object) {
            let record: Option<Pin> = self.record(object, ObjectKind::Pin)?;
            (id, record.map(|record| record.snapshot))
        } else if let Some((id, _, is_final)) = name::parse_forgotten(object) {
            if is_final {
                let kind = ObjectKind::ForgetFinal;
                return self.record::<ForgetFinal>(object, kind).map(|_| ());
            }
            let record: Option<ForgetMark> = self.record(object, ObjectKind::Forget)?;
            (id, record.map(|record| record.snapshot))
        } else {
            return Ok(());
        };
        match says {
            Some(says) if says != of => {
                let what = "the snapshot of a record";
                Err(StoreError::of_object(object, FormatError::Invalid { what }))
            }
            _ => Ok(()),
        }
    }

    fn record<T: DeserializeOwned>(
        &self,
        object: &str,
        kind: ObjectKind,
    ) -> Result<Option<T>, StoreError> {
        register::read(&*self.backend, self.hash, kind, object)
    }
}
