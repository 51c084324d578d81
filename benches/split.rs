//! What the size of leaves costs: bytes of a first snapshot, and of the leaves that are new after
//! changes, for targets of 64, 128 and 256 KiB. docs/decisions/004-leaf-target.md.
//!
//!     cargo bench --bench split -- [DATABASE…]
//!
//! Without arguments the database is `LARDER_BENCH_DB`, or a shop of 200,000 rows made for the
//! occasion. Shops are changed by `benches/peers/mutate_shop.py`; other databases are only read.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench looks at real files, measures time, fails by panicking, and prints"
)]

mod shop;
mod trees;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larder::codec::hash::StoreHash;
use larder::codec::zstd::Compressor;
use larder::format::blob::{self, BlobError, BlobKind, BlobSink};
use larder::format::footer::BLOB_ENTRY_BYTES;
use larder::format::pack::FRAME_TARGET_BYTES;
use larder::model::id::BlobId;
use larder::tree::split::LeafWeights;

const TARGETS_KIB: [u64; 3] = [64, 128, 256];
const LEVEL: i32 = 3;
/// Of an entry in a footer, what compression leaves: mostly the id.
const ENTRY_STORED_BYTES: u64 = BLOB_ENTRY_BYTES as u64 * 3 / 4;

/// Counts what blobs would cost in a store: those not seen before, framed and compressed as there.
struct Scale {
    known: HashSet<(BlobKind, BlobId)>,
    compressor: Compressor,
    frame: Vec<u8>,
    counted: Counted,
}

#[derive(Default, Clone, Copy)]
struct Counted {
    leaves: u64,
    leaf_bytes: u64,
    other_bytes: u64,
}

impl Counted {
    fn bytes(&self) -> u64 {
        self.leaf_bytes + self.other_bytes
    }
}

impl Scale {
    fn new() -> Self {
        Self {
            known: HashSet::new(),
            compressor: Compressor::new(LEVEL).unwrap(),
            frame: Vec::new(),
            counted: Counted::default(),
        }
    }

    fn compressed(&mut self, encoded: &[u8], seams: &[usize]) -> u64 {
        self.compressor.compress(encoded, seams).unwrap().len() as u64
    }

    fn close_frame(&mut self) {
        let frame = std::mem::take(&mut self.frame);
        if !frame.is_empty() {
            self.counted.other_bytes += self.compressed(&frame, &[]);
        }
    }

    /// What was counted since the last call.
    fn take(&mut self) -> Counted {
        self.close_frame();
        std::mem::take(&mut self.counted)
    }
}

impl BlobSink for Scale {
    fn put(&mut self, kind: BlobKind, canonical: &[u8]) -> Result<BlobId, BlobError> {
        let id = StoreHash::unkeyed().blob_id(kind as u8, canonical);
        if !self.known.insert((kind, id)) {
            return Ok(id);
        }
        self.counted.other_bytes += ENTRY_STORED_BYTES;
        let blob::Encoded {
            bytes: encoded,
            seams,
            ..
        } = blob::encode(kind, canonical).unwrap();
        self.counted.leaves += u64::from(kind == BlobKind::Leaf);
        if encoded.len() > FRAME_TARGET_BYTES / 2 {
            let bytes = self.compressed(&encoded, &seams);
            match kind {
                BlobKind::Leaf => self.counted.leaf_bytes += bytes,
                _ => self.counted.other_bytes += bytes,
            }
            return Ok(id);
        }
        if self.frame.len() + encoded.len() > FRAME_TARGET_BYTES {
            self.close_frame();
        }
        self.frame.extend_from_slice(&encoded);
        Ok(id)
    }
}

/// Puts all trees of a database on the scale.
fn weigh(database: &Path, weights: LeafWeights, scale: &mut Scale) -> (Counted, Duration) {
    let begun = Instant::now();
    trees::put(database, weights, scale);
    (scale.take(), begun.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn measure(database: &Path, changed: &[(&str, PathBuf)]) {
    let name = database.file_name().unwrap().to_string_lossy();
    for target in TARGETS_KIB {
        let weights = LeafWeights::of_target(target << 10);
        let mut scale = Scale::new();
        let (first, elapsed) = weigh(database, weights, &mut scale);
        print!(
            "| {name} | {target} | {} | {:.3} | {:.2} |",
            first.leaves,
            megabytes(first.bytes()),
            elapsed.as_secs_f64()
        );
        let known = scale.known.clone();
        for (_, state) in changed {
            scale.known.clone_from(&known);
            let (more, _) = weigh(state, weights, &mut scale);
            print!(" {:.3} ({}) |", megabytes(more.bytes()), more.leaves);
        }
        println!();
    }
}

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let databases = shop::databases(200_000, scratch.path());
    println!("MB stored (leaves), zstd level {LEVEL}; changes are made to the first state each");
    println!(
        "| database | target KiB | leaves | first MB | s | {} |",
        shop::CHANGES.join(" | ")
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for database in databases {
        let changed = shop::changed(&database, scratch.path());
        measure(&database, &changed);
    }
}
