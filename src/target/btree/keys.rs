//! The keys of a table's indexes, taken out of its records one by one: their values are copied as they are
//! encoded there.

use std::io;
use std::path::Path;

use super::key::prefix;
use super::record::{Encoded, EncodedInteger, Place, locate, serial};
use super::shape::{IndexShape, Part, TableShape};
use super::sorter::{Pool, Sorter};

/// Keys of the indexes of one table.
#[derive(Debug)]
pub struct Keys {
    /// Of each index; `None`: it is left out.
    sorters: Vec<Option<Sorter>>,
    /// Of the record at hand, where its values stand.
    places: Vec<Place>,
}

impl Keys {
    /// None yet. What does not fit into memory goes to files without a name in `folder`.
    pub fn of(table: &TableShape, folder: &Path, pool: &Pool) -> Self {
        let sorter = |index: &IndexShape| {
            let sorting = index.sorting.clone();
            Some(Sorter::new(sorting, folder, pool.clone()))
        };
        Self {
            sorters: table.indexes.iter().map(sorter).collect(),
            places: Vec::new(),
        }
    }

    /// Takes what indexes hold of a record. `large`: places of values that are not in it; an index that has one
    /// in its keys is left out.
    pub fn take(
        &mut self,
        shape: &TableShape,
        rowid: i64,
        record: &[u8],
        large: &[usize],
    ) -> io::Result<()> {
        if self.sorters.is_empty() {
            return Ok(());
        }
        locate(record, &mut self.places);
        let rowid = EncodedInteger::of(rowid);
        for (index, sorter) in shape.indexes.iter().zip(&mut self.sorters) {
            let is_large = |part: &Part| matches!(part, Part::Field(at) if large.contains(at));
            if !large.is_empty() && index.parts.iter().any(is_large) {
                *sorter = None;
            }
            let Some(sorter) = sorter else { continue };
            let value = |at: &usize| self.places.get(*at).copied().unwrap_or_default().of(record);
            let is_null = |at: usize| value(&at).serial == serial::NULL && !large.contains(&at);
            if index.only_where_some.is_some_and(is_null) {
                continue;
            }
            let parts = index.parts.iter().map(|part| match part {
                Part::Rowid => rowid.encoded(),
                Part::Field(at) => value(at),
            });
            let prefix = prefix(parts.clone().map(Encoded::value), index.sorting.key());
            sorter.push(prefix, parts)?;
        }
        Ok(())
    }

    /// Keeps what is in memory within so many bytes.
    pub fn spill(&mut self, bytes_max: usize) -> io::Result<()> {
        let bytes = |sorters: &[Option<Sorter>]| -> usize {
            sorters.iter().flatten().map(Sorter::bytes).sum()
        };
        while bytes(&self.sorters) > bytes_max {
            let largest = self.sorters.iter_mut().flatten().max_by_key(|s| s.bytes());
            let Some(largest) = largest else { break };
            largest.spill()?;
        }
        Ok(())
    }

    /// What was taken.
    pub fn into_sorters(self) -> Vec<Option<Sorter>> {
        self.sorters
    }
}
