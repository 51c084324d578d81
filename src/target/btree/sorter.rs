//! Sorts the keys of an index: in memory, and where they grow too large, in runs in a temporary file, which are merged at
//! the end. A run is sorted and written on a thread of its own, while the next keys come.
//!
//! Keys that are equal stay in the order in which they came, which is that of the rowids or primary keys that
//! stand behind them: so the order is one, whatever was put into files when. Where an index has primary keys in
//! another order than the table, they are compared, too.

use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};

use super::key_memory::Memory;
use super::record::Encoded;
use super::runs::Runs;
use super::sorting::{Pool, Sorting, Stop};

/// Not more threads merge runs at once: one that writes takes what they give.
const MERGING_MAX: usize = 3;

/// Keys of one index.
#[derive(Debug)]
pub struct Sorter {
    sorting: Sorting,
    memory: Memory,
    /// Memory for the next keys, while the ones before are written.
    other: Memory,
    has_runs: bool,
    /// Elsewhere while one is written.
    runs: Runs,
    spilling: Option<Spilling>,
    pool: Pool,
}

/// A run that is being sorted and written.
#[derive(Debug)]
struct Spilling {
    thread: JoinHandle<io::Result<(Memory, Runs)>>,
    bytes: usize,
}

impl Sorter {
    /// Nothing yet. Runs go to a file without a name in `folder`.
    pub fn new(sorting: Sorting, folder: &Path, pool: Pool, memory: Memory) -> Self {
        Self {
            sorting,
            memory,
            other: Memory::default(),
            has_runs: false,
            runs: Runs::new(folder),
            spilling: None,
            pool,
        }
    }

    /// Bytes of memory that its keys take, without those that are being written.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Bytes of memory that it has, what waits for keys to come included.
    pub fn held_bytes(&self) -> usize {
        let spilling = self.spilling.as_ref().map_or(0, |spilling| spilling.bytes);
        self.memory.bytes() + self.memory.spare_bytes() + self.other.spare_bytes() + spilling
    }

    /// Gives back what waits for keys to come.
    pub fn trim(&mut self) {
        self.memory.trim();
        self.other.trim();
    }

