//! What a restore of a whole database took away beside rows: indexes, views and triggers that it lacks, and numbers of
//! the header. They come back; of what cannot that is said.

use super::Restored;
use super::objects::{Made, has};
use crate::error::Error;
use crate::format::manifest::{Entity, Manifest};
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings, Table, TableKind};
use crate::progress::Finding;
use crate::target::{Header, LiveView, full_texts_over};

/// What went, and is no other by now.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// What is made again, in this order.
    objects: Vec<SchemaObject>,
    /// Numbers that are set back.
    numbers: Vec<(Header, i32)>,
    /// What does not come back.
    pub findings: Vec<Finding>,
}

impl Gone {
    /// Finds it. `made`: objects that are dropped leave their names.
    pub(super) fn of(restored: &Restored<'_>, view: &LiveView, made: &Made) -> Self {
        let mut gone = Self::default();
        let was = restored.before_schema.objects.iter();
        for object in was.filter(|object| comes_back(object)) {
            if has(restored.after_schema, object) || has(&view.schema, object) {
                continue;
            }
            match made.keeps_name(&view.schema, object) {
                true => {
                    let text = "what stands there now stays; what it was is in the snapshot before";
                    gone.findings.push(Finding::note(&object.name, text));
                }
                false => gone.objects.push(object.clone()),
            }
        }
        gone.numbers = numbers(restored, &view.settings);
        gone.findings.extend(definitions(restored, view));
        gone.findings.extend(contents(restored, view));
        gone
    }

    /// Names of what comes back.
    pub(super) fn names(&self) -> Vec<String> {
        let numbers = self.numbers.iter().map(|(header, _)| name(*header));
        let objects = self.objects.iter().map(|object| object.name.clone());
        objects.chain(numbers.map(str::to_owned)).collect()
    }

    /// Makes it again. Gives what the database refused.
    pub(super) fn put_back(&self, restored: &Restored<'_>) -> Result<Vec<Finding>, Error> {
        let mut refused = Vec::new();
        for object in &self.objects {
            if let Some(what) = restored.live.create(object)? {
                let text = format!("it cannot be made again: {what}");
                refused.push(Finding::warning(&object.name, text));
            }
        }
        for (header, number) in &self.numbers {
            restored.live.set_header(*header, *number)?;
        }
        Ok(refused)
    }
}

/// Tables hold rows: they are matters of the plan.
fn comes_back(object: &SchemaObject) -> bool {
    object.kind != ObjectKind::Table && object.sql.is_some()
}

fn name(header: Header) -> &'static str {
    match header {
        Header::UserVersion => "user_version",
        Header::ApplicationId => "application_id",
    }
}

/// Numbers that the restore changed, and nobody since.
fn numbers(restored: &Restored<'_>, now: &Settings) -> Vec<(Header, i32)> {
    let (was, made) = (&restored.before.settings, &restored.after.settings);
    let mut numbers = Vec::new();
    for (header, was, made, now) in [
        (
            Header::UserVersion,
            was.user_version,
            made.user_version,
            now.user_version,
        ),
        (
            Header::ApplicationId,
            was.application_id,
            made.application_id,
            now.application_id,
        ),
    ] {
        if was != made && made == now {
            numbers.push((header, was));
        }
    }
    numbers
}

/// Tables that the restore defined in another way: what they are now stays.
fn definitions(restored: &Restored<'_>, view: &LiveView) -> Vec<Finding> {
    let was = restored.before_schema.objects.iter();
    let tables = was.filter(|object| object.kind == ObjectKind::Table && object.sql.is_some());
    let is_other = |object: &&SchemaObject| {
        let stands = restored.after_schema.table(&object.name).is_some();
        stands && !has(restored.after_schema, object) && !has(&view.schema, object)
    };
    let said = |object: &SchemaObject| {
        let text =
            "its definition stays as the restore made it; what it was is in the snapshot before";
        Finding::warning(&object.name, text)
    };
    tables.filter(is_other).map(said).collect()
}

/// Virtual tables whose content is another: nobody writes what stands behind them, row by row.
fn contents(restored: &Restored<'_>, view: &LiveView) -> Vec<Finding> {
    let names: Vec<String> = view.schema.tables.iter().map(|t| t.name.clone()).collect();
    let anew = full_texts_over(&view.schema, &names);
    let is_there = |table: &&Table| view.schema.table(&table.name).is_some();
    let tables = restored.before_schema.tables.iter().filter(is_there);
    let tables = tables.filter(|table| table.kind == TableKind::Virtual);
    tables
        .filter(|table| !anew.contains(&table.name) && differs(restored, &table.name))
        .map(|table| {
            let text = "its content is not taken back: it is in the snapshot before the restore";
            Finding::warning(&table.name, text)
        })
        .collect()
}

/// True if what stands behind a virtual table is not the same before and after.
fn differs(restored: &Restored<'_>, name: &str) -> bool {
    let schema: &Schema = restored.before_schema;
    let prefix = format!("{name}_").to_ascii_lowercase();
    let shadows = schema.tables.iter().filter(|table| table.shadow);
    let mut shadows = shadows.filter(|table| table.name.to_ascii_lowercase().starts_with(&prefix));
    let root = |manifest: &Manifest, shadow: &str| {
        let mut internal = manifest.internal.iter();
        let found = internal.find(|entity: &&Entity| entity.entity == shadow);
        found.map(|entity| entity.root)
    };
    shadows.any(|table| root(restored.before, &table.name) != root(restored.after, &table.name))
}
