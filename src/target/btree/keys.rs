//! The keys of a table's indexes, taken out of its records one by one: their values are copied as they are
//! encoded there.

use std::io;

use super::batch::Batch;
use super::builder::Plan;
use super::key_memory::Memory;
use super::record::{EncodedInteger, Place, locate, serial};
use super::shape::{IndexShape, Part, TableShape};
use super::sorter::Sorter;

/// Keys of indexes of one table.
#[derive(Debug)]
pub struct Keys {
    indexes: Vec<IndexKeys>,
}

/// Keys of one index.
#[derive(Debug)]
struct IndexKeys {
    /// Its place among those of the table.
    index: usize,
    /// `None`: it is left out.
    sorter: Option<Sorter>,
    /// So many of a record's first values are looked for.
    values: usize,
    /// Of the record at hand, where they stand.
    places: Vec<Place>,
}

impl Keys {
    /// None yet, of these of a table's indexes. `spare`: memory of another table's keys, which is used
    /// again, or given back.
    pub fn of(table: &TableShape, indexes: &[usize], plan: &Plan, spare: Vec<Memory>) -> Self {
        let memory = spare
            .into_iter()
            .chain(std::iter::repeat_with(Memory::default));
        let keys = |(index, memory): (&usize, Memory)| {
            let shape = table.indexes.get(*index)?;
            let sorter = Sorter::new(
                shape.sorting.clone(),
                &plan.folder,
                plan.pool.clone(),
                memory,
            );
            Some(IndexKeys {
                index: *index,
                sorter: Some(sorter),
                values: shape.values(),
                places: Vec::new(),
            })
        };
        Self {
            indexes: indexes.iter().zip(memory).filter_map(keys).collect(),
        }
    }

    /// Takes what they hold of records.
    pub fn take_all(&mut self, shape: &TableShape, records: &Batch) -> io::Result<()> {
        self.indexes.iter_mut().try_for_each(|keys| {
            let index = &shape.indexes[keys.index];
            let mut records = records.records();
            records.try_for_each(|(rowid, record)| keys.take(index, rowid, record, &[]))
        })
    }

    /// Takes what they hold of one record. `large`: places of values that are not in it; an index that has one in its
    /// keys is left out.
    pub fn take(
        &mut self,
        shape: &TableShape,
        rowid: i64,
        record: &[u8],
        large: &[usize],
    ) -> io::Result<()> {
        self.indexes.iter_mut().try_for_each(|keys| {
            let index = &shape.indexes[keys.index];
            keys.take(index, rowid, record, large)
        })
    }

    /// Keeps what is in memory within so many bytes, what waits there for keys to come included. Half of it is for those that
    /// are being written. Keys of indexes that grow alike go to files together, so that each finds its memory again.
    pub fn spill(&mut self, bytes_max: usize) -> io::Result<()> {
        // They are asked after a batch of records only: a little more than this is there then.
        let full = (bytes_max - bytes_max / 16) / 2;
        if self.sum(Sorter::bytes) > full {
            let largest = self.sorters().map(|sorter| sorter.bytes()).max();
            let large = largest.unwrap_or(0) / 2;
            let mut due = self.sorters().filter(|sorter| sorter.bytes() > large);
            due.try_for_each(Sorter::spill)?;
        }
        if self.sum(Sorter::held_bytes) > bytes_max {
            self.sorters().for_each(Sorter::trim);
        }
        Ok(())
    }

    fn sum(&self, bytes: impl Fn(&Sorter) -> usize) -> usize {
        let sorters = self.indexes.iter().filter_map(|keys| keys.sorter.as_ref());
        sorters.map(bytes).sum()
    }

    fn sorters(&mut self) -> impl Iterator<Item = &mut Sorter> {
        self.indexes
            .iter_mut()
            .filter_map(|keys| keys.sorter.as_mut())
    }

    /// What was taken, and memory that is not needed for it any more.
    pub fn end(mut self) -> io::Result<(Vec<Option<Sorter>>, Vec<Memory>)> {
        let spare: io::Result<Vec<_>> = self.sorters().map(Sorter::end).collect();
        let sorters = self.indexes.into_iter().map(|keys| keys.sorter).collect();
        Ok((sorters, spare?))
    }
}

impl IndexKeys {
    fn take(
        &mut self,
        index: &IndexShape,
        rowid: i64,
        record: &[u8],
        large: &[usize],
    ) -> io::Result<()> {
        let is_large = |part: &Part| matches!(part, Part::Field(at) if large.contains(at));
        if !large.is_empty() && index.parts.iter().any(is_large) {
            self.sorter = None;
        }
        let Some(sorter) = &mut self.sorter else {
            return Ok(());
        };
        locate(record, self.values, &mut self.places);
        let rowid = EncodedInteger::of(rowid);
        let value = |at: &usize| self.places.get(*at).copied().unwrap_or_default().of(record);
        let is_null = |at: usize| value(&at).serial == serial::NULL && !large.contains(&at);
        if index.only_where_some.is_some_and(is_null) {
            return Ok(());
        }
        let parts = index.parts.iter().map(|part| match part {
            Part::Rowid => rowid.encoded(),
            Part::Field(at) => value(at),
        });
        sorter.push(parts)
    }
}
