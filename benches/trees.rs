//! The trees of a whole database, given to whatever sink a bench measures with.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use larder::codec::hash::StoreHash;
use larder::format::blob::{BlobError, BlobSink};
use larder::model::row::RowRef;
use larder::model::value::Spilled;
use larder::source::{Capture, CaptureOptions, LargeValue, RowSink, rows};
use larder::tree::build::TreeBuilder;
use larder::tree::split::LeafWeights;
use larder::tree::{TreeShape, large};

struct Rows<'a, 's> {
    builder: TreeBuilder<'s>,
    sink: &'a mut dyn BlobSink,
}

impl RowSink for Rows<'_, '_> {
    type Error = BlobError;

    fn large(&mut self, value: LargeValue, content: &mut dyn Read) -> Result<Spilled, BlobError> {
        Ok(large::store(value.class, content, StoreHash::unkeyed(), self.sink).unwrap())
    }

    fn row(&mut self, row: RowRef<'_>) -> Result<(), BlobError> {
        self.builder.push(row, self.sink).map(drop)
    }
}

/// Puts the blobs of all carried tables of a database.
pub fn put(database: &Path, weights: LeafWeights, sink: &mut dyn BlobSink) {
    let options = CaptureOptions {
        busy: Duration::from_secs(1),
        temp_dir: std::env::temp_dir(),
        vfs: std::sync::Arc::new(larder::vfs::os::OsVfs),
        env: std::sync::Arc::new(larder::env::SystemEnv),
        stop: larder::progress::StopSign::default(),
        reading: larder::source::Reading::default(),
    };
    let capture = Capture::begin(database, &options).unwrap();
    for table in &capture.schema().tables {
        if capture.moment().carries(table) {
            let shape = TreeShape::of(table, capture.schema().encoding);
            let builder = TreeBuilder::with_weights(&shape, StoreHash::unkeyed(), weights);
            let mut taker = Rows {
                builder,
                sink: &mut *sink,
            };
            rows(capture.moment(), table, &mut taker).unwrap();
            taker.builder.finish(taker.sink).unwrap();
        }
    }
    capture.finish().unwrap();
}