    /// Adds a key, the record of these values.
    pub fn push<'v>(
        &mut self,
        values: impl Iterator<Item = Encoded<'v>> + Clone,
    ) -> io::Result<()> {
        if self.memory.push(values.clone(), &self.sorting) {
            return Ok(());
        }
        self.spill()?;
        match self.memory.push(values, &self.sorting) {
            true => Ok(()),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    /// There are no more keys: they are sorted, and where some are in a file, the others go there as well. Gives memory that
    /// is not needed any more.
    pub fn end(&mut self) -> io::Result<Memory> {
        if self.has_runs {
            self.spill()?;
            return Ok(std::mem::take(&mut self.memory));
        }
        self.trim();
        self.memory.sort(&self.sorting, &self.pool);
        Ok(Memory::default())
    }

    /// Bytes of each record, in order; `None` where some are in a file.
    pub fn lengths(&self) -> Option<impl Iterator<Item = usize>> {
        (!self.has_runs).then(|| self.memory.lengths())
    }

    /// Puts what is in memory into a file, beside what comes next. The memory is kept for keys to come.
    pub fn spill(&mut self) -> io::Result<()> {
        if self.memory.is_empty() {
            return Ok(());
        }
        self.wait()?;
        self.has_runs = true;
        let mut memory = std::mem::replace(&mut self.memory, std::mem::take(&mut self.other));
        let mut runs = std::mem::take(&mut self.runs);
        let (sorting, pool, bytes) = (self.sorting.clone(), self.pool.clone(), memory.bytes());
        let thread = thread::Builder::new().name("spill".to_owned());
        let thread = thread.spawn(move || {
            memory.sort(&sorting, &pool);
            memory.move_to(&mut runs)?;
            Ok((memory, runs))
        })?;
        self.spilling = Some(Spilling { thread, bytes });
        Ok(())
    }

    /// Waits for the run that is being written.
    fn wait(&mut self) -> io::Result<()> {
        if let Some(spilling) = self.spilling.take() {
            let spilled = spilling.thread.join();
            let spilled = spilled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (self.other, self.runs) = spilled?;
        }
        Ok(())
    }

    /// Gives the records in order. Errors: `Twice` at the second of two equal keys of a unique index.
    pub fn for_each(mut self, each: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Stop> {
        self.end()?;
        if !self.has_runs {
            return self.memory.for_each(&self.sorting, each);
        }
        self.wait()?;
        self.trim();
        let threads = self
            .pool
            .as_ref()
            .map_or(1, |pool| pool.current_num_threads());
        self.runs
            .merge(&self.sorting, threads.min(MERGING_MAX), each)
    }
}

impl Drop for Sorter {
    /// It must not go on by itself: a run is not written behind the back of who has given up.
    fn drop(&mut self) {
        if let Some(spilling) = self.spilling.take() {
            // What became of it is nobody's concern any more.
            let _ = spilling.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fit::Affinity;
    use crate::model::row::Collation;
    use crate::model::text::TextEncoding;
    use crate::model::value::Value;
    use crate::target::btree::key::{KeyOrder, compare, has_null};
    use crate::target::btree::record::{RecordBuilder, locate};
    use crate::target::btree::sorting::pool;

    fn sorting(unique: bool) -> Sorting {
        let order = KeyOrder {
            collation: Collation::Nocase,
            descending: false,
        };
        Sorting {
            order: vec![order],
            key_columns: 1,
            unique,
            encoding: TextEncoding::Utf8,
        }
    }

    /// A key and the rowid behind it.
    fn record(key: &Value, rowid: i64) -> Vec<u8> {
        let mut builder = RecordBuilder::default();
        builder.push(&key.as_ref(), Affinity::None);
        builder.push_integer(rowid);
        let mut record = Vec::new();
        builder.write(&mut record);
        record
    }

    fn push(sorter: &mut Sorter, record: &[u8]) {
        let mut places = Vec::new();
        locate(record, usize::MAX, &mut places);
        let parts = places.iter().map(|place| place.of(record));
        sorter.push(parts).unwrap();
    }

    fn key() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            (0..30_i64).prop_map(Value::Integer),
            "[abAB]{0,3}".prop_map(|text| Value::Text(text.into_bytes())),
            // Longer than a prefix.
            "(long, and longer than a prefix )?[abAB]{0,2}"
                .prop_map(|text| Value::Text(text.into_bytes())),
        ]
    }

    proptest! {
        /// Whatever went to a file when, keys come in their order, equal ones as they came; of a unique index no two.
        #[test]
        fn keys_come_in_order_from_memory_and_from_runs(
            keys in prop::collection::vec((key(), prop::bool::weighted(0.1)), 0..120),
            unique: bool,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(sorting(unique), folder.path(), pool(), Memory::default());
            let mut records = Vec::new();
            for (rowid, (key, spills)) in (1..).zip(&keys) {
                let record = record(key, rowid);
                push(&mut sorter, &record);
                if *spills {
                    sorter.spill().unwrap();
                }
                records.push(record);
            }
            let order = sorting(unique).order;
            let compared = |a: &[u8], b: &[u8]| compare(a, b, &order, TextEncoding::Utf8);
            records.sort_by(|a, b| compared(a, b));
            let is_twice = |pair: &[Vec<u8>]| compared(&pair[0], &pair[1]).is_eq() && !has_null(&pair[0], 1);
            let twice = unique && records.windows(2).any(is_twice);
            let mut given = Vec::new();
            let done = sorter.for_each(|record| {
                given.push(record.to_vec());
                Ok(())
            });
            prop_assert_eq!(matches!(done, Err(Stop::Twice)), twice);
            if !twice {
                prop_assert!(done.is_ok());
                prop_assert_eq!(given, records);
            }
        }
    }

    #[test]
    fn who_wants_no_more_keys_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        for spills in [false, true] {
            let mut sorter = Sorter::new(sorting(false), folder.path(), pool(), Memory::default());
            for rowid in 0..60_000 {
                push(&mut sorter, &record(&Value::Integer(rowid % 100), rowid));
                if spills && rowid % 20_000 == 0 {
                    sorter.spill().unwrap();
                }
            }
            let mut given = 0;
            let done = sorter.for_each(|_| {
                given += 1;
                match given {
                    ..10 => Ok(()),
                    _ => Err(io::ErrorKind::Interrupted.into()),
                }
            });
            let Err(Stop::Io(error)) = done else {
                panic!("{done:?}");
            };
            assert_eq!((error.kind(), given), (io::ErrorKind::Interrupted, 10));
        }
    }
}
