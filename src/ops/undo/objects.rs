//! Which objects that the restore made are dropped: those that are still what it made, unless something
//! that came since stands on them.

use super::Restored;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Table};
use crate::progress::Finding;
use crate::target::LiveView;

/// Objects that the restore made.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Those that are dropped, in this order. With a table go its indexes and triggers.
    pub dropped: Vec<SchemaObject>,
    /// Names of those that stay.
    pub kept: Vec<String>,
    /// Why they do.
    pub findings: Vec<Finding>,
    /// All of them.
    all: Vec<SchemaObject>,
}

impl Made {
    /// Finds those that are still what the restore made.
    pub(super) fn of(restored: &Restored<'_>, view: &LiveView) -> Self {
        let all: Vec<SchemaObject> = restored
            .after_schema
            .objects
            .iter()
            .filter(|object| {
                let is_sqlites = object.name.to_ascii_lowercase().starts_with("sqlite_");
                // What stands behind a virtual table goes with it.
                let is_shadow = |table: &Table| object.kind == ObjectKind::Table && table.shadow;
                let table = restored.after_schema.table(&object.name);
                !is_sqlites
                    && !table.is_some_and(is_shadow)
                    && object.sql.is_some()
                    && !has(restored.before_schema, object)
            })
            .cloned()
            .collect();
        let mut made = Self::default();
        let is_made_table = |name: &str| {
            let mut tables = all.iter().filter(|o| o.kind == ObjectKind::Table);
            tables.any(|table| table.name.eq_ignore_ascii_case(name))
        };
        // What stands on others goes first.
        for kind in [
            ObjectKind::View,
            ObjectKind::Trigger,
            ObjectKind::Index,
            ObjectKind::Table,
        ] {
            for object in all.iter().filter(|object| object.kind == kind) {
                let goes_along = kind != ObjectKind::Table && is_made_table(&object.table);
                match has(&view.schema, object) {
                    true if goes_along => {}
                    true => made.dropped.push(object.clone()),
                    false => made.keep(&object.name, "it was changed since and stays as it is"),
                }
            }
        }
        made.all = all;
        made
    }

    /// Keeps what others stand on that came since: dropped, it would break them, or take them along.
    pub(super) fn keep_what_is_used(&mut self, restored: &Restored<'_>, view: &LiveView) {
        // What stays may itself stand on something.
        while let Some((at, user)) = self.used(restored, view) {
            let name = self.dropped.remove(at).name;
            self.keep(&name, &format!("{user} uses it and stays: so does it"));
        }
    }

    /// Keeps a table for the rows in it.
    pub(super) fn keep_for_rows(&mut self, name: &str) {
        let at = self
            .dropped
            .iter()
            .position(|object| is_table(object, name));
        if let Some(at) = at {
            self.dropped.remove(at);
            self.keep(name, "it has rows of others now and stays");
        }
    }

    /// True if this table is dropped.
    pub(super) fn drops_table(&self, name: &str) -> bool {
        self.dropped.iter().any(|object| is_table(object, name))
    }

    /// True if something stays in the database that has the name, and kind, of this object.
    pub(super) fn keeps_name(&self, live: &Schema, object: &SchemaObject) -> bool {
        let is_named = |other: &&SchemaObject| {
            other.kind == object.kind && other.name.eq_ignore_ascii_case(&object.name)
        };
        let goes_along = self.drops_table(&object.table);
        live.objects.iter().any(|other| is_named(&other))
            && !self.dropped.iter().any(|dropped| is_named(&dropped))
            && !goes_along
    }

    fn keep(&mut self, name: &str, why: &str) {
        self.kept.push(name.to_owned());
        let text = format!("the restore made it; {why}");
        self.findings.push(Finding::note(name, text));
    }

    /// A table or view that would be dropped though something that stays stands on it.
    fn used(&self, restored: &Restored<'_>, view: &LiveView) -> Option<(usize, String)> {
        let same = |a: &SchemaObject, b: &SchemaObject| {
            a.kind == b.kind && a.name == b.name && a.sql == b.sql
        };
        let is_dropped = |object: &SchemaObject| self.dropped.iter().any(|o| same(o, object));
        // What the restore made for a table goes with it.
        let goes_along = |object: &SchemaObject| {
            self.all.iter().any(|o| same(o, object)) && self.drops_table(&object.table)
        };
        let stays: Vec<&SchemaObject> = view
            .schema
            .objects
            .iter()
            .filter(|object| object.sql.is_some() && !has(restored.before_schema, object))
            .filter(|object| !is_dropped(object) && !goes_along(object))
            .collect();
        for (at, object) in self.dropped.iter().enumerate() {
            if !matches!(object.kind, ObjectKind::Table | ObjectKind::View) {
                continue;
            }
            let stands_on_it = |user: &&&SchemaObject| match user.kind {
                ObjectKind::Index => user.table.eq_ignore_ascii_case(&object.name),
                ObjectKind::Trigger | ObjectKind::View => {
                    user.table.eq_ignore_ascii_case(&object.name)
                        && user.kind == ObjectKind::Trigger
                        || names(user, &object.name)
                }
                ObjectKind::Table => refers_to(&view.schema, &user.name, &object.name),
            };
            if let Some(user) = stays.iter().find(stands_on_it) {
                let kind = match user.kind {
                    ObjectKind::Index => "index",
                    ObjectKind::Trigger => "trigger",
                    ObjectKind::View => "view",
                    ObjectKind::Table => "table",
                };
                return Some((at, format!("{kind} {}", user.name)));
            }
        }
        None
    }
}

fn is_table(object: &SchemaObject, name: &str) -> bool {
    object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(name)
}

/// True if a schema has this very object.
pub(super) fn has(schema: &Schema, object: &SchemaObject) -> bool {
    let mut others = schema.objects.iter();
    others.any(|o| o.kind == object.kind && o.name == object.name && o.sql == object.sql)
}

/// True if the text of a view or trigger may name this: then it counts as if it did.
fn names(object: &SchemaObject, name: &str) -> bool {
    let text = object.sql.as_deref().unwrap_or_default();
    let (text, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(&name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn refers_to(schema: &Schema, table: &str, parent: &str) -> bool {
    let keys = schema.table(table).map(|table| &table.foreign_keys);
    let mut keys = keys.into_iter().flatten();
    !table.eq_ignore_ascii_case(parent) && keys.any(|key| key.parent.eq_ignore_ascii_case(parent))
}
