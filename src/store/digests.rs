//! Multisets of keys, as many as there are, in sorted runs of a temporary database.
//!
//! What is kept of a key is 16 bytes: a short one itself, of a longer one its digest. So memory does
//! not grow with the keys: a buffer for each set that is being filled, and a block for each run that
//! is being read. A key may be taken out as often as it was put in.

mod runs;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::StoreError;
use crate::codec::hash::plain_digest;
use crate::model::value::ValueRef;
use crate::sqlite::{Connection, SqliteError};
use runs::{Merged, Run, RunWriter};

/// What is kept of a key: 16 bytes, as two numbers, which compare sooner than bytes and in the same order.
type Kept = (u64, u64);

fn from_bytes(bytes: [u8; 16]) -> Kept {
    let number = u128::from_be_bytes(bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let lower = number as u64;
    ((number >> 64) as u64, lower)
}

fn to_bytes((upper, lower): Kept) -> [u8; 16] {
    (u128::from(upper) << 64 | u128::from(lower)).to_be_bytes()
}

/// Keys that sets which are filled at once hold in memory until they are sorted: 12 MiB.
const BUFFER_KEYS_MAX: usize = 1 << 19;

/// Keys that each of them holds at least.
const BUFFER_KEYS_MIN: usize = 1 << 10;

/// So many runs of one size are merged into one.
const RUNS_OF_A_SIZE: usize = 8;

/// The place where sets are kept. Dropped with the last of them, it leaves nothing behind.
#[derive(Debug, Clone)]
pub struct DigestStore {
    db: Arc<Mutex<Connection>>,
}

/// A multiset of keys.
#[derive(Debug)]
pub struct DigestSet {
    store: DigestStore,
    buffer_keys_max: usize,
    buffer: Vec<(Kept, i64)>,
    /// Each sorted, no key twice.
    runs: Vec<Run>,
}

/// Of a key: itself if it is short, behind its length; else its digest behind a number that is none.
fn kept(key: &[u8]) -> Kept {
    let mut kept = [0; 16];
    match u8::try_from(key.len()) {
        Ok(length) if key.len() < 16 => {
            kept[0] = length;
            kept[1..=key.len()].copy_from_slice(key);
        }
        _ => {
            kept[0] = u8::MAX;
            kept[1..].copy_from_slice(&plain_digest(key)[..15]);
        }
    }
    from_bytes(kept)
}

impl DigestStore {
    /// In a temporary file.
    pub fn new() -> Result<Self, StoreError> {
        let make = || {
            let db = Connection::open_cache(None)?;
            // Never committed: the database is gone with the connection.
            db.execute("BEGIN")?;
            db.execute("CREATE TABLE blocks(n INTEGER PRIMARY KEY, entries BLOB NOT NULL)")?;
            Ok(Self {
                db: Arc::new(Mutex::new(db)),
            })
        };
        make().map_err(StoreError::Scratch)
    }

    /// An empty set, one of so many that will be filled at once.
    pub fn set(&self, at_once: usize) -> DigestSet {
        let share = BUFFER_KEYS_MAX / at_once.max(1);
        DigestSet {
            store: self.clone(),
            buffer_keys_max: share.max(BUFFER_KEYS_MIN),
            buffer: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_block(&self, entries: &[u8]) -> Result<i64, SqliteError> {
        let sql = "INSERT INTO blocks(entries) VALUES(?1)";
        let db = self.db();
        db.for_each_cached(sql, &[ValueRef::Blob(entries)], |_| Ok(()))?;
        Ok(db.last_insert_rowid())
    }

    fn block(&self, n: i64) -> Result<Vec<u8>, SqliteError> {
        let mut block = Vec::new();
        let sql = "SELECT entries FROM blocks WHERE n = ?1";
        self.db()
            .for_each_cached(sql, &[ValueRef::Integer(n)], |row| {
                block.extend_from_slice(row.bytes(0)?.unwrap_or_default());
                Ok(())
            })?;
        Ok(block)
    }

    fn remove(&self, run: Run) -> Result<(), SqliteError> {
        let (first, end) = (run.first_block, run.first_block + run.blocks);
        self.db().for_each_cached(
            "DELETE FROM blocks WHERE n >= ?1 AND n < ?2",
            &[ValueRef::Integer(first), ValueRef::Integer(end)],
            |_| Ok(()),
        )
    }
}

impl DigestSet {
    /// Puts a key in so many times more; less than 0: takes it out.
    pub fn add(&mut self, key: &[u8], count: i64) -> Result<(), StoreError> {
        self.buffer.push((kept(key), count));
        if self.buffer.len() >= self.buffer_keys_max {
            self.sort().map_err(StoreError::Scratch)?;
        }
        Ok(())
    }

    /// To be called before a set is asked: gives the memory of its buffer back.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        self.sort().map_err(StoreError::Scratch)?;
        self.buffer = Vec::new();
        Ok(())
    }

    fn sort(&mut self) -> Result<(), SqliteError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.buffer.sort_unstable();
        let mut writer = RunWriter::new(&self.store, 0);
        for same in self.buffer.chunk_by(|(a, _), (b, _)| a == b) {
            let sum = same.iter().map(|(_, count)| count).sum();
            if let [(key, _), ..] = same {
                writer.put(*key, sum)?;
            }
        }
        let run = writer.finish()?;
        self.buffer.clear();
        self.keep(run)
    }

    /// Keeps a run, and merges those of one size when there are many.
    fn keep(&mut self, mut run: Run) -> Result<(), SqliteError> {
        while run.blocks > 0 {
            let is_alike = |other: &&Run| other.size == run.size;
            let alike: Vec<Run> = self.runs.iter().filter(is_alike).copied().collect();
            if alike.len() + 1 < RUNS_OF_A_SIZE {
                self.runs.push(run);
                break;
            }
            let size = run.size;
            self.runs.retain(|other| other.size != size);
            let merged: Vec<Run> = alike.into_iter().chain([run]).collect();
            let mut writer = RunWriter::new(&self.store, size + 1);
            let mut reader = Merged::new(&self.store, &merged)?;
            while let Some((key, count)) = reader.next()? {
                writer.put(key, count)?;
            }
            run = writer.finish()?;
            for old in merged {
                self.store.remove(old)?;
            }
        }
        Ok(())
    }

    /// Keys that are in it more than once, each counted as often as it is too many.
    pub fn too_many(&self) -> Result<u64, StoreError> {
        let count = || {
            let mut merged = Merged::new(&self.store, &self.runs)?;
            let mut too_many = 0_u64;
            while let Some((_, count)) = merged.next()? {
                too_many = too_many.saturating_add(count.saturating_sub(1).max(0).unsigned_abs());
            }
            Ok(too_many)
        };
        count().map_err(StoreError::Scratch)
    }

    /// Keys of this set that the other lacks, each as often as it is here.
    pub fn without_match(&self, other: &Self) -> Result<u64, StoreError> {
        let count = || {
            let mut here = Merged::new(&self.store, &self.runs)?;
            let mut there = Merged::new(&other.store, &other.runs)?;
            let (mut lacking, mut beside) = (0_u64, there.next()?);
            while let Some((key, count)) = here.next()? {
                while beside.is_some_and(|(other, _)| other < key) {
                    beside = there.next()?;
                }
                if beside.is_none_or(|(other, _)| other != key) {
                    lacking = lacking.saturating_add(count.max(0).unsigned_abs());
                }
            }
            Ok(lacking)
        };
        count().map_err(StoreError::Scratch)
    }
}

impl Drop for DigestSet {
    fn drop(&mut self) {
        // What cannot be removed goes with the file.
        for run in std::mem::take(&mut self.runs) {
            let _ = self.store.remove(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Whatever is put in and taken out, in however many runs.
        #[test]
        fn a_set_counts_as_a_map_does(
            steps in proptest::collection::vec((0_u16..300, 1_i64..3, any::<bool>(), 0_u8..40), 0..900),
        ) {
            let store = DigestStore::new().unwrap();
            let (mut a, mut b) = (store.set(2), store.set(2));
            let (mut of_a, mut of_b) = (HashMap::new(), HashMap::new());
            for (key, count, in_a, seal) in &steps {
                // Short keys and long ones.
                let bytes = key.to_string().repeat(usize::from(key % 13) + 1);
                let (set, map) = if *in_a { (&mut a, &mut of_a) } else { (&mut b, &mut of_b) };
                set.add(bytes.as_bytes(), *count).unwrap();
                *map.entry(bytes.clone()).or_insert(0) += count;
                if key % 3 == 0 {
                    set.add(bytes.as_bytes(), -count).unwrap();
                    *map.entry(bytes).or_insert(0) -= count;
                }
                if *seal == 0 {
                    set.seal().unwrap();
                }
            }
            a.seal().unwrap();
            b.seal().unwrap();
            let too_many: i64 = of_a.values().map(|n| (n - 1).max(0)).sum();
            prop_assert_eq!(a.too_many().unwrap(), too_many.unsigned_abs());
            let is_lacking = |(key, _): &(&String, &i64)| of_b.get(*key).is_none_or(|n| *n == 0);
            let lacking: i64 = of_a.iter().filter(is_lacking).map(|(_, n)| *n).sum();
            prop_assert_eq!(a.without_match(&b).unwrap(), lacking.unsigned_abs());
        }
    }

    #[test]
    fn keys_are_told_apart() {
        let long = |n: usize| vec![0_u8; n];
        let keys = [long(0), long(1), long(15), long(16), long(17), vec![1; 15]];
        for (at, a) in keys.iter().enumerate() {
            for b in &keys[at + 1..] {
                assert_ne!(kept(a), kept(b));
            }
        }
    }
}
