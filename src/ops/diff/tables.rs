//! A table in two states: its rows are told apart, and each that differs is given with its columns.

use std::collections::BTreeMap;

use super::columns::{self, Mapping, NamedField};
use super::named::{Wanted, is_written};
use super::{Cell, Change, DiffRow, DiffSink, StateName, TableDiff};
use crate::error::Error;
use crate::format::blob::{BlobError, BlobErrorKind, BlobKind, BlobSource};
use crate::format::manifest::Changes;
use crate::model::id::BlobId;
use crate::model::row::RowRef;
use crate::model::schema::{Schema, Settings, Table};
use crate::model::text::TextEncoding;
use crate::model::value::ValueRef;
use crate::progress::{Finding, Progress, StopSign};
use crate::store::{ScratchBlobs, StoreError};
use crate::tree::cursor::Cursor;
use crate::tree::diff::{self, Difference, Field, State};
use crate::tree::{Root, TreeShape};

/// A state of a database, as trees.
#[derive(Debug)]
pub(super) struct DatabaseState {
    pub name: StateName,
    pub schema: Schema,
    pub settings: Settings,
    pub tables: Vec<TableRoot>,
    pub findings: Vec<Finding>,
}

/// The tree of a table.
#[derive(Debug)]
pub(super) struct TableRoot {
    pub table: String,
    pub root: Option<Root>,
}

/// A table in one state.
struct Side<'a> {
    table: &'a Table,
    root: Option<&'a Root>,
    shape: TreeShape,
    fields: Vec<NamedField>,
    /// Places of the primary key among `fields`.
    key: Vec<usize>,
    encoding: TextEncoding,
}

impl<'a> Side<'a> {
    fn of(state: &'a DatabaseState, found: &'a TableRoot) -> Option<Self> {
        let table = state.schema.table(&found.table)?;
        let fields = columns::of_table(table);
        Some(Self {
            root: found.root.as_ref(),
            shape: TreeShape::of(table, state.schema.encoding),
            key: columns::key_of(table, &fields),
            encoding: state.schema.encoding,
            fields,
            table,
        })
    }

    fn key_of<'r>(&'r self, row: RowRef<'r>) -> Vec<(&'r str, ValueRef<'r>)> {
        let part = |at: &usize| {
            let field = &self.fields[*at];
            (field.name.as_str(), field.field.of(row))
        };
        self.key.iter().map(part).collect()
    }

    /// True if a row has one of these keys.
    fn is_one_of(&self, row: RowRef<'_>, keys: &[&[String]]) -> bool {
        let key = self.key_of(row);
        keys.iter().any(|parts| {
            let mut pairs = key.iter().zip(*parts);
            parts.len() == key.len()
                && pairs.all(|((_, value), word)| is_written(*value, self.encoding, word))
        })
    }
}

/// A table in both states, or in one.
pub(super) struct Pair<'a> {
    name: &'a str,
    sides: Sides<'a>,
    mapping: Mapping,
}

