//! Looks up which row each record of one table means. The rules: docs/restore.md §2.

use std::cmp::Ordering;

use super::decide::{Found, Identity, Row, contradicts, identify};
use crate::model::row::compare_values;
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::basis::Basis;
use crate::ops::restore::options::Mode;
use crate::ops::restore::scope::shape::TableShape;
use crate::target::{
    Comparer, Copies, Field, KeyMap, KeyName, Lookup, Record, RowId, SpilledContent, TargetError,
    Worksheet,
};

/// What a record means.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops::restore) enum Verdict {
    /// No row.
    New,
    /// This row; [`Matcher::fields`] compares it.
    Row {
        /// The row.
        row: Row,
        /// True if its primary key is another than the record's.
        other_id: bool,
    },
    /// The row with its primary key may be another thing.
    Doubtful {
        /// The row.
        row: Row,
        /// The keys that find no row.
        missing: Vec<KeyName>,
    },
    /// Several rows.
    Several {
        /// The rows.
        rows: Vec<Row>,
        /// The keys that find them.
        keys: Vec<KeyName>,
    },
    /// A row that some UNIQUE keys find, and others contradict.
    Disputed {
        /// The row.
        row: Row,
        /// The keys that find it.
        keys: Vec<KeyName>,
        /// The keys that are others there.
        missing: Vec<KeyName>,
    },
    /// A row that is equal as a whole.
    Copy,
}

