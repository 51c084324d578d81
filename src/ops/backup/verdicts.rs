//! Foreign keys as they are: what the source violates is recorded, never repaired.

use super::parent::Parent;
use crate::error::Error;
use crate::format::manifest::{Entity, ForeignKeyVerdict, Manifest};
use crate::model::counted::{agree, counted};
use crate::model::schema::Table;
use crate::progress::Finding;
use crate::source::Moment;

/// The verdicts worth recording: foreign keys that are violated or cannot be checked.
///
/// They are copied from the parent where neither the records nor the definition of the child or of
/// any parent table changed since; there is none where `holds` says that all keys of
/// a table do; else SQLite checks.
pub(super) fn read(
    moment: Moment<'_>,
    parent: Option<&Parent>,
    holds: &dyn Fn(&Table) -> bool,
    entities: &[Entity],
) -> Result<Vec<ForeignKeyVerdict>, Error> {
    let unchanged = |name: &str| {
        let now = entities
            .iter()
            .find(|e| e.entity.eq_ignore_ascii_case(name));
        let before = parent.and_then(|parent| parent.manifest.entity(name));
        let same_rows = matches!((now, before), (Some(a), Some(b)) if a.root == b.root);
        same_rows && parent.is_some_and(|parent| parent.has_same_table(moment.schema(), name))
    };
    let mut verdicts = Vec::new();
    for entity in entities {
        let Some(table) = moment.schema().table(&entity.entity) else {
            continue;
        };
        let same =
            unchanged(&table.name) && table.foreign_keys.iter().all(|key| unchanged(&key.parent));
        match parent {
            Some(parent) if same => {
                let of_table = |v: &&ForeignKeyVerdict| v.table == table.name;
                verdicts.extend(
                    parent
                        .manifest
                        .foreign_keys
                        .iter()
                        .filter(of_table)
                        .cloned(),
                );
            }
            _ if holds(table) => {}
            _ => verdicts.extend(check(moment, table)?),
        }
    }
    Ok(verdicts)
}

fn check(moment: Moment<'_>, table: &Table) -> Result<Vec<ForeignKeyVerdict>, Error> {
    let checked = moment.foreign_key_violations(table)?;
    let verdict = |id: u32, violations, unchecked| ForeignKeyVerdict {
        table: table.name.clone(),
        id,
        parent: table
            .foreign_keys
            .iter()
            .find(|key| key.id == id)
            .map_or_else(String::new, |key| key.parent.clone()),
        violations,
        unchecked,
    };
    if let Some(defect) = checked.defect {
        // SQLite does not say which of the table's keys it is.
        let first = table.foreign_keys.first().map_or(0, |key| key.id);
        return Ok(vec![verdict(first, 0, Some(defect))]);
    }
    Ok(checked
        .violations
        .into_iter()
        .map(|(id, count)| verdict(id, count, None))
        .collect())
}

/// One line for every verdict.
pub(super) fn notes(verdicts: &[ForeignKeyVerdict], parent: Option<&Manifest>) -> Vec<Finding> {
    verdicts
        .iter()
        .map(|verdict| {
            if let Some(defect) = &verdict.unchecked {
                let text = format!("its foreign keys cannot be checked: {defect}");
                return Finding::note(verdict.table.clone(), text);
            }
            let n = verdict.violations;
            let before = parent.map(|parent| {
                let same = |v: &&ForeignKeyVerdict| v.table == verdict.table && v.id == verdict.id;
                parent
                    .foreign_keys
                    .iter()
                    .find(same)
                    .map_or(0, |v| v.violations)
            });
            let before = before.map_or_else(String::new, |n| format!("; {n} in the last snapshot"));
            let text = format!(
                "{} {} to {} that {} not exist (kept as {}{before})",
                counted(n, "record"),
                agree(n, "refers", "refer"),
                verdict.parent,
                agree(n, "does", "do"),
                agree(n, "it is", "they are"),
            );
            Finding::note(verdict.table.clone(), text)
        })
        .collect()
}
