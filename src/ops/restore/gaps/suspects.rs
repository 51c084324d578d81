//! The values of one reference that find no target: which of them the snapshot has a parent for, and
//! those that nothing is decided about.

use super::answers::parent_table;
use crate::error::Error;
use crate::model::schema::{ColumnKind, KeyColumn, Table};
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::identity::keys::Fate;
use crate::ops::restore::missing::Missing;
use crate::ops::restore::scope::closure;
use crate::ops::restore::scope::links::{Link, Links, Parent};
use crate::ops::restore::scope::shape::TableShape;
use crate::progress::Progress;
use crate::target::{KeyMap, TargetError, Worksheet};

/// Missing values that are listed; the others are counted.
const LISTED_MAX: usize = 1000;

/// Records that are named for each.
const EXAMPLES_MAX: usize = 3;

/// Bytes of a value that is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// The values of one reference that find no target.
pub(in crate::ops::restore) struct Suspects<'w> {
    /// The reference.
    pub link: usize,
    /// The columns that are set to NULL where that is decided; empty: they cannot be.
    pub nulls: Vec<usize>,
    keys: KeyMap<'w>,
    in_snapshot: KeyMap<'w>,
    unlisted: KeyMap<'w>,
    listed: Vec<Listed>,
    more: u64,
}

struct Listed {
    key: Vec<Value>,
    records: u64,
    examples: Vec<String>,
    record: Option<Vec<(String, Value)>>,
    in_conflict: bool,
}

impl<'w> Suspects<'w> {
    /// None yet.
    pub(in crate::ops::restore) fn new(
        sheet: &'w Worksheet,
        shapes: &[TableShape],
        links: &Links,
        basis: &Basis<'_>,
        link_at: usize,
    ) -> Result<Self, TargetError> {
        let link = &links.all[link_at];
        let parent = parent_table(basis, shapes, link);
        let map = || sheet.key_map(parent, &link.parent_columns);
        Ok(Self {
            link: link_at,
            nulls: nulls(&shapes[link.child], link),
            keys: map()?,
            in_snapshot: map()?,
            unlisted: map()?,
            listed: Vec::new(),
            more: 0,
        })
    }

    /// Adds a value that a record refers by.
    pub(in crate::ops::restore) fn add(
        &mut self,
        key: &[Value],
        name: impl FnOnce() -> String,
    ) -> Result<(), TargetError> {
        if let Some(entry) = self.keys.get(key)? {
            let place = usize::try_from(entry.mark).ok();
            if let Some(listed) = place.and_then(|at| self.listed.get_mut(at))
                && listed.examples.len() < EXAMPLES_MAX
            {
                listed.examples.push(name());
            }
            return Ok(());
        }
        let mark = match self.listed.len() < LISTED_MAX {
            true => i64::try_from(self.listed.len()).unwrap_or(-1),
            false => -1,
        };
        self.keys.add(key, mark)?;
        if mark >= 0 {
            self.listed.push(Listed {
                key: key.to_vec(),
                records: 0,
                examples: vec![name()],
                record: None,
                in_conflict: false,
            });
        }
        Ok(())
    }

    /// True if there are none.
    pub(in crate::ops::restore) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// True if the value is one of them.
    pub(in crate::ops::restore) fn has(&mut self, key: &[Value]) -> Result<bool, TargetError> {
        self.keys.has(key)
    }

    /// True if the snapshot has a parent of this key.
    pub(in crate::ops::restore) fn is_in_snapshot(
        &mut self,
        key: &[Value],
    ) -> Result<bool, TargetError> {
        self.in_snapshot.has(key)
    }

