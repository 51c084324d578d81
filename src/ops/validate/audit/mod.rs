//! The logical audit: what the schema asks of records, asked of the stored ones, and compared with what
//! was found at backup time. Nothing is restored, and nothing is written but a temporary file.
//!
//! FOREIGN KEY: as `foreign_key_check` counts, against the verdicts of the manifest. NOT NULL and the
//! classes of STRICT tables: against what the backup told of values that their columns refuse. UNIQUE
//! and PRIMARY KEY: SQLite lets no two records break them, and a database where it is so is damaged.

mod beside;
mod keys;
mod plan;

use std::collections::HashMap;

use super::{Audited, BrokenConstraint, NotAudited};
use crate::error::Error;
use crate::format::leaf::Leaf;
use crate::format::manifest::{Entity, Manifest};
use crate::model::fit::refused_rows;
use crate::model::row::RowRef;
use crate::model::schema::Schema;
use crate::ops::stored::root_of;
use crate::store::{DigestStore, StoreReader};
use crate::target::Affine;
use crate::tree::TreeShape;
pub(super) use beside::Hand;
use keys::TableKeys;
use plan::Plan;
use plan::{Reference, TablePlan};

/// A table of a source.
type TableName = (String, String);

/// Audits snapshots one after the other.
pub(super) struct Audit {
    digests: DigestStore,
    affine: Affine,
    tables: HashMap<TableName, TableKeys>,
    /// Verdicts on foreign keys, with the versions of child and parent that they are of.
    references: HashMap<(TableName, u32), (u64, u64, Option<u64>)>,
    versions: u64,
}

/// The plan for a snapshot, and the source it is of.
pub(super) struct OfSnapshot<'s> {
    source: String,
    plan: Plan<'s>,
}

/// What is to be read of a table while its tree is checked.
pub(super) enum Reading {
    /// Nothing, or what differs: told afterwards.
    Later,
    /// Every row.
    All(Box<Rows>),
}

/// A table whose rows are taken in as they come.
pub(super) struct Rows {
    keys: TableKeys,
    failed: Option<Error>,
}

impl Rows {
    /// Takes in the rows of a leaf.
    fn leaf(&mut self, first_rowid: Option<i64>, leaf: &Leaf, affine: &Affine) {
        let mut values = Vec::with_capacity(leaf.columns());
        for at in 0..leaf.rows() {
            if self.failed.is_some() {
                return;
            }
            leaf.row_values(at, &mut values);
            let row = RowRef {
                rowid: leaf.rowid(at, first_rowid),
                values: &values,
            };
            self.failed = self.keys.row(row, 1, affine).err();
        }
    }
}

