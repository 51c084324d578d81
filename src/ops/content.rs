//! The bytes of large values, read from the store while their rows are written.

use std::io::{self, Read};

use crate::format::blob::BlobError;
use crate::model::value::Spilled;
use crate::store::StoreReader;
use crate::target::SpilledContent;
use crate::tree::large::LargeReader;

/// Opens large values; keeps the blob error behind a read that failed.
pub struct StoredContent<'a> {
    reader: &'a StoreReader,
    failure: Option<BlobError>,
}

impl<'a> StoredContent<'a> {
    /// Large values of a store.
    pub fn new(reader: &'a StoreReader) -> Self {
        Self {
            reader,
            failure: None,
        }
    }

    /// Why the last read failed, if a blob was the reason.
    pub fn failure(self) -> Option<BlobError> {
        self.failure
    }
}

impl SpilledContent for StoredContent<'_> {
    fn open<'a>(&'a mut self, spilled: &Spilled) -> io::Result<Box<dyn Read + 'a>> {
        let inner = LargeReader::new(self.reader, spilled);
        Ok(Box::new(Watched {
            inner,
            failure: &mut self.failure,
        }))
    }
}

/// A large value being read.
struct Watched<'a> {
    inner: LargeReader<'a>,
    failure: &'a mut Option<BlobError>,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let done = self.inner.read(out);
        if done.is_err() {
            *self.failure = self.inner.failure.take();
        }
        done
    }
}
