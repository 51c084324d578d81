//! What differs in two schemas, and in settings that no record holds.

use super::tables::DatabaseState;
use super::{Change, ObjectDiff, SettingDiff};
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings};
use crate::progress::Finding;

/// Objects that one schema lacks, or whose texts differ. Tables that only one has are not among
/// them, except virtual ones: their rows say so.
pub(super) fn objects(before: &Schema, after: &Schema) -> Vec<ObjectDiff> {
    let mut found = Vec::new();
    let mut add = |object: &SchemaObject, change| {
        found.push(ObjectDiff {
            kind: object.kind,
            name: object.name.clone(),
            change,
        });
    };
    for old in told(before) {
        match counterpart(after, old) {
            Some(new) if new.sql != old.sql => add(new, Change::Changed),
            None if has_no_rows(old) => add(old, Change::Removed),
            _ => {}
        }
    }
    for new in told(after) {
        if counterpart(before, new).is_none() && has_no_rows(new) {
            add(new, Change::Added);
        }
    }
    found.sort_by_key(|object| (object.kind, object.name.to_ascii_lowercase()));
    found
}

/// Objects that people make: not SQLite's own tables, nor those behind virtual tables.
fn told(schema: &Schema) -> impl Iterator<Item = &SchemaObject> {
    schema.objects.iter().filter(|object| {
        let of_table = schema.table(&object.table);
        of_table.is_none_or(|table| !table.is_internal())
    })
}

fn has_no_rows(object: &SchemaObject) -> bool {
    object.kind != ObjectKind::Table || object.is_virtual()
}

fn counterpart<'s>(schema: &'s Schema, object: &SchemaObject) -> Option<&'s SchemaObject> {
    schema
        .objects
        .iter()
        .find(|other| other.kind == object.kind && other.name.eq_ignore_ascii_case(&object.name))
}

/// Settings that applications go by. Those of the file alone (page size, journal) are none.
pub(super) fn settings(before: &Settings, after: &Settings) -> Vec<SettingDiff> {
    let pairs = [
        (
            "user_version",
            before.user_version.to_string(),
            after.user_version.to_string(),
        ),
        (
            "application_id",
            before.application_id.to_string(),
            after.application_id.to_string(),
        ),
        (
            "encoding",
            before.encoding.name().to_owned(),
            after.encoding.name().to_owned(),
        ),
    ];
    let differ = pairs
        .into_iter()
        .filter(|(_, before, after)| before != after);
    differ
        .map(|(name, before, after)| SettingDiff {
            name,
            before,
            after,
        })
        .collect()
}

/// Where texts are written in two ways, none is equal.
pub(super) fn other_encoding(before: &DatabaseState, after: &DatabaseState) -> Option<Finding> {
    let (a, b) = (before.settings.encoding, after.settings.encoding);
    (a != b).then(|| {
        let (a, b) = (a.name(), b.name());
        let text =
            format!("its texts are {b}, and those it is compared with {a}: all texts differ");
        Finding::note(after.name.name.clone(), text)
    })
}
