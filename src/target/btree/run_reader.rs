//! Reads a part of a sorted run, key by key.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::key::{PREFIX_BYTES, Prefix};
use super::record::read_varint;
use super::run_key::{CUT, HEAD_BYTES_MAX, replaced};

/// Reads a part of a run.
#[derive(Debug)]
pub struct RunReader<'f> {
    file: &'f File,
    /// What is not in the buffer yet.
    left: Range<u64>,
    /// Keys from this prefix on are not given any more.
    until: Option<[u64; 3]>,
    buffer: Vec<u8>,
    /// How much of the buffer was read; the record of this key, behind which the next key begins.
    filled: usize,
    record: Range<usize>,
    prefix: Prefix,
    is_at_end: bool,
}

impl<'f> RunReader<'f> {
    /// At the first key of a range of the file. `before`: the prefix of the key before it. The buffer, of so many bytes,
    /// grows where a record is longer.
    pub fn new(
        file: &'f File,
        left: Range<u64>,
        before: [u64; 3],
        buffer: usize,
    ) -> io::Result<Self> {
        let mut reader = Self {
            file,
            left,
            until: None,
            buffer: vec![0; buffer],
            filled: 0,
            record: 0..0,
            prefix: Prefix {
                bytes: before,
                is_cut: false,
            },
            is_at_end: false,
        };
        reader.advance()?;
        Ok(reader)
    }

    /// Passes over keys before the first prefix, and ends before the second.
    pub fn within(mut self, from: Option<[u64; 3]>, until: Option<[u64; 3]>) -> io::Result<Self> {
        if let Some(from) = from {
            while !self.is_at_end && self.prefix.bytes < from {
                self.advance()?;
            }
        }
        self.until = until;
        self.end_where_due();
        Ok(self)
    }

    fn end_where_due(&mut self) {
        self.is_at_end |= self.until.is_some_and(|until| self.prefix.bytes >= until);
    }

    /// True behind the last key.
    pub fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// The prefix of the key at hand.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Its record.
    pub fn record(&self) -> &[u8] {
        &self.buffer[self.record.clone()]
    }

    /// Goes on to the next key.
    pub fn advance(&mut self) -> io::Result<()> {
        let mut from = self.record.end;
        if self.filled - from < HEAD_BYTES_MAX {
            self.fill(from, HEAD_BYTES_MAX)?;
            from = 0;
            if self.filled == 0 {
                self.record = 0..0;
                self.is_at_end = true;
                return Ok(());
            }
        }
        let head = &self.buffer[from..self.filled];
        let (&[flags, kept], rest) = head.split_first_chunk().ok_or_else(damaged)?;
        let (length, its_bytes) = read_varint(rest).ok_or_else(damaged)?;
        let (shared, kept) = (usize::from(flags & !CUT), usize::from(kept));
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let head = 2 + its_bytes;
        let bytes = length.checked_add(head + kept).ok_or_else(damaged)?;
        if self.filled - from < bytes {
            self.fill(from, bytes)?;
            from = 0;
        }
        if self.filled - from < bytes || shared + kept > PREFIX_BYTES {
            return Err(damaged());
        }
        let behind = self.buffer.get(from + head..).unwrap_or_default();
        self.prefix.bytes = replaced(&self.prefix.bytes, shared, behind, kept);
        self.prefix.is_cut = flags & CUT != 0;
        self.record = from + head + kept..from + bytes;
        self.end_where_due();
        Ok(())
    }

    /// Moves what stands from `from` on to the beginning of the buffer and reads more, so that so many bytes are there;
    /// fewer where the run ends.
    fn fill(&mut self, from: usize, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(from..self.filled, 0);
        self.filled -= from;
        let there = self.left.end.saturating_sub(self.left.start);
        let lacking = bytes.saturating_sub(self.filled) as u64;
        if bytes > self.buffer.len() && lacking <= there {
            self.buffer.resize(bytes, 0);
        }
        let room = self.buffer.len() - self.filled;
        let count = usize::try_from(there).map_or(room, |there| there.min(room));
        let into = &mut self.buffer[self.filled..self.filled + count];
        self.file.read_exact_at(into, self.left.start)?;
        self.left.start += count as u64;
        self.filled += count;
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a temporary file of sorted keys has changed",
    )
}
