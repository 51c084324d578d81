//! Which tables and rows were asked for.

use super::DiffOptions;
use super::live::Begun;
use crate::error::{Error, SelectError};
use crate::model::schema::{Table, TableKind};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::ops::select::nearest;

/// What is compared.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Tables, as they are named in a state; empty: all.
    tables: Vec<String>,
    /// Rows of tables, by the parts of their primary key.
    keys: Vec<(String, Vec<String>)>,
}

impl Wanted {
    /// Errors: `Select` for a table that neither state has, and for a key that it cannot have.
    pub(super) fn of(
        options: &DiffOptions,
        before: &Begun<'_>,
        after: &Begun<'_>,
    ) -> Result<Self, Error> {
        let (old, new) = (before.schema(), after.schema());
        let all = || old.tables.iter().chain(&new.tables);
        let table = |name: &String| -> Result<&Table, Error> {
            // The later state's first: it says how keys are written now.
            if let Some(table) = new.table(name).or_else(|| old.table(name)) {
                return match table.kind {
                    TableKind::Virtual => Err(SelectError::Virtual {
                        table: table.name.clone(),
                    }
                    .into()),
                    _ => Ok(table),
                };
            }
            let names = all().filter(|table| !table.is_internal());
            Err(SelectError::NoTable {
                table: name.clone(),
                before: before.name().name.clone(),
                after: after.name().name.clone(),
                nearest: nearest(name, names.map(|table| table.name.as_str())),
            }
            .into())
        };
        let mut wanted = Self {
            tables: Vec::new(),
            keys: Vec::new(),
        };
        for name in &options.tables {
            wanted.tables.push(table(name)?.name.clone());
        }
        for (name, value) in &options.key_values {
            let table = table(name)?;
            wanted.keys.push((table.name.clone(), parts(table, value)?));
            if options.tables.is_empty() {
                wanted.tables.push(table.name.clone());
            }
        }
        Ok(wanted)
    }

    /// True if no table was named.
    pub(super) fn is_all(&self) -> bool {
        self.tables.is_empty()
    }

    /// True if a table was named.
    pub(super) fn names(&self, table: &str) -> bool {
        self.tables
            .iter()
            .any(|name| name.eq_ignore_ascii_case(table))
    }

    /// The keys of a table's rows that are compared; empty: all rows are.
    pub(super) fn keys(&self, table: &str) -> Vec<&[String]> {
        let of_table = self.keys.iter();
        let of_table = of_table.filter(|(name, _)| name.eq_ignore_ascii_case(table));
        of_table.map(|(_, parts)| parts.as_slice()).collect()
    }
}

/// The parts of a key. A key of one column is never divided.
fn parts(table: &Table, value: &str) -> Result<Vec<String>, SelectError> {
    let columns = table.primary_key.len();
    let parts: Vec<String> = match columns {
        1 => vec![value.to_owned()],
        _ => value.split(',').map(str::to_owned).collect(),
    };
    if parts.len() == columns {
        return Ok(parts);
    }
    let names = table.primary_key.iter();
    let names = names.filter_map(|key| table.columns.get(key.column as usize));
    Err(SelectError::BadKey {
        table: table.name.clone(),
        value: value.to_owned(),
        columns: names.map(|column| column.name.clone()).collect(),
    })
}

/// True if a value is written so: numbers by value, texts as they are, blobs as `x'00ff'`.
pub(super) fn is_written(value: ValueRef<'_>, encoding: TextEncoding, word: &str) -> bool {
    match value {
        ValueRef::Integer(v) => word.parse() == Ok(v),
        ValueRef::Real(v) => word.parse::<f64>().is_ok_and(|word| word == v),
        ValueRef::Text(bytes) => encoding.decode(bytes).is_some_and(|text| text == word),
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            word.eq_ignore_ascii_case(&format!("x'{hex}'"))
        }
        ValueRef::Null | ValueRef::Spilled(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_it_is_shown() {
        let is = |value, word| is_written(value, TextEncoding::Utf8, word);
        assert!(is(ValueRef::Integer(-5), "-5") && !is(ValueRef::Integer(5), "5.0"));
        assert!(is(ValueRef::Real(5.0), "5") && is(ValueRef::Real(5.0), "5.0"));
        assert!(is(ValueRef::Text(b"a,b"), "a,b") && !is(ValueRef::Text(b"a"), "A"));
        assert!(is(ValueRef::Blob(&[0, 255]), "X'00FF'"));
        assert!(!is(ValueRef::Null, "NULL") && !is(ValueRef::Text(b"\xff"), "\u{fffd}"));
    }
}
