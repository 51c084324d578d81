//! A table for records that come without a schema: a column for every field, in the order in which
//! they first appear.
//!
//! A column has a type if all its values are of one class; then the type changes none of them. The
//! field `id` becomes the primary key if every record has one, and no two the same.

use std::collections::HashMap;

use super::document::{Record, Refusal};
use crate::error::ImportError;
use crate::model::value::{LongClass, Value};
use crate::target::PlainColumn;

/// SQLite's own limit, as it is built here.
const COLUMNS_MAX: usize = 2_000;

/// What was seen of the records of one entity.
#[derive(Debug, Default)]
pub(super) struct Fields {
    columns: Vec<Seen>,
    /// By the name as SQLite compares it.
    places: HashMap<String, usize>,
    records: u64,
    id: Ids,
}

#[derive(Debug)]
struct Seen {
    name: String,
    classes: Classes,
    /// The last record that has it.
    record: u64,
}

/// Classes that values of a column have, NULL apart.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Classes {
    integer: bool,
    real: bool,
    text: bool,
    blob: bool,
}

impl Classes {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Spilled(long) => match long.class {
                LongClass::Text => self.text = true,
                LongClass::Blob => self.blob = true,
            },
            Value::Integer(_) => self.integer = true,
            Value::Real(_) => self.real = true,
            Value::Text(_) => self.text = true,
            Value::Blob(_) => self.blob = true,
        }
    }

    fn declared_type(self) -> &'static str {
        match (self.integer, self.real, self.text, self.blob) {
            (true, false, false, false) => "INTEGER",
            (false, true, false, false) => "REAL",
            (false, false, true, false) => "TEXT",
            (false, false, false, true) => "BLOB",
            _ => "",
        }
    }
}

/// What is known of the field `id`.
#[derive(Debug, Default)]
struct Ids {
    /// Records that have one that is not null.
    count: u64,
    /// The last one, while all are integers and each is larger than the one before.
    last: Option<i64>,
    unsorted: bool,
}

/// Whether `id` can be a primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdKey {
    /// It cannot.
    No,
    /// It can.
    Yes,
    /// If no two are the same.
    IfUnique,
}

const ID: &str = "id";

impl Fields {
    /// Looks at a record. Errors: `Duplicate`, `TooMuch`; the path is left to the caller.
    pub fn look_at(
        &mut self,
        record: &Record,
        number: u64,
        wrong: &dyn Fn(WrongFields) -> ImportError,
    ) -> Result<(), Refusal> {
        self.records = number;
        for (name, value) in record {
            if name == super::database::ROWID_FIELD && matches!(value, Value::Integer(_)) {
                continue;
            }
            let folded = name.to_ascii_lowercase();
            let at = match self.places.get(&folded) {
                Some(&at) => at,
                None if self.columns.len() == COLUMNS_MAX => {
                    return Err(wrong(WrongFields::TooMany(COLUMNS_MAX as u64)).into());
                }
                None => {
                    self.columns.push(Seen {
                        name: name.clone(),
                        classes: Classes::default(),
                        record: 0,
                    });
                    self.places.insert(folded, self.columns.len() - 1);
                    self.columns.len() - 1
                }
            };
            let column = &mut self.columns[at];
            if column.name != *name || std::mem::replace(&mut column.record, number) == number {
                return Err(wrong(WrongFields::Twice(name.clone())).into());
            }
            column.classes.add(value);
            if name == ID {
                self.id.look_at(value);
            }
        }
        Ok(())
    }

    /// Whether `id` can be the key.
    pub fn id_key(&self) -> IdKey {
        let all = self.records > 0 && self.id.count == self.records;
        match (all, self.id.unsorted) {
            (false, _) => IdKey::No,
            (true, false) => IdKey::Yes,
            (true, true) => IdKey::IfUnique,
        }
    }

    /// True if no record has any field: nothing says what the columns are.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns; a table has at least one. With `keyed`, which of them is the key.
    pub fn columns(&self, keyed: bool) -> (Vec<PlainColumn>, Option<usize>) {
        if self.columns.is_empty() {
            return (vec![(ID.to_owned(), "")], None);
        }
        let columns = self.columns.iter();
        let columns = columns.map(|seen| (seen.name.clone(), seen.classes.declared_type()));
        let key = self.places.get(ID).copied().filter(|_| keyed);
        (columns.collect(), key)
    }
}

/// Fields that cannot be columns.
#[derive(Debug)]
pub(super) enum WrongFields {
    /// Two of one name, or of names that differ in case only.
    Twice(String),
    /// More than so many.
    TooMany(u64),
}

impl Ids {
    fn look_at(&mut self, value: &Value) {
        self.count += u64::from(*value != Value::Null);
        match (value, self.last) {
            (Value::Integer(id), Some(last)) if *id > last => self.last = Some(*id),
            (Value::Integer(id), None) if self.count == 1 => self.last = Some(*id),
            _ => self.unsorted = true,
        }
    }
}