/// Finds the rows that the records of one table mean.
pub(in crate::ops::restore) struct Matcher<'d> {
    basis: &'d Basis<'d>,
    shape: &'d TableShape,
    asked: (Vec<KeyName>, Vec<KeyName>),
    /// `None`: the table has no rows.
    live: Option<(Lookup<'d>, Comparer<'d>)>,
    /// Keys of records that are inserted; `None`: they cannot collide.
    planned: Option<Vec<(KeyName, KeyMap<'d>)>>,
    /// UNIQUE keys that rows get which are overwritten.
    gained: Vec<(KeyName, KeyMap<'d>)>,
    /// Rows without a key, counted when the first such record comes.
    copies: Option<Copies>,
    fields: Vec<Field>,
}

impl<'d> Matcher<'d> {
    /// For one table. `has_rows`: the live table is there and not empty. `may_collide`: records may
    /// have keys of each other.
    pub(in crate::ops::restore) fn new(
        basis: &'d Basis<'d>,
        sheet: &'d Worksheet,
        shape: &'d TableShape,
        has_rows: bool,
        may_collide: bool,
    ) -> Result<Self, TargetError> {
        let (table, map) = (&shape.live, &shape.map);
        let live = match has_rows {
            true => Some((
                Lookup::new(basis.live, table, map)?,
                Comparer::new(basis.live, table, map)?,
            )),
            false => None,
        };
        let key_map = |name: KeyName| {
            let parts = map.key(name).map_or(&[][..], |key| &key.columns);
            let columns = parts.iter();
            let columns: Vec<_> = columns
                .map(|(at, c)| (map.columns[*at].column, c.clone()))
                .collect();
            Ok((name, sheet.key_map(table, &columns)?))
        };
        let planned = may_collide.then(|| map.keys().into_iter().map(key_map).collect());
        let overwrites = has_rows && basis.mode() == Mode::Replace;
        let unique = (0..map.unique.len()).filter(|_| overwrites);
        let gained = unique.map(|at| key_map(KeyName::Unique(at)));
        Ok(Self {
            basis,
            shape,
            asked: shape.asked(basis.options.matching),
            live,
            planned: planned.transpose()?,
            gained: gained.collect::<Result<_, TargetError>>()?,
            copies: None,
            fields: Vec::new(),
        })
    }

    /// Which row a record means.
    pub(in crate::ops::restore) fn find(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Verdict, TargetError> {
        self.fields.clear();
        let mut found = self.ask(0, record, content)?;
        if found.is_empty() {
            found = self.ask(1, record, content)?;
        }
        if found.is_empty() {
            return self.whole_row(record, content);
        }
        Ok(match identify(&found) {
            Identity::New => Verdict::New,
            Identity::Several { rows, keys } => Verdict::Several { rows, keys },
            Identity::Same {
                row,
                by_primary,
                keys,
                missing,
            } => {
                self.compare(&row, record, content)?;
                if contradicts(&self.shape.map, &missing, &self.fields) {
                    return Ok(Verdict::Disputed { row, keys, missing });
                }
                let other_id = !by_primary && self.has_other_id(&row, record)?;
                Verdict::Row { row, other_id }
            }
            Identity::Doubtful { row, missing } => {
                self.compare(&row, record, content)?;
                match contradicts(&self.shape.map, &missing, &self.fields) {
                    true => Verdict::Doubtful { row, missing },
                    false => Verdict::Row {
                        row,
                        other_id: false,
                    },
                }
            }
        })
    }

    /// True if the row that was compared last has another primary key than the record, as the key compares.
    fn has_other_id(&mut self, row: &Row, record: Record<'_>) -> Result<bool, TargetError> {
        let map = &self.shape.map;
        let Some(key) = map.primary.as_ref().filter(|key| key.is_whole(record)) else {
            return Ok(false);
        };
        let is_same = |at: &usize| self.fields.get(*at) == Some(&Field::Equal);
        let positions = key.positions();
        if positions.iter().all(is_same) {
            return Ok(false);
        }
        let now = match row {
            Row::Live(id) => self.values(id, &positions)?,
            Row::Planned(ordinal) => {
                let values = self.planned_values(*ordinal, record)?;
                let value = |at: &usize| values.get(*at).cloned().unwrap_or(Value::Null);
                positions.iter().map(value).collect()
            }
        };
        let mut parts = key.columns.iter().zip(now);
        Ok(!parts.all(|((at, collation), now)| {
            let order = compare_values(
                now.as_ref(),
                record.value(*at),
                collation,
                TextEncoding::Utf8,
            );
            order == Some(Ordering::Equal)
        }))
    }

    fn ask(
        &mut self,
        list: usize,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Vec<Found>, TargetError> {
        let names = match list {
            0 => self.asked.0.clone(),
            _ => self.asked.1.clone(),
        };
        let mut found = Vec::new();
        for name in names {
            let key = self.shape.map.key(name);
            if key.is_some_and(|key| key.is_whole(record)) {
                let rows = self.rows(name, record, content)?;
                found.push(Found { key: name, rows });
            }
        }
        Ok(found)
    }

    /// The rows that one key of a record finds, those that the plan inserts with them.
    pub(in crate::ops::restore) fn rows(
        &mut self,
        name: KeyName,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Vec<Row>, TargetError> {
        let mut rows: Vec<Row> = match &mut self.live {
            Some((lookup, _)) => {
                let ids = lookup.find(name, record, content)?;
                ids.into_iter().map(Row::Live).collect()
            }
            None => Vec::new(),
        };
        let planned = self.planned.iter_mut().flatten();
        for (_, keys) in planned.filter(|(key, _)| *key == name) {
            let at = self.shape.map.key(name).map(crate::target::Key::positions);
            if let Some(key) = record.whole(&at.unwrap_or_default())
                && let Some(entry) = keys.get(&key)?
            {
                rows.push(Row::Planned(entry.mark.unsigned_abs()));
            }
        }
        Ok(rows)
    }

    fn compare(
        &mut self,
        row: &Row,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<(), TargetError> {
        match row {
            Row::Live(id) => match &mut self.live {
                Some((_, comparer)) => comparer.compare(id, record, content, &mut self.fields),
                None => Ok(()),
            },
            Row::Planned(ordinal) => {
                let values = self.planned_values(*ordinal, record)?;
                self.fields.clear();
                for (at, planned) in values.iter().enumerate() {
                    let value = record.value(at);
                    self.fields.push(match planned {
                        _ if planned.as_ref().identical(value) => Field::Equal,
                        Value::Null => Field::Empty,
                        _ => Field::Differs,
                    });
                }
                Ok(())
            }
        }
    }

    /// The values of a record that the plan inserts and that a key of this one finds.
    pub(in crate::ops::restore) fn planned_values(
        &mut self,
        ordinal: u64,
        record: Record<'_>,
    ) -> Result<Vec<Value>, TargetError> {
        for (name, keys) in self.planned.iter_mut().flatten() {
            let at = self.shape.map.key(*name).map(crate::target::Key::positions);
            if let Some(key) = record.whole(&at.unwrap_or_default())
                && let Some(entry) = keys.get(&key)?
                && entry.mark.unsigned_abs() == ordinal
            {
                return Ok(entry.values);
            }
        }
        Ok(Vec::new())
    }

    /// Notes that a record is inserted with these values.
    pub(in crate::ops::restore) fn inserts(
        &mut self,
        ordinal: u64,
        record: Record<'_>,
    ) -> Result<(), TargetError> {
        let Some(planned) = &mut self.planned else {
            return Ok(());
        };
        let mark = i64::try_from(ordinal).unwrap_or(i64::MAX);
        let values: Vec<Value> = record
            .values
            .iter()
            .map(|v| ValueRef::to_owned(*v))
            .collect();
        for (name, keys) in planned {
            let at = self.shape.map.key(*name).map(crate::target::Key::positions);
            if let Some(key) = record.whole(&at.unwrap_or_default()) {
                keys.put(&key, mark, &values)?;
            }
        }
        Ok(())
    }

    /// Notes that a row gets the values of a record, but for its primary key.
    pub(in crate::ops::restore) fn updates(
        &mut self,
        id: &RowId,
        record: Record<'_>,
    ) -> Result<(), TargetError> {
        let map = &self.shape.map;
        let primary = map.primary.as_ref().map(crate::target::Key::positions);
        let primary = primary.unwrap_or_default();
        let kept = self.values(id, &primary)?;
        for (name, keys) in &mut self.gained {
            let at = map.key(*name).map(crate::target::Key::positions);
            let value = |at: &usize| match primary.iter().position(|other| other == at) {
                Some(place) => kept[place].clone(),
                None => record.value(*at).to_owned(),
            };
            let key: Vec<Value> = at.unwrap_or_default().iter().map(value).collect();
            if !key.contains(&Value::Null) {
                keys.add(&key, 0)?;
            }
        }
        Ok(())
    }

    /// True if a row that is overwritten gets this UNIQUE key of a record.
    pub(in crate::ops::restore) fn is_gained(
        &mut self,
        name: KeyName,
        record: Record<'_>,
    ) -> Result<bool, TargetError> {
        let at = self.shape.map.key(name).map(crate::target::Key::positions);
        let key = record.whole(&at.unwrap_or_default());
        let mut gained = self.gained.iter_mut();
        match (gained.find(|(other, _)| *other == name), key) {
            (Some((_, keys)), Some(key)) => keys.has(&key),
            _ => Ok(false),
        }
    }

    /// A record that no key tells from others: it is there if a copy is left that no other claimed.
    fn whole_row(
        &mut self,
        record: Record<'_>,
        content: &mut dyn SpilledContent,
    ) -> Result<Verdict, TargetError> {
        if self.live.is_none() {
            return Ok(Verdict::New);
        }
        let (live, table, map) = (self.basis.live, &self.shape.live, &self.shape.map);
        let copies = match &mut self.copies {
            Some(copies) => copies,
            empty => empty.insert(Copies::of(live, table, map)?),
        };
        Ok(match copies.take(live, table, map, record, content)? {
            true => Verdict::Copy,
            false => Verdict::New,
        })
    }

    /// What the row of the last verdict has beside the record: one for each mapped column.
    pub(in crate::ops::restore) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Values of a row of the database.
    pub(in crate::ops::restore) fn values(
        &self,
        id: &RowId,
        columns: &[usize],
    ) -> Result<Vec<Value>, TargetError> {
        match &self.live {
            Some((_, comparer)) => comparer.values(id, columns),
            None => Ok(vec![Value::Null; columns.len()]),
        }
    }

    /// Rows for people, each as its columns and values.
    pub(in crate::ops::restore) fn describe(
        &self,
        rows: &[Row],
    ) -> Result<Vec<Vec<String>>, TargetError> {
        let describe = |row: &Row| match (row, &self.live) {
            (Row::Live(id), Some((lookup, _))) => lookup.describe(id),
            (Row::Live(_), None) => Ok(Vec::new()),
            (Row::Planned(ordinal), _) => Ok(vec![format!(
                "record {} of the snapshot, which is inserted",
                ordinal + 1
            )]),
        };
        rows.iter().map(describe).collect()
    }
}
