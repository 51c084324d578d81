//! What a restore into an existing database will do: one value, made from reads alone, shown by a
//! dry run and carried out by `apply`. Per table only counts are kept, never rows.

use super::basis::{Basis, Conflicts};
use super::decide::RowAction;
use super::matcher::Matcher;
use super::references::References;
use super::scope::{self, TablePlan};
use super::{Mode, records};
use crate::error::Error;
use crate::model::row::RowRef;
use crate::model::schema::{ObjectKind, SchemaObject};
use crate::progress::{Finding, Progress, Unit};
use crate::target::{KeySet, LiveWriter, RowId, SpilledContent, TargetError, Trial};

/// What a restore will do.
#[derive(Debug)]
pub(super) struct Plan {
    /// The tables, in import order.
    pub tables: Vec<TablePlan>,
    /// Indexes, views and triggers of tables that are made.
    pub objects: Vec<SchemaObject>,
    /// Contradictions; with any, nothing is written.
    pub conflicts: Conflicts,
    /// What is worth knowing beforehand.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Rows that are deleted.
    pub(super) fn deleted(&self) -> u64 {
        self.tables.iter().map(|table| table.report.deleted).sum()
    }
}

/// Makes the plan. Errors: `Store`, `Target`, `Cancelled`.
pub(super) fn make(basis: &Basis<'_>, progress: &mut dyn Progress) -> Result<Plan, Error> {
    let mut conflicts = Conflicts::default();
    let mut findings = Vec::new();
    let mut tables = scope::tables(basis, &mut conflicts, &mut findings)?;
    let total = tables
        .iter()
        .filter_map(|t| basis.entity(&t.stored))
        .map(|e| e.records);
    progress.phase("Planning", total.sum(), Unit::Records);
    let trial = Trial::new(basis.live)?;
    // Its keys are looked up while the tables' counts change.
    let shapes = tables.clone();
    let mut references = References::of(basis, &shapes, &trial)?;
    for (at, table) in tables.iter_mut().enumerate() {
        if table.made {
            table.report.inserted = basis.entity(&table.stored).map_or(0, |e| e.records);
            continue;
        }
        plan_table(
            basis,
            (at, table),
            &trial,
            &mut references,
            &mut conflicts,
            progress,
        )?;
    }
    references.check(&mut tables, &mut conflicts, progress)?;
    for table in &mut tables {
        let counted = conflicts.counts.get(&table.report.table);
        table.report.conflicts = counted.copied().unwrap_or(0);
        table.findings(basis, &mut findings);
    }
    let objects = objects(basis, &tables);
    Ok(Plan {
        tables,
        objects,
        conflicts,
        findings,
    })
}

/// Decides for every record of a table that exists, and counts.
fn plan_table(
    basis: &Basis<'_>,
    (at, table): (usize, &mut TablePlan),
    trial: &Trial,
    references: &mut References<'_>,
    conflicts: &mut Conflicts,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let Some(entity) = basis.entity(&table.stored) else {
        return Ok(());
    };
    let (stored, live, map) = (table.stored.clone(), table.live.clone(), table.map.clone());
    let ignore_checks = table.keeps_checks_broken;
    let mut tried = trial.writer(&basis.view.schema, &live, &map, basis.schema, ignore_checks)?;
    let whole = basis.mode == Mode::Replace;
    if whole {
        table.report.deleted = basis.live.count(&live.name)?;
        if tried.is_none() && table.map.dropped.is_empty() {
            // Every record is inserted, as it was: nothing is to be decided.
            table.report.inserted = entity.records;
            return Ok(());
        }
    }
    let mut matcher = match whole {
        true => None,
        false => Some(Matcher::new(
            basis.live,
            &live,
            &map,
            basis.mode,
            map.is_keyless(),
        )?),
    };
    // Where a table has several keys, two records may mean one row: only one can fill it.
    let has_keys = usize::from(map.primary.is_some()) + map.unique.len() > 1;
    let mut filled = match has_keys && basis.mode == Mode::Augment {
        true => Some(trial.row_set(&live)?),
        false => None,
    };
    records::for_each(
        basis.reader,
        &basis.shape(&stored),
        entity,
        progress,
        |row, content| {
            let decision = matcher
                .as_mut()
                .map(|m| m.decide(row, content))
                .transpose()?;
            let (action, id) = decision.map_or((RowAction::Insert, None), |d| (d.action, d.id));
            if let Some(matcher) = &matcher {
                references.note(at, row, matcher.fields())?;
            }
            let refused = match (&action, &mut filled, id) {
                (RowAction::Insert, _, _) => refusal(tried.as_mut(), row, content)?,
                (RowAction::Fill(_), Some(filled), Some(id)) => filled_twice(filled, &id)?,
                _ => None,
            };
            match refused {
                Some(why) => conflicts.add(&live.name, map.name_of(row), why),
                None => table.count(action, row, conflicts),
            }
            Ok(())
        },
    )?;
    table.counts_copies = matcher.is_some_and(|matcher| matcher.counted_copies());
    Ok(())
}

/// Why a row is not filled by a second record.
fn filled_twice(filled: &mut KeySet<'_>, id: &RowId) -> Result<Option<String>, TargetError> {
    if filled.has(&id.0)? {
        return Ok(Some(
            "its row is filled by another record already: its keys name the same row".to_owned(),
        ));
    }
    filled.add(&id.0)?;
    Ok(None)
}

/// Why the live table would refuse a record; `None` if it would not, or that was not to be tried.
fn refusal(
    tried: Option<&mut LiveWriter<'_>>,
    row: RowRef<'_>,
    content: &mut dyn SpilledContent,
) -> Result<Option<String>, TargetError> {
    match tried.map(|writer| writer.insert(row, content)) {
        None | Some(Ok(())) => Ok(None),
        Some(Err(TargetError::Constraint { cause, .. })) => Ok(Some(cause.message)),
        Some(Err(error)) => Err(error),
    }
}

/// What belongs to tables that are made: their indexes and triggers, and the views that name one of
/// them. What the database has under the same name stays.
fn objects(basis: &Basis<'_>, tables: &[TablePlan]) -> Vec<SchemaObject> {
    let made: Vec<String> = tables
        .iter()
        .filter(|table| table.made)
        .map(|table| table.stored.name.to_ascii_lowercase())
        .collect();
    let is_new = basis.view.schema.tables.is_empty();
    let of_made = |object: &SchemaObject| {
        let mut made = made.iter();
        made.any(|name| object.table.eq_ignore_ascii_case(name))
    };
    let is_view_wanted = |view: &SchemaObject| {
        let text = view.sql.as_deref().unwrap_or_default().to_ascii_lowercase();
        is_new || made.iter().any(|name| text.contains(name))
    };
    let of_views = |trigger: &SchemaObject| {
        basis
            .schema
            .objects_of(ObjectKind::View)
            .any(|view| view.name.eq_ignore_ascii_case(&trigger.table) && is_view_wanted(view))
    };
    let wanted = |object: &&SchemaObject| match object.kind {
        ObjectKind::Table => false,
        ObjectKind::Index => of_made(object),
        ObjectKind::Trigger => of_made(object) || of_views(object),
        ObjectKind::View => is_view_wanted(object),
    };
    let there = |object: &&SchemaObject| {
        let mut objects = basis.view.schema.objects.iter();
        objects.any(|o| o.name.eq_ignore_ascii_case(&object.name))
    };
    basis
        .schema
        .objects
        .iter()
        .filter(|object| object.sql.is_some())
        .filter(|object| wanted(object) && !there(object))
        .cloned()
        .collect()
}
