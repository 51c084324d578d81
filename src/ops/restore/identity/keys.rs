//! What became of the keys that records refer to: so that references follow a record that has another
//! key in the database, and those whose target is gone are known. Kept on the worksheet; only what is
//! not as in the snapshot is noted.

use crate::model::row::compare_values;
use crate::model::text::TextEncoding;
use crate::model::value::{Value, ValueRef};
use crate::ops::restore::scope::links::{Links, Wanted};
use crate::ops::restore::scope::shape::TableShape;
use crate::target::{KeyMap, KeyName, Record, TargetError, Worksheet};

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops::restore) enum Fate {
    /// The record has another key.
    Moved,
    /// No row has it.
    Absent,
    /// The row with it may be another thing.
    Doubtful,
    /// Its record is left out, since what it refers to is.
    Dropped,
    /// Its record is in conflict, which stops all: nothing more is said of it.
    Unsettled,
}

impl Fate {
    const ALL: [Self; 5] = [
        Self::Moved,
        Self::Absent,
        Self::Doubtful,
        Self::Dropped,
        Self::Unsettled,
    ];

    fn mark(self) -> i64 {
        self as i64
    }
}

/// The keys of all tables that are referred to.
pub(in crate::ops::restore) struct Keys<'w> {
    /// By position in `Links::wanted`.
    maps: Vec<KeyMap<'w>>,
    /// Those of the round before, of tables on a cycle.
    before: Vec<Option<KeyMap<'w>>>,
    dropped: Vec<KeyMap<'w>>,
    /// Whether a reference to one of these keys has no target.
    gaps: Vec<bool>,
}

/// Gives the values that a record or row has now in some of its mapped columns.
pub(in crate::ops::restore) type Values<'f> =
    dyn Fn(&[usize]) -> Result<Vec<Value>, TargetError> + 'f;

/// A record's values where they are not the snapshot's: mapped column and value.
pub(in crate::ops::restore) type Changes = Vec<(usize, Value)>;

/// A record's references, translated.
#[derive(Debug, Default)]
pub(in crate::ops::restore) struct Translated {
    /// What is different.
    pub changes: Changes,
    /// References that changed.
    pub followed: u64,
    /// Tables, by position, whose doubtful rows it refers to.
    pub doubtful: Vec<usize>,
}

