//! What an undo will do: for every row in which the states before and after the restore differ, what it
//! is now decides. Made from reads alone; its steps stand on the worksheet.

use std::collections::BTreeSet;

use super::look::{Look, Looks};
use super::{Changed, Restored, UndoOutcome, UndoReport};
use crate::error::Error;
use crate::format::blob::BlobError;
use crate::format::manifest::Manifest;
use crate::model::schema::{ObjectKind, Schema, SchemaObject, Table};
use crate::ops::content::StoredContent;
use crate::ops::stored::root_of;
use crate::progress::{Finding, Progress, Unit};
use crate::store::StoreError;
use crate::target::{
    ColumnMap, Declared, Doing, LiveView, RowList, SpilledContent, Steps, TargetError, Worksheet,
    in_utf8, is_ordinary,
};
use crate::tree::TreeShape;
use crate::tree::diff::{Difference as Change, State, by_place};

/// Rows that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// What happens to one table.
pub(super) struct TablePlan<'w> {
    /// Counts.
    pub report: UndoReport,
    /// The table in the database.
    pub live: Table,
    /// The earlier table over the live one.
    pub map: ColumnMap,
    /// Steps, by the place of the difference among those of its table.
    pub steps: Steps<'w>,
    /// Rows that are deleted.
    pub deletions: RowList<'w>,
}

/// What an undo will do.
pub(super) struct Plan<'w> {
    /// Tables that differ.
    pub tables: Vec<TablePlan<'w>>,
    /// Objects that are dropped, in this order.
    pub dropped: Vec<SchemaObject>,
    /// The first rows that were changed since.
    pub changed: Vec<Changed>,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
}

impl<'w> Plan<'w> {
    /// Makes the plan. Errors: `Store`, `Target`, `Cancelled`.
    pub(super) fn make(
        restored: &Restored<'_>,
        view: &LiveView,
        sheet: &'w Worksheet,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let mut plan = Self {
            tables: Vec::new(),
            dropped: Vec::new(),
            changed: Vec::new(),
            findings: Vec::new(),
        };
        progress.phase("Planning", 0, Unit::Records);
        plan.made(restored, view);
        for entity in &restored.after.entities {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let was = restored.before.entity(&entity.entity);
            if was.is_some_and(|was| was.root == entity.root && was.records == entity.records) {
                continue;
            }
            plan.table(restored, view, &entity.entity, sheet)?;
        }
        let sequence = |manifest: &Manifest| {
            let mut internal = manifest.internal.iter();
            let of = internal.find(|e| e.entity.eq_ignore_ascii_case("sqlite_sequence"));
            of.and_then(|e| e.root)
        };
        if sequence(restored.before) != sequence(restored.after) {
            let text = "ids that AUTOINCREMENT gave out stay given out";
            plan.findings.push(Finding::note("sqlite_sequence", text));
        }
        Ok(plan)
    }

    /// Objects that the restore made, and that are still what it made.
    fn made(&mut self, restored: &Restored<'_>, view: &LiveView) {
        let same = |schema: &Schema, object: &SchemaObject| {
            let mut others = schema.objects.iter();
            others.any(|other| {
                other.kind == object.kind && other.name == object.name && other.sql == object.sql
            })
        };
        let made: Vec<&SchemaObject> = restored
            .after_schema
            .objects
            .iter()
            .filter(|object| {
                let is_sqlites = object.name.to_ascii_lowercase().starts_with("sqlite_");
                !is_sqlites && object.sql.is_some() && !same(restored.before_schema, object)
            })
            .collect();
        let tables: BTreeSet<&str> = made
            .iter()
            .filter(|object| object.kind == ObjectKind::Table)
            .map(|object| object.name.as_str())
            .collect();
        // With a table go its indexes and triggers; what stands on others goes first.
        for kind in [
            ObjectKind::View,
            ObjectKind::Trigger,
            ObjectKind::Index,
            ObjectKind::Table,
        ] {
            for object in made.iter().filter(|object| object.kind == kind) {
                let goes_along =
                    kind != ObjectKind::Table && tables.contains(object.table.as_str());
                match same(&view.schema, object) {
                    true if goes_along => {}
                    true => self.dropped.push((*object).clone()),
                    false => {
                        let text = "the restore made it; it was changed since and stays as it is";
                        self.findings.push(Finding::note(&object.name, text));
                    }
                }
            }
        }
    }

    fn table(
        &mut self,
        restored: &Restored<'_>,
        view: &LiveView,
        name: &str,
        sheet: &'w Worksheet,
    ) -> Result<(), Error> {
        let after = restored.after_schema.table(name);
        let live = view.schema.table(name).filter(|table| is_ordinary(table));
        let (Some(after), Some(live)) = (after, live) else {
            self.lost(name, "the table is gone, or another thing now");
            return Ok(());
        };
        // A table that the restore made has no rows before.
        let before = restored.before_schema.table(name).unwrap_or(after);
        let is_same = |other: &Table| other.columns == live.columns && other.kind == live.kind;
        if !is_same(after) || !is_same(before) {
            self.lost(name, "its columns were changed since");
            return Ok(());
        }
        let mut table = TablePlan {
            report: UndoReport {
                table: live.name.clone(),
                ..UndoReport::default()
            },
            map: ColumnMap::of(before, live, &Declared::default()),
            live: live.clone(),
            steps: sheet.steps()?,
            deletions: sheet.row_list()?,
        };
        let map = table.map.clone();
        let mut looks = Looks::new(restored.live, &view.schema, live, &map)?;
        let changed = &mut self.changed;
        let compared = each_change(restored, name, |place, change, content| {
            match looks.at(place, change, content)? {
                Look::Already => table.report.already += 1,
                Look::Delete(id) => {
                    table.report.deleted += 1;
                    table.deletions.add(&id)?;
                }
                Look::Step(step) => {
                    match step.doing {
                        Doing::Insert => table.report.inserted += 1,
                        _ => table.report.updated += 1,
                    }
                    table.steps.put(&step)?;
                }
                Look::Changed { reason, id } => {
                    table.report.conflicts += 1;
                    if changed.len() < NAMED_MAX {
                        changed.push(looks.describe(change, reason, id.as_ref())?);
                    }
                }
            }
            Ok(())
        })?;
        if !compared {
            let text =
                "its rowids have no name: its rows cannot be told apart, and stay as they are";
            self.findings.push(Finding::warning(name, text));
        }
        // Rows of others in a table that the restore made keep it.
        let made = self.dropped.iter().position(|object| {
            object.kind == ObjectKind::Table && object.name.eq_ignore_ascii_case(name)
        });
        if let Some(at) = made {
            let rows = restored.live.count(&table.live.name)?;
            if rows != table.report.deleted || table.report.conflicts > 0 {
                self.dropped.remove(at);
                let text = "the restore made it; it has rows of others now and stays";
                self.findings.push(Finding::note(name, text));
            }
        }
        self.tables.push(table);
        Ok(())
    }

    /// A table whose rows cannot be undone.
    fn lost(&mut self, name: &str, reason: &str) {
        self.changed.push(Changed {
            table: name.to_owned(),
            row: "the table".to_owned(),
            reason: reason.to_owned(),
            restored: Vec::new(),
            now: Vec::new(),
        });
    }

    /// Tells the outcome.
    pub(super) fn report(&self, outcome: &mut UndoOutcome) {
        outcome.tables = self.tables.iter().map(|t| t.report.clone()).collect();
        outcome.dropped = self.dropped.iter().map(|o| o.name.clone()).collect();
        outcome.changed.clone_from(&self.changed);
        outcome.findings.clone_from(&self.findings);
    }
}

