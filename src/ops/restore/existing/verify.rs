//! What must hold before a restore is committed: rows as planned, no reference without a target but
//! those that were, or that the snapshot carries, and SQLite's own check.

use std::collections::BTreeMap;

use super::apply::ensure_planned;
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::counted::{agree, counted};
use crate::model::schema::ForeignKey;
use crate::ops::restore::basis::{Basis, Conflicts};
use crate::ops::restore::options::Mode;
use crate::ops::restore::plan::Plan;
use crate::ops::restore::plan::objects::is_made;
use crate::ops::restore::report::ConflictKind;
use crate::ops::restore::scope::shape::TableShape;
use crate::progress::Finding;
use crate::target::{CheckLevel, ForeignKeyCheck, TargetError, is_ordinary, of_values};

/// What the database was like before the first write.
pub(in crate::ops::restore) struct Before {
    /// Foreign-key verdicts by table.
    verdicts: BTreeMap<String, ForeignKeyCheck>,
    /// Rows by position of the shape.
    rows: Vec<u64>,
}

impl Before {
    /// Looks at it; `saved`: a snapshot of this very state, whose verdicts need not be found again.
    pub(in crate::ops::restore) fn of(
        basis: &Basis<'_>,
        shapes: &[TableShape],
        plan: &Plan<'_>,
        saved: Option<&Manifest>,
    ) -> Result<Self, TargetError> {
        let mut verdicts = BTreeMap::new();
        let saved = saved.filter(|saved| !saved.damaged);
        for name in affected(basis, shapes, plan) {
            if basis.view.schema.table(&name).is_some() {
                let verdict = match saved {
                    Some(saved) => recorded(saved, &name),
                    None => basis.live.foreign_keys(&name)?,
                };
                verdicts.insert(name, verdict);
            }
        }
        let mut rows = Vec::new();
        for (shape, table) in shapes.iter().zip(&plan.tables) {
            rows.push(match shape.made || !table.is_touched() {
                true => 0,
                false => basis.live.count(&shape.live.name)?,
            });
        }
        Ok(Self { verdicts, rows })
    }

    /// Compares. Violations that are new are added to `conflicts`.
    pub(in crate::ops::restore) fn compare(
        &self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        plan: &Plan<'_>,
        conflicts: &mut Conflicts,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        for (at, (shape, table)) in shapes.iter().zip(&plan.tables).enumerate() {
            // Triggers may do anything.
            if !table.is_touched() || basis.options.fire_triggers {
                continue;
            }
            let report = &table.tally.report;
            let due = self.rows[at] + report.inserted - report.deleted;
            let now = basis.live.count(&shape.live.name)?;
            ensure_planned(&shape.live.name, "rows", due, now)?;
        }
        for name in affected(basis, shapes, plan) {
            let after = basis.live.foreign_keys(&name)?;
            let mut told = plan.findings.iter();
            let is_told = told.any(|one| basis.options.force && one.subject == name);
            let mut of_table = Vec::new();
            self.compare_verdicts(basis, shapes, &name, &after, conflicts, &mut of_table);
            // What is forced was found out before.
            findings.extend(of_table.into_iter().filter(|_| !is_told));
        }
        Ok(())
    }