enum Sides<'a> {
    Both(Side<'a>, Side<'a>),
    Before(Side<'a>),
    After(Side<'a>),
}

/// The tables to compare, by name; and those of SQLite's own, or behind virtual tables, that differ.
pub(super) fn pairs<'a>(
    before: &'a DatabaseState,
    after: &'a DatabaseState,
    wanted: &Wanted,
) -> (Vec<Pair<'a>>, Vec<String>) {
    let mut named: BTreeMap<String, [Option<Side<'a>>; 2]> = BTreeMap::new();
    for (at, state) in [before, after].into_iter().enumerate() {
        for found in &state.tables {
            if let Some(side) = Side::of(state, found) {
                let name = found.table.to_ascii_lowercase();
                named.entry(name).or_default()[at] = Some(side);
            }
        }
    }
    let (mut pairs, mut internal) = (Vec::new(), Vec::new());
    for [old, new] in named.into_values() {
        let Some(table) = new.as_ref().or(old.as_ref()).map(|side| side.table) else {
            continue;
        };
        if wanted.is_all() && table.is_internal() {
            let root = |side: &Option<Side<'a>>| side.as_ref().and_then(|side| side.root);
            if root(&old).map(|root| root.id) != root(&new).map(|root| root.id) {
                internal.push(table.name.clone());
            }
            continue;
        }
        if !wanted.is_all() && !wanted.names(&table.name) {
            continue;
        }
        let (sides, mapping) = match (old, new) {
            (Some(old), Some(new)) => {
                let mapping = Mapping::of(&old.fields, &new.fields);
                (Sides::Both(old, new), mapping)
            }
            (Some(old), None) => (Sides::Before(old), Mapping::default()),
            (None, Some(new)) => (Sides::After(new), Mapping::default()),
            (None, None) => continue,
        };
        pairs.push(Pair {
            name: &table.name,
            sides,
            mapping,
        });
    }
    (pairs, internal)
}

/// Why a comparison ended early.
enum Stop {
    Blob(BlobError),
    Other(Error),
    /// Nothing is looked for any more.
    AllFound,
}

fn error_of(stop: Stop, progress: &dyn Progress) -> Error {
    match stop {
        Stop::Other(error) => error,
        Stop::Blob(_) if progress.cancelled() => Error::Cancelled,
        Stop::Blob(error) => StoreError::from(error).into(),
        Stop::AllFound => Error::Cancelled,
    }
}

impl From<BlobError> for Stop {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

/// Reads blobs until it is told to stop.
struct Stoppable<'a> {
    blobs: &'a ScratchBlobs,
    stop: StopSign,
}

impl BlobSource for Stoppable<'_> {
    fn get(&self, kind: BlobKind, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        if self.stop.is_set() {
            return Err(BlobError {
                why: BlobErrorKind::Unavailable,
                kind,
                id: *id,
                cause: "stopped".into(),
            });
        }
        self.blobs.get(kind, id)
    }
}

