//! The records that no reader of a snapshot needs: of writers, of forgotten and of pinned snapshots. A
//! damaged one takes nothing away, but whoever looks after a store should know of it.

use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::{Store, register};
use crate::format::frame::ObjectKind;
use crate::format::protocol::{ForgetFinal, ForgetMark, Pin, Record, WriterRecord};
use crate::format::{FormatError, name};

impl Store {
    /// Records of writers, forgotten and pinned snapshots that are not what they should be, or that
    /// stand under another's name; and why. Errors: `Backend`, `Unsupported` for one of
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
        if name::parse_writer(object).is_some() {
            self.ensure_record::<WriterRecord>(object, ObjectKind::Writer)
        } else if name::parse_pin(object).is_some() {
            self.ensure_record::<Pin>(object, ObjectKind::Pin)
        } else {
            match name::parse_forgotten(object) {
                Some((_, _, true)) => {
                    self.ensure_record::<ForgetFinal>(object, ObjectKind::ForgetFinal)
                }
                Some((_, _, false)) => self.ensure_record::<ForgetMark>(object, ObjectKind::Forget),
                None => Ok(()),
            }
        }
    }

    fn ensure_record<T: DeserializeOwned + Record>(
        &self,
        object: &str,
        kind: ObjectKind,
    ) -> Result<(), StoreError> {
        let read: Option<T> = register::read(&*self.backend, self.hash, kind, object)?;
        drop(read);
        Ok(())
    }
}
