//! One entity's records: the ancestor's document, JSON lines, or CSV. Memory: one leaf.
//!
//! A record has the table's columns in their order, stored generated ones included; the rowid
//! stands where its column is. Virtual generated columns are no part of it. Nor is a rowid that is
//! no column, but for documents: there it is told where it is not the one before plus 1.

use std::io::Write;

use super::WriteError;
use super::json::{self, Layout, Values};
use crate::model::exported::{DOCUMENT_VERSION, rowid_field};
use crate::model::row::RowRef;
use crate::model::schema::{Table, TableKind};
use crate::model::value::ValueRef;
use crate::tree::cursor::Cursor;
use crate::tree::{Root, TreeShape};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordForm {
    /// One JSON document: version, entity type, records; indented by 2, no newline at its end.
    Document,
    /// One JSON object a line.
    Lines,
    /// Comma-separated, names first.
    Csv,
}

/// A column of a record.
struct Field {
    name: String,
    /// The name as a JSON string.
    json_name: Vec<u8>,
    /// Position among the leaf columns; `None`: the rowid.
    at: Option<usize>,
}

fn fields_of(table: &Table) -> Result<Vec<Field>, WriteError> {
    let alias = table.rowid_alias();
    let leaf_columns: Vec<usize> = table.leaf_columns().collect();
    let mut fields = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        let place = leaf_columns.binary_search(&at).ok();
        if place.is_some() || alias == Some(at) {
            let mut json_name = Vec::new();
            json::string(&mut json_name, &column.name)?;
            fields.push(Field {
                name: column.name.clone(),
                json_name,
                at: place,
            });
        }
    }
    Ok(fields)
}

fn value_of<'a>(field: &Field, row: RowRef<'a>) -> ValueRef<'a> {
    match field.at {
        Some(at) => row.values[at],
        None => row.rowid.map_or(ValueRef::Null, ValueRef::Integer),
    }
}

/// Most bytes that stand around the values of one record of a document.
pub(super) fn record_overhead(table: &Table) -> u64 {
    // An escape makes six bytes of one; `"$encoding": "UTF-16le"` on a line of its own is the rest,
    // and the rowid's field.
    let name = |name: &str| 6 * name.len() as u64 + 100;
    table
        .columns
        .iter()
        .map(|column| name(&column.name))
        .sum::<u64>()
        + 200
}

/// Tells rowids that are no column, where a reader would not guess them.
struct HiddenRowids {
    /// The field's name as a JSON string.
    field: Vec<u8>,
    /// What a reader takes the next record's rowid for.
    expected: Option<i64>,
}

impl HiddenRowids {
    /// `None` for tables that have none, or where a column is the rowid.
    fn of(table: &Table) -> Result<Option<Self>, WriteError> {
        if !matches!(table.kind, TableKind::Rowid { alias: None, .. }) {
            return Ok(None);
        }
        let mut field = Vec::new();
        json::string(&mut field, &rowid_field(table))?;
        Ok(Some(Self {
            field,
            expected: Some(1),
        }))
    }

    /// The rowid of the next record, if it has to be told.
    fn next(&mut self, rowid: Option<i64>) -> Option<i64> {
        let told = rowid.filter(|rowid| self.expected != Some(*rowid));
        self.expected = rowid.and_then(|rowid| rowid.checked_add(1));
        told
    }
}

/// Writes all records of a tree. Stops between two leaves, or within a large value, if cancelled.
pub(super) fn write_records(
    table: &Table,
    root: Option<&Root>,
    form: RecordForm,
    values: &mut Values<'_>,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    let fields = fields_of(table)?;
    begin(table, &fields, form, out)?;
    let shape = TreeShape::of(table, values.encoding);
    let mut cursor = Cursor::new(values.source, &shape, root);
    let mut hidden = match form {
        RecordForm::Document => HiddenRowids::of(table)?,
        RecordForm::Lines | RecordForm::Csv => None,
    };
    let mut is_first = true;
    while let Some(leaf) = cursor.next_leaf()? {
        if values.progress.cancelled() {
            return Err(WriteError::Cancelled);
        }
        leaf.for_each(|row| {
            if form == RecordForm::Document {
                if !std::mem::replace(&mut is_first, false) {
                    out.write_all(b",")?;
                }
                RECORD_LAYOUT.line(out)?;
            }
            record(&fields, row, form, hidden.as_mut(), values, out)
        })?;
        values.progress.advance(leaf.leaf.rows() as u64);
    }
    if form == RecordForm::Document {
        if !is_first {
            Layout::Indented { depth: 1 }.line(out)?;
        }
        out.write_all(b"]\n}")?;
    }
    Ok(())
}

/// Where the records of a document stand.
const RECORD_LAYOUT: Layout = Layout::Indented { depth: 2 };

fn begin(
    table: &Table,
    fields: &[Field],
    form: RecordForm,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    match form {
        RecordForm::Document => {
            write!(out, "{{\n  \"version\": \"{DOCUMENT_VERSION}\",\n")?;
            out.write_all(b"  \"entity_type\": ")?;
            json::string(out, &table.name)?;
            out.write_all(b",\n  \"records\": [")?;
        }
        RecordForm::Lines => {}
        RecordForm::Csv => {
            for (at, field) in fields.iter().enumerate() {
                out.write_all(if at > 0 { b"," } else { b"" })?;
                super::csv::field(out, &field.name)?;
            }
            out.write_all(b"\r\n")?;
        }
    }
    Ok(())
}

fn record(
    fields: &[Field],
    row: RowRef<'_>,
    form: RecordForm,
    hidden: Option<&mut HiddenRowids>,
    values: &mut Values<'_>,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    match form {
        RecordForm::Document => {
            let rowid = hidden.and_then(|h| Some((h.next(row.rowid)?, h.field.as_slice())));
            object(fields, row, rowid, RECORD_LAYOUT, values, out)?;
        }
        RecordForm::Lines => {
            object(fields, row, None, Layout::Compact, values, out)?;
            out.write_all(b"\n")?;
        }
        RecordForm::Csv => {
            if let [only] = fields
                && value_of(only, row) == ValueRef::Null
            {
                out.write_all(b"\"\"")?;
            }
            for (at, field) in fields.iter().enumerate() {
                out.write_all(if at > 0 { b"," } else { b"" })?;
                values.csv(value_of(field, row), out)?;
            }
            out.write_all(b"\r\n")?;
        }
    }
    Ok(())
}

fn object(
    fields: &[Field],
    row: RowRef<'_>,
    rowid: Option<(i64, &[u8])>,
    layout: Layout,
    values: &mut Values<'_>,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    let inner = layout.inner();
    out.write_all(b"{")?;
    if let Some((rowid, field)) = rowid {
        inner.line(out)?;
        out.write_all(field)?;
        write!(out, "{}{rowid}", layout.colon())?;
    }
    for (at, field) in fields.iter().enumerate() {
        out.write_all(if at > 0 || rowid.is_some() { b"," } else { b"" })?;
        inner.line(out)?;
        out.write_all(&field.json_name)?;
        out.write_all(layout.colon().as_bytes())?;
        values.json(value_of(field, row), inner, out)?;
    }
    if !fields.is_empty() || rowid.is_some() {
        layout.line(out)?;
    }
    Ok(out.write_all(b"}")?)
}

#[cfg(test)]
mod tests;
