//! The keys of a table's indexes, taken out of its records one by one: their values are copied as they are
//! encoded there.

use std::io;
use std::path::Path;

use rayon::prelude::*;

use super::batch::Batch;
use super::record::{EncodedInteger, Place, locate, serial};
use super::shape::{IndexShape, Part, TableShape};
use super::sorter::{Memory, Pool, Sorter};
use super::sorting::Sorting;

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
    /// None yet. What does not fit into memory goes to files without a name in `folder`. `spare`: memory of another
    /// table's keys, which is used again, or given back.
    pub fn of(table: &TableShape, folder: &Path, pool: &Pool, spare: Vec<Memory>) -> Self {
        let mut spare = spare.into_iter();
        let mut sorter = |sorting: &Sorting| {
            let memory = spare.next().unwrap_or_default();
            Sorter::new(sorting.clone(), folder, pool.clone(), memory)
        };
        let keys = |index: &IndexShape| IndexKeys {
            sorter: Some(sorter(&index.sorting)),
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
            in_pool(&pool, due, Sorter::spill)?;
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

    /// What was taken, and memory that is not needed for it any more.
    pub fn end(mut self) -> io::Result<(Vec<Option<Sorter>>, Vec<Memory>)> {
        let pool = self.pool.clone();
        let spare = in_pool(&pool, self.sorters().collect(), Sorter::end)?;
        let sorters = self.indexes.into_iter().map(|keys| keys.sorter).collect();
        Ok((sorters, spare.into_iter().flatten().collect()))
    }
}

/// Does the same with each, on the threads of the pool.
fn in_pool<T: Send>(
    pool: &Pool,
    sorters: Vec<&mut Sorter>,
    what: impl Fn(&mut Sorter) -> io::Result<T> + Sync + Send,
) -> io::Result<Vec<T>> {
    match pool {
        Some(pool) => pool.install(|| sorters.into_par_iter().map(what).collect()),
        None => sorters.into_iter().map(what).collect(),
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