impl Audit {
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            digests: DigestStore::new()?,
            affine: Affine::new()?,
            tables: HashMap::new(),
            references: HashMap::new(),
            versions: 0,
        })
    }

    /// Begins with a snapshot. `None` for one of a damaged source: its verdicts are of what could not be
    /// read, too.
    pub fn of<'s>(
        &self,
        manifest: &Manifest,
        schema: &'s Schema,
    ) -> Result<Option<OfSnapshot<'s>>, Error> {
        if manifest.damaged {
            return Ok(None);
        }
        Ok(Some(OfSnapshot {
            source: format!("{:?}", manifest.source_key()),
            plan: Plan::new(manifest, schema)?,
        }))
    }

    /// Says what is to be read of an entity while its tree is checked.
    pub fn begin(&mut self, of: &OfSnapshot<'_>, entity: &Entity, shape: &TreeShape) -> Reading {
        let Some(plan) = of.table(&entity.entity).filter(|plan| !plan.is_idle()) else {
            return Reading::Later;
        };
        let name = of.name(plan);
        let can_go_on = |known: &TableKeys| {
            let root = root_of(entity);
            known.is_of(plan.table, shape, &plan.forms)
                && (known.has_root(root.as_ref()) || shape.order_is_known())
        };
        if self.tables.get(&name).is_some_and(can_go_on) {
            return Reading::Later;
        }
        self.tables.remove(&name);
        let keys = TableKeys::new(plan.table, shape, plan.forms.clone(), &self.digests);
        Reading::All(Box::new(Rows { keys, failed: None }))
    }

    /// Ends with an entity whose tree was found to be `good` or not.
    pub fn end(
        &mut self,
        of: &OfSnapshot<'_>,
        entity: &Entity,
        reading: Reading,
        good: bool,
        reader: &StoreReader,
    ) -> Result<(), Error> {
        let Some(plan) = of.table(&entity.entity).filter(|plan| !plan.is_idle()) else {
            return Ok(());
        };
        let name = of.name(plan);
        let known = self.tables.remove(&name);
        if !good {
            return Ok(());
        }
        let root = root_of(entity);
        let mut keys = match (reading, known) {
            (Reading::All(rows), _) => match rows.failed {
                Some(error) => return Err(error),
                None => rows.keys,
            },
            (Reading::Later, Some(keys)) if keys.has_root(root.as_ref()) => {
                self.tables.insert(name, keys);
                return Ok(());
            }
            (Reading::Later, Some(mut keys)) => {
                if !keys.go_on_to(root.as_ref(), reader, &self.affine)? {
                    return Ok(());
                }
                keys
            }
            (Reading::Later, None) => return Ok(()),
        };
        self.versions += 1;
        keys.set_root(root, self.versions)?;
        self.tables.insert(name, keys);
        Ok(())
    }

    /// The verdicts on a snapshot all of whose entities were read.
    pub fn verdicts(&mut self, of: OfSnapshot<'_>, manifest: &Manifest) -> Result<Audited, Error> {
        let mut audited = Audited::default();
        for plan in &of.plan.tables {
            if plan.is_idle() {
                continue;
            }
            if !self.tables.contains_key(&of.name(plan)) {
                audited.not_audited.push(NotAudited {
                    table: plan.table.name.clone(),
                    constraint: "all".to_owned(),
                    reason: "its records cannot all be read".to_owned(),
                });
                continue;
            }
            audited.constraints += plan.constraints();
            self.refused(&of, plan, manifest, &mut audited);
            self.uniques(&of, plan, &mut audited)?;
            for reference in &plan.references {
                self.reference(&of, plan, reference, manifest, &mut audited)?;
            }
        }
        audited.not_audited.extend(of.plan.not_audited);
        Ok(audited)
    }

    fn refused(
        &self,
        of: &OfSnapshot<'_>,
        plan: &TablePlan<'_>,
        manifest: &Manifest,
        audited: &mut Audited,
    ) {
        let Some(keys) = self.tables.get(&of.name(plan)).filter(|_| plan.refuses) else {
            return;
        };
        let (found, columns) = keys.refused();
        let constraint = match columns.as_slice() {
            [] if plan.table.strict => "NOT NULL and classes of values".to_owned(),
            [] => "NOT NULL".to_owned(),
            columns => format!("NOT NULL {}", columns.join(", ")),
        };
        audited.compare(
            &plan.table.name,
            &constraint,
            found,
            told(manifest, &plan.table.name),
        );
    }

    fn uniques(
        &mut self,
        of: &OfSnapshot<'_>,
        plan: &TablePlan<'_>,
        audited: &mut Audited,
    ) -> Result<(), Error> {
        for unique in &plan.uniques {
            let Some(keys) = self.tables.get_mut(&of.name(plan)) else {
                continue;
            };
            let found = keys.too_many(unique.form)?;
            audited.compare_known(&plan.table.name, &unique.label, found, Some(0));
        }
        Ok(())
    }

    fn reference(
        &mut self,
        of: &OfSnapshot<'_>,
        plan: &TablePlan<'_>,
        reference: &Reference,
        manifest: &Manifest,
        audited: &mut Audited,
    ) -> Result<(), Error> {
        let Some(child) = self.tables.get(&of.name(plan)) else {
            return Ok(());
        };
        let recorded = manifest.foreign_keys.iter();
        let recorded = recorded
            .filter(|v| v.table == plan.table.name && v.id == reference.id)
            .map(|v| v.violations)
            .sum();
        let found = match reference.parent {
            None => Some(child.with_key(reference.form)),
            Some((parent_at, parent_form)) => {
                let parent_plan = &of.plan.tables[parent_at];
                let Some(parent) = self.tables.get(&of.name(parent_plan)) else {
                    audited.constraints = audited.constraints.saturating_sub(1);
                    audited.not_audited.push(NotAudited {
                        table: plan.table.name.clone(),
                        constraint: reference.label.clone(),
                        reason: format!("{} cannot all be read", parent_plan.table.name),
                    });
                    return Ok(());
                };
                let memo = (of.name(plan), reference.id);
                match self.references.get(&memo) {
                    Some((a, b, found)) if (*a, *b) == (child.version, parent.version) => *found,
                    _ => {
                        let found = child.without_match(reference.form, parent, parent_form)?;
                        let entry = (child.version, parent.version, found);
                        self.references.insert(memo, entry);
                        found
                    }
                }
            }
        };
        audited.compare_known(&plan.table.name, &reference.label, found, Some(recorded));
        Ok(())
    }
}

impl OfSnapshot<'_> {
    fn table(&self, name: &str) -> Option<&TablePlan<'_>> {
        self.plan.tables.iter().find(|plan| plan.table.name == name)
    }

    fn name(&self, plan: &TablePlan<'_>) -> TableName {
        (self.source.clone(), plan.table.name.clone())
    }
}

/// Records with refused values as the backup told of them; `None` where it did not look.
fn told(manifest: &Manifest, table: &str) -> Option<u64> {
    if let Some(restore) = &manifest.restore
        && !restore
            .changed
            .iter()
            .any(|name| name.eq_ignore_ascii_case(table))
    {
        // Such a table may have been taken as the snapshot before has it.
        return None;
    }
    let of_table = manifest.findings.iter().filter(|f| f.subject == table);
    Some(of_table.filter_map(|f| refused_rows(&f.text)).sum())
}

impl Audited {
    fn compare_known(
        &mut self,
        table: &str,
        constraint: &str,
        found: Option<u64>,
        recorded: Option<u64>,
    ) {
        match found {
            Some(found) => self.compare(table, constraint, found, recorded),
            None => {
                self.constraints = self.constraints.saturating_sub(1);
                self.not_audited.push(NotAudited {
                    table: table.to_owned(),
                    constraint: constraint.to_owned(),
                    reason: "a key holds a text over 16 KiB".to_owned(),
                });
            }
        }
    }

    fn compare(&mut self, table: &str, constraint: &str, found: u64, recorded: Option<u64>) {
        if found > 0 || recorded.is_some_and(|recorded| recorded > 0) {
            self.broken.push(BrokenConstraint {
                table: table.to_owned(),
                constraint: constraint.to_owned(),
                found,
                recorded,
            });
        }
    }
}
