//! The order of key parts that stand apart from their rows: a reference says nothing of it, so that
//! their bytes are read. Memory: a piece of each, except where a collation compares whole texts.

use std::cmp::Ordering;
use std::io::Read;

use crate::format::blob::{BlobError, BlobSource};
use crate::model::row::{Collation, compare_values};
use crate::model::text::TextEncoding;
use crate::model::value::{LongClass, Spilled, ValueRef};
use crate::tree::large::{LargeReader, blob_failure};

/// Bytes compared at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Compares two values of one class, of which at least one is spilled, as SQLite orders them.
pub(super) fn compare_long(
    source: &dyn BlobSource,
    a: ValueRef<'_>,
    b: ValueRef<'_>,
    collation: &Collation,
    encoding: TextEncoding,
) -> Result<Ordering, BlobError> {
    if a.identical(b) {
        return Ok(Ordering::Equal);
    }
    let is_text = |value| match value {
        ValueRef::Text(_) => true,
        ValueRef::Spilled(spilled) => spilled.class == LongClass::Text,
        _ => false,
    };
    if is_text(a) && *collation != Collation::Binary {
        let (a, b) = (Loaded::of(source, a)?, Loaded::of(source, b)?);
        let order = compare_values(a.value(), b.value(), collation, encoding);
        // Neither is spilled any more.
        return Ok(order.unwrap_or(Ordering::Equal));
    }
    let (mut a, mut b) = (Bytes::of(source, a), Bytes::of(source, b));
    let (mut a_piece, mut b_piece) = (Vec::new(), Vec::new());
    loop {
        a.next(&mut a_piece)?;
        b.next(&mut b_piece)?;
        match a_piece.cmp(&b_piece) {
            Ordering::Equal if a_piece.is_empty() => return Ok(Ordering::Equal),
            Ordering::Equal => {}
            order => return Ok(order),
        }
    }
}

/// A value, read whole if it was not in its row.
enum Loaded<'a> {
    Here(ValueRef<'a>),
    Read(LongClass, Vec<u8>),
}

impl<'a> Loaded<'a> {
    fn of(source: &dyn BlobSource, value: ValueRef<'a>) -> Result<Self, BlobError> {
        let ValueRef::Spilled(spilled) = value else {
            return Ok(Self::Here(value));
        };
        let mut reader = LargeReader::new(source, &spilled);
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(Self::Read(spilled.class, bytes)),
            Err(cause) => Err(blob_failure(reader, &spilled, cause)),
        }
    }

    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Here(value) => *value,
            Self::Read(LongClass::Text, bytes) => ValueRef::Text(bytes),
            Self::Read(LongClass::Blob, bytes) => ValueRef::Blob(bytes),
        }
    }
}

/// The bytes of a value, in pieces of one length each but the last.
enum Bytes<'a> {
    Here(&'a [u8]),
    Read(LargeReader<'a>, Spilled),
    /// A read failed.
    Ended,
}

impl<'a> Bytes<'a> {
    fn of(source: &'a dyn BlobSource, value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Self::Here(bytes),
            ValueRef::Spilled(spilled) => Self::Read(LargeReader::new(source, &spilled), spilled),
            // They have no bytes to be compared, and are never spilled.
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Self::Here(&[]),
        }
    }

    /// The next piece; empty at the end.
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<(), BlobError> {
        piece.clear();
        match std::mem::replace(self, Self::Ended) {
            Self::Here(bytes) => {
                let (first, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES));
                piece.extend_from_slice(first);
                *self = Self::Here(rest);
            }
            Self::Read(mut reader, spilled) => {
                let read = reader.by_ref().take(PIECE_BYTES as u64).read_to_end(piece);
                if let Err(cause) = read {
                    return Err(blob_failure(reader, &spilled, cause));
                }
                *self = Self::Read(reader, spilled);
            }
            Self::Ended => {}
        }
        Ok(())
    }
}
