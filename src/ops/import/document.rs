//! One entity file, read as a stream: its records are handed on one by one.
//!
//! Memory: one record without its long strings, which may have so many bytes and no more.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::long_strings::{self, Aside};
use super::place::is_of_system;
use super::value::value;
use crate::error::{Error, ImportError, TargetError};
use crate::model::exported::DOCUMENT_VERSION;
use crate::model::value::Value;

/// Bytes of JSON that one record may have, long strings apart: as many columns as there may be, each
/// with a string that is just short.
const RECORD_BYTES_MAX: u64 = 96 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// A record: its fields, in the order in which they stand there.
pub(super) type Record = Vec<(String, Value)>;

/// What is done with each record: its number, from 1 on, and the content of its long values.
pub(super) type Each<'a> = &'a mut dyn FnMut(u64, &mut Record, &Aside) -> Result<(), Refusal>;

/// Why a record was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not what the file should hold.
    Content(String),
    /// Something else does not work.
    Error(Error),
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::Error(error.into())
    }
}

impl From<TargetError> for Refusal {
    fn from(error: TargetError) -> Self {
        Self::Error(error.into())
    }
}

/// Why a document was not read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is no such document.
    Content(String),
    /// The system.
    Input(io::Error),
    /// What was done with a record.
    Other(Error),
}

/// Reads the document of an entity. Gives the number of its records.
pub(super) fn read(
    reader: &mut dyn Read,
    entity: &str,
    aside: Aside,
    each: Each<'_>,
) -> Result<u64, ReadError> {
    let left = Rc::new(Cell::new(RECORD_BYTES_MAX));
    let aside = Rc::new(aside);
    let metered = Metered {
        inner: long_strings::Document::new(reader, aside.clone()),
        left: left.clone(),
    };
    let mut json =
        serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER_BYTES, metered));
    let mut reading = Reading {
        entity,
        aside,
        left,
        each,
        records: 0,
        failed: None,
    };
    let read = Document(&mut reading).deserialize(&mut json);
    let read = read.and_then(|()| json.end());
    match (read, reading.failed) {
        (_, Some(error)) => Err(ReadError::Other(error)),
        (Ok(()), None) => Ok(reading.records),
        (Err(error), None) if error.is_io() => Err(of_input(error.into())),
        (Err(error), None) => Err(ReadError::Content(error.to_string())),
    }
}

/// What an error while reading says: of the system, or of what the file holds.
pub(super) fn of_input(error: io::Error) -> ReadError {
    match is_of_system(&error) {
        true => ReadError::Input(error),
        false => ReadError::Content(error.to_string()),
    }
}

struct Reading<'a> {
    entity: &'a str,
    aside: Rc<Aside>,
    left: Rc<Cell<u64>>,
    each: Each<'a>,
    records: u64,
    failed: Option<Error>,
}

/// The whole document: an object with `version`, `entity_type` and `records`.
struct Document<'r, 'a>(&'r mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with version, entity_type and records")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<(), M::Error> {
        let (mut version, mut entity, mut records) = (false, false, false);
        while let Some(name) = fields.next_key::<String>()? {
            let seen = match name.as_str() {
                "version" => {
                    let found: String = fields.next_value()?;
                    if found != DOCUMENT_VERSION {
                        let text = format!("version {found:?} is not known here");
                        return Err(M::Error::custom(text));
                    }
                    &mut version
                }
                "entity_type" => {
                    let found: String = fields.next_value()?;
                    if found != self.0.entity {
                        let wanted = self.0.entity;
                        let text = format!("it holds {found:?}, and should hold {wanted:?}");
                        return Err(M::Error::custom(text));
                    }
                    &mut entity
                }
                "records" => {
                    if records {
                        return Err(M::Error::duplicate_field("records"));
                    }
                    fields.next_value_seed(Records(&mut *self.0))?;
                    &mut records
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if std::mem::replace(seen, true) {
                return Err(M::Error::custom(format!("two fields named {name:?}")));
            }
        }
        for (seen, name) in [
            (version, "version"),
            (entity, "entity_type"),
            (records, "records"),
        ] {
            if !seen {
                return Err(M::Error::missing_field(name));
            }
        }
        Ok(())
    }
}

/// The array of records.
struct Records<'r, 'a>(&'r mut Reading<'a>);

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut records: S) -> Result<(), S::Error> {
        let mut record = Record::new();
        loop {
            self.0.left.set(RECORD_BYTES_MAX);
            self.0.aside.clear();
            record.clear();
            let number = self.0.records + 1;
            let fields = Fields {
                number,
                aside: &self.0.aside,
                record: &mut record,
            };
            if records.next_element_seed(fields)?.is_none() {
                return Ok(());
            }
            self.0.records = number;
            match (self.0.each)(number, &mut record, &self.0.aside) {
                Ok(()) => {}
                Err(Refusal::Content(text)) => {
                    return Err(S::Error::custom(format!("record {number}: {text}")));
                }
                Err(Refusal::Error(error)) => {
                    self.0.failed = Some(error);
                    return Err(S::Error::custom("stopped"));
                }
            }
        }
    }
}

/// One record.
struct Fields<'r> {
    number: u64,
    aside: &'r Aside,
    record: &'r mut Record,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object as record {}", self.number)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<(), M::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if self.aside.is_mark(&name) {
                let number = self.number;
                let text = format!("record {number}: a field with a name of more than 16 KiB");
                return Err(M::Error::custom(text));
            }
            let json: Box<RawValue> = fields.next_value()?;
            let read = value(json.get(), self.aside).map_err(|error| {
                let number = self.number;
                M::Error::custom(format!("record {number}, field {name:?}: {error}"))
            })?;
            self.record.push((name, read));
        }
        Ok(())
    }
}

/// Reads no more than is left.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(count)
            }
            None => {
                let text =
                    format!("a record is longer than {RECORD_BYTES_MAX} bytes, long strings apart");
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }
}
