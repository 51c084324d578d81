//! What is asked of a snapshot's records: its constraints, the keys they need, and what of them is not
//! asked, each with the reason.

use super::keys::{KeyForm, KeyPart};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::fit::{Affinity, Fit};
use crate::model::row::Collation;
use crate::model::schema::{
    ColumnKind, ForeignKey, KeyColumn, ObjectKind, Schema, Table, TableKind, Words,
};
use crate::ops::validate::NotAudited;
use crate::target::parent_columns;
use crate::tree::diff::Field;

/// Keys of a table that are looked at.
const FORMS_MAX: usize = 500;

/// A constraint that two records may break together.
pub(super) struct Unique {
    pub label: String,
    pub form: usize,
}

/// A foreign key.
pub(super) struct Reference {
    pub id: u32,
    pub label: String,
    pub form: usize,
    /// Its parent, by its place in [`Plan::tables`], and the form of the keys there; `None`: no such
    /// table, so that every reference is without a target.
    pub parent: Option<(usize, usize)>,
}

/// What is asked of a table.
pub(super) struct TablePlan<'s> {
    pub table: &'s Table,
    pub forms: Vec<KeyForm>,
    pub uniques: Vec<Unique>,
    pub references: Vec<Reference>,
    /// Some of its columns refuse values.
    pub refuses: bool,
}

/// What is asked of a snapshot.
pub(super) struct Plan<'s> {
    pub tables: Vec<TablePlan<'s>>,
    pub not_audited: Vec<NotAudited>,
}

impl TablePlan<'_> {
    /// True if its records need not be looked at.
    pub fn is_idle(&self) -> bool {
        self.forms.is_empty() && !self.refuses
    }

    /// Number of constraints.
    pub fn constraints(&self) -> u64 {
        (self.uniques.len() + self.references.len() + usize::from(self.refuses)) as u64
    }

    fn form(&mut self, form: KeyForm) -> usize {
        let known = self.forms.iter().position(|other| *other == form);
        known.unwrap_or_else(|| {
            self.forms.push(form);
            self.forms.len() - 1
        })
    }
}

impl<'s> Plan<'s> {
    pub fn new(manifest: &Manifest, schema: &'s Schema) -> Result<Self, Error> {
        let stored = |table: &&Table| {
            table.kind != TableKind::Virtual
                && !table.is_internal()
                && manifest.entity(&table.name).is_some()
        };
        let tables = schema.tables.iter().filter(stored);
        let mut plan = Self {
            tables: tables
                .map(|table| TablePlan {
                    table,
                    forms: Vec::new(),
                    uniques: Vec::new(),
                    references: Vec::new(),
                    refuses: !Fit::of(table, schema.encoding).takes_all(),
                })
                .collect(),
            not_audited: Vec::new(),
        };
        for at in 0..plan.tables.len() {
            plan.generated(at);
            plan.uniques(at, schema);
            plan.references(at, manifest, schema)?;
        }
        for at in 0..plan.tables.len() {
            plan.bound(at);
        }
        Ok(plan)
    }

    /// Keys take memory while they are read.
    fn bound(&mut self, at: usize) {
        let plan = &mut self.tables[at];
        if plan.forms.len() > FORMS_MAX {
            (plan.forms, plan.uniques, plan.references) = (Vec::new(), Vec::new(), Vec::new());
            let parent = plan.table.name.clone();
            self.leave_out(&parent, "keys".to_owned(), "there are too many of them");
            for child in 0..self.tables.len() {
                let refers = |r: &mut Reference| r.parent.is_some_and(|(parent, _)| parent == at);
                let references = &mut self.tables[child].references;
                let cut: Vec<Reference> = references.extract_if(.., refers).collect();
                let table = self.tables[child].table.name.clone();
                for reference in cut {
                    let reason = format!("{parent} has too many keys");
                    self.leave_out(&table, reference.label, reason);
                }
            }
        }
    }

    fn leave_out(&mut self, table: &str, constraint: String, reason: impl Into<String>) {
        self.not_audited.push(NotAudited {
            table: table.to_owned(),
            constraint,
            reason: reason.into(),
        });
    }

