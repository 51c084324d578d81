//! Sorted runs of keys with their counts, in blocks, and several of them read as one.

use super::{DigestStore, Kept, from_bytes, to_bytes};
use crate::sqlite::SqliteError;

/// A key and its count in a block.
const ENTRY_BYTES: usize = 24;

/// Entries of a block: 96 KiB.
const BLOCK_ENTRIES: usize = 4096;

/// Blocks that follow one another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub first_block: i64,
    pub blocks: i64,
    /// Times that its keys were merged.
    pub size: u32,
}

/// Writes entries that come in order.
pub(super) struct RunWriter<'s> {
    store: &'s DigestStore,
    block: Vec<u8>,
    run: Run,
}

impl<'s> RunWriter<'s> {
    pub(super) fn new(store: &'s DigestStore, size: u32) -> Self {
        let run = Run {
            first_block: 0,
            blocks: 0,
            size,
        };
        Self {
            store,
            block: Vec::new(),
            run,
        }
    }

    pub(super) fn put(&mut self, key: Kept, count: i64) -> Result<(), SqliteError> {
        if count == 0 {
            return Ok(());
        }
        self.block.extend_from_slice(&to_bytes(key));
        self.block.extend_from_slice(&count.to_le_bytes());
        if self.block.len() == BLOCK_ENTRIES * ENTRY_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SqliteError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let n = self.store.put_block(&self.block)?;
        if self.run.blocks == 0 {
            self.run.first_block = n;
        }
        self.run.blocks += 1;
        self.block.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Run, SqliteError> {
        self.flush()?;
        Ok(self.run)
    }
}

/// Reads a run.
struct RunReader<'s> {
    store: &'s DigestStore,
    next_block: i64,
    end: i64,
    block: Vec<u8>,
    at: usize,
}

impl<'s> RunReader<'s> {
    fn new(store: &'s DigestStore, run: Run) -> Result<Self, SqliteError> {
        let mut reader = Self {
            store,
            next_block: run.first_block,
            end: run.first_block + run.blocks,
            block: Vec::new(),
            at: 0,
        };
        reader.load()?;
        Ok(reader)
    }

    fn load(&mut self) -> Result<(), SqliteError> {
        self.block.clear();
        self.at = 0;
        if self.next_block < self.end {
            self.block = self.store.block(self.next_block)?;
            self.next_block += 1;
        }
        Ok(())
    }

    /// The entry that is next; `None` behind the last one.
    fn peek(&self) -> Option<(Kept, i64)> {
        let entry = self.block.get(self.at..self.at + ENTRY_BYTES)?;
        let (key, count) = entry.split_at(16);
        Some((
            from_bytes(key.try_into().ok()?),
            i64::from_le_bytes(count.try_into().ok()?),
        ))
    }

    fn advance(&mut self) -> Result<(), SqliteError> {
        self.at += ENTRY_BYTES;
        match self.at < self.block.len() {
            true => Ok(()),
            false => self.load(),
        }
    }
}

/// Several runs as one: every key once, with the sum of its counts, those of 0 passed over.
pub(super) struct Merged<'s>(Vec<RunReader<'s>>);

impl<'s> Merged<'s> {
    pub(super) fn new(store: &'s DigestStore, runs: &[Run]) -> Result<Self, SqliteError> {
        let readers = runs.iter().map(|run| RunReader::new(store, *run));
        Ok(Self(readers.collect::<Result<_, _>>()?))
    }

    pub(super) fn next(&mut self) -> Result<Option<(Kept, i64)>, SqliteError> {
        loop {
            let Some((key, _)) = self.0.iter().filter_map(RunReader::peek).min() else {
                return Ok(None);
            };
            let mut sum = 0_i64;
            for reader in &mut self.0 {
                if let Some((_, count)) = reader.peek().filter(|(other, _)| *other == key) {
                    sum = sum.saturating_add(count);
                    reader.advance()?;
                }
            }
            if sum != 0 {
                return Ok(Some((key, sum)));
            }
        }
    }
}