impl<'w> Keys<'w> {
    /// Empty ones.
    pub(in crate::ops::restore) fn new(
        sheet: &'w Worksheet,
        shapes: &[TableShape],
        links: &Links,
    ) -> Result<Self, TargetError> {
        let map = |wanted: &crate::ops::restore::scope::links::Wanted| {
            sheet.key_map(&shapes[wanted.table].live, &wanted.columns)
        };
        let maps = links
            .wanted
            .iter()
            .map(map)
            .collect::<Result<Vec<_>, _>>()?;
        let dropped = links
            .wanted
            .iter()
            .map(map)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            before: maps.iter().map(|_| None).collect(),
            gaps: vec![false; maps.len()],
            maps,
            dropped,
        })
    }

    /// Begins another round over the tables of a cycle: what is known of their keys is asked, and found
    /// anew.
    pub(in crate::ops::restore) fn next_round(
        &mut self,
        sheet: &'w Worksheet,
        shapes: &[TableShape],
        links: &Links,
        tables: &[usize],
    ) -> Result<(), TargetError> {
        for (at, wanted) in links.wanted.iter().enumerate() {
            if tables.contains(&wanted.table) {
                let fresh = match self.before[at].take() {
                    Some(mut old) => {
                        old.clear()?;
                        old
                    }
                    None => sheet.key_map(&shapes[wanted.table].live, &wanted.columns)?,
                };
                self.before[at] = Some(std::mem::replace(&mut self.maps[at], fresh));
            }
        }
        Ok(())
    }

    /// True if the last round found what the one before did. In a first round: if nothing was found.
    pub(in crate::ops::restore) fn is_settled(
        &self,
        links: &Links,
        tables: &[usize],
    ) -> Result<bool, TargetError> {
        for (at, wanted) in links.wanted.iter().enumerate() {
            if tables.contains(&wanted.table) {
                let settled = match &self.before[at] {
                    Some(before) => self.maps[at].is_same(before)?,
                    None => self.maps[at].is_empty(),
                };
                if !settled {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Ends the rounds over a cycle.
    pub(in crate::ops::restore) fn end_rounds(&mut self) {
        self.before.iter_mut().for_each(|before| *before = None);
    }

    /// True if references of a table may have to change.
    pub(in crate::ops::restore) fn may_translate(&self, links: &Links, child: usize) -> bool {
        let mut of_child = links.of_child(child);
        of_child.any(|(_, link)| {
            link.wanted.is_some_and(|at| {
                let asked = self.before[at].as_ref().unwrap_or(&self.maps[at]);
                !asked.is_empty()
            })
        })
    }

    /// Translates the references of a record with the values of the snapshot.
    pub(in crate::ops::restore) fn translate(
        &mut self,
        links: &Links,
        shape: &TableShape,
        child: usize,
        record: Record<'_>,
    ) -> Result<Translated, TargetError> {
        let mut translated = Translated::default();
        for (_, link) in links.of_child(child) {
            let Some(at) = link.wanted else { continue };
            let asked = self.before[at].as_mut().unwrap_or(&mut self.maps[at]);
            if asked.is_empty() {
                continue;
            }
            let Some(key) = record.whole(&link.columns) else {
                continue;
            };
            let Some(entry) = asked.get(&key)? else {
                continue;
            };
            if entry.mark == Fate::Doubtful.mark() {
                translated.doubtful.push(links.wanted[at].table);
            } else if entry.mark == Fate::Moved.mark() {
                translated.followed += 1;
                for (column, value) in link.columns.iter().zip(entry.values) {
                    let value = stored_in(shape.declared_type(*column), value);
                    translated.changes.retain(|(other, _)| other != column);
                    translated.changes.push((*column, value));
                }
            }
        }
        Ok(translated)
    }

    /// What became of a key of the snapshot; `None`: nothing that is known of.
    pub(in crate::ops::restore) fn fate(
        &mut self,
        wanted: usize,
        key: &[Value],
    ) -> Result<Option<Fate>, TargetError> {
        if self.dropped[wanted].has(key)? {
            return Ok(Some(Fate::Dropped));
        }
        let entry = self.maps[wanted].get(key)?;
        let of = |mark: i64| Fate::ALL.into_iter().find(|fate| fate.mark() == mark);
        Ok(entry.and_then(|entry| of(entry.mark)))
    }

    /// The key that a record has in the database, if it has another; as the parent's columns compare, it is
    /// `as_it_is`.
    pub(in crate::ops::restore) fn is_followed(
        &mut self,
        links: &Links,
        wanted: usize,
        key: &[Value],
        as_it_is: &[Value],
    ) -> Result<bool, TargetError> {
        let Some(entry) = self.maps[wanted].get(key)? else {
            return Ok(true);
        };
        let moved = entry.mark == Fate::Moved.mark();
        Ok(!moved || is_same_key(&links.wanted[wanted], &entry.values, as_it_is))
    }

    /// True if references to this key must be looked at: some have no target.
    pub(in crate::ops::restore) fn has_gaps(&self, wanted: usize) -> bool {
        self.gaps[wanted]
    }

    /// Notes that a record's key is another one in the database. `was`: the record with the snapshot's
    /// values; `is`: the row's or record's values.
    pub(in crate::ops::restore) fn moved(
        &mut self,
        links: &Links,
        table: usize,
        was: Record<'_>,
        is: &Values<'_>,
    ) -> Result<(), TargetError> {
        for (at, wanted) in links.of_parent(table) {
            let Some(old) = was.whole(&wanted.mapped) else {
                continue;
            };
            let new = is(&wanted.mapped)?;
            if is_same_key(wanted, &old, &new) {
                continue;
            }
            match new.contains(&Value::Null) {
                true => self.lose(at, &old)?,
                false => self.maps[at].put(&old, Fate::Moved.mark(), &new)?,
            }
        }
        Ok(())
    }

    /// Notes that the row with a record's primary key may be another thing: references by that key keep
    /// it, those by others have no target.
    pub(in crate::ops::restore) fn doubtful(
        &mut self,
        links: &Links,
        shape: &TableShape,
        table: usize,
        was: Record<'_>,
    ) -> Result<(), TargetError> {
        for (at, wanted) in links.of_parent(table) {
            let Some(old) = was.whole(&wanted.mapped) else {
                continue;
            };
            match is_key(shape, KeyName::Primary, &wanted.mapped) {
                true => self.maps[at].add(&old, Fate::Doubtful.mark())?,
                // Whether a row has it, the database says.
                false => self.gaps[at] = true,
            }
        }
        Ok(())
    }

    /// Notes that a record has no row and is not restored: what refers to it has no target, also where
    /// another row has its key. That no row has one of the `asked` keys is known.
    pub(in crate::ops::restore) fn not_here(
        &mut self,
        links: &Links,
        shape: &TableShape,
        table: usize,
        was: Record<'_>,
        asked: &[KeyName],
    ) -> Result<(), TargetError> {
        for (at, wanted) in links.of_parent(table) {
            let is_asked = asked
                .iter()
                .any(|name| is_key(shape, *name, &wanted.mapped));
            if let (false, Some(old)) = (is_asked, was.whole(&wanted.mapped)) {
                self.lose(at, &old)?;
            }
        }
        Ok(())
    }

    /// Notes that a record is in conflict, which stops all.
    pub(in crate::ops::restore) fn unsettled(
        &mut self,
        links: &Links,
        table: usize,
        was: Record<'_>,
    ) -> Result<(), TargetError> {
        self.each_key(links, table, was, |keys, at, old| {
            keys.maps[at].add(old, Fate::Unsettled.mark())
        })
    }

    /// Notes that a record has no row: references to it have no target.
    pub(in crate::ops::restore) fn absent(
        &mut self,
        links: &Links,
        table: usize,
        was: Record<'_>,
    ) -> Result<(), TargetError> {
        self.each_key(links, table, was, |keys, at, old| keys.lose(at, old))
    }

    fn lose(&mut self, wanted: usize, key: &[Value]) -> Result<(), TargetError> {
        self.gaps[wanted] = true;
        self.maps[wanted].add(key, Fate::Absent.mark())
    }

    /// Notes that a record is left out after all.
    pub(in crate::ops::restore) fn drop_record(
        &mut self,
        links: &Links,
        table: usize,
        was: Record<'_>,
    ) -> Result<(), TargetError> {
        self.each_key(links, table, was, |keys, at, old| {
            keys.gaps[at] = true;
            keys.dropped[at].add(old, Fate::Dropped.mark())
        })
    }

    /// Calls `each` for the keys of a record that are referred to and whole in it.
    fn each_key(
        &mut self,
        links: &Links,
        table: usize,
        was: Record<'_>,
        mut each: impl FnMut(&mut Self, usize, &[Value]) -> Result<(), TargetError>,
    ) -> Result<(), TargetError> {
        for (at, wanted) in links.of_parent(table) {
            if let Some(old) = was.whole(&wanted.mapped) {
                each(self, at, &old)?;
            }
        }
        Ok(())
    }

    /// True if records with this key were left out.
    pub(in crate::ops::restore) fn has_dropped(&self, wanted: usize) -> bool {
        !self.dropped[wanted].is_empty()
    }

    /// Forgets what became of the keys of a table.
    pub(in crate::ops::restore) fn clear(
        &mut self,
        links: &Links,
        table: usize,
    ) -> Result<(), TargetError> {
        for (at, _) in links.of_parent(table) {
            self.maps[at].clear()?;
            self.dropped[at].clear()?;
            self.gaps[at] = false;
        }
        Ok(())
    }
}

/// True if both are the same key, as its columns compare.
fn is_same_key(wanted: &Wanted, a: &[Value], b: &[Value]) -> bool {
    let pairs = a.iter().zip(b).zip(&wanted.columns);
    pairs.into_iter().all(|((a, b), (_, collation))| {
        let order = compare_values(a.as_ref(), b.as_ref(), collation, TextEncoding::Utf8);
        order == Some(std::cmp::Ordering::Equal)
    })
}

/// True if these mapped columns are a key of the table.
fn is_key(shape: &TableShape, name: KeyName, columns: &[usize]) -> bool {
    shape.map.key(name).is_some_and(|key| {
        let (mut of_key, mut of_columns) = (key.positions(), columns.to_vec());
        of_key.sort_unstable();
        of_columns.sort_unstable();
        of_key == of_columns
    })
}

/// A key's value as the column of a reference stores it (SQLite's documentation, "Datatypes", section 3.1
/// "Determination Of Column Affinity").
pub(in crate::ops::restore) fn stored_in(declared_type: &str, key: Value) -> Value {
    let declared = declared_type.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let is_number = has(&["INT"]);
    let is_text = !is_number && has(&["CHAR", "CLOB", "TEXT"]);
    let is_as_it_is = declared.is_empty() || (!is_number && !is_text && has(&["BLOB"]));
    match key {
        Value::Integer(number) if is_text => Value::Text(number.to_string().into_bytes()),
        Value::Text(bytes) if !is_text && !is_as_it_is => {
            let number = std::str::from_utf8(&bytes).ok();
            let number = number.and_then(|text| text.parse::<i64>().ok());
            match number.filter(|number| number.to_string().as_bytes() == bytes) {
                Some(number) => Value::Integer(number),
                None => Value::Text(bytes),
            }
        }
        key => key,
    }
}

/// A record's values with some changed.
pub(in crate::ops::restore) fn changed<'v>(
    values: &[ValueRef<'v>],
    changes: &'v [(usize, Value)],
) -> Vec<ValueRef<'v>> {
    let mut values = values.to_vec();
    for (at, value) in changes {
        if let Some(slot) = values.get_mut(*at) {
            *slot = value.as_ref();
        }
    }
    values
}