    fn compare_verdicts(
        &self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        name: &str,
        after: &ForeignKeyCheck,
        conflicts: &mut Conflicts,
        findings: &mut Vec<Finding>,
    ) {
        let planned = shapes.iter().find(|shape| shape.live.name == name);
        let table = planned
            .map(|shape| &shape.live)
            .or_else(|| basis.view.schema.table(name));
        let Some(table) = table else { return };
        let was = self.verdicts.get(name).cloned().unwrap_or_default();
        for (id, violations) in &after.violations {
            let Some(key) = table.foreign_keys.iter().find(|key| key.id == *id) else {
                continue;
            };
            let there = was.violations.get(id).copied().unwrap_or(0);
            let carried = planned.map_or(Some(0), |planned| carried(basis, planned, key));
            let allowed = match planned {
                Some(shape) if shape.made => carried,
                _ => carried.map(|carried| carried + there),
            };
            if allowed.is_none_or(|allowed| *violations <= allowed) {
                continue;
            }
            if basis.options.force {
                let text = format!(
                    "{} {} to rows of {} that do not exist ({there} before): forced",
                    counted(*violations, "row"),
                    agree(*violations, "refers", "refer"),
                    key.parent
                );
                findings.push(Finding::warning(name, text));
                continue;
            }
            let reason = format!(
                "they would refer to rows of {} that do not exist ({}; {there} now)",
                key.parent,
                counted(*violations, "row")
            );
            let kind = match basis.mode() {
                Mode::Replace => ConflictKind::Orphan,
                Mode::Add | Mode::Augment => ConflictKind::Refused,
            };
            conflicts.note(kind, name, "rows".to_owned(), reason);
        }
    }
}

/// The verdict that a snapshot has of a table.
fn recorded(saved: &Manifest, table: &str) -> ForeignKeyCheck {
    let mut check = ForeignKeyCheck::default();
    for verdict in saved.foreign_keys.iter().filter(|v| v.table == table) {
        check.defect = check.defect.or_else(|| verdict.unchecked.clone());
        if verdict.violations > 0 {
            check.violations.insert(verdict.id, verdict.violations);
        }
    }
    check
}

/// Tables with foreign keys whose rows, or whose parents' rows, are written.
fn affected(basis: &Basis<'_>, shapes: &[TableShape], plan: &Plan<'_>) -> Vec<String> {
    let touched = |name: &str| {
        let is_touched = shapes
            .iter()
            .zip(&plan.tables)
            .any(|(shape, table)| table.is_touched() && shape.live.name.eq_ignore_ascii_case(name));
        let mut given = plan.given.iter();
        is_touched || given.any(|given| given.table.eq_ignore_ascii_case(name))
    };
    let made = shapes.iter().zip(&plan.tables);
    let made = made.filter(|(shape, table)| is_made(shape, table));
    basis
        .view
        .schema
        .tables
        .iter()
        .filter(|table| is_ordinary(table))
        .chain(made.map(|(shape, _)| &shape.live))
        .filter(|table| {
            let mut parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            !table.foreign_keys.is_empty() && (touched(&table.name) || parents.any(touched))
        })
        .map(|table| table.name.clone())
        .collect()
}

/// Violations of a foreign key that the snapshot has itself; `None` if it could not be checked.
fn carried(basis: &Basis<'_>, shape: &TableShape, key: &ForeignKey) -> Option<u64> {
    let same = |other: &&ForeignKey| {
        other.parent.eq_ignore_ascii_case(&key.parent) && other.columns == key.columns
    };
    let Some(stored) = shape.stored.foreign_keys.iter().find(same) else {
        return Some(0);
    };
    let verdicts = basis.manifest.foreign_keys.iter();
    let mut of = verdicts.filter(|verdict| verdict.table == shape.stored.name);
    if of.clone().any(|verdict| verdict.unchecked.is_some()) {
        return None;
    }
    Some(of.find(|v| v.id == stored.id).map_or(0, |v| v.violations))
}

/// SQLite's own check, before anything counts.
pub(in crate::ops::restore) fn integrity(
    basis: &Basis<'_>,
    level: CheckLevel,
    findings: &mut Vec<Finding>,
) -> Result<(), TargetError> {
    if level == CheckLevel::None {
        return Ok(());
    }
    let lines = basis.live.integrity(level == CheckLevel::Full)?;
    let (values, lines): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| of_values(line));
    findings.extend(values.into_iter().map(|line| Finding::note("check", line)));
    if lines.is_empty() {
        return Ok(());
    }
    Err(TargetError::Damaged {
        path: basis.live.path().to_owned(),
        lines,
    })
}
