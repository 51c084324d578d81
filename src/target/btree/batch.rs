//! Records on their way from the side that puts them together to those that build trees of them.

use super::record::RecordBuilder;

/// Bytes of records that are handed over at once.
const BATCH_BYTES: usize = 256 << 10;

/// So many batches take about so many bytes.
pub const fn batches_in(bytes: usize) -> usize {
    bytes / BATCH_BYTES
}

/// Records, one after the other: of each the rowid, the length and the bytes.
#[derive(Debug)]
pub struct Batch(Vec<u8>);

impl Default for Batch {
    fn default() -> Self {
        Self(Vec::with_capacity(BATCH_BYTES))
    }
}

impl Batch {
    /// Appends a record all of whose values lie in memory.
    pub fn push(&mut self, rowid: i64, record: &RecordBuilder) {
        self.0.extend_from_slice(&rowid.to_le_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "its values lie in memory")]
        let length = record.bytes() as u32;
        self.0.extend_from_slice(&length.to_le_bytes());
        record.write(&mut self.0);
    }

    /// True if it is to be handed over.
    pub fn is_full(&self) -> bool {
        self.0.len() >= BATCH_BYTES
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records, and their rowids.
    pub fn records(&self) -> impl Iterator<Item = (i64, &[u8])> {
        let mut left = self.0.as_slice();
        std::iter::from_fn(move || {
            let (rowid, rest) = left.split_first_chunk::<8>()?;
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            left = rest;
            Some((i64::from_le_bytes(*rowid), record))
        })
    }
}
