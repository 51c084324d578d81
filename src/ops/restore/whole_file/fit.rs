//! Whether all of a database can be replaced, and what else than rows goes and comes with it.

use std::path::Path;

use super::sight::Sight;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Settings, Table, TableKind};
use crate::ops::restore::Made;
use crate::progress::Finding;
use crate::target::{TargetError, full_texts_over};

/// Refuses a database whose pages are of another form.
///
/// Page size: SQLite does not change it in WAL mode, nor under those who have the database open. Encoding: a
/// connection keeps the one that it began with, and would refuse to go on. A database without a page has neither.
pub(super) fn ensure_same_form(
    sight: &Sight,
    saved: &Settings,
    path: &Path,
) -> Result<(), TargetError> {
    let now = &sight.view.settings;
    let differs = |what, live: String, stored: String| match live == stored {
        true => Ok(()),
        false => Err(TargetError::OtherForm {
            path: path.to_owned(),
            what,
            live,
            stored,
        }),
    };
    if sight.bytes == 0 {
        return Ok(());
    }
    let size = |settings: &Settings| settings.page_size.to_string();
    differs("page size", size(now), size(saved))?;
    let encoding = |settings: &Settings| settings.encoding.name().to_owned();
    differs("text encoding", encoding(now), encoding(saved))
}

/// What else than rows goes and comes.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// Objects that the database lacks.
    pub made: Vec<Made>,
    /// Tables that undo would not bring back as they were: they are defined in another way, or virtual, with
    /// content of their own.
    pub beyond_undo: Vec<String>,
    /// What goes.
    pub findings: Vec<Finding>,
}

impl Fit {
    /// Compares the database with what takes its place.
    ///
    /// Errors: `LosesTables`: nobody said what is to become of them.
    pub(super) fn of(live: &Schema, stored: &Schema, path: &Path) -> Result<Self, TargetError> {
        let lost: Vec<String> = live
            .tables
            .iter()
            // What stands behind a virtual table goes with it.
            .filter(|table| !table.is_internal() && stored.table(&table.name).is_none())
            .map(|table| table.name.clone())
            .collect();
        if !lost.is_empty() {
            return Err(TargetError::LosesTables {
                path: path.to_owned(),
                tables: lost,
            });
        }
        let mut fit = Self {
            beyond_undo: with_own_content(live),
            ..Self::default()
        };
        for object in stored.objects.iter().filter(|o| is_users(o, stored)) {
            if find(live, object).is_none() {
                fit.made.push(Made {
                    kind: object.kind,
                    name: object.name.clone(),
                });
            }
        }
        for object in live.objects.iter().filter(|o| is_users(o, live)) {
            match find(stored, object) {
                None => fit.goes(object, "the snapshot lacks it: it goes"),
                Some(other) if other.sql == object.sql => {}
                Some(_) if object.kind == ObjectKind::Table => fit.table(live, stored, object),
                Some(_) => fit.goes(object, "its text becomes that of the snapshot"),
            }
        }
        Ok(fit)
    }

    fn goes(&mut self, object: &SchemaObject, what: &str) {
        let kind = match object.kind {
            ObjectKind::Table => "table",
            ObjectKind::Index => "index",
            ObjectKind::View => "view",
            ObjectKind::Trigger => "trigger",
        };
        let subject = format!("{kind} {}", object.name);
        self.findings.push(Finding::note(subject, what));
    }

    /// A table that is defined in another way.
    fn table(&mut self, live: &Schema, stored: &Schema, object: &SchemaObject) {
        let (Some(now), Some(then)) = (live.table(&object.name), stored.table(&object.name)) else {
            return;
        };
        self.beyond_undo.push(object.name.clone());
        let columns = now.columns.iter().map(|column| column.name.as_str());
        let gone: Vec<&str> = columns.filter(|name| !has_column(then, name)).collect();
        let text = match gone[..] {
            [] => "its definition becomes that of the snapshot".to_owned(),
            _ => format!("columns that the snapshot lacks go: {}", gone.join(", ")),
        };
        self.goes(object, &text);
    }
}

/// Virtual tables whose content is not that of other tables.
fn with_own_content(live: &Schema) -> Vec<String> {
    let all: Vec<String> = live.tables.iter().map(|t| t.name.clone()).collect();
    let anew = full_texts_over(live, &all);
    let tables = live.tables.iter();
    let virtual_ones = tables.filter(|table| table.kind == TableKind::Virtual);
    let names = virtual_ones.map(|table| table.name.clone());
    names.filter(|name| !anew.contains(name)).collect()
}

fn has_column(table: &Table, name: &str) -> bool {
    table.column_at(name).is_some()
}

/// Made by somebody, not by SQLite, nor for what stands behind a virtual table.
fn is_users(object: &SchemaObject, schema: &Schema) -> bool {
    let is_sqlites = object.name.to_ascii_lowercase().starts_with("sqlite_");
    let is_shadow = schema
        .table(&object.table)
        .is_some_and(|table| table.shadow);
    object.sql.is_some() && !is_sqlites && !is_shadow
}

fn find<'s>(schema: &'s Schema, object: &SchemaObject) -> Option<&'s SchemaObject> {
    let mut others = schema.objects.iter();
    others.find(|o| o.kind == object.kind && o.name.eq_ignore_ascii_case(&object.name))
}
