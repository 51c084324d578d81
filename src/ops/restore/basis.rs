//! What a plan is made from, and the contradictions that are found on the way.

use std::collections::BTreeMap;

use super::missing::Decision;
use super::options::{Mode, RestoreOptions};
use super::records;
use super::report::{Conflict, ConflictKind};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::model::schema::Schema;
use crate::model::value::ValueRef;
use crate::progress::NoProgress;
use crate::store::StoreReader;
use crate::target::{LiveDatabase, LiveView};
use crate::tree::TreeShape;

/// Conflicts that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// The first conflicts, and how many there are in every table.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// The first ones.
    pub first: Vec<Conflict>,
    /// Count by table.
    pub counts: BTreeMap<String, u64>,
}

impl Conflicts {
    /// Adds one.
    pub(super) fn add(&mut self, conflict: Conflict) {
        *self.counts.entry(conflict.table.clone()).or_default() += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(conflict);
        }
    }

    /// Adds one of which no row is to be shown.
    pub(super) fn note(&mut self, kind: ConflictKind, table: &str, record: String, reason: String) {
        self.add(Conflict {
            kind,
            table: table.to_owned(),
            record,
            reason,
            values: Vec::new(),
            rows: Vec::new(),
        });
    }

    /// True if the next one is named.
    pub(super) fn has_room(&self) -> bool {
        self.first.len() < NAMED_MAX
    }

    /// True if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// What a plan is made from.
pub(super) struct Basis<'a> {
    pub reader: &'a StoreReader,
    pub manifest: &'a Manifest,
    pub schema: &'a Schema,
    pub live: &'a LiveDatabase,
    pub view: &'a LiveView,
    pub options: &'a RestoreOptions,
    /// The last ids that AUTOINCREMENT gave out in the snapshot, by table.
    pub sequences: BTreeMap<String, i64>,
    /// What somebody was asked for a plan that is no longer of the database's state.
    pub decided: &'a [Decision],
}

impl Basis<'_> {
    /// What happens to rows that exist already.
    pub(super) fn mode(&self) -> Mode {
        self.options.mode
    }

    /// The last id that AUTOINCREMENT gave out in a table of the snapshot; 0 if none.
    pub(super) fn saved_sequence(&self, table: &str) -> i64 {
        self.sequences.get(table).copied().unwrap_or(0)
    }
}

/// The last ids that AUTOINCREMENT gave out in a snapshot, by table.
pub(super) fn sequences(
    reader: &StoreReader,
    manifest: &Manifest,
    schema: &Schema,
) -> Result<BTreeMap<String, i64>, Error> {
    let mut sequences = BTreeMap::new();
    let stored = schema.table("sqlite_sequence");
    let mut internal = manifest.internal.iter();
    let entity = internal.find(|e| e.entity.eq_ignore_ascii_case("sqlite_sequence"));
    if let (Some(stored), Some(entity)) = (stored, entity) {
        let shape = TreeShape::of(stored, schema.encoding);
        // There is a row a table: nothing to wait for.
        let shape = (&shape, schema.encoding);
        records::for_each_in_utf8(reader, shape, entity, &mut NoProgress, |_, row, _| {
            if let [ValueRef::Text(name), ValueRef::Integer(saved)] = row.values {
                let name = String::from_utf8_lossy(name).into_owned();
                sequences.insert(name, *saved);
            }
            Ok(())
        })?;
    }
    Ok(sequences)
}
