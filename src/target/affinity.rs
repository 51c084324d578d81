//! What a value becomes when it is looked up among those of another column: SQLite gives a reference
//! the affinity of its parent's column first. <https://sqlite.org/foreignkeys.html>, section 4.1.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::TargetError;
use crate::model::fit::Affinity;
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Value, ValueRef};
use crate::sqlite::{Connection, SqliteError};

/// Applies affinities. What is not plain, SQLite itself converts, in memory.
#[derive(Debug)]
pub struct Affine {
    db: Mutex<Connection>,
}

/// A value under an affinity.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// It stays as it is.
    Same,
    /// It becomes this.
    Other(Value),
    /// A long text that may be a number: its content is not here.
    Unknown,
}

impl Affine {
    /// Prepares.
    pub fn new() -> Result<Self, TargetError> {
        let make = || {
            let db = Connection::open_memory()?;
            db.execute("CREATE TABLE converted(n NUMERIC, t TEXT)")?;
            db.execute("INSERT INTO converted VALUES(NULL, NULL)")?;
            Ok(db)
        };
        let db = make().map_err(failed)?;
        Ok(Self { db: Mutex::new(db) })
    }

    /// What a value becomes under an affinity, texts being in `encoding`. Numbers that are equal are
    /// not told apart: what becomes a real may stay an integer.
    pub fn apply(
        &self,
        affinity: Affinity,
        value: ValueRef<'_>,
        encoding: TextEncoding,
    ) -> Result<Applied, TargetError> {
        let text = |text: String| Applied::Other(Value::Text(encoding.encode(text)));
        Ok(match (affinity, value) {
            (Affinity::Text, ValueRef::Integer(number)) => text(number.to_string()),
            (Affinity::Text, real @ ValueRef::Real(_)) => {
                match self.convert(
                    "UPDATE converted SET t = ?1",
                    "SELECT t FROM converted",
                    real,
                )? {
                    Value::Text(told) => text(String::from_utf8_lossy(&told).into_owned()),
                    other => Applied::Other(other),
                }
            }
            (Affinity::Text | Affinity::None, _) => Applied::Same,
            (_, ValueRef::Text(bytes)) => self.number(&encoding.to_sqlites_utf8(bytes))?,
            (_, ValueRef::Spilled(long)) if long.class == LongClass::Text => Applied::Unknown,
            _ => Applied::Same,
        })
    }

    /// The number that a text in UTF-8 is, if it is one.
    fn number(&self, text: &[u8]) -> Result<Applied, TargetError> {
        let may_begin = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.');
        let is_space = |byte: &&u8| matches!(byte, b' ' | 0x09..=0x0d);
        if !text
            .iter()
            .find(|byte| !is_space(byte))
            .is_some_and(may_begin)
        {
            return Ok(Applied::Same);
        }
        if text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
            let digits = text.iter().map(|digit| i64::from(digit - b'0'));
            let number = digits.fold(0, |number, digit| number * 10 + digit);
            return Ok(Applied::Other(Value::Integer(number)));
        }
        let (set, get) = ("UPDATE converted SET n = ?1", "SELECT n FROM converted");
        Ok(match self.convert(set, get, ValueRef::Text(text))? {
            Value::Text(_) => Applied::Same,
            number => Applied::Other(number),
        })
    }

    fn convert(
        &self,
        set: &'static str,
        get: &'static str,
        value: ValueRef<'_>,
    ) -> Result<Value, TargetError> {
        let mut converted = Value::Null;
        let mut run = || {
            let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
            db.for_each_cached(set, &[value], |_| Ok(()))?;
            db.for_each_cached(get, &[], |row| {
                converted = row.value(0)?.to_owned();
                Ok(())
            })
        };
        run().map_err(failed)?;
        Ok(converted)
    }
}

fn failed(error: SqliteError) -> TargetError {
    TargetError::of(Path::new("(in memory)"), "conversion of values", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a column of each affinity. Looking up gives all numeric columns that of NUMERIC: an
    /// integer is not rounded to be found among reals (`sqlite3IndexAffinityStr`).
    #[test]
    fn values_become_what_sqlite_makes_of_them() {
        let affine = Affine::new().unwrap();
        let values = [
            "1",
            "-1",
            "1.0",
            "1.5",
            "1e300",
            "-0.0",
            "9e999",
            "'1'",
            "'007'",
            "' 1 '",
            "'1e3'",
            "'1.50'",
            "'.5'",
            "'-'",
            "'0x10'",
            "'abc'",
            "''",
            "x'31'",
            "'9223372036854775808'",
            "'123456789012345678'",
            "'1' || char(0)",
            "0.1",
            "123456789.123456789",
            "9007199254740993",
            "' '",
        ];
        for sql in values {
            for (declared, affinity) in [
                ("NUMERIC", Affinity::Numeric),
                ("NUMERIC", Affinity::Integer),
                ("NUMERIC", Affinity::Real),
                ("TEXT", Affinity::Text),
                ("BLOB", Affinity::None),
            ] {
                let db = Connection::open_memory().unwrap();
                db.execute(&format!("CREATE TABLE t(a {declared})"))
                    .unwrap();
                db.execute(&format!("INSERT INTO t VALUES({sql})")).unwrap();
                let value = db.value(&format!("SELECT {sql}")).unwrap();
                let stored = db.value("SELECT a FROM t").unwrap();
                let applied = affine
                    .apply(affinity, value.as_ref(), TextEncoding::Utf8)
                    .unwrap();
                let applied = match applied {
                    Applied::Same => value,
                    Applied::Other(other) => other,
                    Applied::Unknown => panic!("{sql}"),
                };
                let form = |value: &Value| {
                    let mut form = Vec::new();
                    crate::model::equal_form::append_equal_form(
                        value.as_ref(),
                        &crate::model::row::Collation::Binary,
                        TextEncoding::Utf8,
                        &mut form,
                    );
                    form
                };
                assert_eq!(
                    form(&applied),
                    form(&stored),
                    "{sql} in {declared}: {applied:?} {stored:?}"
                );
            }
        }
    }
}
