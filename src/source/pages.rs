//! The pages of a database, for what its records alone do not bring back.
//!
//! They are read from a private copy that SQLite made (the backup API), never from the source.

use std::path::Path;

use super::capture::Capture;
use super::error::SourceError;
use super::table::{LargeValue, RowSink, RowsError, Scanned};
use crate::model::row::RowRef;
use crate::model::value::{LongClass, SPILL_BYTES_OVER, ValueRef};
use crate::vfs::Vfs;

/// Bytes read from the copy at a time; a multiple of every page size.
const READ_BYTES: u64 = 1 << 20;

/// Gives every page to the sink: a row of page number and content.
pub fn pages<S: RowSink>(capture: &Capture, sink: &mut S) -> Result<Scanned, RowsError<S::Error>> {
    let page_bytes = u64::from(capture.settings().page_size);
    capture
        .with_page_copy(|copy, vfs| read(copy, vfs, page_bytes, sink))
        .map_err(RowsError::Source)?
}

fn read<S: RowSink>(
    copy: &Path,
    vfs: &dyn Vfs,
    page_bytes: u64,
    sink: &mut S,
) -> Result<Scanned, RowsError<S::Error>> {
    let failed = |error: crate::vfs::VfsError| {
        RowsError::Source(SourceError::file("read", copy, error.cause))
    };
    let entry = vfs.entry(copy).map_err(failed)?;
    let total = entry.map_or(0, |entry| entry.bytes);
    let (mut offset, mut number) = (0, 0_i64);
    while offset < total {
        let bytes = READ_BYTES.min(total - offset);
        let part = vfs.read_at(copy, offset, bytes).map_err(failed)?;
        for content in part.chunks(usize::try_from(page_bytes).unwrap_or(usize::MAX).max(1)) {
            number += 1;
            page(number, content, sink).map_err(RowsError::Sink)?;
        }
        offset += bytes;
    }
    Ok(Scanned {
        rows: number.unsigned_abs(),
        ..Scanned::default()
    })
}

fn page<S: RowSink>(number: i64, content: &[u8], sink: &mut S) -> Result<(), S::Error> {
    let value = if content.len() > SPILL_BYTES_OVER {
        let value = LargeValue {
            rowid: Some(number),
            column: 0,
            class: LongClass::Blob,
            bytes: content.len() as u64,
        };
        let mut reader = content;
        ValueRef::Spilled(sink.large(value, &mut reader)?)
    } else {
        ValueRef::Blob(content)
    };
    sink.row(RowRef {
        rowid: Some(number),
        values: &[value],
    })
}
