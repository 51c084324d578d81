//! The keys of a table's indexes, taken out of its records one by one: their values are copied as they are
//! encoded there.

use std::io;
use std::path::Path;

use rayon::prelude::*;

use super::batch::Batch;
use super::key::prefix;
use super::record::{Encoded, EncodedInteger, Place, locate, serial};
use super::shape::{IndexShape, Part, TableShape};
use super::sorter::{Pool, Sorter};

/// Keys of the indexes of one table.
#[derive(Debug)]
pub struct Keys {
    indexes: Vec<IndexKeys>,
    pool: Pool,
}

/// Keys of one index.
#[derive(Debug)]
struct IndexKeys {
    /// `None`: it is left out.
    sorter: Option<Sorter>,
    /// So many of a record's first values are looked for.
    values: usize,
    /// Of the record at hand, where they stand.
    places: Vec<Place>,
}

impl Keys {
    /// None yet. What does not fit into memory goes to files without a name in `folder`.
    pub fn of(table: &TableShape, folder: &Path, pool: &Pool) -> Self {
        let keys = |index: &IndexShape| IndexKeys {
            sorter: Some(Sorter::new(index.sorting.clone(), folder, pool.clone())),
            values: index.values(),
            places: Vec::new(),
        };
        Self {
            indexes: table.indexes.iter().map(keys).collect(),
            pool: pool.clone(),
        }
    }

    /// Takes what indexes hold of records, on the cores that there are.
    pub fn take_all(&mut self, shape: &TableShape, records: &Batch) -> io::Result<()> {
        let take = |(keys, index): (&mut IndexKeys, &IndexShape)| {
            let mut records = records.records();
            records.try_for_each(|(rowid, record)| keys.take(index, rowid, record, &[]))
        };
        let (keys, shapes) = (&mut self.indexes, &shape.indexes);
        match self.pool.as_ref().filter(|_| keys.len() > 1) {
            Some(pool) => pool.install(|| {
                let each = keys.par_iter_mut().zip(shapes.par_iter());
                each.with_max_len(1).try_for_each(take)
            }),
            None => keys.iter_mut().zip(shapes).try_for_each(take),
        }
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
        let mut each = self.indexes.iter_mut().zip(&shape.indexes);
        each.try_for_each(|(keys, index)| keys.take(index, rowid, record, large))
    }

    /// Keeps what is in memory within so many bytes, what waits there for keys to come included. Keys of indexes that
    /// grow alike go to files together, so that each finds its memory again.
    pub fn spill(&mut self, bytes_max: usize) -> io::Result<()> {
        // They are asked after a batch of records only: a little more than this is there then.
        let full = bytes_max - bytes_max / 16;
        let pool = self.pool.clone();
        if self.sum(Sorter::bytes) > full {
            let largest = self.sorters().map(|sorter| sorter.bytes()).max();
            let large = largest.unwrap_or(0) / 2;
            let due = self.sorters().filter(|sorter| sorter.bytes() > large);
            let due: Vec<&mut Sorter> = due.collect();
            match pool {
                Some(pool) => pool.install(|| due.into_par_iter().try_for_each(Sorter::spill))?,
                None => due.into_iter().try_for_each(Sorter::spill)?,
            }
        }
        if self.sum(|sorter| sorter.bytes() + sorter.spare_bytes()) > bytes_max {
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

    /// What was taken.
    pub fn into_sorters(mut self) -> Vec<Option<Sorter>> {
        self.sorters().for_each(Sorter::trim);
        self.indexes.into_iter().map(|keys| keys.sorter).collect()
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
        let prefix = prefix(parts.clone().map(Encoded::value), index.sorting.key());
        sorter.push(prefix, parts)
    }
}