    /// What a column that is computed holds depends on functions.
    fn generated(&mut self, at: usize) {
        let table = self.tables[at].table;
        for column in &table.columns {
            if column.not_null && column.kind != ColumnKind::Ordinary {
                let label = format!("NOT NULL {}", column.name);
                self.leave_out(&table.name, label, "its column is computed");
            }
        }
    }

    fn uniques(&mut self, at: usize, schema: &Schema) {
        let table = self.tables[at].table;
        // Where the tree is in the order of the primary key, no key is there twice.
        let in_order = match table.kind {
            TableKind::WithoutRowid => table.unknown_collations().next().is_none(),
            _ => table.rowid_alias().is_some(),
        };
        let primary = (!in_order && !table.primary_key.is_empty())
            .then_some(("PRIMARY KEY", &table.primary_key));
        let others = table.unique_keys.iter().map(|key| ("UNIQUE", &key.columns));
        for (kind, columns) in primary.into_iter().chain(others) {
            let label = format!("{kind} ({})", names(table, columns));
            match form_of(table, columns) {
                Ok(form) => {
                    let form = self.tables[at].form(form);
                    let uniques = &mut self.tables[at].uniques;
                    if !uniques.iter().any(|unique| unique.label == label) {
                        uniques.push(Unique { label, form });
                    }
                }
                Err(reason) => self.leave_out(&table.name, label, reason),
            }
        }
        for index in schema.objects_of(ObjectKind::Index) {
            let is_listed = table.unique_keys.iter().any(|key| key.index == index.name);
            let of_table = index.table.eq_ignore_ascii_case(&table.name);
            if of_table && !is_listed && index.sql.as_deref().is_some_and(is_unique) {
                let label = format!("UNIQUE INDEX {}", index.name);
                let reason = "it is of some records only, or of an expression";
                self.leave_out(&table.name, label, reason);
            }
        }
    }

    fn references(&mut self, at: usize, manifest: &Manifest, schema: &Schema) -> Result<(), Error> {
        let table = self.tables[at].table;
        let mut verdicts = manifest.foreign_keys.iter();
        let unchecked = verdicts.find(|v| v.table == table.name && v.unchecked.is_some());
        for key in &table.foreign_keys {
            let children: Vec<&str> = key
                .columns
                .iter()
                .map(|(child, _)| child.as_str())
                .collect();
            let label = format!("FOREIGN KEY ({}) → {}", children.join(", "), key.parent);
            let planned = match unchecked.and_then(|verdict| verdict.unchecked.as_ref()) {
                Some(reason) => Err(format!("not checked at backup time either: {reason}")),
                None => self.reference(at, key, schema)?,
            };
            match planned {
                Ok((form, parent)) => self.tables[at].references.push(Reference {
                    id: key.id,
                    label,
                    form,
                    parent,
                }),
                Err(reason) => self.leave_out(&table.name, label, reason),
            }
        }
        Ok(())
    }

