//! Records on their way from the side that puts them together to those that build trees of them.

use std::sync::{Arc, Mutex};

use super::record::RecordBuilder;

/// Bytes of records that are handed over at once.
const BATCH_BYTES: usize = 256 << 10;

/// So many batches take about so many bytes.
pub const fn batches_in(bytes: usize) -> usize {
    bytes / BATCH_BYTES
}

/// Memory of batches that are done, for those to come.
#[derive(Debug, Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    /// An empty batch.
    pub fn batch(&self) -> Batch {
        let bytes = self.0.lock().ok().and_then(|mut spare| spare.pop());
        Batch {
            bytes: bytes.unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 8)),
            spare: self.clone(),
        }
    }
}

/// Records, one after the other: of each the rowid, the length and the bytes.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    spare: Spare,
}

impl Drop for Batch {
    /// Whoever is done with it last gives its memory back.
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        // One record can be longer than all others.
        if bytes.capacity() <= 2 * BATCH_BYTES
            && let Ok(mut spare) = self.spare.0.lock()
        {
            spare.push(bytes);
        }
    }
}

impl Batch {
    /// Appends a record all of whose values lie in memory.
    pub fn push(&mut self, rowid: i64, record: &RecordBuilder) {
        self.bytes.extend_from_slice(&rowid.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = record.bytes() as u32;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        record.write(&mut self.bytes);
    }

    /// True if it is to be handed over.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records, and their rowids.
    pub fn records(&self) -> impl Iterator<Item = (i64, &[u8])> {
        let mut left = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (rowid, rest) = left.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            left = rest;
            Some((i64::from_le_bytes(*rowid), record))
        })
    }
}
