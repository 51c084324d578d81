//! What differs between two states, for programs: a line for each row, and a summary.

use std::io::Write as _;

use serde_json::json;

use super::Document;
use crate::model::schema::ObjectKind;
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::ops::diff::{Change, DiffOutcome, DiffRow, Matched, StateName, TableDiff};
use crate::ops::export::value_line;

fn change_word(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Removed => "removed",
    }
}

/// A row, as a line. Values are written as exports have them.
pub fn row(table: &str, row: &DiffRow<'_>) -> Vec<u8> {
    let (before, after) = row.encodings;
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"message_type\":\"row\",\"table\":");
    out.extend_from_slice(string(table).as_bytes());
    // A vector takes all that is written to it.
    let _ = write!(out, ",\"change\":\"{}\",\"key\":", change_word(row.change));
    let key = row.key.iter().map(|(name, value)| (*name, *value));
    let key_encoding = match row.change {
        Change::Added => after,
        Change::Changed | Change::Removed => before,
    };
    object(&mut out, (!row.key.is_empty()).then_some(key), key_encoding);
    out.extend_from_slice(b",\"before\":");
    let was = row
        .cells
        .iter()
        .filter_map(|cell| Some((cell.column, cell.before?)));
    object(
        &mut out,
        (row.change != Change::Added).then_some(was),
        before,
    );
    out.extend_from_slice(b",\"after\":");
    let is = row
        .cells
        .iter()
        .filter_map(|cell| Some((cell.column, cell.after?)));
    object(
        &mut out,
        (row.change != Change::Removed).then_some(is),
        after,
    );
    out.extend_from_slice(b"}\n");
    out
}

fn object<'a>(
    out: &mut Vec<u8>,
    members: Option<impl Iterator<Item = (&'a str, ValueRef<'a>)>>,
    encoding: TextEncoding,
) {
    let Some(members) = members else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(string(name).as_bytes());
        out.push(b':');
        let _ = value_line(value, encoding, out);
    }
    out.push(b'}');
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The last line.
pub fn summary(outcome: &DiffOutcome) -> Document {
    let objects = outcome.objects.iter().map(|object| {
        json!({
            "kind": kind_word(object.kind), "name": object.name,
            "change": change_word(object.change),
        })
    });
    let settings = outcome.settings.iter().map(
        |setting| json!({ "name": setting.name, "before": setting.before, "after": setting.after }),
    );
    json!({
        "message_type": "summary",
        "before": state(&outcome.before),
        "after": state(&outcome.after),
        "differs": outcome.differs(),
        "tables": outcome.tables.iter().map(table).collect::<Vec<_>>(),
        "objects": objects.collect::<Vec<_>>(),
        "settings": settings.collect::<Vec<_>>(),
        "internal": outcome.internal,
        "absent": outcome.absent.iter().map(|(table, key)| json!({ "table": table, "key": key })).collect::<Vec<_>>(),
    })
}

fn state(name: &StateName) -> Document {
    json!({ "name": name.name, "id": name.id, "time": name.time })
}

fn table(table: &TableDiff) -> Document {
    json!({
        "table": table.table,
        "only_in": table.only_in.map(|side| match side {
            Change::Removed => "before",
            Change::Added | Change::Changed => "after",
        }),
        "added": table.changes.added,
        "changed": table.changes.changed,
        "removed": table.changes.removed,
        "matched": table.matched.map(|matched| match matched {
            Matched::ByKey => "key",
            Matched::ByContentAndKey => "content_and_key",
            Matched::ByContent => "content",
            Matched::InParts => "content_in_parts",
            Matched::NotAtAll => "nothing",
        }),
        "columns_added": table.columns_added,
        "columns_dropped": table.columns_dropped,
    })
}

pub(in crate::cli::render) fn kind_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "table",
        ObjectKind::Index => "index",
        ObjectKind::View => "view",
        ObjectKind::Trigger => "trigger",
    }
}