    #[expect(
        clippy::type_complexity,
        reason = "the two ends of a reference, or why not"
    )]
    fn reference(
        &mut self,
        at: usize,
        key: &ForeignKey,
        schema: &Schema,
    ) -> Result<Result<(usize, Option<(usize, usize)>), String>, Error> {
        let table = self.tables[at].table;
        let mut fields = Vec::new();
        for (child, _) in &key.columns {
            match table
                .column_at(child)
                .and_then(|column| Field::of_column(table, column))
            {
                Some(field) => fields.push(field),
                None => return Ok(Err(format!("{child} is computed"))),
            }
        }
        let Some(parent) = schema.table(&key.parent) else {
            let named = |o: &&crate::model::schema::SchemaObject| {
                o.kind == ObjectKind::View && o.name.eq_ignore_ascii_case(&key.parent)
            };
            if schema.objects.iter().any(|object| named(&object)) {
                return Ok(Err(format!("{} is a view", key.parent)));
            }
            let parts = fields.into_iter().map(as_it_is).collect();
            let form = KeyForm { parts };
            return Ok(Ok((self.tables[at].form(form), None)));
        };
        let is_parent = |plan: &TablePlan<'_>| std::ptr::eq(plan.table, parent);
        let Some(parent_at) = self.tables.iter().position(is_parent) else {
            return Ok(Err(format!("{} is not an entity", parent.name)));
        };
        let columns = parent_columns(key, parent, None)?;
        let Some(columns) = columns.filter(|columns| is_one_key(key, parent, columns)) else {
            return Ok(Err(format!(
                "which key of {} it refers to cannot be told",
                parent.name
            )));
        };
        let (mut child_parts, mut parent_parts) = (Vec::new(), Vec::new());
        for (field, (column, collation)) in fields.into_iter().zip(columns) {
            if let Collation::Unknown(name) = &collation {
                return Ok(Err(format!("the collation {name} is not known here")));
            }
            let Some(declared) = parent.columns.get(column) else {
                return Ok(Err(format!("{} lacks a column of its key", parent.name)));
            };
            let Some(parent_field) = Field::of_column(parent, column) else {
                return Ok(Err(format!(
                    "{}.{} is computed",
                    parent.name, declared.name
                )));
            };
            child_parts.push(KeyPart {
                field,
                collation: collation.clone(),
                affinity: Affinity::of(&declared.declared_type, parent.strict),
            });
            parent_parts.push(KeyPart {
                collation,
                ..as_it_is(parent_field)
            });
        }
        let parent_form = self.tables[parent_at].form(KeyForm {
            parts: parent_parts,
        });
        let child_form = self.tables[at].form(KeyForm { parts: child_parts });
        Ok(Ok((child_form, Some((parent_at, parent_form)))))
    }
}

fn as_it_is(field: Field) -> KeyPart {
    KeyPart {
        field,
        collation: Collation::Binary,
        affinity: Affinity::None,
    }
}

/// How the keys of a table's own index are compared, or why that is not known.
fn form_of(table: &Table, columns: &[KeyColumn]) -> Result<KeyForm, String> {
    let part = |key: &KeyColumn| {
        if let Collation::Unknown(name) = &key.collation {
            return Err(format!("the collation {name} is not known here"));
        }
        let column = key.column as usize;
        let name = table.columns.get(column).map_or("?", |column| &column.name);
        let field = Field::of_column(table, column).ok_or_else(|| format!("{name} is computed"))?;
        Ok(KeyPart {
            collation: key.collation.clone(),
            ..as_it_is(field)
        })
    };
    let parts: Result<Vec<KeyPart>, String> = columns.iter().map(part).collect();
    Ok(KeyForm { parts: parts? })
}

/// False where two keys of the parent are over these columns and compare otherwise, or one has a column
/// twice: which of them SQLite takes hangs on what the schema does not say here.
fn is_one_key(key: &ForeignKey, parent: &Table, columns: &[(usize, Collation)]) -> bool {
    if key.columns.iter().all(|(_, column)| column.is_none()) {
        return true;
    }
    let others = parent.unique_keys.iter().map(|key| &key.columns);
    std::iter::once(&parent.primary_key)
        .chain(others)
        .all(|other| {
            let of = |k: &KeyColumn| {
                columns
                    .iter()
                    .find(|(column, _)| *column == k.column as usize)
            };
            let is_over = other.len() == columns.len() && other.iter().all(|k| of(k).is_some());
            let alike =
                |k: &KeyColumn| of(k).is_none_or(|(_, collation)| *collation == k.collation);
            let has = |column: usize| other.iter().any(|k| k.column as usize == column);
            let is_whole = columns.iter().all(|(column, _)| has(*column));
            !is_over || (is_whole && other.iter().all(alike))
        })
}

fn names(table: &Table, columns: &[KeyColumn]) -> String {
    let name = |key: &KeyColumn| {
        table
            .columns
            .get(key.column as usize)
            .map(|c| c.name.as_str())
    };
    let names: Vec<&str> = columns.iter().filter_map(name).collect();
    names.join(", ")
}

/// True for the text of a unique index.
fn is_unique(sql: &str) -> bool {
    let mut words = Words(sql.as_bytes());
    words
        .nth(1)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"unique"))
}