impl Pair<'_> {
    /// Counts what differs.
    pub(super) fn count(
        &self,
        blobs: &ScratchBlobs,
        wanted: &Wanted,
        progress: &dyn Progress,
    ) -> Result<TableDiff, Error> {
        let mut counted = TableDiff {
            table: self.name.to_owned(),
            only_in: match &self.sides {
                Sides::Both(..) => None,
                Sides::Before(_) => Some(Change::Removed),
                Sides::After(_) => Some(Change::Added),
            },
            changes: Changes::default(),
            matched: None,
            columns_added: self.mapping.added.clone(),
            columns_dropped: self.mapping.dropped.clone(),
        };
        let keys = wanted.keys(self.name);
        let changes = &mut counted.changes;
        let mut count = |difference: Difference<'_>| {
            if self.is_wanted(&difference, &keys) {
                match difference {
                    Difference::Added(_) => changes.added += 1,
                    Difference::Removed(_) => changes.removed += 1,
                    Difference::Changed(..) => changes.changed += 1,
                }
            }
            Ok(())
        };
        if keys.is_empty() {
            let (matched, all) = self.compare(blobs, None, progress)?;
            counted.matched = Some(matched);
            counted.changes = all;
        } else {
            counted.matched = Some(self.compare(blobs, Some(&mut count), progress)?.0);
        }
        if counted.changes.is_empty() || counted.only_in.is_some() {
            counted.matched = None;
        }
        Ok(counted)
    }

    /// Gives every row that differs.
    pub(super) fn rows(
        &self,
        blobs: &ScratchBlobs,
        wanted: &Wanted,
        counted: &TableDiff,
        sink: &mut dyn DiffSink,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        if counted.changes.is_empty() {
            return Ok(());
        }
        let keys = wanted.keys(self.name);
        let mut give = |difference: Difference<'_>| {
            if !self.is_wanted(&difference, &keys) {
                return Ok(());
            }
            if progress.cancelled() {
                return Err(Stop::Other(Error::Cancelled));
            }
            sink.row(counted, &self.row(&difference))
                .map_err(Stop::Other)
        };
        self.compare(blobs, Some(&mut give), progress).map(drop)
    }

    /// Keys that were named, of which neither state has a row.
    pub(super) fn absent(
        &self,
        blobs: &ScratchBlobs,
        wanted: &Wanted,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, Error> {
        let mut keys = wanted.keys(self.name);
        let source = Stoppable {
            blobs,
            stop: progress.stop_sign(),
        };
        let sides = match &self.sides {
            Sides::Both(old, new) => vec![old, new],
            Sides::Before(only) | Sides::After(only) => vec![only],
        };
        for side in sides {
            if keys.is_empty() {
                break;
            }
            let done = Cursor::new(&source, &side.shape, side.root).for_each(|row| {
                keys.retain(|key| !side.is_one_of(row, &[*key]));
                match keys.is_empty() {
                    true => Err(Stop::AllFound),
                    false => Ok(()),
                }
            });
            match done {
                Ok(()) | Err(Stop::AllFound) => {}
                Err(stop) => return Err(error_of(stop, progress)),
            }
        }
        Ok(keys.iter().map(|parts| parts.join(",")).collect())
    }

    fn compare(
        &self,
        blobs: &ScratchBlobs,
        each: Option<diff::Each<'_, Stop>>,
        progress: &dyn Progress,
    ) -> Result<(diff::Matched, Changes), Error> {
        let source = Stoppable {
            blobs,
            stop: progress.stop_sign(),
        };
        let (mut pairs, mut old_key, mut new_key) = (Vec::new(), Vec::new(), Vec::new());
        let all = |side: &Side<'_>| {
            let fields = side.fields.iter().map(|field| (field.field, field.field));
            fields.collect::<Vec<_>>()
        };
        let (old, new) = match &self.sides {
            Sides::Before(side) | Sides::After(side) => {
                pairs = all(side);
                (side, side)
            }
            Sides::Both(old, new) => {
                for (a, b) in &self.mapping.both {
                    pairs.push((old.fields[*a].field, new.fields[*b].field));
                }
                for (a, b) in self.mapping.shared_key(&old.key, &new.key) {
                    old_key.push(old.fields[a].field);
                    new_key.push(new.fields[b].field);
                }
                (old, new)
            }
        };
        let before = state(old, &old_key, !matches!(self.sides, Sides::After(_)));
        let after = state(new, &new_key, !matches!(self.sides, Sides::Before(_)));
        diff::rows(&source, blobs.hash(), before, after, &pairs, each)
            .map_err(|stop| error_of(stop, progress))
    }

    /// True if all rows are wanted, or this one, as it was or as it is.
    fn is_wanted(&self, difference: &Difference<'_>, keys: &[&[String]]) -> bool {
        if keys.is_empty() {
            return true;
        }
        let (old, new) = self.both();
        match *difference {
            Difference::Added(row) => new.is_one_of(row, keys),
            Difference::Removed(row) => old.is_one_of(row, keys),
            Difference::Changed(before, after) => {
                old.is_one_of(before, keys) || new.is_one_of(after, keys)
            }
        }
    }

    fn both(&self) -> (&Side<'_>, &Side<'_>) {
        match &self.sides {
            Sides::Both(old, new) => (old, new),
            Sides::Before(only) | Sides::After(only) => (only, only),
        }
    }

    fn row<'r>(&'r self, difference: &Difference<'r>) -> DiffRow<'r> {
        let (old, new) = self.both();
        let whole = |side: &'r Side<'_>, row: RowRef<'r>, change| DiffRow {
            change,
            key: side.key_of(row),
            cells: side
                .fields
                .iter()
                .map(|field| {
                    let value = field.field.of(row);
                    Cell {
                        column: &field.name,
                        in_key: field.in_key,
                        before: (change == Change::Removed).then_some(value),
                        after: (change == Change::Added).then_some(value),
                    }
                })
                .collect(),
            encodings: (old.encoding, new.encoding),
        };
        match *difference {
            Difference::Added(row) => whole(new, row, Change::Added),
            Difference::Removed(row) => whole(old, row, Change::Removed),
            Difference::Changed(before, after) => {
                let cells = self.mapping.both.iter().filter_map(|(a, b)| {
                    let (field, other) = (&old.fields[*a], &new.fields[*b]);
                    let (was, is) = (field.field.of(before), other.field.of(after));
                    (!was.identical(is)).then_some(Cell {
                        column: &other.name,
                        in_key: other.in_key,
                        before: Some(was),
                        after: Some(is),
                    })
                });
                DiffRow {
                    change: Change::Changed,
                    key: old.key_of(before),
                    cells: cells.collect(),
                    encodings: (old.encoding, new.encoding),
                }
            }
        }
    }
}

fn state<'s>(side: &'s Side<'_>, key: &'s [Field], has_rows: bool) -> State<'s> {
    State {
        shape: &side.shape,
        root: side.root.filter(|_| has_rows),
        key,
    }
}
