//! What a plan is made from, and the contradictions that are found on the way.

use std::collections::BTreeMap;

use super::{Conflict, Mode};
use crate::format::manifest::{Entity, Manifest};
use crate::model::schema::{Schema, Table};
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
    pub(super) fn add(&mut self, table: &str, record: String, reason: String) {
        *self.counts.entry(table.to_owned()).or_default() += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(Conflict {
                table: table.to_owned(),
                record,
                reason,
            });
        }
    }
}

/// What a plan is made from.
pub(super) struct Basis<'a> {
    pub reader: &'a StoreReader,
    pub manifest: &'a Manifest,
    pub schema: &'a Schema,
    pub live: &'a LiveDatabase,
    pub view: &'a LiveView,
    pub mode: Mode,
}

impl Basis<'_> {
    /// The shape of a stored table's tree.
    pub(super) fn shape(&self, table: &Table) -> TreeShape {
        TreeShape::of(table, self.schema.encoding)
    }

    /// What the snapshot holds of a table.
    pub(super) fn entity(&self, table: &Table) -> Option<&Entity> {
        self.manifest.entity(&table.name)
    }
}