    /// Looks which of the values the snapshot has a parent for.
    pub(in crate::ops::restore) fn look_in_snapshot(
        &mut self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        links: &Links,
        progress: &mut dyn Progress,
    ) -> Result<(), Error> {
        let link = &links.all[self.link];
        let (Parent::Planned(parent), Some(wanted)) = (link.parent, link.wanted) else {
            return Ok(());
        };
        if self.keys.is_empty() {
            return Ok(());
        }
        let (shape, mapped) = (&shapes[parent], &links.wanted[wanted].mapped);
        closure::each_record(basis, shape, progress, |_, record| {
            let Some(key) = record.whole(mapped) else {
                return Ok(());
            };
            let Some(entry) = self.keys.get(&key)? else {
                return Ok(());
            };
            self.in_snapshot.add(&key, 0)?;
            let place = usize::try_from(entry.mark).ok();
            if let Some(listed) = place.and_then(|at| self.listed.get_mut(at)) {
                let named = shape.map.columns.iter().zip(record.values);
                let short = named.filter(|(_, value)| is_short(**value));
                let values = short.map(|(column, v)| (column.name.clone(), ValueRef::to_owned(*v)));
                listed.record = Some(values.collect());
            }
            Ok(())
        })
    }

    /// Counts a record whose value nothing is decided about; `fate`: what is known of the parent's record.
    pub(in crate::ops::restore) fn undecided(
        &mut self,
        key: &[Value],
        fate: Option<Fate>,
    ) -> Result<(), TargetError> {
        let entry = self.keys.get(key)?;
        let place = entry.and_then(|entry| usize::try_from(entry.mark).ok());
        match place.and_then(|at| self.listed.get_mut(at)) {
            Some(listed) => {
                listed.records += 1;
                listed.in_conflict |= fate == Some(Fate::Absent);
            }
            None if self.unlisted.has(key)? => {}
            None => {
                self.unlisted.add(key, 0)?;
                self.more += 1;
            }
        }
        Ok(())
    }

    /// Undecided values that are not listed.
    pub(in crate::ops::restore) fn more(&self) -> u64 {
        self.more
    }

    /// The values that nothing is decided about.
    pub(in crate::ops::restore) fn missing(
        self,
        basis: &Basis<'_>,
        shapes: &[TableShape],
        links: &Links,
    ) -> Vec<Missing> {
        let link = &links.all[self.link];
        let (child, parent) = (&shapes[link.child], parent_table(basis, shapes, link));
        let columns = link.columns.iter();
        let columns: Vec<String> = columns
            .map(|at| child.map.columns[*at].name.clone())
            .collect();
        let parent_columns: Vec<usize> = link.parent_columns.iter().map(|(at, _)| *at).collect();
        let name = |at: &usize| parent.columns[*at].name.clone();
        let undecided = self.listed.into_iter().filter(|listed| listed.records > 0);
        undecided
            .map(|listed| Missing {
                table: child.live.name.clone(),
                columns: columns.clone(),
                parent: parent.name.clone(),
                parent_columns: parent_columns.iter().map(name).collect(),
                values: listed.key,
                records: listed.records,
                examples: listed.examples,
                record: listed.record,
                in_conflict: listed.in_conflict,
                nullable: !self.nulls.is_empty(),
                required: required(parent, &parent_columns),
            })
            .collect()
    }
}

fn is_short(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() <= SHOWN_BYTES_MAX,
        ValueRef::Spilled(_) => false,
        _ => true,
    }
}

/// The columns of a reference that may be NULL.
pub(in crate::ops::restore) fn nulls(child: &TableShape, link: &Link) -> Vec<usize> {
    let may_be_null = |at: &usize| {
        let column = child.map.columns[*at].column;
        let in_key = |key: &KeyColumn| key.column as usize == column;
        !child.live.columns[column].not_null && !child.live.primary_key.iter().any(in_key)
    };
    link.columns.iter().copied().filter(may_be_null).collect()
}

/// Columns that a new row of a table must be given, beside the known ones.
pub(in crate::ops::restore) fn required(table: &Table, known: &[usize]) -> Vec<String> {
    let alias = table.rowid_alias();
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(at, column)| {
            column.not_null
                && column.default.is_none()
                && column.kind == ColumnKind::Ordinary
                && alias != Some(*at)
                && !known.contains(at)
        })
        .map(|(_, column)| column.name.clone())
        .collect()
}
