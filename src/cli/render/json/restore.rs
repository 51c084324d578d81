//! What a restore did, or would do, for programs.

use serde_json::json;

use super::{Document, shown, snapshot};
use crate::cli::decisions;
use crate::cli::render::text::restore::mode_word;
use crate::error::LostRecords;
use crate::model::text::TextEncoding;
use crate::model::value::Value;
use crate::ops::restore::Choice;
use crate::ops::restore::Conflict;
use crate::ops::restore::ConflictKind;
use crate::ops::restore::Decision;
use crate::ops::restore::Made;
use crate::ops::restore::Missing;
use crate::ops::restore::RestoreOutcome;
use crate::ops::restore::TableReport;

/// The summary of a restore, or of its plan. Texts of values are in the encoding of the snapshot.
pub fn restore(outcome: &RestoreOutcome, encoding: TextEncoding) -> Document {
    let safety = outcome.safety_snapshot.as_ref();
    let after = outcome.after_snapshot.as_ref();
    let remapped = outcome.remapped.iter();
    let remapped = remapped.map(|one| json!({"table": one.table, "from": one.from, "to": one.to}));
    let missing = outcome.missing.iter().map(|one| missing(one, encoding));
    let decisions = outcome.decisions.iter().map(|one| decision(one, encoding));
    json!({
        "message_type": "summary",
        "snapshot": snapshot(&outcome.snapshot, None),
        "target": shown(&outcome.target),
        "new_file": outcome.new_file,
        "replaced_file": outcome.whole_file,
        "target_bytes": outcome.target_bytes,
        "dry_run": outcome.dry_run,
        "written": !outcome.dry_run && !outcome.is_stopped(),
        "mode": mode_word(outcome.mode),
        "tables": outcome.tables.iter().map(table).collect::<Vec<_>>(),
        "made": outcome.made.iter().map(made).collect::<Vec<_>>(),
        "beyond_undo": outcome.beyond_undo,
        "conflicts": outcome.conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "missing": missing.collect::<Vec<_>>(),
        "lost": outcome.lost.iter().map(lost).collect::<Vec<_>>(),
        "decisions": decisions.collect::<Vec<_>>(),
        "remapped": remapped.collect::<Vec<_>>(),
        "references_followed": outcome.references_followed,
        "safety_snapshot": safety.map(|summary| snapshot(summary, None)),
        "after_snapshot": after.map(|summary| snapshot(summary, None)),
        "checked": outcome.checked,
        "elapsed_ms": outcome.elapsed_ms,
    })
}

fn lost(lost: &LostRecords) -> Document {
    let (kind, id) = &lost.blob;
    json!({
        "table": lost.table, "records": lost.records, "range": lost.range(),
        "first_record": lost.first_ordinal.saturating_add(1),
        "first_id": lost.ids.map(|(first, _)| first), "last_id": lost.ids.map(|(_, last)| last),
        "after_key": lost.after_key, "last_key": lost.last_key, "blob_kind": kind, "blob": id, "cause": lost.cause,
    })
}

fn made(made: &Made) -> Document {
    json!({"kind": made.kind, "name": made.name})
}

fn table(table: &TableReport) -> Document {
    let why = &table.left_out;
    json!({
        "table": table.table, "inserted": table.inserted, "filled": table.filled,
        "updated": table.updated, "same": table.same, "skipped": table.skipped,
        "left_out": {
            "differing": why.differing, "doubtful": why.doubtful, "missing": why.missing,
            "conflicting": why.conflicting,
        },
        "deleted": table.deleted, "remapped": table.remapped, "carried": table.carried,
        "conflicts": table.conflicts, "bytes": table.bytes,
    })
}

fn conflict_kind(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Record => "record",
        ConflictKind::Doubtful => "doubtful",
        ConflictKind::Orphan => "orphan",
        ConflictKind::InTheWay => "in_the_way",
        ConflictKind::Circle => "circle",
        ConflictKind::Refused => "refused",
    }
}

fn conflict(conflict: &Conflict) -> Document {
    json!({
        "kind": conflict_kind(conflict.kind), "table": conflict.table, "record": conflict.record, "reason": conflict.reason,
        "values": conflict.values, "rows": conflict.rows,
    })
}

fn missing(missing: &Missing, encoding: TextEncoding) -> Document {
    json!({
        "table": missing.table, "columns": missing.columns, "parent": missing.parent,
        "parent_columns": missing.parent_columns, "values": list(&missing.values, encoding),
        "records": missing.records, "examples": missing.examples,
        "record": missing.record.as_ref().map(|row| object(row, encoding)),
        "in_conflict": missing.in_conflict,
        "nullable": missing.nullable, "required": missing.required,
    })
}

/// As it stands in a file of decisions.
fn decision(decision: &Decision, encoding: TextEncoding) -> Document {
    let (mut to, mut row) = (Document::Null, Document::Null);
    let choice = match &decision.choice {
        Choice::Create(values) => {
            if !values.is_empty() {
                row = object(values, encoding);
            }
            "create"
        }
        Choice::Map(values) => {
            to = list(values, encoding);
            "map"
        }
        Choice::Skip => "skip",
        Choice::Null => "null",
        Choice::Abort => "abort",
    };
    json!({
        "table": decision.table, "columns": decision.columns, "parent": decision.parent,
        "values": list(&decision.values, encoding), "choice": choice, "to": to, "row": row,
    })
}

fn list(values: &[Value], encoding: TextEncoding) -> Document {
    values.iter().map(|value| form(value, encoding)).collect()
}

fn object(row: &[(String, Value)], encoding: TextEncoding) -> Document {
    let pairs = row.iter();
    let pairs = pairs.map(|(name, value)| (name.clone(), form(value, encoding)));
    Document::Object(pairs.collect())
}

/// A value that stands outside its row is told by its length.
fn form(value: &Value, encoding: TextEncoding) -> Document {
    match value {
        Value::Spilled(spilled) => json!({"$long": spilled.bytes}),
        value => decisions::value(value, encoding).unwrap_or_default(),
    }
}