/// Calls `each` for every row in which the states before and after the restore differ, with its place
/// among them. False if rows cannot be told apart.
pub(super) fn each_change(
    restored: &Restored<'_>,
    name: &str,
    mut each: impl FnMut(u64, Change<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<bool, Error> {
    let Some(after) = restored.after_schema.table(name) else {
        return Ok(true);
    };
    let before = restored.before_schema.table(name).unwrap_or(after);
    let shape = |table: &Table, schema: &Schema| TreeShape::of(table, schema.encoding);
    let shapes = (
        shape(before, restored.before_schema),
        shape(after, restored.after_schema),
    );
    let root = |manifest: &Manifest| manifest.entity(name).and_then(root_of);
    let roots = (root(restored.before), root(restored.after));
    let mut content = StoredContent::new(restored.reader);
    let mut place = 0;
    let compared = by_place(
        restored.reader,
        State {
            shape: &shapes.0,
            root: roots.0.as_ref(),
            key: &[],
        },
        State {
            shape: &shapes.1,
            root: roots.1.as_ref(),
            key: &[],
        },
        &mut |change| {
            in_texts(restored, name, change, place, &mut content, &mut each)
                .map_err(Stop::Target)?;
            place += 1;
            Ok::<(), Stop>(())
        },
    );
    match compared {
        Ok(compared) => Ok(compared),
        Err(Stop::Blob(error)) => Err(StoreError::from(error).into()),
        Err(Stop::Target(error)) => match content.failure() {
            Some(blob) => Err(StoreError::from(blob).into()),
            None => Err(error.into()),
        },
    }
}

/// Calls `each` with the rows of a change, their texts in UTF-8.
fn in_texts(
    restored: &Restored<'_>,
    name: &str,
    change: Change<'_>,
    place: u64,
    content: &mut dyn SpilledContent,
    each: &mut impl FnMut(u64, Change<'_>, &mut dyn SpilledContent) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    let encoding = restored.after_schema.encoding;
    let failed = |cause| TargetError::Content {
        table: name.to_owned(),
        row: format!("change {}", place + 1),
        cause,
    };
    match change {
        Change::Added(row) => in_utf8(encoding, row, content, failed, |row, content| {
            each(place, Change::Added(row), content)
        }),
        Change::Removed(row) => in_utf8(encoding, row, content, failed, |row, content| {
            each(place, Change::Removed(row), content)
        }),
        Change::Changed(was, is) => in_utf8(encoding, was, content, failed, |was, content| {
            in_utf8(encoding, is, content, failed, |is, content| {
                each(place, Change::Changed(was, is), content)
            })
        }),
    }
}

/// Why the differences ended early.
enum Stop {
    Blob(BlobError),
    Target(TargetError),
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}
